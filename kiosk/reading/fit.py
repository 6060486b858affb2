"""Three finder patterns become a code: how many modules it has, and how it lies in space.

The middles of the finder patterns fix all but three things: the number of modules, and the two numbers of its perspective [1]. They are those with which
the timing and alignment patterns are seen where they should be. The timing patterns alone say about how it is: along one of them only one
of the two numbers matters. What is left is tried with all patterns, coarsely and then finely.

Units: `_px` pixels. A place in a code is told by u and v: 0 in the middle of the first finder pattern, 1 in that of the next across and down.

Source: [1] Hartley, Zisserman, "Multiple View Geometry in Computer Vision", 2.4 (eight numbers of a homography).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import hypot
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.reading.patterns import ALIGNMENT_M, FINDER_M, alignments, finders, known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.reading.symbol import Corners

    Field = NDArray[np.float32]
    Point = NDArray[np.float64]
    Places = tuple[NDArray[np.intp], NDArray[np.intp]]
    """Rows and columns of some modules."""

TILT_MAX = 0.14
"""Of either number of the perspective: a code at arm's length, tilted by 60°."""
STEP_M = 0.8
"""What is tried differs by so many modules at the far corner."""
TIMING_MIN = 1.5
"""Where the timing patterns are seen less clearly, nothing else is looked at."""
CLEAR_MIN = 3.5
"""Patterns that are seen less clearly are no code."""
FLAT = 9.0
"""Variance of brightness that says nothing."""
_MIDDLE_M = FINDER_M / 2


@dataclass(frozen=True, slots=True)
class Fit:
    """How a code lies.

    Attributes:
        clear: How far beyond chance its patterns are seen, in deviations.
        modules: Modules across.
        tilt: The two numbers of its perspective.
        middles: Of its finder patterns: first, next across, next down.
    """

    clear: float
    modules: int
    tilt: tuple[float, float]
    middles: tuple[Point, Point, Point]

    @property
    def is_code(self) -> bool:
        """Whether its patterns are seen."""
        return self.clear > CLEAR_MIN

    def corners(self) -> Corners:
        """Of the symbol, clockwise from its own upper left."""
        near, far = -_MIDDLE_M / (self.modules - FINDER_M), 1 + _MIDDLE_M / (self.modules - FINDER_M)
        u, v = np.array([near, far, far, near], np.float32), np.array([near, near, far, far], np.float32)
        x, y = _seen_at(self.middles, u, v, np.array([self.tilt]))
        first, second, third, fourth = ((float(a) + 0.5, float(b) + 0.5) for a, b in zip(x[0], y[0], strict=True))
        return first, second, third, fourth


def fitted(luma: Field, middles: tuple[Point, Point, Point], module_px: float) -> Fit | None:
    """The likeliest code with these finder patterns; None if there can be none.

    Args:
        luma: The picture, dark modules low.
        middles: Of the finder patterns: first, next across, next down.
        module_px: About as wide is a module.
    """
    corner, right, below = middles
    across_m = (hypot(*(right - corner)) + hypot(*(below - corner))) / 2 / module_px + FINDER_M
    nearest = round((across_m - 17) / 4)
    few, many = max(1, nearest - 1 - nearest // 8), min(40, nearest + 1 + nearest // 8)
    sizes = (17 + 4 * version for version in range(few, many + 1))
    by_timing = max((_by_timing(luma, middles, size) for size in sizes), key=lambda fit: fit.clear, default=None)
    return None if by_timing is None or by_timing.clear < TIMING_MIN else _refined(luma, by_timing)


def _by_timing(luma: Field, middles: tuple[Point, Point, Point], modules: int) -> Fit:
    """The best of this size as the timing patterns tell it, each for itself."""
    row, column = _timing(modules)
    step = STEP_M / modules
    tilts = np.arange(-TILT_MAX, TILT_MAX + step, step)
    none = np.zeros_like(tilts)
    across = _clear(luma, middles, row, np.stack([tilts, none], 1))
    down = _clear(luma, middles, column, np.stack([none, tilts], 1))
    best = int(across.argmax()), int(down.argmax())
    clear = float(across[best[0]] + down[best[1]]) / np.sqrt(2)
    return Fit(clear, modules, (float(tilts[best[0]]), float(tilts[best[1]])), middles)


def _refined(luma: Field, fit: Fit) -> Fit:
    """The best near this one as all patterns tell it."""
    marks, step = _marks(fit.modules), STEP_M / fit.modules
    tilt, clear = np.array(fit.tilt), -np.inf
    for part in (1.0, 0.4, 0.16):
        near = step * part * np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), -1).reshape(-1, 2)
        told = _clear(luma, fit.middles, marks, tilt + near)
        best = int(told.argmax())
        if told[best] > clear:
            tilt, clear = tilt + near[best], float(told[best])
    return Fit(clear, fit.modules, (float(tilt[0]), float(tilt[1])), fit.middles)


@dataclass(frozen=True, slots=True, eq=False)
class _Marks:
    """Patterns that should be seen.

    Attributes:
        u: Where their modules are, shape (modules,).
        v: The same, down.
        wanted: Bright or dark, mean 0 and deviation 1 in each pattern.
        parts: Which modules belong to which pattern, as weights of a mean, shape (modules, patterns).
        shares: How much each pattern says.
    """

    u: Field
    v: Field
    wanted: Field
    parts: Field
    shares: Field


@cache
def _timing(modules: int) -> tuple[_Marks, _Marks]:
    """The timing pattern across and that down."""
    across, down = _lines(modules)
    return _marked(modules, [across]), _marked(modules, [down])


@cache
def _marks(modules: int) -> _Marks:
    """Timing and alignment patterns; in the smallest symbol, which has none of these, the finder patterns."""
    squares = alignments(modules)
    side, middles = (ALIGNMENT_M, squares) if squares else (FINDER_M, finders(modules))
    around = [each.ravel() - side // 2 for each in np.indices((side, side))]
    return _marked(modules, [*_lines(modules), *((around[0] + row, around[1] + column) for row, column in middles)])


def _lines(modules: int) -> tuple[Places, Places]:
    """The modules of the timing patterns, across and down."""
    along = np.arange(FINDER_M + 1, modules - FINDER_M - 1)
    beside = np.full_like(along, FINDER_M - 1)
    return (beside, along), (along, beside)


def _marked(modules: int, patterns: list[Places]) -> _Marks:
    counts = np.array([len(rows) for rows, _ in patterns])
    owner = np.repeat(np.arange(len(patterns)), counts)
    parts = (owner[:, None] == np.arange(len(patterns))) / counts
    rows, columns = (np.concatenate([each[axis] for each in patterns]) for axis in (0, 1))
    wanted = -known(modules)[rows, columns]
    wanted = wanted - (parts @ (wanted @ parts * counts))
    wanted = wanted / np.sqrt(parts @ (wanted**2 @ parts * counts))
    side = modules - FINDER_M
    places = ((columns - 3) / side, (rows - 3) / side, wanted, parts, counts / np.sqrt(counts.sum()))
    u, v, wanted, parts, shares = (np.asarray(each, np.float32) for each in places)
    return _Marks(u, v, wanted, parts, shares)


def _clear(luma: Field, middles: tuple[Point, Point, Point], marks: _Marks, tilts: NDArray[np.float64]) -> Field:
    """How far beyond chance the patterns are seen, for each tilt."""
    x, y = _seen_at(middles, marks.u, marks.v, tilts)
    seen = cv2.remap(luma, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mean, square = seen @ marks.parts, (seen * seen) @ marks.parts
    likeness = (seen * marks.wanted) @ marks.parts / np.sqrt(np.maximum(square - mean * mean, 0) + FLAT)
    return np.asarray(likeness @ marks.shares, np.float32)


def _seen_at(
    middles: tuple[Point, Point, Point], u: Field, v: Field, tilts: NDArray[np.float64]
) -> tuple[Field, Field]:
    """Where places in the code are seen, for each tilt: x and y, shape (tilts, places)."""
    corner, right, below = middles
    g, h = (tilts[:, axis, None].astype(np.float32) for axis in (0, 1))
    depth = 1 + g * u + h * v
    one, other, rest = u * (1 + g) / depth, v * (1 + h) / depth, (1 - u - v) / depth
    x, y = (np.asarray(rest * corner[axis] + one * right[axis] + other * below[axis], np.float32) for axis in (0, 1))
    return x, y
