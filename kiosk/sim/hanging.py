"""A camera that locks up, as camera pipelines do after hours of good service: to see what frees the door again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kiosk.lens.frame import Camera, Frame

AGE_S = 3600.0


class HangingCamera:
    """Shows another camera's frames, and then keeps whoever asks, whatever time was given: a call that never returns."""

    def __init__(self, camera: Camera, frames: int) -> None:
        """Take over a camera.

        Args:
            camera: Where frames come from.
            frames: How many are shown before it hangs, greater than 0.
        """
        self._camera = camera
        self._left = frames

    def next_frame(self, timeout_s: float) -> Frame:
        """The other camera's next frame; then none, and no error either."""
        while self._left <= 0:
            time.sleep(AGE_S)
        self._left -= 1
        return self._camera.next_frame(timeout_s)

    def close(self) -> None:
        """Close the other camera."""
        self._camera.close()
