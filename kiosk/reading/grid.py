"""A code that was found and not read, followed module by module.

Cloth wrinkles, paper bends, a sensor reads a trembling hand row by row: then the four corners of a code are right and what lies between them is not,
by half a module or by two. First the patterns that stand in every code of a size are looked for near their places: where they are not, the code is
bent. Between them the edges of the modules are the cure. Straightened by its corners, a code has its edges where
x is a multiple of the module's width; where the paper is bent they are displaced, and the displacement is the phase of the
edges' strength at the period of one module [1]. It is smooth, so it is followed from the patterns, where it is known,
over the whole code, the clearest neighbour first [2]. What is left of it is found by what should be seen: the modules as they are believed tell
how bright each place ought to be, and the picture's slope there how far off that is [3]. What comes out is one brightness a module; `sampler` reads it.

Units: `_px` pixels, `_m` modules. One module is `CELL_PX` wide in the straightened picture.

Sources:
    [1] Takeda, Ina, Kobayashi, "Fourier-transform method of fringe-pattern analysis", J. Opt. Soc. Am. 72 (1982).
    [2] Herráez et al., "Fast two-dimensional phase-unwrapping algorithm …", Applied Optics 41 (2002).
    [3] Lucas, Kanade, "An Iterative Image Registration Technique with an Application to Stereo Vision", IJCAI (1981).
"""

from __future__ import annotations

import heapq
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.reading.equaliser import better, first, levelled, surroundings
from kiosk.reading.patterns import ALIGNMENT_M, FINDER_M, alignments, finders, known, squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.reading.symbol import Corners

    Field = NDArray[np.float32]
    """One number a module."""
    Anchor = tuple[int, int, float, float, float]
    """Row and column of a pattern's middle module, how far across and down it was found from there, in modules, and how clearly, up to 1."""

CELL_PX = 6
MARGIN = 2
"""Modules around the code that are straightened with it."""
MODULES_MAX = 109
"""Larger codes are left: straightening them would take too long for a frame."""
SMOOTH_M, ROUNDS = 0.8, 2
"""The displacement is measured over so many modules, twice: first to follow it, then to refine it."""
SURROUNDINGS_M = (9, 9)
"""A module is dark or bright against so many around it."""
SOFT_M = 0.25
"""So far around its middle a module is seen: less is noise, more is its neighbours."""
ANCHOR_PX = 3
"""Patterns are looked for where a module is so wide."""
ANCHOR_REACH_M = {FINDER_M: 2.0, ALIGNMENT_M: 1.6}
ANCHOR_CLEAR = {FINDER_M: 0.5, ALIGNMENT_M: 0.6}
BENT_M, CALM_M, BENT_SHARE = 0.25, 2.0, 0.3
"""Where the patterns are so far from their places, or in so much of the code the edges, measured over so many modules, the code is bent."""
TURNS = 5
NEAR_M = (3.0, 2.0)
"""A misfit moves the modules so far around it, in the first turn and in the last."""
STEP_M, SLOPE_M = 0.4, 0.3
"""In a turn nothing moves further than this, and a slope is seen over so much on both sides."""
_TURN = np.exp(2j * np.pi * (np.arange(CELL_PX) + 0.5) / CELL_PX).astype(np.complex64)


def brightness_of_modules(
    luma: NDArray[np.uint8], corners: Corners, modules: int, *, straightened: bool = True
) -> Field:
    """The brightness of each module of a code, dark modules low, whether the code is inverted or not.

    Args:
        luma: The picture.
        corners: Of the code, clockwise from its own upper left.
        modules: Modules across.
        straightened: Whether bends are followed; a flat code does not need it.
    """
    sheet = _Sheet(luma, corners, modules)
    if not straightened:
        return sheet.brightness()
    flat = _rectified(luma, corners, modules)
    anchors = _anchors(255 - flat if sheet.is_inverted else flat, modules)
    shift = np.zeros((2, modules, modules), np.float32)
    if _is_bent(flat, anchors):
        shift = _bends(flat, anchors)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    return sheet.brightness(_settled(sheet, shift))


def _is_bent(flat: NDArray[np.uint8], anchors: list[Anchor]) -> bool:
    """Whether the patterns, or the edges in much of the code, are not at their places."""
    if np.median([np.hypot(across, down) for _, _, across, down, _ in anchors]) > BENT_M:
        return True
    (along_x, _), (along_y, _) = _phases(flat, CALM_M)
    beside = np.maximum(np.abs(along_x), np.abs(along_y))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return bool(np.mean(beside > BENT_M) > BENT_SHARE)


class _Sheet:
    """A code in a picture, and what is seen where one of its modules should be."""

    def __init__(self, luma: NDArray[np.uint8], corners: Corners, modules: int) -> None:
        """Begin.

        Args:
            luma: The picture.
            corners: Of the code, clockwise from its own upper left.
            modules: Modules across.
        """
        square = np.array([[0, 0], [modules, 0], [modules, modules], [0, modules]], np.float32)
        seen = np.array(corners, np.float32) - 0.5
        module_px = float(np.sqrt(abs(cv2.contourArea(seen)))) / modules
        margin_px = MARGIN * module_px + 4
        left, top = np.maximum(0, np.floor(seen.min(0) - margin_px)).astype(int).tolist()
        right, bottom = np.ceil(seen.max(0) + margin_px).astype(int).tolist()
        part = luma[top : max(top + 1, bottom), left : max(left + 1, right)].astype(np.float32)
        self._part = cv2.GaussianBlur(part, (0, 0), max(0.3, SOFT_M * module_px))
        self._to_part = cv2.getPerspectiveTransform(square, seen - np.array([left, top], np.float32))
        self._rows, self._columns = np.indices((modules, modules), np.float32) + np.float32(0.5)
        self.is_inverted = False
        self.is_inverted = _is_inverted(self.brightness())

    def brightness(self, shift: Field | None = None, across_m: float = 0.0, down_m: float = 0.0) -> Field:
        """What is seen.

        Args:
            shift: How far each module is displaced, across and down, shape (2, modules, modules).
            across_m: How far beside its middle one looks, in modules.
            down_m: How far below it.
        """
        x, y = self._columns + np.float32(across_m), self._rows + np.float32(down_m)
        if shift is not None:
            x, y = x + shift[0], y + shift[1]
        (a, b, c), (d, e, f), (g, h, i) = self._to_part.astype(np.float32)
        depth = g * x + h * y + i
        at_x, at_y = (a * x + b * y + c) / depth, (d * x + e * y + f) / depth
        cells = cv2.remap(self._part, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(255 - cells if self.is_inverted else cells, np.float32)


def _settled(sheet: _Sheet, shift: Field) -> Field:
    """The displacement by which what is seen fits best what should be seen."""
    patterns = known(shift.shape[1]) != 0
    belief = None
    for turn in range(TURNS):
        cells = sheet.brightness(shift)
        scale = 1 / np.sqrt(surroundings((surroundings(cells, SURROUNDINGS_M) - cells) ** 2, SURROUNDINGS_M) + 1)
        ink = levelled(cells, SURROUNDINGS_M)
        belief = better(ink, first(ink) if belief is None else belief)
        near_m = NEAR_M[0] + (NEAR_M[1] - NEAR_M[0]) * turn / TURNS
        misfit = belief.foreseen - ink
        weight = np.where(patterns, 4, 1) / (cv2.GaussianBlur(misfit * misfit, (0, 0), near_m) + 0.02)
        across, down = (
            (sheet.brightness(shift, -x, -y) - sheet.brightness(shift, x, y)) * scale / (2 * SLOPE_M)
            for x, y in ((SLOPE_M, 0.0), (0.0, SLOPE_M))
        )
        products = (across * across, down * down, across * down, across * misfit, down * misfit)
        xx, yy, xy, xm, ym = (cv2.GaussianBlur(weight * each, (0, 0), near_m) for each in products)
        stiff = 0.1 * float((xx + yy).mean()) + 1e-6
        xx, yy = xx + stiff, yy + stiff
        step = np.stack([yy * xm - xy * ym, xx * ym - xy * xm]) / (xx * yy - xy * xy)
        moved = shift + np.clip(step, -STEP_M, STEP_M)
        shift = np.stack([cv2.GaussianBlur(each, (0, 0), 1.0) for each in moved]).astype(np.float32)
    return shift


def _anchors(flat: NDArray[np.uint8], modules: int) -> list[Anchor]:
    """Where the patterns are."""
    small_px = flat.shape[0] * ANCHOR_PX // CELL_PX
    small = cv2.resize(flat, (small_px, small_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    places = [(FINDER_M, *middle) for middle in finders(modules)] + [
        (ALIGNMENT_M, *middle) for middle in alignments(modules)
    ]
    anchors = []
    for side, row, column in places:
        wanted = _picture_of_pattern(side)
        reach_px = round(ANCHOR_REACH_M[side] * ANCHOR_PX)
        top, left = (round((middle + MARGIN + 0.5) * ANCHOR_PX - wanted.shape[0] / 2) for middle in (row, column))
        from_top, from_left = max(0, top - reach_px), max(0, left - reach_px)
        below, beside = (place + wanted.shape[0] + reach_px for place in (top, left))
        fits = cv2.matchTemplate(small[from_top:below, from_left:beside], wanted, cv2.TM_CCOEFF_NORMED)
        _, clear, _, (x, y) = cv2.minMaxLoc(fits)
        if clear > ANCHOR_CLEAR[side]:
            across, down = ((x + from_left - left) / ANCHOR_PX, (y + from_top - top) / ANCHOR_PX)
            anchors.append((row + MARGIN, column + MARGIN, across, down, float(clear)))
    return anchors or [(row + MARGIN, column + MARGIN, 0.0, 0.0, 0.0) for row, column in finders(modules)]


@cache
def _picture_of_pattern(side: int) -> Field:
    """A pattern with what is bright around it."""
    bright = np.pad(-squares(side), 1 if side == FINDER_M else 0, constant_values=1)
    large = bright.repeat(ANCHOR_PX, axis=0).repeat(ANCHOR_PX, axis=1)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), 0.35 * ANCHOR_PX), np.float32)


def ink(cells: Field) -> Field:
    """How dark each module is against its surroundings, about -1 to 1: what is summed over several frames."""
    difference = surroundings(cells, SURROUNDINGS_M) - cells
    return np.asarray(np.clip(difference / (2 * float(np.abs(difference).mean()) + 1e-3), -1, 1), np.float32)


def _is_inverted(cells: Field) -> bool:
    """Whether the middles of the three finder patterns are brighter than the rings around them."""
    last = cells.shape[0] - 4
    middles = np.array([cells[3, 3], cells[3, last], cells[last, 3]])
    rings = np.array([cells[1:6:4, 3], cells[1:6:4, last], cells[last, 1:6:4]])
    return bool(middles.mean() > rings.mean())


def _rectified(luma: NDArray[np.uint8], corners: Corners, modules: int) -> NDArray[np.uint8]:
    near, far = MARGIN * CELL_PX - 0.5, (MARGIN + modules) * CELL_PX - 0.5
    square = np.array([[near, near], [far, near], [far, far], [near, far]], np.float32)
    homography = cv2.getPerspectiveTransform(np.array(corners, np.float32) - 0.5, square)
    side_px = (modules + 2 * MARGIN) * CELL_PX
    return np.asarray(
        cv2.warpPerspective(
            luma, homography, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def _bends(flat: NDArray[np.uint8], anchors: list[Anchor]) -> Field:
    """How far each module is from its place, across and down, shape (2, modules, modules) with the margin."""
    side_px = flat.shape[0]
    place_px = np.arange(side_px, dtype=np.float32)
    shift = np.zeros((2, side_px // CELL_PX, side_px // CELL_PX), np.float32)
    moved = flat
    for turn in range(ROUNDS):
        (along_x, clear_x), (along_y, clear_y) = _phases(moved, SMOOTH_M)
        steps = [along_x, along_y] if turn else _followed([along_x, along_y], np.minimum(clear_x, clear_y), anchors)
        shift += np.stack([cv2.GaussianBlur(step, (0, 0), 0.8) for step in steps])
        if turn < ROUNDS - 1:
            x_px, y_px = (CELL_PX * cv2.resize(field, (side_px, side_px)) for field in shift)
            at_x, at_y = place_px[None, :] + x_px, place_px[:, None] + y_px
            moved = np.asarray(cv2.remap(flat, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    return shift


def _phases(flat: NDArray[np.uint8], modules: float) -> list[tuple[Field, Field]]:
    """Along x and along y: by what part of a module the edges are displaced, -0.5 to 0.5, and how clear that is."""
    smooth = np.asarray(cv2.GaussianBlur(flat, (3, 3), 0), np.uint8)
    side_px, count = flat.shape[0], flat.shape[0] // CELL_PX
    along_x = cv2.resize(_steepness(smooth, 1, 0), (side_px, count), interpolation=cv2.INTER_AREA)
    along_y = cv2.resize(_steepness(smooth, 0, 1), (count, side_px), interpolation=cv2.INTER_AREA)
    across = [_edges(np.ascontiguousarray(each, np.uint8), modules) for each in (along_x, along_y.T)]
    return [across[0], (np.ascontiguousarray(across[1][0].T), np.ascontiguousarray(across[1][1].T))]


def _steepness(smooth: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(cv2.Sobel(smooth, cv2.CV_16S, x, y), alpha=0.25), np.uint8)


def _edges(strength: NDArray[np.uint8], modules: float) -> tuple[Field, Field]:
    """Of the edges' mean strength in each row of modules, shape (modules, pixels)."""
    count = strength.shape[0]
    columns = strength.reshape(count, count, CELL_PX).astype(np.float32)
    waves = columns @ _TURN
    real, imaginary, total = (
        cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), modules)
        for part in (waves.real, waves.imag, columns.sum(2))
    )
    phase = np.arctan2(imaginary, real) / (2 * np.pi)
    return phase.astype(np.float32), (np.hypot(real, imaginary) / (total + 1)).astype(np.float32)


def _followed(phases: list[Field], clarity: Field, anchors: list[Anchor]) -> list[Field]:
    """The displacements without jumps of a whole module, followed from the anchors: of the phase's many values the one next to the neighbour's."""
    count = clarity.shape[0]
    wide = count + 2  # a module's number is its place in a field with a margin that is never entered
    along_x, along_y = ([0.0] * wide + np.pad(phase, ((0, 1), (1, 1))).ravel().tolist() for phase in phases)
    unclear = [0.0] * wide + np.pad(-clarity, ((0, 1), (1, 1))).ravel().tolist()
    is_placed = np.pad(np.zeros((count, count), bool), 1, constant_values=True).ravel().tolist()
    heap = [(-1 - found, (row + 1) * wide + column + 1, x, y) for row, column, x, y, found in anchors]
    heapq.heapify(heap)
    while heap:
        _, place, x, y = heapq.heappop(heap)
        if not is_placed[place]:
            is_placed[place] = True
            along_x[place] = x = along_x[place] + round(x - along_x[place])
            along_y[place] = y = along_y[place] + round(y - along_y[place])
            for near in (place + 1, place + wide, place - 1, place - wide):
                if not is_placed[near]:
                    heapq.heappush(heap, (unclear[near], near, x, y))
    return [np.array(along, np.float32).reshape(wide, wide)[1:-1, 1:-1] for along in (along_x, along_y)]
