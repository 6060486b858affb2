"""Lights and sound of one lane on gpiozero: LEDs, one RGB or separate, an active or passive buzzer, and a lamp.

What shines and sounds when is another one's to decide: `kiosk.panel`, whose thread calls what is here.

Units: `_hz` hertz, `_ms` milliseconds, `_s` seconds, `_pin` BCM numbers.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from contextlib import chdir
from typing import TYPE_CHECKING, Any, Protocol

from gpiozero import PWMLED, DigitalOutputDevice, PWMOutputDevice

from kiosk.clock import SystemClock, minute_of_day
from kiosk.cues import levels_of, volume_percent_at
from kiosk.errors import PanelError
from kiosk.forms import DEFAULT_ZONE
from kiosk.language.message import say
from kiosk.panel import CuePlayer, NoOutputs
from kiosk.process.held import HeldPins

if TYPE_CHECKING:
    from kiosk import config
    from kiosk.clock import Clock
    from kiosk.cues import Cue, Rgb
    from kiosk.panel import Panel

LAMP_HZ = 2000
LED_HZ = 200
LEAST_DUTY_PERCENT = 1
"""lgpio counts duty in whole per cent: less would be silence."""
_left: list[Any] = []
"""What `leave` has set. A device that nobody holds any more is closed by gpiozero, and its pin becomes an input."""
_LAMP_HINT = say("check the lamp's wiring and `lamp.pin`")


class _Pulsed:
    """A pin that is pulsed only while it has to be: fully on, dark or silent it is a plain output, which costs nothing.

    lgpio pulses by a thread that wakes at every edge, also at a duty of nothing or all: thousands of calls a second.
    """

    def __init__(self, device: Any) -> None:  # noqa: ANN401  gpiozero has no types
        self._device = device
        self._now: tuple[float, int | None] = (0, None)

    def set(self, duty: float, frequency_hz: int) -> None:
        """Be on for this share of the time, 0 to 1."""
        wanted = (duty, frequency_hz if 0 < duty < 1 else None)
        if wanted == self._now:
            return
        if wanted[1] != self._now[1]:
            self._device.frequency = wanted[1]
        self._device.value = duty
        self._now = wanted


class GpioOutputs:
    """Pins through gpiozero."""

    def __init__(
        self,
        settings: config.Panel,
        sound: config.Sound,
        factory: Any = None,  # noqa: ANN401
        clock: Clock | None = None,
        zone: str = DEFAULT_ZONE,
    ) -> None:
        """Take the pins.

        Args:
            settings: Kinds of LEDs and buzzer, and their pins.
            sound: Volume and quiet hours.
            factory: gpiozero's pin factory; None for the default one, lgpio on a Pi.
            clock: By which hours are quiet; None for the machine's.
            zone: Whose hours they are.

        Raises:
            PanelError: A pin is in use, or there are none on this machine.
        """
        self._settings = settings
        self._sound = sound
        self._clock = clock or SystemClock()
        self._zone = zone
        self._devices: list[Any] = []
        self._leds: dict[str, _Pulsed] = {}
        leds, buzzer = settings.leds, settings.buzzer
        try:
            for colour, pin in HeldPins.of(settings).leds.items():
                led = PWMLED(pin, active_high=leds.active_high, frequency=None, pin_factory=factory)
                self._leds[colour] = _Pulsed(self._kept(led))
            if buzzer.kind == "passive":
                beeper = PWMOutputDevice(
                    buzzer.pin, active_high=buzzer.active_high, frequency=None, pin_factory=factory
                )
                self._tone = _Pulsed(self._kept(beeper))
            elif buzzer.kind == "active":
                self._switch = self._kept(
                    DigitalOutputDevice(buzzer.pin, active_high=buzzer.active_high, pin_factory=factory)
                )
        except Exception as error:  # gpiozero's, lgpio's and the system's own, which share no root
            self.close()
            raise PanelError(say("cannot use the pins: {reason}", reason=error)) from error

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
        return volume_percent_at(self._sound, minute_of_day(self._clock.now(), self._zone))

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
            reason = say("cannot use the lamp's pin {pin}: {reason}", pin=settings.pin, reason=error)
            raise PanelError(reason, hint=_LAMP_HINT) from error

    def light(self, *, lit: bool) -> None:
        """Light it, or put it out, at once."""
        try:
            self._device.value = self._level if lit else 0
        except Exception as error:  # as above
            raise PanelError(say("the lamp has failed: {reason}", reason=error), hint=_LAMP_HINT) from error

    def close(self) -> None:
        """Put it out and let go of the pin."""
        self._device.close()


def open_panel(
    settings: config.Panel, sound: config.Sound, clock: Clock | None = None, zone: str = DEFAULT_ZONE
) -> Panel:
    """The panel on real pins, on gpiozero's mock pins, or on none.

    Raises:
        PanelError: The pins cannot be used.
    """
    if settings.kind == "none":
        return CuePlayer(NoOutputs())
    return CuePlayer(GpioOutputs(settings, sound, pin_factory(settings.kind), clock, zone))


def leave(held: HeldPins, rgb: Rgb) -> None:
    """Light the LEDs, silence the buzzer and let go of nothing, for a process that ends at once.

    Only the kernel lets go of the pins then, and it leaves outputs at their level. The LEDs are on or off: nobody is left to
    dim them.

    Args:
        held: The pins.
        rgb: The light; `kiosk.cues.DARK` for none.

    Raises:
        PanelError: A pin is in use, or there are none on this machine.
    """
    factory = pin_factory(held.kind)

    def put(pin: int, *, active_high: bool, on: bool) -> None:
        _left.append(DigitalOutputDevice(pin, active_high=active_high, initial_value=on, pin_factory=factory))

    try:
        for colour, level in levels_of(rgb, tuple(held.leds)).items():
            put(held.leds[colour], active_high=held.leds_active_high, on=level > 0)
        if held.buzzer is not None:
            put(held.buzzer, active_high=held.buzzer_active_high, on=False)
    except Exception as error:  # gpiozero's, lgpio's and the system's own, which share no root
        raise PanelError(say("cannot use the pins: {reason}", reason=error)) from error


def open_lamp(kind: str, settings: config.Lamp) -> Lamp:
    """The lamp on a real pin ("gpio") or on a mock one.

    Raises:
        PanelError: The pin cannot be used.
    """
    return GpioLamp(settings, pin_factory(kind))


def duty_of(volume_percent: int) -> float:
    """The share of a square wave that is on, for a volume of 0 to 100 per cent.

    A wave of half duty is loudest; loudness is heard roughly as the square root of the duty. Whole per cents, and none of
    them silent but that of no volume.
    """
    if not volume_percent:
        return 0.0
    return max(LEAST_DUTY_PERCENT, round(50 * (volume_percent / 100) ** 2)) / 100 + 1e-6  # lgpio cuts off


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
            say("this machine has no pins ({reason})", reason=error),
            hint=say(
                "on a Pi: apt install python3-lgpio; elsewhere set `panel.kind` in the configuration to terminal, mock or none"
            ),
        ) from error


def _load_lgpio() -> None:
    """lgpio makes a named pipe in the working directory, or in $LG_WD, when it is imported; it leaves it there and itself stays there (0.2.2)."""
    if "LG_WD" in os.environ:
        return
    with tempfile.TemporaryDirectory(prefix="kiosk-") as folder, chdir("."):
        os.environ["LG_WD"] = folder
        try:
            importlib.import_module("lgpio")
        finally:
            del os.environ["LG_WD"]
