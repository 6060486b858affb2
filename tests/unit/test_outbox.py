"""The outbox keeps what it was given, in order, through restarts, damage and full disks; or it says that it cannot."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from kiosk.clock import SystemClock
from kiosk.config import Outbox as Settings
from kiosk.delivery import wire
from kiosk.disk import outbox_file
from kiosk.disk.sweeper import SWEEP_ROWS
from kiosk.errors import OutboxError, OutboxFullError
from kiosk.model import ClockQuality, Entry, Moment
from kiosk.outbox import Outbox

HOUR_NS = 3_600_000_000_000
Make = Callable[[int], Entry]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the outbox is; its folder is not there yet."""
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    """A new outbox."""
    outbox = Outbox.open(path, Settings())
    yield outbox
    outbox.close()


def _numbers(outbox: Outbox, after_seq: int = 0) -> list[int]:
    entries = [wire.decode_entry(body) for _, body in outbox.head(after_seq, 10_000)]
    return [int(dict(entry.person)["number"]) for entry in entries]


def test_entries_are_numbered_from_one_without_gaps(outbox: Outbox, make_entry: Make) -> None:
    """Each append returns the next number, and the entries come back in that order, as they were."""
    entries = [make_entry(number) for number in range(5)]
    assert [outbox.append(entry) for entry in entries] == [1, 2, 3, 4, 5]
    assert outbox.head(2, 2) == [(3, wire.encode_entry(entries[2])), (4, wire.encode_entry(entries[3]))]
    assert (outbox.last_seq, outbox.settled, outbox.depth()) == (5, 0, 5)
    assert outbox.oldest() == entries[0].at


def test_numbers_go_on_after_a_restart_and_after_sweeping(path: Path, make_entry: Make) -> None:
    """Deleted rows free no numbers: the centre must never see one twice."""
    outbox = Outbox.open(path, Settings())
    for number in range(3):
        outbox.append(make_entry(number))
    outbox.settle(3)
    now = SystemClock().now()
    assert outbox.sweep(replace(now, wall_ns=now.wall_ns + 25 * HOUR_NS)) == 3
    assert outbox.head(0, 10) == []
    known = outbox.id
    outbox.close()
    outbox = Outbox.open(path, Settings())
    assert outbox.id == known
    assert outbox.append(make_entry(3)) == 4
    outbox.close()


def test_settling_never_goes_back(outbox: Outbox, make_entry: Make) -> None:
    """An old receipt changes nothing."""
    for number in range(5):
        outbox.append(make_entry(number))
    outbox.settle(4)
    outbox.settle(2)
    assert (outbox.settled, outbox.depth()) == (4, 1)
    assert _numbers(outbox, outbox.settled) == [4]


def test_entries_can_be_asked_for_again(outbox: Outbox, path: Path, make_entry: Make) -> None:
    """A range, as far as it is settled and held; it survives the process, is done piece by piece, and unsettles nothing."""
    for number in range(8):
        outbox.append(make_entry(number))
    outbox.settle(6)
    outbox._file.live().execute("DELETE FROM entry WHERE seq < 3")
    assert outbox.wanted() is None
    assert (outbox.oldest_seq, outbox.resend(1, 2), outbox.resend(7, None)) == (3, range(3, 3), range(7, 7))
    assert outbox.wanted() is None
    assert (outbox.resend(5, None), outbox.resend(1, 4), outbox.resend(4, 99)) == (
        range(5, 7),
        range(3, 5),
        range(4, 7),
    )
    outbox.close()
    other = Outbox.open(path, Settings())
    assert other.wanted() == range(3, 5)
    other.resent(3, 3)
    assert other.wanted() in (range(4, 5), range(4, 7))
    other.resent(4, 5)
    assert other.wanted() == range(6, 7)
    other.resent(6, 6)
    assert (other.wanted(), other.depth(), other.settled) == (None, 2, 6)
    other.close()


def test_settled_entries_are_kept_a_day_and_waiting_ones_for_ever(outbox: Outbox, make_entry: Make) -> None:
    """Nothing is swept before its time, and nothing that waits is swept at all."""
    for number in range(4):
        outbox.append(make_entry(number))
    outbox.settle(2)
    now = SystemClock().now()
    assert outbox.sweep(replace(now, wall_ns=now.wall_ns + 23 * HOUR_NS)) == 0
    assert outbox.sweep(replace(now, wall_ns=now.wall_ns + 999 * HOUR_NS)) == 2
    assert _numbers(outbox) == [2, 3]


DAY_S = 86_400
GUESSED = Moment(1_775_000_000 * 10**9, "later-boot", 60 * 10**9, ClockQuality.UNSET)
"""A day that systemd was built on, a minute after the start."""


def test_guessed_day_takes_no_entry_its_time(outbox: Outbox, make_entry: Make) -> None:
    """Kept a day by the clock that was set when they were made, whatever day is shown after a start without a network."""
    now = SystemClock().now()
    for number in range(3):
        outbox.append(make_entry(number))
    outbox.settle(2)
    behind = replace(GUESSED, wall_ns=now.wall_ns - 200 * DAY_S * 10**9)
    ahead = replace(GUESSED, wall_ns=now.wall_ns + 200 * DAY_S * 10**9)
    assert [outbox.sweep(guess) for guess in (behind, ahead)] == [0, 0]
    assert outbox.sweep(replace(now, wall_ns=now.wall_ns + 23 * HOUR_NS)) == 0
    assert outbox.sweep(replace(now, wall_ns=now.wall_ns + 25 * HOUR_NS)) == 2


def test_station_that_never_learns_the_time_forgets_by_its_uptime(outbox: Outbox, make_entry: Make) -> None:
    """A day after they were made at the soonest, in the same boot or in a later one."""
    for number in range(3):
        outbox.append(replace(make_entry(number), at=GUESSED))
    outbox.settle(2)

    def swept(boot_s: int, boot_id: str = GUESSED.boot_id) -> int:
        return outbox.sweep(replace(GUESSED, boot_ns=boot_s * 10**9, boot_id=boot_id))

    assert swept(60 + DAY_S) == 0
    assert swept(59 + DAY_S, "another") == 0
    assert swept(61 + DAY_S, "another") == 2
    assert _numbers(outbox) == [2]


def test_many_entries_without_a_time_are_kept_a_day_from_when_it_comes(outbox: Outbox, make_entry: Make) -> None:
    """None is taken for very old, although no more than `SWEEP_ROWS` are marked at once."""
    entry = replace(make_entry(1), at=GUESSED)
    for _ in range(2 * SWEEP_ROWS):
        outbox.append(entry)
    outbox.settle(2 * SWEEP_ROWS)
    now = replace(SystemClock().now(), quality=ClockQuality.SYNCED)
    assert [outbox.sweep(now) for _ in range(4)] == [0, 0, 0, 0]


def test_nothing_of_a_person_outlives_its_time(outbox: Outbox, make_entry: Make) -> None:
    """The newest row keeps its number and nothing else."""
    outbox.append(make_entry(46_090_000_123))
    outbox.settle(1)
    now = SystemClock().now()
    assert outbox.sweep(replace(now, wall_ns=now.wall_ns + 25 * HOUR_NS)) == 1
    assert outbox._file.live().execute("SELECT seq, length(body) FROM entry").fetchall() == [(1, 0)]
    assert (outbox.oldest(), outbox.oldest_seq, outbox.last_seq) == (None, 2, 1)


def test_log_is_carried_into_the_file(outbox: Outbox, path: Path, make_entry: Make) -> None:
    """In a quiet moment, so that no commit at a door pays for it."""
    for number in range(50):
        outbox.append(make_entry(number))
    before_bytes = path.stat().st_size
    outbox.sweep(SystemClock().now())
    assert path.stat().st_size > before_bytes + 10_000


def test_sweeping_is_bounded(outbox: Outbox, make_entry: Make) -> None:
    """One call deletes a bounded number, so that no door waits for it."""
    entry = make_entry(1)
    for _ in range(SWEEP_ROWS + 10):
        outbox.append(entry)
    outbox.settle(SWEEP_ROWS + 10)
    later = Moment(entry.at.wall_ns + 25 * HOUR_NS, "", 0, entry.at.quality)
    assert [outbox.sweep(later) for _ in range(3)] == [SWEEP_ROWS, 10, 0]


def test_file_is_shared_where_the_folder_is(tmp_path: Path) -> None:
    """In a folder that hands its group on, both users of a station can write, whatever their umask; the log too."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2770)
    outbox = Outbox.open(folder / "outbox.db", Settings())
    outbox.settle(0)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o660}
    outbox.close()


def test_file_is_private_and_synchronous(outbox: Outbox, path: Path) -> None:
    """Only the owner reads it, and a commit waits for the disk."""
    assert path.stat().st_mode & 0o777 == 0o600
    connection = outbox._file.live()
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    outbox.settle(0)
    assert outbox._file.live().execute("PRAGMA synchronous").fetchone()[0] == 2


def _append_many(path: Path, entry: Entry, count: int) -> None:
    outbox = Outbox.open(path, Settings())
    for _ in range(count):
        outbox.append(entry)
    outbox.close()


def test_several_lanes_share_one_outbox(path: Path, make_entry: Make) -> None:
    """Processes that open and append at once lose nothing, and numbers stay without gaps."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(path, make_entry(1), 50)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    outbox = Outbox.open(path, Settings())
    assert [seq for seq, _ in outbox.head(0, 1000)] == list(range(1, 201))
    outbox.close()


def test_overflow_is_refused_before_writing(path: Path, make_entry: Make) -> None:
    """At `max_entries` the next entry is refused; a receipt makes room again."""
    outbox = Outbox.open(path, Settings(max_entries=1000))
    entry = make_entry(1)
    for _ in range(1000):
        outbox.append(entry)
    with pytest.raises(OutboxFullError, match="1000 entries wait"):
        outbox.append(entry)
    with pytest.raises(OutboxFullError):
        outbox.check()
    outbox.settle(1)
    assert outbox.append(entry) == 1001
    outbox.close()


def test_too_little_room_is_seen_before_it_hurts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` measures the free space and says the number."""
    outbox = Outbox.open(path, Settings())
    outbox.check()
    real = os.statvfs(path.parent)
    full = os.statvfs_result((real.f_bsize, real.f_frsize, real.f_blocks, 1, 1, *tuple(real)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(OutboxFullError, match="0 MB free"):
        outbox.check()
    read_only = os.statvfs_result((*tuple(real)[:8], real.f_flag | os.ST_RDONLY, real.f_namemax))
    monkeypatch.setattr(os, "statvfs", lambda _path: read_only)
    with pytest.raises(OutboxError, match="read-only"):
        outbox.check()
    monkeypatch.undo()
    outbox.close()


def test_disk_that_is_full_refuses_and_recovers(outbox: Outbox, make_entry: Make) -> None:
    """SQLite's own full disk is said as such; when there is room again, the next append succeeds."""
    outbox.append(make_entry(1))
    connection = outbox._file.live()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutboxFullError):
        for number in range(1000):
            outbox.append(make_entry(number))
    before = outbox.last_seq
    assert outbox.append(make_entry(9)) == before + 1
    assert outbox.quarantined() == []


def test_locked_file_is_not_taken_for_a_damaged_one(
    path: Path, make_entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that holds the file too long is an error, no reason to start a new file."""
    monkeypatch.setattr("kiosk.disk.outbox_file.BUSY_S", 0.1)
    outbox = Outbox.open(path, Settings())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxError, match="locked"):
        outbox.append(make_entry(1))
    other.execute("ROLLBACK")
    other.close()
    assert outbox.append(make_entry(1)) == 1
    assert outbox.quarantined() == []
    outbox.close()


def _spoil(path: Path, first_byte: int, last_byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[first_byte:last_byte] = b"\xff" * (min(last_byte, len(content)) - first_byte)
    path.write_bytes(content)


@pytest.mark.parametrize(("first_byte", "last_byte"), [(0, 16), (0, 4096), (4096, 8192), (8192, 12288), (0, 10**9)])
def test_damaged_file_is_set_aside_and_work_goes_on(
    path: Path, make_entry: Make, first_byte: int, last_byte: int
) -> None:
    """Whatever part is damaged: the file is kept under another name, and the next entry is recorded in a new one."""
    outbox = Outbox.open(path, Settings())
    for number in range(100):
        outbox.append(make_entry(number))
    known = outbox.id
    outbox.close()
    _spoil(path, first_byte, last_byte)
    outbox = Outbox.open(path, Settings())
    outbox.append(make_entry(100))
    assert _numbers(outbox)[-1] == 100
    assert outbox.id != known
    assert len(outbox.quarantined()) == 1
    outbox.close()


def test_entry_that_no_broker_took_outlives_its_time_and_its_file(path: Path, make_entry: Make) -> None:
    """Settled by a notice, it is neither swept nor left in a file that is set aside, until the centre has it."""
    outbox = Outbox.open(path, Settings())
    for number in range(5):
        outbox.append(make_entry(number))
    assert [outbox.note_oversized(2, 9000), outbox.note_oversized(2, 9001), outbox.note_oversized(5, 9002)] == [
        True,
        False,
        True,
    ]
    assert outbox.oversized() == []  # as long as neither is settled nothing is said
    assert outbox.oldest_seq == 1
    outbox.settle(5)
    later = make_entry(9).at
    later = replace(later, wall_ns=later.wall_ns + 10 * 86_400 * 10**9)
    outbox.sweep(later)
    assert (outbox.oversized(), _numbers(outbox), outbox.oldest_seq) == ([(2, 9001), (5, 9002)], [1, 4], 6)
    outbox.set_aside("a test")
    assert _numbers(outbox) == [1, 4]
    assert (outbox.oversized(), outbox.settled) == ([], 0)
    outbox.note_oversized(1, 9001)
    outbox.settle(2)
    outbox.no_longer_oversized(1)
    outbox.sweep(later)
    assert [seq for seq, _ in outbox.head(0, 9)] == []
    outbox.close()


def test_waiting_entries_are_carried_out_of_a_damaged_file(path: Path, make_entry: Make) -> None:
    """What can still be read of them goes on under its own ids; what was settled does not."""
    outbox = Outbox.open(path, Settings())
    entries = [make_entry(number) for number in range(400)]
    for entry in entries:
        outbox.append(entry)
    outbox.settle(100)
    outbox.close()
    size = path.stat().st_size
    _spoil(path, size // 2 // 4096 * 4096, size // 2 // 4096 * 4096 + 4096)
    outbox = Outbox.open(path, Settings())
    try:
        _numbers(outbox)
    except OutboxError:
        pytest.fail("damage found while reading is mended like damage found at the start")
    carried = set(_numbers(outbox))
    assert outbox.quarantined()
    assert carried <= set(range(100, 400))
    assert len(carried) > 200
    assert outbox.settled == 0
    outbox.close()


@pytest.mark.parametrize("step", ["rename", "salvage", "connect", "fresh", "aside"])
def test_replacement_that_is_cut_short_is_finished(
    path: Path, make_entry: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Power fails between any two steps of a replacement: the next start finishes it, and no waiting entry is lost."""
    with closing(Outbox.open(path, Settings())) as outbox:
        for number in range(30):
            outbox.append(make_entry(number))
        outbox.settle(10)
        inode = outbox_file.inode_of(path)

        class PowerCutError(Exception):
            pass

        def cut(*_args: object) -> None:
            raise PowerCutError

        def rename(self: Path, target: Path) -> Path:
            if (self.suffix, target.suffix) in {
                "rename": {(".db", ".leaving")}, "fresh": {(".fresh", ".db")}, "aside": {(".leaving", ".damaged-1")},
            }.get(step, ()):  # fmt: skip
                cut()
            os.rename(self, target)  # noqa: PTH104  what is stood in for
            return target

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename)
            if step in ("salvage", "connect"):
                patch.setattr(outbox_file, {"salvage": "_salvage"}.get(step, step), cut)
            with pytest.raises(PowerCutError):
                outbox_file.replace(path, inode, "power is cut")
    with closing(Outbox.open(path, Settings())) as outbox:
        assert _numbers(outbox, outbox.settled) == list(range(10, 30))
        assert len(outbox.quarantined()) == (0 if step == "rename" else 1)


@pytest.mark.parametrize(
    "rot",
    [
        "DELETE FROM outbox",
        "UPDATE outbox SET id = 'not an id'",
        "UPDATE outbox SET id = CAST(x'ff' AS TEXT)",
        "UPDATE outbox SET settled = 'x'",
    ],
)
def test_file_that_lost_its_id_is_replaced(path: Path, make_entry: Make, rot: str) -> None:
    """A sound file whose one row has rotted is damaged too: its waiting entries go on in a new one."""
    with closing(Outbox.open(path, Settings())) as outbox:
        for number in range(3):
            outbox.append(make_entry(number))
        outbox._file.live().execute(rot)
    with closing(Outbox.open(path, Settings())) as outbox:
        assert _numbers(outbox) == [0, 1, 2]
        assert outbox.append(make_entry(3)) == 4


def test_file_of_another_program_is_set_aside(path: Path, make_entry: Make) -> None:
    """A sound database that is no outbox is not written into."""
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE foreign_table (a)")
    other.commit()
    other.close()
    outbox = Outbox.open(path, Settings())
    assert outbox.append(make_entry(1)) == 1
    assert len(outbox.quarantined()) == 1
    outbox.close()


def test_reader_follows_to_the_file_that_replaced_a_damaged_one(path: Path, make_entry: Make) -> None:
    """The uplink, which holds the old file open, sees that it is another one now."""
    writer, reader = Outbox.open(path, Settings()), Outbox.open(path, Settings())
    writer.append(make_entry(1))
    assert reader.last_seq == 1
    before = reader.id
    writer.set_aside("a test")
    assert writer.append(make_entry(2)) == 2
    assert reader.last_seq == 2
    assert reader.id == writer.id != before
    assert _numbers(reader) == [1, 2]
    reader.close()
    writer.close()


def test_reader_waits_while_a_file_is_being_replaced(outbox: Outbox, path: Path, make_entry: Make) -> None:
    """Between the two steps of a replacement there is no file: that is no fault, and is over in a moment."""
    outbox.append(make_entry(1))
    away = path.with_name("away")
    with outbox_file.locked(path.parent):
        path.rename(away)
        held = Event()

        def put_back() -> None:
            time.sleep(0.3)
            away.rename(path)
            held.set()

        thread = Thread(target=put_back)
        thread.start()
        depths: list[int] = []
        reader = Thread(target=lambda: depths.append(outbox.depth()))
        reader.start()
        assert held.wait(5)
    reader.join(5)
    thread.join(5)
    assert depths == [1]


def test_append_into_a_file_that_was_replaced_is_no_receipt(
    path: Path, make_entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file is replaced between the write and its check, the entry is refused: its code will be shown again."""
    outbox = Outbox.open(path, Settings())
    outbox.append(make_entry(1))
    real = outbox._file.do

    def replaced(verb: str, work: Callable[[sqlite3.Connection], object]) -> object:
        result = real(verb, work)
        if verb == "write":
            Outbox.open(path, Settings()).set_aside("a test")
        return result

    monkeypatch.setattr(outbox._file, "do", replaced)
    with pytest.raises(OutboxError, match="was replaced"):
        outbox.append(make_entry(2))
    outbox.close()


def test_looking_makes_and_replaces_nothing(path: Path) -> None:
    """`open_existing` refuses what is not there or is damaged, and leaves it as it is."""
    with pytest.raises(OutboxError, match="there is no outbox"):
        Outbox.open_existing(path, Settings())
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(OutboxError):
        Outbox.open_existing(path, Settings())
    assert path.read_bytes() == b"garbage" * 1000


def test_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """A path through a file cannot be opened, and says so."""
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match=r"cannot open .*; check the card"):
        Outbox.open(tmp_path / "file" / "state" / "outbox.db", Settings())


def test_rotten_first_row_has_no_age(outbox: Outbox, make_entry: Make) -> None:
    """A row that cannot be read does not stop the status."""
    assert outbox.oldest() is None
    outbox.append(make_entry(1))
    outbox._file.live().execute("UPDATE entry SET body = x'00'")
    assert outbox.oldest() is None
