"""How often a hand that moves is read, by its speed and the exposure: a curve, and a floor below it.

    python -m bench.motion [--draws N] [--floor-draws N] [--people N] [--seed S]

A draw is one frame: an 11 mm code of 53 modules, as a citizen card has it, 15 cm before a Camera Module 3 at 1280×720, which is 2.0 pixels a
module; the card a little askew, the lens a little soft, the hand on its way in any direction, the lamps on the mains. It is given to a
fresh reader with the settings that a station has by default, its budget in processor time. At no speed there is no smear: the same cards in the
same light, held still.

Then people pass the simulated door, whose hands move when they arrive and come to rest: at each exposure, and as if there were no smear.

The floor is the first table's: at 50 mm/s, where the light allows 5 ms, at least 0.9 of the draws are read. The exit code is 1 if they are not.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.decoding.intervals import wilson
from kiosk.config import Camera, Decode
from kiosk.decoder import Decoder
from kiosk.errors import CameraEndedError
from kiosk.lens.frame import Frame
from kiosk.lens.optics import small_size_px
from kiosk.sim import people
from kiosk.sim.door import SimulatedDoor
from kiosk.sim.render import Pose, Scene, face_of
from kiosk.sim.shutter import Shutter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kiosk.sim.render import Face

SETTINGS = Camera()
SPEEDS_MM_S = (0, 10, 20, 30, 40, 50, 60, 75, 100, 150, 200)
EXPOSURES_MS = (5, 10, 15, 20, 33)
DOOR_EXPOSURES_MS = (0, 5, 15)
"""At the door; 0 is without smear and bands."""
FLOOR_AT, FLOOR = (50, 5), 0.9
"""Millimetres a second and milliseconds; the least share that is read there."""
FLOOR_DRAWS_MIN = 200
CODE_MM, CODE_MODULES, CODE_BYTES = 11.0, 53, range(153, 181)
"""Of a citizen card's code: version 9, and what fits into it at level M and not into the one below."""
VIEW_MM = 130.0
"""What a Camera Module 3 sees across in its fast mode at 15 cm."""
LENS_PX = 0.7
ROOMS = 3


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with Wilson's interval of 95 %."""

    hits: int
    n: int

    def __str__(self) -> str:
        share = wilson(self.hits, self.n)
        return f"{share.value:.2f} ({share.low:.2f}–{share.high:.2f})"


@dataclass(frozen=True, slots=True)
class Held:
    """A card that somebody holds up, drawn by a seed: the same card, place and way at every speed and exposure.

    Attributes:
        face: The card.
        payload: What its code says.
        pose: How it is held, still.
        heading: Which way the hand moves, radians.
        room: In which of the rooms.
        at_s: When, as the lamps count it.
    """

    face: Face
    payload: bytes
    pose: Pose
    heading: float
    room: int
    at_s: float

    def frame(self, speed_mm_s: float, shutter: Shutter, rooms: list[Scene]) -> Frame:
        """What the camera sees.

        Args:
            speed_mm_s: Of the hand.
            shutter: How long a frame is exposed.
            rooms: With this shutter's noise.
        """
        way_px = speed_mm_s * shutter.open_s * SETTINGS.width_px / VIEW_MM
        pose = replace(self.pose, smear_px=(way_px * math.cos(self.heading), way_px * math.sin(self.heading)))
        picture = rooms[self.room].with_carrier(self.face, pose, round(1000 * self.at_s))
        return _taken(shutter.banded(picture, self.at_s))


def held(seed: str, number: int) -> Held:
    """Draw one.

    Args:
        seed: Which series.
        number: Of the draw.
    """
    random = Random(f"{seed}/{number}")
    payload = b""
    while len(payload) not in CODE_BYTES:
        payload = people.citizen_card(people.somebody(random), random, new=random.random() < 0.5).encode()
    pose = Pose(
        x_px=SETTINGS.width_px * random.uniform(0.4, 0.6),
        y_px=SETTINGS.height_px * random.uniform(0.4, 0.6),
        module_px=SETTINGS.width_px / VIEW_MM * CODE_MM / CODE_MODULES,
        roll=random.gauss(0, 0.15),
        yaw=random.uniform(-0.15, 0.15),
        pitch=random.uniform(-0.15, 0.15),
        blur_px=LENS_PX,
        gain=random.uniform(0.7, 1.0),
    )
    return Held(
        face_of(payload, "card"), payload, pose, random.uniform(0, math.tau), random.randrange(ROOMS), random.random()
    )


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100, help="of each speed and exposure")
    parser.add_argument("--floor-draws", type=int, default=400, help=f"of the floor's, at least {FLOOR_DRAWS_MIN}")
    parser.add_argument(
        "--people", type=int, default=100, help="who pass the simulated door at each exposure; 0 = none"
    )
    parser.add_argument("--seed", default="motion")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    floor_draws = max(FLOOR_DRAWS_MIN, arguments.floor_draws)
    shares = curve(arguments.seed, arguments.draws, floor_draws)
    print(f"# Moving hands, seed {arguments.seed}\n")
    print(f"Read in one frame: share (95 %), {arguments.draws} draws each, {floor_draws} at the floor.\n")
    print("| mm/s | " + " | ".join(f"{exposure_ms} ms" for exposure_ms in EXPOSURES_MS) + " |")
    print("|---|" + "---|" * len(EXPOSURES_MS))
    for speed_mm_s in SPEEDS_MM_S:
        title = speed_mm_s or "0 (no smear)"
        print(f"| {title} | " + " | ".join(str(shares[speed_mm_s, each]) for each in EXPOSURES_MS) + " |")
    if arguments.people:
        print(
            "\n| at the simulated door | people | read before they left | frames until then, median |\n|---|---|---|---|"
        )
        for exposure_ms in DOOR_EXPOSURES_MS:
            share, frames = passed_of(arguments.seed, arguments.people, Shutter(1000 * exposure_ms))
            title = f"{exposure_ms} ms, smear and bands" if exposure_ms else "without smear and bands"
            print(f"| {title} | {share.n} | {share} | {frames} |", flush=True)
    floor = shares[FLOOR_AT]
    holds = floor.hits >= FLOOR * floor.n
    print(f"\nfloor at {FLOOR_AT[0]} mm/s and {FLOOR_AT[1]} ms: {floor.hits} of {floor.n} read, {floor}, "
          f"at least {FLOOR} wanted: {'held' if holds else 'MISSED'}")  # fmt: skip
    return 0 if holds else 1


def curve(seed: str, draws: int, floor_draws: int) -> dict[tuple[int, int], Share]:
    """What a fresh reader reads of each frame, by speed (mm/s) and exposure (ms).

    Args:
        seed: Which series of draws.
        draws: How many at each place.
        floor_draws: How many at the floor's.
    """
    shutters = {exposure_ms: Shutter(1000 * exposure_ms) for exposure_ms in EXPOSURES_MS}
    rooms = {
        exposure_ms: [Scene(SETTINGS.width_px, SETTINGS.height_px, room, shutter.noise) for room in range(ROOMS)]
        for exposure_ms, shutter in shutters.items()
    }
    wanted = dict.fromkeys(product(SPEEDS_MM_S, EXPOSURES_MS), draws) | {FLOOR_AT: floor_draws}
    hits = dict.fromkeys(wanted, 0)
    for number in range(max(wanted.values())):
        card = held(seed, number)
        for (speed_mm_s, exposure_ms), many in wanted.items():
            if number < many:
                frame = card.frame(speed_mm_s, shutters[exposure_ms], rooms[exposure_ms])
                hits[speed_mm_s, exposure_ms] += card.payload in _payloads(_reader(), frame)
    return {place: Share(hits[place], many) for place, many in wanted.items()}


def passed_of(seed: str, count: int, shutter: Shutter) -> tuple[Share, int]:
    """How many people were read before they left the simulated door, and after how many frames, in the middle.

    Args:
        seed: Who comes.
        count: How many.
        shutter: How long a frame is exposed.
    """
    door = SimulatedDoor(
        SETTINGS.width_px, SETTINGS.height_px, SETTINGS.fps, seed=Random(seed).randrange(2**31), people=count,
        realtime=False, shutter=shutter,
    )  # fmt: skip
    reader, first = _reader(), dict[int, int]()
    for frame, visitor in _frames_of(door):
        payloads = _payloads(reader, _taken(frame.luma))
        if visitor is not None and visitor not in first and door.visits[visitor].payload in payloads:
            first[visitor] = round((door.now_s - door.visits[visitor].starts_s) * SETTINGS.fps)
    return Share(len(first), count), sorted(first.values())[len(first) // 2] if first else 0


def _frames_of(door: SimulatedDoor) -> Iterator[tuple[Frame, int | None]]:
    with suppress(CameraEndedError):
        while True:
            yield door.next_frame(1.0), door.visitor_at(door.now_s)


def _reader() -> Decoder:
    """With a station's settings; its budget is the processor's time, so that a busy machine measures the same."""
    return Decoder(Decode().budget_ms, now_ns=time.thread_time_ns)


def _payloads(reader: Decoder, frame: Frame) -> set[bytes]:
    return {reading.payload for reading in reader.read(frame)}


def _taken(luma: NDArray[np.uint8]) -> Frame:
    """A frame with the small picture that a Pi camera makes."""
    size_px = small_size_px(SETTINGS)
    small = None if size_px is None else np.asarray(cv2.resize(luma, size_px, interpolation=cv2.INTER_AREA), np.uint8)
    return Frame(luma, 0, small)


if __name__ == "__main__":
    sys.exit(main())
