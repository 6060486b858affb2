"""The audit says what is wrong with a station's numbers, why and what to do, and takes an operator's word until there is more of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from central.__main__ import main
from central.ledgers.sqlite import SqliteLedger
from kiosk.clock import uuid7
from kiosk.delivery.poison import Poison
from kiosk.delivery.wire import Batch
from kiosk.model import ClockQuality, Direction, Entry, Moment

S = 1_000_000_000
MIN = 60 * S
BEGAN_NS = round(datetime(2026, 12, 1, 1, 0, tzinfo=UTC).timestamp()) * S
ONE, TWO = UUID(int=0x0198C5E2 << 96), UUID(int=0x7 << 96)


@dataclass
class Machine:
    """A machine that says it is `door-1`, with its own file, start and clock; what it delivers arrives at `arrives_ns`."""

    ledger: SqliteLedger
    outbox: UUID = ONE
    boot: str = "11111111-start"
    seq: int = 0
    clock: ClockQuality = ClockQuality.SYNCED
    clock_off_ns: int = 0
    kiosk: str = "door-1"
    sent: dict[int, Entry] = field(default_factory=dict)

    def delivers(self, minute: float, count: int = 3, *, centre_off_ns: int = 0, made_ns: int | None = None) -> None:
        """So many new entries, made and taken at this minute of the day."""
        arrives_ns = BEGAN_NS + round(minute * MIN)
        wall_ns = (arrives_ns if made_ns is None else made_ns) + self.clock_off_ns
        rows = []
        for _ in range(count):
            self.seq += 1
            at = Moment(wall_ns + self.seq, self.boot, wall_ns, self.clock)
            entry = Entry(uuid7(wall_ns), self.kiosk, "office-1", "main", Direction.IN, at, "cccd")
            self.sent[self.seq] = entry
            rows.append((self.seq, entry))
        self.ledger.store([Batch(self.kiosk, self.outbox, tuple(rows))], [], arrives_ns + centre_off_ns)

    def copied(self, boot: str) -> Machine:
        """Another machine with a copy of the card, in its own start."""
        return replace(self, boot=boot, sent=dict(self.sent))

    def starts(self, boot: str) -> None:
        """It starts again."""
        self.boot = boot


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """A centre's."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def _healthy(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    for minute in range(0, 60, 20):
        door.delivers(minute)
        door.starts(f"{minute:08d}-start")


def _clone_in_one_file(ledger: SqliteLedger) -> None:
    first = Machine(ledger)
    first.delivers(0)
    second = first.copied("22222222-start")
    for minute in (10, 20, 30):
        first.delivers(minute)
        second.delivers(minute + 1)


def _clone_that_began_a_file(ledger: SqliteLedger) -> None:
    first = Machine(ledger)
    first.delivers(0)
    second = replace(first.copied("22222222-start"), outbox=TWO, seq=0)
    for minute in (10, 20, 30):
        first.delivers(minute)
        second.delivers(minute + 1)


def _clones_without_clocks(ledger: SqliteLedger) -> None:
    first = Machine(ledger, clock=ClockQuality.UNSET, clock_off_ns=-(10**18))
    second = replace(first, boot="22222222-start", outbox=TWO)
    for minute in (0, 10, 20):
        first.delivers(minute)
        second.delivers(minute + 1)


def _file_copied_while_it_ran(ledger: SqliteLedger) -> None:
    first = Machine(ledger)
    first.delivers(0)
    second = first.copied(first.boot)
    first.delivers(1)
    second.delivers(2)


def _clone_that_starts_often(ledger: SqliteLedger) -> None:
    first = Machine(ledger)
    second = replace(first, outbox=TWO)
    for minute in range(0, 60, 6):
        first.delivers(minute)
        second.starts(f"2{minute:07d}-start")
        second.delivers(minute + 3)


def _backup_restored(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    backup = door.copied("22222222-start")
    door.delivers(10)
    backup.delivers(600)
    replace(backup, outbox=TWO, seq=0).delivers(601)  # the receipt told it of later numbers: it has begun a new file


def _backup_restored_twice(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    second, third = door.copied("22222222-start"), door.copied("33333333-start")
    door.delivers(10)
    second.delivers(600)
    third.delivers(1200)


def _card_in_another_board(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    door.starts("22222222-start")
    door.delivers(10)
    door.starts("33333333-start")
    door.delivers(30)


def _written_anew(ledger: SqliteLedger) -> None:
    Machine(ledger).delivers(0, 30)
    Machine(ledger, outbox=TWO, boot="22222222-start").delivers(60, 10)


def _clock_gone_back(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    door.delivers(60)
    door.starts("22222222-start")
    door.clock_off_ns = -45 * MIN
    door.delivers(61)
    door.delivers(120)


def _centres_clock_gone_back(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    door.delivers(60)
    door.starts("22222222-start")
    door.delivers(61, centre_off_ns=-50 * MIN)
    door.delivers(120, centre_off_ns=-50 * MIN)


def _old_card_brought_in(ledger: SqliteLedger) -> None:
    old = Machine(ledger)
    old.delivers(0)
    new = Machine(ledger, outbox=TWO, boot="22222222-start")
    new.delivers(100)
    old.delivers(600, made_ns=BEGAN_NS + 60 * MIN)  # what it owed
    new.delivers(700)


def _ledger_filled_again(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    before = door.seq
    door.seq = before + 30
    door.starts("22222222-start")
    door.delivers(60)  # its receipt said that the ledger lacks what came before
    filling = replace(door, boot="11111111-start", seq=before)
    filling.delivers(70, 30)
    door.delivers(90)


def _overtaken_batches(ledger: SqliteLedger) -> None:
    door = Machine(ledger, outbox=ONE)
    door.delivers(0)
    after = replace(door, boot="22222222-start", outbox=TWO, seq=0)
    after.delivers(10)
    door.delivers(13)  # by a collector that was slow
    after.delivers(40)


def _file_replaced_in_one_start(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    fresh = replace(door, outbox=TWO, seq=0)
    ledger.store([Batch("door-1", TWO, ((1, door.sent[3]),))], [], BEGAN_NS + MIN)
    fresh.seq = 1
    fresh.delivers(10)


def _two_stations(ledger: SqliteLedger) -> None:
    one, other = Machine(ledger), Machine(ledger, outbox=TWO, boot="22222222-start", kiosk="door-2")
    for minute in (0, 10, 20):
        one.delivers(minute)
        other.delivers(minute)


def _missing(ledger: SqliteLedger) -> None:
    door = Machine(ledger)
    door.delivers(0)
    door.seq += 4
    door.delivers(1)


def _rotten(ledger: SqliteLedger) -> None:
    Machine(ledger).delivers(0)
    ledger.store([Batch("door-1", ONE, (Poison(4, b"\xff", "rotten"), Poison(5, b"", "rotten")))], [], BEGAN_NS + MIN)


def _nothing(_: SqliteLedger) -> None:
    pass


TABLE: dict[str, tuple[Callable[[SqliteLedger], None], set[str]]] = {
    "one machine that starts often": (_healthy, set()),
    "two stations": (_two_stations, set()),
    "a card cloned, one file in both": (_clone_in_one_file, {"door-1/two-machines"}),
    "a card cloned, a file each": (_clone_that_began_a_file, {"door-1/two-machines"}),
    "two cards written from one image with its name": (_clones_without_clocks, {"door-1/two-machines"}),
    "a file copied while it ran": (_file_copied_while_it_ran, {"door-1/two-machines"}),
    "a clone that starts often": (_clone_that_starts_often, {"door-1/two-machines"}),
    "a backup of a card restored": (_backup_restored, {"door-1/restored-copy/0198c5e2"}),
    "the same backup restored twice": (_backup_restored_twice, {"door-1/restored-copy/0198c5e2"}),
    "a card in another board": (_card_in_another_board, set()),
    "a card written anew under the same name": (_written_anew, set()),
    "a station's clock gone back": (_clock_gone_back, set()),
    "the centre's clock gone back": (_centres_clock_gone_back, set()),
    "an old card brought in": (_old_card_brought_in, set()),
    "a ledger filled again": (_ledger_filled_again, set()),
    "batches that were overtaken": (_overtaken_batches, set()),
    "a damaged file replaced": (_file_replaced_in_one_start, set()),
    "numbers that are missing": (_missing, {"door-1/missing/0198c5e2"}),
    "rows that rotted": (_rotten, {"door-1/set-aside/0198c5e2"}),
}


def _audit(tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    code = main(["audit", "--ledger", str(tmp_path / "ledger.db"), *options])
    return code, capsys.readouterr().out


def _open(said: str) -> set[str]:
    return set(re.findall(r"^finding (\S+) OPEN:", said, re.MULTILINE))


@pytest.mark.parametrize(("happened", "expected"), TABLE.values(), ids=TABLE)
def test_what_happened_is_told_from_its_neighbours(
    happened: Callable[[SqliteLedger], None],
    expected: set[str],
    ledger: SqliteLedger,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A cloned card is told from a restored, moved or rewritten one and from clocks that go back; the exit code follows."""
    happened(ledger)
    code, said = _audit(tmp_path, capsys)
    assert (_open(said), code) == (expected, int(bool(expected)))
    assert said.count("\n  remedy: ") == len(expected)
    assert re.search(rf"^audit streams=\d .* open={len(expected)} closed=0$", said, re.MULTILINE)
    assert ("INCOMPLETE" in said) == any(kind in name for name in expected for kind in ("missing", "set-aside"))


def test_cause_and_remedy_are_in_words(
    ledger: SqliteLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which numbers, which two starts, when each was heard in the office's zone, and what to do with the two machines."""
    _clone_in_one_file(ledger)
    _, said = _audit(tmp_path, capsys, "--kiosk", "door-1")
    lines = said.splitlines()
    assert lines[1:] == [
        (
            "finding door-1/two-machines OPEN: two machines speak as door-1, as two cards written from one do: numbers 4-12 of outbox"
            " 0198c5e2 were given out by both; start 11111111 was heard from 2026-12-01 08:00 to 2026-12-01 08:30 (outbox 0198c5e2);"
            " start 22222222 was heard from 2026-12-01 08:11 to 2026-12-01 08:31 (outbox 0198c5e2)"
        ),
        (
            "  remedy: nothing is lost, both entries of each number are kept; find both machines, and keep one as door-1 with a key of"
            " its own (`central fleet replace door-1`); set the other up under a name of its own (`central provision`), or wipe its card"
        ),
        "  once that is done: central audit --close door-1/two-machines --reason TEXT",
        "audit streams=1 entries=21 missing=0 doubled=9 set_aside=9 open=1 closed=0",
    ]
    _, said = _audit(tmp_path, capsys, "--zone", "Pacific/Auckland")
    assert "from 2026-12-01 14:00 to 2026-12-01 14:30" in said


def _rots(ledger: SqliteLedger, seq: int) -> None:
    ledger.store([Batch("door-1", ONE, (Poison(seq, b"", "rotten"),))], [], BEGAN_NS + 2 * MIN)


def _both(ledger: SqliteLedger, minute: float) -> None:
    Machine(ledger, boot="22222222-start", outbox=TWO, seq=9).delivers(minute, 1)
    Machine(ledger, seq=12).delivers(minute + 1, 1)


FURTHER: dict[str, tuple[Callable[[SqliteLedger], None], str, Callable[[SqliteLedger], None]]] = {
    "two machines, numbers": (
        _clone_in_one_file,
        "door-1/two-machines",
        lambda ledger: Machine(ledger, boot="22222222-start", seq=9).delivers(40, 1),
    ),
    "two machines, starts": (
        _clone_that_began_a_file,
        "door-1/two-machines",
        lambda ledger: _both(ledger, 50),
    ),
    "a copy restored": (
        _backup_restored,
        "door-1/restored-copy/0198c5e2",
        lambda ledger: Machine(ledger, boot="44444444-start", seq=3).delivers(2000, 1),
    ),
    "missing": (_missing, "door-1/missing/0198c5e2", lambda ledger: Machine(ledger, seq=20).delivers(2)),
    "rotten": (
        _rotten,
        "door-1/set-aside/0198c5e2",
        lambda ledger: _rots(ledger, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("happened", "name", "further"), FURTHER.values(), ids=FURTHER)
def test_an_operators_word_closes_a_finding_until_there_is_more_of_it(
    happened: Callable[[SqliteLedger], None],
    name: str,
    further: Callable[[SqliteLedger], None],
    ledger: SqliteLedger,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who, when and why stay in the ledger and are shown; what is healthy does not open it again, new evidence does."""
    monkeypatch.setattr("central.keys.opening.user", lambda: "clerk")
    happened(ledger)
    code, said = _audit(tmp_path, capsys, "--close", name, "--reason", "one card wiped, case 2026/114")
    assert (code, _open(said)) == (0, set())
    closed = rf"^finding {name} closed 20\d\d-\d\d-\d\d \d\d:\d\d by clerk \(one card wiped, case 2026/114\): "
    assert re.search(closed, said, re.MULTILINE)
    assert said.rstrip().endswith("open=0 closed=1")
    Machine(ledger, outbox=UUID(int=9 << 96), boot="99999999-start").delivers(10_000)
    assert _audit(tmp_path, capsys)[0] == 0
    further(ledger)
    code, said = _audit(tmp_path, capsys)
    assert (code, _open(said)) == (1, {name})
    assert "by clerk (one card wiped, case 2026/114); more of it has come since then" in said
    assert _audit(tmp_path, capsys, "--close", name, "--reason", "the other one, too")[0] == 0
    assert [(one.finding, one.who, one.reason) for one in ledger.closings()] == [
        (name, "clerk", "one card wiped, case 2026/114"), (name, "clerk", "the other one, too"),
    ]  # fmt: skip


def test_the_machine_that_stays_opens_nothing_again(
    ledger: SqliteLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the other is gone, whichever of the two was kept goes on delivering, and starts again, under a closed finding."""
    _clone_that_began_a_file(ledger)
    assert _audit(tmp_path, capsys, "--close", "door-1/two-machines", "--reason", "wiped")[0] == 0
    stays = Machine(ledger, seq=12)
    stays.delivers(600)
    stays.starts("33333333-start")
    stays.delivers(1200)
    code, said = _audit(tmp_path, capsys)
    assert (code, _open(said)) == (0, set())


def test_a_gap_that_is_filled_needs_no_word(
    ledger: SqliteLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is mended is gone from the audit, closed or not; a part of it that is mended opens nothing."""
    _missing(ledger)
    assert _audit(tmp_path, capsys, "--close", "door-1/missing/0198c5e2", "--reason", "its card is lost")[0] == 0
    Machine(ledger, seq=3).delivers(5, 2)
    code, said = _audit(tmp_path, capsys)
    assert (code, "missing=2" in said) == (0, True)
    Machine(ledger, seq=5).delivers(6, 2)
    code, said = _audit(tmp_path, capsys)
    assert (code, "finding" in said) == (0, False)


WRONG = {
    ("--close", "door-1/two-machines"): (16, "a reason has 3 to 400 characters; say why, as in --reason"),
    ("--close", "door-1/two-machines", "--reason", " \n "): (16, "a reason has 3 to 400 characters"),
    ("--close", "door-2/two-machines", "--reason", "why not"): (
        15, "there is no finding 'door-2/two-machines'; the audit finds door-1/two-machines",
    ),
    ("--reason", "why not"): (15, "which finding is closed?; name it with --close"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "answer"), WRONG.items(), ids=map(repr, WRONG))
def test_a_word_that_closes_nothing_is_refused(
    options: tuple[str, ...],
    answer: tuple[int, str],
    ledger: SqliteLedger,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a reason, of a finding that there is not, or of none: a sentence with the remedy, and nothing is written."""
    _clone_in_one_file(ledger)
    assert main(["audit", "--ledger", str(tmp_path / "ledger.db"), *options]) == answer[0]
    assert answer[1] in capsys.readouterr().err
    assert ledger.closings() == []


def test_many_starts_and_numbers_are_told_briefly(
    ledger: SqliteLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long two machines have fought, the finding is a line that one can read."""
    for seq in range(80):
        for _ in range(1 + (seq + 1) % 2):
            Machine(ledger, seq=seq, boot=f"{seq:08d}-{uuid4()}").delivers(1, 1)
    _, said = _audit(tmp_path, capsys)
    line = next(line for line in said.splitlines() if line.startswith("finding"))
    assert "numbers 1, 3, 5, 7, 9, 11, … of outbox" in line
    assert (line.count("start "), len(line) < 1000) == (6, True)
