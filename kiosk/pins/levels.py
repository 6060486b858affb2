"""How loud is which duty, and pins that are pulsed only while they must be.

Units: `_hz` hertz, `_percent` per cent.
"""

from __future__ import annotations

from typing import Any

LEAST_DUTY_PERCENT = 1
"""lgpio counts duty in whole per cent: less would be silence."""


class Pulsed:
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


def duty_of(volume_percent: int) -> float:
    """The share of a square wave that is on, for a volume of 0 to 100 per cent.

    A wave of half duty is loudest; loudness is heard roughly as the square root of the duty. Whole per cents, and none of
    them silent but that of no volume.
    """
    if not volume_percent:
        return 0.0
    return max(LEAST_DUTY_PERCENT, round(50 * (volume_percent / 100) ** 2)) / 100 + 1e-6  # lgpio cuts off
