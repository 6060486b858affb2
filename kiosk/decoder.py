"""Frame → readings: every QR code in a picture, as the bytes that are in the symbol.

zxing-cpp reads first: it is several times faster than zbar, reads inverted codes and gives bytes. zbar is asked when
zxing-cpp has found a code that it cannot read, and now and then when it has found none; that is where the two differ. Text
is never taken from either: both guess character sets, and a guess garbles Vietnamese without a word.

A code of a structured-append series carries a part of a message and is not a code here. zxing-cpp reads such a part like
any other code and does not say so; the symbol's own first four bits do [1].

Units: `_px` pixels, `_ms` milliseconds.

Sources:
    [1] ISO/IEC 18004, 7.4 (mode indicators: 0011 is structured append), 7.7.3 (placement), 7.8.2 (mask patterns).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import zxingcpp

from kiosk.camera import Frame
from kiosk.model import Reading
from kiosk.zbar import ZbarScanner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.model import PointPx
    from kiosk.zbar import Code

ZBAR_SHARE = 0.35
"""While nothing is found, zbar gets so much time for each second that zxing-cpp takes."""

_QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel2])
_STRUCTURED_APPEND = 0b0011
_MASKS = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, _column: row % 2 == 0,
    lambda _row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)
_LEVELS = {"L": 0b01, "M": 0b00, "Q": 0b11, "H": 0b10}
_FORMAT_PLACES = ((8, 0), (8, 1), (8, 2), (8, 3), (8, 4), (8, 5), (8, 7), (8, 8), (7, 8), (5, 8), (4, 8), (3, 8),
                  (2, 8), (1, 8), (0, 8))  # fmt: skip


class Decoder:
    """Reads the frames of one camera. One thread at a time."""

    def __init__(self, budget_ms: int) -> None:
        """Begin.

        Args:
            budget_ms: After so long on one frame nothing more is tried on it.
        """
        self._budget_ns = budget_ms * 1_000_000
        self._zbar = ZbarScanner(step_px=2)
        self._zbar_ns = 0
        self._credit_ns = 0.0

    def read(self, frame: Frame) -> list[Reading]:
        """Every code in a frame, each once."""
        started_ns = time.perf_counter_ns()
        luma = np.ascontiguousarray(frame.luma)
        found = zxingcpp.read_barcodes(luma, formats=_QR, return_errors=True)
        zxing_ns = time.perf_counter_ns() - started_ns
        readings = {
            bytes(code.bytes): _reading(frame, bytes(code.bytes), _corners_px(code.position), "zxing")
            for code in found
            if code.valid and code.bytes and not is_fragment(code)
        }
        if zxing_ns < self._budget_ns and self._is_zbars_turn(found, zxing_ns):
            for payload, corners_px in self._zbar_codes(luma):
                readings.setdefault(payload, _reading(frame, payload, corners_px, "zbar"))
        return list(readings.values())

    def _is_zbars_turn(self, found: list[Any], zxing_ns: int) -> bool:
        """Whenever a code was found and not read; in an empty frame when its share of time has come together."""
        if found:
            return not all(code.valid for code in found)
        self._credit_ns = min(self._credit_ns + ZBAR_SHARE * zxing_ns, self._zbar_ns)
        return self._credit_ns >= self._zbar_ns

    def _zbar_codes(self, luma: NDArray[np.uint8]) -> list[Code]:
        started_ns = time.perf_counter_ns()
        codes = self._zbar.read(luma)
        self._zbar_ns = time.perf_counter_ns() - started_ns
        self._credit_ns = 0.0
        return codes


def read_picture(luma: NDArray[np.uint8]) -> list[Reading]:
    """Every code in a single picture, with both engines and without a limit of time.

    Args:
        luma: Brightness, shape (height_px, width_px), dtype uint8.
    """
    frame = Frame(np.ascontiguousarray(luma), 0)
    found = {reading.payload: reading for reading in Decoder(budget_ms=60_000).read(frame)}
    if not found:
        found = {
            payload: _reading(frame, payload, corners, "zbar") for payload, corners in ZbarScanner(step_px=1).read(luma)
        }
    return list(found.values())


def is_fragment(code: Any) -> bool:  # noqa: ANN401  zxingcpp.Barcode
    """Whether a code is a part of a structured-append series, by the first four bits of its symbol.

    Args:
        code: As zxing-cpp read it.
    """
    facts = code.extra
    symbol = np.asarray(code.to_image(scale=1, add_quiet_zones=False)) < 128
    size = symbol.shape[0]
    if symbol.shape != (size, size) or "DataMask" not in facts or "ECLevel" not in facts:
        return False
    mask = int(facts["DataMask"])
    if _format_distance(symbol.T, facts) < _format_distance(symbol, facts):
        symbol = symbol.T  # a mirrored picture: its symbol comes transposed
    mode = 0
    for row, column in ((size - 1, size - 1), (size - 1, size - 2), (size - 2, size - 1), (size - 2, size - 2)):
        mode = mode << 1 | int(bool(symbol[row, column]) ^ _MASKS[mask](row, column))
    return mode == _STRUCTURED_APPEND


def _format_distance(symbol: NDArray[np.bool_], facts: dict[str, Any]) -> int:
    """How many bits of the format information differ from what was decoded."""
    value = _LEVELS[facts["ECLevel"]] << 3 | int(facts["DataMask"])
    rest = value << 10
    for shift in range(4, -1, -1):
        if rest >> (shift + 10) & 1:
            rest ^= 0b10100110111 << shift
    expected = (value << 10 | rest) ^ 0b101010000010010
    seen = 0
    for row, column in _FORMAT_PLACES:
        seen = seen << 1 | int(symbol[row, column])
    return (seen ^ expected).bit_count()


def _reading(
    frame: Frame, payload: bytes, corners_px: tuple[PointPx, PointPx, PointPx, PointPx], strategy: str
) -> Reading:
    return Reading(payload, corners_px, frame.exposed_at_boot_ns, strategy)


def _corners_px(position: Any) -> tuple[PointPx, PointPx, PointPx, PointPx]:  # noqa: ANN401  zxingcpp.Position
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    first, second, third, fourth = ((float(corner.x), float(corner.y)) for corner in corners)
    return first, second, third, fourth
