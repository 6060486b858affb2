"""A code's modules, as bright as they were seen, become its symbol: thresholds, known patterns, and error correction that heeds doubt.

zxing-cpp decides module by module and forgets how sure it was. Here the modules that are near the threshold, as under a lamp's reflection, are the
first that are given up as erasures. The finder and timing patterns, which are known, are drawn over what was seen of them [1]. What
comes out is the symbol without an error, as a clean picture; its text is zxing-cpp's to read, which knows the modes.

Source: [1] ISO/IEC 18004, 6.3: function patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.reading import codewords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kiosk.reading.grid import Field

FORMAT_DIFFERS_MAX = 7
"""Of the format's thirty bits; a symbol of chance differs by about ten from the nearest of the formats."""
DOUBTED_MAX = 1
"""With erasures so many of the thresholds are tried again."""
_DRAWN_PX = 3
_QUIET_M = 4
_AROUND = np.array([[0, -1, 0], [-1, 0, -1], [0, -1, 0]], np.float32)


def picture_of(cells: Field) -> NDArray[np.uint8] | None:
    """A clean picture of the code; None if it cannot be mended.

    Args:
        cells: The brightness of each module, dark modules low.
    """
    seen = []
    for inked in _inks(cells):
        symbol = with_patterns(inked > 0)
        is_mirrored = codewords.format_of(symbol.T)[2] < codewords.format_of(symbol)[2]
        symbol, ink = (symbol.T, inked.T) if is_mirrored else (symbol, inked)
        if codewords.format_of(symbol)[2] <= FORMAT_DIFFERS_MAX:
            if (blocks := codewords.corrected(symbol)) is not None:
                return _drawn(codewords.redrawn(symbol, blocks))
            seen.append((symbol, np.abs(ink)))
    for symbol, trust in seen[:DOUBTED_MAX]:
        if (blocks := codewords.corrected(symbol, trust)) is not None:
            return _drawn(codewords.redrawn(symbol, blocks))
    return None


def with_patterns(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Draw the finder and timing patterns over what was seen of them.

    Args:
        dark: A symbol.
    """
    count = dark.shape[0]
    marked = dark.copy()
    timing = np.arange(8, count - 8) % 2 == 0
    marked[6, 8 : count - 8] = timing
    marked[8 : count - 8, 6] = timing
    finder = np.ones((7, 7), np.bool_)
    finder[1:6, 1:6] = False
    finder[2:5, 2:5] = True
    for row, column in ((0, 0), (0, count - 7), (count - 7, 0)):
        marked[max(0, row - 1) : row + 8, max(0, column - 1) : column + 8] = False
        marked[row : row + 7, column : column + 7] = finder
    return marked


def _inks(cells: Field) -> Iterator[Field]:
    """How much darker each module is than a threshold, by one threshold after the other, what reads most first."""
    yield _surroundings(sharp := _sharpened(cells, 0.6), 9) - sharp
    yield _surroundings(cells, 9) - cells
    yield _surroundings(sharp := _sharpened(cells, 0.25), 7) - sharp


def _surroundings(cells: Field, modules: int) -> Field:
    mean = cv2.blur(cells, (modules, modules), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.GaussianBlur(mean, (3, 3), 0), np.float32)


def _sharpened(cells: Field, amount: float) -> Field:
    """Take from each module what blur has brought it from its four neighbours."""
    kernel = amount * _AROUND
    kernel[1, 1] = 1 + 4 * amount
    return np.asarray(cv2.filter2D(cells, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _drawn(dark: NDArray[np.bool_]) -> NDArray[np.uint8]:
    padded = np.pad(np.where(dark, 0, 255).astype(np.uint8), _QUIET_M, constant_values=255)
    return padded.repeat(_DRAWN_PX, axis=0).repeat(_DRAWN_PX, axis=1)
