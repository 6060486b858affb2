"""What is known of a symbol before it is read: its function patterns, module by module.

Finder, timing and alignment patterns and the version stand in every symbol of a size [1]. They say where a code lies, how it is blurred, and whether
what was sampled is a code at all. Fields are indexed by row and column, from the symbol's own upper left; all of them are the same when they are
seen in a mirror.

Source: [1] ISO/IEC 18004, 6.3 (function patterns), 7.10 and annex E (version, places of the alignment patterns).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from segno import consts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

FINDER_M, ALIGNMENT_M = 7, 5


def version_of(modules: int) -> int:
    """Version of a symbol, 1 to 40, by its modules across."""
    return (modules - 17) // 4


def finders(size: int) -> tuple[tuple[int, int], ...]:
    """Row and column of the middle module of each finder pattern: upper left, upper right, lower left."""
    return (3, 3), (3, size - 4), (size - 4, 3)


def alignments(size: int) -> list[tuple[int, int]]:
    """Row and column of the middle module of each alignment pattern."""
    version = version_of(size)
    middles: tuple[int, ...] = consts.ALIGNMENT_POS[version - 2] if version > 1 else ()
    taken = {(6, 6), (6, size - 7), (size - 7, 6)}
    return [(row, column) for row in middles for column in middles if (row, column) not in taken]


def squares(side: int) -> Field:
    """A finder (7) or an alignment pattern (5): square within square, 1 for a dark module and -1 for a bright one."""
    distance = np.maximum(*np.abs(np.indices((side, side)) - side // 2))
    return np.where((distance == side // 2) | (distance <= side // 2 - 2), 1, -1).astype(np.float32)


@cache
def known(size: int) -> Field:
    """Every module that is the same in all symbols of a size: 1 for dark, -1 for bright, 0 for what is not known."""
    field = np.zeros((size, size), np.float32)
    timing = np.where(np.arange(size) % 2 == 0, 1, -1)
    field[6], field[:, 6] = timing, timing
    for row, column in finders(size):
        field[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5] = -1
        field[row - 3 : row + 4, column - 3 : column + 4] = squares(FINDER_M)
    for row, column in alignments(size):
        field[row - 2 : row + 3, column - 2 : column + 3] = squares(ALIGNMENT_M)
    if version_of(size) >= 7:
        bits = consts.VERSION_INFO[version_of(size) - 7]
        version = np.array([1 if bits >> bit & 1 else -1 for bit in range(18)]).reshape(6, 3)
        field[:6, size - 11 : size - 8], field[size - 11 : size - 8, :6] = version, version.T
    field.setflags(write=False)
    return field


def drawn_over(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A symbol with its function patterns as they should be, not as they were seen."""
    patterns = known(dark.shape[0])
    return np.where(patterns == 0, dark, patterns > 0)


def agreement(ink: Field) -> float:
    """How well a field agrees with the patterns of its size: their correlation, -1 to 1.

    Args:
        ink: How dark each module is.
    """
    patterns = known(ink.shape[0])
    seen, wanted = ink[patterns != 0], patterns[patterns != 0]
    seen, wanted = seen - seen.mean(), wanted - wanted.mean()
    return float(seen @ wanted / (np.linalg.norm(seen) * np.linalg.norm(wanted) + 1e-6))
