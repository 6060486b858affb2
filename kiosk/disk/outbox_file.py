"""The outbox's one file as a thing on a disk: made, opened, found damaged, replaced. `kiosk.outbox` knows what is in it.

A damaged file is set aside under another name, never deleted, and what can still be read of its waiting entries is carried
into a new one. Processes that share the file take a lock on its folder for that, and know each other's new file by its inode.

Units: `_s` seconds.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import stat
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from kiosk.disk import durable
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x4B494F53  # "KIOS": another program's database is not taken for ours
PAGE_BYTES = 2048
"""Half of SQLite's own: a commit writes whole pages, and an entry fills a fifth of one."""
LOG_PAGES = 8000
"""Where a commit would carry the log into the file itself, if the uplink has not done it in a quiet moment before."""
BUSY_S = 20.0
"""Longest wait for the other process's write: longer than cheap cards stall, 4 to 12 s, and less than the watchdog's 30 s."""
LOCK_S = 30.0
"""Longest wait for another process that replaces a damaged file."""

PRAGMAS = (f"page_size = {PAGE_BYTES}", "journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {LOG_PAGES}")
AGAIN = "CREATE TABLE IF NOT EXISTS again (first INTEGER NOT NULL, last INTEGER NOT NULL)"
"""Ranges that are to be sent once more; files of the first days are without it."""
OVERSIZED = "CREATE TABLE IF NOT EXISTS oversized (seq INTEGER PRIMARY KEY, bytes INTEGER NOT NULL)"
"""Entries that a broker does not take; when they are settled, it is by a notice in their place. Older files are without it."""
SCHEMA = (
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, recorded_s INTEGER NOT NULL)",
    "CREATE TABLE outbox (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, settled INTEGER NOT NULL)",
    AGAIN,
    OVERSIZED,
    f"PRAGMA application_id = {APPLICATION_ID}",
    "PRAGMA user_version = 1",
)
LEAVING = ".leaving"
_LOGS = ("-wal", "-shm")
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY}
)
SALVAGE_TRIES = 3


def connect(path: Path, *, makes: bool = True) -> sqlite3.Connection:
    """Open the file and see that it is whole where it matters.

    Args:
        path: Of the file.
        makes: Whether it is made if it is not there. Whoever only looks must not: between the two names of a replacement
            an empty file in this place would be taken for the new one.

    Raises:
        sqlite3.Error: It cannot be used; `is_damage` says whether it never will be.
    """
    if makes:
        _make_readable_by_sharers(path)
    address = f"{path.absolute().as_uri()}?mode={'rwc' if makes else 'rw'}"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal mode is {mode}, not WAL")
        if not _is_ours(connection):
            connection.execute("BEGIN IMMEDIATE")
            _make(connection)
            connection.execute("COMMIT")
            durable.flush_folder(path.parent)
        connection.execute(AGAIN)
        connection.execute(OVERSIZED)
        connection.execute("SELECT max(seq) FROM entry").fetchone()
        connection.execute("SELECT settled FROM outbox").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _make_readable_by_sharers(path: Path) -> None:
    """Begin the file with the right mode; SQLite gives its log and its shared memory the same.

    A folder that hands its group on (the setgid bit) is shared by the two processes' users; any other belongs to one.
    """
    mode = 0o660 if path.parent.stat().st_mode & stat.S_ISGID else 0o600
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
    except FileExistsError:
        return
    try:
        os.fchmod(handle, mode)  # whatever the umask
    finally:
        os.close(handle)


def _is_ours(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def _make(connection: sqlite3.Connection) -> None:
    """The tables, inside a write transaction: another process may have been first, another program may own the file."""
    if _is_ours(connection):
        return
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise _NotOursError("the file is another program's database")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO outbox VALUES (1, ?, 0)", (str(uuid4()),))


def id_of(connection: sqlite3.Connection) -> UUID:
    """The random id of this file.

    Raises:
        sqlite3.DatabaseError: There is none, or what stands beside it is no number: the file is damaged.
    """
    found = connection.execute("SELECT CAST(id AS BLOB), settled FROM outbox").fetchone()
    try:
        identity, settled = found
        if isinstance(settled, int):
            return UUID(bytes(identity).decode("ascii"))
    except (TypeError, ValueError):
        pass
    raise _NotOursError("the file has lost its id")


class _NotOursError(sqlite3.DatabaseError):
    """A sound database that is not an outbox, or no longer: set aside like a damaged one."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault, and not its lock, its rights or its disk."""
    return isinstance(error, _NotOursError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def replace(path: Path, inode: int, reason: str) -> None:
    """Set a damaged file aside and carry what can be read of its waiting entries into a new one.

    Args:
        path: Of the file.
        inode: Of the file that was found damaged; another one is not touched, another process was here first.
        reason: What was found.
    """
    with locked(path.parent):
        if inode_of(path) == inode:
            _log.error(line("outbox-replaced", reason=reason))
            # First it goes, then it is read: whoever appends to it from now on sees that and gives no receipt.
            path.rename(_beside(path, LEAVING))
            resume(path)


def resume(path: Path) -> None:
    """Bring a replacement to its end, also one that a power cut has interrupted anywhere; the lock must be held.

    Args:
        path: Of the file.
    """
    leaving = _beside(path, LEAVING)
    if not leaving.exists():
        return
    if not path.exists():
        _move_logs(path, leaving)
        fresh = _beside(path, ".fresh")
        for suffix in ("", *_LOGS):
            _beside(fresh, suffix).unlink(missing_ok=True)
        rows = _salvage(leaving)
        with closing(connect(fresh)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO entry (body, recorded_s) VALUES (?, ?)", rows)
            connection.execute("COMMIT")
            # Closing would do this too, but say nothing if it fails; and the log does not move with the file.
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sqlite3.OperationalError(f"{fresh.name} is in use")
        fresh.rename(path)
        durable.flush_folder(path.parent)
    number = 1
    while (aside := _beside(path, f".damaged-{number}")).exists():
        number += 1
    _move_logs(leaving, aside)
    leaving.rename(aside)
    durable.flush_folder(path.parent)
    _log.error(line("outbox-set-aside", file=aside))


def _move_logs(path: Path, to: Path) -> None:
    for suffix in _LOGS:
        with suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(to, suffix))


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _salvage(path: Path) -> list[tuple[bytes, int]]:
    """Waiting entries of a damaged file, from both ends towards the damage.

    Raises:
        sqlite3.Error: It cannot be read now, but perhaps later: nothing is given up for want of room or a lock.
    """
    rows: dict[int, tuple[bytes, int]] = {}
    for _ in range(SALVAGE_TRIES):  # a worn card often gives at the second time what it refused at the first
        errors = _salvage_once(path, rows)
        for error in errors:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                raise error
        if not any(getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR for error in errors):
            break
    return [rows[seq] for seq in sorted(rows)]


def _salvage_once(path: Path, rows: dict[int, tuple[bytes, int]]) -> list[sqlite3.Error]:
    errors: list[sqlite3.Error] = []
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as connection:
        settled = 0
        query = "SELECT coalesce(max(settled), 0) FROM outbox WHERE typeof(settled) = 'integer'"
        try:
            settled = connection.execute(query).fetchone()[0]
        except sqlite3.Error as error:
            errors.append(error)
        columns = "seq, coalesce(CAST(body AS BLOB), x''), CAST(coalesce(recorded_s, 0) AS INTEGER)"
        query = f"SELECT {columns} FROM entry WHERE seq <= ? AND seq IN (SELECT seq FROM oversized)"  # noqa: S608  ours
        with suppress(sqlite3.Error):  # what no broker took; files of the first days know of none
            rows |= {seq: (bytes(body), recorded_s) for seq, body, recorded_s in connection.execute(query, (settled,))}
        seen: set[int] = set()
        for order in ("ASC", "DESC"):
            query = f"SELECT {columns} FROM entry WHERE seq > ? ORDER BY seq {order}"  # noqa: S608  ours
            try:
                for seq, body, recorded_s in connection.execute(query, (settled,)):
                    if seq in seen:
                        break
                    seen.add(seq)
                    rows[seq] = (bytes(body), recorded_s)
            except sqlite3.Error as error:
                errors.append(error)
    return errors


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock dies with its holder, and is not waited for longer than `LOCK_S`."""
    deadline_s = time.monotonic() + LOCK_S
    with _opened(folder) as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.01)
        yield


def inode_of(path: Path) -> int:
    """Which file is there; 0 if there is none, as while another process replaces it."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)
