"""The last command that was taken, on the disk: its counter, by which none is taken twice, and what became of it.

It is flushed before the command is done. A counter that cannot be read or written lets nothing be done.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from kiosk.disk import durable, shared
from kiosk.log import line

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.envelopes.remote import Command

_log = logging.getLogger(__name__)

_LARGEST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Last:
    """The last command that was taken.

    Attributes:
        id: Its id, in hexadecimal digits.
        counter: Its counter.
        verb: What it asked for.
        state: "started", "done" or "failed".
        detail: Why it failed, or what was found; empty if there is nothing to say.
        boot_id: The boot in which it was taken.
    """

    id: str
    counter: int
    verb: str
    state: str
    detail: str
    boot_id: str


class Taken:
    """What one station has taken. One thread only.

    Attributes:
        last: The last command that was taken; None before the first.
    """

    def __init__(self, path: Path) -> None:
        """Remember what was taken before.

        Args:
            path: Where it is kept.
        """
        self._path = path
        self._is_whole, self.last = self._read()

    @property
    def counter(self) -> int:
        """That of the last command that was taken; 0 before the first."""
        return 0 if self.last is None else self.last.counter

    def keep(self, last: Last) -> bool:
        """True once the counter is on the disk; how a command ended is remembered until the end of the process in any case."""
        if not self._is_whole:
            return False
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.replace(self._path, json.dumps({"v": 1, **asdict(last)}).encode())
        except OSError as error:
            _log.warning(line("counter-not-kept", path=self._path, reason=error.strerror))
            if last.state == "started":
                return False
        self.last = last
        return True

    def _read(self) -> tuple[bool, Last | None]:
        """Whether the counter can be believed, and the last command."""
        try:
            kept = json.loads(shared.read(self._path, _LARGEST_BYTES))
            texts = [str(kept[key]) for key in ("verb", "state", "detail", "boot_id")]
            return True, Last(str(kept["id"]), int(kept["counter"]), *texts)
        except FileNotFoundError:
            return True, None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.error(line("counter-not-read", path=self._path, reason=type(error).__name__))
            return False, None


def started(command: Command, boot_id: str) -> Last:
    """A command that has been judged good, and not been done yet."""
    return Last(command.id.hex(), command.counter, command.verb.value, "started", "", boot_id)
