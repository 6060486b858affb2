"""Many frames of one code are one sighting.

A sighting begins with the first frame that shows a code and ends when the code has not been seen for `gone_ns`. Codes
are told apart by their own bytes, so that several people on one phone, or two phones side by side, are several
sightings. Time is a parameter: nanoseconds since boot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.model import Sighting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kiosk.model import Reading


class Sightings:
    """What is in view of one camera."""

    def __init__(self, gone_ns: int) -> None:
        self._gone_ns = gone_ns
        self._last_seen_boot_ns: dict[tuple[str, bytes], int] = {}

    def observe(self, readings: Sequence[Reading], now_boot_ns: int) -> list[Sighting]:
        """Take one frame's readings.

        Args:
            readings: Everything read in the frame; empty if nothing was.
            now_boot_ns: When the frame was exposed, not before the last one.

        Returns:
            The sightings that began with this frame, in the order of the readings.
        """
        self._last_seen_boot_ns = {
            code: seen for code, seen in self._last_seen_boot_ns.items() if now_boot_ns - seen <= self._gone_ns
        }
        begun = []
        for reading in readings:
            code = reading.symbology, reading.payload  # a card's text in another symbol does not hide the card
            if code not in self._last_seen_boot_ns:
                begun.append(Sighting(reading.payload, reading.exposed_at_boot_ns, symbology=reading.symbology))
            self._last_seen_boot_ns[code] = now_boot_ns
        return begun

    def forget(self, payload: bytes) -> None:
        """Let this code count as new when it is next seen, though it has not left."""
        self._last_seen_boot_ns.pop(("", payload), None)
