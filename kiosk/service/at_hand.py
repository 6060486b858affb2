"""What a machine that is no station has instead: its terminal for lights and sounds, its webcam for a camera.

Only where there is no configuration: one that says what a door has is believed, so that a missing wire or camera is told there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.errors import BEGIN_A_FILE, CameraError, PanelError
from kiosk.settings import loader

if TYPE_CHECKING:
    from kiosk.config import Lane

_DEV = Path("/dev")


def panel_at_hand(lane: Lane, path: Path, *, terminal: bool) -> Lane:
    """The lane; with its lights and sounds in this terminal where that is asked for, or where there are neither settings nor pins.

    Args:
        lane: As its settings have it.
        path: Of the configuration.
        terminal: Whether it is asked for.
    """
    if not terminal:
        try:
            refuse_without_pins(path)
        except PanelError:
            _say(f"no {path} and no pins: this terminal stands in for lights and buzzer; its bell rings for each beep")
        else:
            return lane
    return lane.model_copy(update={"panel": lane.panel.model_copy(update={"kind": "terminal"})})


def refuse_without_pins(path: Path) -> None:
    """Where there are no settings, see that this machine has the pins that a station has by default.

    Args:
        path: Of the configuration.

    Raises:
        PanelError: It has not.
    """
    if not loader.is_absent(path):
        return
    from kiosk import gpio  # noqa: PLC0415  whoever only looks at files needs no library of pins

    try:
        gpio.pin_factory("gpio").close()
    except PanelError as error:
        hint = f"{BEGIN_A_FILE}; on a Pi: apt install python3-lgpio; `kiosk demo` needs neither"
        raise PanelError(f"there is no {path}, and {error.args[0]}", hint=hint) from error


def camera_at_hand(path: Path) -> str | None:
    """The source of the first webcam, where there are neither settings nor what a Pi's camera needs; None elsewhere.

    Args:
        path: Of the configuration.

    Raises:
        CameraError: There is no webcam either.
    """
    has_pi_camera = importlib.util.find_spec("libcamera") is not None  # picamera2 alone comes from PyPI, too
    if not loader.is_absent(path) or has_pi_camera:
        return None
    webcam = min(_DEV.glob("video[0-9]*"), key=lambda found: int(found.name.removeprefix("video")), default=None)
    if webcam is None:
        raise CameraError(
            f"no {path} and no webcam",
            hint="name a camera with --camera, as in v4l2:/dev/video0, or sim:people=20 for invented people",
        )
    _say(f"no {path}: the camera is {webcam}; --camera names another one")
    return f"v4l2:{webcam}"


def note_defaults(path: Path) -> None:
    """Say that the settings are nobody's choice, where that is so."""
    if loader.is_absent(path):
        _say(f"there is no {path}, so every setting has its default; {BEGIN_A_FILE}")


def _say(text: str) -> None:
    sys.stderr.write(f"kiosk: {text}\n")
