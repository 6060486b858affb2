"""What a USB camera is asked for beyond what OpenCV can ask: how it goes by the mains, and whether the dark may slow it down.

Both are V4L2 controls. OpenCV has no name for them, but any program that may open the device may set them, while OpenCV streams
from it, too. What a camera does not know it refuses, and that is said where it was asked for by name.

A USB camera has no profile of short exposures. What comes nearest is that it keeps its rate: then no exposure is longer than a
frame. Shorter ones are set by hand, `camera.exposure_us`.

Units: `_hz` hertz.

Sources:
    [1] linux/v4l2-controls.h and linux/videodev2.h; the numbers are the same on every architecture.
    [2] Linux, media/v4l/ext-ctrls-camera.rst: V4L2_CID_EXPOSURE_AUTO_PRIORITY, 0 keeps the rate of frames constant.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import TYPE_CHECKING

from kiosk.lens.optics import light_warnings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kiosk.config import Camera

SET_CONTROL = 0xC008561C
POWER_LINE_FREQUENCY, EXPOSURE_AUTO_PRIORITY = 0x00980918, 0x009A0903
_BY_MAINS = {0: 0, 50: 1, 60: 2}
_CONTROL = struct.Struct("=Ii")


def asked_of(path: str, settings: Camera) -> tuple[str, ...]:
    """Ask a camera for what the settings wish.

    Args:
        path: Of its device.
        settings: The mains, and how the exposure grows.

    Returns:
        What it refused of what the settings name, each with its remedy.
    """
    wishes = list(_wishes(settings))
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return tuple(light_warnings(settings, [name for name, _, _ in wishes]))
    try:
        refused = [name for name, control, value in wishes if not _is_taken(device, control, value)]
    finally:
        os.close(device)
    return tuple(light_warnings(settings, refused))


def _wishes(settings: Camera) -> Iterable[tuple[str, int, int]]:
    """Each as the name of its setting, the control and its value."""
    yield "mains_hz", POWER_LINE_FREQUENCY, _BY_MAINS[settings.mains_hz]
    if settings.exposure_mode == "short" and not settings.exposure_us:
        yield "exposure_mode", EXPOSURE_AUTO_PRIORITY, 0


def _is_taken(device: int, control: int, value: int) -> bool:
    try:
        fcntl.ioctl(device, SET_CONTROL, _CONTROL.pack(control, value))
    except OSError:
        return False
    return True
