"""Troubles that nothing is ever tuned on. They are measured only.

Whoever works on the reader does not read this file, look at pictures of these kinds, or look at the figure of one of them: the
bench tells their sum alone. What is learnt from them is lost as a measure. Mechanism: `bench.troubles.kind`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.troubles.kind import Gathering, Part, Stage
from bench.troubles.strokes import around, bent, clipped, cloud, ellipse, grid, lines, matrix, mixed, tones

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.troubles.kind import Draw

    Luma = NDArray[np.uint8]

HELD = Gathering(Part.HELD)
_kind = HELD.kind


@_kind(Stage.SKIN, "paper", "phone")
def dotted_finders(skin: Luma, draw: Draw) -> Luma:
    """Everything is dots, the three corners, too."""
    modules, (dark, bright) = matrix(skin, draw), tones(skin, draw)
    changed = np.full(skin.shape, round(bright), np.uint8)
    radius_px = draw.module_px * (0.6 - 0.2 * min(1.0, draw.strength))
    for row, column in zip(*np.nonzero(modules), strict=True):
        x, y = (np.array([column, row]) + 0.5 - draw.modules / 2) * draw.module_px + (draw.x_px, draw.y_px)
        cv2.circle(changed, (round(16 * x), round(16 * y)), round(16 * radius_px), round(dark), -1, cv2.LINE_AA, 4)
    half = round(draw.side_px / 2 + 2 * draw.module_px)
    inner = (
        slice(round(draw.y_px) - half, round(draw.y_px) + half),
        slice(round(draw.x_px) - half, round(draw.x_px) + half),
    )
    whole = skin.copy()
    whole[inner] = mixed(skin[inner], changed[inner].astype(np.float32), min(1.0, 2 * draw.strength))
    return whole


@_kind(Stage.SKIN, "paper")
def thermal_receipt(skin: Luma, draw: Draw) -> Luma:
    """An old thermal print: grey on grey, each dot row as warm as the head was."""
    _, bright = tones(skin, draw)
    share = min(1.0, draw.strength)
    heat = (
        0.26
        + 0.1 * np.sin(np.arange(skin.shape[0]) / 6.0 + draw.fixed.uniform(0, 6))
        + draw.fixed.normal(0, 0.05, skin.shape[0])
    )
    blotch = 1 + 0.25 * cloud(skin.shape, draw.fixed, 12 * draw.module_px)
    kept = 1 - share + share * np.clip(heat, 0.08, 1)[:, None] * blotch
    ground = bright * (1 - 0.22 * share)
    return clipped(ground - (bright - np.minimum(skin, bright)) * np.clip(kept, 0, 1))


@_kind(Stage.SKIN, "paper")
def nine_pin_print(skin: Luma, draw: Draw) -> Luma:
    """A needle printer with a tired ribbon: rows of points with gaps between them."""
    pitch_px = draw.module_px * 0.62
    rows, _columns = np.mgrid[0 : skin.shape[0], 0 : skin.shape[1]].astype(np.float32)
    slip = draw.module_px * 0.3 * draw.strength * np.sign(np.sin(rows / (9 * pitch_px) * np.pi))
    moved = bent(skin, slip.astype(np.float32), 0.0)
    gaps = 0.5 + 0.5 * np.cos(2 * np.pi * rows / pitch_px)
    missing = np.clip(gaps + 0.4 * cloud(skin.shape, draw.fixed, 5) - 0.35, 0, 1)
    return mixed(moved, tones(skin, draw)[1], (missing * min(1.0, 0.7 * draw.strength)).astype(np.float32))


@_kind(Stage.SKIN, "paper")
def torn_corner(skin: Luma, draw: Draw) -> Luma:
    """The corner without a finder is torn off."""
    reach_px = draw.side_px * (0.1 + 0.24 * draw.strength)
    corner = (draw.x_px + draw.side_px / 2, draw.y_px + draw.side_px / 2)
    steps = np.linspace(0, 1, 14)
    ragged = [
        (
            corner[0] + 200 - t * (reach_px + 200) + draw.fixed.normal(0, 5),
            corner[1] - reach_px + t * (reach_px + 200) + draw.fixed.normal(0, 5),
        )
        for t in steps
    ]
    outline = np.array([*ragged, (corner[0] + 400, corner[1] + 400)], np.float64)
    mask = np.zeros(skin.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mixed(skin, 70, np.asarray(mask / np.float32(255), np.float32))


@_kind(Stage.SKIN, "phone")
def protector_bubbles(skin: Luma, draw: Draw) -> Luma:
    """Air under a screen protector: bubbles that bend what is behind them, with bright rims."""
    rows, columns = np.mgrid[0 : skin.shape[0], 0 : skin.shape[1]].astype(np.float32)
    across, down, rims = (np.zeros(skin.shape, np.float32) for _ in range(3))
    swell = 0.35 * min(1.2, draw.strength)
    for _ in range(round(4 + 8 * draw.strength)):
        x = draw.x_px + draw.fixed.uniform(-0.5, 0.5) * draw.side_px
        y = draw.y_px + draw.fixed.uniform(-0.5, 0.5) * draw.side_px
        radius_px = draw.module_px * draw.fixed.uniform(1.2, 3.4)
        inside, inner = (ellipse(skin.shape, (x, y), (radius_px * by, radius_px * by), 0, 1.0) for by in (1.0, 0.72))
        across, down = across + (x - columns) * inside * swell, down + (y - rows) * inside * swell
        rims = np.maximum(rims, inside - inner)
    return mixed(bent(skin, across, down), 240, rims * 0.8 * min(1.0, draw.strength))


@_kind(Stage.LIGHT, "phone")
def rain_drops(frame: Luma, draw: Draw) -> Luma:
    """Drops on the camera's window: each a small lens."""
    rows, columns = np.mgrid[0 : frame.shape[0], 0 : frame.shape[1]].astype(np.float32)
    across, down = np.zeros(frame.shape, np.float32), np.zeros(frame.shape, np.float32)
    for _ in range(round(16 * draw.strength)):
        x, y = (
            draw.x_px + draw.fixed.uniform(-0.7, 0.7) * draw.side_px,
            draw.y_px + draw.fixed.uniform(-0.7, 0.7) * draw.side_px,
        )
        radius_px = draw.side_px * draw.fixed.uniform(0.03, 0.08)
        far = np.hypot(columns - x, rows - y) / radius_px
        pull = np.where(far < 1, 1.5 * (1 - far**2), 0).astype(np.float32)
        across, down = across - pull * (columns - x), down - pull * (rows - y)
    return bent(frame, across, down)


@_kind(Stage.SKIN, "card", "paper")
def price_sticker(skin: Luma, draw: Draw) -> Luma:
    """A sticker over a part of the code."""
    width_px, height_px = draw.side_px * (0.1 + 0.26 * draw.strength), draw.side_px * (0.06 + 0.15 * draw.strength)
    x, y = (
        draw.x_px + draw.fixed.uniform(-0.15, 0.3) * draw.side_px,
        draw.y_px + draw.fixed.uniform(-0.15, 0.3) * draw.side_px,
    )
    turn = draw.fixed.normal(0, 0.3)
    box = cv2.boxPoints(((x, y), (width_px, height_px), np.degrees(turn)))
    mask = np.zeros(skin.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(box * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    changed = mixed(skin, 215, np.asarray(mask / np.float32(255), np.float32))
    cv2.putText(
        changed,
        "25.000",
        (round(x - 0.4 * width_px), round(y + 0.2 * height_px)),
        cv2.FONT_HERSHEY_SIMPLEX,
        width_px / 130,
        60,
        3,
        cv2.LINE_AA,
    )
    return changed


@_kind(Stage.FRONT, "card", "paper")
def lanyard_wave(front: Luma, draw: Draw) -> Luma:
    """A badge that has been sat on: an S through its whole height."""
    across, down = grid(front, draw)
    phase = draw.fixed.uniform(0, 6.28)
    wave = np.sin(2 * np.pi * down / (0.95 * draw.side_px) + phase)
    moved = bent(
        front,
        draw.module_px * 1.2 * draw.strength * wave,
        draw.module_px * 0.9 * draw.strength * np.sin(2 * np.pi * across / draw.side_px),
    )
    return clipped(
        moved.astype(np.float32) * (1 - 0.2 * draw.strength * np.cos(2 * np.pi * down / (0.95 * draw.side_px) + phase))
    )


@_kind(Stage.SKIN, "paper", "card", "phone")
def specks(skin: Luma, draw: Draw) -> Luma:
    """Mud, flour, toner dust: specks of a module's size, dark and bright."""
    dust = cloud(skin.shape, draw.fixed, 0.7 * draw.module_px)
    share = 0.03 * draw.strength
    low, high = np.quantile(dust[::4, ::4], (share, 1 - share))
    dark, bright = tones(skin, draw)
    soiled = mixed(skin, dark, np.clip((low - dust) * 5, 0, 1).astype(np.float32))
    return mixed(soiled, bright, np.clip((dust - high) * 5, 0, 1).astype(np.float32))


@_kind(Stage.LIGHT, "phone")
def sunlit_screen(frame: Luma, draw: Draw) -> Luma:
    """A screen in full sun: grey on grey, with the sky in it."""
    part = around(draw, frame.shape, 1.4)
    sky = 150 + 22 * cloud(frame[part].shape, draw.fixed, 0.4 * draw.side_px)
    changed = frame.copy()
    changed[part] = mixed(frame[part], np.asarray(sky, np.float32), 0.87 * min(1.1, draw.strength))
    return changed


@_kind(Stage.LIGHT)
def blind_stripes(frame: Luma, draw: Draw) -> Luma:
    """Sun through a window's blind: stripes of light across the code."""
    across, down = grid(frame, draw)
    turn, pitch_px = draw.fixed.uniform(0.2, 1.3), draw.side_px * draw.fixed.uniform(0.14, 0.26)
    wave = np.sin(2 * np.pi * (across * np.cos(turn) + down * np.sin(turn)) / pitch_px)
    lit = 1 / (1 + np.exp(-np.clip(8 * wave, -30, 30)))
    share = min(1.2, draw.strength)
    return clipped(frame.astype(np.float32) * (1 - 0.8 * share * (1 - lit)) + 70 * share * lit)


@_kind(Stage.LIGHT)
def soft_at_the_edge(frame: Luma, draw: Draw) -> Luma:
    """A cheap lens: sharp on one side of the code, a module's blur on the other."""
    across, down = grid(frame, draw)
    turn = draw.fixed.uniform(0, 2 * np.pi)
    share = np.clip((across * np.cos(turn) + down * np.sin(turn)) / draw.side_px + 0.45, 0, 1)
    changed, sigma_px = frame.astype(np.float32), draw.module_px * 0.85 * draw.strength
    for step in range(1, 5):
        soft = cv2.GaussianBlur(frame, (0, 0), max(0.05, sigma_px * step / 4)).astype(np.float32)
        changed = np.where(share > (step - 0.5) / 4, soft, changed)
    return clipped(changed)


@_kind(Stage.LIGHT)
def fisheye(frame: Luma, draw: Draw) -> Luma:
    """A wide lens near a code at the frame's side: straight lines are arcs."""
    rows, columns = np.mgrid[0 : frame.shape[0], 0 : frame.shape[1]].astype(np.float32)
    x0 = draw.x_px + (1.6 if draw.fixed.random() < 0.5 else -1.6) * draw.side_px
    across, down = columns - x0, rows - draw.y_px
    home = (1.6 * draw.side_px) ** 2
    bend = 0.2 * draw.strength * ((across**2 + down**2) / home - 1)
    return bent(frame, across * bend, down * bend)


@_kind(Stage.SENSOR)
def smeared_by_denoising(frame: Luma, draw: Draw) -> Luma:
    """A camera that wipes the noise of the night away, and the modules with it."""
    grain = clipped(
        frame.astype(np.float32) * (1 - 0.5 * min(1.0, draw.strength))
        + draw.passing.normal(0, 12 * draw.strength, frame.shape)
    )
    wiped = cv2.medianBlur(grain, 5)
    return mixed(
        grain, cv2.bilateralFilter(wiped, 7, 40 * draw.strength, 5).astype(np.float32), min(1.0, draw.strength)
    )


@_kind(Stage.SENSOR)
def digital_zoom(frame: Luma, draw: Draw) -> Luma:
    """Half the pixels, enlarged by the camera, and compressed."""
    by = 1 + 0.95 * draw.strength
    small = cv2.resize(frame, (round(frame.shape[1] / by), round(frame.shape[0] / by)), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, frame.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE), np.uint8
    )


@_kind(Stage.SENSOR)
def interlaced(frame: Luma, draw: Draw) -> Luma:
    """An old camera's two fields: every other row is of another moment."""
    by_px = draw.module_px * 0.85 * draw.strength * np.sign(draw.passing.normal())
    changed = frame.copy()
    changed[1::2] = bent(frame, by_px, 0.0)[1::2]
    return changed


@_kind(Stage.SENSOR)
def lost_packets(frame: Luma, draw: Draw) -> Luma:
    """A camera on a bad cable: strips of blocks are grey or come from elsewhere."""
    changed = frame.copy()
    for _ in range(round(draw.strength * (4 + draw.passing.integers(0, 3)))):
        top = int(draw.y_px + draw.passing.uniform(-0.5, 0.5) * draw.side_px) // 8 * 8
        left = int(draw.x_px + draw.passing.uniform(-0.6, 0.4) * draw.side_px) // 16 * 16
        strip = (slice(max(0, top), top + 8), slice(max(0, left), left + int(draw.side_px * 0.6)))
        changed[strip] = 128 if draw.passing.random() < 0.5 else np.roll(frame, 37, axis=1)[strip]
    return changed


@_kind(Stage.SKIN, "phone", "card")
def string_across(skin: Luma, draw: Draw) -> Luma:
    """A lanyard's cord lying over the code."""
    x = draw.x_px + draw.fixed.uniform(-0.3, 0.3) * draw.side_px
    sway = [
        (x + 0.08 * draw.side_px * np.sin(5 * t + draw.fixed.uniform(0, 1)), draw.y_px + (t - 0.5) * 1.3 * draw.side_px)
        for t in np.linspace(0, 1, 30)
    ]
    width_px = draw.module_px * (0.8 + 3.2 * draw.strength)
    return mixed(mixed(skin, 60, lines(skin.shape, [sway], width_px)), 120, lines(skin.shape, [sway], width_px * 0.5))
