"""The jumper that lets a station be set up anew by whoever can open its case."""

from __future__ import annotations

from typing import Any

from kiosk import gpio
from kiosk.errors import PanelError


class Jumper:
    """Two pins that somebody who has opened the case can bridge."""

    def __init__(self, kind: str, pin: int | None) -> None:
        """Take the pin.

        Args:
            kind: Of the panel; without pins there is no jumper.
            pin: BCM number; None for none.

        Raises:
            PanelError: The pin cannot be used.
        """
        self._button: Any = None
        if pin is None or kind not in {"gpio", "mock"}:
            return
        from gpiozero import Button, GPIOZeroError  # noqa: PLC0415  no station without a jumper needs it

        try:
            self._button = Button(pin, pull_up=True, pin_factory=gpio.pin_factory(kind))
        except (GPIOZeroError, OSError) as error:
            raise PanelError(f"jumper on pin {pin}: {error}") from error

    def closed(self) -> bool:
        """Whether it is closed now."""
        return self._button is not None and bool(self._button.is_pressed)

    def close(self) -> None:
        """Let go of the pin; harmless when repeated."""
        if self._button is not None:
            self._button.close()
            self._button = None
