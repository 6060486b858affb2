"""The outbox's rows, in order: sent behind what is settled, and settled by what the centre says that it has.

Positions are those of one outbox file; when a damaged one is replaced, its numbers mean other entries, and everything begins again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kiosk.delivery import wire
from kiosk.delivery.poison import oversized
from kiosk.log import line

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.clock import Clock
    from kiosk.delivery.batches import Batches
    from kiosk.delivery.link import Link
    from kiosk.delivery.session import Action, Publish, Session
    from kiosk.outbox import Outbox


_log = logging.getLogger(__name__)


class Drain:
    """One uplink's. One thread only.

    Attributes:
        last_receipt_boot_ns: When something was last settled; None before the first.
    """

    def __init__(self, outbox: Outbox, session: Session, batches: Batches, clock: Clock, runtime_dir: Path) -> None:
        """Begin.

        Args:
            outbox: What is drained.
            session: Decides what is done next.
            batches: Writes the messages.
            clock: The station's.
            runtime_dir: A folder that is empty after each start of the board.
        """
        self._outbox = outbox
        self._session = session
        self._batches = batches
        self._clock = clock
        self._once = runtime_dir / "outbox-set-aside"
        self.last_receipt_boot_ns: int | None = None
        self._left: dict[int, int] = {}

    def next(self, now_s: float) -> Action:
        """What the session wants to be done now."""
        settled, last_seq = self._outbox.settled, self._outbox.last_seq
        if not self._batches.are_of_this_file:  # a damaged file was replaced
            self._batches.outbox_id = self._outbox.id
            self._session.renumbered(now_s, settled)
            self._left.clear()
        return self._session.next(now_s, settled, last_seq)

    def publish(self, link: Link, wanted: Publish, now_s: float) -> None:
        """Send the rows that the session wants, as many as fit into a message."""
        rows = wire.fitting(self._outbox.head(wanted.after_seq, wanted.limit), self._batches.most_bytes)
        if rows and (wanted.is_doubted or self._batches.is_too_large(rows[0])):
            rows = [self._left_behind(rows[0])]
        if not rows:
            self._session.nothing_held(self._outbox.last_seq)
        elif self._batches.are_of_this_file:
            self._session.published(self._batches.send(link, rows), rows[-1][0], now_s)

    def _left_behind(self, row: wire.Row) -> wire.Row:
        """The notice of an entry that alone is more than the broker takes. It is kept, past its time, until a broker takes it."""
        size_bytes = self._batches.size_bytes(row)
        if self._outbox.note_oversized(row[0], size_bytes):
            self._left[row[0]] = size_bytes
        return row[0], oversized(size_bytes)

    def acknowledged(self, mid: int, now_s: float) -> None:
        """The broker has a message; where its word is enough, that settles."""
        through = self._session.acknowledged(mid, now_s)
        if through:
            self._settle(through)

    def received(self, receipt: wire.Receipt, now_s: float) -> bool:
        """The centre has everything up to a number.

        Returns:
            Whether this receipt is about the entries that are here.
        """
        last_seq = self._outbox.last_seq
        if not (receipt.outbox == self._batches.outbox_id and self._batches.are_of_this_file):
            return False  # of a file that has been replaced since
        if receipt.through > last_seq:
            # The centre has had numbers that this file has yet to give out: the card was restored from an old copy. That takes a start of
            # the board, so a second such receipt in one is no centre's, and another copy would only fill the card.
            if self._is_first_of_this_boot():
                self._outbox.set_aside("the centre knows later entries of it")
            return False
        self._settle(self._session.receipt(receipt.through, now_s))
        return True

    def _is_first_of_this_boot(self) -> bool:
        try:
            self._once.parent.mkdir(mode=0o770, parents=True, exist_ok=True)
            self._once.touch(0o640, exist_ok=False)
        except FileExistsError:
            return False
        except OSError as error:  # what cannot be counted is not done
            _log.warning(line("receipt-beyond-ours", reason=error.strerror))
            return False
        return True

    def _settle(self, through: int) -> None:
        self._outbox.settle(through, self._batches.outbox_id)
        for seq in [each for each in self._left if each <= through]:  # until then it may have been the way that failed
            _log.warning(line("entry-oversized", seq=seq, bytes=self._left.pop(seq)))
        self.last_receipt_boot_ns = self._clock.boot_ns()
