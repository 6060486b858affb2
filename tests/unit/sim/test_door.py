"""The simulated door: hands that come to rest; and the demo's, whose people wait for their answer at a pace that no machine changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from types import ModuleType

import numpy as np
import pytest

from kiosk.config import Repeat
from kiosk.errors import CameraEndedError
from kiosk.sim.door import (
    APPROACH_S,
    CLOSING_S,
    HOLD_S,
    LEAVE_S,
    LOOK_S,
    PATIENCE_S,
    PAUSE_S,
    PatientDoor,
    SimulatedDoor,
    eased,
    sway_mm,
)
from kiosk.sim.shutter import Shutter


def _passed(door: PatientDoor, answers: Callable[[int], bool], pause_s: float = 0.0) -> list[tuple[bytes, int]]:
    """A summary of each frame: its picture's digest and who was in view; every one who may be is answered in their 9th frame."""
    frames = []
    since = 0
    with pytest.raises(CameraEndedError):
        while True:
            frame = door.next_frame(1.0)
            time.sleep(pause_s)
            since = since + 1 if door._came is not None else 0
            frames.append((blake2b(frame.luma.tobytes(), digest_size=8).digest(), door._index))
            if since == 9 and answers(door._index):
                door.answer(door.visits[door._index].payload)
    return frames


def test_patient_door_shows_the_same_to_quick_and_to_slow_readers() -> None:
    """Time there is counted in frames: what a seed brings does not depend on the machine, nor does who gives up."""
    doors = [PatientDoor(320, 240, 200, seed=5, people=4, realtime=realtime) for realtime in (False, True)]
    seen = [_passed(door, lambda index: index != 1, pause_s) for door, pause_s in zip(doors, (0.0, 0.006), strict=True)]
    assert seen[0] == seen[1]
    assert [(door.shown, door.unread) for door in doors] == [(4, 1), (4, 1)]


def test_patient_people_wait_for_their_own_answer() -> None:
    """Who was answered looks at the light and leaves; who was not holds the code up for `PATIENCE_S`; another's answer is none."""
    door = PatientDoor(320, 240, 30, seed=5, people=2, realtime=False)
    door.answer(door.visits[0].payload)
    frames = _passed(door, lambda index: index == 0)
    first, second = (sum(index == number for _, index in frames) for number in (0, 1))
    rest = round(30 * (LEAVE_S + PAUSE_S))
    assert first == 9 - 1 + round(30 * LOOK_S) + rest
    assert second == round(30 * (PATIENCE_S + LEAVE_S + CLOSING_S))
    door = PatientDoor(320, 240, 30, seed=5, people=2, realtime=False)
    while door._came is None:
        door.next_frame(1.0)
    door.answer(door.visits[1].payload)
    assert door.shown == 0


def test_patient_people_who_come_again_are_a_new_sighting() -> None:
    """However quickly the others were answered, the same code has been gone long enough."""
    door = next(
        door
        for door in (PatientDoor(320, 240, 30, seed=seed, people=8, realtime=False) for seed in range(50))
        if any(visit.comes_again for visit in door.visits)
    )
    frames = _passed(door, lambda _index: True)
    for index, visit in enumerate(door.visits):
        if visit.comes_again:
            earlier = max(i for i in range(index) if door.visits[i].payload == visit.payload)
            last = max(number for number, (_, seen) in enumerate(frames) if seen == earlier) - round(30 * PAUSE_S)
            assert (
                min(number for number, (_, seen) in enumerate(frames) if seen == index) - last >= 30 * Repeat().gone_s
            )


class FakeTime(ModuleType):
    """The module `time` of a machine on which only sleeping takes time."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME

    def __init__(self) -> None:
        super().__init__("time")
        self.now_ns = 5_000_000_000

    def clock_gettime_ns(self, _clock: int) -> int:
        return self.now_ns

    def sleep(self, time_s: float) -> None:
        self.now_ns += round(time_s * 1e9)


def test_patient_door_puts_its_clock_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was late is not late for ever: the time is right again once nobody is in view, and never goes back."""
    machine = FakeTime()
    monkeypatch.setattr("kiosk.sim.door.time", machine)
    door = PatientDoor(320, 240, 30, seed=5, people=1)
    exposed_ns, late_ns = [], []
    with pytest.raises(CameraEndedError):
        while True:
            exposed_ns.append(door.next_frame(1.0).exposed_at_boot_ns)
            late_ns.append(machine.now_ns - exposed_ns[-1])
            machine.sleep(0.05 if door._came is not None else 0.001)
    assert exposed_ns == sorted(set(exposed_ns))
    assert max(late_ns) > 1_000_000_000, "while somebody is in view, time is frames"
    assert abs(late_ns[0]) < 1000
    assert abs(late_ns[-1]) < 1000


def test_hand_comes_to_rest() -> None:
    """It arrives gently, sways fastest when it has just arrived, and is never quite still."""
    steps = np.diff([eased(share) for share in np.linspace(0, 1, 101)])
    assert eased(-1) == eased(0) == 0
    assert eased(1) == eased(2) == 1
    assert steps.argmax() in (49, 50)
    assert max(steps[0], steps[-1]) < 0.01 * steps.max()
    for hand in range(30):
        sways_mm = [sway_mm(Random(hand), APPROACH_S + at_s) for at_s in np.arange(0, 4, 0.005)]
        speeds_mm_s = np.abs(np.diff(sways_mm)) / 0.005
        assert speeds_mm_s[:200].max() <= 90.5
        assert speeds_mm_s[:20].max() > 2 * speeds_mm_s[400:].max() > 0


def test_door_smears_by_its_shutter_and_says_how_long_it_was_open() -> None:
    """The same people in the same places: what differs is the light, and the longer it is let in, the less is left of a moving code's edges."""
    pictures = {}
    for exposure_us in (0, 5_000, 15_000):
        door = SimulatedDoor(640, 480, seed=3, people=1, realtime=False, shutter=Shutter(exposure_us))
        assert door.next_frame(1.0).exposure_us == (exposure_us or None)
        at_s = door.visits[0].starts_s + APPROACH_S
        pictures[exposure_us] = [door.picture_at(at_s + on_s).astype(float) for on_s in (0.0, 0.03, 0.06)]
    edges = [sum(np.square(np.diff(each, axis=1)).mean() for each in pictures[key]) for key in (0, 5_000, 15_000)]
    assert edges[0] > edges[1] > edges[2]


def test_whole_visit_is_seen_in_any_light() -> None:
    """Neither an approach that is smeared over half the frame nor a leaving hand is more than a picture can hold."""
    door = SimulatedDoor(320, 240, seed=2, people=2, realtime=False, shutter=Shutter(33_000))
    frames = []
    with pytest.raises(CameraEndedError):
        while True:
            frames.append(door.next_frame(1.0).luma)
    assert len(frames) > 30 * HOLD_S
    assert {frame.shape for frame in frames} == {(240, 320)}
