"""Somebody with a trouble at the door: the frames that the camera sees, rendered by `kiosk.sim.render`.

Kinds compose: each works at its stage, in the order in which they are named. Everything is seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sin
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.troubles.kind import SKIN_MARGIN_M, Draw, Stage, generator
from bench.troubles.strokes import clipped, grain
from kiosk.sim import people
from kiosk.sim.render import FACE_MODULE_PX, Pose, Scene, face_of, layered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bench.troubles.kind import Kind
    from kiosk.sim.render import Face

    Luma = NDArray[np.uint8]

WIDTH_PX, HEIGHT_PX = 1280, 720
POSTED = b"https://kbyt.example.vn/diem/49-0123"
"""The code of a poster, which may be in view beside a person's; reading it is right, too."""
STRENGTHS = (0.7, 1.15)
"""Of people with a kind, from the mildest to the worst."""


@dataclass(frozen=True)
class Sighting:
    """One person with one card and what ails it.

    Attributes:
        kinds: What ails it, in order.
        seed: Which person, room and hand.
        strength: Of the kinds; None draws it within `STRENGTHS`.
    """

    kinds: tuple[Kind, ...]
    seed: str
    strength: float | None = None

    @property
    def payload(self) -> bytes:
        """What the code says."""
        return self._person()[0]

    def frames(self, count: int) -> Iterator[Luma]:
        """What the camera sees.

        Args:
            count: So many frames, shape (720, 1280) each.
        """
        payload, carrier, random = self._person()
        strength = random.uniform(*STRENGTHS) if self.strength is None else self.strength
        near = _pose(random)
        scene = Scene(WIDTH_PX, HEIGHT_PX, random.randrange(1000), noise=0)
        phase, noise = random.uniform(0, 6.28), random.uniform(1.5, 3.5)
        face = self._worn(face_of(payload, carrier), strength)
        for number in range(count):
            pose = _trembling(near, number, phase)
            pose = self._at(Stage.POSE, pose, number, (pose.x_px, pose.y_px, pose.module_px), face.modules, strength)
            place = (pose.x_px, pose.y_px, pose.module_px)
            frame = scene.with_carrier(face, pose, number)
            frame = self._at(Stage.LIGHT, frame, number, place, face.modules, strength)
            frame = clipped(frame + grain(frame.shape, noise, random.getrandbits(31)))
            yield self._at(Stage.SENSOR, frame, number, place, face.modules, strength)

    def _person(self) -> tuple[bytes, str, Random]:
        random = Random(f"{self.seed}/{'+'.join(kind.name for kind in self.kinds)}")
        person = people.somebody(random)
        payload = people.citizen_card(person, random, new=random.random() < 0.3).encode()
        both = [
            carrier for carrier in ("phone", "card", "paper") if all(carrier in kind.carriers for kind in self.kinds)
        ]
        return payload, random.choice(both or ["paper"]), random

    def _worn(self, face: Face, strength: float) -> Face:
        front = face.levels[0]
        middle_y, middle_x = front.shape[0] // 2, front.shape[1] // 2
        half_px = (face.modules // 2 + SKIN_MARGIN_M) * FACE_MODULE_PX + FACE_MODULE_PX // 2
        top, left = max(0, middle_y - half_px), max(0, middle_x - half_px)
        skin = np.ascontiguousarray(front[top : middle_y + half_px, left : middle_x + half_px])
        place = (float(middle_x - left), float(middle_y - top), float(FACE_MODULE_PX))
        worn = self._at(Stage.SKIN, skin, 0, place, face.modules, strength)
        if worn is not skin:
            front = front.copy()
            front[top : middle_y + half_px, left : middle_x + half_px] = worn
        place = (float(middle_x), float(middle_y), float(FACE_MODULE_PX))
        front = self._at(Stage.FRONT, front, 0, place, face.modules, strength)
        return face if front is face.levels[0] else layered(front, face.modules)

    def _at(
        self,
        stage: Stage,
        picture: Any,  # noqa: ANN401  a pose or a picture
        number: int,
        place: tuple[float, float, float],
        modules: int,
        strength: float,
    ) -> Any:  # noqa: ANN401  the same
        for kind in self.kinds:
            if kind.stage is stage:
                fixed, passing = generator(self.seed, kind.name), generator(self.seed, kind.name, number)
                picture = kind(picture, Draw(strength, fixed, passing, number, *place, modules))
        return picture


def sightings(kind: Kind, seed: str, people_count: int) -> Sequence[Sighting]:
    """Several people with the same kind of trouble."""
    return [Sighting((kind,), f"{seed}/{number}") for number in range(people_count)]


def _pose(random: Random) -> Pose:
    return Pose(
        x_px=WIDTH_PX * random.uniform(0.4, 0.6),
        y_px=HEIGHT_PX * random.uniform(0.45, 0.55),
        module_px=random.uniform(2.8, 4.6),
        roll=random.gauss(0, 0.15),
        yaw=max(-0.35, min(0.35, random.gauss(0, 0.15))),
        pitch=max(-0.35, min(0.35, random.gauss(0, 0.15))),
        blur_px=random.uniform(0.5, 0.9),
        gain=random.uniform(0.8, 1.05),
    )


def _trembling(near: Pose, number: int, phase: float) -> Pose:
    return Pose(
        x_px=near.x_px + 6 * sin(phase + 0.7 * number),
        y_px=near.y_px + 4 * sin(2 * phase + 0.9 * number),
        module_px=near.module_px * (1 + 0.02 * sin(phase + 0.4 * number)),
        roll=near.roll + 0.025 * sin(3 * phase + 0.6 * number),
        yaw=near.yaw + 0.02 * sin(phase + 0.5 * number),
        pitch=near.pitch,
        blur_px=near.blur_px * (1 + 0.15 * sin(phase + 1.1 * number)),
        gain=near.gain,
    )
