"""The ledger in one SQLite file: WAL and synchronous=FULL, so that a receipt is sent only for what survives a power cut.

One transaction a `store`, however many batches: the collector gathers what has come and pays for one sync.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

from central.ledger import Aside, Row, Stream
from kiosk.errors import LedgerError
from kiosk.model import ClockQuality, Direction, Entry, Moment
from kiosk.wire import Batch, Poison, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BUSY_S = 30.0
APPLICATION_ID = 0x4B4C4447  # "KLDG"

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS stream (
    stream INTEGER PRIMARY KEY, kiosk TEXT NOT NULL, outbox TEXT NOT NULL,
    through INTEGER NOT NULL DEFAULT 0, repeated INTEGER NOT NULL DEFAULT 0, UNIQUE (kiosk, outbox)
);
CREATE TABLE IF NOT EXISTS entry (
    id BLOB PRIMARY KEY, stream INTEGER NOT NULL REFERENCES stream, seq INTEGER NOT NULL, site TEXT NOT NULL,
    lane TEXT NOT NULL, direction TEXT NOT NULL, wall_ns INTEGER NOT NULL, boot_id TEXT NOT NULL,
    boot_ns INTEGER NOT NULL, clock TEXT NOT NULL, document TEXT NOT NULL, flags TEXT NOT NULL, person TEXT NOT NULL,
    received_ns INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_by_time ON entry (wall_ns);
CREATE TABLE IF NOT EXISTS delivery (
    stream INTEGER NOT NULL REFERENCES stream, seq INTEGER NOT NULL, entry BLOB, PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside (
    digest BLOB PRIMARY KEY, kiosk TEXT NOT NULL, stream INTEGER, seq INTEGER, reason TEXT NOT NULL,
    body BLOB NOT NULL, received_ns INTEGER NOT NULL
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
"""
_INSERT_ENTRY = """
INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_INSERT_DELIVERY = "INSERT INTO delivery VALUES (?, ?, ?) ON CONFLICT (stream, seq) DO NOTHING"
_INSERT_ASIDE = "INSERT INTO aside VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING"
_SELECT = """
SELECT entry.*, stream.kiosk, stream.outbox FROM entry JOIN stream USING (stream)
WHERE (? IS NULL OR stream.kiosk = ?)
"""


class SqliteLedger:
    """A ledger in a file."""

    def __init__(self, path: Path) -> None:
        """Open it; make it if it is not there.

        Raises:
            LedgerError: It cannot be opened, or the file is something else.
        """
        self._path = path
        with self._named("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            found = self._connection.execute("PRAGMA application_id").fetchone()[0]
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and found != APPLICATION_ID:
                raise LedgerError(f"{path} is another program's database", hint="name another file with --ledger")
            path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            if not tables:
                self._connection.executescript(_SCHEMA)

    def store(self, batches: Sequence[Batch], aside: Sequence[Aside], received_ns: int) -> list[tuple[str, Receipt]]:
        """Keep all of it, in one transaction."""
        with self._named("write"), self._transaction():
            for message in aside:
                self._set_aside(message.kiosk, None, None, message.reason, message.body, received_ns)
            touched: dict[int, tuple[str, UUID]] = {}
            for batch in batches:
                stream = self._stream(batch)
                touched[stream] = (batch.kiosk, batch.outbox)
                self._store_batch(stream, batch, received_ns)
            return [(kiosk, Receipt(outbox, self._advance(stream))) for stream, (kiosk, outbox) in touched.items()]

    def entries(self, kiosk: str | None = None, since_ns: int = 0, until_ns: int | None = None) -> Iterator[Row]:
        """Entries in order of time."""
        query = f"{_SELECT} AND wall_ns >= ? AND (? IS NULL OR wall_ns < ?) ORDER BY wall_ns, id"
        with self._named("read"):
            for row in self._connection.execute(query, (kiosk, kiosk, since_ns, until_ns, until_ns)):
                yield _row(row)

    def latest(self, limit: int, kiosk: str | None = None) -> list[Row]:
        """The entries that came last, newest first."""
        query = f"{_SELECT} ORDER BY received_ns DESC, seq DESC LIMIT ?"
        with self._named("read"):
            return [_row(row) for row in self._connection.execute(query, (kiosk, kiosk, limit))]

    def count(self, kiosk: str | None = None) -> int:
        """How many entries there are."""
        query = "SELECT count(*) FROM entry JOIN stream USING (stream) WHERE ? IS NULL OR kiosk = ?"
        with self._named("read"):
            return int(self._connection.execute(query, (kiosk, kiosk)).fetchone()[0])

    def doubled(self, kiosk: str | None = None) -> int:
        """How many entries share their number with another one."""
        query = (
            "SELECT count(*) - count(DISTINCT stream || '/' || seq) FROM entry JOIN stream USING (stream) "
            "WHERE ? IS NULL OR kiosk = ?"
        )
        with self._named("read"):
            return int(self._connection.execute(query, (kiosk, kiosk)).fetchone()[0])

    def streams(self, kiosk: str | None = None) -> list[Stream]:
        """The deliveries of every outbox file."""
        query = "SELECT * FROM stream WHERE ? IS NULL OR kiosk = ? ORDER BY kiosk, stream"
        with self._named("read"):
            return [self._report(row) for row in self._connection.execute(query, (kiosk, kiosk)).fetchall()]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _stream(self, batch: Batch) -> int:
        key = (batch.kiosk, str(batch.outbox))
        self._connection.execute("INSERT INTO stream (kiosk, outbox) VALUES (?, ?) ON CONFLICT DO NOTHING", key)
        found = self._connection.execute("SELECT stream FROM stream WHERE kiosk = ? AND outbox = ?", key).fetchone()
        return int(found[0])

    def _store_batch(self, stream: int, batch: Batch, received_ns: int) -> None:
        numbered = [row for row in batch.rows if not isinstance(row, Poison)]
        self._connection.executemany(
            _INSERT_ENTRY, [_columns(entry, stream, seq, received_ns) for seq, entry in numbered]
        )
        deliveries: list[tuple[int, int, bytes | None]] = [(stream, seq, entry.id.bytes) for seq, entry in numbered]
        for row in batch.rows:
            if isinstance(row, Poison):
                self._set_aside(batch.kiosk, stream, row.seq, row.reason, row.body, received_ns)
                deliveries.append((stream, row.seq, None))
        fresh = self._connection.executemany(_INSERT_DELIVERY, deliveries).rowcount
        if fresh < len(deliveries):
            self._connection.execute(
                "UPDATE stream SET repeated = repeated + ? WHERE stream = ?", (len(deliveries) - fresh, stream)
            )
            self._find_conflicts(batch.kiosk, deliveries, received_ns)

    def _find_conflicts(self, kiosk: str, deliveries: list[tuple[int, int, bytes | None]], received_ns: int) -> None:
        """Numbers that came before with another entry: both entries are kept, the conflict is set aside for the audit."""
        for stream, seq, entry in deliveries:
            query = "SELECT entry FROM delivery WHERE stream = ? AND seq = ?"
            kept = self._connection.execute(query, (stream, seq)).fetchone()[0]
            if entry is not None and kept is not None and kept != entry:
                self._set_aside(kiosk, stream, seq, "number used twice", entry, received_ns)

    def _set_aside(
        self, kiosk: str, stream: int | None, seq: int | None, reason: str, body: bytes, received_ns: int
    ) -> None:
        digest = sha256(repr((kiosk, stream, seq)).encode() + body).digest()  # the same trouble is kept once
        self._connection.execute(_INSERT_ASIDE, (digest, kiosk, stream, seq, reason, body, received_ns))

    def _advance(self, stream: int) -> int:
        """Move `through` over everything that has come without a gap."""
        before = self._connection.execute("SELECT through FROM stream WHERE stream = ?", (stream,)).fetchone()[0]
        through = int(before)
        query = "SELECT seq FROM delivery WHERE stream = ? AND seq > ? ORDER BY seq"
        for (seq,) in self._connection.execute(query, (stream, through)):
            if seq != through + 1:
                break
            through = seq
        if through != before:
            self._connection.execute("UPDATE stream SET through = ? WHERE stream = ?", (through, stream))
        return through

    def _report(self, row: sqlite3.Row) -> Stream:
        stream = row["stream"]
        execute = self._connection.execute
        highest, delivered = execute(
            "SELECT coalesce(max(seq), 0), count(*) FROM delivery WHERE stream = ?", (stream,)
        ).fetchone()
        gaps = execute(
            "SELECT before + 1, seq - 1 FROM "
            "(SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before FROM delivery WHERE stream = ?) "
            "WHERE seq > before + 1",
            (stream,),
        ).fetchall()
        elsewhere = execute(
            "SELECT count(*) FROM delivery JOIN entry ON entry.id = delivery.entry "
            "WHERE delivery.stream = ? AND entry.stream != delivery.stream",
            (stream,),
        ).fetchone()[0]
        aside = execute("SELECT count(*) FROM aside WHERE stream = ?", (stream,)).fetchone()[0]
        return Stream(
            kiosk=row["kiosk"],
            outbox=UUID(row["outbox"]),
            through=row["through"],
            highest=highest,
            delivered=delivered,
            gaps=tuple((first, last) for first, last in gaps),
            repeated=row["repeated"],
            elsewhere=elsewhere,
            aside=aside,
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _named(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, LedgerError):
                raise
            raise LedgerError(f"cannot {verb} the ledger {self._path}: {error}") from error


def _columns(entry: Entry, stream: int, seq: int, received_ns: int) -> tuple[Any, ...]:
    at = entry.at
    return (
        entry.id.bytes, stream, seq, entry.site, entry.lane, entry.direction.value, at.wall_ns, at.boot_id, at.boot_ns,
        at.quality.value, entry.document, " ".join(entry.flags), json.dumps(dict(entry.person), ensure_ascii=False),
        received_ns,
    )  # fmt: skip


def _row(row: sqlite3.Row) -> Row:
    entry = Entry(
        id=UUID(bytes=row["id"]),
        kiosk=row["kiosk"],
        site=row["site"],
        lane=row["lane"],
        direction=Direction(row["direction"]),
        at=Moment(row["wall_ns"], row["boot_id"], row["boot_ns"], ClockQuality(row["clock"])),
        document=row["document"],
        flags=tuple(row["flags"].split()),
        person=tuple(json.loads(row["person"]).items()),
    )
    return Row(entry, UUID(row["outbox"]), row["seq"], row["received_ns"])
