"""A ledger keeps every entry once, says how far it is complete, and is stopped by nothing that comes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bench.postgres import Postgres
from central.__main__ import main
from central.intake.gathering import Intake, Message
from central.ledgers import chain
from central.ledgers.choice import open_ledger
from central.ledgers.findings import TWICE, Boot, Trouble, Twice, findings_of
from central.ledgers.ledger import Aside, Closing, Ledger, Opening
from central.ledgers.postgres import PostgresLedger
from central.ledgers.sqlite import SqliteLedger
from kiosk.delivery.poison import OVERSIZED, Poison, oversized
from kiosk.delivery.wire import Batch, Receipt, decode_receipt, encode_batch, encode_entry
from kiosk.errors import LedgerError
from kiosk.model import ClockQuality, Entry, Moment, Sealed

OUTBOX = UUID(int=1)
Make = Callable[[int], Entry]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Where each kind of ledger can be made, a new place with every call."""
    if request.param == "sqlite":
        return lambda: str(tmp_path_factory.mktemp("ledger") / "ledger.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.database


@pytest.fixture
def place(new_place: Callable[[], str]) -> str:
    """One of them."""
    return new_place()


@pytest.fixture
def ledger(place: str) -> Iterator[Ledger]:
    """Each kind of ledger, empty."""
    ledger = open_ledger(place)
    yield ledger
    ledger.close()


def _batch(rows: dict[int, Entry | Poison], outbox: UUID = OUTBOX, kiosk: str = "test-1") -> Batch:
    return Batch(kiosk, outbox, tuple(row if isinstance(row, Poison) else (seq, row) for seq, row in rows.items()))


def _store(ledger: Ledger, *batches: Batch) -> list[int]:
    return [receipt.through for _, receipt in ledger.store(batches, [], 1)]


def test_receipt_says_how_far_it_is_complete(ledger: Ledger, make_entry: Make) -> None:
    """Contiguous numbers move it on, a gap stops it, the missing ones let it jump."""
    entries = {seq: make_entry(seq) for seq in range(1, 8)}
    assert ledger.store([_batch({1: entries[1], 2: entries[2]})], [], 1) == [("test-1", Receipt(OUTBOX, 2))]
    assert _store(ledger, _batch({5: entries[5], 6: entries[6]})) == [2]
    assert ledger.streams()[0].gaps == ((3, 4),)
    assert not ledger.streams()[0].complete
    assert _store(ledger, _batch({4: entries[4], 3: entries[3]})) == [6]
    assert ledger.streams()[0].complete


def test_batch_without_entries_is_answered_and_changes_nothing(ledger: Ledger, make_entry: Make) -> None:
    """It asks for a receipt: of a file that nobody knows yet, beside entries, and of one that has delivered."""
    assert ledger.store([_batch({})], [], 1) == [("test-1", Receipt(OUTBOX, 0))]
    assert _store(ledger, replace(_batch({}), oldest=1), _batch({1: make_entry(1), 2: make_entry(2)})) == [2]
    assert _store(ledger, _batch({})) == [2]
    (stream,) = ledger.streams()
    assert (ledger.count(), stream.delivered, stream.repeated, stream.complete) == (2, 2, 0, True)


def test_what_a_kiosk_no_longer_holds_is_not_waited_for(ledger: Ledger, make_entry: Make) -> None:
    """A ledger restored from an old copy: receipts go on behind what the kiosk has deleted, the audit still names it."""
    entries = {seq: make_entry(seq) for seq in range(1, 12)}
    assert _store(ledger, _batch({1: entries[1], 2: entries[2]})) == [2]
    assert _store(ledger, replace(_batch({9: entries[9]}), oldest=6)) == [5]
    assert _store(ledger, replace(_batch({6: entries[6], 7: entries[7], 8: entries[8]}), oldest=6)) == [9]
    assert _store(ledger, _batch({10: entries[10]})) == [10], "an older message does not take it back"
    (stream,) = ledger.streams()
    assert (stream.gaps, stream.complete, stream.through) == (((3, 5),), False, 10)


def test_repeated_delivery_changes_nothing(ledger: Ledger, make_entry: Make) -> None:
    """Ids are keys: the same rows again are counted as repeats and add no entry."""
    batch = _batch({1: make_entry(1), 2: make_entry(2)})
    assert [_store(ledger, batch, batch), _store(ledger, batch)] == [[2], [2]]
    (stream,) = ledger.streams()
    assert (ledger.count(), ledger.doubled(), stream.repeated, stream.delivered) == (2, 0, 4, 2)
    assert stream.complete


@pytest.mark.parametrize("kiosk", ["k\0", "k\n", "\x1b[2J", "k\ud800", "k" * 9000, ""])
def test_odd_topic_keeps_nothing_good_out(ledger: Ledger, make_entry: Make, kiosk: str) -> None:
    """Whatever name a message came by: it is set aside once, and what came with it is kept."""
    entry = make_entry(1)
    good = encode_batch("test-1", OUTBOX, [(1, encode_entry(entry))])
    receipts = Intake(ledger).commit([Message(kiosk, good), Message("test-1", good), Message(kiosk, b"{")])
    assert [name for name, _ in receipts] == ["test-1"]
    assert ledger.count() == 1


def test_row_that_is_no_entry_is_set_aside_under_its_number(ledger: Ledger, make_entry: Make) -> None:
    """The rows behind it are not held up, the audit sees it, and the same trouble is kept once."""
    batch = _batch({1: make_entry(1), 2: Poison(2, b"\xff", "rotten"), 3: make_entry(3)})
    assert [_store(ledger, batch), _store(ledger, batch)] == [[3], [3]]
    (stream,) = ledger.streams()
    assert (ledger.count(), stream.aside, stream.gaps, stream.complete) == (2, 1, (), False)


def test_entry_that_comes_after_its_notice_is_no_conflict(ledger: Ledger, make_entry: Make) -> None:
    """While it waits at the station the audit says so; once it has come nothing is left of that, and a late notice brings nothing back."""
    notice = Poison(2, oversized(9000), OVERSIZED)
    batch = _batch({1: make_entry(1), 2: notice, 3: make_entry(3)})
    assert [_store(ledger, batch), _store(ledger, batch)] == [[3], [3]]
    assert [stream.complete for stream in ledger.streams()] == [False]
    assert ledger.troubles() == [Trouble("test-1", OUTBOX, 2, OVERSIZED)]
    (finding,) = findings_of(ledger.streams(), [], [], ledger.troubles(), str)
    assert (finding.name, finding.count) == (f"test-1/oversized/{str(OUTBOX)[:8]}", 1)
    late = _batch({2: make_entry(2)})
    assert [_store(ledger, late), _store(ledger, _batch({2: notice})), _store(ledger, late)] == [[3], [3], [3]]
    (stream,) = ledger.streams()
    assert (ledger.count(), ledger.doubled(), ledger.troubles(), stream.complete) == (3, 0, [], True)
    assert ledger.twice() == []


def test_receipt_names_what_came_alone(ledger: Ledger, make_entry: Make) -> None:
    """A station forgets an entry that had stayed behind for nothing less; a notice alone is named by nobody."""
    rows = {seq: encode_entry(make_entry(seq)) for seq in range(1, 6)}
    batches = [[(1, rows[1])], [(2, oversized(9000))], [(3, rows[3]), (4, rows[4])], [(5, b"rotten")]]
    messages = [Message("test-1", encode_batch("test-1", OUTBOX, batch)) for batch in batches]
    ((_, receipt),) = Intake(ledger).commit(messages)
    assert (decode_receipt(receipt).through, decode_receipt(receipt).alone) == (5, (1, 5))


def test_what_is_set_aside_fills_no_disk(ledger: Ledger, place: str) -> None:
    """Of a large body the beginning, its size and a hash are kept; the same again is kept once."""
    body = b"x" * 10**6
    for _ in range(2):
        _store(ledger, _batch({1: Poison(1, body, "rotten")}))
        ledger.store([], [Aside("k", body, "not JSON")], 1)
    rows = _rows(place, "SELECT reason, body FROM {}aside")
    assert sorted(len(kept) for _, kept in rows) == [4096, 4096]
    assert all(f"1000000 bytes, SHA-256 {sha256(body).hexdigest()}" in reason for reason, _ in rows)


def test_message_that_is_no_batch_is_set_aside(ledger: Ledger, make_entry: Make) -> None:
    """It is kept with its reason, and what came with it is stored."""
    aside = Aside("k", b"garbage", "not JSON")
    assert ledger.store([_batch({1: make_entry(1)})], [aside, aside], 1) == [("test-1", Receipt(OUTBOX, 1))]
    assert ledger.store([], [aside], 2) == []
    assert ledger.count() == 1


def test_entries_of_a_replaced_outbox_are_known_again(ledger: Ledger, make_entry: Make) -> None:
    """Entries that were carried out of a damaged file come under new numbers and are not doubled."""
    entries = {seq: make_entry(seq) for seq in range(1, 4)}
    _store(ledger, _batch(dict(entries)))
    other = uuid4()
    assert _store(ledger, _batch({1: entries[2], 2: entries[3], 3: make_entry(9)}, other)) == [3]
    assert (ledger.count(), ledger.doubled()) == (4, 0)
    assert [stream.elsewhere for stream in ledger.streams()] == [0, 2]


def test_number_that_is_used_twice_loses_no_entry(ledger: Ledger, make_entry: Make) -> None:
    """A card that was copied gives a number twice: both entries are kept, and the audit says so."""
    _store(ledger, _batch({1: make_entry(1)}))
    _store(ledger, _batch({1: make_entry(2)}))
    assert (ledger.count(), ledger.doubled(), ledger.streams()[0].aside) == (2, 1, 1)


def test_kiosks_do_not_mix(ledger: Ledger, make_entry: Make) -> None:
    """Counts, streams and entries can be asked for one kiosk."""
    _store(ledger, _batch({1: make_entry(1)}), _batch({1: replace(make_entry(2), kiosk="b")}, uuid4(), "b"))
    assert ledger.count() == 2
    assert ledger.count("b") == 1
    assert [row.entry.kiosk for row in ledger.entries("b")] == ["b"]
    assert [stream.kiosk for stream in ledger.streams("b")] == ["b"]
    assert ledger.count("nobody") == 0


def test_newest_entry_of_each_kiosk_is_known(ledger: Ledger, make_entry: Make) -> None:
    """When each was last heard; a kiosk that has sent none is not there."""
    assert ledger.last_received_ns() == {}
    ledger.store([_batch({1: make_entry(1)})], [], 5)
    ledger.store([_batch({2: make_entry(3)}), _batch({1: replace(make_entry(2), kiosk="b")}, uuid4(), "b")], [], 9)
    ledger.store([_batch({3: make_entry(4)})], [], 12)
    assert ledger.last_received_ns() == {_batch({}).kiosk: 12, "b": 9}


def test_entries_come_back_as_they_were(ledger: Ledger, make_entry: Make) -> None:
    """In order of time, between two times, with everything they had; and the latest first."""
    entries = [replace(make_entry(seq), flags=("sex-differs", "province-unknown")) for seq in range(1, 6)]
    _store(ledger, _batch(dict(enumerate(reversed(entries), 1))))
    assert [row.entry for row in ledger.entries()] == entries
    since_ns, until_ns = entries[1].at.wall_ns, entries[3].at.wall_ns
    assert [row.entry for row in ledger.entries(since_ns=since_ns, until_ns=until_ns)] == entries[1:3]
    assert [row.seq for row in ledger.latest(2)] == [5, 4]


def test_sealed_entries_come_back_sealed(ledger: Ledger, make_entry: Make) -> None:
    """Every box byte for byte, and nothing of the person beside it."""
    boxes = (Sealed("00" * 8, "x25519", bytes(range(256))), Sealed("11" * 8, "mlkem768-x25519", b"\xff" * 1392))
    entry = replace(make_entry(1), person=(), sealed=boxes)
    _store(ledger, _batch({1: entry}))
    assert [row.entry for row in ledger.entries()] == [entry]


def test_audit_of_openings_only_grows(place: str, make_entry: Make) -> None:
    """Lines are there in order, also for the next who looks; they can be neither changed nor removed."""
    ledger = open_ledger(place)
    lines = [Opening(at_ns, "clerk", f"reason {at_ns}", "all") for at_ns in (3, 1, 2)]
    heads = [ledger.note_opening(line) for line in lines]
    _store(ledger, _batch({1: make_entry(1)}))
    for change in ("UPDATE {}opening SET reason = 'x'", "DELETE FROM {}opening"):
        with pytest.raises((sqlite3.Error, psycopg.Error), match="the audit stays"):
            _execute(place, change)
    with pytest.raises((sqlite3.Error, psycopg.Error), match=r"the audit stays|syntax error"):  # PostgreSQL has none
        _execute(place, "REPLACE INTO {}opening (line, at_ns, who, reason, scope) VALUES (1, 1, 'x', 'x', 'x')")
    ledger.close()
    ledger = open_ledger(place)
    kept = ledger.openings()
    assert [replace(line, hash="") for line in kept] == lines
    assert [line.hash for line in kept] == heads == chain.hashes_of(lines)
    ledger.close()


def _unguarded(place: str) -> None:
    """As whoever owns the file, or is the database's superuser."""
    if place.startswith("postgresql"):
        _execute(place, "DROP TRIGGER opening_stays ON {}opening")
    else:
        _execute(place, *(f"DROP TRIGGER opening_{name}" for name in ("stays", "as_it_was", "is_new")))


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE {}opening SET who = 'nobody' WHERE line = 3", 3),
        ("UPDATE {}opening SET at_ns = at_ns + 1 WHERE line = 3", 3),
        ("UPDATE {}opening SET shown = 0 WHERE shown = 7", 5),
        ("UPDATE {}opening SET hash = ''", None),
        ("UPDATE {}opening SET hash = '' WHERE line = 3", 3),
        ("DELETE FROM {}opening WHERE line = 1", 1),
        ("DELETE FROM {}opening WHERE line = 3", 3),
        ("DELETE FROM {}opening WHERE line = 5", None),
        ("DELETE FROM {}opening", None),
    ],
)
def test_audit_that_was_changed_with_a_shell_is_told(
    place: str, change: str, broken: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line changed, moved or taken away from the middle breaks the chain; what leaves a chain that fits leaves another head."""
    with closing(open_ledger(place)) as ledger:
        for line in [
            *(Opening(at_ns, "clerk", "reason", "all") for at_ns in range(4)),
            Opening(4, "clerk", "reason", "all", 7),
        ]:
            head = ledger.note_opening(line)
    assert main(["openings", "verify", "--ledger", place, "--head", head, "--head", chain.BEGIN]) == 0
    assert capsys.readouterr().out == f"openings lines=5 head={head}\n"
    _unguarded(place)
    _execute(place, change)
    with closing(open_ledger(place)) as ledger:
        assert chain.first_broken(ledger.openings()) == broken
    hidden = "hash = ''" in change and broken is None  # nothing that they say was changed
    assert main(["openings", "verify", "--ledger", place, "--head", head]) == (0 if hidden else 1)
    said = capsys.readouterr().err
    assert hidden or ("is not as it was written" if broken else f"head {head} is not among") in said


def test_lines_without_a_hash_are_counted_in(place: str) -> None:
    """Those that an earlier version wrote: none of them is changed unseen once there is one behind them."""
    with closing(open_ledger(place)) as ledger:
        for at_ns in range(3):
            ledger.note_opening(Opening(at_ns, "clerk", "reason", "all"))
        _unguarded(place)
        _execute(place, "UPDATE {}opening SET hash = ''")
        ledger.note_opening(Opening(3, "clerk", "reason", "all"))
        assert chain.first_broken(ledger.openings()) is None
        _execute(place, "UPDATE {}opening SET who = 'nobody' WHERE line = 2")
        assert chain.first_broken(ledger.openings()) == 4


def test_word_is_shared_by_all_who_share_the_ledger(place: str, new_place: Callable[[], str]) -> None:
    """One for each purpose, the same for the next who asks, another in another ledger."""
    with (
        closing(open_ledger(place)) as one,
        closing(open_ledger(place)) as two,
        closing(open_ledger(new_place())) as other,
    ):
        word = one.shared_word("group")
        assert re.fullmatch("[0-9a-f]{32}", word)
        assert two.shared_word("group") == one.shared_word("group") == word
        assert len({word, one.shared_word("else"), other.shared_word("group")}) == 3


def test_words_on_findings_only_grow(place: str) -> None:
    """As those on openings: in order, also for the next who looks, and neither changed nor removed."""
    ledger = open_ledger(place)
    lines = [Closing(at_ns, "clerk", f"reason {at_ns}", "test-1/two-machines", at_ns, 2**62) for at_ns in (3, 1, 2)]
    for line in lines:
        ledger.note_closing(line)
    for change in ("UPDATE {}closing SET count = 9", "DELETE FROM {}closing"):
        with pytest.raises((sqlite3.Error, psycopg.Error), match="the audit stays"):
            _execute(place, change)
    with pytest.raises((sqlite3.Error, psycopg.Error), match=r"the audit stays|syntax error"):
        _execute(place, "REPLACE INTO {}closing VALUES (1, 1, 'x', 'x', 'x', 1, 1)")
    ledger.close()
    ledger = open_ledger(place)
    assert ledger.closings() == lines
    ledger.close()


def test_starts_and_numbers_that_came_twice_are_known(ledger: Ledger, make_entry: Make) -> None:
    """Each start's numbers, arrivals and own times by file; each entry of a number that has two; each row set aside."""
    other, times = UUID(int=2), [Moment(at, boot, at, clock) for at, boot, clock in (
        (10, "a", ClockQuality.UNSET), (20, "a", ClockQuality.SYNCED), (30, "a", ClockQuality.ESTIMATED),
        (5, "b", ClockQuality.UNSET), (40, "b", ClockQuality.UNSET))]  # fmt: skip
    entries = [replace(make_entry(number), at=at) for number, at in enumerate(times)]
    ledger.store([_batch({1: entries[0], 2: entries[1]})], [], 100)
    ledger.store([_batch({1: entries[2]}, other), _batch({2: entries[3], 3: Poison(3, b"?", "rotten")})], [], 200)
    ledger.store([_batch({1: replace(entries[4], kiosk="b")}, UUID(int=3), "b")], [], 300)
    first, *then = ledger.boots("test-1")
    assert first == Boot("test-1", OUTBOX, "a", 1, 2, 100, 100, 20, 20)
    assert set(then) == {
        Boot("test-1", other, "a", 1, 1, 200, 200, 30, 30), Boot("test-1", OUTBOX, "b", 2, 2, 200, 200)
    }  # fmt: skip
    assert {boot.kiosk for boot in ledger.boots()} == {"test-1", "b"}
    twice = [Twice("test-1", OUTBOX, 2, "a", 100), Twice("test-1", OUTBOX, 2, "b", 200)]
    assert ledger.twice() == ledger.twice("test-1") == twice
    troubles = [Trouble("test-1", OUTBOX, 2, TWICE), Trouble("test-1", OUTBOX, 3, "rotten")]
    assert ledger.troubles() == ledger.troubles("test-1") == troubles
    assert (ledger.twice("b"), ledger.troubles("b")) == ([], [])


def test_older_audit_is_held_as_fast(tmp_path: Path) -> None:
    """A SQLite ledger of version 3 took a line's replacement; opened by this version it does not."""
    place = str(tmp_path / "ledger.db")
    with closing(open_ledger(place)) as ledger:
        ledger.note_opening(Opening(1, "clerk", "reason", "all"))
    _without_chain(place)
    _execute(place, "DROP TRIGGER opening_is_new", "DROP TRIGGER closing_is_new", "PRAGMA user_version = 3")
    with closing(open_ledger(place)) as ledger:
        with pytest.raises(sqlite3.Error, match="the audit stays"):
            _execute(place, "REPLACE INTO opening (line, at_ns, who, reason, scope) VALUES (1, 1, 'x', 'x', 'x')")
        assert [line.who for line in ledger.openings()] == ["clerk"]


def _without_chain(place: str) -> None:
    """As tables were before lines had hashes."""
    _execute(
        place, *(f"ALTER TABLE {{}}opening DROP COLUMN {column}" for column in ("shown", "hash")), "DROP TABLE {}word"
    )


@pytest.mark.parametrize("version", [1, 2])
def test_ledger_of_the_version_before_is_carried_on(place: str, make_entry: Make, version: int) -> None:
    """What is in it stays, sealed entries can be added, and the next start finds nothing to do."""
    ledger = open_ledger(place)
    old = make_entry(1)
    _store(ledger, _batch({1: old}))
    ledger.close()
    is_postgres = place.startswith("postgresql")
    _execute(place, "DROP TABLE {}closing")
    _without_chain(place)
    if version == 1:
        _execute(place, "ALTER TABLE {}entry DROP COLUMN sealed", "DROP TABLE {}opening")
        _execute(place, *["DROP FUNCTION ledger.opening_stays"] * is_postgres)
    _execute(place, ("UPDATE ledger.about SET version = %d" if is_postgres else "PRAGMA user_version = %d") % version)
    new = replace(make_entry(2), person=(), sealed=(Sealed("00" * 8, "x25519", b"box"),))
    for seq in (2, 3):
        ledger = open_ledger(place)
        _store(ledger, _batch({2: new}))
        ledger.note_opening(Opening(seq, "clerk", "reason", "all"))
        ledger.note_closing(Closing(seq, "clerk", "reason", "test-1/missing", 1, 1))
        assert [row.entry for row in ledger.entries()] == [old, new]
        ledger.close()


def test_ledger_of_a_later_version_is_left_alone(place: str) -> None:
    """Whoever went back to an older central is told so, and nothing is written."""
    open_ledger(place).close()
    _execute(
        place, "UPDATE ledger.about SET version = 99" if place.startswith("postgresql") else "PRAGMA user_version = 99"
    )
    with pytest.raises(LedgerError, match="has version 99"):
        open_ledger(place)


def _rows(place: str, query: str) -> list[tuple[Any, ...]]:
    """The same, with an answer."""
    if place.startswith("postgresql"):
        with psycopg.connect(place, autocommit=True) as connection:
            return connection.execute(query.format("ledger.").encode()).fetchall()
    with closing(sqlite3.connect(place, isolation_level=None)) as file:
        return [tuple(row) for row in file.execute(query.format(""))]


def _execute(place: str, *statements: str) -> None:
    """Straight into the database, as somebody with a shell would."""
    if place.startswith("postgresql"):
        with psycopg.connect(place, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.format("ledger.").encode())
        return
    with closing(sqlite3.connect(place, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement.format(""))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_any_order_of_delivery_ends_complete(seed: int, ledger: Ledger, make_entry: Make) -> None:
    """Batches lost, repeated, overlapping and out of order: once all have come, each entry is there once."""
    random = Random(seed)
    kiosk = f"kiosk-{uuid4()}"  # a new one with every example, in one ledger
    entries = {seq: replace(make_entry(seq), kiosk=kiosk) for seq in range(1, 21)}
    left = set(entries)
    while left:
        first = random.randint(1, 20)
        rows = {seq: entries[seq] for seq in range(first, min(21, first + random.randint(1, 6)))}
        _store(ledger, *[_batch(dict(rows), kiosk=kiosk)] * random.randint(1, 2))
        left -= rows.keys()
        (stream,) = ledger.streams(kiosk)
        assert stream.through == next(seq for seq in range(21) if seq + 1 in left or seq == 20)
    assert ledger.count(kiosk) == 20
    assert stream.complete


@pytest.mark.parametrize("collectors", [2, 4])
def test_collectors_that_share_a_ledger_do_not_hinder_each_other(collectors: int, place: str, make_entry: Make) -> None:
    """All store the same streams at once, in any order and overlapping: nothing is lost, doubled or stuck."""
    entries = {(kiosk, seq): replace(make_entry(seq), kiosk=kiosk) for kiosk in ("a", "b", "c") for seq in range(1, 61)}
    errors: list[BaseException] = []
    open_ledger(place).close()

    def collect(seed: int) -> None:
        random = Random(seed)
        parts = [(kiosk, first) for kiosk in ("a", "b", "c") for first in range(1, 61, 5)]
        random.shuffle(parts)
        try:
            ledger = open_ledger(place)
            while parts:
                some = [parts.pop() for _ in range(min(4, len(parts)))]
                batches = [
                    _batch({seq: entries[kiosk, seq] for seq in range(first, first + 5)}, kiosk=kiosk)
                    for kiosk, first in some
                ]
                ledger.store(batches, [Aside("a", b"garbage", "not JSON")], 1)
            ledger.close()
        except BaseException as error:  # noqa: BLE001  told below
            errors.append(error)

    threads = [Thread(target=collect, args=(seed,)) for seed in range(collectors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    ledger = open_ledger(place)
    streams = ledger.streams()
    assert (ledger.count(), ledger.doubled()) == (180, 0)
    ledger.close()
    assert [(stream.through, stream.gaps, stream.complete) for stream in streams] == [(60, (), True)] * 3
    assert sum(stream.repeated for stream in streams) == (collectors - 1) * 180


def test_store_that_fails_keeps_nothing(ledger: Ledger, make_entry: Make) -> None:
    """All of a store or none of it, and the ledger goes on afterwards."""
    impossible = replace(make_entry(3), site="\0")  # the wire refuses it, PostgreSQL cannot keep it
    if isinstance(ledger, SqliteLedger):
        impossible = replace(make_entry(3), site=None)  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="cannot write the ledger"):
        _store(ledger, _batch({1: make_entry(1)}), _batch({3: impossible}))
    assert (ledger.count(), ledger.streams()) == (0, [])
    assert _store(ledger, _batch({1: make_entry(1)})) == [1]


def test_ledger_that_is_not_there_is_made_only_for_collecting(new_place: Callable[[], str]) -> None:
    """Whoever only reads is told, and nothing is left behind."""
    place = new_place()
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"there is no ledger|has no tables yet"):
            open_ledger(place, existing=True)


def test_file_of_another_program_is_refused(tmp_path: Path) -> None:
    """The ledger does not write into what it does not know, and what it cannot open has a name."""
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE a (b)")
    other.commit()
    other.close()
    with pytest.raises(LedgerError, match="another program's"):
        SqliteLedger(path)
    with pytest.raises(LedgerError, match="cannot open the ledger"):
        SqliteLedger(tmp_path)


def test_ledger_is_made_whole_or_not_at_all(tmp_path: Path, make_entry: Make) -> None:
    """A making that stops halfway leaves no tables behind, which the next start would take for another program's."""
    path = tmp_path / "ledger.db"

    def stopped(*_arguments: object) -> int:
        return sqlite3.SQLITE_DENY if "aside" in _arguments else sqlite3.SQLITE_OK

    real = sqlite3.connect

    def connect(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, **more)
        connection.set_authorizer(stopped)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        with pytest.raises(LedgerError, match="cannot open the ledger"):
            SqliteLedger(path)
    ledger = SqliteLedger(path)
    assert _store(ledger, _batch({1: make_entry(1)})) == [1]
    ledger.close()


def test_failed_commit_keeps_nothing(tmp_path: Path, make_entry: Make) -> None:
    """All of a store or none of it: no receipt for half."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger._connection.execute(
        "CREATE TRIGGER no BEFORE INSERT ON run WHEN new.first = 3 BEGIN SELECT raise(FAIL, 'x'); END"
    )
    with pytest.raises(LedgerError):
        _store(ledger, _batch({1: make_entry(1)}), _batch({3: make_entry(3)}))
    assert (ledger.count(), ledger.streams()) == (0, [])
    assert ledger._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    ledger.close()


@pytest.mark.slow
def test_database_that_cannot_be_trusted_is_refused(postgres: Postgres) -> None:
    """A foreign schema, a foreign encoding, a later version: a sentence with the remedy, and nothing is changed."""
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ledger")
        with pytest.raises(LedgerError, match="another program's schema 'ledger'; name another database"):
            open_ledger(url)
        connection.execute("DROP SCHEMA ledger")
        open_ledger(url).close()
        connection.execute("UPDATE ledger.about SET version = 9")
        with pytest.raises(LedgerError, match="has version 9, not 4"):
            open_ledger(url)
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(LedgerError, match="has server_encoding=LATIN1"):
        open_ledger(postgres.url("latin"))


def test_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    """The database, the place and the reason; never what lets one in."""
    with pytest.raises(LedgerError, match=f"cannot open the ledger 'k' at {tmp_path}: .*No such file") as caught:
        open_ledger(f"postgresql://me:sesame@/k?host={tmp_path}")
    assert "sesame" not in str(caught.value)
    with pytest.raises(LedgerError, match="cannot open the ledger"):
        open_ledger("postgresql://[")


@pytest.mark.slow
def test_ledger_waits_for_the_disk_whatever_the_server_says(postgres: Postgres) -> None:
    """A server whose default is to answer before it has written is overruled."""
    url = postgres.database()
    name = url.partition("/ledger")[2].partition("?")[0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE ledger{name} SET synchronous_commit = off".encode())
    ledger = PostgresLedger(url)
    assert ledger._all("SHOW synchronous_commit") == [("on",)]
    ledger.close()


@pytest.mark.slow
def test_server_that_lets_go_in_between_is_an_error_with_a_name(postgres: Postgres, make_entry: Make) -> None:
    """What was stored before is there for the next one; what was not is not answered for."""
    url = postgres.database()
    ledger = open_ledger(url)
    _store(ledger, _batch({1: make_entry(1)}))
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kiosk central'"
        connection.execute(f"{query} AND datname = current_database()".encode())
    with pytest.raises(LedgerError, match="cannot write the ledger"):
        _store(ledger, _batch({2: make_entry(2)}))
    ledger.close()
    ledger = open_ledger(url)
    assert (ledger.count(), ledger.streams()[0].through) == (1, 1)
    ledger.close()
