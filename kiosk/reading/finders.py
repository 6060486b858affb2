"""Codes found by their finder patterns alone: where zxing-cpp sees none because the ground, a crack or a stamp touches them, or blur has taken them.

A finder pattern is a dark square in a bright ring in a dark ring. Only the bright ring is asked for, as a contour with one dark square in it of
nine twenty-fifths of its area: what is printed up to the code's edge, or smeared over it, does not change that. Three of them at the
corners of a half square may be a code; `fit` says whether they are, and how it lies. What is too soft for a ring to be seen is sharpened and
looked at again.

Units: `_px` pixels.

Source: ISO/IEC 18004, 6.3.3 (finder pattern).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import hypot
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from kiosk.reading.fit import fitted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kiosk.reading.fit import Fit
    from kiosk.reading.symbol import Corners

    Luma = NDArray[np.uint8]
    Point = NDArray[np.float64]

PIXELS_MAX = 90_000
"""A larger part is made smaller: what fills it has larger modules."""
CANDIDATES_MAX = 8
"""Of more candidates only the roundest are combined."""
SMOOTH_PX, LARGER = 0.6, 1.3
"""Noise is taken away by so much of a blur; what is sharpened is made so much larger."""
MODULE_MIN_PX = 1.2
RING_SHARE_MAX = 0.4
"""A ring is no larger than so much of the part: in the smallest symbol, tilted, it is a quarter."""
RING = (5 / 3) ** 2
"""The ring's outer square against the dark one inside it."""
CLEAR = 7.0
"""Where a code's patterns are seen so clearly, nothing else is tried."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A candidate.

    Attributes:
        middle: x and y, in pixels.
        module_px: Width of a module.
        error: How far its areas are from what they should be, 0 for not at all.
        is_inverted: Whether its ring is dark.
    """

    middle: Point
    module_px: float
    error: float
    is_inverted: bool


def code_in(luma: Luma) -> tuple[Corners, int] | None:
    """Corners of the likeliest code, clockwise from its own upper left, and how many modules it has; None if there is none.

    Args:
        luma: A part of a picture with the texture of a code.
    """
    scale = min(1.0, (PIXELS_MAX / luma.size) ** 0.5)
    if scale < 1:
        luma = np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    likeliest: Fit | None = None
    for fit in _fits(luma):
        if fit.is_code and (likeliest is None or fit.clear > likeliest.clear):
            likeliest = fit
            if fit.clear > CLEAR:
                break
    return None if likeliest is None else (_scaled(likeliest.corners(), 1 / scale), likeliest.modules)


def _fits(luma: Luma) -> Iterator[Fit]:
    """Codes that there may be, the likelier ways to see them first: as it is, sharpened; dark on bright, bright on dark."""
    smooth = np.asarray(cv2.GaussianBlur(luma, (0, 0), SMOOTH_PX), np.uint8)
    dark_low = smooth.astype(np.float32)
    for is_soft in (False, True):
        picture, larger, below = (_sharpened(smooth), LARGER, 5) if is_soft else (smooth, 1.0, 0)
        finders = sorted(_finders(picture, larger, below), key=lambda each: each.error)
        for inverted in (False, True):
            alike = [each for each in finders if each.is_inverted == inverted][:CANDIDATES_MAX]
            for three in combinations(alike, 3):
                sizes = [each.module_px for each in three]
                placed = None if max(sizes) > 1.7 * min(sizes) else _placed([each.middle for each in three])
                seen = 255 - dark_low if inverted else dark_low
                fit = None if placed is None else fitted(seen, placed, sum(sizes) / 3)
                if fit is not None:
                    yield fit


def _sharpened(smooth: Luma) -> Luma:
    """A little larger, and what is soft made steep."""
    large = cv2.resize(smooth, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC)
    around = cv2.GaussianBlur(large, (0, 0), 2 * LARGER)
    return np.asarray(cv2.addWeighted(large, 4, around, -3, 0), np.uint8)


def _finders(picture: Luma, larger: float, below: int) -> Iterator[Finder]:
    """Rings with one square inside.

    Args:
        picture: The picture.
        larger: So many times larger it is than the picture that the places are of.
        below: What is darker than its surroundings by more than so much is dark.
    """
    block_px = max(11, min(picture.shape) // 18 | 1)
    bright = cv2.adaptiveThreshold(picture, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block_px, below)
    contours, hierarchy = cv2.findContours(bright, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    tree = np.asarray(hierarchy).reshape(-1, 4) if contours else np.empty((0, 4), np.int32)
    least, most = (5 * MODULE_MIN_PX * larger) ** 2, (RING_SHARE_MAX * max(picture.shape)) ** 2
    for index in np.flatnonzero(tree[:, 2] >= 0).tolist():
        ring, is_inverted = _area_px(contours[index])
        if not least < ring < most:
            continue
        child = int(tree[index, 2])
        while child >= 0:
            inner, _ = _area_px(contours[child])
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
            yield Finder(((middle + ring_middle) / 2 + 0.5) / larger - 0.5, module_px / larger, error, is_inverted)


def _area_px(contour: Any) -> tuple[float, bool]:  # noqa: ANN401  OpenCV has no types
    """Of what a contour is drawn around, and whether that is dark: contours run through the middles of bright pixels, half a pixel from the edge."""
    area = cv2.contourArea(contour, oriented=True)
    is_dark = area > 0
    return max(1.0, float(np.sqrt(abs(area))) + (-1 if is_dark else 1)) ** 2, is_dark


def _roughness(contour: NDArray[np.int32]) -> float:
    """How much a contour is not a square: 0 where its area is that of the least rectangle around it."""
    _, (width, height), _ = cv2.minAreaRect(contour)
    return 1 - cv2.contourArea(contour) / max(1.0, width * height) + abs(float(np.log((width + 1) / (height + 1)))) / 2


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


def _scaled(corners: Corners, scale: float) -> Corners:
    first, second, third, fourth = ((scale * x, scale * y) for x, y in corners)
    return first, second, third, fourth
