"""Every call to the disk fails in turn: with EIO, with ENOSPC, once, and from then on until the card is mended.

The calls are those of the real outbox and ledger, SQLite's and their own, refused below them (`tests.fault.tap`). Whatever
fails: nobody sees green without an entry, the error has a name and a remedy, and when the fault is over work goes on.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.delivery import wire
from kiosk.delivery.wire import Batch
from kiosk.errors import KioskError, LedgerError, OutboxError
from kiosk.model import Entry
from kiosk.outbox import Outbox
from tests.fault.door import Door, people_in
from tests.fault.tap import Operation, tapped

Make = Callable[[int], Entry]
NEEDS_ROOM = frozenset({"open", "write", "share", "make-folder", "rename"})
HOLD_FRAMES = 14
"""Long enough for a second try of a commit that failed."""
PEOPLE = 8


@dataclass
class Failing:
    """A card whose n-th call fails.

    Attributes:
        at: Which one; 0 for none.
        number: The errno.
        for_good: Whether all that follow fail too, until `mend`.
        calls: How many there were.
        failed: How many of them failed.
    """

    at: int = 0
    number: int = errno.EIO
    for_good: bool = False
    calls: int = 0
    failed: int = 0

    def __call__(self, operation: Operation) -> int:
        """The errno that this call fails with."""
        if self.number == errno.ENOSPC and operation.verb not in NEEDS_ROOM:
            return 0
        self.calls += 1
        hit = self.calls == self.at or (self.for_good and 0 < self.at <= self.calls)
        self.failed += hit
        return self.number if hit else 0

    def mend(self) -> None:
        """Nothing fails from now on."""
        self.at = 0


class Trouble:
    """Errors that were met: each must be the outbox's, or the ledger's, and say what to do."""

    def __init__(self, kind: type[KioskError]) -> None:
        self._kind = kind
        self.errors: list[KioskError] = []

    def trying(self, work: Callable[[], object]) -> bool:
        """True if it was done."""
        try:
            work()
        except self._kind as error:
            self.errors.append(error)
            return False
        return True

    def all_have_a_remedy(self) -> bool:
        """Whether each says what to do."""
        return all(error.hint for error in self.errors)


def _day(config: Config, card: Failing, *, replaces: bool) -> tuple[list[int], list[int]]:  # noqa: C901  a day
    """People come while the card fails, and after it was mended.

    Returns:
        Who was shown green, and who is in the outbox.
    """
    trouble = Trouble(OutboxError)
    greens: list[str] = []
    doors: list[Door] = []
    path = config.state.dir / "outbox.db"

    def enter() -> None:
        """As the service manager does: a process that has ended is started again."""
        doors.append(Door(config, Outbox.open(path, config.outbox), greens.append))

    def tend(number: int) -> None:
        """What the uplink does meanwhile."""
        with closing(Outbox.open(path, config.outbox)) as uplink:
            if replaces and number == PEOPLE // 2:
                uplink.set_aside("a test")
            elif not replaces:
                uplink.settle(number // 2)
            uplink.sweep(doors[0].clock.now() if doors else wire.decode_entry(uplink.head(0, 1)[0][1]).at)

    def come(number: int) -> None:
        if not doors and not trouble.trying(enter):
            return
        doors[0].show(number, HOLD_FRAMES)

    for number in range(PEOPLE):
        if doors and number == PEOPLE // 2 + 1:
            doors.pop().parts.outbox.close()
        come(number)
        if doors:
            trouble.trying(lambda number=number: tend(number))  # type: ignore[misc]
    card.mend()
    for number in range(PEOPLE, PEOPLE + 3):
        come(number)
    doors[0].parts.outbox.close()
    with closing(Outbox.open(path, config.outbox)) as outbox:
        kept = people_in(outbox)
        numbers = [seq for seq, _ in outbox.head(0, 10**9)]
        assert numbers == list(range(1, outbox.last_seq + 1))
        outbox.check()
    assert trouble.all_have_a_remedy()
    return [int(line.split()[1]) for line in greens], kept


@pytest.mark.parametrize("replaces", [False, True], ids=["ordinary", "replaced"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for-good"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_failing_call_costs_no_entry(
    memory: Path, make_config: Any, scale: Any, tell: Any, number: int, for_good: bool, replaces: bool  # noqa: FBT001
) -> None:  # fmt: skip
    """No green without an entry, whichever call fails; when the card is mended, whoever comes is recorded."""
    rounds = greens = kept = lost = doubled = failed = at = 0
    step = scale(15, 1)
    while True:
        at += step
        config = make_config(state={"dir": str(memory / str(at) / "state"), "runtime_dir": str(memory / "run")})
        card = Failing(at, number, for_good)
        (memory / str(at)).mkdir()
        with tapped(memory / str(at), card):
            shown, recorded = _day(config, card, replaces=replaces)
        if not card.failed:
            break
        assert set(range(PEOPLE, PEOPLE + 3)) <= set(shown), f"call {at}: not usable after the fault"
        rounds += 1
        failed += card.failed
        greens += len(shown)
        kept += len(set(shown) & set(recorded))
        lost += len(set(shown) - set(recorded))
        doubled += len(recorded) - len(set(recorded))
        assert (lost, doubled) == (0, 0), f"call {at}"
    name = f"{errno.errorcode[number]} {'for good' if for_good else 'once'}, {'file replaced' if replaces else 'ordinary day'}"
    tell(
        f"failing call: {name} ({failed} failed)", rounds=rounds, greens=greens, kept=kept, lost=lost, doubled=doubled,
        where="outbox",
    )  # fmt: skip
    assert rounds >= (5 if step > 1 else 50)


def _centre(path: Path, rows: list[tuple[int, Entry]], card: Failing) -> tuple[int, int]:
    """A collector that is started again whenever its ledger has failed.

    Returns:
        The highest receipt while calls failed, and after the card was mended.
    """
    trouble = Trouble(LedgerError)
    ledgers: list[SqliteLedger] = []
    receipts = [0]

    def store(first: int) -> None:
        if not ledgers:
            ledgers.append(SqliteLedger(path))
        batch = Batch("test-1", UUID(int=7), tuple(rows[first : first + 4]))
        receipts.extend(receipt.through for _, receipt in ledgers[0].store([batch], [], first))

    for first in range(0, len(rows) // 2, 4):
        if not trouble.trying(lambda first=first: store(first)):  # type: ignore[misc]
            while ledgers:
                ledgers.pop().close()
    card.mend()
    receipted = max(receipts)
    for first in range(0, len(rows), 4):  # the kiosk sends again what has no receipt, and more
        store(first)
    ledgers.pop().close()
    assert trouble.all_have_a_remedy()
    return receipted, receipts[-1]


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for-good"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_failing_call_costs_no_receipted_entry(
    memory: Path, make_entry: Make, scale: Any, tell: Any, number: int, for_good: bool  # noqa: FBT001
) -> None:  # fmt: skip
    """Whichever call of the ledger fails: what has a receipt is there once, and the rest can be sent again."""
    rows = [(seq, make_entry(seq)) for seq in range(1, 25)]
    rounds = receipts = kept = doubled = failed = at = 0
    step = scale(7, 1)
    while True:
        at += step
        path = memory / str(at) / "ledger.db"
        card = Failing(at, number, for_good)
        with tapped(memory, card):
            receipted, through = _centre(path, rows, card)
        if not card.failed:
            break
        with closing(SqliteLedger(path)) as ledger:
            ids = [row.entry.id for row in ledger.entries()]
            assert ledger.streams()[0].complete
        assert through == len(rows)
        rounds += 1
        failed += card.failed
        receipts += receipted
        kept += len({entry.id for seq, entry in rows if seq <= receipted} & set(ids))
        doubled += len(ids) - len(set(ids))
        shutil.rmtree(path.parent)
    name = f"{errno.errorcode[number]} {'for good' if for_good else 'once'}, ledger"
    tell(
        f"failing call: {name} ({failed} failed)", rounds=rounds, greens=receipts, kept=kept, lost=receipts - kept,
        doubled=doubled, where="ledger",
    )  # fmt: skip
    assert (receipts - kept, doubled) == (0, 0)
    assert rounds > 3
