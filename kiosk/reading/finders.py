"""Codes found by their finder patterns alone: where zxing-cpp sees none because the ground, a crack or a stamp touches them.

A finder pattern is a dark square in a bright ring in a dark ring. Only the bright ring is asked for, as a contour with one dark square in it of
nine twenty-fifths of its area: what is printed up to the code's edge, or smeared over it, does not change that. Three of them at the
corners of a half square are a code; how many modules it has is what its timing patterns fit best.

Units: `_px` pixels.

Source: ISO/IEC 18004, 6.3.3 (finder pattern), 6.3.5 (timing pattern), 6.3.6 and annex E (alignment patterns).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import hypot
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kiosk.reading.symbol import Corners

    Luma = NDArray[np.uint8]
    Point = NDArray[np.float64]

PIXELS_MAX = 90_000
"""A larger part is made smaller: what fills it has larger modules."""
CANDIDATES_MAX = 8
"""Of more candidates only the roundest are combined."""
MODULE_MIN_PX = 1.2
RING = (5 / 3) ** 2
"""The ring's outer square against the dark one inside it."""
FITS_MIN = 0.45
"""The timing patterns' mean contrast, -1 to 1: less is no code."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A candidate.

    Attributes:
        middle: x and y, in pixels.
        module_px: Width of a module.
        error: How far its areas are from what they should be, 0 for not at all.
    """

    middle: Point
    module_px: float
    error: float


def code_in(luma: Luma) -> tuple[Corners, int] | None:
    """Corners of the likeliest code, clockwise from its own upper left, and how many modules it has; None if there is none.

    Args:
        luma: A part of a picture with the texture of a code.
    """
    found: list[tuple[float, Corners, int]] = []
    scale = min(1.0, (PIXELS_MAX / luma.size) ** 0.5)
    if scale < 1:
        luma = np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    block_px = max(11, min(luma.shape) // 18 | 1)
    binary = cv2.adaptiveThreshold(luma, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block_px, 2)
    for picture, sign in ((binary, 1), (cv2.bitwise_not(binary), -1)):
        finders = sorted(_finders(np.asarray(picture, np.uint8)), key=lambda each: each.error)[:CANDIDATES_MAX]
        found += [each for each in _fitted(luma, finders, sign) if each[0] > FITS_MIN]
        if found:
            break
    if not found:
        return None
    _, corners, modules = max(found, key=lambda each: each[0])
    return _scaled(corners, 1 / scale), modules


def _finders(binary: Luma) -> Iterator[Finder]:
    """Bright rings with one dark square inside."""
    contours, hierarchy = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    tree = np.asarray(hierarchy).reshape(-1, 4) if contours else np.empty((0, 4), np.int32)
    for index in np.flatnonzero((tree[:, 3] < 0) & (tree[:, 2] >= 0)).tolist():
        child = int(tree[index, 2])
        ring = cv2.contourArea(contours[index])
        if ring < (5 * MODULE_MIN_PX) ** 2:
            continue
        while child >= 0:
            inner = cv2.contourArea(contours[child])
            if 0.1 * ring < inner < 0.75 * ring:
                break
            child = int(tree[child, 0])
        if child < 0:
            continue
        around, within = cv2.moments(contours[index]), cv2.moments(contours[child])
        middle = np.array([within["m10"], within["m01"]]) / within["m00"]
        ring_middle = np.array([around["m10"], around["m01"]]) / around["m00"]
        module_px = float(np.sqrt(ring)) / 5
        off = float(np.hypot(*(middle - ring_middle))) / module_px
        error = abs(float(np.log(ring / inner / RING))) + off + _roughness(np.asarray(contours[index], np.int32))
        if off < 1 and error < 1.6:
            yield Finder((middle + ring_middle) / 2, module_px, error)


def _roughness(contour: NDArray[np.int32]) -> float:
    """How much a contour is not a square: 0 where its area is that of the least rectangle around it."""
    _, (width, height), _ = cv2.minAreaRect(contour)
    return 1 - cv2.contourArea(contour) / max(1.0, width * height) + abs(float(np.log((width + 1) / (height + 1)))) / 2


def _fitted(luma: Luma, finders: list[Finder], sign: int) -> Iterator[tuple[float, Corners, int]]:
    smooth = np.asarray(cv2.GaussianBlur(luma, (3, 3), 0), np.uint8)
    for three in combinations(finders, 3):
        sizes = [each.module_px for each in three]
        if max(sizes) > 1.7 * min(sizes) or (placed := _placed([each.middle for each in three])) is None:
            continue
        corner, right, below = placed
        module_px = float(np.mean(sizes))
        across = (hypot(*(right - corner)) + hypot(*(below - corner))) / 2 / module_px + 7
        nearest = round((across - 17) / 4)
        fits = [
            (_timing(smooth, corner, right, below, 17 + 4 * version) * sign, 17 + 4 * version)
            for version in range(max(1, nearest - 2 - nearest // 6), min(40, nearest + 2 + nearest // 6) + 1)
        ]
        if not fits:
            continue
        fit, modules = max(fits)
        yield fit, _corners(corner, right, below, modules), modules


def _placed(middles: list[Point]) -> tuple[Point, Point, Point] | None:
    """Corner, right and below of it, if they are near a half square; a code in a mirror comes out transposed."""
    for number in range(3):
        corner, one, other = middles[number], middles[(number + 1) % 3], middles[(number + 2) % 3]
        first, second = one - corner, other - corner
        sides = hypot(*first), hypot(*second)
        long, short = max(sides), min(sides)
        if short < 1 or long > 1.6 * short:
            continue
        if abs(first[0] * second[0] + first[1] * second[1]) < 0.5 * long * short and hypot(*(one - other)) > long:
            turned = first[0] * second[1] - first[1] * second[0] > 0
            return (corner, one, other) if turned else (corner, other, one)
    return None


def _timing(luma: Luma, corner: Point, right: Point, below: Point, modules: int) -> float:
    """How well both timing patterns fit so many modules: mean contrast between what should be dark and bright, of the contrast there."""
    u, v = (right - corner) / (modules - 7), (below - corner) / (modules - 7)
    steps = np.arange(8, modules - 8)
    along = steps[:, None] - 3.0
    places = np.concatenate([corner + along * u + 3 * v, corner + 3 * u + along * v]).astype(np.float32)
    values = cv2.remap(luma, places[None, :, 0], places[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = values[0].astype(np.float64).reshape(2, -1)
    seen -= seen.mean(1, keepdims=True)
    dark = np.where(steps % 2 == 0, -1.0, 1.0)
    return float((seen * dark).mean() / (np.abs(seen).mean() + 4))


def _corners(corner: Point, right: Point, below: Point, modules: int) -> Corners:
    """The fourth as in a parallelogram."""
    u, v = (right - corner) / (modules - 7), (below - corner) / (modules - 7)
    last = modules - 3.5
    ends = (corner + a * u + b * v for a, b in ((-3.5, -3.5), (last, -3.5), (last, last), (-3.5, last)))
    first, second, third, fourth = ((float(x) + 0.5, float(y) + 0.5) for x, y in ends)
    return first, second, third, fourth


def _scaled(corners: Corners, scale: float) -> Corners:
    first, second, third, fourth = ((scale * x, scale * y) for x, y in corners)
    return first, second, third, fourth
