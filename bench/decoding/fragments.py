"""Rows of what must not be read: parts of a structured-append series, sharp and blurred, which are no codes of their own."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import cv2
import numpy as np
import segno

from bench.decoding.row import Row, never
from bench.decoding.run import OURS, Judge
from bench.engines import engines
from kiosk.sim import people

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.decoding.run import Faults, Run


def rows_of_fragments(run: Run) -> list[Row]:
    """First and second halves of national codes."""
    wrong = run.map(_halves, [(f"{run.seed}/halves/{part}", run.count(300, 40)) for part in range(10)])
    shown = 10 * run.count(300, 40)
    return [never("parts of a structured-append series taken for a code", sum(wrong), shown)]


def rows_of_faults(run: Run) -> list[Row]:
    """Of everything that this run has shown."""
    seen = run.faults
    return [
        never("wrong payloads and false codes, over all of it", seen.wrong, seen.pictures),
        never("exceptions, over all of it", seen.raised, seen.pictures),
    ]


def half_picture(random: Random, *, blurred: bool) -> NDArray[np.uint8]:
    """One part of a person's code that was cut in two, 4 px a module.

    Args:
        random: Randomness.
        blurred: As a camera out of focus sees it; otherwise as printed.
    """
    payload = people.national_qr(people.somebody(random), random)
    parts = segno.make_sequence(payload, symbol_count=2, error="m", boost_error=False, mode="byte")
    code = parts[random.randrange(2)]
    dark = np.array([list(row) for row in code.matrix], np.uint8)
    printed = np.pad(np.where(dark, 0, 255).astype(np.uint8), 4, constant_values=255)
    picture = np.asarray(cv2.resize(printed, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(1.5, 2.3)), np.uint8) if blurred else picture


def _halves(task: tuple[str, int]) -> tuple[int, Faults]:
    seed, count = task
    judge, ours = Judge(), engines(only=(OURS,))
    for number in range(count):
        luma = half_picture(Random(f"{seed}/{number}"), blurred=number % 10 > 0)
        judge.compare(ours, luma, [])
    return judge.faults.wrong, judge.faults
