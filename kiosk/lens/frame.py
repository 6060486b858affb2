"""What every camera hands over, and what is asked of one: the scan loop knows this protocol and this value, no camera.

Names carry their unit: `_px` pixels, `_s` seconds, `_us` microseconds, `_ns` nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image and the moment it was exposed.

    Attributes:
        luma: Brightness, shape (height_px, width_px), dtype uint8; 0 is black. The frame owns the array.
        exposed_at_boot_ns: Exposure of the first row, counted from boot, so that frames stay in order when the wall
            clock is corrected.
        small: The same exposure and the same view made smaller by the camera's own scaler, for a quick look, also owned;
            None where the camera makes none. A place in it is one in `luma` by the ratio of the shapes.
        exposure_us: How long this frame was exposed; None where the camera does not say.
        lens_dioptres: Where the lens was focused, 1 / distance in metres; None where the camera does not say.
    """

    luma: NDArray[np.uint8]
    exposed_at_boot_ns: int
    small: NDArray[np.uint8] | None = None
    exposure_us: int | None = None
    lens_dioptres: float | None = None


class Camera(Protocol):
    """The newest frame, on request. Not a queue: a slow decoder sees fewer frames, never older ones. One thread at a time."""

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame exposed after the last one returned.

        Args:
            timeout_s: Longest wait, greater than 0.

        Raises:
            CameraStalledError: Nothing came within `timeout_s`.
            CameraEndedError: A recorded source has shown its last frame.
        """

    def close(self) -> None:
        """Let go of the camera, within a few seconds; harmless when repeated."""


def warnings_of(camera: Camera) -> tuple[str, ...]:
    """What the settings cannot get from a camera, each with its remedy; a recorded or simulated one has none."""
    warnings: tuple[str, ...] = getattr(camera, "warnings", ())
    return warnings
