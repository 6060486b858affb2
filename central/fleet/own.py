"""The certificates of the centre's own programs and servers, in the registry: which there are, until when, and which are taken back.

They stand in tables of their own, because their names are no kiosk's, and end in the same revocation list.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.errors import FleetError

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS own (
    serial TEXT PRIMARY KEY, name TEXT NOT NULL, issued_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, revoked_s INTEGER
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Own:
    """A certificate of the centre's.

    Attributes:
        serial: Its number, hexadecimal.
        name: Of the program, or the server's first host name.
        issued_s: When it was made.
        expires_s: When it ends.
        revoked_s: When it was taken back; None while it is good.
    """

    serial: str
    name: str
    issued_s: int
    expires_s: int
    revoked_s: int | None


class OwnCertificates:
    """That part of the registry; `central.fleet.registry.Fleet.own` is it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def enter(self, serial: int, name: str, issued_s: int, expires_s: int) -> None:
        """Enter a certificate; nothing for one that is there."""
        self._db.execute(
            "INSERT INTO own (serial, name, issued_s, expires_s) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (f"{serial:x}", name, issued_s, expires_s),
        )

    def all(self) -> list[Own]:
        """All of them by name, the newest of a name last."""
        rows = self._db.execute("SELECT serial, name, issued_s, expires_s, revoked_s FROM own ORDER BY name, rowid")
        return [Own(*row) for row in rows]

    def revoke(self, which: str) -> list[Own]:
        """Take back all that have this name, or the one of this number.

        Args:
            which: A name, or a number in hexadecimal.

        Returns:
            Those that were good until now.

        Raises:
            FleetError: There is none, or none that is good.
        """
        number = which.lower().lstrip("0")
        meant = [each for each in self.all() if which == each.name or number == each.serial]
        if not meant:
            raise FleetError(
                f"the registry knows no certificate {which!r} of the centre's own",
                hint="`central ca list` names them; one that an earlier version made is named by its file",
            )
        good = [each for each in meant if each.revoked_s is None]
        if not good:
            raise FleetError(f"{which} is revoked already", hint="`central ca list` says since when")
        with self._db:
            self._db.executemany(
                "UPDATE own SET revoked_s = ? WHERE serial = ? AND revoked_s IS NULL",
                [(int(time.time()), each.serial) for each in good],
            )
        return good
