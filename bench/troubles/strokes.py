"""Pencil and brush of the troubles: masks, fields, bends, and how they are laid on a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bench.troubles.kind import Draw

    Luma = NDArray[np.uint8]
    Field = NDArray[np.float32]


def clipped(values: Any) -> Luma:  # noqa: ANN401  OpenCV returns anything
    """As a picture."""
    return np.asarray(np.clip(np.round(values), 0, 255), np.uint8)


def mixed(luma: Luma, over: float | Field, share: float | Field) -> Luma:
    """Something laid over a picture.

    Args:
        luma: The picture.
        over: Brightness of what lies over it.
        share: How much of that is seen, 0 to 1.
    """
    under = luma.astype(np.float32)
    return clipped(under + (over - under) * share)


def grain(shape: tuple[int, ...], deviation: float, seed: int) -> Field:
    """Noise of a sensor, each pixel for itself: OpenCV's, five times faster than numpy's.

    Args:
        shape: Rows, columns.
        deviation: Standard deviation, steps of brightness.
        seed: Which; 31 bits.
    """
    noise: Any = np.zeros(shape, np.float32)
    cv2.setRNGSeed(seed)
    cv2.randn(noise, np.zeros(1), np.full(1, deviation))
    return np.asarray(noise, np.float32)


def cloud(shape: tuple[int, ...], generator: np.random.Generator, grain_px: float) -> Field:
    """A smooth random field, mean 0, deviation about 1.

    Args:
        shape: Rows, columns.
        generator: Randomness.
        grain_px: Size of its spots.
    """
    rows, columns = max(2, round(shape[0] / grain_px) + 2), max(2, round(shape[1] / grain_px) + 2)
    coarse = generator.normal(0, 1, (rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def lines(
    shape: tuple[int, ...], strokes: Sequence[Sequence[tuple[float, float]]], width_px: float, soft_px: float = 0.0
) -> Field:
    """Polylines as a mask of 0 to 1.

    Args:
        shape: Rows, columns.
        strokes: Points of each, (x, y).
        width_px: Of the pencil.
        soft_px: Blur of its edge.
    """
    mask = np.zeros(shape, np.uint8)
    for stroke in strokes:
        points = np.round(np.array(stroke) * 16).astype(np.int32)
        cv2.polylines(
            mask, [points], isClosed=False, color=255, thickness=max(1, round(width_px)), lineType=cv2.LINE_AA, shift=4
        )
    if soft_px > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft_px), np.uint8)
    return np.asarray(mask / np.float32(255), np.float32)


def ellipse(
    shape: tuple[int, ...],
    middle: tuple[float, float],
    radii: tuple[float, float],
    turn_deg: float = 0.0,
    soft_px: float = 0.0,
) -> Field:
    """A filled ellipse as a mask of 0 to 1."""
    mask = np.zeros(shape, np.uint8)
    x, y = (round(16 * value) for value in middle)
    axes = (max(1, round(16 * radii[0])), max(1, round(16 * radii[1])))
    cv2.ellipse(mask, (x, y), axes, turn_deg, 0, 360, 255, -1, cv2.LINE_AA, 4)
    if soft_px > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft_px), np.uint8)
    return np.asarray(mask / np.float32(255), np.float32)


def wander(
    generator: np.random.Generator, start: tuple[float, float], heading: float, step_px: float, steps: int
) -> list[tuple[float, float]]:
    """A line that changes its mind: a crack, a scratch, a pen.

    Args:
        generator: Randomness.
        start: (x, y).
        heading: Radians.
        step_px: Length of a step.
        steps: How many.
    """
    x, y = start
    points = [(x, y)]
    for _ in range(steps):
        heading += generator.normal(0, 0.35)
        x, y = x + step_px * np.cos(heading), y + step_px * np.sin(heading)
        points.append((float(x), float(y)))
    return points


def bent(luma: Luma, across_px: Field | float, down_px: Field | float) -> Luma:
    """Each pixel fetched from elsewhere.

    Args:
        luma: The picture.
        across_px: How much further right it is fetched, shape of the picture or a number.
        down_px: How much further down.
    """
    rows, columns = np.mgrid[0 : luma.shape[0], 0 : luma.shape[1]].astype(np.float32)
    fetched = cv2.remap(
        luma, (columns + across_px).astype(np.float32), (rows + down_px).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )  # fmt: skip
    return np.asarray(fetched, np.uint8)


def grid(luma: Luma, draw: Draw) -> tuple[Field, Field]:
    """Place of each pixel against the code's middle: across and down, in pixels."""
    rows, columns = np.mgrid[0 : luma.shape[0], 0 : luma.shape[1]].astype(np.float32)
    return np.asarray(columns - np.float32(draw.x_px), np.float32), np.asarray(rows - np.float32(draw.y_px), np.float32)


def code_only(luma: Luma, draw: Draw, change: Callable[[Luma], Luma], margin_m: float = 0.0) -> Luma:
    """Change the square of the code, and nothing around it.

    Args:
        luma: A flat picture.
        draw: Where the code is.
        change: What is done to the square.
        margin_m: So many modules around it belong to it, too.
    """
    half_px = draw.side_px / 2 + margin_m * draw.module_px
    top, left = max(0, round(draw.y_px - half_px)), max(0, round(draw.x_px - half_px))
    bottom, right = round(draw.y_px + half_px), round(draw.x_px + half_px)
    changed = luma.copy()
    changed[top:bottom, left:right] = change(np.ascontiguousarray(luma[top:bottom, left:right]))
    return changed


def tones(luma: Luma, draw: Draw) -> tuple[float, float]:
    """The dark and the bright of a code in a flat picture."""
    half_px = round(draw.side_px / 2)
    x, y = round(draw.x_px), round(draw.y_px)
    square = luma[max(0, y - half_px) : y + half_px, max(0, x - half_px) : x + half_px]
    return float(np.percentile(square, 5)), float(np.percentile(square, 95))


def matrix(luma: Luma, draw: Draw) -> NDArray[np.bool_]:
    """Which modules of a flat, unspoilt code are dark, shape (modules, modules)."""
    dark, bright = tones(luma, draw)
    at = (np.arange(draw.modules) + 0.5 - draw.modules / 2) * draw.module_px
    rows, columns = np.round(at + draw.y_px).astype(int), np.round(at + draw.x_px).astype(int)
    return np.asarray(luma[np.ix_(rows, columns)] < (dark + bright) / 2, np.bool_)


def around(draw: Draw, shape: tuple[int, ...], reach: float = 1.0) -> tuple[slice, slice]:
    """The part of a frame in which the carrier lies, as rows and columns.

    Args:
        draw: Where the code is.
        shape: Of the frame.
        reach: Half the side of the part, in sides of the code.
    """
    half_px = reach * draw.side_px
    top, bottom = max(0, int(draw.y_px - half_px)), min(shape[0], int(draw.y_px + half_px) + 1)
    left, right = max(0, int(draw.x_px - half_px)), min(shape[1], int(draw.x_px + half_px) + 1)
    return slice(top, bottom), slice(left, right)
