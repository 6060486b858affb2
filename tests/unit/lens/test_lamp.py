"""The lamp follows the light at the door, and does not blink."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.config import Lamp as Settings
from kiosk.errors import CameraEndedError
from kiosk.lens.frame import Frame
from kiosk.lens.lamp import FIRST_HOLD_NS, LONGEST_HOLD_NS, RELAPSE_NS, Glow, LitCamera, brightness_of, glow_after

S = 1_000_000_000
DARK = Settings(when="dark", dark_below=40, bright_above=140)


class Recorder:
    """A lamp with a memory."""

    def __init__(self) -> None:
        self.lit: list[bool] = []
        self.closed = False

    def light(self, *, lit: bool) -> None:
        self.lit.append(lit)

    def close(self) -> None:
        self.closed = True


class Room:
    """A camera in a room as bright as the test says, ten frames a second, a quarter of them black."""

    def __init__(self, lamp: Recorder, *, with_small: bool) -> None:
        self.ambient, self.from_lamp = 120, 100
        self.closed = False
        self._lamp = lamp
        self._with_small = with_small
        self._boot_ns = 100 * S

    def next_frame(self, timeout_s: float) -> Frame:
        if timeout_s <= 0:
            raise CameraEndedError("over")
        self._boot_ns += S // 10
        lit = bool(self._lamp.lit) and self._lamp.lit[-1]
        luma = np.full((48, 64), min(255, self.ambient + lit * self.from_lamp), np.uint8)
        if self._boot_ns // (S // 10) % 4 == 0:
            luma[:] = 0
        return Frame(
            np.zeros_like(luma) if self._with_small else luma, self._boot_ns, luma if self._with_small else None
        )

    def close(self) -> None:
        self.closed = True

    def pass_s(self, camera: LitCamera, seconds: float) -> int:
        """Look for so long; how often the lamp was switched."""
        before = len(self._lamp.lit)
        for _ in range(round(seconds * 10)):
            camera.next_frame(1.0)
        return len(self._lamp.lit) - before


@pytest.mark.parametrize("with_small", [True, False])
def test_lamp_is_lit_while_it_is_dark(with_small: bool) -> None:  # noqa: FBT001
    """Off by day, on at dusk, off when day has come and it has been on for a while; dark at the end."""
    lamp = Recorder()
    room = Room(lamp, with_small=with_small)
    camera = LitCamera(room, lamp, DARK)
    assert room.pass_s(camera, 10) == 0
    room.ambient = 20
    room.pass_s(camera, 10)
    assert lamp.lit == [True]
    room.ambient = 150
    room.pass_s(camera, 30)
    assert lamp.lit == [True, False]
    camera.close()
    assert lamp.closed
    assert room.closed


def test_lamp_that_is_the_only_light_does_not_blink() -> None:
    """In a dark room that it lights brightly, an hour of night has a handful of trials and not hundreds."""
    lamp = Recorder()
    room = Room(lamp, with_small=False)
    room.ambient, room.from_lamp = 5, 240
    camera = LitCamera(room, lamp, DARK)
    assert room.pass_s(camera, 3600) <= 16
    assert lamp.lit[-1]


@pytest.mark.parametrize(("when", "lit"), [("always", [True]), ("never", [])])
def test_lamp_may_be_steady(when: str, lit: list[bool]) -> None:
    """Whatever the light."""
    lamp = Recorder()
    room = Room(lamp, with_small=False)
    camera = LitCamera(room, lamp, Settings.model_validate({"when": when}))
    room.ambient = 0
    room.pass_s(camera, 5)
    assert lamp.lit == lit
    with pytest.raises(CameraEndedError):
        camera.next_frame(0)


@pytest.mark.parametrize(
    ("glow", "brightness", "after"),
    [
        (Glow(), 39, Glow(lit=True, since_boot_ns=1000 * S)),
        (Glow(), 40, Glow()),
        (Glow(lit=False, since_boot_ns=1000 * S - RELAPSE_NS), 0, Glow(lit=True, since_boot_ns=1000 * S)),
        (
            Glow(lit=False, since_boot_ns=1000 * S - 1),
            0,
            Glow(lit=True, since_boot_ns=1000 * S, hold_ns=2 * FIRST_HOLD_NS),
        ),
        (
            Glow(lit=False, since_boot_ns=999 * S, hold_ns=LONGEST_HOLD_NS),
            0,
            Glow(lit=True, since_boot_ns=1000 * S, hold_ns=LONGEST_HOLD_NS),
        ),
        (Glow(lit=True, since_boot_ns=980 * S), 141, Glow(lit=False, since_boot_ns=1000 * S)),
        (Glow(lit=True, since_boot_ns=981 * S), 255, Glow(lit=True, since_boot_ns=981 * S)),
        (Glow(lit=True, since_boot_ns=1 * S), 140, Glow(lit=True, since_boot_ns=1 * S)),
    ],
)
def test_thresholds_and_holds(glow: Glow, brightness: float, after: Glow) -> None:
    """Between the two thresholds nothing changes; a relapse doubles the hold, up to a limit, and a real day resets it."""
    assert glow_after(glow, brightness, 1000 * S, DARK) == after


def test_bright_phone_is_not_daylight() -> None:
    """The median speaks for most of the picture."""
    luma = np.full((720, 1280), 10, np.uint8)
    luma[100:400, 100:700] = 255
    assert brightness_of(luma) == 10
