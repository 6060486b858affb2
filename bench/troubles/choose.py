"""Troubles that choose between readers: nothing is learnt from their pictures. Mechanism: `bench.troubles.kind`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.troubles.kind import Gathering, Part, Stage
from bench.troubles.strokes import around, bent, clipped, cloud, ellipse, grid, lines, mixed, tones, wander

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.troubles.kind import Draw

    Luma = NDArray[np.uint8]

CHOOSE = Gathering(Part.CHOOSE)
_kind = CHOOSE.kind


@_kind(Stage.SKIN, "paper", "card")
def faded_print(skin: Luma, draw: Draw) -> Luma:
    """A colour print that hung in the sun: what was black is a blotchy light grey."""
    dark, bright = tones(skin, draw)
    kept = np.clip(1 - draw.strength * (0.80 + 0.07 * cloud(skin.shape, draw.fixed, 18 * draw.module_px)), 0.06, 1)
    return clipped(bright - (bright - np.minimum(skin, bright)) * kept - 0.02 * (bright - dark))


@_kind(Stage.SKIN, "paper")
def ink_bleed(skin: Luma, draw: Draw) -> Luma:
    """Wet ink: dark modules run into the bright ones."""
    side_px = max(1, round(draw.module_px * 0.75 * draw.strength))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    run = cv2.erode(skin, kernel).astype(np.float32)
    return clipped(cv2.GaussianBlur(run, (0, 0), draw.module_px / 6) if side_px > 1 else run)


@_kind(Stage.FRONT, "paper", "card")
def boxed_in(front: Luma, draw: Draw) -> Luma:
    """A black frame printed half a module from the code, and text up to it."""
    half_px = draw.side_px / 2 + draw.module_px * 0.6
    corners = [
        (draw.x_px + sx * half_px, draw.y_px + sy * half_px)
        for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ]
    framed = mixed(
        front, 25, lines(front.shape, [corners], draw.module_px * (0.3 + 0.7 * draw.strength)) * min(1.0, draw.strength)
    )
    outside = np.ones(front.shape, bool)
    outside[
        round(draw.y_px - half_px) - 8 : round(draw.y_px + half_px) + 8,
        round(draw.x_px - half_px) - 8 : round(draw.x_px + half_px) + 8,
    ] = False
    pitch = 3 * draw.module_px
    rows, columns = np.mgrid[0 : front.shape[0], 0 : front.shape[1]]
    text = (rows % pitch < pitch / 2) & (cloud(front.shape, draw.fixed, draw.module_px) > 0.2) & outside & (columns > 0)
    return mixed(framed, 40, (text * min(1.0, draw.strength)).astype(np.float32))


@_kind(Stage.FRONT, "paper", "card")
def folded(front: Luma, draw: Draw) -> Luma:
    """A crease through the code: one side darker, the paper's white along the edge, and a small step."""
    across, down = grid(front, draw)
    turn, off = draw.fixed.uniform(0, np.pi), draw.fixed.uniform(-0.2, 0.2) * draw.side_px
    side = across * np.cos(turn) + down * np.sin(turn) - off
    step = np.where(side > 0, 1.1 * draw.module_px * draw.strength, 0).astype(np.float32)
    moved = bent(front, step * np.float32(-np.sin(turn)), step * np.float32(np.cos(turn)))
    shaded = moved.astype(np.float32) * np.where(side > 0, 1 - 0.42 * min(1.5, draw.strength), 1).astype(np.float32)
    edge = np.exp(-((side / (draw.module_px * 0.55 * (0.2 + draw.strength))) ** 2))
    return mixed(clipped(shaded), 225, (edge * min(1.0, draw.strength)).astype(np.float32))


@_kind(Stage.SKIN, "card")
def plastic_sleeve(skin: Luma, draw: Draw) -> Luma:
    """A card in a milky, wrinkled sleeve."""
    milk = 0.45 + 0.12 * cloud(skin.shape, draw.fixed, 20 * draw.module_px)
    wrinkles = [
        wander(
            draw.fixed,
            (draw.x_px + draw.fixed.uniform(-0.6, 0.6) * draw.side_px, draw.y_px - 0.6 * draw.side_px),
            1.3,
            4 * draw.module_px,
            22,
        )
        for _ in range(7)
    ]
    milky = mixed(skin, 185, np.clip(milk, 0.2, 0.75).astype(np.float32) * min(1.2, draw.strength))
    return mixed(
        milky, 250, lines(skin.shape, wrinkles, draw.module_px * 0.8, draw.module_px * 0.5) * min(1.0, draw.strength)
    )


@_kind(Stage.SKIN, "phone")
def fingerprint_smear(skin: Luma, draw: Draw) -> Luma:
    """Grease on glass: smeared patches with the ridges of fingers."""
    changed = skin
    rows, columns = np.mgrid[0 : skin.shape[0], 0 : skin.shape[1]].astype(np.float32)
    for _ in range(round(2 + 2 * draw.strength)):
        x, y = (
            draw.x_px + draw.fixed.uniform(-0.45, 0.45) * draw.side_px,
            draw.y_px + draw.fixed.uniform(-0.45, 0.45) * draw.side_px,
        )
        mask = ellipse(skin.shape, (x, y), (0.24 * draw.side_px, 0.16 * draw.side_px), draw.fixed.uniform(0, 180), 14)
        soft = cv2.GaussianBlur(changed, (0, 0), draw.module_px * 0.62 * draw.strength + 0.1).astype(np.float32)
        ridges = np.sin(np.hypot(columns - x + 60, rows - y) / (0.5 * draw.module_px))
        changed = mixed(changed, (0.6 * soft + 66 + 16 * ridges).astype(np.float32), mask * min(1.0, draw.strength))
    return changed


@_kind(Stage.SKIN, "card", "phone")
def scratches(skin: Luma, draw: Draw) -> Luma:
    """Years in a pocket with keys: long scratches, bright and dark."""
    changed = skin
    for tone in (245, 50, 245):
        strokes = [
            wander(
                draw.fixed, (draw.x_px + draw.fixed.uniform(-0.6, 0.6) * draw.side_px, draw.y_px + draw.fixed.uniform(-0.6, 0.6) * draw.side_px),
                draw.fixed.normal(0.6, 0.5), 5 * draw.module_px, 9,
            )
            for _ in range(round(4.5 * draw.strength))
        ]  # fmt: skip
        changed = mixed(changed, tone, lines(skin.shape, strokes, draw.module_px * 0.45) * 0.9)
    return changed


@_kind(Stage.SKIN, "paper")
def pen_scribble(skin: Luma, draw: Draw) -> Luma:
    """Somebody tried a pen on it."""
    start = (draw.x_px - 0.45 * draw.side_px, draw.y_px + draw.fixed.uniform(-0.2, 0.2) * draw.side_px)
    along = np.linspace(0, 1, 60)
    loops = [
        (
            start[0] + 0.9 * draw.side_px * t + 0.07 * draw.side_px * np.sin(40 * t),
            start[1] + 0.16 * draw.side_px * np.cos(37 * t + draw.fixed.normal(0, 0.1)),
        )
        for t in along
    ]
    ink = lines(skin.shape, [loops], draw.module_px * (0.2 + 0.5 * draw.strength)) * min(1.0, 1.5 * draw.strength)
    return mixed(skin, tones(skin, draw)[0], ink)


@_kind(Stage.FRONT, "paper")
def curved_bottle(front: Luma, draw: Draw) -> Luma:
    """A label around a bottle: the code runs out of sight on both sides."""
    across, _ = grid(front, draw)
    radius_px = draw.side_px * 0.5 / min(0.97, 0.2 + 0.76 * draw.strength)
    turn = np.clip(across / radius_px, -0.999, 0.999)
    bend = bent(front, (radius_px * np.arcsin(turn) - across).astype(np.float32), 0.0)
    return clipped(bend.astype(np.float32) * (1 - 0.55 * draw.strength * turn**2))


@_kind(Stage.SKIN, "paper", "card")
def worn_off(skin: Luma, draw: Draw) -> Luma:
    """Print that has been rubbed away in patches."""
    rubbed = cloud(skin.shape, draw.fixed, 3.2 * draw.module_px) + 0.5 * cloud(skin.shape, draw.fixed, draw.module_px)
    threshold = np.quantile(rubbed[::8, ::8], 1 - 0.095 * min(2.0, draw.strength))
    return mixed(skin, tones(skin, draw)[1], np.clip((rubbed - threshold) * 6, 0, 1).astype(np.float32))


@_kind(Stage.LIGHT)
def out_of_focus(frame: Luma, draw: Draw) -> Luma:
    """A lens that stands at another distance: each point a disc."""
    radius_px = draw.module_px * 0.66 * draw.strength
    side = 2 * int(radius_px + 1) + 1
    disc = ellipse((side * 8, side * 8), (side * 4, side * 4), (radius_px * 8, radius_px * 8))
    kernel = cv2.resize(disc, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.filter2D(frame, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)


@_kind(Stage.LIGHT, "phone", "card")
def glass_reflection(frame: Luma, draw: Draw) -> Luma:
    """The hall mirrored in the glass: bright shapes with edges over the code."""
    part = around(draw, frame.shape, 1.2)
    shape, hall = frame[part].shape, np.zeros(frame[part].shape, np.float32)
    for _ in range(9):
        at, size = draw.fixed.uniform(0, 1, 2) * shape, draw.fixed.uniform(0.08, 0.4, 2) * shape
        top, left = (int(v) for v in at + draw.passing.normal(0, 1.5, 2))
        hall[max(0, top) : top + int(size[0]), max(0, left) : left + int(size[1])] += draw.fixed.uniform(25, 85)
    changed = frame.copy()
    changed[part] = clipped(
        frame[part].astype(np.float32) * (1 - 0.2 * min(1.0, draw.strength))
        + draw.strength * cv2.GaussianBlur(hall, (0, 0), 1.5)
    )
    return changed


@_kind(Stage.LIGHT)
def backlight_flare(frame: Luma, draw: Draw) -> Luma:
    """The sun behind whoever stands there: the code dark under a veil of light."""
    across, down = grid(frame, draw)
    off = draw.fixed.uniform(-1, 1, 2) * draw.side_px
    veil = np.exp(-np.hypot(across - off[0], down - off[1]) / (1.2 * draw.side_px))
    share = min(1.0, draw.strength)
    return clipped(frame.astype(np.float32) * (1 - 0.74 * share) + share * (90 + 110 * veil))


@_kind(Stage.LIGHT, "phone")
def double_image(frame: Luma, draw: Draw) -> Luma:
    """A thick protective glass seen from the side: everything twice."""
    turn = draw.fixed.uniform(0, 2 * np.pi)
    by_px = draw.module_px * draw.fixed.uniform(0.9, 2.1)
    ghost = bent(frame, by_px * np.cos(turn), by_px * np.sin(turn)).astype(np.float32)
    return mixed(frame, ghost, 0.44 * min(1.1, draw.strength))


@_kind(Stage.SENSOR)
def over_sharpened(frame: Luma, draw: Draw) -> Luma:
    """A camera whose software sharpens what is not sharp, and its noise."""
    soft = cv2.GaussianBlur(frame, (0, 0), 1.1 + 0.4 * draw.strength).astype(np.float32)
    grain = soft + draw.passing.normal(0, 3 * draw.strength, frame.shape)
    return clipped(grain + 5.5 * draw.strength * (grain - cv2.GaussianBlur(grain, (0, 0), 2.2)))


@_kind(Stage.SKIN, "phone", "paper")
def second_code_beside(skin: Luma, draw: Draw) -> Luma:
    """Another code pasted so near that it covers the quiet zone and the outermost modules."""
    from bench.troubles.sighting import POSTED  # noqa: PLC0415  it stages these kinds
    from kiosk.sim.render import code_picture  # noqa: PLC0415  with it

    posted = code_picture(POSTED, round(draw.module_px * 0.7))
    over_px = round(draw.module_px * 3.4 * draw.strength)
    top = round(draw.y_px + draw.fixed.uniform(-0.1, 0.1) * draw.side_px)
    left = round(draw.x_px + draw.side_px / 2) - over_px + round(8 * draw.module_px * max(0.0, 1 - draw.strength))
    changed = skin.copy()
    bottom, right = min(skin.shape[0], top + posted.shape[0]), min(skin.shape[1], left + posted.shape[1])
    changed[top:bottom, left:right] = posted[: bottom - top, : right - left]
    return changed
