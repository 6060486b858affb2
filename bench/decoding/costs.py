"""Rows of cost where there is nothing to be won: lasting damage, an empty room, a page of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.decoding.intervals import ratio
from bench.decoding.row import Row, Wanted, never
from bench.decoding.run import OURS, ZXING, Judge, at_the_door, door_decoder
from bench.engines import engines
from bench.troubles import KINDS
from bench.troubles.sighting import HEIGHT_PX, WIDTH_PX, Sighting
from kiosk.config import Decode
from kiosk.sim.render import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.decoding.run import Faults, Run

    Luma = NDArray[np.uint8]

LASTING = ("cracked_screen", "oled_pwm_bands", "no_quiet_zone")
LASTING_FRAMES = 40
LEARNT_FRAMES = 150
"""Five seconds: by then the furniture is known."""
Cost = tuple[float, float, int]
"""Of one sighting: seconds of ours and of zxing-cpp, and frames in which an attempt was begun after the budget was spent."""


def rows_of_lasting_damage(run: Run) -> list[Row]:
    """People whose codes stay as they are, for more than a second."""
    rows = []
    over = frames = 0
    for name in LASTING:
        parts = run.map(_lasting, [(name, f"{run.seed}/lasting/{part}", run.count(6, 2)) for part in range(2)])
        costs = [cost for part in parts for cost in part]
        over, frames = over + sum(cost[2] for cost in costs), frames + LASTING_FRAMES * len(costs)
        estimate = ratio([cost[0] for cost in costs], [cost[1] for cost in costs])
        rows.append(
            Row(
                f"lasting damage, {name.replace('_', ' ')}: cost of a frame",
                estimate,
                Wanted(4, at_least=False),
                " × zxing-cpp",
            )
        )
    rows.append(never("lasting damage: frames that went on after the budget", over, frames))
    return rows


def rows_of_empty_frames(run: Run) -> list[Row]:
    """Rooms that are known, and pages of text held up for two seconds."""
    idle = run.map(_idle, [f"{run.seed}/{room}" for room in range(run.count(10, 4))])
    pages = run.map(_page, [f"{run.seed}/{page}" for page in range(run.count(10, 4))])
    return [
        Row(
            "an empty frame, cost",
            ratio([c[0] for c in idle], [c[1] for c in idle]),
            Wanted(1.4, at_least=False),
            " × zxing-cpp",
        ),
        Row(
            "a page of text, cost of a frame",
            ratio([c[0] for c in pages], [c[1] for c in pages]),
            Wanted(3, at_least=False),
            " × zxing-cpp",
        ),
    ]


def _lasting(task: tuple[str, str, int]) -> tuple[list[Cost], Faults]:
    name, seed, count = task
    judge, costs = Judge(), []
    for number in range(count):
        sighting = Sighting((KINDS[name],), f"{seed}/{number}", strength=1.15)
        costs.append(_cost(list(sighting.frames(LASTING_FRAMES)), 0, judge, [sighting.payload]))
    return costs, judge.faults


def _idle(seed: str) -> tuple[Cost, Faults]:
    scene, judge = Scene(WIDTH_PX, HEIGHT_PX, _number(seed)), Judge()
    frames = [scene.empty(number) for number in range(4)]
    return _cost(frames * 53, LEARNT_FRAMES, judge, []), judge.faults


def _page(seed: str) -> tuple[Cost, Faults]:
    generator, judge = np.random.default_rng(_number(seed)), Judge()
    text = np.full((HEIGHT_PX + 40, WIDTH_PX + 40), int(generator.integers(215, 245)), np.uint8)
    letters = (
        "Cong hoa xa hoi chu nghia Viet Nam doc lap tu do hanh phuc UBND huyen Phong Dien 2092 Thua Thien Hue".split()
    )
    for row in range(38):
        said = " ".join(generator.permutation(letters)[:18])
        cv2.putText(text, said, (8, 18 + 20 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.52, 30, 1, cv2.LINE_AA)
    frames = []
    for _ in range(60):
        top, left = (int(generator.integers(0, 6)) for _ in range(2))
        shown = text[top : top + HEIGHT_PX, left : left + WIDTH_PX] + generator.normal(0, 3, (HEIGHT_PX, WIDTH_PX))
        frames.append(np.asarray(np.clip(shown, 0, 255), np.uint8))
    return _cost(frames, 0, judge, []), judge.faults


def _number(seed: str) -> int:
    return int.from_bytes(seed.encode()[-8:], "big")


def _cost(frames: list[Luma], learnt: int, judge: Judge, expected: list[bytes]) -> Cost:
    """What a decoder takes for these frames beside zxing-cpp; the first `learnt` do not count."""
    decoder, spent_s, over = door_decoder(), {OURS: 0.0, ZXING: 0.0}, 0
    alone = {OURS: at_the_door(decoder)}
    both = {**alone, **engines(only=(ZXING,))}
    for number, luma in enumerate(frames):
        told = judge.compare(alone if number < learnt else both, luma, expected)
        over += sum(tried.cost_ms for tried in decoder.tried[:-1]) > Decode().budget_ms
        if number >= learnt:
            spent_s = {name: spent_s[name] + told[name][1] for name in spent_s}
    return spent_s[OURS], spent_s[ZXING], over
