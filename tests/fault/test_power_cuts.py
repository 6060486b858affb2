"""Power cuts: from the real code's writes and syncs, states of the card that a cut may leave, each opened by the real code.

The outbox, its replacement by a new file, and the ledger are recorded while they work (`tests.fault.tap`); the card is
rebuilt as it may be found at any moment (`tests.fault.card`). Everything that was acknowledged must be there. The same
judge is held to settings that are known to lose: it must find the loss.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from central.ledgers.sqlite import SqliteLedger
from kiosk.clock import SystemClock
from kiosk.config import Outbox as Settings
from kiosk.delivery import wire
from kiosk.delivery.wire import Batch
from kiosk.errors import KioskError
from kiosk.model import Direction, Entry
from kiosk.outbox import Outbox
from tests.fault.card import Card, Crash
from tests.fault.tap import Operation, tapped

Make = Callable[[int], Entry]
DAY_NS = 86_400_000_000_000
SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class Green:
    """`append` has returned."""

    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Settling:
    """The uplink is about to settle, sweep or replace up to this number."""

    through: int


@dataclass(frozen=True, slots=True)
class Receipted:
    """The ledger has stored everything up to this number."""

    through: int


@dataclass
class Verdict:
    """What was found in all states together."""

    states: int = 0
    greens: int = 0
    kept: int = 0
    lost: int = 0
    doubled: int = 0
    damaged: int = 0


class LyingCard(Card):
    """Says that it has synced, and has not."""

    def __call__(self, operation: Operation) -> int:
        """Take note of all but the syncs."""
        return 0 if operation.verb.startswith("sync") else super().__call__(operation)


@contextmanager
def _pragmas(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Iterator[None]:
    """Connections whose pragmas come out as these, whatever the code asks for; it believes that it got what it wanted."""

    class Changed(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            name = sql.removeprefix("PRAGMA ").split(" = ")[0]
            if not sql.startswith("PRAGMA ") or name not in changes:
                return super().execute(sql, *values)
            if " = " in sql:
                super().execute(f"PRAGMA {name} = {changes[name]}").close()
            return super().execute("SELECT 'wal'")

    real = sqlite3.connect

    def connect(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, factory=Changed, **more)
        if "wal_autocheckpoint" in changes:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        yield


def _work(card: Card, folder: Path, make_entry: Make, count: int) -> None:
    """A day at a door: entries, settlements and sweeps on two connections, checkpoints, and a restart of each."""
    path = folder / "state" / "outbox.db"
    numbers = iter(range(count))
    for part in (count // 2, count - count // 2):
        with closing(Outbox.open(path, SETTINGS)) as door, closing(Outbox.open(path, SETTINGS)) as uplink:
            for number in itertools.islice(numbers, part):
                entry = make_entry(number)
                card.say(Green(door.append(entry), wire.encode_entry(entry)))
                if number % 4 == 3:
                    card.say(Settling(number - 1))
                    uplink.settle(number - 1)
                if number % 9 == 8:
                    uplink.sweep(replace(entry.at, wall_ns=entry.at.wall_ns + 2 * DAY_NS))
                if number % 7 == 6:
                    door.check()


def _replace(card: Card, folder: Path, make_entry: Make, count: int) -> None:
    """A file is set aside while entries wait, and another one after that."""
    path = folder / "state" / "outbox.db"
    with closing(Outbox.open(path, SETTINGS)) as door, closing(Outbox.open(path, SETTINGS)) as uplink:
        for number in range(count):
            entry = make_entry(number)
            card.say(Green(door.append(entry), wire.encode_entry(entry)))
            if number % (count // 2) == count // 2 - 2:
                uplink.set_aside("a test")


def _recorded(work: Callable[..., None], folder: Path, make_entry: Make, count: int, card: Card | None = None) -> Card:
    card = card or Card()
    with tapped(folder, card):
        work(card, folder, make_entry, count)
    return card


def _judged(crashes: Iterator[Crash], folder: Path, judge: Callable[[Path, Crash, Verdict], None]) -> Verdict:
    verdict = Verdict()
    for crash in crashes:
        found = folder.with_name(folder.name + "-after")
        found.mkdir()
        crash.lay_out(folder, found)
        verdict.states += 1
        judge(found, crash, verdict)
        shutil.rmtree(found)
    return verdict


def _judged_weak(
    crashes: Iterator[Crash], folder: Path, judge: Callable[[Path, Crash, Verdict], None]
) -> tuple[Verdict, int]:
    """The same for settings that may leave no usable file at all.

    Returns:
        What was found, and how many states could not be used.
    """
    verdict = Verdict()
    unusable = 0
    for crash in crashes:
        try:
            one = _judged(iter([crash]), folder, judge)
        except (AssertionError, KioskError, sqlite3.Error):  # rows that are no entries, numbers with gaps, no database
            unusable += 1
            shutil.rmtree(folder.with_name(folder.name + "-after"))
            continue
        verdict.greens += one.greens
        verdict.kept += one.kept
        verdict.lost += one.lost
        verdict.doubled += one.doubled
    return verdict, unusable


def _judge_outbox(found: Path, crash: Crash, verdict: Verdict) -> None:
    """What was acknowledged is there under its number, numbers have no gap, and the next entry takes the next one."""
    greens = {word.seq: word.body for word in crash.said if isinstance(word, Green)}
    settling = max((word.through for word in crash.said if isinstance(word, Settling)), default=0)
    verdict.greens += len(greens)
    with closing(Outbox.open(found / "state" / "outbox.db", SETTINGS)) as outbox:
        verdict.damaged += len(outbox.quarantined())
        rows = outbox.head(0, 100_000)
        bodies = dict(rows)
        kept = [
            seq for seq, body in greens.items() if bodies.get(seq) == body or (seq <= settling and seq not in bodies)
        ]
        verdict.kept += len(kept)
        verdict.lost += len(greens) - len(kept)
        verdict.doubled += len(rows) - len({wire.decode_entry(body).id for _, body in rows})
        numbers = [seq for seq, _ in rows]
        assert not numbers or numbers == list(range(numbers[0], outbox.last_seq + 1))
        assert outbox.settled <= min(settling, outbox.last_seq)
        assert numbers[:1] in ([], [1]) or numbers[0] <= settling + 1
        assert outbox.append(wire.decode_entry(rows[0][1]) if rows else _someone()) == outbox.last_seq
        assert outbox._file.live().execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def _someone() -> Entry:
    now = SystemClock().now()
    return Entry(UUID(int=1), "test-1", "office-1", "main", Direction.IN, now, "cccd", (), (("number", "1"),))


def _judge_replacement(found: Path, crash: Crash, verdict: Verdict) -> None:
    """Whatever step was cut: what waited is in the file that is used from now on, once."""
    greens = {wire.decode_entry(word.body).id for word in crash.said if isinstance(word, Green)}
    verdict.greens += len(greens)
    with closing(Outbox.open(found / "state" / "outbox.db", SETTINGS)) as outbox:
        ids = [wire.decode_entry(body).id for _, body in outbox.head(0, 100_000)]
        verdict.kept += len(greens & set(ids))
        verdict.lost += len(greens - set(ids))
        verdict.doubled += len(ids) - len(set(ids))
        assert outbox.append(_someone()) == outbox.last_seq == len(ids) + 1
        assert not list((found / "state").glob("*.leaving*"))


def test_power_cut_loses_no_acknowledged_entry(
    memory: Path, make_entry: Make, scale: Any, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry whose `append` returned is in the outbox in every state, under its number, and work goes on."""
    folder = memory / "card"
    with _pragmas(monkeypatch, wal_autocheckpoint="12"):
        card = _recorded(_work, folder, make_entry, 60)
    verdict = _judged(card.crashes(scale(150, 1200), seed=1), folder, _judge_outbox)
    tell(
        "power cut: outbox, WAL + FULL", rounds=verdict.states, greens=verdict.greens, kept=verdict.kept,
        lost=verdict.lost, doubled=verdict.doubled, where="outbox",
    )  # fmt: skip
    assert (verdict.lost, verdict.doubled, verdict.damaged) == (0, 0, 0)
    assert verdict.greens > 10 * verdict.states


def test_power_cut_in_a_long_log_loses_no_acknowledged_entry(
    memory: Path, make_entry: Make, scale: Any, tell: Any
) -> None:
    """The same with the checkpoints where the product has them, after a thousand pages."""
    folder = memory / "card"
    card = _recorded(_work, folder, make_entry, scale(400, 1000))
    verdict = _judged(card.crashes(scale(8, 150), seed=2), folder, _judge_outbox)
    tell(
        "power cut: outbox, own checkpoints", rounds=verdict.states, greens=verdict.greens, kept=verdict.kept,
        lost=verdict.lost, doubled=verdict.doubled, where="outbox",
    )  # fmt: skip
    assert (verdict.lost, verdict.doubled, verdict.damaged) == (0, 0, 0)


def test_power_cut_in_a_replacement_loses_no_waiting_entry(
    memory: Path, make_entry: Make, scale: Any, tell: Any
) -> None:
    """A file that is set aside, cut at any write or renaming: the next start finishes it with every waiting entry."""
    folder = memory / "card"
    card = _recorded(_replace, folder, make_entry, 20)
    verdict = _judged(card.crashes(scale(60, 500), seed=3), folder, _judge_replacement)
    tell(
        "power cut: outbox file replaced", rounds=verdict.states, greens=verdict.greens, kept=verdict.kept,
        lost=verdict.lost, doubled=verdict.doubled, where="outbox",
    )  # fmt: skip
    assert (verdict.lost, verdict.doubled) == (0, 0)


@pytest.mark.parametrize(
    ("weakness", "pragmas"),
    [
        ("journal_mode=DELETE", {"journal_mode": "DELETE"}),
        ("synchronous=NORMAL", {"synchronous": "NORMAL"}),
        ("synchronous=OFF", {"synchronous": "OFF"}),
        ("a card that syncs nothing", {}),
    ],
)
def test_suite_sees_what_weak_settings_lose(
    memory: Path, make_entry: Make, scale: Any, tell: Any, monkeypatch: pytest.MonkeyPatch,
    weakness: str, pragmas: dict[str, str],
) -> None:  # fmt: skip
    """The same work, record and judge find losses where losses are known to be: DELETE syncs no folder after its commit."""
    folder = memory / "card"
    with _pragmas(monkeypatch, wal_autocheckpoint="12", **pragmas):
        card = _recorded(_work, folder, make_entry, 40, Card() if pragmas else LyingCard())
    verdict, unusable = _judged_weak(card.crashes(scale(60, 400), seed=4), folder, _judge_outbox)
    tell(
        f"power cut: {weakness}", rounds=scale(60, 400), greens=verdict.greens, kept=verdict.kept, lost=verdict.lost,
        doubled=verdict.doubled, where="outbox", weak=True,
    )  # fmt: skip
    assert verdict.lost + unusable > 0


@pytest.mark.parametrize(
    ("weakness", "pragmas"), [("synchronous=OFF", {"synchronous": "OFF"}), ("a disk that syncs nothing", {})]
)
def test_ledgers_judge_sees_what_weak_settings_lose(
    memory: Path, make_entry: Make, scale: Any, tell: Any, monkeypatch: pytest.MonkeyPatch,
    weakness: str, pragmas: dict[str, str],
) -> None:  # fmt: skip
    """The ledger's judge finds receipts for entries that a power cut took, where nothing is synced."""
    folder = memory / "card"
    with _pragmas(monkeypatch, wal_autocheckpoint="30", **pragmas):
        card = _recorded(_collect, folder, make_entry, 40, Card() if pragmas else LyingCard())
    verdict, unusable = _judged_weak(card.crashes(scale(60, 400), seed=6), folder, _judge_ledger)
    tell(
        f"power cut: ledger, {weakness}", rounds=scale(60, 400), greens=verdict.greens, kept=verdict.kept,
        lost=verdict.lost, doubled=verdict.doubled, where="ledger", weak=True,
    )  # fmt: skip
    assert verdict.lost + unusable > 0


def _collect(card: Card, folder: Path, make_entry: Make, count: int) -> None:
    """A ledger is made, and takes batches, some of them twice."""
    kiosk_outbox = UUID(int=7)
    rows = [(number, make_entry(number)) for number in range(1, count + 1)]
    card.say(rows)
    with closing(SqliteLedger(folder / "centre" / "ledger.db")) as ledger:
        for first in range(0, count, 4):
            batch = Batch("test-1", kiosk_outbox, tuple(rows[max(0, first - 2) : first + 4]))
            for _, receipt in ledger.store([batch], [], first):
                card.say(Receipted(receipt.through))


def _judge_ledger(found: Path, crash: Crash, verdict: Verdict) -> None:
    """What was receipted is there, once; and when everything comes again, everything is there, once."""
    rows = next((word for word in crash.said if isinstance(word, list)), [])
    receipted = max((word.through for word in crash.said if isinstance(word, Receipted)), default=0)
    verdict.greens += receipted
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(SqliteLedger(found / "centre" / "ledger.db")))
        ids = [row.entry.id for row in ledger.entries()]
        kept = {entry.id for number, entry in rows if number <= receipted} & set(ids)
        verdict.kept += len(kept)
        verdict.lost += receipted - len(kept)
        verdict.doubled += len(ids) - len(set(ids))
        if rows:
            ((_, receipt),) = ledger.store([Batch("test-1", UUID(int=7), tuple(rows))], [], 0)
            assert receipt.through == len(rows) == ledger.count()
            assert ledger.streams()[0].complete
        assert ledger._connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_power_cut_loses_nothing_that_was_receipted(
    memory: Path, make_entry: Make, scale: Any, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry under a receipt is in the ledger in every state; a ledger whose making was cut is made."""
    folder = memory / "card"
    with _pragmas(monkeypatch, wal_autocheckpoint="30"):
        card = _recorded(_collect, folder, make_entry, 60)
    verdict = _judged(card.crashes(scale(100, 800), seed=5), folder, _judge_ledger)
    tell(
        "power cut: ledger", rounds=verdict.states, greens=verdict.greens, kept=verdict.kept, lost=verdict.lost,
        doubled=verdict.doubled, where="ledger",
    )  # fmt: skip
    assert (verdict.lost, verdict.doubled) == (0, 0)
