"""The register of issued passes in one SQLite file: what is needed to revoke a pass, and nothing else.

It keeps the number of the pass, its issuer's key id, the holder's number at the office, and the times. Names, years of
birth and codes are on the passes alone.

Units: `_s` seconds of Unix time, UTC.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from kiosk.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

APPLICATION_ID = 0x4B504153  # "KPAS"
BUSY_S = 10
NUMBER_BITS = 40
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS pass (
    number INTEGER PRIMARY KEY, issuer BLOB NOT NULL, holder TEXT NOT NULL,
    issued_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, revoked_s INTEGER
);
PRAGMA application_id = {APPLICATION_ID};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Issued:
    """One pass.

    Attributes:
        number: Number of the pass.
        issuer: Key id of its issuer.
        holder: The holder's number at the office.
        issued_s: When it was issued.
        expires_s: Until when it is valid.
        revoked_s: When it was revoked; None if it was not.
    """

    number: int
    issuer: bytes
    holder: str
    issued_s: int
    expires_s: int
    revoked_s: int | None = None


class PassRegistry:
    """The register. One thread only; several processes may have it open."""

    def __init__(self, path: Path, *, existing: bool = False) -> None:
        """Open it.

        Args:
            path: The file.
            existing: Whether a missing file is an error; else it is made, for its owner alone.

        Raises:
            LedgerError: It cannot be opened, or is another program's.
        """
        self._path = path
        with self._named():
            os.close(os.open(path, os.O_RDWR | (0 if existing else os.O_CREAT), 0o600))
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            with self._named():
                tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                if tables and self._db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                    raise LedgerError(f"{path} is another program's database", hint="name another --registry")
                path.chmod(0o600)
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_SCHEMA)
        except LedgerError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def free_number(self) -> int:
        """A number that no pass has: drawn, so that it tells nobody how many there are."""
        with self._named():
            while True:
                number = 1 + secrets.randbits(NUMBER_BITS)
                if self._db.execute("SELECT 1 FROM pass WHERE number = ?", (number,)).fetchone() is None:
                    return number

    def add(self, issued: Issued) -> None:
        """Keep a pass; when this returns, it can be revoked.

        Raises:
            LedgerError: It could not be kept.
        """
        row = (issued.number, issued.issuer, issued.holder, issued.issued_s, issued.expires_s)
        with self._named():
            self._db.execute("INSERT INTO pass VALUES (?, ?, ?, ?, ?, NULL)", row)

    def revoke(self, number: int, now_s: int) -> bool:
        """Revoke a pass; False if it was revoked before.

        Raises:
            LedgerError: There is no such pass, or it could not be kept.
        """
        with self._named():
            done = self._db.execute(
                "UPDATE pass SET revoked_s = ? WHERE number = ? AND revoked_s IS NULL", (now_s, number)
            )
            known = self._db.execute("SELECT 1 FROM pass WHERE number = ?", (number,)).fetchone() is not None
        if not known:
            raise LedgerError(f"{self._path} has no pass P{number}", hint="`central pass list` names them")
        return done.rowcount == 1

    def passes(self) -> list[Issued]:
        """All of them, the oldest first.

        Raises:
            LedgerError: They could not be read.
        """
        with self._named():
            return [Issued(*row) for row in self._db.execute("SELECT * FROM pass ORDER BY issued_s, number")]

    def revoked(self, issuer: bytes) -> list[int]:
        """Numbers of the revoked passes of this issuer; also those expired, since a station may not know the time.

        Raises:
            LedgerError: They could not be read.
        """
        with self._named():
            return [
                number
                for (number,) in self._db.execute(
                    "SELECT number FROM pass WHERE issuer = ? AND revoked_s IS NOT NULL ORDER BY number", (issuer,)
                )
            ]

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except LedgerError:
            raise
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LedgerError(
                f"the register {self._path}: {reason}", hint="name the right file with --registry"
            ) from error
