"""`shc:/1/2/…`: a SMART Health Card in several codes, put together while they are held up, in any order.

    shc:/ NUMBER / HOW MANY / digits, and all digits in order of the numbers are those of the one code `shc:/…`

The codes do not say to which card they belong; that they belong together is what the signature over the whole says. So one set
at a time is gathered, of at most four codes within ten seconds, and what does not verify is called damaged and not a forgery:
it may be of two people. The last code that is missing stands for all; the others are answered "show it again", unless
they were in view together.

Time is a parameter: nanoseconds since boot.

Source: spec.smarthealth.cards, version 1.4, "Chunking" (deprecated there, and still in use).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kiosk.credential.classifier import stripped
from kiosk.credential.shc import PREFIX, SHC
from kiosk.model import Malformed, Sighting, Unproven, UnprovenReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kiosk.model import Verdict

HELD_NS = 10_000_000_000
MOST = 4
"""So that judging the largest card takes no longer than any other code may."""
_CHUNK = re.compile(rb"shc:/([1-4])/([2-4])/((?:[0-9][0-9])+)")


class Chunks:
    """What has been seen of one card."""

    def __init__(self) -> None:
        self._of = 0
        self._held: dict[int, tuple[Sighting, bytes]] = {}

    def join(self, begun: Sequence[Sighting], now_boot_ns: int) -> list[Sighting]:
        """Take the sightings that began with one frame.

        Args:
            begun: All of them.
            now_boot_ns: When the frame was exposed, not before the last one.

        Returns:
            The same, with one for the whole card in the place of its codes, if the last of them is here.
        """
        self._held = {
            number: kept for number, kept in self._held.items() if now_boot_ns - kept[0].first_seen_boot_ns <= HELD_NS
        }
        joined: list[Sighting] = []
        for sighting in begun:
            joined.append(sighting)
            chunk = _CHUNK.fullmatch(stripped(sighting.payload))
            if chunk is None or sighting.symbology or not int(chunk[1]) <= int(chunk[2]):
                continue
            if int(chunk[2]) != self._of:
                self._of, self._held = int(chunk[2]), {}
            self._held[int(chunk[1])] = sighting, chunk[3]
            if len(self._held) == self._of:
                parts = [self._held[number] for number in sorted(self._held)]
                whole = PREFIX + b"".join(digits for _, digits in parts)
                codes = tuple(part.payload for part, _ in parts)
                joined = [each for each in joined if each.payload not in codes]
                joined.append(Sighting(whole, sighting.first_seen_boot_ns, codes))
                self._held = {}
        return joined


def judged(sighting: Sighting, verdict: Verdict) -> Verdict:
    """The verdict on a sighting: codes of two cards that were put together are no forgery."""
    if sighting.chunks and isinstance(verdict, Unproven) and verdict.reason is UnprovenReason.NOT_GENUINE:
        return Malformed(SHC, "one-of-several")
    return verdict
