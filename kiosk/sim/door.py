"""A simulated door that is a camera: invented people walk up, hold up what they carry, and leave. It knows the truth.

Seeded: the same seed brings the same people in the same order, in the same light. As with a real camera, a slow reader
sees fewer frames and never older ones; with `realtime=False` time stands still between frames, for tests and the bench.

At a `SimulatedDoor` people come and go by the clock, whether they were answered or not. At a `PatientDoor`, the demo's, they wait for
their answer, and time is counted in frames: who is read, and who gives up, depends on the seed and not on the machine.

Units: `_s` seconds since the door opened, `_px` pixels, `_ns` nanoseconds since boot.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from kiosk.errors import CameraEndedError
from kiosk.lens.frame import Frame
from kiosk.sim import people
from kiosk.sim.render import Face, Pose, Scene, face_of
from kiosk.sim.shutter import Shutter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

APPROACH_S = 0.35
HOLD_S = 0.75
LEAVE_S = 0.2
PAUSE_S = 0.3
CLOSING_S = 0.5
"""The door stays open so long after the last person, so that a slow reader is done with them."""
SWAY_MM_S, SWAY_SPREAD, SWAY_MOST_MM_S = 40.0, 0.5, 90.0
"""How fast hands move when they have just arrived: the median, the spread of its logarithm, and the most."""
REST_S = 0.5
"""In so long a hand's movement falls to a third."""
REST_SHARE = 0.12
"""What is left of it in the end: no hand is quite still."""
CODE_MM = {"card": 11.0, "paper": 30.0, "phone": 45.0}
"""How wide codes are, without their quiet zones: a hand's millimetres are the more pixels the smaller the code is that fills them."""
GONE_S = 2.0
"""Who comes again comes so long after having left: long enough to be a new sighting."""
LOOK_S = 0.5
"""So long a patient person looks at the light after the answer."""
PATIENCE_S = 3.0
"""A patient person who has not been answered leaves after so long."""
SHORT = Shutter()


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
        realtime: bool = True, shutter: Shutter = SHORT,
    ) -> None:  # fmt: skip
        """Open the door.

        Args:
            width_px: Width of a frame.
            height_px: Height of a frame.
            fps: Frames a second.
            seed: Who comes, and how they hold what they carry.
            people: How many come.
            realtime: False to let time pass only from frame to frame.
            shutter: How long a frame is exposed.
        """
        self.visits = visits_of(seed, people)
        self._interval_s = 1 / fps
        self._realtime = realtime
        self._sight = _Sight(width_px, height_px, fps, seed, shutter)
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
        exposed_at_boot_ns = self._opened_boot_ns + round(self.now_s * 1e9)
        return Frame(self.picture_at(self.now_s), exposed_at_boot_ns, exposure_us=self._sight.exposure_us)

    def close(self) -> None:
        """Nothing is held."""

    def picture_at(self, at_s: float) -> NDArray[np.uint8]:
        """What the camera sees at a time."""
        number = round(at_s / self._interval_s)
        index = self.visitor_at(at_s)
        if index is None:
            return self._sight.empty(number)
        visit = self.visits[index]
        since_s = at_s - visit.starts_s
        return self._sight.of(number, index, visit, since_s, since_s - APPROACH_S - HOLD_S)

    def visitor_at(self, at_s: float) -> int | None:
        """Which of the visits is in view at a time; None if nobody is."""
        return next((i for i, visit in enumerate(self.visits) if visit.starts_s <= at_s < visit.ends_s), None)


class PatientDoor:
    """A camera at a door at which invented people wait for their answer. Whoever gives it says so with `answer`.

    Every frame is handed over, however long the one before took to read, and none sooner than a camera would. Who has been
    answered looks at the light and leaves; who has not gives up after `PATIENCE_S` of frames.
    """

    def __init__(
        self, width_px: int = 1280, height_px: int = 720, fps: int = 30, *, seed: int = 1, people: int = 20,
        realtime: bool = True, shutter: Shutter = SHORT,
    ) -> None:  # fmt: skip
        """Open the door.

        Args:
            width_px: Width of a frame.
            height_px: Height of a frame.
            fps: Frames a second, at most.
            seed: Who comes, and how they hold what they carry.
            people: How many come.
            realtime: False to hand over frames as fast as they are asked for.
            shutter: How long a frame is exposed.
        """
        self.visits = visits_of(seed, people)
        self.shown = 0
        """Who has been answered or has given up. Who is in view and is still looked at does not count yet."""
        self.unread = 0
        """Who of them has given up."""
        self._fps = fps
        self._realtime = realtime
        self._sight = _Sight(width_px, height_px, fps, seed, shutter)
        self._number = -1
        self._index = -1
        self._came: int | None = None
        """The frame in which the one in view came; None while nobody is. All of these count frames."""
        self._leaves = 0
        self._answered = False
        self._next_comes = self._frames(PAUSE_S)
        self._left: dict[bytes, int] = {}
        self._opened_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def next_frame(self, timeout_s: float) -> Frame:  # noqa: ARG002  the next frame is always less than a second away
        """The next frame, not before it is due."""
        self._number += 1
        if self._realtime:
            self._wait()
        self._move_on()
        if self._index == len(self.visits) - 1 and self._came is None and self._number >= self._next_comes:
            raise CameraEndedError("everybody has passed")
        return Frame(self._picture(), self._opened_boot_ns + self._due_ns, exposure_us=self._sight.exposure_us)

    def close(self) -> None:
        """Nothing is held."""

    def answer(self, payload: bytes) -> None:
        """Let whoever holds up this code know that it was answered; nothing happens if nobody does."""
        if self._came is None or self._answered or self.visits[self._index].payload != payload:
            return
        self._answered = True
        self.shown += 1
        self._leaves = max(self._number + self._frames(LOOK_S), self._came + self._frames(APPROACH_S))

    @property
    def _due_ns(self) -> int:
        """When this frame is due, after the opening."""
        return round(self._number * 1e9 / self._fps)

    def _frames(self, time_s: float) -> int:
        return round(time_s * self._fps)

    def _wait(self) -> None:
        """Until this frame is due. A clock that is late, because frames took long to read, is put right when nobody looks."""
        late_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._opened_boot_ns - self._due_ns
        if late_ns < 0:
            time.sleep(-late_ns / 1e9)
        elif self._came is None:
            self._opened_boot_ns += late_ns

    def _move_on(self) -> None:
        """Who comes with this frame, and who goes."""
        if self._came is not None and self._number >= self._leaves + self._frames(LEAVE_S):
            self._left[self.visits[self._index].payload] = self._number
            self._came = None
            if not self._answered:
                self.shown += 1
                self.unread += 1
            self._next_comes = self._number + self._frames(PAUSE_S)
            if self._index == len(self.visits) - 1:
                self._next_comes = self._number + self._frames(CLOSING_S)
            elif (left := self._left.get(self.visits[self._index + 1].payload)) is not None:
                self._next_comes = max(self._next_comes, left + self._frames(GONE_S))
        if self._came is None and self._number >= self._next_comes and self._index < len(self.visits) - 1:
            self._index += 1
            self._came, self._answered = self._number, False
            self._leaves = self._number + self._frames(PATIENCE_S)

    def _picture(self) -> NDArray[np.uint8]:
        if self._came is None:
            return self._sight.empty(self._number)
        since_s, left_s = ((self._number - frame) / self._fps for frame in (self._came, self._leaves))
        return self._sight.of(self._number, self._index, self.visits[self._index], since_s, left_s)


class _Sight:
    """What a camera at the door sees."""

    def __init__(self, width_px: int, height_px: int, fps: int, seed: int, shutter: Shutter) -> None:
        self._size_px = (width_px, height_px)
        self._fps = fps
        self._seed = seed
        self._shutter = shutter
        self._scene = Scene(width_px, height_px, seed, shutter.noise)
        self._faces: dict[int, Face] = {}

    @property
    def exposure_us(self) -> int | None:
        """Of every frame; None where frames are moments."""
        return self._shutter.exposure_us or None

    def empty(self, number: int) -> NDArray[np.uint8]:
        """Nobody.

        Args:
            number: Of the frame.
        """
        return self._shutter.banded(self._scene.empty(number), number / self._fps)

    def of(self, number: int, index: int, visit: Visit, since_s: float, left_s: float) -> NDArray[np.uint8]:
        """Somebody.

        Args:
            number: Of the frame.
            index: Which of the visits it is.
            visit: The same.
            since_s: How long they have been in view.
            left_s: How long they have been leaving; negative while they stay.
        """
        if index not in self._faces:
            self._faces = {index: face_of(visit.payload, visit.carrier, inverted=visit.inverted)}
        open_s = self._shutter.open_s
        begun, ended = (self._pose(index, visit, since_s + on_s, left_s + on_s) for on_s in (0.0, open_s))
        pose = replace(begun, smear_px=(ended.x_px - begun.x_px, ended.y_px - begun.y_px))
        return self._shutter.banded(self._scene.with_carrier(self._faces[index], pose, number), number / self._fps)

    def _pose(self, index: int, visit: Visit, since_s: float, left_s: float) -> Pose:
        """Comes nearer, is held by a hand that comes to rest, leaves to the side."""
        random = Random(f"{self._seed}/{index}")
        width_px, height_px = self._size_px
        modules = self._faces[index].modules
        scale = min(width_px / 1280, height_px / 720)
        near_px = min(random.uniform(3.2, 5.5) * scale, 0.8 * height_px / modules)
        nearness = eased(since_s / APPROACH_S)
        leaving = max(0.0, left_s) / LEAVE_S
        tremble = [math.sin(since_s * random.uniform(9, 14) + random.uniform(0, 6)) for _ in range(3)]
        glossy = visit.carrier != "paper"
        pose = Pose(
            x_px=width_px * (random.uniform(0.35, 0.65) + 0.7 * leaving) + 3 * tremble[0],
            y_px=height_px * random.uniform(0.45, 0.58) + 3 * tremble[1],
            module_px=near_px * (0.45 + 0.55 * nearness),
            roll=random.gauss(0, 0.25) + 0.02 * tremble[2],
            yaw=random.uniform(-0.45, 0.45),
            pitch=random.uniform(-0.4, 0.4),
            blur_px=random.uniform(0.4, 0.25 * near_px) + 2.5 * (1 - nearness),
            gain=random.uniform(0.55, 1.1),
            glare=random.uniform(0.0, 0.35) if glossy and random.random() < 0.5 else 0.0,
        )
        rise_px = height_px * random.uniform(0.3, 0.7) * (1 - nearness)
        sway_px = sway_mm(random, since_s) * near_px * modules / CODE_MM[visit.carrier]
        heading = random.uniform(0, math.tau)
        across_px, down_px = sway_px * math.cos(heading), sway_px * math.sin(heading)
        return replace(pose, x_px=pose.x_px + across_px, y_px=pose.y_px + down_px + rise_px)


def eased(share: float) -> float:
    """How far a hand has come after this share of its time: it starts and ends at rest, with the least jerk.

    Source: Flash and Hogan, "The coordination of arm movements", J. Neurosci. 5 (1985).
    """
    share = min(1.0, max(0.0, share))
    return share**3 * (10 - 15 * share + 6 * share**2)


def sway_mm(random: Random, since_s: float) -> float:
    """How far a hand has strayed from where it will come to rest; fastest when it has just arrived.

    Args:
        random: Whose hand it is.
        since_s: How long it has been in view.
    """
    speed_mm_s = min(SWAY_MOST_MM_S, SWAY_MM_S * math.exp(random.gauss(0, SWAY_SPREAD)))
    rate = math.tau * random.uniform(1.0, 2.5)
    held_s = since_s - APPROACH_S
    left = REST_SHARE + (1 - REST_SHARE) * math.exp(-max(0.0, held_s) / REST_S)
    return speed_mm_s / rate * math.sin(rate * held_s) * left


def visits_of(seed: int, count: int) -> tuple[Visit, ...]:
    """Who comes to the door, in order; every kind of code, and some who come twice."""
    random = Random(seed)
    visits: list[Visit] = []
    at_s = PAUSE_S
    for _ in range(count):
        earlier = [visit for visit in visits[-5:] if visit.kind in {"cccd", "can-cuoc", "national-qr", "bhyt"}]
        if earlier and random.random() < 0.1:
            first = random.choice(earlier)
            at_s = max(at_s, first.ends_s + GONE_S)
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
