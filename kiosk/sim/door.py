"""A simulated door that is a camera: invented people walk up, hold up what they carry, and leave. It knows the truth.

Seeded: the same seed brings the same people in the same order, in the same light. As with a real camera, a slow reader
sees fewer frames and never older ones; with `realtime=False` time stands still between frames, for tests and the bench.

Units: `_s` seconds since the door opened, `_px` pixels, `_ns` nanoseconds since boot.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from kiosk.errors import CameraEndedError
from kiosk.lens.frame import Frame
from kiosk.sim import people
from kiosk.sim.render import Face, Pose, Scene, face_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

APPROACH_S = 0.35
HOLD_S = 0.75
LEAVE_S = 0.2
PAUSE_S = 0.3
CLOSING_S = 0.5
"""The door stays open so long after the last person, so that a slow reader is done with them."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One person at the door.

    Attributes:
        payload: What the code says.
        kind: "cccd", "can-cuoc", "national-qr", "bhyt", "payment", "link", "damaged".
        carrier: "phone", "card" or "paper".
        inverted: Shown white on black.
        comes_again: Whether the same code was shown a moment ago.
        starts_s: When it comes into view.
    """

    payload: bytes
    kind: str
    carrier: str
    inverted: bool
    comes_again: bool
    starts_s: float

    @property
    def ends_s(self) -> float:
        """When it has left."""
        return self.starts_s + APPROACH_S + HOLD_S + LEAVE_S


class SimulatedDoor:
    """A camera at a door at which invented people pass."""

    def __init__(
        self, width_px: int = 1280, height_px: int = 720, fps: int = 30, *, seed: int = 1, people: int = 20,
        realtime: bool = True,
    ) -> None:  # fmt: skip
        """Open the door.

        Args:
            width_px: Width of a frame.
            height_px: Height of a frame.
            fps: Frames a second.
            seed: Who comes, and how they hold what they carry.
            people: How many come.
            realtime: False to let time pass only from frame to frame.
        """
        self.visits = visits_of(seed, people)
        self._size_px = (width_px, height_px)
        self._interval_s = 1 / fps
        self._realtime = realtime
        self._seed = seed
        self._scene = Scene(width_px, height_px, seed)
        self._faces: dict[int, Face] = {}
        self._number = -1
        self._opened_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    @property
    def now_s(self) -> float:
        """The time of the last frame."""
        return max(0, self._number) * self._interval_s

    def shown(self) -> list[Visit]:
        """Who has come into view so far."""
        return [visit for visit in self.visits if visit.starts_s <= self.now_s]

    def next_frame(self, timeout_s: float) -> Frame:  # noqa: ARG002  the next frame is always less than a second away
        """The frame that is due now, or the next one."""
        self._number += 1
        if self._realtime:
            elapsed_s = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._opened_boot_ns) / 1e9
            self._number = max(self._number, math.floor(elapsed_s / self._interval_s))
            time.sleep(max(0.0, self._number * self._interval_s - elapsed_s))
        if self.now_s > (self.visits[-1].ends_s if self.visits else 0.0) + CLOSING_S:
            raise CameraEndedError("everybody has passed")
        return Frame(self.picture_at(self.now_s), self._opened_boot_ns + round(self.now_s * 1e9))

    def close(self) -> None:
        """Nothing is held."""

    def picture_at(self, at_s: float) -> NDArray[np.uint8]:
        """What the camera sees at a time."""
        number = round(at_s / self._interval_s)
        index = self.visitor_at(at_s)
        if index is None:
            return self._scene.empty(number)
        visit = self.visits[index]
        if index not in self._faces:
            self._faces = {index: face_of(visit.payload, visit.carrier, inverted=visit.inverted)}
        pose = self._pose(index, visit, at_s - visit.starts_s)
        return self._scene.with_carrier(self._faces[index], pose, number)

    def visitor_at(self, at_s: float) -> int | None:
        """Which of the visits is in view at a time; None if nobody is."""
        return next((i for i, visit in enumerate(self.visits) if visit.starts_s <= at_s < visit.ends_s), None)

    def _pose(self, index: int, visit: Visit, since_s: float) -> Pose:
        """Comes nearer, is held with a trembling hand, leaves to the side."""
        random = Random(f"{self._seed}/{index}")
        width_px, height_px = self._size_px
        modules = self._faces[index].modules
        scale = min(width_px / 1280, height_px / 720)
        near_px = min(random.uniform(3.2, 5.5) * scale, 0.8 * height_px / modules)
        nearness = min(1.0, since_s / APPROACH_S)
        leaving = max(0.0, since_s - APPROACH_S - HOLD_S) / LEAVE_S
        tremble = [math.sin(since_s * random.uniform(9, 14) + random.uniform(0, 6)) for _ in range(3)]
        glossy = visit.carrier != "paper"
        return Pose(
            x_px=width_px * (random.uniform(0.35, 0.65) + 0.7 * leaving) + 3 * tremble[0],
            y_px=height_px * random.uniform(0.45, 0.58) + 3 * tremble[1] + 0.25 * height_px * (1 - nearness),
            module_px=near_px * (0.45 + 0.55 * nearness),
            roll=random.gauss(0, 0.25) + 0.02 * tremble[2],
            yaw=random.uniform(-0.45, 0.45),
            pitch=random.uniform(-0.4, 0.4),
            blur_px=random.uniform(0.4, 0.25 * near_px) + 2.5 * (1 - nearness) + 3 * leaving,
            gain=random.uniform(0.55, 1.1),
            glare=random.uniform(0.0, 0.35) if glossy and random.random() < 0.5 else 0.0,
        )


def visits_of(seed: int, count: int) -> tuple[Visit, ...]:
    """Who comes to the door, in order; every kind of code, and some who come twice."""
    random = Random(seed)
    visits: list[Visit] = []
    at_s = PAUSE_S
    for _ in range(count):
        earlier = [visit for visit in visits[-5:] if visit.kind in {"cccd", "can-cuoc", "national-qr", "bhyt"}]
        if earlier and random.random() < 0.1:
            first = random.choice(earlier)
            # Gone long enough to be a new sighting.
            at_s = max(at_s, first.ends_s + 2.0)
            visit = Visit(first.payload, first.kind, first.carrier, first.inverted, comes_again=True, starts_s=at_s)
        else:
            visit = _first_visit(random, at_s)
        visits.append(visit)
        at_s = visit.ends_s + PAUSE_S
    return tuple(visits)


def _first_visit(random: Random, at_s: float) -> Visit:
    person = people.somebody(random)
    kind = random.choices(
        ("cccd", "can-cuoc", "national-qr", "bhyt", "payment", "link", "damaged"), (50, 14, 14, 8, 5, 5, 4)
    )[0]
    carriers: tuple[str, ...]
    match kind:
        case "cccd" | "can-cuoc":
            text, carriers = people.citizen_card(person, random, new=kind == "can-cuoc"), ("card", "card", "phone")
        case "national-qr":
            text, carriers = people.national_qr(person, random), ("phone", "paper")
        case "bhyt":
            text, carriers = people.bhyt(person, random), ("paper", "phone")
        case "payment":
            text, carriers = f"00020101021238{random.randrange(10**30)}5802VN6304ABCD", ("phone", "paper")
        case "link":
            text, carriers = f"https://office.example/checkin?place={random.randrange(10**6)}", ("phone", "paper")
        case _:
            text, carriers = people.citizen_card(person, random).rsplit("|", 3)[0], ("paper",)
    carrier = random.choice(carriers)
    inverted = carrier == "phone" and random.random() < 0.4
    return Visit(text.encode(), kind, carrier, inverted, comes_again=False, starts_s=at_s)
