"""From a decision to the disk: the entry is made, its person sealed, and all of it committed; only then may green follow.

What fails is tried again while the code is still held up, once every `RETRY_COMMIT_NS` and not at every frame. A disk may fail after the
commit: the next try keeps the entry of the last one, so that two rows would have one id and be one entry.

Units: `_ns` nanoseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.clock import uuid7
from kiosk.errors import OutboxError, SealError
from kiosk.model import Entry, Moment
from kiosk.policy import person_of

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.config import Config, Lane
    from kiosk.model import Credential, Sighting
    from kiosk.outbox import Outbox
    from kiosk.sealer import Sealer

RETRY_COMMIT_NS = 1_000_000_000


class Recorder:
    """One lane's entries. One thread only."""

    def __init__(self, config: Config, lane: Lane, sealer: Sealer, outbox: Outbox, clock: Clock) -> None:
        self._config = config
        self._lane = lane
        self._sealer = sealer
        self._outbox = outbox
        self._clock = clock
        self._uncommitted: dict[bytes, Entry] = {}
        self._failed: list[bytes] = []
        self._retry_boot_ns = 0

    def commit(self, sighting: Sighting, credential: Credential, now_boot_ns: int) -> Entry:
        """Make a sighting's entry durable; when this returns, it survives a power cut.

        Args:
            sighting: The code held up.
            credential: What it says.
            now_boot_ns: Now.

        Raises:
            SealError: The person cannot be sealed, so nothing was recorded.
            OutboxError: The disk failed.
        """
        entry = self._of_a_failed_try(sighting.payload, now_boot_ns)
        try:
            entry = entry or self._entry(sighting, credential)
            self._outbox.append(entry)
        except (OutboxError, SealError):
            if entry is not None:
                self._uncommitted[sighting.payload] = entry
            self._failed += sighting.codes
            self._retry_boot_ns = now_boot_ns + RETRY_COMMIT_NS
            raise
        return entry

    def to_be_tried_again(self) -> list[bytes]:
        """Codes whose commit has failed and whose time has come; each is given once."""
        if not self._failed or self._clock.boot_ns() < self._retry_boot_ns:
            return []
        failed, self._failed = self._failed, []
        return failed

    def _of_a_failed_try(self, payload: bytes, now_boot_ns: int) -> Entry | None:
        oldest_boot_ns = now_boot_ns - round(self._config.repeat.window_s * 1e9)
        self._uncommitted = {
            known: entry for known, entry in self._uncommitted.items() if entry.at.boot_ns >= oldest_boot_ns
        }
        return self._uncommitted.pop(payload, None)

    def _entry(self, sighting: Sighting, credential: Credential) -> Entry:
        now = self._clock.now()
        seen_wall_ns = max(0, now.wall_ns - (now.boot_ns - sighting.first_seen_boot_ns))
        entry_id = uuid7(seen_wall_ns)
        kept = person_of(credential, self._config.record.keep)
        person, sealed = self._sealer.protect(kept, entry_id, now)
        return Entry(
            id=entry_id,
            kiosk=self._config.kiosk.id,
            site=self._config.kiosk.site,
            lane=self._lane.name,
            direction=self._lane.direction,
            at=Moment(seen_wall_ns, now.boot_id, sighting.first_seen_boot_ns, now.quality),
            document=credential.document,
            flags=credential.flags,
            person=person,
            sealed=sealed,
        )
