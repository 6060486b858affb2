"""libzbar's second opinion on a picture, as raw bytes.

pyzbar's `decode` lets zbar guess a character set, which garbles Vietnamese silently, and raises ValueError on a code of
a structured-append series. So its bindings are used, with `ZBAR_CFG_BINARY`, and only whole QR codes are taken: neither
a part of a series (ZBAR_PARTIAL) nor a series that zbar has joined from its parts.

Sources:
    [1] mchehab/zbar, include/zbar.h: ZBAR_PARTIAL = 1, ZBAR_QRCODE = 64, ZBAR_CFG_ENABLE = 0, ZBAR_CFG_BINARY = 4.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from pyzbar import wrapper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.model import PointPx

_ALL_SYMBOLS = 0
_QRCODE = 64
_CFG_ENABLE = 0
_CFG_BINARY = 4
_CFG_X_DENSITY = 0x100
_CFG_Y_DENSITY = 0x101
_Y800 = int.from_bytes(b"Y800", "little")
_CORNERS = 4

_first_component = wrapper.zbar_function(
    "zbar_symbol_first_component", ctypes.c_void_p, ctypes.POINTER(wrapper.zbar_symbol)
)

Code = tuple[bytes, tuple["PointPx", "PointPx", "PointPx", "PointPx"]]
"""A payload and its corners."""


class ZbarScanner:
    """One zbar scanner, kept for the life of a decoder. One thread at a time."""

    def __init__(self, step_px: int) -> None:
        """Make it.

        Args:
            step_px: Every so many rows and columns are looked at; 2 takes half the time of 1 and reads nearly as much.
        """
        self._scanner = wrapper.zbar_image_scanner_create()
        set_config = wrapper.zbar_image_scanner_set_config
        set_config(self._scanner, _ALL_SYMBOLS, _CFG_ENABLE, 0)
        set_config(self._scanner, _QRCODE, _CFG_ENABLE, 1)
        set_config(self._scanner, _ALL_SYMBOLS, _CFG_X_DENSITY, step_px)
        set_config(self._scanner, _ALL_SYMBOLS, _CFG_Y_DENSITY, step_px)
        self.gives_bytes = set_config(self._scanner, _QRCODE, _CFG_BINARY, 1) == 0
        """False for a libzbar before 0.23.1, whose text cannot be trusted: it then reads nothing."""

    def __del__(self) -> None:
        wrapper.zbar_image_scanner_destroy(self._scanner)

    def read(self, luma: NDArray[np.uint8]) -> list[Code]:
        """Every whole QR code in a picture.

        Args:
            luma: Brightness, shape (height_px, width_px), dtype uint8.
        """
        if not self.gives_bytes:
            return []
        height_px, width_px = luma.shape
        pixels = np.ascontiguousarray(luma).tobytes()
        image = wrapper.zbar_image_create()
        try:
            wrapper.zbar_image_set_format(image, _Y800)
            wrapper.zbar_image_set_size(image, width_px, height_px)
            wrapper.zbar_image_set_data(image, ctypes.cast(ctypes.c_char_p(pixels), ctypes.c_void_p), len(pixels), None)
            wrapper.zbar_scan_image(self._scanner, image)
            return _codes(wrapper.zbar_image_first_symbol(image))
        finally:
            wrapper.zbar_image_destroy(image)


def _codes(symbol: Any) -> list[Code]:  # noqa: ANN401  a ctypes pointer
    codes: list[Code] = []
    while symbol:
        if symbol.contents.type == _QRCODE and not _first_component(symbol):
            size_bytes = wrapper.zbar_symbol_get_data_length(symbol)
            payload = ctypes.string_at(wrapper.zbar_symbol_get_data(symbol), size_bytes)
            if payload and wrapper.zbar_symbol_get_loc_size(symbol) == _CORNERS:
                codes.append((payload, _corners_px(symbol)))
        symbol = wrapper.zbar_symbol_next(symbol)
    return codes


def _corners_px(symbol: Any) -> tuple[PointPx, PointPx, PointPx, PointPx]:  # noqa: ANN401  a ctypes pointer
    """Upper left first, clockwise; zbar itself goes round the other way: upper left, lower left, lower right, upper right."""
    points = [
        (float(wrapper.zbar_symbol_get_loc_x(symbol, index)), float(wrapper.zbar_symbol_get_loc_y(symbol, index)))
        for index in range(_CORNERS)
    ]
    return points[0], points[3], points[2], points[1]
