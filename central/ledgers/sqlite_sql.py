"""What the ledger says to SQLite, statement by statement."""

from __future__ import annotations

APPLICATION_ID = 0x4B4C4447  # "KLDG"
VERSION = 5

OPENINGS = """
CREATE TABLE IF NOT EXISTS opening (
    line INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, scope TEXT NOT NULL
);

CREATE TRIGGER IF NOT EXISTS opening_stays BEFORE DELETE ON opening BEGIN SELECT raise(ABORT, 'the audit stays'); END;

CREATE TRIGGER IF NOT EXISTS opening_as_it_was BEFORE UPDATE ON opening BEGIN SELECT raise(ABORT, 'the audit stays'); END;
"""
CLOSINGS = """
CREATE TABLE IF NOT EXISTS closing (
    line INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, finding TEXT NOT NULL,
    count INTEGER NOT NULL, covers INTEGER NOT NULL
);

CREATE TRIGGER IF NOT EXISTS closing_stays BEFORE DELETE ON closing BEGIN SELECT raise(ABORT, 'the audit stays'); END;

CREATE TRIGGER IF NOT EXISTS closing_as_it_was BEFORE UPDATE ON closing BEGIN SELECT raise(ABORT, 'the audit stays'); END;
"""
LINES = """
CREATE TRIGGER IF NOT EXISTS opening_is_new BEFORE INSERT ON opening WHEN EXISTS (SELECT 1 FROM opening WHERE line = NEW.line)
    BEGIN SELECT raise(ABORT, 'the audit stays'); END;

CREATE TRIGGER IF NOT EXISTS closing_is_new BEFORE INSERT ON closing WHEN EXISTS (SELECT 1 FROM closing WHERE line = NEW.line)
    BEGIN SELECT raise(ABORT, 'the audit stays'); END;
"""
"""REPLACE takes a line away and asks no trigger of DELETE."""
CHAIN = """
ALTER TABLE opening ADD COLUMN shown INTEGER;

ALTER TABLE opening ADD COLUMN hash TEXT NOT NULL DEFAULT '';

CREATE TABLE IF NOT EXISTS word (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
"""Lines of before have no hash; `central.ledgers.chain` counts them in."""
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS stream (
    stream INTEGER PRIMARY KEY, kiosk TEXT NOT NULL, outbox TEXT NOT NULL,
    oldest INTEGER NOT NULL DEFAULT 1, repeated INTEGER NOT NULL DEFAULT 0, elsewhere INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kiosk, outbox)
);
CREATE TABLE IF NOT EXISTS run (
    stream INTEGER NOT NULL REFERENCES stream, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (stream, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    id BLOB PRIMARY KEY, stream INTEGER NOT NULL REFERENCES stream, seq INTEGER NOT NULL, site TEXT NOT NULL,
    lane TEXT NOT NULL, direction TEXT NOT NULL, wall_ns INTEGER NOT NULL, boot_id TEXT NOT NULL,
    boot_ns INTEGER NOT NULL, clock TEXT NOT NULL, document TEXT NOT NULL, flags TEXT NOT NULL, person TEXT NOT NULL,
    received_ns INTEGER NOT NULL, sealed TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_by_time ON entry (wall_ns);
CREATE TABLE IF NOT EXISTS aside (
    digest BLOB PRIMARY KEY, kiosk TEXT NOT NULL, stream INTEGER, seq INTEGER, reason TEXT NOT NULL,
    body BLOB NOT NULL, received_ns INTEGER NOT NULL
);
{OPENINGS}
{CLOSINGS}
{LINES}
{CHAIN}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""
MIGRATIONS = {
    1: ("ALTER TABLE entry ADD COLUMN sealed TEXT NOT NULL DEFAULT '[]'", *OPENINGS.split("\n\n")),
    2: tuple(CLOSINGS.split("\n\n")),
    3: tuple(LINES.split("\n\n")),
    4: tuple(CHAIN.split("\n\n")),
}
"""What makes the next version of a version."""
INSERT_ENTRY = """
INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
INSERT_STREAM = """
INSERT INTO stream (kiosk, outbox, oldest) VALUES (?, ?, ?)
ON CONFLICT (kiosk, outbox) DO UPDATE SET oldest = max(oldest, excluded.oldest)
"""
INSERT_ASIDE = "INSERT INTO aside VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING"
BOOTS = """
SELECT kiosk, outbox, boot_id, min(seq), max(seq), min(received_ns), max(received_ns),
    min(CASE WHEN clock <> 'unset' THEN wall_ns END), max(CASE WHEN clock <> 'unset' THEN wall_ns END)
FROM entry JOIN stream USING (stream) WHERE ? IS NULL OR kiosk = ? GROUP BY stream, boot_id ORDER BY min(received_ns)
"""
TWICE = """
SELECT kiosk, outbox, seq, boot_id, received_ns FROM entry JOIN stream USING (stream)
JOIN (SELECT stream, seq FROM entry GROUP BY stream, seq HAVING count(*) > 1) USING (stream, seq)
WHERE ? IS NULL OR kiosk = ? ORDER BY kiosk, stream, seq, received_ns
"""
TROUBLES = """
SELECT stream.kiosk, outbox, seq, reason FROM aside JOIN stream USING (stream)
WHERE ? IS NULL OR stream.kiosk = ? ORDER BY stream, seq
"""
SELECT = """
SELECT entry.*, stream.kiosk, stream.outbox FROM entry JOIN stream USING (stream)
WHERE (? IS NULL OR stream.kiosk = ?)
"""
NOTE_OPENING = "INSERT INTO opening (at_ns, who, reason, scope, shown, hash) VALUES (?, ?, ?, ?, ?, ?)"
OPENED = "SELECT at_ns, who, reason, scope, shown, hash FROM opening ORDER BY line"
KEEP_WORD = "INSERT INTO word VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
