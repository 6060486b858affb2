"""Settled entries that somebody wants once more: a batch at a time, until a receipt says that the centre has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.delivery import wire

if TYPE_CHECKING:
    from kiosk.config import Config
    from kiosk.delivery.batches import Batches
    from kiosk.delivery.link import Link
    from kiosk.delivery.session import Session
    from kiosk.outbox import Outbox

AGAIN_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _OnTheirWay:
    first: int
    through: int
    mid: int


class Resends:
    """One uplink's. One thread only."""

    def __init__(self, config: Config, outbox: Outbox, session: Session, batches: Batches) -> None:
        self._settings = config.uplink
        self._outbox = outbox
        self._session = session
        self._batches = batches
        self._sent: _OnTheirWay | None = None
        self._next_s = 0.0

    def tend(self, link: Link, now_s: float) -> None:
        """Send the next of them while nothing else is on its way."""
        if not self._session.idle or now_s < self._next_s:
            return
        if self._sent is not None:
            self._session.resend_ended(arrived=False)
            self._sent = None
        self._next_s = now_s + AGAIN_EVERY_S
        wanted = self._outbox.wanted()
        if wanted is None:
            return
        rows = self._outbox.head(wanted.start - 1, min(len(wanted), self._session.batch))
        rows = wire.fitting([row for row in rows if row[0] in wanted], self._batches.most_bytes)
        if not rows:  # swept meanwhile
            self._outbox.resent(wanted.start, wanted[-1])
        elif self._batches.are_of_this_file:
            mid = self._batches.send(link, rows)
            self._session.resent(mid, len(rows))
            self._sent = _OnTheirWay(wanted.start, rows[-1][0], mid)
            self._next_s = now_s + self._settings.receipt_timeout_s

    def received(self, through: int) -> None:
        """The centre has everything up to this number."""
        if self._sent is not None and self._sent.through <= through:
            self._done(self._sent)

    def acknowledged(self, mid: int) -> None:
        """The broker has this message; where its word settles, that is all there is to wait for."""
        if self._settings.settle_on == "puback" and self._sent is not None and self._sent.mid == mid:
            self._done(self._sent)

    def forget(self) -> None:
        """The connection is gone: what was on its way is sent again over the next one."""
        self._sent, self._next_s = None, 0.0

    def _done(self, sent: _OnTheirWay) -> None:
        self._session.resend_ended(arrived=True)
        self._outbox.resent(sent.first, sent.through)
        self._sent, self._next_s = None, 0.0
