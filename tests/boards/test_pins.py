"""The panel on the real gpiozero and lgpio: what shines after a death, what an idle station costs, what is heard."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.boards.chip import OUTPUT, PI_4, PI_5, Board

RED, GREEN, BLUE, BUZZER, LAMP, JUMPER = 17, 27, 22, 18, 23, 24
OUTPUTS = """
from kiosk import config
from kiosk.cues import CUES, DIM_WHITE, GREEN
from kiosk.gpio import GpioOutputs, leave, pin_factory
from kiosk.panel import CuePlayer
from kiosk.process.held import HeldPins
panel, sound = config.Panel(), config.Sound(quiet_from="00:00", quiet_to="00:00")
"""
STANDING = (
    OUTPUTS
    + """
outputs = GpioOutputs(panel, sound, pin_factory("gpio"))
outputs.set((255, 0, 0), 2093); time.sleep(0.05)
outputs.set({rgb}, 0); time.sleep(0.05)
print("ready", flush=True); time.sleep(1.0); print("over", flush=True); time.sleep(30)
"""
)


@pytest.fixture(params=[PI_4, PI_5], ids=["pi4", "pi5"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    """A board of each kind."""
    return Board(tmp_path, request.param)


def test_red_stays_after_a_death(board: Board) -> None:
    """What `kiosk panel --ended` leaves is what the kernel keeps: red high, all else low, and no line an input."""
    done = board.run(
        OUTPUTS + "leave(HeldPins.of(panel), (255, 0, 0)); time.sleep(0.2); sys.stdout.flush(); os._exit(0)\n"
    )
    assert done.returncode == 0, done.stderr
    assert board.levels() == {RED: 1, GREEN: 0, BLUE: 0, BUZZER: 0}
    assert [event.what for event in board.events(RED)][-1] in (1, OUTPUT + 1)


def test_green_of_a_killed_process_does_not_outlive_its_end(board: Board) -> None:
    """A process that was killed while it was green leaves green; the next takes the very pins and puts it out."""
    killed = board.run(
        OUTPUTS
        + 'outputs = GpioOutputs(panel, sound, pin_factory("gpio")); outputs.set(GREEN, 0); os.kill(os.getpid(), 9)\n'
    )
    assert killed.returncode == -9
    assert board.levels()[GREEN] == 1
    assert board.run(OUTPUTS + "leave(HeldPins.of(panel), (255, 0, 0)); os._exit(0)\n").returncode == 0
    assert (board.levels()[GREEN], board.levels()[RED]) == (0, 1)


def test_orderly_end_is_dark(board: Board) -> None:
    """Closed, every line is let go of, and none was high when it was."""
    code = """
player = CuePlayer(GpioOutputs(panel, sound, pin_factory("gpio")))
player.show(CUES["recorded-in"]); time.sleep(0.1); player.close()
"""
    assert board.run(OUTPUTS + code).returncode == 0
    for line in (RED, GREEN, BLUE, BUZZER):
        levels = [event.what & 1 for event in board.events(line) if event.what < OUTPUT + 2]
        assert levels[-1] == 0, line
    assert all(level is None for level in board.levels().values())


def test_silence_and_steady_light_cost_nothing(board: Board) -> None:
    """An idle buzzer is not pulsed: at most 10 calls a second on its line; a light that is wholly on or off is not either."""
    for rgb, pulsed in (("DIM_WHITE", True), ("GREEN", False), ("(0, 0, 0)", False)):
        process = board.begin(STANDING.format(rgb=rgb))
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            before, began_ns = len(board.events()), time.monotonic_ns()
            assert process.stdout.readline() == "over\n"
            seconds = (time.monotonic_ns() - began_ns) / 1e9
            late = board.events()[before:]
        finally:
            process.kill()
            process.communicate()
        assert sum(event.line == BUZZER for event in late) <= 10 * seconds
        lights = sum(event.line != BUZZER for event in late) / seconds
        assert lights <= (0.7 * (3 * 2 * 200 + 1000) if pulsed else 10)


def test_every_volume_is_heard_and_none_is_quieter_than_the_one_before(board: Board) -> None:
    """From 1 to 100 per cent lgpio is given a duty of 1 per cent or more, rising in at least 20 steps; 0 is silent."""
    code = (
        OUTPUTS
        + """
outputs = GpioOutputs(panel, sound, pin_factory("gpio"))
pin = outputs._devices[-1].pin
for volume in range(101):
    outputs.tune(sound.model_copy(update={"volume_percent": volume}))
    outputs.set((0, 0, 0), 1000)
    print(pin._pwm[1] if pin._pwm else 0)
os._exit(sys.stdout.flush() or 0)
"""
    )
    silent, *duties = map(int, board.run(code).stdout.split())
    assert silent == 0
    assert duties == sorted(duties)
    assert (duties[0], duties[-1]) == (1, 50)
    assert len(set(duties)) >= 20


def test_panel_lamp_and_jumper_share_one_chip(board: Board) -> None:
    """Each takes its own lines; a pin that is taken already is refused in our words."""
    code = (
        OUTPUTS
        + f"""
from kiosk.errors import PanelError
from kiosk.gpio import open_lamp
outputs = GpioOutputs(panel, sound, pin_factory("gpio"))
lamp = open_lamp("gpio", config.Lamp(pin={LAMP}, when="always"))
lamp.light(lit=True)
from gpiozero import DigitalInputDevice
jumper = DigitalInputDevice({JUMPER}, pull_up=True, pin_factory=pin_factory("gpio"))
try:
    GpioOutputs(panel, sound, pin_factory("gpio"))
except PanelError as error:
    print(error, flush=True)
os._exit(0)
"""
    )
    done = board.run(code)
    assert done.returncode == 0, done.stderr
    assert "cannot use the pins" in done.stdout
    levels = board.levels()
    assert levels[LAMP] == 1
    assert levels[JUMPER] is None


def test_loading_the_pins_library_leaves_a_command_where_it_was_run(board: Board) -> None:
    """lgpio goes into the folder of its pipe, which is removed again: what is named beside the command is still found."""
    code = """
del os.environ["LG_WD"]
from kiosk.gpio import pin_factory
pin_factory("gpio")
print(os.getcwd(), os.listdir("."))
os._exit(sys.stdout.flush() or 0)
"""
    done = board.run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(board.folder), "['gpio.log']"]
