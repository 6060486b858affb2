"""A code's modules, as bright as they were seen, become its symbol: thresholds, known patterns, and error correction that heeds doubt.

zxing-cpp decides module by module and forgets how sure it was. Here a plain threshold is tried first. Then what blur has mixed is told apart
(`equaliser`), against the surroundings of a few modules, and against those of a row and of a column: then bands of light, and lines where no ink
came, are gone. What is least sure is given up first as erasures. What comes out is the symbol without an error, as a
clean picture; its text is zxing-cpp's to read, which knows the modes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kiosk.reading import codewords
from kiosk.reading.equaliser import equalised, levelled, sharpened, surroundings
from kiosk.reading.patterns import agreement, drawn_over

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.reading.grid import Field

FORMAT_DIFFERS_MAX = 7
"""Of the format's thirty bits; a symbol of chance differs by about ten from the nearest of the formats."""
AGREES_MIN = 0.6
"""Modules that agree less with the function patterns are no code, or not where they were thought to be."""
NEARLY = 0.9
"""And a row or a column is asked only where it agrees nearly as well: where there are no bands, it says less."""
AROUND_M = ((7, 7), (13, 1), (1, 13))
"""Against what a module is judged, one after the other: modules across and down."""
_DRAWN_PX = 3
_QUIET_M = 4


def picture_of(cells: Field) -> NDArray[np.uint8] | None:
    """A clean picture of the code; None if it cannot be mended.

    Args:
        cells: The brightness of each module, dark modules low.
    """
    sharp = sharpened(cells, 0.6)
    symbol = _mended(surroundings(sharp, (9, 9)) - sharp, has_doubts=False)
    least = AGREES_MIN
    for around_m in AROUND_M if symbol is None else ():
        ink = levelled(cells, around_m)
        agrees = agreement(ink)
        if agrees >= least and (symbol := _mended(equalised(ink), has_doubts=True)) is not None:
            break
        least = max(least, NEARLY * agrees)
    return None if symbol is None else _drawn(symbol)


def _mended(ink: Field, *, has_doubts: bool) -> NDArray[np.bool_] | None:
    """The symbol without an error; None if that is not to be had."""
    symbol = drawn_over(ink > 0)
    if codewords.is_mirrored(symbol):
        symbol, ink = symbol.T, ink.T
    if codewords.format_of(symbol)[2] > FORMAT_DIFFERS_MAX:
        return None
    blocks = codewords.corrected(symbol, np.abs(ink) if has_doubts else None)
    return None if blocks is None else codewords.redrawn(symbol, blocks)


def _drawn(dark: NDArray[np.bool_]) -> NDArray[np.uint8]:
    padded = np.pad(np.where(dark, 0, 255).astype(np.uint8), _QUIET_M, constant_values=255)
    return padded.repeat(_DRAWN_PX, axis=0).repeat(_DRAWN_PX, axis=1)
