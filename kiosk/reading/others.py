"""Symbols that are no QR code: told by their names, so that whoever shows one is not left without an answer, and never taken for a card.

A picture in which no code was read may show one of these; what stands in it is not looked at. At the door such a look costs about two
cheap passes, so it is taken on one frame in `LOOK_EVERY`, and only where the decoder saw texture. What is seen once may be a whim of noise:
it is told when the next look sees the same again. A symbol that stays is not looked for anew in between.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import zxingcpp

from kiosk.model import Reading
from kiosk.reading.symbol import corners_px

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kiosk.lens.frame import Frame

LOOK_EVERY = 15
"""Frames: at the latest half a second after somebody holds such a code up."""
PIXELS_MAX = 4_000_000
_FORMATS = zxingcpp.BarcodeFormat
AT_THE_DOOR = (_FORMATS.Aztec, _FORMATS.MicroQRCode, _FORMATS.RMQRCode)
"""What people are known to hold up: boarding passes, tickets, small codes of goods."""
IN_A_PICTURE = (*AT_THE_DOOR, _FORMATS.DataMatrix, _FORMATS.PDF417)
_KINDS = {"Aztec": "aztec", "MicroQR": "micro-qr", "RMQR": "rmqr", "DataMatrix": "data-matrix", "PDF417": "pdf417"}
"""By zxing-cpp's names, which have "Code" behind some of them in some versions."""


def symbols(luma: NDArray[np.uint8], wanted: Sequence[Any]) -> list[Reading]:
    """The symbols of these kinds in a picture.

    Args:
        luma: Brightness, shape (height_px, width_px), dtype uint8, not empty.
        wanted: zxing-cpp's names of the kinds.
    """
    scale = min(1.0, sqrt(PIXELS_MAX / luma.size))
    if scale < 1.0:
        luma = np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    found = []
    for code in zxingcpp.read_barcodes(
        np.ascontiguousarray(luma), formats=zxingcpp.BarcodeFormats(list(wanted)), try_downscale=False
    ):
        kind = _KINDS.get(code.format.name.removesuffix("Code"))
        if kind is not None and code.bytes:
            first, second, third, fourth = ((x / scale, y / scale) for x, y in corners_px(code.position))
            found.append(Reading(bytes(code.bytes), (first, second, third, fourth), 0, "others", kind))
    return found


class Others:
    """What one camera's frames show besides QR codes. One thread only."""

    def __init__(self) -> None:
        self._wait = 0
        self._suspected: frozenset[tuple[str, bytes]] = frozenset()
        self._told: list[Reading] = []

    def look(self, frame: Frame, *, has_read: bool, has_texture: bool) -> list[Reading]:
        """The symbols in view, once two looks have seen them.

        Args:
            frame: The frame, whose codes have been read.
            has_read: Whether any was; then nothing else is looked for, and nothing is told.
            has_texture: Whether the decoder found anything that could be one.
        """
        if has_read:
            self._told, self._suspected = [], frozenset()
        if has_read or self._wait or not (has_texture or self._suspected):
            self._wait = max(0, self._wait - 1)
        else:
            self._look_anew(frame)
        return [replace(each, exposed_at_boot_ns=frame.exposed_at_boot_ns) for each in self._told]

    def _look_anew(self, frame: Frame) -> None:
        seen = symbols(frame.luma if frame.small is None else frame.small, AT_THE_DOOR)
        known = self._suspected
        self._suspected = frozenset((each.symbology, each.payload) for each in seen)
        self._told = [each for each in seen if (each.symbology, each.payload) in known]
        self._wait = 0 if len(self._told) < len(seen) else LOOK_EVERY - 1
