"""What a USB camera is asked for, what it gives instead, and the brightness in its frames.

USB 2 carries 24 MB a second of pictures at most: uncompressed, 1280 x 720 comes ten times a second and not thirty [1]. So the camera is asked
for JPEG where the frames would not fit otherwise, and only there: a JPEG costs a board's processor some milliseconds and the picture some detail.

Frames are taken as the camera sends them, because OpenCV would make each a coloured one, of which nobody looks at the colours.

Units: `_px` pixels.

Sources:
    [1] USB 2.0, 5.9.2: at most three packets of 1024 bytes in each of 8000 microframes a second; github.com/opencv/opencv, issue 9540.
    [2] OpenCV, cap_v4l.cpp: a pixel format that the camera has not is replaced without a word, so what was got is read back; with
        CAP_PROP_CONVERT_RGB off a frame is what the driver sent: YUYV has two channels, YUV420 half as many rows again, a JPEG is its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from kiosk.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from kiosk.config import Camera

USB_2_BYTES_S = 24_000_000
MJPG = "MJPG"
_JPEG = frozenset({MJPG, "JPEG"})
_JPEG_END = b"\xff\xd9"
_LUMA_CHANNEL = {"YUYV": 0, "UYVY": 1}
_PLANAR = frozenset({"YU12", "YV12", "NV12", "NV21"})
_UNUSED_BITS = {"GREY": 0, "Y10 ": 2, "Y16 ": 8}
_BYTES_A_PIXEL = {
    "YUYV": 2.0,
    "UYVY": 2.0,
    "GREY": 1.0,
    "Y10 ": 2.0,
    "Y16 ": 2.0,
    "BGR3": 3.0,
    "RGB3": 3.0,
} | dict.fromkeys(_PLANAR, 1.5)
RAW = _JPEG | _PLANAR | _LUMA_CHANNEL.keys() | _UNUSED_BITS.keys()
"""Pixel formats whose brightness is read here; OpenCV makes the others BGR."""
_ENOUGH = 0.95


@dataclass(frozen=True, slots=True)
class Mode:
    """How a camera sends its frames.

    Attributes:
        width_px: Width; 0, as of the height, if the driver does not say.
        height_px: Height.
        fps: Frames a second; 0 or less if the driver does not say.
        fourcc: Pixel format, four letters; empty if the driver does not say.
    """

    width_px: int
    height_px: int
    fps: float
    fourcc: str

    def gives(self, settings: Camera) -> bool:
        """Whether size and rate are those of the settings."""
        in_time = not 0 < self.fps < _ENOUGH * settings.fps
        sized = (self.width_px, self.height_px) in ((settings.width_px, settings.height_px), (0, 0))
        return in_time and sized


def needs_jpeg(settings: Camera) -> bool:
    """Whether these frames are more than USB 2 carries uncompressed, at two bytes a pixel."""
    return settings.width_px * settings.height_px * settings.fps * 2 > USB_2_BYTES_S


def warnings_for(settings: Camera, got: Mode) -> Iterable[str]:
    """What the camera does not give as it is set, each with its remedy.

    Args:
        settings: Size and rate that were asked for.
        got: What the driver says that it sends; what it does not say is not judged.
    """
    frame_px = got.width_px * got.height_px
    if frame_px > 0 and (got.width_px, got.height_px) != (settings.width_px, settings.height_px):
        yield say(
            "the camera gives {got_width} x {got_height} px, not {width} x {height}; set width_px: {got_width},"
            " height_px: {got_height}, or another size that the camera has",
            got_width=got.width_px,
            got_height=got.height_px,
            width=settings.width_px,
            height=settings.height_px,
        )
    if got.fps > 0 and not _ENOUGH * settings.fps <= got.fps <= settings.fps / _ENOUGH:
        yield say(
            "the camera gives {got_fps} frames a second, not {fps}; set fps: {got_fps}, or another size",
            got_fps=max(1, round(got.fps)),
            fps=settings.fps,
        )
    frame_bytes = frame_px * _BYTES_A_PIXEL.get(got.fourcc, 0.0)
    if frame_bytes * settings.fps > USB_2_BYTES_S:
        yield say(
            "the camera sends {fourcc} and no MJPG, of which USB 2 carries {carried} frames a second; set fps: {carried}, or fewer pixels",
            fourcc=got.fourcc.strip(),
            carried=max(1, int(USB_2_BYTES_S / frame_bytes)),
        )


def luma_of(picture: NDArray[Any], mode: Mode) -> NDArray[np.uint8]:
    """The brightness in a frame.

    Args:
        picture: As OpenCV gave it.
        mode: How the camera sends its frames.

    Returns:
        Shape (height_px, width_px); a JPEG and a picture in colour bring their own size.

    Raises:
        ValueError: It is no whole frame.
        cv2.error: The same.
    """
    if picture.ndim == 3 and picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    height_px, width_px = mode.height_px, mode.width_px
    if mode.fourcc in _JPEG:
        # A JPEG that breaks off would be drawn to its end in grey: a frame that nobody saw.
        if _JPEG_END not in picture.tobytes():
            raise ValueError("a JPEG that breaks off")
        grey = cv2.imdecode(picture.reshape(-1), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise ValueError("no JPEG")
        return np.asarray(grey, np.uint8)
    if mode.fourcc in _LUMA_CHANNEL:
        return np.ascontiguousarray(picture.reshape(height_px, width_px, 2)[:, :, _LUMA_CHANNEL[mode.fourcc]], np.uint8)
    if mode.fourcc in _PLANAR:
        return np.ascontiguousarray(picture.reshape(height_px * 3 // 2, width_px)[:height_px], np.uint8)
    if mode.fourcc in _UNUSED_BITS:
        picture = picture.reshape(height_px, width_px) >> _UNUSED_BITS[mode.fourcc]
    if picture.ndim != 2 or picture.size == 0:
        raise ValueError("no picture")
    return picture.astype(np.uint8)


def cut(luma: NDArray[np.uint8], region: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """The part of a frame that the region names, as shares 0 to 1: left, top, width, height."""
    height_px, width_px = luma.shape
    left, top, width, height = region
    rows = slice(round(top * height_px), round((top + height) * height_px))
    columns = slice(round(left * width_px), round((left + width) * width_px))
    return np.ascontiguousarray(luma[rows, columns])
