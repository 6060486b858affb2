"""From what a frame shows to what is done about it: readings → sightings → verdict → decision.

Many frames of one code are one sighting, several codes of one card are one as well; each is told what it is, by whom the
station believes at that moment, and then whether it is recorded. Nothing here touches the disk: what was recorded is remembered
when the recorder says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.clock import judging_s
from kiosk.credential import NOBODY, chunks, classify
from kiosk.model import WrongCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kiosk.clock import Clock
    from kiosk.credential import LocalPattern
    from kiosk.model import Credential, Decision, Entry, Reading, Sighting, Verdict
    from kiosk.policy import Policy
    from kiosk.sightings import Sightings
    from kiosk.trust.issuers import TrustFolder


class Judge:
    """One lane's judgement. One thread only."""

    def __init__(
        self,
        sightings: Sightings,
        policy: Policy,
        local: tuple[LocalPattern, ...],
        trust: TrustFolder | None,
        clock: Clock,
    ) -> None:
        self._sightings = sightings
        self._chunks = chunks.Chunks()
        self._policy = policy
        self._local = local
        self._trust = trust
        self._clock = clock

    def begun(self, readings: Sequence[Reading], exposed_at_boot_ns: int) -> list[Sighting]:
        """The sightings that begin with this frame.

        Args:
            readings: Everything read in it.
            exposed_at_boot_ns: When it was exposed, not before the last one.
        """
        return self._chunks.join(self._sightings.observe(readings, exposed_at_boot_ns), exposed_at_boot_ns)

    def verdict_on(self, sighting: Sighting) -> Verdict:
        """What the code is; of what is no QR code only that, whatever stands in it."""
        if sighting.symbology:
            return WrongCode(sighting.symbology, len(sighting.payload))
        trust = NOBODY if self._trust is None else self._trust.trust
        verdict = classify(sighting.payload, self._local, trust, judging_s(self._clock.now()))
        return chunks.judged(sighting, verdict)

    def decide(self, sighting: Sighting, verdict: Verdict, now_boot_ns: int) -> Decision:
        """What is done about it; nothing is remembered of the question."""
        return self._policy.decide(sighting.payload, verdict, now_boot_ns)

    def remember(self, sighting: Sighting, credential: Credential, entry: Entry, now_boot_ns: int) -> None:
        """Its entry is on the disk: the same code is a repeat from now on."""
        self._policy.remember(credential.same_as or sighting.payload, entry.id, now_boot_ns)

    def forget(self, payloads: Iterable[bytes]) -> None:
        """Let these codes count as new when they are next seen, though they have not left."""
        for payload in payloads:
            self._sightings.forget(payload)
