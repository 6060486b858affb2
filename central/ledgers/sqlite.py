"""The ledger in one SQLite file: WAL and synchronous=FULL, so that a receipt is sent only for what survives a power cut.

One transaction a `store`, however many batches: the collector gathers what has come and pays for one sync. What has come of
a stream is kept as runs of numbers without a gap, usually a single one, so that the proof costs nothing to keep.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, replace
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import to_json

from central.ledgers import chain
from central.ledgers import sqlite_sql as sql
from central.ledgers.findings import TWICE, Boot, Trouble, Twice
from central.ledgers.ledger import WORD_BYTES, Aside, Closing, Opening, Row, Stream, cut
from central.ledgers.runs import gaps_of, runs_of, seqs_of
from kiosk.delivery.poison import OVERSIZED, Poison
from kiosk.delivery.wire import Batch, Receipt, boxes_of, sealed_of
from kiosk.errors import LedgerError
from kiosk.model import ClockQuality, Direction, Entry, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BUSY_S = 30.0
PAGE_BYTES = 8192
"""Twice SQLite's own: entries come in bulk, and fewer, larger pages take them in four fifths of the time."""


class SqliteLedger:
    """A ledger in a file."""

    def __init__(self, path: Path) -> None:
        """Open it; make it if it is not there.

        Raises:
            LedgerError: It cannot be opened, or the file is something else.
        """
        self._path = path
        with self._named("open"), ExitStack() as stack:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            stack.callback(self._connection.close)
            self._prepare()
            stack.pop_all()

    def _prepare(self) -> None:
        execute = self._connection.execute
        self._connection.row_factory = sqlite3.Row
        tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and execute("PRAGMA application_id").fetchone()[0] != sql.APPLICATION_ID:
            raise LedgerError(f"{self._path} is another program's database", hint="name another file with --ledger")
        self._path.chmod(0o600)
        execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        if not tables:
            self._connection.executescript(sql.SCHEMA)
        self._migrate()

    def _migrate(self) -> None:
        """Bring a file of an older version up to this one; another process may be doing the same."""
        execute = self._connection.execute
        if execute("PRAGMA user_version").fetchone()[0] == sql.VERSION:
            return
        with self._transaction():
            version = int(execute("PRAGMA user_version").fetchone()[0])
            if not 1 <= version <= sql.VERSION:
                raise LedgerError(
                    f"{self._path} has version {version}, not {sql.VERSION}", hint="run the central that made it"
                )
            for older in range(version, sql.VERSION):
                for statement in sql.MIGRATIONS[older]:
                    execute(statement)
            execute(f"PRAGMA user_version = {sql.VERSION}")

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
            return [(kiosk, Receipt(outbox, self._through(stream))) for stream, (kiosk, outbox) in touched.items()]

    def entries(self, kiosk: str | None = None, since_ns: int = 0, until_ns: int | None = None) -> Iterator[Row]:
        """Entries in order of time."""
        query = f"{sql.SELECT} AND wall_ns >= ? AND (? IS NULL OR wall_ns < ?) ORDER BY wall_ns, id"
        with self._named("read"):
            for row in self._connection.execute(query, (kiosk, kiosk, since_ns, until_ns, until_ns)):
                yield _row(row)

    def latest(self, limit: int, kiosk: str | None = None) -> list[Row]:
        """The entries that came last, newest first."""
        query = f"{sql.SELECT} ORDER BY received_ns DESC, seq DESC LIMIT ?"
        with self._named("read"):
            return [_row(row) for row in self._connection.execute(query, (kiosk, kiosk, limit))]

    def last_received_ns(self) -> dict[str, int]:
        """When the newest entry of each kiosk came."""
        query = "SELECT stream.kiosk, max(received_ns) FROM entry JOIN stream USING (stream) GROUP BY stream.kiosk"
        with self._named("read"):
            return {str(kiosk): int(last_ns) for kiosk, last_ns in self._connection.execute(query)}

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

    def note_opening(self, opening: Opening) -> str:
        """Add a line to the audit; triggers keep it from being changed."""
        with self._named("write"), self._transaction():
            lines = [Opening(*row) for row in self._connection.execute(sql.OPENED)]
            head = chain.link(chain.head_of(lines), opening)
            self._connection.execute(sql.NOTE_OPENING, astuple(replace(opening, hash=head)))
        return head

    def openings(self) -> list[Opening]:
        """The audit's lines, oldest first."""
        with self._named("read"):
            return [Opening(*row) for row in self._connection.execute(sql.OPENED)]

    def shared_word(self, name: str) -> str:
        """What those who share the ledger share."""
        with self._named("write"), self._transaction():
            self._connection.execute(sql.KEEP_WORD, (name, token_hex(WORD_BYTES)))
            return str(self._connection.execute("SELECT value FROM word WHERE name = ?", (name,)).fetchone()[0])

    def streams(self, kiosk: str | None = None) -> list[Stream]:
        """The deliveries of every outbox file."""
        query = "SELECT * FROM stream WHERE ? IS NULL OR kiosk = ? ORDER BY kiosk, stream"
        with self._named("read"):
            return [self._report(row) for row in self._connection.execute(query, (kiosk, kiosk)).fetchall()]

    def boots(self, kiosk: str | None = None) -> list[Boot]:
        """Every start of every machine."""
        return [Boot(kiosk, UUID(outbox), *rest) for kiosk, outbox, *rest in self._of(sql.BOOTS, kiosk)]

    def twice(self, kiosk: str | None = None) -> list[Twice]:
        """Every entry whose number has another one, too."""
        return [Twice(kiosk, UUID(outbox), *rest) for kiosk, outbox, *rest in self._of(sql.TWICE, kiosk)]

    def troubles(self, kiosk: str | None = None) -> list[Trouble]:
        """Every row that was set aside under its number."""
        return [Trouble(kiosk, UUID(outbox), *rest) for kiosk, outbox, *rest in self._of(sql.TROUBLES, kiosk)]

    def note_closing(self, closing: Closing) -> None:
        """Add an operator's word; triggers keep it from being changed."""
        query = "INSERT INTO closing (at_ns, who, reason, finding, count, covers) VALUES (?, ?, ?, ?, ?, ?)"
        with self._named("write"), self._transaction():
            self._connection.execute(query, astuple(closing))

    def closings(self) -> list[Closing]:
        """The operators' words, oldest first."""
        with self._named("read"):
            query = "SELECT at_ns, who, reason, finding, count, covers FROM closing ORDER BY line"
            return [Closing(*row) for row in self._connection.execute(query)]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _of(self, query: str, kiosk: str | None) -> list[sqlite3.Row]:
        """The rows of one station, or of all."""
        with self._named("read"):
            return self._connection.execute(query, (kiosk, kiosk)).fetchall()

    def _stream(self, batch: Batch) -> int:
        key = (batch.kiosk, str(batch.outbox))
        self._connection.execute(sql.INSERT_STREAM, (*key, batch.oldest))
        found = self._connection.execute("SELECT stream FROM stream WHERE kiosk = ? AND outbox = ?", key).fetchone()
        return int(found[0])

    def _store_batch(self, stream: int, batch: Batch, received_ns: int) -> None:
        numbered = [row for row in batch.rows if not isinstance(row, Poison)]
        repeated = self._cover(stream, seqs_of(batch.rows))
        for row in batch.rows:
            if isinstance(row, Poison) and not (
                row.reason == OVERSIZED and row.seq in repeated
            ):  # the entry itself has come
                self._set_aside(batch.kiosk, stream, row.seq, row.reason, row.body, received_ns)
        if repeated:
            self._find_conflicts(batch.kiosk, stream, [row for row in numbered if row[0] in repeated], received_ns)
        rows = [_columns(entry, stream, seq, received_ns) for seq, entry in numbered]
        kept = self._connection.executemany(sql.INSERT_ENTRY, rows).rowcount if rows else 0
        elsewhere = max(0, sum(seq not in repeated for seq, _ in numbered) - kept)
        if repeated or elsewhere:
            self._connection.execute(
                "UPDATE stream SET repeated = repeated + ?, elsewhere = elsewhere + ? WHERE stream = ?",
                (len(repeated), elsewhere, stream),
            )

    def _cover(self, stream: int, numbers: list[int]) -> set[int]:
        """Add these numbers to the stream's runs.

        Returns:
            Those that had come before.
        """
        repeated: set[int] = set()
        for first, last in runs_of(numbers):
            query = "SELECT first, last FROM run WHERE stream = ? AND first <= ? AND last >= ?"
            touching = self._connection.execute(query, (stream, last + 1, first - 1)).fetchall()
            for run_first, run_last in touching:
                repeated.update(range(max(first, run_first), min(last, run_last) + 1))
                self._connection.execute("DELETE FROM run WHERE stream = ? AND first = ?", (stream, run_first))
            bounds = [first, last, *(bound for run in touching for bound in run)]
            self._connection.execute("INSERT INTO run VALUES (?, ?, ?)", (stream, min(bounds), max(bounds)))
        return repeated

    def _find_conflicts(self, kiosk: str, stream: int, rows: list[tuple[int, Entry]], received_ns: int) -> None:
        """Numbers that came before with another entry: both entries are kept, the conflict is set aside for the audit.

        What came before may have been the notice of this very entry, which had been too large.
        """
        execute = self._connection.execute
        for seq, entry in rows:
            if execute("SELECT 1 FROM entry WHERE id = ?", (entry.id.bytes,)).fetchone() is not None:
                continue
            notice = "DELETE FROM aside WHERE stream = ? AND seq = ? AND reason = ?"
            if not execute(notice, (stream, seq, OVERSIZED)).rowcount:
                self._set_aside(kiosk, stream, seq, TWICE, entry.id.bytes, received_ns)

    def _set_aside(
        self, kiosk: str, stream: int | None, seq: int | None, reason: str, body: bytes, received_ns: int
    ) -> None:
        digest = sha256(repr((kiosk, stream, seq)).encode() + body).digest()  # the same trouble is kept once
        body, reason = cut(body, reason)
        self._connection.execute(sql.INSERT_ASIDE, (digest, kiosk, stream, seq, reason, body, received_ns))

    def _through(self, stream: int) -> int:
        """Up to where everything has come that the kiosk can still send."""
        query = """
            SELECT coalesce(max(run.last), oldest - 1) FROM stream
            LEFT JOIN run ON run.stream = stream.stream AND run.first <= oldest AND run.last >= oldest - 1
            WHERE stream.stream = ?
        """
        return int(self._connection.execute(query, (stream,)).fetchone()[0])

    def _report(self, row: sqlite3.Row) -> Stream:
        stream = row["stream"]
        execute = self._connection.execute
        runs = execute("SELECT first, last FROM run WHERE stream = ? ORDER BY first", (stream,)).fetchall()
        return Stream(
            kiosk=row["kiosk"],
            outbox=UUID(row["outbox"]),
            through=self._through(stream),
            highest=max((last for _, last in runs), default=0),
            delivered=sum(last - first + 1 for first, last in runs),
            gaps=gaps_of(runs),
            repeated=row["repeated"],
            elsewhere=row["elsewhere"],
            aside=execute("SELECT count(*) FROM aside WHERE stream = ?", (stream,)).fetchone()[0],
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
        at.quality.value, entry.document, " ".join(entry.flags), to_json(dict(entry.person)).decode(), received_ns,
        to_json(boxes_of(entry.sealed)).decode(),
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
        sealed=sealed_of(json.loads(row["sealed"])),
    )
    return Row(entry, UUID(row["outbox"]), row["seq"], row["received_ns"])
