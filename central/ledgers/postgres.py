"""The ledger in PostgreSQL: for several collectors, several machines, and more entries than one file should hold.

One transaction a `store`, however many batches: entries are copied into a table of the session's own and go from there
into the ledger, where an id that is there already changes nothing.

Collectors do not hinder each other beyond a stream: each locks the streams that it writes, in order of kiosk and outbox,
before it touches anything else, and then writes in order of key. So no two of them can wait for each other, and each
reads of a stream what the one before has committed; the receipt is right whoever sends it.

Durability is PostgreSQL's own: `synchronous_commit` is on whatever the server's default, and a server that does not sync
its files is refused.

Units: `_s` seconds, `_ms` milliseconds, `_ns` nanoseconds of Unix time, UTC.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, replace
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row
from pydantic_core import to_json

from central.ledgers import chain
from central.ledgers import postgres_sql as sql
from central.ledgers.findings import TWICE, Boot, Trouble, Twice
from central.ledgers.ledger import WORD_BYTES, Aside, Closing, Opening, Row, Stream, cut
from central.ledgers.postgres_sql import turned
from central.ledgers.runs import covered, gaps_of, seqs_of, through_of
from kiosk.delivery.poison import OVERSIZED, Poison
from kiosk.delivery.wire import Batch, Receipt, boxes_of, sealed_of
from kiosk.errors import LedgerError
from kiosk.model import ClockQuality, Direction, Entry, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from central.ledgers.runs import Run

CONNECT_S = 10
STATEMENT_MS = 60_000
ABANDONED_MS = 30_000
"""How long the server keeps the locks of a collector whose machine went away in the middle."""
TRIES = 5


class PostgresLedger:
    """A ledger in a database."""

    def __init__(self, url: str, *, existing: bool = False) -> None:
        """Connect; make the tables if they are not there.

        Args:
            url: postgresql:// address; the password is better kept in ~/.pgpass.
            existing: Make nothing.

        Raises:
            LedgerError: It cannot be used, or is not there and must not be made.
        """
        self._name = "the ledger"
        with self._named("open"), ExitStack() as stack:
            conninfo = make_conninfo(
                url, connect_timeout=CONNECT_S, tcp_user_timeout=1000 * CONNECT_S, application_name="kiosk central"
            )
            parts = conninfo_to_dict(conninfo)
            self._name = f"the ledger {parts.get('dbname', '')!r} at {parts.get('host', 'the local socket')}"
            self._connection = psycopg.connect(
                conninfo, autocommit=True, row_factory=namedtuple_row, prepare_threshold=2
            )
            stack.callback(self._connection.close)
            self._connection.isolation_level = IsolationLevel.READ_COMMITTED
            self._prepare(existing=existing)
            stack.pop_all()

    def _prepare(self, *, existing: bool) -> None:
        for setting, wanted in (("fsync", "on"), ("full_page_writes", "on"), ("server_encoding", "UTF8")):
            found = self._all(f"SHOW {setting}")[0][0]  # one of three literals
            if found != wanted:
                raise LedgerError(
                    f"{self._name} has {setting}={found}, so it cannot keep what receipts are sent for",
                    hint=f"let the server have {setting}={wanted}, or make the database anew with it",
                )
        execute = self._connection.execute
        execute(f"SET statement_timeout = {STATEMENT_MS}")
        execute(f"SET idle_in_transaction_session_timeout = {ABANDONED_MS}")
        execute("SET synchronous_commit = on")
        execute("SET search_path = ledger, pg_temp")
        if not self._known():
            if existing:
                raise LedgerError(
                    f"{self._name} has no tables yet", hint="name it with --ledger, or collect into it first"
                )
            with self._connection.transaction():
                execute("SELECT pg_advisory_xact_lock(1263289415)")  # collectors that start together
                if not self._known():
                    execute(sql.SCHEMA)
                    execute("INSERT INTO ledger.about VALUES (%s)", (sql.VERSION,))
        if self._version() != sql.VERSION:
            self._migrate()
        execute(sql.STAGING)

    def _version(self) -> int:
        return int(self._all("SELECT max(version) FROM about")[0][0])

    def _migrate(self) -> None:
        """Bring tables of an older version up to this one; another process may be doing the same."""
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(1263289415)")
            version = self._version()
            if not 1 <= version <= sql.VERSION:
                raise LedgerError(
                    f"{self._name} has version {version}, not {sql.VERSION}", hint="run the central that made it"
                )
            for older in range(version, sql.VERSION):
                self._connection.execute(sql.MIGRATIONS[older])
            self._connection.execute("UPDATE about SET version = %s", (sql.VERSION,))

    def _known(self) -> bool:
        ours, taken = self._all(sql.KNOWN)[0]
        if taken and not ours:
            raise LedgerError(
                f"{self._name} has another program's schema 'ledger'", hint="name another database with --ledger"
            )
        return bool(ours)

    def store(self, batches: Sequence[Batch], aside: Sequence[Aside], received_ns: int) -> list[tuple[str, Receipt]]:
        """Keep all of it, in one transaction."""
        with self._named("write"):
            for tries_left in reversed(range(TRIES)):
                try:
                    with self._connection.transaction():
                        return self._stored(batches, aside, received_ns)
                except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                    if not tries_left:
                        raise
        raise AssertionError("the last try returns or raises")

    def entries(self, kiosk: str | None = None, since_ns: int = 0, until_ns: int | None = None) -> Iterator[Row]:
        """Entries in order of time, a page at a time: no transaction stays open while somebody reads."""
        after = {"kiosk": kiosk, "until_ns": until_ns, "wall_ns": since_ns - 1, "id": UUID(int=2**128 - 1)}
        while True:
            with self._named("read"):
                page = [_row(row) for row in self._all(sql.PAGE, after)]
            yield from page
            if len(page) < sql.PAGE_ROWS:
                return
            after |= {"wall_ns": page[-1].entry.at.wall_ns, "id": page[-1].entry.id}

    def latest(self, limit: int, kiosk: str | None = None) -> list[Row]:
        """The entries that came last, newest first."""
        with self._named("read"):
            return [_row(row) for row in self._all(sql.LATEST, {"kiosk": kiosk, "limit": limit})]

    def last_received_ns(self) -> dict[str, int]:
        """When the newest entry of each kiosk came."""
        with self._named("read"):
            return {str(kiosk): int(last_ns) for kiosk, last_ns in self._all(sql.LAST_RECEIVED)}

    def count(self, kiosk: str | None = None) -> int:
        """How many entries there are."""
        with self._named("read"):
            return int(self._all(sql.COUNT_ENTRIES, {"kiosk": kiosk})[0][0])

    def doubled(self, kiosk: str | None = None) -> int:
        """How many entries share their number with another one."""
        with self._named("read"):
            return int(self._all(sql.COUNT_DOUBLED, {"kiosk": kiosk})[0][0])

    def note_opening(self, opening: Opening) -> str:
        """Add a line to the audit; a trigger keeps it from being changed."""
        with self._named("write"), self._connection.transaction():
            self._connection.execute(sql.LOCK_OPENINGS)
            head = chain.link(chain.head_of([Opening(*row) for row in self._all(sql.OPENED)]), opening)
            self._connection.execute(sql.NOTE_OPENING, astuple(replace(opening, hash=head)))
        return head

    def openings(self) -> list[Opening]:
        """The audit's lines, oldest first."""
        with self._named("read"):
            return [Opening(*row) for row in self._all(sql.OPENED)]

    def shared_word(self, name: str) -> str:
        """What those who share the ledger share."""
        with self._named("write"):
            self._connection.execute(sql.KEEP_WORD, (name, token_hex(WORD_BYTES)))
            return str(self._all(sql.WORD, (name,))[0][0])

    def streams(self, kiosk: str | None = None) -> list[Stream]:
        """The deliveries of every outbox file, as they were at one moment."""
        with self._named("read"):
            return [_stream(row) for row in self._all(sql.STREAMS, {"kiosk": kiosk})]

    def boots(self, kiosk: str | None = None) -> list[Boot]:
        """Every start of every machine."""
        with self._named("read"):
            return [Boot(*row) for row in self._all(sql.BOOTS, {"kiosk": kiosk})]

    def twice(self, kiosk: str | None = None) -> list[Twice]:
        """Every entry whose number has another one, too."""
        with self._named("read"):
            return [Twice(*row) for row in self._all(sql.TWICE, {"kiosk": kiosk})]

    def troubles(self, kiosk: str | None = None) -> list[Trouble]:
        """Every row that was set aside under its number."""
        with self._named("read"):
            return [Trouble(*row) for row in self._all(sql.TROUBLES, {"kiosk": kiosk})]

    def note_closing(self, closing: Closing) -> None:
        """Add an operator's word; a trigger keeps it from being changed."""
        with self._named("write"):
            self._connection.execute(sql.NOTE_CLOSING, astuple(closing))

    def closings(self) -> list[Closing]:
        """The operators' words, oldest first."""
        with self._named("read"):
            return [Closing(*row) for row in self._all(sql.CLOSED)]

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _stored(self, batches: Sequence[Batch], aside: Sequence[Aside], received_ns: int) -> list[tuple[str, Receipt]]:
        away: list[_Away] = [(message.kiosk, None, None, message.reason, message.body) for message in aside]
        if not batches:
            self._set_aside(away, received_ns)
            return []
        streams = self._locked({(batch.kiosk, batch.outbox) for batch in batches})
        placed = [(streams[batch.kiosk, batch.outbox], batch) for batch in batches]
        known = self._keep_entries(placed, received_ns)
        repeats = self._keep_runs(placed)
        counts = {stream: [0, 0] for stream in streams.values()}
        conflicts: list[_Away] = []
        for (stream, batch), repeated, old in zip(placed, repeats, known, strict=True):
            counts[stream][0] += len(repeated)
            for place, row in enumerate(batch.rows):
                if isinstance(row, Poison):
                    if not (row.reason == OVERSIZED and row.seq in repeated):  # the entry itself has come
                        away.append((batch.kiosk, stream, row.seq, row.reason, row.body))
                elif row[0] not in repeated:
                    counts[stream][1] += place in old
                elif place not in old:  # both entries are kept, the conflict is set aside for the audit
                    conflicts.append((batch.kiosk, stream, row[0], TWICE, row[1].id.bytes))
        self._set_aside([*away, *self._without_notice(conflicts)], received_ns)
        changed = [(stream, *count) for stream, count in counts.items() if any(count)]
        if changed:
            self._connection.execute(sql.COUNT, turned(changed))
        oldest: dict[int, int] = {}
        for stream, batch in placed:
            oldest[stream] = max(oldest.get(stream, 1), batch.oldest)
        self._connection.execute(sql.KEEP_OLDEST, turned(oldest.items()))
        through = dict(self._all(sql.THROUGH, [list(counts)]))
        return [(kiosk, Receipt(outbox, through[stream])) for (kiosk, outbox), stream in streams.items()]

    def _locked(self, keys: set[tuple[str, UUID]]) -> dict[tuple[str, UUID], int]:
        """The streams of these names, made if need be; nobody else writes them until the transaction ends."""
        names = turned(keys)
        found = self._all(sql.LOCK_STREAMS, names)
        if len(found) < len(keys):
            self._connection.execute(sql.ADD_STREAMS, names)
            found = self._all(sql.LOCK_STREAMS, names)
        return {(kiosk, outbox): stream for stream, kiosk, outbox in found}

    def _keep_entries(self, placed: list[tuple[int, Batch]], received_ns: int) -> list[set[int]]:
        """Add the entries.

        Returns:
            For each batch the places of those of its rows whose id was there before them.
        """
        known: list[set[int]] = [set() for _ in placed]
        staged: list[tuple[int, int]] = []
        ids: set[UUID] = set()
        with self._connection.cursor() as cursor:
            with cursor.copy("COPY staging FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(sql.TYPES)
                for number, (stream, batch) in enumerate(placed):
                    for place, row in enumerate(batch.rows):
                        if isinstance(row, Poison):
                            continue
                        if row[1].id in ids:
                            known[number].add(place)
                            continue
                        ids.add(row[1].id)
                        copy.write_row((len(staged), *_columns(row[1], stream, row[0], received_ns)))
                        staged.append((number, place))
            for (n,) in cursor.execute(sql.KEEP_ENTRIES) if staged else ():
                number, place = staged[n]
                known[number].add(place)
        return known

    def _keep_runs(self, placed: list[tuple[int, Batch]]) -> list[set[int]]:
        """Add the numbers to the streams' runs.

        Returns:
            For each batch those of its numbers that had come before it.
        """
        numbers = [(stream, seqs_of(batch.rows)) for stream, batch in placed]
        spans: dict[int, tuple[int, int]] = {}
        for stream, found in numbers:
            if not found:  # a question for a receipt
                continue
            lowest, highest = spans.get(stream, (found[0], found[0]))
            spans[stream] = (min(lowest, *found), max(highest, *found))
        before: dict[int, dict[int, int]] = {stream: {} for stream in spans}
        touched = turned((stream, *span) for stream, span in spans.items())
        for stream, first, last in self._all(sql.TOUCHED_RUNS, touched) if spans else ():
            before[stream][first] = last
        after = {stream: dict(runs) for stream, runs in before.items()}
        repeats = [covered(after[stream], found) if found else set() for stream, found in numbers]
        gone = [(stream, first) for stream, runs in before.items() for first in runs if first not in after[stream]]
        kept = [
            (stream, *run)
            for stream, runs in after.items()
            for run in runs.items()
            if run not in before[stream].items()
        ]
        if gone:
            self._connection.execute(sql.DROP_RUNS, turned(gone))
        if kept:
            self._connection.execute(sql.KEEP_RUNS, turned(kept))
        return repeats

    def _without_notice(self, conflicts: list[_Away]) -> list[_Away]:
        """Those that are none are left out: what came before was the notice of this very entry, which had been too large."""
        if not conflicts:
            return []
        numbers = turned({(stream, seq) for _, stream, seq, _, _ in conflicts})
        mended = {tuple(row) for row in self._all(sql.DROP_NOTICES, [*numbers, OVERSIZED])}
        return [conflict for conflict in conflicts if conflict[1:3] not in mended]

    def _set_aside(self, away: list[_Away], received_ns: int) -> None:
        rows = [(_digest(one), *one[:3], *reversed(cut(one[4], one[3])), received_ns) for one in away]
        if rows:
            self._connection.execute(sql.KEEP_ASIDE, turned(rows))

    def _all(self, query: str, parameters: Any = None) -> list[Any]:  # noqa: ANN401  as psycopg takes them
        return self._connection.execute(query.encode(), parameters).fetchall()

    @contextmanager
    def _named(self, verb: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            # The details below the first line can hold what was to be stored.
            reason = error.diag.message_primary or (str(error).splitlines() or [type(error).__name__])[0]
            raise LedgerError(
                f"cannot {verb} {self._name}: {reason}",
                hint="check that the server runs, and the address, the user and the rights in --ledger",
            ) from None


_Away = tuple[str, int | None, int | None, str, bytes]  # what to set aside: kiosk, stream, number, reason, body


def _digest(trouble: _Away) -> bytes:
    """The same trouble is kept once."""
    kiosk, stream, seq, _, body = trouble
    return sha256(repr((kiosk, stream, seq)).encode() + body).digest()


def _columns(entry: Entry, stream: int, seq: int, received_ns: int) -> tuple[Any, ...]:
    at = entry.at
    return (
        entry.id, stream, seq, entry.site, entry.lane, entry.direction.value, at.wall_ns, at.boot_id, at.boot_ns,
        at.quality.value, entry.document, to_json(entry.flags).decode(), to_json(dict(entry.person)).decode(), received_ns,
        to_json(boxes_of(entry.sealed)).decode(),
    )  # fmt: skip


def _row(row: Any) -> Row:  # noqa: ANN401  psycopg makes the type when it sees the columns
    at = Moment(row.wall_ns, row.boot_id, row.boot_ns, ClockQuality(row.clock))
    entry = Entry(
        row.id, row.kiosk, row.site, row.lane, Direction(row.direction), at, row.document,
        tuple(json.loads(row.flags)), tuple(json.loads(row.person).items()),
        sealed_of(json.loads(row.sealed)),
    )  # fmt: skip
    return Row(entry, row.outbox, row.seq, row.received_ns)


def _stream(row: Any) -> Stream:  # noqa: ANN401  as above
    runs: list[Run] = [(first, last) for first, last in row.runs]
    return Stream(
        kiosk=row.kiosk,
        outbox=row.outbox,
        through=through_of(runs, row.oldest),
        highest=runs[-1][1] if runs else 0,
        delivered=sum(last - first + 1 for first, last in runs),
        gaps=gaps_of(runs),
        repeated=row.repeated,
        elsewhere=row.elsewhere,
        aside=row.aside,
    )
