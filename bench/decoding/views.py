"""Rows of what is in view: the Pi's two streams, a poster, two people at once, a code without a quiet zone."""

from __future__ import annotations

from dataclasses import replace
from math import sin
from random import Random
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.decoding.intervals import difference, ratio, wilson
from bench.decoding.row import Row, Wanted
from bench.decoding.run import OURS, Judge, at_the_door, door_decoder
from bench.engines import engines
from bench.troubles import KINDS
from bench.troubles.sighting import HEIGHT_PX, POSTED, WIDTH_PX, Sighting, sightings
from kiosk.sim import people
from kiosk.sim.render import Pose, Scene, code_picture, face_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bench.decoding.run import Faults, Run

    Luma = NDArray[np.uint8]

STREAM_KINDS = ("small_dense", "guilloche", "stretched", "webcam_jpeg")
STREAM_FRAMES = 8
POSTER_FRAMES, TOGETHER_WITHIN, QUIET_FRAMES = 20, 6, 8
CLEAR_MODULE_PX = (1.9, 2.6)
SIX_OF_SEVEN = 100 * 6 / 7


def rows_of_streams(run: Run) -> list[Row]:
    """The small second stream beside the frame, and the frame alone: how many frames are read."""
    told = {
        name: run.map(_streamed, [(name, f"{run.seed}/streams/{part}", run.count(8, 3)) for part in range(2)])
        for name in STREAM_KINDS
    }
    everybody = [person for parts in told.values() for part in parts for person in part]
    rows = [Row("two streams, frames read", ratio(*_columns(everybody)), Wanted(0.9), " × one stream")]
    for name, parts in told.items():
        each = [person for part in parts for person in part]
        sums = [sum(column) for column in _columns(each)]
        rows.append(
            Row(
                f"two streams, {name.replace('_', ' ')}",
                ratio(*_columns(each)),
                Wanted(0.9),
                " × one stream",
                f"{sums[0]:.0f} v {sums[1]:.0f}",
            )
        )
    return rows


def rows_of_a_poster(run: Run) -> list[Row]:
    """A posted code stands in a corner for good; clear small cards are shown with it and without it, two streams."""
    parts = run.map(_postered, [(f"{run.seed}/poster/{part}", run.count(10, 4)) for part in range(2)])
    people_read = [person for part in parts for person in part]
    beside, alone = ([float(person[which]) for person in people_read] for which in (0, 1))
    told = f"{sum(beside):.0f} v {sum(alone):.0f}, within {POSTER_FRAMES} frames"
    return [
        Row(
            "a poster in view: cards read, less those without it",
            difference(beside, alone).times(100),
            Wanted(0),
            " points",
            told,
        )
    ]


def rows_of_two_people(run: Run) -> list[Row]:
    """Two people hold up their codes at once, one of them smaller; two streams."""
    parts = run.map(_together, [(f"{run.seed}/together/{part}", run.count(10, 4)) for part in range(2)])
    both = [within for part in parts for within in part]
    return [
        Row(
            f"two people at once: both read within {TOGETHER_WITHIN} frames",
            wilson(sum(both), len(both)).times(100),
            Wanted(100),
            " %",
        )
    ]


def rows_without_quiet_zone(run: Run) -> list[Row]:
    """A code cut out along its edge on a patterned ground: people read at the door, and single pictures."""
    parts = run.map(_unquiet, [(f"{run.seed}/unquiet/{part}", 7) for part in range(run.count(6, 2))])
    each = [person for part in parts for person in part]
    return [
        Row(
            "no quiet zone: people read",
            wilson(sum(person[0] for person in each), len(each)).times(100),
            Wanted(SIX_OF_SEVEN),
            " %",
            "six of seven",
        ),
        Row(
            "no quiet zone: single pictures read",
            wilson(sum(person[1] for person in each), len(each)).times(100),
            None,
            " %",
        ),
    ]


def _columns(people_read: list[tuple[int, int]]) -> tuple[list[float], list[float]]:
    return [float(two) for two, _ in people_read], [float(one) for _, one in people_read]


def _streamed(task: tuple[str, str, int]) -> tuple[list[tuple[int, int]], Faults]:
    name, seed, count = task
    judge, people_read = Judge(), []
    for sighting in sightings(KINDS[name], seed, count):
        readers = {OURS: at_the_door(door_decoder(), two_streams=True), "one": at_the_door(door_decoder())}
        told = [judge.compare(readers, luma, [sighting.payload]) for luma in sighting.frames(STREAM_FRAMES)]
        people_read.append((sum(bool(each[OURS][0]) for each in told), sum(bool(each["one"][0]) for each in told)))
    return people_read, judge.faults


def _postered(task: tuple[str, int]) -> tuple[list[tuple[bool, bool]], Faults]:
    seed, count = task
    poster = np.asarray(cv2.convertScaleAbs(code_picture(POSTED, 5), alpha=0.75, beta=20), np.uint8)
    judge, people_read = Judge(), []
    for number in range(count):
        random = Random(f"{seed}/{number}")
        payload = people.citizen_card(people.somebody(random), random).encode()
        scene, face = Scene(WIDTH_PX, HEIGHT_PX, random.randrange(1000)), face_of(payload, "card")
        module_px, read = random.uniform(*CLEAR_MODULE_PX), [False, False]
        doors = [{OURS: at_the_door(door_decoder(), two_streams=True)} for _ in read]
        for step in range(-6, POSTER_FRAMES):
            pose = Pose(
                700 + 8 * sin(step), 380 + 5 * sin(step + 1.6), module_px, roll=0.05 * sin(step / 4), yaw=0.1, blur_px=0.6
            )  # fmt: skip
            frame = scene.empty(step) if step < 0 else scene.with_carrier(face, pose, step)
            for which, shown in enumerate((_with(poster, frame), frame)):
                read[which] |= bool(judge.compare(doors[which], shown, [payload])[OURS][0])
        people_read.append((read[0], read[1]))
    return people_read, judge.faults


def _with(poster: Luma, frame: Luma) -> Luma:
    shown = frame.copy()
    shown[10 : 10 + poster.shape[0], 10 : 10 + poster.shape[1]] = poster
    return shown


def _together(task: tuple[str, int]) -> tuple[list[bool], Faults]:
    seed, count = task
    judge, within = Judge(), []
    for number in range(count):
        random = Random(f"{seed}/{number}")
        payloads = [people.citizen_card(people.somebody(random), random).encode() for _ in range(2)]
        door, seen = {OURS: at_the_door(door_decoder(), two_streams=True)}, set[bytes]()
        for luma in _pairs(payloads, random):
            seen |= judge.compare(door, luma, payloads)[OURS][0]
        within.append(len(seen) == len(payloads))
    return within, judge.faults


def _pairs(payloads: list[bytes], random: Random) -> Iterator[Luma]:
    """A phone near on the left, a card further off on the right."""
    scene = Scene(WIDTH_PX, HEIGHT_PX, random.randrange(1000), noise=0)
    faces = (face_of(payloads[0], "phone"), face_of(payloads[1], "card"))
    near = Pose(0.27 * WIDTH_PX, HEIGHT_PX / 2, random.uniform(3.2, 3.9), blur_px=0.6)
    far = Pose(0.76 * WIDTH_PX, HEIGHT_PX / 2, random.uniform(1.9, 2.6), yaw=0.1, blur_px=0.6)
    wall = scene.empty(0)
    for step in range(TOGETHER_WITHIN):
        left = scene.with_carrier(faces[0], replace(near, x_px=near.x_px + 6 * sin(step), roll=0.05 * sin(step / 3)), 0)
        right = scene.with_carrier(
            faces[1], replace(far, x_px=far.x_px + 5 * sin(step + 1), roll=-0.05 * sin(step / 3)), 0
        )
        grain = np.random.default_rng(random.getrandbits(32)).normal(0, 2.5, wall.shape)
        yield np.asarray(np.clip(np.where(right != wall, right, left) + grain, 0, 255), np.uint8)


def _unquiet(task: tuple[str, int]) -> tuple[list[tuple[bool, bool]], Faults]:
    seed, count = task
    judge, each, single = Judge(), [], engines(only=(OURS,))
    for number in range(count):
        sighting = Sighting((KINDS["no_quiet_zone"],), f"{seed}/{number}", strength=1.0)
        door, frames = {OURS: at_the_door(door_decoder())}, list(sighting.frames(QUIET_FRAMES))
        at_door = [bool(judge.compare(door, luma, [sighting.payload])[OURS][0]) for luma in frames]
        each.append((any(at_door), bool(judge.compare(single, frames[0], [sighting.payload])[OURS][0])))
    return each, judge.faults
