"""What the ledger says to PostgreSQL, statement by statement.

Statements that write many rows take a list for each column and let `unnest` make rows of them: one round trip, one plan.
Where rows are locked or inserted, they are in order of their key, so that no two collectors wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 4
PAGE_ROWS = 5000

OPENINGS = """
CREATE TABLE ledger.opening (
    line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at_ns bigint NOT NULL, who text NOT NULL, reason text NOT NULL,
    scope text NOT NULL
);
CREATE FUNCTION ledger.opening_stays() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit stays'; END $$;
CREATE TRIGGER opening_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.opening
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.opening_stays();
"""
CLOSINGS = """
CREATE TABLE ledger.closing (
    line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at_ns bigint NOT NULL, who text NOT NULL, reason text NOT NULL,
    finding text NOT NULL, count bigint NOT NULL, covers bigint NOT NULL
);
CREATE TRIGGER closing_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.closing
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.opening_stays();
"""
CHAIN = """
ALTER TABLE ledger.opening ADD COLUMN shown bigint;
ALTER TABLE ledger.opening ADD COLUMN hash text NOT NULL DEFAULT '';
CREATE TABLE ledger.word (name text PRIMARY KEY, value text NOT NULL);
"""
"""Lines of before have no hash; `central.ledgers.chain` counts them in."""
SCHEMA = f"""
CREATE SCHEMA ledger;
CREATE TABLE ledger.about (version integer NOT NULL);
CREATE TABLE ledger.stream (
    stream bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kiosk text COLLATE "C" NOT NULL, outbox uuid NOT NULL,
    oldest bigint NOT NULL DEFAULT 1, repeated bigint NOT NULL DEFAULT 0, elsewhere bigint NOT NULL DEFAULT 0,
    UNIQUE (kiosk, outbox)
);
CREATE TABLE ledger.run (
    stream bigint NOT NULL REFERENCES ledger.stream, first bigint NOT NULL, last bigint NOT NULL,
    PRIMARY KEY (stream, first)
);
CREATE TABLE ledger.entry (
    id uuid PRIMARY KEY, stream bigint NOT NULL, seq bigint NOT NULL, site text NOT NULL, lane text NOT NULL,
    direction text NOT NULL, wall_ns bigint NOT NULL, boot_id text NOT NULL, boot_ns bigint NOT NULL, clock text NOT NULL,
    document text NOT NULL, flags text NOT NULL, person text NOT NULL, received_ns bigint NOT NULL,
    sealed text NOT NULL DEFAULT '[]'
);
CREATE INDEX entry_by_time ON ledger.entry (wall_ns, id);
CREATE INDEX entry_by_arrival ON ledger.entry (received_ns);
CREATE TABLE ledger.aside (
    digest bytea PRIMARY KEY, kiosk text NOT NULL, stream bigint, seq bigint, reason text NOT NULL, body bytea NOT NULL,
    received_ns bigint NOT NULL
);
CREATE INDEX aside_by_stream ON ledger.aside (stream);
{OPENINGS}
{CLOSINGS}
{CHAIN}
"""
MIGRATIONS = {
    1: f"ALTER TABLE ledger.entry ADD COLUMN sealed text NOT NULL DEFAULT '[]'; {OPENINGS}",
    2: CLOSINGS,
    3: CHAIN,
}
"""What makes the next version of a version."""
STAGING = """
CREATE TEMPORARY TABLE staging (
    n integer, id uuid, stream bigint, seq bigint, site text, lane text, direction text, wall_ns bigint, boot_id text,
    boot_ns bigint, clock text, document text, flags text, person text, received_ns bigint, sealed text
) ON COMMIT DELETE ROWS
"""
TYPES = [
    "int4", "uuid", "int8", "int8", "text", "text", "text", "int8", "text", "int8", "text", "text", "text", "text", "int8",
    "text",
]  # fmt: skip
ADD_STREAMS = """
INSERT INTO stream (kiosk, outbox) SELECT kiosk, outbox FROM unnest(%s::text[], %s::uuid[]) AS new (kiosk, outbox)
ORDER BY kiosk COLLATE "C", outbox ON CONFLICT DO NOTHING
"""
LOCK_STREAMS = """
SELECT stream.stream, stream.kiosk, stream.outbox FROM stream
JOIN unnest(%s::text[], %s::uuid[]) AS wanted (kiosk, outbox)
    ON stream.kiosk = wanted.kiosk COLLATE "C" AND stream.outbox = wanted.outbox
ORDER BY stream.kiosk, stream.outbox FOR UPDATE OF stream
"""
TOUCHED_RUNS = """
SELECT run.stream, run.first, run.last FROM run
JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS span (stream, lowest, highest) USING (stream)
WHERE run.first <= span.highest + 1 AND run.last >= span.lowest - 1
"""
DROP_RUNS = """
DELETE FROM run USING unnest(%s::bigint[], %s::bigint[]) AS old (stream, first)
WHERE (run.stream, run.first) = (old.stream, old.first)
"""
KEEP_RUNS = """
INSERT INTO run SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (stream, first) DO UPDATE SET last = excluded.last
"""
KEEP_ENTRIES = """
WITH kept AS (
    INSERT INTO entry
    SELECT id, stream, seq, site, lane, direction, wall_ns, boot_id, boot_ns, clock, document, flags, person, received_ns,
        sealed
    FROM staging ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id
)
SELECT n FROM staging WHERE NOT EXISTS (SELECT FROM kept WHERE kept.id = staging.id)
"""
KEEP_ASIDE = """
INSERT INTO aside SELECT * FROM unnest(
    %s::bytea[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::bytea[], %s::bigint[]
) AS new (digest) ORDER BY new.digest ON CONFLICT (digest) DO NOTHING
"""
DROP_NOTICES = """
DELETE FROM aside USING unnest(%s::bigint[], %s::bigint[]) AS come (stream, seq)
WHERE aside.stream = come.stream AND aside.seq = come.seq AND aside.reason = %s RETURNING aside.stream, aside.seq
"""
COUNT = """
UPDATE stream SET repeated = stream.repeated + new.repeated, elsewhere = stream.elsewhere + new.elsewhere
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS new (stream, repeated, elsewhere)
WHERE stream.stream = new.stream
"""
KNOWN = "SELECT to_regclass('ledger.about') IS NOT NULL AS ours, to_regnamespace('ledger') IS NOT NULL AS taken"
KEEP_OLDEST = """
UPDATE stream SET oldest = new.oldest FROM unnest(%s::bigint[], %s::bigint[]) AS new (stream, oldest)
WHERE stream.stream = new.stream AND stream.oldest < new.oldest
"""
THROUGH = """
SELECT stream.stream, coalesce(max(run.last), stream.oldest - 1) FROM stream
LEFT JOIN run ON run.stream = stream.stream AND run.first <= stream.oldest AND run.last >= stream.oldest - 1
WHERE stream.stream = ANY(%s) GROUP BY stream.stream
"""
LOCK_OPENINGS = "LOCK TABLE opening IN SHARE ROW EXCLUSIVE MODE"
NOTE_OPENING = "INSERT INTO opening (at_ns, who, reason, scope, shown, hash) VALUES (%s, %s, %s, %s, %s, %s)"
OPENED = "SELECT at_ns, who, reason, scope, shown, hash FROM opening ORDER BY line"
KEEP_WORD = "INSERT INTO word VALUES (%s, %s) ON CONFLICT (name) DO NOTHING"
WORD = "SELECT value FROM word WHERE name = %s"
BOOTS = """
SELECT kiosk, outbox, boot_id, min(seq) AS first, max(seq) AS last, min(received_ns) AS first_received,
    max(received_ns) AS last_received, min(wall_ns) FILTER (WHERE clock <> 'unset') AS first_wall,
    max(wall_ns) FILTER (WHERE clock <> 'unset') AS last_wall
FROM entry JOIN stream USING (stream) WHERE %(kiosk)s::text IS NULL OR kiosk = %(kiosk)s
GROUP BY stream.stream, kiosk, outbox, boot_id ORDER BY min(received_ns)
"""
TWICE = """
SELECT kiosk, outbox, seq, boot_id, received_ns FROM entry JOIN stream USING (stream)
JOIN (SELECT stream, seq FROM entry GROUP BY stream, seq HAVING count(*) > 1) AS number USING (stream, seq)
WHERE %(kiosk)s::text IS NULL OR kiosk = %(kiosk)s ORDER BY kiosk, stream, seq, received_ns
"""
TROUBLES = """
SELECT stream.kiosk, outbox, seq, reason FROM aside JOIN stream USING (stream)
WHERE %(kiosk)s::text IS NULL OR stream.kiosk = %(kiosk)s ORDER BY stream, seq
"""
NOTE_CLOSING = "INSERT INTO closing (at_ns, who, reason, finding, count, covers) VALUES (%s, %s, %s, %s, %s, %s)"
CLOSED = "SELECT at_ns, who, reason, finding, count, covers FROM closing ORDER BY line"
COUNT_ENTRIES = (
    "SELECT count(*) FROM entry JOIN stream USING (stream) WHERE %(kiosk)s::text IS NULL OR kiosk = %(kiosk)s"
)
COUNT_DOUBLED = """
SELECT coalesce(sum(entries - 1), 0) FROM (
    SELECT count(*) AS entries FROM entry JOIN stream USING (stream)
    WHERE %(kiosk)s::text IS NULL OR kiosk = %(kiosk)s GROUP BY stream, seq HAVING count(*) > 1
) AS number
"""
STREAMS = """
SELECT stream.*, array(SELECT ARRAY[first, last] FROM run WHERE run.stream = stream.stream ORDER BY first) AS runs,
    (SELECT count(*) FROM aside WHERE aside.stream = stream.stream) AS aside
FROM stream WHERE %(kiosk)s::text IS NULL OR kiosk = %(kiosk)s ORDER BY kiosk, stream
"""
SELECT = """
SELECT entry.*, stream.kiosk, stream.outbox FROM entry JOIN stream USING (stream)
WHERE (%(kiosk)s::text IS NULL OR stream.kiosk = %(kiosk)s)
"""
LAST_RECEIVED = """
SELECT stream.kiosk, max(received_ns) FROM ledger.entry JOIN ledger.stream USING (stream) GROUP BY stream.kiosk
"""
LATEST = f"{SELECT} ORDER BY received_ns DESC, seq DESC LIMIT %(limit)s"
PAGE = f"""
{SELECT} AND (wall_ns, id) > (%(wall_ns)s, %(id)s) AND (%(until_ns)s::bigint IS NULL OR wall_ns < %(until_ns)s)
ORDER BY wall_ns, id LIMIT {PAGE_ROWS}
"""


def turned(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """At least one row as a list for each column, which is how `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)]
