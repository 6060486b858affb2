"""Lights and sound of one lane on gpiozero: LEDs, one RGB or separate, an active or passive buzzer, and a lamp.

The scan loop hands over cues and goes on; a thread plays them. The newest answer replaces what is still playing, because
it belongs to whoever stands there now; only a receipt is always shown whole (`kiosk.cues.in_turn`). While nothing plays,
the standing cue says how the station is.

The thread is `CuePlayer`, which knows nothing of pins: it drives `Outputs`, here GPIO, in `kiosk.sim` a terminal.

Units: `_hz` hertz, `_ms` milliseconds, `_s` seconds, `_pin` BCM numbers.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import threading
from typing import TYPE_CHECKING, Any, Protocol

from gpiozero import PWMLED, DigitalOutputDevice, PWMOutputDevice

from kiosk.clock import SystemClock, minute_of_day
from kiosk.cues import DARK, Cue, Rgb, Step, in_turn, levels_of, volume_percent_at
from kiosk.errors import PanelError
from kiosk.pins.levels import Pulsed, duty_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kiosk import config
    from kiosk.clock import Clock

CLOSE_S = 2.0
LAMP_HZ = 2000
LED_HZ = 200
_left: list[Any] = []
"""What `leave` has set. A device that nobody holds any more is closed by gpiozero, and its pin becomes an input."""
_LAMP_HINT = "check the lamp's wiring and `lamp.pin`"


class Panel(Protocol):
    """Where answers are shown. Returns at once; one thread at a time."""

    def show(self, *cues: Cue) -> None:
        """Play these cues: receipts first, each whole and behind those that play or wait, then the others, one after another.

        What plays now and is no receipt is broken off.

        Raises:
            PanelError: The lights or the buzzer have failed.
        """

    def stand(self, cue: Cue) -> None:
        """Shine like this while nothing plays."""

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from now on."""

    def close(self) -> None:
        """Go dark and let go of the pins; harmless when repeated."""


class Outputs(Protocol):
    """What a player drives. Only the player's thread calls it."""

    def begin(self, cue: Cue | None) -> None:
        """What is set from now on belongs to this cue, or to none; a standing cue begins anew at each round."""

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        """Shine and sound like this until the next call.

        Args:
            rgb: The light.
            tone_hz: The sound, 0 for silence.
        """

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from the next `set` on. Any thread may call it."""

    def close(self) -> None:
        """Let go."""


class CuePlayer:
    """A panel: plays cues on outputs, on a thread of its own."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._changed = threading.Condition()
        self._waiting: tuple[Cue, ...] = ()
        self._playing: Cue | None = None
        self._standing: Cue | None = None
        self._standing_is_new = False
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)
        self._thread.start()

    def show(self, *cues: Cue) -> None:
        """Play these cues, as `in_turn` orders them."""
        self._raise_failure()
        with self._changed:
            broken_off, self._waiting = in_turn(self._playing, self._waiting, cues)
            if broken_off:
                self._playing = None
            self._changed.notify()

    def stand(self, cue: Cue) -> None:
        """Shine like this while nothing plays."""
        self._raise_failure()
        with self._changed:
            self._standing_is_new = self._standing is not cue
            self._standing = cue
            self._changed.notify()

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from now on."""
        self._outputs.tune(sound)

    def close(self) -> None:
        """Go dark and let go of the pins."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise PanelError(f"the panel has failed: {self._failure}") from self._failure

    def _run(self) -> None:
        try:
            while not self._closed:
                self._play_next()
            self._go_dark()
        except Exception as error:  # noqa: BLE001  told to the scan loop at its next call
            self._failure = error
        finally:
            self._outputs.close()

    def _play_next(self) -> None:
        with self._changed:
            cue, *rest = self._waiting or (None,)
            self._waiting, self._playing = tuple(rest), cue
            if cue is None and self._standing is None:
                self._go_dark()
                self._changed.wait_for(self._is_interrupted)
                return
        if cue is not None:
            self._play(cue, cue.steps, lambda: self._closed or self._playing is not cue)
            self._playing = None
        elif self._standing is not None:
            standing, silent = self._standing, not self._standing_is_new
            self._standing_is_new = False
            steps = [Step(step.rgb, 0, step.duration_ms) if silent else step for step in standing.steps]
            self._play(standing, steps, self._is_interrupted)

    def _play(self, cue: Cue, steps: Sequence[Step], interrupted: Callable[[], bool]) -> None:
        self._outputs.begin(cue)
        for step in steps:
            self._outputs.set(step.rgb, step.tone_hz)
            with self._changed:
                if self._changed.wait_for(interrupted, step.duration_ms / 1000):
                    return

    def _go_dark(self) -> None:
        self._outputs.begin(None)
        self._outputs.set(DARK, 0)

    def _is_interrupted(self) -> bool:
        return self._closed or bool(self._waiting) or self._standing_is_new


class GpioOutputs:
    """Pins through gpiozero."""

    def __init__(
        self,
        settings: config.Panel,
        sound: config.Sound,
        factory: Any = None,  # noqa: ANN401
        clock: Clock | None = None,
    ) -> None:
        """Take the pins.

        Args:
            settings: Kinds of LEDs and buzzer, and their pins.
            sound: Volume and quiet hours.
            factory: gpiozero's pin factory; None for the default one, lgpio on a Pi.
            clock: By which hours are quiet; None for the machine's.

        Raises:
            PanelError: A pin is in use, or there are none on this machine.
        """
        self._settings = settings
        self._sound = sound
        self._clock = clock or SystemClock()
        self._devices: list[Any] = []
        self._leds: dict[str, Pulsed] = {}
        leds, buzzer = settings.leds, settings.buzzer
        try:
            for colour in ("red", "green", "blue", "yellow"):
                pin = getattr(leds, f"{colour}_pin")
                if pin is not None:
                    led = PWMLED(pin, active_high=leds.active_high, frequency=None, pin_factory=factory)
                    self._leds[colour] = Pulsed(self._kept(led))
            if buzzer.kind == "passive":
                beeper = PWMOutputDevice(
                    buzzer.pin, active_high=buzzer.active_high, frequency=None, pin_factory=factory
                )
                self._tone = Pulsed(self._kept(beeper))
            elif buzzer.kind == "active":
                self._switch = self._kept(
                    DigitalOutputDevice(buzzer.pin, active_high=buzzer.active_high, pin_factory=factory)
                )
        except Exception as error:  # gpiozero's, lgpio's and the system's own, which share no root
            self.close()
            raise PanelError(f"cannot use the pins: {error}") from error

    def begin(self, cue: Cue | None) -> None:
        """Pins show no names."""

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        """Shine and sound like this until the next call."""
        for colour, level in levels_of(rgb, tuple(self._leds)).items():
            self._leds[colour].set(level / 255, LED_HZ)
        match self._settings.buzzer.kind:
            case "passive":
                self._tone.set(duty_of(self._volume_percent()) if tone_hz else 0, tone_hz)
            case "active":
                self._switch.value = int(bool(tone_hz and self._volume_percent()))
            case _:
                pass

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from the next `set` on."""
        self._sound = sound

    def close(self) -> None:
        """Let go of the pins."""
        for device in self._devices:
            device.close()
        self._devices.clear()

    def _volume_percent(self) -> int:
        return volume_percent_at(self._sound, minute_of_day(self._clock.now()))

    def _kept(self, device: Any) -> Any:  # noqa: ANN401  gpiozero has no types
        self._devices.append(device)
        return device


class Lamp(Protocol):
    """A light on whatever is held up."""

    def light(self, *, lit: bool) -> None:
        """Light it, or put it out, at once.

        Raises:
            PanelError: It cannot be driven.
        """

    def close(self) -> None:
        """Put it out and let go of it; harmless when repeated."""


class GpioLamp:
    """A lamp on a pin through gpiozero."""

    def __init__(self, settings: config.Lamp, factory: Any = None) -> None:  # noqa: ANN401  gpiozero has no types
        """Take the pin; dark.

        Args:
            settings: Pin, polarity and level.
            factory: gpiozero's pin factory; None for the default one.

        Raises:
            PanelError: The pin is in use, or there are none on this machine.
        """
        self._level = settings.level_percent / 100
        try:
            # At full level a plain pin: pulses beat with short exposures and draw bands across the frame.
            if settings.level_percent == 100:
                self._device: Any = DigitalOutputDevice(
                    settings.pin, active_high=settings.active_high, pin_factory=factory
                )
            else:
                self._device = PWMLED(
                    settings.pin, active_high=settings.active_high, frequency=LAMP_HZ, pin_factory=factory
                )
        except Exception as error:  # gpiozero's, lgpio's and the system's own, which share no root
            raise PanelError(f"cannot use the lamp's pin {settings.pin}: {error}", hint=_LAMP_HINT) from error

    def light(self, *, lit: bool) -> None:
        """Light it, or put it out, at once."""
        try:
            self._device.value = self._level if lit else 0
        except Exception as error:  # as above
            raise PanelError(f"the lamp has failed: {error}", hint=_LAMP_HINT) from error

    def close(self) -> None:
        """Put it out and let go of the pin."""
        self._device.close()


class NoOutputs:
    """A lane without lights and sound."""

    def begin(self, cue: Cue | None) -> None:
        """Nothing to be seen."""

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        """Nothing to be seen or heard."""

    def tune(self, sound: config.Sound) -> None:
        """Nothing to be heard."""

    def close(self) -> None:
        """Nothing to let go of."""


def open_panel(settings: config.Panel, sound: config.Sound, clock: Clock | None = None) -> Panel:
    """The panel on real pins, on gpiozero's mock pins, or on none.

    Raises:
        PanelError: The pins cannot be used.
    """
    if settings.kind == "none":
        return CuePlayer(NoOutputs())
    return CuePlayer(GpioOutputs(settings, sound, pin_factory(settings.kind), clock))


def leave(settings: config.Panel, rgb: Rgb) -> None:
    """Light the LEDs, silence the buzzer and let go of nothing, for a process that ends at once.

    Only the kernel lets go of the pins then, and it leaves outputs at their level. The LEDs are on or off: nobody is left to
    dim them.

    Args:
        settings: Kinds of LEDs and buzzer, and their pins.
        rgb: The light; `DARK` for none.

    Raises:
        PanelError: A pin is in use, or there are none on this machine.
    """
    leds, buzzer = settings.leds, settings.buzzer
    pins = {colour: getattr(leds, f"{colour}_pin") for colour in ("red", "green", "blue", "yellow")}
    levels = levels_of(rgb, tuple(colour for colour, pin in pins.items() if pin is not None))
    factory = pin_factory(settings.kind)
    try:
        for colour, level in levels.items():
            lit, pin = level > 0, pins[colour]
            _left.append(DigitalOutputDevice(pin, active_high=leds.active_high, initial_value=lit, pin_factory=factory))
        if buzzer.kind != "none":
            silent = DigitalOutputDevice(
                buzzer.pin, active_high=buzzer.active_high, initial_value=False, pin_factory=factory
            )
            _left.append(silent)
    except Exception as error:  # gpiozero's, lgpio's and the system's own, which share no root
        raise PanelError(f"cannot use the pins: {error}") from error


def open_lamp(kind: str, settings: config.Lamp) -> Lamp:
    """The lamp on a real pin ("gpio") or on a mock one.

    Raises:
        PanelError: The pin cannot be used.
    """
    return GpioLamp(settings, pin_factory(kind))


def pin_factory(kind: str) -> Any:  # noqa: ANN401  gpiozero has no types
    """gpiozero's factory of real pins ("gpio") or of mock ones."""
    if kind == "mock":
        from gpiozero.pins.mock import MockFactory, MockPWMPin  # noqa: PLC0415  not needed at a door

        return MockFactory(pin_class=MockPWMPin)
    try:
        _load_lgpio()
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415  there only on a Pi

        return LGPIOFactory()
    except Exception as error:  # lgpio raises its own class, and that may be missing
        raise PanelError(
            f"this machine has no pins ({error})",
            hint="on a Pi: apt install python3-lgpio; elsewhere set `panel.kind` in the configuration to terminal, mock or none",
        ) from error


def _load_lgpio() -> None:
    """lgpio makes a named pipe in the working directory, or in $LG_WD, when it is imported, and leaves it there (0.2.2)."""
    if "LG_WD" in os.environ:
        return
    with tempfile.TemporaryDirectory(prefix="kiosk-") as folder:
        os.environ["LG_WD"] = folder
        try:
            importlib.import_module("lgpio")
        finally:
            del os.environ["LG_WD"]
