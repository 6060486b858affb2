"""What every collector does with what its broker hands it, in this order and no other: COMMIT → receipt → acknowledge.

`Intake.commit` is the first half: what can be read goes into the ledger, what cannot is set aside, both in one
transaction. Only when it has returned may a collector send the receipts and, after them, acknowledge to its broker.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from central.intake.quota import Quota
from central.intake.repeats import Repeats
from central.ledgers.export import printable
from central.ledgers.ledger import Aside
from kiosk import forms
from kiosk.delivery import wire
from kiosk.delivery.poison import Poison
from kiosk.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from central.ledgers.ledger import Ledger

_log = logging.getLogger(__name__)

REPORT_EVERY_S = 10.0
LOOK_EVERY_S = 300.0
LOOK_AT = "see that receipts reach the stations, and who subscribes at the broker: whoever shares the collectors' subscription takes a part of the entries"
GATHER_S = 0.05
LONGEST_GATHER_S = 1.0
QUIET_S = 0.003
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


@dataclass(frozen=True, slots=True)
class Message:
    """One PUBLISH as it came.

    Attributes:
        kiosk: The branch of topics that it came by.
        body: Its bytes.
    """

    kiosk: str
    body: bytes


class Intake:
    """The way into one ledger. One thread only.

    Attributes:
        gather_s: How long a collector gathers messages for the next commit while they come without a pause of `QUIET_S`: as
            long as the last commit took, so that a slow disk or a busy machine is met with larger commits.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.gather_s = GATHER_S
        self._ledger = ledger
        self._counts = {"messages": 0, "rows": 0, "aside": 0}
        self._next_report_s = 0.0
        self._quota = Quota()
        self._repeats = Repeats()
        self._next_look_s = 0.0

    def commit(self, messages: Sequence[Message]) -> list[tuple[str, bytes]]:
        """Keep them durably.

        Returns:
            For each stream among them its kiosk and the receipt's bytes, which may now be sent.

        Raises:
            LedgerError: Nothing of it has been kept.
        """
        began_s, now_ns = time.monotonic(), time.time_ns()
        batches, aside = [], []
        for message in messages:
            try:
                batch = _batch_in(message)
                poison = [row.body for row in batch.rows if isinstance(row, Poison)]
                if self._quota.admits(batch.kiosk, batch.outbox, len(batch.rows), poison, now_ns):
                    batches.append(batch)
            except WireError as error:
                kiosk, reason = printable(message.kiosk), printable(str(error))  # PostgreSQL keeps no NUL in a text
                _log.warning("set-aside kiosk=%s size_bytes=%d reason=%r", kiosk, len(message.body), reason)
                if self._quota.admits(kiosk, None, 0, [message.body], now_ns):
                    aside.append(Aside(kiosk, message.body, reason))
        receipts = self._ledger.store(batches, aside, time.time_ns())
        self._counts["messages"] += len(messages)
        self._counts["rows"] += sum(len(batch.rows) for batch in batches)
        self._counts["aside"] += len(aside)
        self._report()
        self.gather_s = min(LONGEST_GATHER_S, max(GATHER_S, time.monotonic() - began_s))
        now_ns = time.time_ns()
        told = [
            (kiosk, replace(receipt, now_ns=now_ns, alone=_alone(batches, kiosk, receipt.outbox)))
            for kiosk, receipt in receipts
        ]
        return [(kiosk, wire.encode_receipt(receipt)) for kiosk, receipt in told]

    def _report(self) -> None:
        if time.monotonic() >= self._next_report_s:
            self._next_report_s = time.monotonic() + REPORT_EVERY_S
            _log.info("collected %s", " ".join(f"{name}={count}" for name, count in self._counts.items()))
        if time.monotonic() >= self._next_look_s:
            self._next_look_s = time.monotonic() + LOOK_EVERY_S
            share = self._repeats.share(self._ledger.streams())
            if share:
                _log.warning("traffic-repeats share=%.2f remedy=%r", share, LOOK_AT)


def _batch_in(message: Message) -> wire.Batch:
    """The batch of the station whose topic it came by.

    Raises:
        WireError: There is none.
    """
    if not forms.is_id(message.kiosk):
        raise WireError("it came by the topic of nobody")
    batch = wire.decode_batch(message.body)
    if batch.kiosk != message.kiosk:
        raise WireError("it came by another kiosk's topic")
    return batch


def _alone(batches: Sequence[wire.Batch], kiosk: str, outbox: UUID) -> tuple[int, ...]:
    """The numbers of a stream that came alone in their message, kept or set aside, but no mere notices."""
    own = [batch for batch in batches if len(batch.rows) == 1 and (batch.kiosk, batch.outbox) == (kiosk, outbox)]
    return tuple(seq for batch in own for seq in batch.numbers)[-wire.MAX_ALONE :]


class Pause:
    """Between two attempts to reach a broker: it doubles, and begins anew once one has stood."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def stood(self) -> None:
        """The broker was reached."""
        self._next_s = FIRST_PAUSE_S

    def keep(self, broker: str, reason: str, stop: Callable[[], bool]) -> None:
        """Say why nothing is collected, and wait, unless told to stop.

        Args:
            broker: Its address, without what lets one in.
            reason: Why the last attempt ended.
            stop: Asked twenty times a second.
        """
        _log.warning("not-collecting broker=%s reason=%r retry_in_s=%.1f", broker, reason, self._next_s)
        until_s = time.monotonic() + self._next_s
        while not stop() and time.monotonic() < until_s:
            time.sleep(0.05)
        self._next_s = min(2 * self._next_s, LONGEST_PAUSE_S)
