"""A camera that stalls, vanishes or shows garbage, and pins that are busy: the door says so, and what was green is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from kiosk.config import Config
from kiosk.decoder import Decoder
from kiosk.errors import CameraError, CameraStalledError, PanelError
from kiosk.gpio import GpioOutputs
from kiosk.lens.frame import Frame
from kiosk.outbox import Outbox
from kiosk.scanner import Scanner, run
from tests.fault.door import Door, people_in


@pytest.fixture
def door(make_config: Callable[..., Config]) -> Iterator[Door]:
    """A door that three people have passed."""
    config = make_config()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        greens: list[str] = []
        door = Door(config, outbox, greens.append)
        for number in range(3):
            assert len(door.show(number, 2)) == 1
        yield door


@pytest.mark.parametrize(
    ("fault", "error"),
    [("camera stalls", CameraStalledError(5.0)), ("camera vanishes", CameraError("the camera is gone"))],
)
def test_camera_that_fails_ends_the_process(door: Door, tell: Any, fault: str, error: CameraError) -> None:
    """The loop ends with an error that has a remedy and an exit code for a restart; what was green is in the outbox."""

    def fails() -> None:
        raise error

    door.people.before_frame = fails
    with pytest.raises(type(error)) as caught:
        run(door.scanner, stop=lambda: False)
    assert caught.value.hint
    assert caught.value.exit_code == 10
    kept = people_in(door.parts.outbox)
    tell(fault, rounds=1, greens=3, kept=len(kept), lost=3 - len(kept), doubled=0, where="outbox")
    assert kept == [0, 1, 2]


def test_garbage_from_the_camera_is_no_entry(
    make_config: Callable[..., Config], door: Door, scale: Any, tell: Any
) -> None:
    """Noise, black, white, stripes and a chequerboard: nobody is recorded, and the next code is."""
    random = np.random.default_rng(1)
    shape = (240, 320)
    pictures = [
        np.zeros(shape, np.uint8),
        np.full(shape, 255, np.uint8),
        np.tile(np.array([0, 255], np.uint8), (240, 160)),
        np.indices(shape).sum(axis=0).astype(np.uint8) % 2 * 255,
        *(random.integers(0, 256, shape, np.uint8) for _ in range(scale(10, 200))),
    ]
    frames = iter(pictures)

    class Garbage:
        def next_frame(self, timeout_s: float) -> Frame:
            assert timeout_s > 0
            return Frame(next(frames).astype(np.uint8), door.clock.boot_ns())

        def close(self) -> None:
            pass

    config = make_config()
    parts = replace(door.parts, camera=Garbage(), decoder=Decoder(60_000))
    scanner = Scanner(config, config.lanes[0], parts)
    for _ in pictures:
        assert all(scan.entry is None for scan in scanner.step())
    assert len(door.show(3, 2)) == 1
    kept = people_in(door.parts.outbox)
    tell(
        "camera shows garbage",
        rounds=len(pictures),
        greens=4,
        kept=len(kept),
        lost=4 - len(kept),
        doubled=0,
        where="outbox",
    )
    assert kept == [0, 1, 2, 3]


def test_busy_pin_stops_the_lane_before_anybody_is_recorded(make_config: Callable[..., Config]) -> None:
    """A pin that another program holds is an error with a remedy, at the start and not at the first citizen."""
    config = make_config(lanes=[{"panel": {"kind": "mock"}}])
    settings = config.lanes[0].panel
    factory = MockFactory(pin_class=MockPWMPin)
    first = GpioOutputs(settings, config.sound, factory)
    with pytest.raises(PanelError) as caught:
        GpioOutputs(settings, config.sound, factory)
    assert caught.value.hint
    assert caught.value.exit_code == 11
    first.close()
    GpioOutputs(settings, config.sound, factory).close()
