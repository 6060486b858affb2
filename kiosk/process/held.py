"""Which pins a lane's process holds, written while it lives: for whoever puts its light right when it has died, and has no time.

A door is closed until that is done, and a small board takes seconds to load what reads and checks a configuration. So the command
that does it (`kiosk panel --ended`) believes this file, where it is the user's own and nobody else can write it; without one
it reads the configuration as everybody does.

    /run/kiosk   pins-<lane>.json
"""

from __future__ import annotations

import json
import logging
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kiosk.disk import durable
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kiosk import config

_log = logging.getLogger(__name__)
_LARGEST_BYTES = 4096
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class HeldPins:
    """The pins of one panel.

    Attributes:
        kind: As `panel.kind`: "gpio", "mock", "terminal" or "none".
        leds: BCM number of each colour that has a pin: "red", "green", "blue", "yellow".
        leds_active_high: Whether a high level lights them.
        buzzer: BCM number; None if there is none.
        buzzer_active_high: Whether a high level sounds it.
    """

    kind: str
    leds: dict[str, int]
    leds_active_high: bool
    buzzer: int | None
    buzzer_active_high: bool

    @classmethod
    def of(cls, panel: config.Panel) -> HeldPins:
        """Those of these settings."""
        leds, buzzer = panel.leds, panel.buzzer
        pins = {colour: getattr(leds, f"{colour}_pin") for colour in ("red", "green", "blue", "yellow")}
        return cls(
            panel.kind,
            {colour: pin for colour, pin in pins.items() if pin is not None},
            leds.active_high,
            None if buzzer.kind == "none" else buzzer.pin,
            buzzer.active_high,
        )


def write(runtime_dir: Path, lane: str, lanes: Iterable[str], panel: config.Panel, source: Path) -> None:
    """Tell what this lane's process holds; a folder that cannot be written is logged and does not stop a door.

    Args:
        runtime_dir: A folder in memory, made if it is not there.
        lane: Its name.
        lanes: The names of all lanes; what others have left is removed, for their pins may be another one's now.
        panel: What it holds.
        source: The configuration that says so.
    """
    pins = {"config": str(source.absolute()), "pins": asdict(HeldPins.of(panel))}
    try:
        runtime_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        durable.replace(_path(runtime_dir, lane), json.dumps(pins).encode(), 0o640)
        for path in set(runtime_dir.glob("pins-*.json")) - {_path(runtime_dir, name) for name in lanes}:
            path.unlink()
    except OSError as error:
        _log.warning(line("pins-not-written", path=runtime_dir, reason=error.strerror))


def read(runtime_dir: Path, lane: str | None, source: Path) -> dict[str, HeldPins]:
    """What the processes of this configuration hold or held last, by lane; empty where nothing can be believed.

    Args:
        runtime_dir: Where it was written.
        lane: Whose; None for all.
        source: The configuration that they were started with.
    """
    held = {}
    for path in sorted(runtime_dir.glob("pins-*.json")) if lane is None else [_path(runtime_dir, lane)]:
        try:
            told = json.loads(_own_text(path))
            if told["config"] == str(source.absolute()):
                held[path.stem.removeprefix("pins-")] = _checked(told["pins"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return held


def _path(runtime_dir: Path, lane: str) -> Path:
    return runtime_dir / f"pins-{lane}.json"


def _own_text(path: Path) -> bytes:
    """A file's content, if it is the user's own and nobody else could have written it; the folder is shared with the uplink.

    Raises:
        OSError: It is not there, or another one's.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
            raise PermissionError(path)
        return file.read(_LARGEST_BYTES)


def _checked(told: dict[str, Any]) -> HeldPins:
    """The pins, if they are of the form.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: They are not.
    """
    pins = HeldPins(**told)
    numbers = [*pins.leds.values(), *([] if pins.buzzer is None else [pins.buzzer])]
    if not all(type(number) is int for number in numbers):
        raise ValueError(numbers)
    return pins
