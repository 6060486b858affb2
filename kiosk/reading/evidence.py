"""A cheap look at a frame: where it has the texture of a code, and what ails it.

A code has many edges in both directions in a small place; a wall, a face or a sleeve has not. Edges are counted on a picture
of half the size, which also takes the noise of a dark room away, in blocks of `BLOCK_PX`. What stands still for seconds is
furniture: its texture is learnt and subtracted, so that a bookshelf behind the door does not draw the attention for ever.

The look costs a third of zxing-cpp's default call on an empty frame.

Units: `_px` pixels of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.reading.cases import Trait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BLOCK_PX = 16
SMALL_PX = 160_000
"""A picture of no more pixels is one region."""
REGIONS_MAX = 4
SAME, INSIDE = 0.4, 0.6
"""A box that shares so much with a stronger one, or lies so far in it, is the weaker texture around that."""
PEAKS_MAX = 8
EXTENT = 0.3
"""A region reaches as far as its texture exceeds this share of its peak."""
PEAK_MIN = 3.5
"""Weaker texture than this, in grey levels of mean difference beyond that of the median block, is none."""
LEARN = 1 / 60
"""What stands still is learnt within so many frames, two seconds at 30 a second."""
DIM = 75.0
SOFT = 0.12

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are beyond it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        regions: Boxes with texture, the likeliest first.
        traits: What ails the picture there.
    """

    regions: tuple[Box, ...] = ()
    traits: frozenset[Trait] = frozenset()


class Watch:
    """Looks at the frames of one camera, and learns what stands still."""

    def __init__(self) -> None:
        self._still: NDArray[np.float32] | None = None

    def look(
        self, luma: NDArray[np.uint8], half: NDArray[np.uint8] | None = None, answered: Sequence[Box] = ()
    ) -> Look:
        """Look at a frame.

        Args:
            luma: The frame, contiguous.
            half: The same at about half the size, if the camera has made it.
            answered: Where codes were read: their texture is no news.
        """
        height_px, width_px = luma.shape
        if luma.size <= SMALL_PX or min(luma.shape) < 4 * BLOCK_PX:
            box = (0, 0, width_px, height_px)
            is_empty = bool(answered) or min(luma.shape) < BLOCK_PX or np.ptp(luma) == 0
            return Look() if is_empty else Look((box,), _traits(luma, box))
        texture = _texture(luma, half)
        still = self._still
        if still is None or still.shape != texture.shape:
            self._still, news = texture * LEARN, texture
        else:
            news = np.maximum(texture - still, 0)
            still += LEARN * (texture - still)
        for left, top, right, bottom in answered:
            rows, columns = (
                slice(max(0, a // BLOCK_PX - 1), b // BLOCK_PX + 2) for a, b in ((top, bottom), (left, right))
            )
            news[rows, columns] = 0
        regions = _regions(news, width_px, height_px)
        return Look(regions, _traits(luma, regions[0]) if regions else frozenset())


def _texture(luma: NDArray[np.uint8], half: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """For each block the mean difference of neighbours, in the direction in which it is smaller."""
    columns, rows = luma.shape[1] // BLOCK_PX, luma.shape[0] // BLOCK_PX
    width_px, height_px = columns * BLOCK_PX // 2, rows * BLOCK_PX // 2
    if half is None or not _is_half(half, luma):
        # What is beyond whole blocks is cut off: at a ratio of exactly two this costs an eighth of another.
        whole = luma[: rows * BLOCK_PX, : columns * BLOCK_PX]
        half = np.asarray(cv2.resize(whole, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)
    rows_seen = half[:height_px:2, :width_px]
    across, down = np.zeros_like(rows_seen), np.zeros_like(rows_seen)
    cv2.absdiff(rows_seen[:, 1:], rows_seen[:, :-1], dst=across[:, 1:])
    cv2.absdiff(rows_seen[1:], rows_seen[:-1], dst=down[1:])
    blocks = [cv2.resize(each, (columns, rows), interpolation=cv2.INTER_AREA) for each in (across, down)]
    return np.asarray(cv2.GaussianBlur(np.minimum(*blocks).astype(np.float32), (5, 5), 1.2), np.float32)


def _is_half(small: NDArray[np.uint8], luma: NDArray[np.uint8]) -> bool:
    """Whether the camera's small picture shows this one at half its size, give or take an odd row."""
    return all(abs(2 * less - more) <= 2 for less, more in zip(small.shape, luma.shape, strict=True))


def _regions(texture: NDArray[np.float32], width_px: int, height_px: int) -> tuple[Box, ...]:
    """Boxes around the strongest textures, a little larger than these."""
    floor = float(np.median(texture))
    left_over = texture - floor
    boxes: list[Box] = []
    for _ in range(PEAKS_MAX):
        peak = float(left_over.max())
        if len(boxes) == REGIONS_MAX or peak < PEAK_MIN:
            break
        row, column = np.unravel_index(int(left_over.argmax()), left_over.shape)
        _, labels, facts, _ = cv2.connectedComponentsWithStats(
            (left_over > EXTENT * peak).astype(np.uint8), connectivity=4
        )
        label = labels[row, column]
        x, y, width, height, _ = (int(value) for value in facts[label])
        left_over[labels == label] = 0
        margin = max(1.5, 0.12 * max(width, height))
        box = (
            max(0, round((x - margin) * BLOCK_PX)),
            max(0, round((y - margin) * BLOCK_PX)),
            min(width_px, round((x + width + margin) * BLOCK_PX)),
            min(height_px, round((y + height + margin) * BLOCK_PX)),
        )
        if not any(_is_same(box, other) for other in boxes):
            boxes.append(box)
    return tuple(boxes)


def _is_same(box: Box, other: Box) -> bool:
    """Whether most of a box lies in another one, or they share much of what they cover together."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(0, width) * max(0, height)
    area, other_area = ((each[2] - each[0]) * (each[3] - each[1]) for each in (box, other))
    return shared > INSIDE * area or shared > SAME * (area + other_area - shared)


def _traits(luma: NDArray[np.uint8], box: Box) -> frozenset[Trait]:
    """Dim by the mean brightness; soft when the steepest edges take many pixels from dark to bright."""
    left, top, right, bottom = box
    part = luma[top:bottom:2, left:right]
    steps = cv2.absdiff(part[:, 1:], part[:, :-1])
    levels = np.bincount(np.asarray(steps.ravel(), np.uint8), minlength=256)
    steep = int(np.searchsorted(np.cumsum(levels), 0.98 * steps.size))
    spread = float(np.std(part[::2, ::2]))
    dim = float(part.mean()) < DIM
    soft = steep < 4 * SOFT * spread + 2
    return frozenset(trait for trait, ails in ((Trait.DIM, dim), (Trait.SOFT, soft)) if ails)
