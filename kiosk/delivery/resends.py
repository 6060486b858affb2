"""Settled entries that somebody wants once more: a batch at a time, until a receipt says that the centre has it.

So are those that a broker did not take because of their size: each alone, whenever a broker may take it now. One that somebody wants, and
that is more than this broker takes, becomes one of them, and those behind it have their turn.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.delivery import wire
from kiosk.delivery.batch_size import ALONE
from kiosk.log import line

if TYPE_CHECKING:
    from kiosk.config import Config
    from kiosk.delivery.batches import Batches
    from kiosk.delivery.link import Link
    from kiosk.delivery.session import Session
    from kiosk.outbox import Outbox

_log = logging.getLogger(__name__)

AGAIN_EVERY_S = 1.0
OVERSIZED_FIRST_S, OVERSIZED_LONGEST_S = 60.0, 3600.0
"""How soon an entry is tried again that was too large: a broker that hangs up at it is not to be run against all day."""


@dataclass(frozen=True, slots=True)
class _OnTheirWay:
    first: int
    through: int
    mid: int
    had_stayed: bool
    """Whether a notice went in its place before: then the centre must say that it has the entry itself."""


class Resends:
    """One uplink's. One thread only."""

    def __init__(self, config: Config, outbox: Outbox, session: Session, batches: Batches) -> None:
        self._settings = config.uplink
        self._outbox = outbox
        self._session = session
        self._batches = batches
        self._sent: _OnTheirWay | None = None
        self._next_s = 0.0
        self._ended = (0, 0)
        self._next_oversized_s = 0.0
        self._oversized_wait_s = OVERSIZED_FIRST_S

    def tend(self, link: Link, now_s: float) -> None:
        """Send the next of them while nothing else is on its way."""
        if not self._session.idle or now_s < self._next_s:
            return
        if self._sent is not None:
            self._session.resend_ended(arrived=False)
            self._sent = None
            self._batches.ask(link)  # some brokers drop what is too large: does the centre have it already?
        self._next_s = now_s + AGAIN_EVERY_S
        asked = self._outbox.wanted()
        wanted = self._oversized(now_s) if asked is None else asked
        if wanted is None:
            return
        rows = self._outbox.head(wanted.start - 1, min(len(wanted), self._session.batch))
        rows = wire.fitting([row for row in rows if row[0] in wanted], self._batches.most_bytes)
        if not rows:  # swept meanwhile
            self._outbox.resent(wanted.start, wanted[-1])
        elif asked is not None and (self._batches.is_too_large(rows[0]) or self._ended == (rows[0][0], ALONE)):
            self._leave_behind(rows[0])
        elif self._batches.are_of_this_file:
            mid = self._batches.send(link, rows)
            self._session.resent(mid, len(rows))
            self._sent = _OnTheirWay(wanted.start, rows[-1][0], mid, had_stayed=asked is None)
            self._next_s = now_s + self._settings.receipt_timeout_s

    def _leave_behind(self, row: wire.Row) -> None:
        size_bytes = self._batches.size_bytes(row)
        self._outbox.note_oversized(row[0], size_bytes)
        _log.warning(line("entry-oversized", seq=row[0], bytes=size_bytes))
        self._outbox.resent(row[0], row[0])
        self._next_s = 0.0

    def _oversized(self, now_s: float) -> range | None:
        """The first that the broker of this connection may take, as far as it has told."""
        if now_s < self._next_oversized_s:
            return None
        for seq, _ in self._outbox.oversized():
            rows = self._outbox.head(seq - 1, 1)
            if not self._batches.is_too_large(rows[0]):
                self._next_oversized_s = now_s + self._oversized_wait_s
                self._oversized_wait_s = min(2 * self._oversized_wait_s, OVERSIZED_LONGEST_S)
                return range(seq, seq + 1)
        return None

    def received(self, receipt: wire.Receipt) -> None:
        """The centre has everything up to a number, and what has come to it alone."""
        sent = self._sent
        if sent is not None and (sent.first in receipt.alone if sent.had_stayed else sent.through <= receipt.through):
            self._done(sent)

    def acknowledged(self, mid: int) -> None:
        """The broker has this message; where its word settles, that is all there is to wait for."""
        if self._settings.settle_on == "puback" and self._sent is not None and self._sent.mid == mid:
            self._done(self._sent)

    def forget(self) -> None:
        """The connection is gone: what was on its way is sent again over the next one; one entry alone may have ended it."""
        sent = self._sent
        if sent is not None and sent.first == sent.through and not sent.had_stayed:
            seq, times = self._ended
            self._ended = (sent.first, times + 1 if sent.first == seq else 1)
        self._sent, self._next_s = None, 0.0

    def _done(self, sent: _OnTheirWay) -> None:
        self._session.resend_ended(arrived=True)
        if sent.had_stayed:
            self._outbox.no_longer_oversized(sent.first)
        else:
            self._outbox.resent(sent.first, sent.through)
        self._sent, self._next_s = None, 0.0
        self._next_oversized_s, self._oversized_wait_s = 0.0, OVERSIZED_FIRST_S  # what one has passed others may
