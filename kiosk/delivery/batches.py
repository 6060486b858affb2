"""Rows of the outbox as a message to the centre: with the time that a clock set since then gives them, packed, and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.clock import corrected
from kiosk.delivery import packing, wire
from kiosk.errors import WireError
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kiosk.clock import Clock
    from kiosk.config import Config
    from kiosk.delivery.link import Link
    from kiosk.model import Moment
    from kiosk.outbox import Outbox

PACKET_HEAD_BYTES = 16
"""What MQTT puts around topic and payload, at most."""
_GOOD_MARKS = {
    ClockQuality.SYNCED: (b'"clock":"synced"',),
    ClockQuality.ESTIMATED: (b'"clock":"synced"', b'"clock":"estimated"'),
}


class Batches:
    """One uplink's way of writing. One thread only.

    Attributes:
        outbox_id: The file that the session's numbers mean.
        most_bytes: So long may a message be, as the broker has announced or as the centre takes it.
    """

    def __init__(self, config: Config, outbox: Outbox, clock: Clock) -> None:
        self._kiosk = config.kiosk.id
        self._compress = config.uplink.compress
        self._outbox = outbox
        self._clock = clock
        self.outbox_id = outbox.id
        self.most_bytes = packing.MAX_BATCH_BYTES // 2
        self._largest_bytes: int | None = None

    @property
    def are_of_this_file(self) -> bool:
        """False if another file has taken the place of the one that is meant."""
        return self._outbox.id == self.outbox_id

    def begin(self, largest_bytes: int | None) -> None:
        """A connection stands.

        Args:
            largest_bytes: The broker's largest packet; None if it does not tell.
        """
        most_bytes = packing.MAX_BATCH_BYTES // 2
        self.most_bytes = most_bytes if largest_bytes is None else min(most_bytes, largest_bytes)
        self._largest_bytes = largest_bytes

    def size_bytes(self, row: wire.Row) -> int:
        """How large the packet of this entry alone is, about."""
        return len(self._message([row])) + len(wire.entries_topic(self._kiosk)) + PACKET_HEAD_BYTES

    def is_too_large(self, row: wire.Row) -> bool:
        """Whether the broker has said that it does not take this entry, alone and packed as it may be."""
        return self._largest_bytes is not None and self.size_bytes(row) > self._largest_bytes

    def send(self, link: Link, rows: Sequence[wire.Row]) -> int:
        """Publish rows, at least one.

        Returns:
            The message id.
        """
        return link.publish(wire.entries_topic(self._kiosk), self._message(rows))

    def ask(self, link: Link) -> None:
        """Publish a batch without entries, to which the centre answers with a receipt and its time."""
        link.publish(wire.entries_topic(self._kiosk), self._encoded([]))

    def _message(self, rows: Sequence[wire.Row]) -> bytes:
        now = self._clock.now()
        payload = self._encoded([(seq, _corrected(body, now)) for seq, body in rows])
        return packing.packed(payload) if self._compress else payload

    def _encoded(self, rows: list[wire.Row]) -> bytes:
        return wire.encode_batch(self._kiosk, self._outbox.id, rows, self._outbox.oldest_seq)


def _corrected(body: bytes, now: Moment) -> bytes:
    """The entry with the time that a clock set since then gives it; rotten rows travel as they are."""
    if any(mark in body for mark in _GOOD_MARKS.get(now.quality, (b"",))):
        return body
    try:
        at = wire.decode_entry(body).at
    except WireError:
        return body
    better = corrected(at, now)
    return body if better is at else wire.with_moment(body, better)
