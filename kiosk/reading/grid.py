"""A code that was found and not read, straightened module by module.

Cloth wrinkles, paper bends, and a lens blurs: then the four corners of a code are right and what lies between them is not,
by half a module or by two. The edges between modules are the cure. Straightened by its corners, a code has its edges where
x is a multiple of the module's width; where the paper is bent they are displaced, and the displacement is the phase of the
edges' strength at the period of one module [1]. It is smooth, so it is followed from the finder patterns, where it is small,
over the whole code, the clearest neighbour first [2]. What comes out is one brightness a module; `sampler` reads it.

Units: `_px` pixels. One module is `CELL_PX` wide in the straightened picture.

Sources:
    [1] Takeda, Ina, Kobayashi, "Fourier-transform method of fringe-pattern analysis", J. Opt. Soc. Am. 72 (1982).
    [2] Herráez et al., "Fast two-dimensional phase-unwrapping algorithm …", Applied Optics 41 (2002).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.reading.symbol import Corners

    Field = NDArray[np.float32]
    """One number a module."""

CELL_PX = 6
MARGIN = 2
"""Modules around the code that are straightened with it."""
MODULES_MAX = 109
"""Larger codes are left: straightening them would take too long for a frame."""
SMOOTH_MODULES = (2.0, 1.2)
"""The displacement is measured twice, over so many modules: first to follow it, then to refine it."""
STRIDE = 4
"""It is followed on every so many modules."""
SURROUNDINGS_M = 9
"""A module is dark or bright against so many around it."""
SEED = MARGIN + 3
"""The middle module of a finder pattern, counted from the edge of what is straightened."""
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
    flat = _rectified(luma, corners, modules)
    flat = _straightened(flat) if straightened else flat
    smooth = cv2.GaussianBlur(flat, (0, 0), 0.22 * CELL_PX)
    left = (np.arange(modules) + MARGIN) * CELL_PX + CELL_PX // 2 - 1
    middles = np.stack([left, left + 1], 1).ravel()
    four = smooth[np.ix_(middles, middles)].astype(np.float32)
    cells = four.reshape(modules, 2, modules, 2).mean((1, 3))
    return np.asarray(255 - cells if _is_inverted(cells) else cells, np.float32)


def ink(cells: Field) -> Field:
    """How dark each module is against its surroundings, about -1 to 1: what is summed over several frames."""
    difference = _surroundings(cells) - cells
    return np.asarray(np.clip(difference / (2 * float(np.abs(difference).mean()) + 1e-3), -1, 1), np.float32)


def _surroundings(cells: Field) -> Field:
    mean = cv2.blur(cells, (SURROUNDINGS_M, SURROUNDINGS_M), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.GaussianBlur(mean, (3, 3), 0), np.float32)


def _is_inverted(cells: Field) -> bool:
    """Whether the middles of the three finder patterns are brighter than the rings around them."""
    last = cells.shape[0] - 4
    middles = np.array([cells[3, 3], cells[3, last], cells[last, 3]])
    rings = np.array([cells[1:6:4, 3], cells[1:6:4, last], cells[last, 1:6:4]])
    return bool(middles.mean() > rings.mean())


def _rectified(luma: NDArray[np.uint8], corners: Corners, modules: int) -> NDArray[np.uint8]:
    first, last = MARGIN * CELL_PX - 0.5, (MARGIN + modules) * CELL_PX - 0.5
    square = np.array([[first, first], [last, first], [last, last], [first, last]], np.float32)
    homography = cv2.getPerspectiveTransform(np.array(corners, np.float32), square)
    side_px = (modules + 2 * MARGIN) * CELL_PX
    return np.asarray(
        cv2.warpPerspective(
            luma, homography, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def _straightened(flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move every module to its place."""
    side_px = flat.shape[0]
    place_px = np.arange(side_px, dtype=np.float32)
    shift = np.zeros((2, side_px // CELL_PX, side_px // CELL_PX), np.float32)
    moved = flat
    for turn, modules in enumerate(SMOOTH_MODULES):
        (along_x, clear_x), (along_y, clear_y) = _phases(moved, modules)
        steps = [along_x, along_y] if turn else _followed([along_x, along_y], np.minimum(clear_x, clear_y))
        for axis, step in enumerate(steps):
            shift[axis] += cv2.GaussianBlur(step, (0, 0), 0.8)
        x_px, y_px = (CELL_PX * cv2.resize(field, (side_px, side_px)) for field in shift)
        from_x_px, from_y_px = place_px[None, :] + x_px, place_px[:, None] + y_px
        moved = np.asarray(
            cv2.remap(flat, from_x_px, from_y_px, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
    return moved


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


def _followed(phases: list[Field], clarity: Field) -> list[Field]:
    """The displacements without their jumps of a whole module, followed from the finder patterns."""
    every = slice(STRIDE // 2, None, STRIDE)
    along = _followed_coarsely([phase[every, every].tolist() for phase in phases], clarity[every, every].tolist())
    followed = []
    for phase, coarse in zip(phases, along, strict=True):
        near = cv2.resize(coarse, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_LINEAR)
        short = max(0, phase.shape[0] - near.shape[0])
        near = np.pad(near, (0, short), mode="edge")[: phase.shape[0], : phase.shape[1]]
        followed.append(np.asarray(phase + np.round(near - phase), np.float32))
    return followed


def _followed_coarsely(phases: list[list[list[float]]], clarity: list[list[float]]) -> list[Field]:
    """From neighbour to neighbour, the clearest first: of the phase's many values the one next to the neighbour's."""
    along_x, along_y = phases
    count = len(clarity)
    known: dict[tuple[int, int], tuple[float, float]] = {}
    near, far = SEED // STRIDE, count - 1 - SEED // STRIDE
    seeds = ((near, near), (near, far), (far, near))
    heap = [(-2.0, seed, (0.0, 0.0)) for seed in seeds]
    heapq.heapify(heap)
    while heap:
        _, place, (x, y) = heapq.heappop(heap)
        if place in known:
            continue
        row, column = place
        here_x, here_y = along_x[row][column], along_y[row][column]
        known[place] = here = (here_x + round(x - here_x), here_y + round(y - here_y))
        for r, c in ((row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column)):
            if 0 <= r < count and 0 <= c < count and (r, c) not in known:
                heapq.heappush(heap, (-clarity[r][c], (r, c), here))
    both = np.array([known[row, column] for row in range(count) for column in range(count)], np.float32)
    return [np.ascontiguousarray(both[:, axis].reshape(count, count)) for axis in (0, 1)]
