"""One process's connection to the outbox's file: opened anew after an error, or when another process has replaced the file.

A file that SQLite finds damaged is set aside and replaced at once, by whoever may make one; a file that is merely locked, read-only or out
of room is left alone, and `OutboxError` says so. SQLite's own errors leave this room as `OutboxError` only.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from kiosk.disk import outbox_file
from kiosk.errors import OutboxError, OutboxFullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

T = TypeVar("T")

LEAST_BYTES = 65_536
"""What SQLite needs to open a file: its shared memory and the head of a log."""


class Connection:
    """One thread at a time.

    Attributes:
        path: Of the file.
    """

    id: UUID
    """Of the file; changes if a damaged file is replaced."""

    def __init__(self, path: Path, *, makes: bool) -> None:
        """Open it.

        Args:
            path: Of the file.
            makes: Whether it is made if it is not there, and replaced if it is damaged.

        Raises:
            OutboxError: The folder or the file cannot be used.
        """
        self.path = path
        self._makes = makes
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        if makes:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise named(path, "open", error) from error
        self.do("open", lambda _connection: None)

    def read(self, query: str, values: tuple[int, ...] = ()) -> list[Any]:
        """All rows that a query finds.

        Raises:
            OutboxError: The file cannot be read.
        """
        return self.do("read", lambda connection: connection.execute(query, values).fetchall())

    def write(self, statement: str, values: tuple[int | str | None, ...] = ()) -> int:
        """A write that may be lost on power failure without harm; how many rows it has changed.

        Raises:
            OutboxError: The file cannot be written.
        """

        def write(connection: sqlite3.Connection) -> int:
            connection.execute("PRAGMA synchronous = NORMAL")
            count = connection.execute(statement, values).rowcount
            connection.execute("PRAGMA synchronous = FULL")
            return count

        return self.do("write", write)

    def write_durably(self, statement: str, values: tuple[int | bytes, ...]) -> int:
        """A write that is on the disk when this returns; the number of the row that it has made.

        Raises:
            OutboxError: The file cannot be written.
        """
        return self.do("write", lambda connection: connection.execute(statement, values).lastrowid or 0)

    def do(self, verb: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work on the file; once more on a new file if this one turns out to be damaged.

        Args:
            verb: What is done, for the sentence of an error.
            work: Does it.

        Raises:
            OutboxError: The file failed. The connection is gone with it, so the next call tries afresh.
        """
        try:
            try:
                return work(self.live())
            except sqlite3.DatabaseError as error:
                if not (self._makes and outbox_file.is_damage(error)):
                    raise
                self.close()
                outbox_file.replace(self.path, self._inode, str(error))
                return work(self.live())
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise named(self.path, verb, error) from error

    def live(self) -> sqlite3.Connection:
        """The connection itself, to the file that is there now."""
        if self._connection is not None and self._inode != outbox_file.inode_of(self.path):
            self.close()
        if self._connection is None:
            with outbox_file.locked(self.path.parent):  # not in the middle of another process's replacement
                if self._makes:
                    outbox_file.resume(self.path)
                self._inode = outbox_file.inode_of(self.path)
                self._connection = outbox_file.connect(self.path, makes=self._makes)
                self._inode = outbox_file.inode_of(self.path)
            self.id = outbox_file.id_of(self._connection)
        return self._connection

    def was_replaced(self) -> bool:
        """Whether the file that was last worked on is no longer the one that is there.

        Raises:
            OutboxError: Nobody can tell.
        """
        try:
            return self._inode != outbox_file.inode_of(self.path)
        except OSError as error:
            raise named(self.path, "find", error) from error

    def set_aside(self, reason: str) -> None:
        """Go on with a new file that holds the waiting entries; the old one is kept under another name.

        Raises:
            OutboxError: The files cannot be moved.
        """
        self.close()
        try:
            outbox_file.replace(self.path, self._inode, reason)
        except (OSError, sqlite3.Error) as error:
            raise named(self.path, "replace", error) from error

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def named(path: Path, verb: str, error: Exception) -> OutboxError:
    """An error of SQLite or of the system, as one that says what could not be done to which file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # Without room for its shared memory SQLite says "disk I/O error"; the remedy is another one than for a worn card.
    is_full = code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == errno.ENOSPC
    is_full = is_full or (code == sqlite3.SQLITE_IOERR and _has_no_room(path.parent))
    kind = OutboxFullError if is_full else OutboxError
    return kind(f"cannot {verb} {path}: {error}")


def _has_no_room(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < LEAST_BYTES
