"""How the sensors of the maker's camera modules can be read: a table, because asking picamera2 for it costs what a small board has not.

`Picamera2.sensor_modes` configures the camera once for each mode and allocates every mode's buffers, the largest too: more than
the memory that a board reserves for its camera by default [1].

Units: `_px` pixels.

Sources:
    [1] picamera2, `sensor_modes` and `_get_raw_modes`; github.com/raspberrypi/picamera2, issue 1358.
    [2] raspberrypi/documentation, camera_hardware.adoc, and what `rpicam-hello --list-cameras` prints for each module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.lens.optics import SensorMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OV5647 = (
    SensorMode((640, 480), (16, 0, 2560, 1920), 58.92, 10),
    SensorMode((1296, 972), (0, 0, 2592, 1944), 46.34, 10),
    SensorMode((1920, 1080), (348, 434, 1928, 1080), 32.81, 10),
    SensorMode((2592, 1944), (0, 0, 2592, 1944), 15.63, 10),
)
_IMX219 = (
    SensorMode((640, 480), (1000, 752, 1280, 960), 206.65, 10),
    SensorMode((1640, 1232), (0, 0, 3280, 2464), 41.85, 10),
    SensorMode((1920, 1080), (680, 692, 1920, 1080), 47.57, 10),
    SensorMode((3280, 2464), (0, 0, 3280, 2464), 21.19, 10),
)
_IMX708 = (
    SensorMode((1536, 864), (768, 432, 3072, 1728), 120.13, 10),
    SensorMode((2304, 1296), (0, 0, 4608, 2592), 56.03, 10),
    SensorMode((4608, 2592), (0, 0, 4608, 2592), 14.35, 10),
)
_IMX477 = (
    SensorMode((1332, 990), (696, 528, 2664, 1980), 120.05, 10),
    SensorMode((2028, 1080), (0, 440, 4056, 2160), 50.03, 12),
    SensorMode((2028, 1520), (0, 0, 4056, 3040), 40.01, 12),
    SensorMode((4056, 3040), (0, 0, 4056, 3040), 10.0, 12),
)
_IMX296 = (SensorMode((1456, 1088), (0, 0, 1456, 1088), 60.38, 10),)

MODES = {
    (2592, 1944): _OV5647,
    (3280, 2464): _IMX219,
    (4608, 2592): _IMX708,
    (4056, 3040): _IMX477,
    (1456, 1088): _IMX296,
}
"""By the width and height of the sensor, which no two of them share."""


def modes_of(
    array_px: tuple[int, int] | None, listed: Iterable[Mapping[str, object]] | None = None
) -> tuple[SensorMode, ...]:
    """How a sensor can be read; nothing is configured or allocated.

    Args:
        array_px: Width and height of the sensor; None if it does not say.
        listed: Modes that this board's kernel offers, each with its "size"; None if nobody knows.

    Returns:
        Nothing for a sensor that is not in the table.
    """
    if array_px is None:
        return ()
    known = MODES.get(array_px, ())
    sizes_px = None if listed is None else {mode.get("size") for mode in listed}
    return tuple(mode for mode in known if sizes_px is None or mode.size_px in sizes_px)
