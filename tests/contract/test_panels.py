"""Every panel plays the same cues: on gpiozero's pins, in the terminal, or nowhere."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from kiosk import gpio
from kiosk.clock import Clock
from kiosk.config import Lamp as LampSettings
from kiosk.config import Lane, Sound
from kiosk.config import Panel as Settings
from kiosk.cues import CUES, DARK, MEANINGS, Cue, CueName, Rgb, Step, levels_of
from kiosk.errors import PanelError
from kiosk.gpio import GpioOutputs
from kiosk.lens.lamp import LitCamera
from kiosk.model import ClockQuality, Moment
from kiosk.panel import CuePlayer, Outputs
from kiosk.sim import opening
from kiosk.sim.door import SimulatedDoor
from kiosk.sim.terminal import SeenOutputs, TerminalOutputs
from tests.running import until

LOUD = Sound(quiet_from="00:00", quiet_to="00:00", volume_percent=100)
QUICK = Cue(CueName.RECORDED_IN, (Step((0, 255, 0), 1000, 20), Step((0, 255, 0), 0, 20)))
OTHER = Cue(CueName.REPEAT, (Step((255, 170, 0), 900, 20),))
LONG = Cue(CueName.WRONG_CODE, (Step((255, 0, 0), 330, 20_000),))
STANDING = Cue(CueName.READY, (Step((36, 36, 36), 500, 10), Step(DARK, 0, 10)), standing=True)


class Recorder:
    """Outputs with a memory."""

    def __init__(self) -> None:
        self.calls: list[tuple[Rgb, int, CueName | None]] = []
        self.closed = False
        self.broken = False
        self._name: CueName | None = None

    def begin(self, cue: Cue | None) -> None:
        self._name = None if cue is None else cue.name

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        if self.broken:
            raise OSError("pin gone")
        self.calls.append((rgb, tone_hz, self._name))

    def tune(self, sound: Sound) -> None:
        self.sound = sound

    def close(self) -> None:
        self.closed = True

    @property
    def names(self) -> list[CueName | None]:
        names: list[CueName | None] = []
        for *_, name in self.calls:
            if not names or names[-1] != name:
                names.append(name)
        return names


@pytest.fixture
def recorder() -> Recorder:
    """Outputs with a memory."""
    return Recorder()


@pytest.fixture
def player(recorder: Recorder) -> Iterator[CuePlayer]:
    """A player on them."""
    player = CuePlayer(recorder)
    yield player
    player.close()
    player.close()
    assert recorder.closed


def test_cues_are_played_one_after_another(player: CuePlayer, recorder: Recorder) -> None:
    """Two people on one phone get two answers."""
    player.show(QUICK, OTHER)
    until(lambda: recorder.names[-3:] == [CueName.RECORDED_IN, CueName.REPEAT, None])
    assert (0, 255, 0) in [rgb for rgb, *_ in recorder.calls]


def test_newest_answer_replaces_the_one_that_plays(player: CuePlayer, recorder: Recorder) -> None:
    """Whoever stands there now is answered now."""
    player.show(LONG, LONG)
    until(lambda: CueName.WRONG_CODE in recorder.names)
    player.show(QUICK)
    until(lambda: recorder.names[-1] is None and CueName.RECORDED_IN in recorder.names)
    assert recorder.names[-3:] == [CueName.WRONG_CODE, CueName.RECORDED_IN, None]


def test_receipt_is_shown_whole_before_anything_else(player: CuePlayer, recorder: Recorder) -> None:
    """A wrong code in the same frame, or in the next, takes no green away."""
    receipt = Cue(CueName.RECORDED_IN, (Step((0, 255, 0), 1000, 100), Step((0, 255, 0), 0, 100)))
    player.show(OTHER, receipt)
    until(lambda: CueName.RECORDED_IN in recorder.names)
    player.show(OTHER, receipt)
    until(lambda: recorder.names[-1] is None and CueName.REPEAT in recorder.names)
    answers = [name for *_, name in recorder.calls if name is not None]
    assert answers == [*[CueName.RECORDED_IN] * 4, CueName.REPEAT]


def test_errand_waits_for_the_people_at_the_door(player: CuePlayer, recorder: Recorder) -> None:
    """What the centre asks for is shown after receipts, and is not lost when further answers come."""
    errand = Cue(CueName.IDENTIFY, (Step((255, 255, 255), 2637, 20),))
    player.show(Cue(CueName.RECORDED_IN, (Step((0, 255, 0), 1000, 100),)))
    until(lambda: CueName.RECORDED_IN in recorder.names)
    player.show(errand)
    player.show(QUICK, OTHER)
    until(lambda: recorder.names[-1] is None and CueName.IDENTIFY in recorder.names)
    answers = [name for name in recorder.names if name is not None]
    assert answers == [CueName.RECORDED_IN, CueName.REPEAT, CueName.IDENTIFY]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is late after a moment."""
    monkeypatch.setattr("kiosk.panel.PATIENCE_S", 0.02)


@pytest.mark.usefixtures("impatient")
def test_late_answer_is_waited_for_in_white(player: CuePlayer, recorder: Recorder) -> None:
    """Whoever stands there is asked to wait, as long as it takes, without a sound; then she sees green whole."""
    player.stand(STANDING)
    until(lambda: CueName.READY in recorder.names)
    player.expect()
    until(lambda: recorder.names[-1] is CueName.WAIT)
    player.expect()
    player.stand(STANDING)
    player.show(QUICK)
    until(lambda: recorder.names[-2:] == [CueName.RECORDED_IN, CueName.READY])
    assert recorder.names[-4:-2] == [CueName.READY, CueName.WAIT]
    assert [call[2] for call in recorder.calls].count(CueName.RECORDED_IN) == len(QUICK.steps)
    assert not any(tone_hz for _, tone_hz, name in recorder.calls if name is CueName.WAIT)


def test_answer_in_time_is_not_waited_for(
    player: CuePlayer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is seen of a commit that is quick, nor of one that came to nothing."""
    monkeypatch.setattr("kiosk.panel.PATIENCE_S", 60.0)
    player.expect()
    player.show(QUICK)
    until(lambda: recorder.names[-1] is None and CueName.RECORDED_IN in recorder.names)
    player.expect()
    player.show()
    assert player._wait_from_s is None
    assert CueName.WAIT not in recorder.names


@pytest.mark.usefixtures("impatient")
def test_patience_is_asked_for_after_the_green_of_the_one_before(player: CuePlayer, recorder: Recorder) -> None:
    """A receipt that plays or waits its turn is shown whole first, in however many steps."""
    receipt = Cue(CueName.RECORDED_IN, (Step((0, 255, 0), 1000, 300), Step((0, 255, 0), 0, 300)))
    player.show(receipt, receipt, OTHER)
    player.expect()
    until(lambda: recorder.names[-1] is CueName.WAIT)
    answers = [name for *_, name in recorder.calls if name is not None]
    assert answers[:5] == [*[CueName.RECORDED_IN] * 4, CueName.WAIT]
    player.show(receipt)
    until(lambda: recorder.names[-1] is None)
    assert [name for *_, name in recorder.calls if name is not None][-2:] == [CueName.RECORDED_IN] * 2


@pytest.mark.usefixtures("impatient")
def test_any_other_answer_gives_way_to_whoever_waits(player: CuePlayer, recorder: Recorder) -> None:
    """Red of the one before is no answer to this one; what the centre asked for is still shown in the end."""
    player.show(LONG, Cue(CueName.IDENTIFY, (Step((255, 255, 255), 2637, 20),)))
    until(lambda: CueName.WRONG_CODE in recorder.names)
    player.expect()
    until(lambda: recorder.names[-1] is CueName.WAIT)
    player.show(QUICK)
    until(lambda: recorder.names[-1] is None)
    assert recorder.names[-5:] == [CueName.WRONG_CODE, CueName.WAIT, CueName.RECORDED_IN, CueName.IDENTIFY, None]


@pytest.mark.usefixtures("impatient")
def test_late_answer_keeps_no_panel_open(recorder: Recorder) -> None:
    """A process that is told to end while it waits goes dark."""
    player = CuePlayer(recorder)
    player.expect()
    until(lambda: recorder.names[-1] is CueName.WAIT)
    player.close()
    assert recorder.calls[-1] == (DARK, 0, None)


def test_standing_cue_goes_on_and_sounds_once(player: CuePlayer, recorder: Recorder) -> None:
    """It shines whenever nothing plays, comes back after an answer, and is silent after its first round."""
    player.stand(STANDING)
    until(lambda: len(recorder.calls) > 8)
    player.stand(STANDING)
    player.show(QUICK)
    until(lambda: recorder.names[-2:] == [CueName.RECORDED_IN, CueName.READY])
    until(lambda: len(recorder.calls) > 20)
    assert sum(tone_hz == 500 for _, tone_hz, _ in recorder.calls) == 1


def test_another_standing_cue_takes_over_at_once(player: CuePlayer, recorder: Recorder) -> None:
    """A fault is shown when it begins, not when a long step is over."""
    player.stand(Cue(CueName.READY, (Step(DARK, 0, 20_000),), standing=True))
    until(lambda: recorder.names[-1] is CueName.READY)
    player.stand(CUES[CueName.FAULT_STANDING])
    until(lambda: recorder.names[-1] is CueName.FAULT_STANDING)


def test_closed_panel_is_dark(recorder: Recorder) -> None:
    """Nothing shines on after the end, even in the middle of a cue."""
    player = CuePlayer(recorder)
    player.show(LONG)
    until(lambda: CueName.WRONG_CODE in recorder.names)
    player.close()
    assert recorder.calls[-1] == (DARK, 0, None)
    assert recorder.closed


def test_pin_that_fails_is_told_to_the_scan_loop(recorder: Recorder) -> None:
    """The loop learns of it at its next answer, with a remedy."""
    player = CuePlayer(recorder)
    recorder.broken = True
    player.show(QUICK)
    until(lambda: recorder.closed)
    with pytest.raises(PanelError, match="the panel has failed: pin gone; check the wiring"):
        player.show(QUICK)
    with pytest.raises(PanelError):
        player.stand(STANDING)
    player.close()


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """gpiozero's mock pins."""
    factory = MockFactory(pin_class=MockPWMPin)
    yield factory
    factory.reset()
    factory.close()


def _outputs(pins: MockFactory, sound: Sound = LOUD, **sections: object) -> GpioOutputs:
    return GpioOutputs(Settings.model_validate({"kind": "mock", **sections}), sound, pins)


def test_rgb_light_and_passive_buzzer(pins: MockFactory) -> None:
    """Levels and tone reach the configured pins; silence and darkness, too."""
    outputs = _outputs(pins)
    outputs.set((255, 51, 0), 880)
    assert [pins.pin(number).state for number in (17, 27, 22)] == pytest.approx([1.0, 0.2, 0.0])
    assert pins.pin(18).frequency == 880
    assert pins.pin(18).state == pytest.approx(0.5, abs=1e-3)
    outputs.set(DARK, 0)
    assert [pins.pin(number).state for number in (17, 27, 22, 18)] == [0, 0, 0, 0]
    outputs.close()
    outputs.close()


def test_separate_lights_and_active_buzzer(pins: MockFactory) -> None:
    """A yellow lamp takes over yellow; an active buzzer is on or off."""
    leds = {"kind": "separate", "red_pin": 5, "green_pin": 6, "blue_pin": None, "yellow_pin": 13}
    outputs = _outputs(pins, leds=leds, buzzer={"kind": "active", "pin": 19})
    outputs.set((255, 170, 0), 880)
    assert [pins.pin(number).state for number in (5, 6, 13, 19)] == [0, 0, 1, 1]
    outputs.set((0, 0, 255), 0)
    assert [pins.pin(number).state for number in (5, 6, 13, 19)] == [1, 1, 0, 0]
    outputs.close()


def test_inverted_wiring_is_inverted(pins: MockFactory) -> None:
    """A common-anode LED is dark while its pins are high."""
    outputs = _outputs(pins, leds={"active_high": False}, buzzer={"kind": "none"})
    outputs.set((255, 0, 0), 440)
    assert (pins.pin(17).state, pins.pin(27).state) == (0, 1)
    outputs.close()


@pytest.mark.parametrize(("percent", "duty"), [(100, 0.5), (50, 0.12), (1, 0.01), (0, 0.0)])
def test_volume_is_the_duty_of_the_wave(pins: MockFactory, percent: int, duty: float) -> None:
    """Half the volume is a quarter of the duty, in the whole per cents that lgpio counts; 0 alone is silence."""
    sound = Sound(quiet_from="00:00", quiet_to="00:00", volume_percent=percent)
    outputs = _outputs(pins, sound)
    outputs.set(DARK, 1000)
    assert pins.pin(18).state == pytest.approx(duty, abs=1e-3)
    outputs.close()


@pytest.mark.parametrize(
    ("hour", "quality", "duty"),
    [(2, ClockQuality.SYNCED, 0.0), (14, ClockQuality.ESTIMATED, 0.5), (2, ClockQuality.UNSET, 0.5)],
)
def test_hours_are_quiet_by_the_stations_clock(
    pins: MockFactory, hour: int, quality: ClockQuality, duty: float
) -> None:
    """Not by the machine's, which may show any hour; before the time is known, answers are heard as by day."""
    wall_s = datetime(2026, 11, 30, hour, tzinfo=ZoneInfo("Asia/Tokyo")).timestamp()
    clock = SimpleNamespace(now=lambda: Moment(int(wall_s) * 10**9, "boot", 1, quality))
    settings = Settings.model_validate({"kind": "mock"})
    outputs = GpioOutputs(
        settings, Sound(volume_percent=100, quiet_volume_percent=0), pins, cast(Clock, clock), "Asia/Tokyo"
    )
    outputs.set(DARK, 1000)
    assert pins.pin(18).state == pytest.approx(duty, abs=1e-3)
    outputs.close()


def test_silent_hours_silence_an_active_buzzer(pins: MockFactory) -> None:
    """Volume 0 keeps it still."""
    sound = Sound(quiet_from="00:00", quiet_to="00:00", volume_percent=0)
    outputs = _outputs(pins, sound, buzzer={"kind": "active"})
    outputs.set(DARK, 1000)
    assert pins.pin(18).state == 0
    outputs.close()


def test_pin_in_use_is_an_error_with_a_remedy(pins: MockFactory) -> None:
    """A second panel on the same pins is refused and takes none of the others with it."""
    first = _outputs(pins)
    with pytest.raises(PanelError, match=r"cannot use the pins: .*17.*; check the wiring"):
        _outputs(pins, leds={"red_pin": 4, "green_pin": 5, "blue_pin": 6}, buzzer={"pin": 17})
    first.close()
    _outputs(pins).close()


@pytest.mark.parametrize(("active_high", "states"), [(True, (1, 0)), (False, (0, 1))])
def test_lamp_at_full_level_is_steady(
    pins: MockFactory,
    active_high: bool,  # noqa: FBT001
    states: tuple[int, int],
) -> None:
    """A plain pin without pulses, lit by the level that it is wired for; dark before and after."""
    lamp = gpio.GpioLamp(LampSettings(pin=23, active_high=active_high), pins)
    assert pins.pin(23).state == states[1]
    lamp.light(lit=True)
    assert pins.pin(23).state == states[0]
    assert pins.pin(23).frequency is None
    lamp.light(lit=False)
    assert pins.pin(23).state == states[1]
    lamp.close()
    lamp.close()


def test_lamp_is_dimmed_by_its_duty(pins: MockFactory) -> None:
    """Below full level it is pulsed, quickly."""
    lamp = gpio.GpioLamp(LampSettings(pin=23, level_percent=25), pins)
    lamp.light(lit=True)
    assert pins.pin(23).state == pytest.approx(0.25)
    assert pins.pin(23).frequency == gpio.LAMP_HZ
    lamp.close()


def test_lamp_that_cannot_be_driven_is_an_error_with_a_remedy(pins: MockFactory) -> None:
    """A pin in use at the start, a device that has gone later."""
    lamp = gpio.GpioLamp(LampSettings(pin=23), pins)
    with pytest.raises(PanelError, match=r"cannot use the lamp's pin 23: .*; check the lamp's wiring and `lamp.pin`"):
        gpio.GpioLamp(LampSettings(pin=23), pins)
    lamp.close()
    with pytest.raises(PanelError, match="the lamp has failed"):
        lamp.light(lit=True)


def _lane(**sections: object) -> Lane:
    return Lane.model_validate({"camera": {"source": "sim:people=0"}, **sections})


@pytest.mark.parametrize("kind", ["mock", "terminal"])
def test_every_kind_of_panel_has_a_lamp(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The lane's camera comes with it."""
    camera = opening.open_lit_camera(_lane(panel={"kind": kind}, lamp={"when": "always"}))
    assert isinstance(camera, LitCamera)
    camera.next_frame(1.0)
    camera.close()
    assert capsys.readouterr().out == ("lamp: on\n" if kind == "terminal" else "")


@pytest.mark.parametrize(("kind", "when"), [("none", "always"), ("mock", "never")])
def test_lane_without_a_lamp_is_its_camera(kind: str, when: str) -> None:
    """No pin is taken."""
    camera = opening.open_lit_camera(_lane(panel={"kind": kind}, lamp={"when": when}))
    assert not isinstance(camera, LitCamera)


def test_lamp_without_pins_lets_go_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that stays taken would hide the fault at the next start."""
    closed: list[object] = []
    monkeypatch.setattr(SimulatedDoor, "close", lambda door: closed.append(door))  # noqa: PLW0108  list.append binds no self
    with pytest.raises(PanelError, match="this machine has no pins"):
        opening.open_lit_camera(_lane(panel={"kind": "gpio"}, lamp={"when": "always"}))
    assert len(closed) == 1


def test_machine_without_pins_says_so() -> None:
    """Not a traceback: what is missing, and what to set instead."""
    with pytest.raises(PanelError, match=r"this machine has no pins .*terminal, mock or none"):
        opening.open_panel(Settings(kind="gpio"), LOUD)


@pytest.mark.parametrize("kind", ["mock", "terminal", "none"])
def test_every_kind_of_panel_plays_every_cue(kind: str) -> None:
    """Each cue is accepted by each panel."""
    panel = opening.open_panel(Settings.model_validate({"kind": kind}), LOUD)
    for cue in CUES.values():
        (panel.stand if cue.standing else panel.show)(cue)
    panel.close()


def test_terminal_shows_each_answer_in_words() -> None:
    """One line an answer, one when the standing light changes, no control characters where the output is no terminal."""
    out = io.StringIO()
    outputs: Outputs = TerminalOutputs(out)
    for cue in (QUICK, QUICK, STANDING, OTHER, STANDING, None):
        outputs.begin(cue)
        outputs.set(DARK, 0)
    outputs.close()
    names = [line.split(": ")[1] for line in out.getvalue().splitlines()]
    assert names == ["recorded-in", "recorded-in", "ready", "repeat"]
    assert f"panel: recorded-in: {MEANINGS[CueName.RECORDED_IN]}\n" in out.getvalue()


def test_terminal_says_each_wait() -> None:
    """One line, however long it takes; the next person's wait is another one."""
    out = io.StringIO()
    terminal = TerminalOutputs(out)
    for name in (
        CueName.READY,
        CueName.WAIT,
        CueName.WAIT,
        CueName.RECORDED_IN,
        CueName.WAIT,
        CueName.REPEAT,
        CueName.READY,
    ):
        terminal.begin(CUES[name])
    said = [line.split(": ")[1] for line in out.getvalue().splitlines()]
    assert said == ["ready", "wait", "recorded-in", "wait", "repeat", "ready"]


def test_terminal_shows_colours_where_it_can() -> None:
    """On a terminal the light's colour is drawn, and the bell rings as often as an active buzzer would sound."""
    for cue, beeps in (
        (QUICK, 1),
        (CUES[CueName.DAMAGED], 3),
        (CUES[CueName.RECORDED_PASS], 1),
        (CUES[CueName.REPEAT], 2),
    ):
        out: Any = io.StringIO()
        out.isatty = lambda: True
        outputs = TerminalOutputs(out)
        outputs.begin(cue)
        for step in cue.steps:
            outputs.set(step.rgb, step.tone_hz)
        assert "\x1b[48;2;{};{};{}m".format(*cue.steps[0].rgb) in out.getvalue()
        assert out.getvalue().count("\a") == beeps


def test_seen_panel_remembers_its_state() -> None:
    """The demo's view reads what shines now."""
    outputs = SeenOutputs()
    outputs.begin(QUICK)
    outputs.set((1, 2, 3), 440)
    assert (outputs.state.rgb, outputs.state.tone_hz, outputs.state.cue_name) == ((1, 2, 3), 440, CueName.RECORDED_IN)
    outputs.begin(None)
    outputs.close()
    assert outputs.state.cue_name is None


def test_lamp_levels_for_missing_colours() -> None:
    """What a lamp cannot show is mixed from those there are."""
    assert levels_of((0, 0, 200), ("red", "green")) == {"red": 200, "green": 200}
    assert levels_of((255, 0, 160), ("red", "green")) == {"red": 255, "green": 0}
