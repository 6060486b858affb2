"""What a USB camera is asked for, by numbers alone."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.config import Camera
from kiosk.lens import usb


@pytest.mark.parametrize(
    ("width_px", "height_px", "fps", "needed"),
    [
        (1280, 720, 30, True), (1280, 720, 15, True), (1280, 720, 13, False), (1280, 720, 10, False), (640, 480, 30, False),
        (640, 480, 60, True), (800, 600, 25, False), (800, 600, 30, True), (960, 544, 15, False), (1920, 1080, 5, False),
        (1920, 1080, 6, True), (320, 240, 120, False),
    ],
)  # fmt: skip
def test_jpeg_is_asked_for_where_usb_2_needs_it(width_px: int, height_px: int, fps: int, needed: bool) -> None:  # noqa: FBT001
    """24 MB a second at two bytes a pixel: what webcams list uncompressed stays uncompressed."""
    assert usb.needs_jpeg(Camera(width_px=width_px, height_px=height_px, fps=fps)) is needed


@pytest.mark.parametrize(
    ("picture", "fourcc"),
    [
        (np.zeros((1, 900), np.uint8), "MJPG"),
        (np.frombuffer(bytes(90) + b"\xff\xd9", np.uint8), "MJPG"),
        (np.zeros((4, 4, 2), np.uint8), "YUYV"),
        (np.zeros((4, 4), np.uint8), "YU12"),
        (np.zeros((4, 4), np.uint8), "GREY"),
        (np.zeros((0, 0), np.uint8), ""),
        (np.zeros((4, 4, 2), np.uint8), "H264"),
    ],
)
def test_what_is_no_whole_frame_is_refused(picture: np.ndarray, fourcc: str) -> None:
    """Bytes of another length or kind become no frame."""
    with pytest.raises(ValueError, match=r"JPEG|picture|reshape"):
        usb.luma_of(picture, usb.Mode(8, 6, 30, fourcc))


def test_unknown_format_that_comes_grey_is_taken() -> None:
    """A driver whose word is not known may still hand out brightness."""
    picture = np.arange(48, dtype=np.uint8).reshape(6, 8)
    assert (usb.luma_of(picture, usb.Mode(8, 6, 30, "")) == picture).all()
