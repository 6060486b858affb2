"""A lamp that follows the light at the door: a camera with it is a camera like any other.

Brightness is the median of a frame, so that a bright phone or a window does not speak for the rest, over half a second of
frames, so that neither a hand before the lens nor alternating exposures do.

The lamp lights what it is judged by. Whether it is still needed shows only when it goes out; so it is put out when the
picture is bright, and if that makes it dark again at once, it stays lit twice as long the next time, up to half an hour:
a lamp that blinks all night would be worse than none.

Units: brightness 0 to 255, `_ns` nanoseconds since boot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kiosk.lens.frame import warnings_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk import config
    from kiosk.gpio import Lamp
    from kiosk.lens.frame import Camera, Frame

FRAMES = 16
FIRST_HOLD_NS = 20_000_000_000
LONGEST_HOLD_NS = 1_800_000_000_000
RELAPSE_NS = 10_000_000_000
"""Dark again so soon after the lamp went out: the light was its own."""

_GRID_PX = 16


@dataclass(frozen=True, slots=True)
class Glow:
    """Whether the lamp is lit, and what has been learnt of the light without it.

    Attributes:
        lit: Whether it is.
        since_boot_ns: When that began; None at the start.
        hold_ns: How long it stays lit at least.
    """

    lit: bool = False
    since_boot_ns: int | None = None
    hold_ns: int = FIRST_HOLD_NS


def glow_after(glow: Glow, brightness: float, now_boot_ns: int, settings: config.Lamp) -> Glow:
    """Whether to light the lamp.

    Args:
        glow: What it does now.
        brightness: Of the picture, with the lamp as it is.
        now_boot_ns: The time.
        settings: When it is dark, and when bright.

    Returns:
        The same glow if nothing is to be done.
    """
    lasted_ns = None if glow.since_boot_ns is None else now_boot_ns - glow.since_boot_ns
    if not glow.lit and brightness < settings.dark_below:
        relapsed = lasted_ns is not None and lasted_ns < RELAPSE_NS
        hold_ns = min(2 * glow.hold_ns, LONGEST_HOLD_NS) if relapsed else FIRST_HOLD_NS
        return Glow(lit=True, since_boot_ns=now_boot_ns, hold_ns=hold_ns)
    if glow.lit and brightness > settings.bright_above and lasted_ns is not None and lasted_ns >= glow.hold_ns:
        return Glow(lit=False, since_boot_ns=now_boot_ns, hold_ns=glow.hold_ns)
    return glow


def brightness_of(luma: NDArray[np.uint8]) -> float:
    """The median of a coarse grid of it: 0.1 ms, and as good as all of it."""
    return float(np.median(luma[::_GRID_PX, ::_GRID_PX]))


class LitCamera:
    """A camera and the lamp beside it."""

    def __init__(self, camera: Camera, lamp: Lamp, settings: config.Lamp) -> None:
        """Light it if it is always lit.

        Args:
            camera: Closed with this one.
            lamp: Put out and closed with this one.
            settings: When it is lit.
        """
        self._camera, self._lamp, self._settings = camera, lamp, settings
        self._glow = Glow()
        self._brightness: deque[float] = deque(maxlen=FRAMES)
        if settings.when == "always":
            lamp.light(lit=True)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The camera's."""
        return warnings_of(self._camera)

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame exposed after the last one returned; the lamp follows it.

        Raises:
            CameraStalledError: Nothing came within `timeout_s`.
            CameraEndedError: A recorded source has shown its last frame.
            PanelError: The lamp cannot be driven.
        """
        frame = self._camera.next_frame(timeout_s)
        if self._settings.when == "dark":
            self._follow(frame)
        return frame

    def close(self) -> None:
        """Put out the lamp, let go of both."""
        try:
            self._lamp.close()
        finally:
            self._camera.close()

    def _follow(self, frame: Frame) -> None:
        self._brightness.append(brightness_of(frame.luma if frame.small is None else frame.small))
        if len(self._brightness) < FRAMES:
            return
        mean = sum(self._brightness) / FRAMES
        glow = glow_after(self._glow, mean, frame.exposed_at_boot_ns, self._settings)
        if glow.lit is not self._glow.lit:
            self._lamp.light(lit=glow.lit)
            self._brightness.clear()  # what was seen until now was seen in the other light
        self._glow = glow
