"""The ledger: every entry once, under its id, and the proof that none is missing.

`Ledger` is the promise; `central.ledgers.sqlite` keeps it in one file. Two things are kept apart. An *entry* is a person
who passed a door; its id is its key, so that a repeated delivery changes nothing. A *delivery* is a number that one
outbox file has given out; a stream (kiosk, outbox) of them without a gap proves completeness, and its length is what the
receipt says. A row that is no entry is set aside under its number, so that the rows behind it are not held up.

Units: `_ns` nanoseconds of Unix time, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from central.ledgers.findings import Boot, Trouble, Twice
    from kiosk.delivery.wire import Batch, Receipt
    from kiosk.model import Entry


KEPT_BYTES = 4096
"""Of a body that was set aside: enough to see what it was, and no way to fill a disk."""


WORD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Aside:
    """A whole message that could not be understood.

    Attributes:
        kiosk: The branch of topics that it came by.
        body: What it was.
        reason: Why it is no batch.
    """

    kiosk: str
    body: bytes
    reason: str


def cut(body: bytes, reason: str) -> tuple[bytes, str]:
    """What is kept of what was set aside: its beginning, and of more than that the size and a hash, beside the reason.

    Args:
        body: What it was.
        reason: Why it is set aside.
    """
    if len(body) <= KEPT_BYTES:
        return body, reason
    return body[:KEPT_BYTES], f"{reason} ({len(body)} bytes, SHA-256 {sha256(body).hexdigest()})"


@dataclass(frozen=True, slots=True)
class Row:
    """One entry in the ledger, and how it came there."""

    entry: Entry
    outbox: UUID
    seq: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of the deliveries of one outbox file.

    Attributes:
        kiosk: Whose it is.
        outbox: The file's id.
        through: Everything up to this number has come that the kiosk can still send; what its receipts say.
        highest: The highest number that has come.
        delivered: How many numbers have come.
        gaps: Numbers that are missing below `highest`, as (first, last).
        repeated: Deliveries that had come before; harmless.
        elsewhere: Deliveries whose entry had come by another file of the kiosk, which was damaged; harmless.
        aside: Rows of it that were set aside.
    """

    kiosk: str
    outbox: UUID
    through: int
    highest: int
    delivered: int
    gaps: tuple[tuple[int, int], ...]
    repeated: int
    elsewhere: int
    aside: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing up to the highest number, and nothing had to be set aside."""
        return not self.gaps and self.aside == 0


@dataclass(frozen=True, slots=True)
class Opening:
    """Somebody opened sealed persons: one line of the audit, written before anything is shown and never changed.

    Attributes:
        at_ns: When.
        who: The user of the machine on which it was done.
        reason: The reason that was given.
        scope: Which entries were asked for.
        shown: How many persons were shown, of a second line that is written behind them; None in the first.
        hash: Of this line and all before it, hexadecimal (`central.ledgers.chain`); empty in lines of before there were any.
    """

    at_ns: int
    who: str
    reason: str
    scope: str
    shown: int | None = None
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """An operator's word on a finding of the audit: one line, kept as it was written.

    Attributes:
        at_ns: When.
        who: The user of the machine on which it was done.
        reason: The reason that was given.
        finding: Its name.
        count: How much evidence there was.
        covers: Up to where it was known, as in `central.ledgers.findings.Finding`.
    """

    at_ns: int
    who: str
    reason: str
    finding: str
    count: int
    covers: int


class Ledger(Protocol):
    """Where entries end. One thread at a time; several processes may hold one ledger."""

    def store(self, batches: Sequence[Batch], aside: Sequence[Aside], received_ns: int) -> list[tuple[str, Receipt]]:
        """Keep all of it, in one transaction, durably before this returns.

        Args:
            batches: In any order, with any repeats.
            aside: Messages that are no batch.
            received_ns: Now.

        Returns:
            For each stream among the batches its kiosk and the receipt that may now be sent.

        Raises:
            LedgerError: Nothing of it has been kept.
        """

    def entries(self, kiosk: str | None = None, since_ns: int = 0, until_ns: int | None = None) -> Iterator[Row]:
        """Entries in order of time.

        Args:
            kiosk: Of this station only.
            since_ns: Not before.
            until_ns: Before.
        """

    def latest(self, limit: int, kiosk: str | None = None) -> list[Row]:
        """The entries that came last, newest first."""

    def last_received_ns(self) -> dict[str, int]:
        """When the newest entry of each kiosk came."""

    def count(self, kiosk: str | None = None) -> int:
        """How many entries there are."""

    def doubled(self, kiosk: str | None = None) -> int:
        """How many entries share their number with another one: 0, or a card was copied."""

    def note_opening(self, opening: Opening) -> str:
        """Add a line to the audit, durably before this returns.

        Returns:
            Its hash, which is the chain's head now.

        Raises:
            LedgerError: It has not been written, so nothing may be opened.
        """

    def openings(self) -> list[Opening]:
        """The audit's lines, oldest first."""

    def shared_word(self, name: str) -> str:
        """A random word, hexadecimal, that all who share the ledger share and nobody else knows; made when it is first asked for.

        Args:
            name: What it is for.
        """

    def streams(self, kiosk: str | None = None) -> list[Stream]:
        """The deliveries of every outbox file, for the proof."""

    def boots(self, kiosk: str | None = None) -> list[Boot]:
        """Every start of every machine, in order of arrival."""

    def twice(self, kiosk: str | None = None) -> list[Twice]:
        """Every entry whose number has another one, too, in order of station, outbox, number and arrival."""

    def troubles(self, kiosk: str | None = None) -> list[Trouble]:
        """Every row that was set aside under its number."""

    def note_closing(self, closing: Closing) -> None:
        """Add an operator's word, durably before this returns.

        Raises:
            LedgerError: It has not been written.
        """

    def closings(self) -> list[Closing]:
        """The operators' words, oldest first."""

    def close(self) -> None:
        """Let go of it."""
