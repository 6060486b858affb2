"""The only way back to names: with the private key of the day, for a reason that is written down first.

The line in the ledger's audit says who, when, why and which entries were asked for; it is on the disk before the first box
is opened, and the ledger keeps it from being changed. A second one says how many persons were shown. An entry whose key is destroyed, or is another recipient's, stays
shut.
"""

from __future__ import annotations

import os
import pwd
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from central.ledgers.export import printable
from central.ledgers.ledger import Opening
from kiosk.envelopes.seal import unseal
from kiosk.errors import SealError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from central.ledgers.ledger import Ledger, Row
    from kiosk.envelopes.seal import PrivateKey

LONGEST_REASON = 400
LONGEST_NAME = 64
NO_LOGIN = 2**32 - 1
"""What the kernel tells of a process that no login began."""


@dataclass
class Count:
    """What became of the entries.

    Attributes:
        opened: Persons that are readable now.
        without_key: Boxes for which no key is here.
        damaged: Boxes that do not open with their key.
        open: Entries whose person was never sealed, or that have none.
    """

    opened: int = 0
    without_key: int = 0
    damaged: int = 0
    open: int = 0


@dataclass
class Opener:
    """Opens entries with these keys.

    Attributes:
        keys: Private keys by the ids of their public halves.
        count: What became of the entries so far.
    """

    keys: Mapping[str, PrivateKey] = field(repr=False)
    count: Count = field(default_factory=Count)

    def open(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, with the person in the clear where a key is here."""
        for row in rows:
            entry = row.entry
            if not entry.sealed:
                self.count.open += 1
                yield row
                continue
            sealed = next((box for box in entry.sealed if box.key in self.keys), None)
            if sealed is None:
                self.count.without_key += 1
                yield row
                continue
            try:
                person = unseal(sealed, self.keys[sealed.key], entry.kiosk, entry.id)
            except SealError:
                self.count.damaged += 1
                yield row
                continue
            self.count.opened += 1
            yield replace(row, entry=replace(entry, person=person, sealed=()))


def note(ledger: Ledger, reason: str, scope: str) -> Opening:
    """Write down that persons are about to be opened.

    Args:
        ledger: Where.
        reason: Why.
        scope: Which entries.

    Raises:
        SealError: There is no reason.
        LedgerError: It could not be written, so nothing may be opened.
    """
    opening = Opening(time.time_ns(), user(), reason_of(reason), scope)
    ledger.note_opening(opening)
    return opening


def note_shown(ledger: Ledger, opening: Opening, count: Count) -> str:
    """Write down how many persons were shown, behind them and however the showing ended.

    Args:
        ledger: Where.
        opening: The line that was written before them.
        count: What became of the entries.

    Returns:
        The head of the audit's chain now.

    Raises:
        LedgerError: It could not be written.
    """
    return ledger.note_opening(replace(opening, at_ns=time.time_ns(), shown=count.opened))


def reason_of(text: str) -> str:
    """The reason in a text, on one line.

    Raises:
        SealError: There is none.
    """
    reason = "".join(letter for letter in text if letter.isprintable()).strip()
    if not 3 <= len(reason) <= LONGEST_REASON:
        raise SealError(
            f"a reason has 3 to {LONGEST_REASON} characters", hint="say why, as in --reason 'case 2026/114'"
        )
    return reason


def user(login: Path = Path("/proc/self/loginuid")) -> str:
    """Who is at this machine, as the kernel knows it; what sudo says is told as that, and no other word of the environment counts.

    Args:
        login: Where the kernel tells as whom the session began.
    """
    uid = os.getuid()
    told = [_name_of(uid)]
    with suppress(OSError, ValueError):
        login_uid = int(login.read_text("ascii"))
        if login_uid not in {uid, NO_LOGIN}:
            told.append(f"logged in as {_name_of(login_uid)}")
    if uid == 0 and (asked := os.environ.get("SUDO_USER", "")):
        told.append(f"sudo says {printable(asked)[:LONGEST_NAME]}")
    return ", ".join(told)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user without a name
        return str(uid)
