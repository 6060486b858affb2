"""What zxing-cpp says of a symbol, in the terms of this house: corners, size, and whether it is a part of a series.

A code of a structured-append series carries a part of a message and is not a code here. zxing-cpp reads such a part like
any other code and does not say so; the first four bits of the symbol's data do [1]. What zxing-cpp gives are the modules as it saw
them, with the errors that it has corrected for itself: they are corrected again before they are believed.

Units: `_px` pixels.

Sources:
    [1] ISO/IEC 18004, 7.4.2 (mode indicators: 0011 is structured append).
    [2] ISO/IEC 15424: symbology identifier ]Q0 is QR Code Model 1, which knows no such series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kiosk.reading import codewords

if TYPE_CHECKING:
    from kiosk.model import PointPx

Corners = tuple["PointPx", "PointPx", "PointPx", "PointPx"]
"""Of a symbol, clockwise from its own upper left."""


def is_fragment(code: Any) -> bool:  # noqa: ANN401  zxingcpp.Barcode
    """Whether a code is a part of a structured-append series, by the first four bits of its data, corrected.

    A code of which that cannot be said is taken for a part: half a message must not pass for a whole one.

    Args:
        code: As zxing-cpp read it.
    """
    if code.symbology_identifier.startswith("]Q0"):
        return False
    symbol = np.asarray(code.to_image(scale=1, add_quiet_zones=False)) < 128
    if symbol.ndim != 2 or symbol.shape[0] != symbol.shape[1] or symbol.shape[0] % 4 != 1:
        return True
    symbol = codewords.upright(symbol)
    if (code.extra or {}).get("UEC") == 1.0:  # nothing had to be corrected
        return codewords.mode_of(symbol) == codewords.STRUCTURED_APPEND
    start = codewords.start_of(symbol)
    return start is None or start >> 4 == codewords.STRUCTURED_APPEND


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
