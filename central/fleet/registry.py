"""The registry of the fleet: which kiosks there are, which certificates and tokens they were given.

A SQLite file beside the authority. A token is kept as its hash, is used once, and remembers for which key: the same key may
ask again, because its answer may have been lost on the way; another key is refused, counted and shown.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from central.fleet import own
from kiosk.errors import FleetError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

TOKEN_BYTES = 16
RESERVED = "central"
"""Names that begin so are the centre's own at the broker."""
STATES = ("invited", "enrolled", "revoked", "lapsed")
"""Of a kiosk; see `Station.state`."""
GRACE_S = 7 * 86_400
"""So long a certificate is good after its successor was made: that one may be on its way."""
RENEWALS_A_DAY = 10
"""A station renews two or three times a year."""
OTHERS_SERVED = 3
"""So often a certificate that was renewed is renewed for yet another key: nobody can tell which of two cards is the copy, so that none is shut out at once."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS kiosks (
    kiosk TEXT PRIMARY KEY, site TEXT NOT NULL, lanes TEXT NOT NULL, broker TEXT NOT NULL, enrolment TEXT NOT NULL,
    revoked_s INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY, kiosk TEXT NOT NULL REFERENCES kiosks, key_hash BLOB NOT NULL, issued_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL, revoked_s INTEGER, pem BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    hash BLOB PRIMARY KEY, kiosk TEXT NOT NULL REFERENCES kiosks, issued_s INTEGER NOT NULL, expires_s INTEGER NOT NULL,
    used_s INTEGER, key_hash BLOB, refused INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS renewals (
    serial TEXT PRIMARY KEY REFERENCES certificates, key_hash BLOB NOT NULL, at_s INTEGER NOT NULL, others INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS certificates_kiosk ON certificates (kiosk, issued_s);
CREATE INDEX IF NOT EXISTS tokens_kiosk ON tokens (kiosk, issued_s);
"""


class Refusal(StrEnum):
    """Why a station gets no certificate; the words travel to it."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"
    LATER = "later"


class RefusedError(FleetError):
    """A station may not have what it asks for."""

    hint = ""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"refused: {refusal}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Station:
    """What the registry knows of a kiosk.

    Attributes:
        kiosk: Its id.
        site: Where it hangs.
        lanes: Its doors as (name, direction).
        broker: Where it delivers, host:port.
        enrolment: Where it gets its certificates, host:port.
        state: "invited" (a code waits to be shown), "enrolled", "revoked" or "lapsed" (neither code nor certificate is valid).
        serial: Serial number of its newest certificate, hexadecimal; empty if it has none.
        expires_s: When that expires; 0 without one.
        reuses: Attempts to use one of its tokens a second time.
        copies: Attempts to renew a certificate, which was renewed before, for another key: two cards may have one identity.
    """

    kiosk: str
    site: str
    lanes: tuple[tuple[str, str], ...]
    broker: str
    enrolment: str
    state: str
    serial: str
    expires_s: int
    reuses: int
    copies: int


class Fleet:
    """The registry. One thread only; several processes may have it open."""

    def __init__(self, path: Path) -> None:
        """Open it, or begin it.

        Raises:
            FleetError: It cannot be opened.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise FleetError(f"{path}: {error}") from error
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA + own.SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise FleetError(f"{path}: {error}") from error
        self.own = own.OwnCertificates(self._db)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def invite(
        self, kiosk: str, site: str, lanes: tuple[tuple[str, str], ...], broker: str, enrolment: str, valid_s: int
    ) -> bytes:
        """Enter a kiosk, new or known, and make a token for it; all older tokens of it end, used ones too.

        Args:
            kiosk: Its id.
            site: Where it hangs.
            lanes: Its doors as (name, direction).
            broker: host:port.
            enrolment: host:port.
            valid_s: How long the token can be used.

        Returns:
            The token, which is kept nowhere.

        Raises:
            FleetError: The name is the centre's.
        """
        if kiosk.startswith(RESERVED):
            raise FleetError(f"{kiosk!r} is no name for a kiosk", hint=f"names with {RESERVED!r} are the centre's own")
        token, now_s = secrets.token_bytes(TOKEN_BYTES), int(time.time())
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO kiosks (kiosk, site, lanes, broker, enrolment) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (kiosk) DO UPDATE SET site = excluded.site, lanes = excluded.lanes,"
                " broker = excluded.broker, enrolment = excluded.enrolment, revoked_s = NULL",
                (kiosk, site, json.dumps(lanes), broker, enrolment),
            )
            self._end_tokens(kiosk)
            self._db.execute(
                "INSERT INTO tokens (hash, kiosk, issued_s, expires_s) VALUES (?, ?, ?, ?)",
                (_hash(token), kiosk, now_s, now_s + valid_s),
            )
        return token

    def _end_tokens(self, kiosk: str) -> None:
        """Whoever has one of them gets nothing more for it. Used ones stay, for they count who tries."""
        self._db.execute("DELETE FROM tokens WHERE kiosk = ? AND used_s IS NULL", (kiosk,))
        self._db.execute("UPDATE tokens SET expires_s = 0 WHERE kiosk = ?", (kiosk,))

    def claim(self, token: bytes, key_hash: bytes) -> tuple[str, bytes | None]:
        """Spend a token on a key.

        Args:
            token: What the code carried.
            key_hash: SHA-256 of the station's public key.

        Returns:
            Whose it is, and the certificate that it bought before, for the same key.

        Raises:
            RefusedError: Unknown, expired or ended, of a revoked kiosk, or spent: on another key, or on a certificate that is good no more; that is counted.
        """
        now_s = int(time.time())
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._db.execute(
                "SELECT kiosk, expires_s, used_s, key_hash, (SELECT revoked_s FROM kiosks WHERE kiosk = tokens.kiosk)"
                " FROM tokens WHERE hash = ?",
                (_hash(token),),
            ).fetchone()
            if row is None:
                raise RefusedError(Refusal.UNKNOWN)
            kiosk, expires_s, used_s, used_by, revoked_s = row
            fresh = used_s is None
            if fresh and revoked_s is None and now_s < expires_s:
                self._db.execute(
                    "UPDATE tokens SET used_s = ?, key_hash = ? WHERE hash = ?", (now_s, key_hash, _hash(token))
                )
            bought = self._db.execute(
                "SELECT pem, revoked_s IS NULL AND expires_s > ? FROM certificates WHERE kiosk = ? AND key_hash = ? AND issued_s >= ?"
                " ORDER BY rowid DESC LIMIT 1",
                (now_s, kiosk, key_hash, used_s or 0),
            ).fetchone()
            reused = not fresh and (used_by != key_hash or (bought is not None and not bought[1]))
            if reused:
                self._db.execute("UPDATE tokens SET refused = refused + 1 WHERE hash = ?", (_hash(token),))
        if revoked_s is not None:
            raise RefusedError(Refusal.REVOKED)
        if reused:
            raise RefusedError(Refusal.USED)
        if now_s >= expires_s:
            raise RefusedError(Refusal.EXPIRED)
        return str(kiosk), None if fresh or bought is None else bytes(bought[0])

    def issued(self, kiosk: str, serial: int, key_hash: bytes, expires_s: int, pem: bytes, *, supersedes: bool) -> None:
        """Enter a certificate.

        Args:
            kiosk: Whose it is.
            serial: Its number.
            key_hash: SHA-256 of its public key.
            expires_s: When it ends.
            pem: The certificate.
            supersedes: Whether the kiosk's earlier ones are revoked: the station was set up anew.
        """
        now_s = int(time.time())
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if supersedes:
                self._db.execute(
                    "UPDATE certificates SET revoked_s = ? WHERE kiosk = ? AND revoked_s IS NULL", (now_s, kiosk)
                )
            self._db.execute(
                "INSERT INTO certificates (serial, kiosk, key_hash, issued_s, expires_s, pem) VALUES (?, ?, ?, ?, ?, ?)",
                (f"{serial:x}", kiosk, key_hash, now_s, expires_s, pem),
            )

    def holder(self, serial: int) -> str:
        """Whose certificate this is.

        Raises:
            RefusedError: It is not known, or it or its kiosk is revoked.
        """
        row = self._db.execute(
            "SELECT kiosk, certificates.revoked_s, kiosks.revoked_s FROM certificates JOIN kiosks USING (kiosk)"
            " WHERE serial = ?",
            (f"{serial:x}",),
        ).fetchone()
        if row is None:
            raise RefusedError(Refusal.UNKNOWN)
        if row[1] is not None or row[2] is not None:
            raise RefusedError(Refusal.REVOKED)
        return str(row[0])

    def renewal(self, serial: int, key_hash: bytes) -> tuple[str, bytes | None]:
        """Note that a certificate is renewed, once; the same key may ask again, for its answer may have been lost on the way.

        Args:
            serial: Of the present certificate.
            key_hash: SHA-256 of the new public key.

        Returns:
            Whose it is, and the certificate that this key got before.

        Raises:
            RefusedError: As `holder`; it was renewed more than `GRACE_S` ago, or for too many other keys, or the kiosk has renewed too often today.
        """
        now_s = int(time.time())
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            kiosk = self.holder(serial)
            first = self._db.execute(
                "SELECT key_hash, at_s, others FROM renewals WHERE serial = ?", (f"{serial:x}",)
            ).fetchone()
            known = self._db.execute(
                "SELECT pem FROM certificates WHERE kiosk = ? AND key_hash = ? AND revoked_s IS NULL AND expires_s > ?",
                (kiosk, key_hash, now_s),
            ).fetchone()
            if first is not None and first[0] == key_hash:
                return kiosk, None if known is None else bytes(known[0])
            if first is not None:
                self._db.execute("UPDATE renewals SET others = others + 1 WHERE serial = ?", (f"{serial:x}",))
            today = self._db.execute(
                "SELECT total(1 + others) FROM renewals JOIN certificates USING (serial) WHERE kiosk = ? AND at_s > ?",
                (kiosk, now_s - 86_400),
            ).fetchone()[0]
            late = first is not None and (now_s > first[1] + GRACE_S or first[2] >= OTHERS_SERVED)
            if first is None and today < RENEWALS_A_DAY:
                self._db.execute(
                    "INSERT INTO renewals (serial, key_hash, at_s) VALUES (?, ?, ?)", (f"{serial:x}", key_hash, now_s)
                )
        if late:
            raise RefusedError(Refusal.USED)
        if first is None and today >= RENEWALS_A_DAY:
            raise RefusedError(Refusal.LATER)
        return kiosk, None

    def revoke(self, kiosk: str) -> int:
        """Take every certificate and every token from a kiosk.

        Returns:
            How many certificates were valid.

        Raises:
            FleetError: There is no such kiosk.
        """
        now_s = int(time.time())
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            known = self._db.execute("UPDATE kiosks SET revoked_s = ? WHERE kiosk = ?", (now_s, kiosk)).rowcount
            count = self._db.execute(
                "UPDATE certificates SET revoked_s = ? WHERE kiosk = ? AND revoked_s IS NULL", (now_s, kiosk)
            ).rowcount
            self._end_tokens(kiosk)
        if not known:
            raise FleetError(f"there is no kiosk {kiosk!r}", hint="`central fleet list` names them")
        return count

    def revoked(self) -> list[tuple[int, int]]:
        """Serial numbers and times of what is revoked, or renewed long enough ago, and has not expired by itself."""
        now_s = int(time.time())
        rows = self._db.execute(
            "SELECT serial, revoked_s FROM certificates WHERE revoked_s IS NOT NULL AND expires_s > :ended"
            " UNION ALL SELECT serial, revoked_s FROM own WHERE revoked_s IS NOT NULL AND expires_s > :ended"
            " UNION ALL SELECT serial, at_s + :grace FROM renewals JOIN certificates USING (serial)"
            " WHERE revoked_s IS NULL AND expires_s > :ended AND at_s + :grace < :now",
            {"ended": now_s - 86_400, "grace": GRACE_S, "now": now_s},
        )
        return [(int(serial, 16), int(at_s)) for serial, at_s in rows]

    def stations(self, kiosk: str | None = None) -> list[Station]:
        """All kiosks in the order of their ids, or one of them."""
        now_s = int(time.time())
        rows = self._db.execute(
            """
            SELECT k.kiosk, k.site, k.lanes, k.broker, k.enrolment, k.revoked_s, c.serial, c.expires_s,
                (SELECT count(*) FROM tokens t WHERE t.kiosk = k.kiosk AND t.used_s IS NULL AND t.expires_s > ?),
                (SELECT total(t.refused) FROM tokens t WHERE t.kiosk = k.kiosk),
                (SELECT total(r.others) FROM renewals r JOIN certificates n USING (serial) WHERE n.kiosk = k.kiosk AND n.revoked_s IS NULL)
            FROM kiosks k LEFT JOIN certificates c ON c.rowid = (
                SELECT max(n.rowid) FROM certificates n WHERE n.kiosk = k.kiosk AND n.revoked_s IS NULL)
            WHERE ? IS NULL OR k.kiosk = ? ORDER BY k.kiosk
            """,
            (now_s, kiosk, kiosk),
        )
        return [
            Station(
                kiosk=row[0],
                site=row[1],
                lanes=tuple((str(name), str(direction)) for name, direction in json.loads(row[2])),
                broker=row[3],
                enrolment=row[4],
                state=_state(row[5] is not None, (row[7] or 0) > now_s, row[8] > 0),
                serial=row[6] or "",
                expires_s=row[7] or 0,
                reuses=int(row[9]),
                copies=int(row[10]),
            )
            for row in rows
        ]


def _state(revoked: bool, enrolled: bool, invited: bool) -> str:  # noqa: FBT001  a table of three columns
    if revoked:
        return "revoked"
    if enrolled:
        return "enrolled"
    return "invited" if invited else "lapsed"


def _hash(token: bytes) -> bytes:
    """A token is 128 random bits, so that a plain hash of it tells nothing."""
    return hashlib.sha256(token).digest()
