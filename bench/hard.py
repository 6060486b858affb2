"""Hard door frames, seeded: what people hold up when they do not think of a camera. Rendered by `kiosk.sim.render`.

Blurred, dark, tilted, far, with glare and noise; harder than the demo's door, and independent of what the passes know.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.troubles.strokes import clipped, grain
from kiosk.sim import people
from kiosk.sim.render import Pose, Scene, face_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kiosk.sim.render import Face

    Luma = NDArray[np.uint8]

WIDTH_PX, HEIGHT_PX = 1280, 720
SENSOR_NOISE = 2.5
"""Standard deviation of a good camera's noise, in steps of brightness."""


def hard_frames(seed: int | str, count: int) -> Iterator[tuple[Luma, bytes]]:
    """Single frames with their payloads.

    Args:
        seed: Which.
        count: How many.
    """
    for number in range(count):
        random = Random(f"{seed}/{number}")
        payload, carrier, inverted = _carried(random)
        yield _frame(random, payload, carrier, _pose(random), inverted=inverted), payload


def approaches(seed: int | str, people: int, frames: int) -> Iterator[tuple[bytes, list[Luma]]]:
    """For each person the payload and the frames of coming nearer with a trembling hand.

    Args:
        seed: Which.
        people: How many.
        frames: Of each.
    """
    for number in range(people):
        random = Random(f"{seed}/approach/{number}")
        payload, carrier, inverted = _carried(random)
        near, phase = _pose(random), random.uniform(0, 6.28)
        shown = []
        for step in range(frames):
            done = step / (frames - 1)
            pose = replace(
                near,
                module_px=near.module_px * (0.75 + 0.35 * done),
                roll=near.roll + 0.07 * math.sin(phase + 3 * done),
                blur_px=near.blur_px * (1 + 0.8 * abs(math.cos(1.7 * phase + 2.5 * done))),
                x_px=near.x_px + 30 * math.sin(phase + 2 * done),
            )
            shown.append(_frame(random, payload, carrier, pose, inverted=inverted))
        yield payload, shown


def special_frames(seed: int | str, count: int) -> dict[str, list[tuple[Luma, bytes]]]:
    """The cases that the reader promises to read.

    Args:
        seed: Which.
        count: How many of each.
    """
    middle = Pose(WIDTH_PX / 2, HEIGHT_PX / 2, 4.0, blur_px=0.5)
    cases = {
        "1.75 px a module": replace(middle, module_px=1.75),
        "blur of 2 px at 4 px a module": replace(middle, blur_px=2.0),
        "tilted by 55°": replace(middle, yaw=math.radians(55)),
        "inverted": middle,
    }
    made: dict[str, list[tuple[Luma, bytes]]] = {}
    for title, pose in cases.items():
        frames = made.setdefault(title, [])
        for number in range(count):
            random = Random(f"{seed}/{title}/{number}")
            payload = people.citizen_card(people.somebody(random), random).encode()
            turned = replace(pose, roll=random.gauss(0, 0.15))
            frames.append(
                (_frame(random, payload, "paper", turned, inverted=title == "inverted", is_hard=False), payload)
            )
    return made


def _carried(random: Random) -> tuple[bytes, str, bool]:
    carrier = random.choice(("phone", "phone", "card", "paper"))
    payload = people.citizen_card(people.somebody(random), random, new=random.random() < 0.3).encode()
    return payload, carrier, carrier == "phone" and random.random() < 0.3


def _pose(random: Random) -> Pose:
    return Pose(
        x_px=WIDTH_PX * random.uniform(0.35, 0.65),
        y_px=HEIGHT_PX * random.uniform(0.4, 0.6),
        module_px=math.exp(random.uniform(math.log(1.8), math.log(6.0))),
        roll=random.gauss(0, 0.3),
        yaw=max(-0.9, min(0.9, random.gauss(0, 0.4))),
        pitch=max(-0.9, min(0.9, random.gauss(0, 0.35))),
        blur_px=0.3 + abs(random.gauss(0.7, 0.9)),
        gain=random.uniform(0.2, 1.1),
        glare=random.uniform(0, 0.8) if random.random() < 0.3 else 0.0,
    )


def _frame(random: Random, payload: bytes, carrier: str, pose: Pose, *, inverted: bool, is_hard: bool = True) -> Luma:
    scene = Scene(WIDTH_PX, HEIGHT_PX, random.randrange(1000), noise=0)
    frame = scene.with_carrier(_face(payload, carrier, inverted), pose, 0)
    noise = math.hypot(SENSOR_NOISE, random.uniform(1, 9)) if is_hard else SENSOR_NOISE
    noisy = clipped(frame + grain(frame.shape, noise, random.getrandbits(31)))
    if not is_hard:
        return noisy
    quality = random.choice((70, 85, 95))
    encoded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)


@lru_cache(maxsize=2)
def _face(payload: bytes, carrier: str, inverted: bool) -> Face:  # noqa: FBT001  a key of the cache
    return face_of(payload, carrier, inverted=inverted)
