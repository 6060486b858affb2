"""What zxing-cpp says of a symbol, in the terms of this house: corners, size, and whether it is a part of a series.

A code of a structured-append series carries a part of a message and is not a code here. zxing-cpp reads such a part like
any other code and does not say so; the symbol's own first four bits do [1].

Units: `_px` pixels.

Sources:
    [1] ISO/IEC 18004, 7.4 (mode indicators: 0011 is structured append), 7.7.3 (placement), 7.8.2 (mask patterns).
    [2] ISO/IEC 15424: symbology identifier ]Q0 is QR Code Model 1, which knows no such series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.model import PointPx

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

Corners = tuple["PointPx", "PointPx", "PointPx", "PointPx"]
"""Of a symbol, clockwise from its own upper left."""


def is_fragment(code: Any) -> bool:  # noqa: ANN401  zxingcpp.Barcode
    """Whether a code is a part of a structured-append series, by the first four bits of its symbol.

    Args:
        code: As zxing-cpp read it.
    """
    if code.symbology_identifier.startswith("]Q0"):
        return False
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


def corners_px(position: Any) -> Corners:  # noqa: ANN401  zxingcpp.Position
    """The corners of a symbol.

    Args:
        position: As zxing-cpp found it.
    """
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    first, second, third, fourth = ((float(corner.x), float(corner.y)) for corner in corners)
    return first, second, third, fourth


def modules_of(code: Any) -> int:  # noqa: ANN401  zxingcpp.Barcode
    """Modules of a symbol across; 0 if that was not found out.

    Args:
        code: As zxing-cpp found it, whether it could read it or not.
    """
    version = (code.extra or {}).get("Version", "")
    return 17 + 4 * int(version) if version.isdigit() else 0
