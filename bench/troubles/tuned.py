"""Troubles that the reader may be tuned on: their pictures may be looked at and learnt from. Mechanism: `bench.troubles.kind`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.troubles.kind import Gathering, Part, Stage
from bench.troubles.strokes import (
    around,
    bent,
    clipped,
    cloud,
    code_only,
    ellipse,
    grid,
    lines,
    matrix,
    mixed,
    tones,
    wander,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.troubles.kind import Draw
    from kiosk.sim.render import Pose

    Luma = NDArray[np.uint8]

TUNED = Gathering(Part.TUNED)
_kind = TUNED.kind


@_kind(Stage.POSE)
def plain(pose: Pose, draw: Draw) -> Pose:  # noqa: ARG001  the others are measured against it
    """Nothing: a clear code, a few pixels a module."""
    return pose


@_kind(Stage.POSE)
def small_dense(pose: Pose, draw: Draw) -> Pose:
    """A small code far away: less than two pixels a module."""
    module_px = draw.fixed.uniform(1.55, 1.9)
    return replace(
        pose, module_px=pose.module_px + min(1.0, draw.strength) * (module_px - pose.module_px), blur_px=0.45
    )


@_kind(Stage.SKIN, "phone")
def auto_dim(skin: Luma, draw: Draw) -> Luma:
    """A phone that has dimmed its screen: a tenth of the light."""
    return clipped(skin.astype(np.float32) * (1 - min(0.95, 0.84 * draw.strength)) + 8 * min(1.0, draw.strength))


@_kind(Stage.SKIN, "phone")
def cracked_screen(skin: Luma, draw: Draw) -> Luma:
    """Glass broken from one point: cracks that are bright on one side, and shift what is behind them."""
    reach, count = 0.6 * draw.side_px, round(3 + 4 * draw.strength)
    start = (draw.x_px + draw.fixed.uniform(-0.5, 0.5) * reach, draw.y_px + draw.fixed.uniform(-0.5, 0.5) * reach)
    strokes = [
        wander(draw.fixed, start, 2 * np.pi * (n + draw.fixed.random()) / count, 2.5 * draw.module_px, 30)
        for n in range(count)
    ]
    rings = [[ray[k] for ray in strokes if k < len(ray)] for k in (3, 7)]
    cracks = [*strokes, *(ring[: draw.fixed.integers(3, len(ring) + 1)] for ring in rings)]
    shift = cloud(skin.shape, draw.fixed, 14 * draw.module_px) * draw.module_px * 0.2 * draw.strength
    skin = bent(skin, shift, np.roll(shift, 40, axis=1))
    width_px = draw.module_px * (0.15 + 0.2 * draw.strength)
    dark = mixed(
        skin,
        30,
        lines(skin.shape, [[(x + width_px, y + width_px) for x, y in each] for each in cracks], width_px / 2)
        * min(0.8, draw.strength),
    )
    return mixed(dark, 235, lines(skin.shape, cracks, width_px, 0.8) * min(1.0, 0.95 * draw.strength))


@_kind(Stage.FRONT, "paper")
def crumpled(front: Luma, draw: Draw) -> Luma:
    """Paper that was a ball: facets that are shaded and displaced each in its own way."""
    count = round(draw.fixed.uniform(60, 110))
    seeds = draw.fixed.uniform(0, 1, (count, 2)) * (front.shape[1], front.shape[0])
    small = (front.shape[1] // 6, front.shape[0] // 6)
    rows, columns = np.mgrid[0 : small[1], 0 : small[0]].astype(np.float32) * 6
    columns = columns + cloud(columns.shape, draw.fixed, 12) * 14
    distance = (columns[None] - seeds[:, 0, None, None]) ** 2 + (rows[None] - seeds[:, 1, None, None]) ** 2
    facet = np.argmin(distance, axis=0)
    slope = draw.fixed.normal(0, 1, (count, 2)).astype(np.float32)
    shade = cv2.resize(
        (slope[:, 0] * 22 * draw.strength)[facet].astype(np.float32), front.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    across, down = (
        cv2.GaussianBlur(
            cv2.resize(slope[:, axis][facet], front.shape[::-1], interpolation=cv2.INTER_LINEAR), (0, 0), 14
        )
        for axis in (0, 1)
    )
    by_px = 0.5 * draw.module_px * draw.strength
    return clipped(bent(front, across * by_px, down * by_px).astype(np.float32) + shade)


@_kind(Stage.SKIN, "card", "phone")
def finger_finder_corner(skin: Luma, draw: Draw) -> Luma:
    """A fingertip over one of the three corners by which a code is found."""
    sign_x, sign_y = ((-1, -1), (1, -1), (-1, 1))[draw.fixed.integers(3)]
    half_px, reach_px = draw.side_px / 2, draw.module_px * 7 * draw.strength
    middle = (draw.x_px + sign_x * half_px, draw.y_px + sign_y * half_px)
    turn_deg = float(draw.fixed.uniform(20, 70)) * sign_x * sign_y
    mask = ellipse(skin.shape, middle, (1.15 * reach_px, 0.85 * reach_px), turn_deg, 4)
    tone = 135 + 12 * cloud(skin.shape, draw.fixed, 60)
    return mixed(skin, tone, mask)


@_kind(Stage.SKIN, "card")
def hologram(skin: Luma, draw: Draw) -> Luma:
    """A card's hologram: wavy lines that shine in the light of this moment."""
    across, down = grid(skin, draw)
    turn = draw.fixed.uniform(0, np.pi)
    along = across * np.cos(turn) + down * np.sin(turn)
    wave = np.sin(along / draw.module_px * 2.4 + 2.5 * cloud(skin.shape, draw.fixed, 12 * draw.module_px))
    lit = 0.75 + 0.25 * np.sin(along / draw.side_px * 4 + draw.passing.uniform(0, 6.28))
    return clipped(skin.astype(np.float32) + 62 * draw.strength * wave * lit)


@_kind(Stage.SKIN, "paper")
def ink_stamp(skin: Luma, draw: Draw) -> Luma:
    """An office's round stamp over the code."""
    radius_px = draw.side_px * draw.fixed.uniform(0.26, 0.36)
    x, y = (
        draw.x_px + draw.fixed.uniform(-0.2, 0.25) * draw.side_px,
        draw.y_px + draw.fixed.uniform(-0.2, 0.2) * draw.side_px,
    )
    mask = np.zeros(skin.shape, np.uint8)
    for share, width in ((1.0, 1.1), (0.68, 0.6)):
        cv2.circle(
            mask,
            (round(x), round(y)),
            round(radius_px * share),
            255,
            max(1, round(width * draw.module_px)),
            cv2.LINE_AA,
        )
    for turn in np.arange(0, 2 * np.pi, 0.33):
        at = (round(x + 0.77 * radius_px * np.cos(turn)), round(y + 0.93 * radius_px * np.sin(turn)))
        cv2.putText(
            mask,
            "UBNDXAPHG"[int(turn / 0.33) % 9],
            at,
            cv2.FONT_HERSHEY_SIMPLEX,
            radius_px / 160,
            255,
            round(draw.module_px / 3),
            cv2.LINE_AA,
        )
    cv2.putText(
        mask,
        "*",
        (round(x - radius_px / 4), round(y + radius_px / 4)),
        cv2.FONT_HERSHEY_SIMPLEX,
        radius_px / 40,
        255,
        round(draw.module_px),
        cv2.LINE_AA,
    )
    inked = mask.astype(np.float32) / 255 * np.clip(0.9 + 0.25 * cloud(skin.shape, draw.fixed, 25), 0, 1)
    dark, bright = tones(skin, draw)
    return mixed(skin, dark + 0.12 * (bright - dark), inked * min(1.0, draw.strength))


@_kind(Stage.SKIN, "card")
def laminate_streak(skin: Luma, draw: Draw) -> Luma:
    """A lamp's reflection drawn out along a laminated card, across the whole code."""
    mask = np.zeros(skin.shape, np.float32)
    for _ in range(draw.fixed.integers(1, 3)):
        turn, off = draw.fixed.uniform(0.5, 1.1), draw.fixed.uniform(-0.2, 0.2) * draw.side_px
        x, y = draw.x_px + off, draw.y_px
        ends = [
            (x - draw.side_px * np.cos(turn), y - draw.side_px * np.sin(turn)),
            (x + draw.side_px * np.cos(turn), y + draw.side_px * np.sin(turn)),
        ]
        mask = np.maximum(
            mask, lines(skin.shape, [ends], draw.module_px * (1 + 1.8 * draw.strength), draw.module_px * 0.4)
        )
    return mixed(skin, 252, mask * min(1.0, draw.strength))


@_kind(Stage.LIGHT, "phone")
def moire_pwm(frame: Luma, draw: Draw) -> Luma:
    """A display's grid beating with the sensor's, and its dimming clock as bands."""
    part = around(draw, frame.shape, 1.1)
    rows, columns = np.mgrid[part[0], part[1]].astype(np.float32)
    turn, pitch = draw.fixed.uniform(-0.3, 0.3), draw.fixed.uniform(0.30, 0.46)
    beat = np.sin(2 * np.pi * pitch * (columns * np.cos(turn) + rows * np.sin(turn))) * np.sin(
        2 * np.pi * pitch * (rows * np.cos(turn) - columns * np.sin(turn))
    )
    bands = np.sin(rows * draw.fixed.uniform(0.12, 0.3) + draw.passing.uniform(0, 6.28))
    changed = frame.copy()
    changed[part] = clipped(
        frame[part].astype(np.float32) * (0.62 + 0.38 / (1 + draw.strength)) + draw.strength * (46 * beat + 20 * bands)
    )
    return changed


@_kind(Stage.LIGHT, "phone")
def oled_pwm_bands(frame: Luma, draw: Draw) -> Luma:
    """A dimmed OLED under a short exposure: a third of the rows is dark, and the dark rolls."""
    period_px, phase = draw.fixed.uniform(50, 95), draw.passing.uniform(0, 1)
    rows = (np.arange(frame.shape[0]) / period_px + phase) % 1.0
    edge = np.clip((np.abs(rows - 0.5) - 0.5 * draw.fixed.uniform(0.35, 0.5)) * period_px / 2, 0, 1)
    kept = 1 - (1 - edge) * min(0.94, 0.9 * draw.strength)
    return clipped(frame.astype(np.float32) * kept[:, None])


@_kind(Stage.FRONT)
def no_quiet_zone(front: Luma, draw: Draw) -> Luma:
    """A code cut out along its edge and stuck on something with a pattern."""
    texture = clipped(
        118
        + 55 * cloud(front.shape, draw.fixed, 5 * draw.module_px)
        + 25 * cloud(front.shape, draw.fixed, 1.3 * draw.module_px)
    )
    if draw.fixed.random() < 0.5:
        rows, columns = np.mgrid[0 : front.shape[0], 0 : front.shape[1]]
        weave = ((rows // draw.fixed.integers(20, 60) + columns // draw.fixed.integers(20, 60)) % 2).astype(np.float32)
        texture = mixed(texture, 60 + 120 * weave, 0.55)
    laid = mixed(front, texture.astype(np.float32), min(1.0, draw.strength))
    half = round(draw.side_px / 2)
    inner = (
        slice(round(draw.y_px) - half, round(draw.y_px) + half),
        slice(round(draw.x_px) - half, round(draw.x_px) + half),
    )
    laid[inner] = front[inner]
    return laid


@_kind(Stage.SKIN, "paper")
def print_gaps(skin: Luma, draw: Draw) -> Luma:
    """A print head with dead points: white lines through the whole code."""
    gaps = [draw.y_px + draw.fixed.uniform(-0.5, 0.5) * draw.side_px for _ in range(round(2 + 3.5 * draw.strength))]
    strokes = [[(0.0, y), (float(skin.shape[1]), y)] for y in gaps]
    return mixed(
        skin, tones(skin, draw)[1], lines(skin.shape, strokes, draw.module_px * 0.75) * min(1.0, draw.strength)
    )


@_kind(Stage.SKIN, "phone", "paper")
def dotted_modules(skin: Luma, draw: Draw) -> Luma:
    """A fashionable code: round dots with gaps between them; the corners are as they should be."""
    modules, (dark, bright) = matrix(skin, draw), tones(skin, draw)
    dots = np.full(skin.shape, 255, np.uint8)
    radius_px = draw.module_px * (0.55 - 0.2 * min(1.0, draw.strength))
    for row, column in zip(*np.nonzero(modules), strict=True):
        at = ((np.array([column, row]) + 0.5 - draw.modules / 2) * draw.module_px + (draw.x_px, draw.y_px)) * 16
        cv2.circle(dots, (round(at[0]), round(at[1])), round(16 * radius_px), 0, -1, cv2.LINE_AA, 4)
    drawn = clipped(dark + (bright - dark) * dots.astype(np.float32) / 255)
    changed = code_only(skin, draw, lambda square: _cut(drawn, draw, square))
    width = round(8 * draw.module_px)
    half = round(draw.side_px / 2)
    top, left = round(draw.y_px) - half, round(draw.x_px) - half
    for y, x in ((top, left), (top, left + 2 * half - width), (top + 2 * half - width, left)):
        changed[y : y + width, x : x + width] = skin[y : y + width, x : x + width]
    return changed


def _cut(drawn: Luma, draw: Draw, square: Luma) -> Luma:
    top, left = round(draw.y_px - draw.side_px / 2), round(draw.x_px - draw.side_px / 2)
    return drawn[top : top + square.shape[0], left : left + square.shape[1]]


@_kind(Stage.SKIN, "phone", "paper")
def logo_in_the_middle(skin: Luma, draw: Draw) -> Luma:
    """An application's sign in the middle, on a white plate."""
    radius_px = draw.side_px * (0.04 + 0.08 * draw.strength)
    plate = mixed(skin, 250, ellipse(skin.shape, (draw.x_px, draw.y_px), (1.2 * radius_px, 1.2 * radius_px)))
    return mixed(plate, 90, ellipse(plate.shape, (draw.x_px, draw.y_px), (radius_px, 0.8 * radius_px), 30))


@_kind(Stage.FRONT)
def stretched(front: Luma, draw: Draw) -> Luma:
    """A picture of a code made to fit a box of another shape."""
    by = 1 + draw.fixed.uniform(0.45, 0.7) * draw.strength
    across, down = grid(front, draw)
    return bent(front, across * (by - 1), 0.0) if draw.fixed.random() < 0.5 else bent(front, 0.0, down * (by - 1))


@_kind(Stage.SKIN, "card", "paper")
def guilloche(skin: Luma, draw: Draw) -> Luma:
    """The fine lines of a document's ground, printed under and over the code."""
    across, down = grid(skin, draw)
    mask = np.zeros(skin.shape, np.float32)
    for _ in range(3):
        turn, pitch = draw.fixed.uniform(0, np.pi), draw.fixed.uniform(1.6, 2.6) * draw.module_px
        along = across * np.cos(turn) + down * np.sin(turn)
        beside = down * np.cos(turn) - across * np.sin(turn)
        line = np.cos(2 * np.pi * (along + 2 * draw.module_px * np.sin(beside / (9 * draw.module_px))) / pitch)
        mask = np.maximum(mask, np.clip((line - 0.55) / 0.2, 0, 1).astype(np.float32))
    dark, bright = tones(skin, draw)
    return mixed(skin, dark + 0.3 * (bright - dark), mask * min(1.0, 0.62 * draw.strength))


@_kind(Stage.LIGHT)
def glare_spot(frame: Luma, draw: Draw) -> Luma:
    """A lamp mirrored in the middle of the code."""
    part = around(draw, frame.shape, 1.3)
    radius_px = draw.side_px * (0.08 + 0.13 * draw.strength)
    x = draw.x_px - part[1].start + draw.fixed.uniform(-0.25, 0.25) * draw.side_px + draw.passing.normal(0, 2)
    y = draw.y_px - part[0].start + draw.fixed.uniform(-0.25, 0.25) * draw.side_px + draw.passing.normal(0, 2)
    mask = ellipse(frame[part].shape, (x, y), (radius_px, 0.7 * radius_px), 20, 0.3 * radius_px)
    changed = frame.copy()
    changed[part] = clipped(frame[part].astype(np.float32) + 300 * min(1.3, draw.strength) * mask)
    return changed


@_kind(Stage.LIGHT)
def shadow_edge(frame: Luma, draw: Draw) -> Luma:
    """Half of the code in sun, half in a hard shadow."""
    across, down = grid(frame, draw)
    turn = draw.fixed.uniform(0, 2 * np.pi)
    side = across * np.cos(turn) + down * np.sin(turn) - draw.fixed.uniform(-0.25, 0.25) * draw.side_px
    lit = 1 / (1 + np.exp(-np.clip(side / 1.5, -30, 30)))
    return clipped(frame.astype(np.float32) * (1 + 0.15 * draw.strength - min(0.95, 0.86 * draw.strength) * (1 - lit)))


@_kind(Stage.LIGHT)
def motion_smear(frame: Luma, draw: Draw) -> Luma:
    """A hand in motion while the frame is exposed."""
    length_px = draw.module_px * draw.strength * abs(draw.passing.normal(1.3, 0.7))
    turn = draw.fixed.uniform(0, np.pi) + draw.passing.normal(0, 0.2)
    side = 2 * int(length_px / 2 + 1) + 1
    way = (length_px / 2 * np.cos(turn), length_px / 2 * np.sin(turn))
    kernel = lines(
        (side, side), [[(side // 2 - way[0], side // 2 - way[1]), (side // 2 + way[0], side // 2 + way[1])]], 1
    )
    return np.asarray(cv2.filter2D(frame, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)


@_kind(Stage.LIGHT)
def rolling_wobble(frame: Luma, draw: Draw) -> Luma:
    """A trembling hand and a sensor that reads row by row: straight edges become waves."""
    rows = np.arange(frame.shape[0], dtype=np.float32)[:, None]
    wave = np.sin(2 * np.pi * rows / (draw.side_px * draw.fixed.uniform(0.45, 0.8)) + draw.passing.uniform(0, 6.28))
    by_px = draw.module_px * 1.1 * draw.strength * wave
    return bent(frame, np.broadcast_to(by_px, frame.shape).astype(np.float32), 0.0)


@_kind(Stage.SENSOR)
def night_gain_noise(frame: Luma, draw: Draw) -> Luma:
    """A dark hall and full gain: grain, and rows that differ."""
    share = min(1.0, draw.strength)
    dark = frame.astype(np.float32) * (1 - 0.72 * share) + 10 * share
    rows = draw.passing.normal(0, 2.5 * draw.strength, (frame.shape[0], 1))
    return clipped(dark + draw.passing.normal(0, 11 * draw.strength, frame.shape) + rows)


@_kind(Stage.SENSOR)
def webcam_jpeg(frame: Luma, draw: Draw) -> Luma:
    """A cheap webcam's compression."""
    quality = int(np.clip(100 - 86 * min(1.12, draw.strength), 4, 100))
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE),
        np.uint8,
    )
