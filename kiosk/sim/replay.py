"""Cameras that show what is on a disk: a folder of pictures, or a video file, at their own pace, once through."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from kiosk.errors import CameraEndedError, CameraError
from kiosk.lens import picture
from kiosk.lens.frame import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Paced:
    """Hands out frames no faster than they were taken; a slow reader gets every frame, later."""

    def __init__(self, fps: float) -> None:
        self._interval_s = 1 / fps
        self._next_s = time.monotonic()

    def _frame(self, luma: NDArray[np.uint8]) -> Frame:
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = max(self._next_s, time.monotonic() - self._interval_s) + self._interval_s
        return Frame(luma, time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class FolderCamera(_Paced):
    """Every picture of a folder, in order of name, one frame each."""

    def __init__(self, folder: str, fps: float) -> None:
        """List the folder.

        Args:
            folder: Its path.
            fps: Frames a second.

        Raises:
            CameraError: It is not there, or has no pictures.
        """
        super().__init__(fps)
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in picture.SUFFIXES)
        if not found:
            raise CameraError(f"there are no pictures in {folder}", hint="name a folder with .png or .jpg files")
        self._paths = iter(found)

    def next_frame(self, timeout_s: float) -> Frame:  # noqa: ARG002  a file does not keep one waiting
        """The next picture."""
        for path in self._paths:
            with suppress(picture.PictureError):
                return self._frame(picture.luma_of(path))
        raise CameraEndedError("every picture has been shown")

    def close(self) -> None:
        """Nothing is held."""


class VideoCamera(_Paced):
    """Every frame of a video file."""

    def __init__(self, path: str) -> None:
        """Open it.

        Args:
            path: Anything that OpenCV's build can decode.

        Raises:
            CameraError: It cannot.
        """
        self._capture: Any = cv2.VideoCapture(path)
        if not self._capture.isOpened():
            raise CameraError(f"cannot play {path}", hint="convert it with: ffmpeg -i FILE -c:v mjpeg out.avi")
        super().__init__(self._capture.get(cv2.CAP_PROP_FPS) or 30)

    def next_frame(self, timeout_s: float) -> Frame:  # noqa: ARG002  a file does not keep one waiting
        """The next frame."""
        good, image = self._capture.read()
        if not good:
            raise CameraEndedError("the video is over")
        return self._frame(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8))

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
