"""Durable, ordered entries on their way to the centre: append · head · settle · sweep.

One SQLite file in WAL mode. The scan process appends with `synchronous=FULL`, one transaction an entry: when `append`
returns, the entry survives a power cut. The uplink reads, settles and sweeps with `synchronous=NORMAL`: a settlement
that a power cut takes back is harmless, because the entry is sent again and its id makes the repeat harmless [1].

Sequence numbers count from 1 without gaps, also over rolled-back transactions, restarts and deleted rows, so the centre
can prove that nothing is missing: the next is one more than the newest row's, and the newest row is never deleted [2].
They belong to this one file, whose random `id` goes with them everywhere: a replaced card starts a new file that counts
from 1 again.

A file that SQLite finds damaged is set aside under another name, never deleted; what can still be read of its waiting
entries is carried into a new file, under their own ids. A file that is merely locked, read-only or out of room is left
alone and said to be so: `OutboxError`, no green.

Units: `_h` hours, `_mb` megabytes (2**20 bytes), `_s` seconds, `_ns` nanoseconds.

Sources:
    [1] sqlite.org/pragma.html#pragma_synchronous: in WAL mode NORMAL keeps the file consistent but may lose the last
        commits on power loss; FULL syncs the log at each commit.
    [2] sqlite.org/autoinc.html: a rowid is one more than the largest in use; AUTOINCREMENT would write a second page for
        each entry. sqlite.org/rescode.html.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kiosk.delivery import wire
from kiosk.disk import sweeper
from kiosk.disk.connection import Connection, named
from kiosk.errors import OutboxError, OutboxFullError, WireError

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from kiosk.config import Outbox as OutboxSettings
    from kiosk.model import Entry, Moment


class Outbox:
    """One process's view of the outbox file. One thread at a time."""

    def __init__(self, file: Connection, settings: OutboxSettings) -> None:
        self._file = file
        self._settings = settings

    @classmethod
    def open(cls, path: Path, settings: OutboxSettings) -> Outbox:
        """The outbox at this path; made if it is not there, replaced if it is damaged.

        Raises:
            OutboxError: The folder or the file cannot be used.
        """
        return cls(Connection(path, makes=True), settings)

    @classmethod
    def open_existing(cls, path: Path, settings: OutboxSettings) -> Outbox:
        """The outbox at this path, for a look; nothing is made or replaced.

        Raises:
            OutboxError: There is none, or it cannot be read.
        """
        if not path.exists():
            raise OutboxError(f"there is no outbox at {path}", hint="start `kiosk run`, or check `state.dir`")
        return cls(Connection(path, makes=False), settings)

    @property
    def id(self) -> UUID:
        """Of the file; changes if a damaged file is replaced."""
        return self._file.id

    def append(self, entry: Entry) -> int:
        """Make an entry durable; when this returns, it survives a power cut.

        Returns:
            Its sequence number, one more than the last.

        Raises:
            OutboxFullError: `outbox.max_entries` wait already, or less than `outbox.min_free_mb` are free: the uplink needs
                some room to settle and to sweep, or a full disk would stay full.
            OutboxError: The disk failed. Nothing was recorded; the next call tries afresh.
        """
        self._refuse_overflow()
        self._refuse_little_room()
        row = (wire.encode_entry(entry), sweeper.age_mark_s(entry.at))
        statement = "INSERT INTO entry (body, recorded_s) VALUES (?, ?)"
        seq = self._file.write_durably(statement, row)
        if self._file.was_replaced():
            raise OutboxError(f"{self._file.path} was replaced while it was written", hint="show the code again")
        return seq

    def head(self, after_seq: int, limit: int) -> list[wire.Row]:
        """The next entries in order of sequence, as they were committed.

        Args:
            after_seq: Sequence number behind which to begin, 0 or greater.
            limit: Most rows to return.
        """
        # An empty body is one that the sweeper has forgotten; before it is settled, it is a row that has rotted.
        query = """
            SELECT seq, coalesce(CAST(body AS BLOB), x'') FROM entry
            WHERE seq > ? AND NOT (body IS x'' AND seq <= (SELECT settled FROM outbox)) ORDER BY seq LIMIT ?
        """
        return [(seq, bytes(body)) for seq, body in self._file.read(query, (after_seq, limit))]

    @property
    def last_seq(self) -> int:
        """The highest sequence number ever given out; 0 before the first."""
        return int(self._file.read("SELECT coalesce(max(seq), 0) FROM entry")[0][0])

    @property
    def settled(self) -> int:
        """Everything up to this sequence number is in the centre's ledger."""
        return int(self._file.read("SELECT settled FROM outbox")[0][0])

    @property
    def oldest_seq(self) -> int:
        """The lowest number that can still be sent in its turn; one more than the newest if none can."""
        query = (
            "SELECT coalesce((SELECT min(seq) FROM entry WHERE body IS NOT x'' AND (seq > (SELECT settled FROM outbox)"
            " OR seq NOT IN (SELECT seq FROM oversized))), max(seq) + 1, 1) FROM entry"
        )
        return int(self._file.read(query)[0][0])

    def depth(self) -> int:
        """How many entries wait for their receipt."""
        return self.last_seq - self.settled

    def oldest(self) -> Moment | None:
        """When the oldest waiting entry was made; None if none waits or its row is rotten."""
        rows = self.head(self.settled, 1)
        try:
            return wire.decode_entry(rows[0][1]).at if rows else None
        except WireError:
            return None

    def settle(self, through: int, outbox: UUID | None = None) -> None:
        """Note that the centre has everything up to and including this sequence number; never goes back.

        Args:
            through: The sequence number.
            outbox: The file that it belongs to: if another one has taken its place meanwhile, nothing is settled. None for
                whichever file is there.

        Raises:
            OutboxError: It could not be written; the entries will be sent again, which is harmless.
        """
        statement = "UPDATE outbox SET settled = ?1 WHERE settled < ?1 AND id = coalesce(?2, id)"
        self._file.write(statement, (through, None if outbox is None else str(outbox)))

    def resend(self, first: int, last: int | None) -> range:
        """Have settled entries sent once more, as far as they are still held; repeats are harmless. Nothing is unsettled.

        Args:
            first: The first number.
            last: The last one; None for all that are settled now.

        Returns:
            The numbers that this really means; what is not settled is sent in any case.

        Raises:
            OutboxError: It could not be written.
        """
        settled = self.settled
        first, last = max(first, self.oldest_seq), settled if last is None else min(last, settled)
        if first <= last:
            self._file.write_durably("INSERT INTO again VALUES (?, ?)", (first, last))
        return range(first, last + 1)

    def note_oversized(self, seq: int, size_bytes: int) -> bool:
        """Note that a broker does not take this entry, before a notice goes in its place; it is kept until one does.

        Args:
            seq: Its number.
            size_bytes: How large its message is.

        Returns:
            Whether that was not known.

        Raises:
            OutboxError: It could not be written.
        """
        is_new = not self._file.read("SELECT 1 FROM oversized WHERE seq = ?", (seq,))
        self._file.write_durably("INSERT OR REPLACE INTO oversized VALUES (?, ?)", (seq, size_bytes))
        return is_new

    def oversized(self) -> list[tuple[int, int]]:
        """Numbers of the entries that wait behind a notice, each with the bytes of its message."""
        query = "SELECT seq, bytes FROM oversized WHERE seq <= (SELECT settled FROM outbox) ORDER BY seq"
        return [(int(seq), int(size_bytes)) for seq, size_bytes in self._file.read(query)]

    def no_longer_oversized(self, seq: int) -> None:
        """The centre has it; it ages like others."""
        self._file.write("DELETE FROM oversized WHERE seq = ?", (seq,))

    def wanted(self) -> range | None:
        """The next numbers that somebody wants to have sent once more."""
        found = self._file.read("SELECT first, last FROM again ORDER BY first LIMIT 1")
        return range(found[0][0], found[0][1] + 1) if found else None

    def resent(self, first: int, through: int) -> None:
        """The centre has these once more; what else is wanted stays wanted."""
        self._file.write("UPDATE again SET first = ?2 + 1 WHERE first BETWEEN ?1 AND ?2", (first, through))
        self._file.write("DELETE FROM again WHERE first > last", ())

    def sweep(self, now: Moment) -> int:
        """Forget settled entries older than `outbox.keep_h`, a bounded number a call, and carry the log into the file.

        Returns:
            How many were forgotten; fewer than `sweeper.SWEEP_ROWS` when the work is done.
        """
        return sweeper.sweep(self._file, self._settings.keep_h, now)

    def check(self) -> None:
        """See trouble before a citizen stands there.

        Raises:
            OutboxFullError: Too little room on the disk, or too many entries wait.
            OutboxError: The file cannot be read or written.
        """
        self._refuse_overflow()
        disk = self._refuse_little_room()
        if disk.f_flag & os.ST_RDONLY:
            raise OutboxError(f"the disk of {self._file.path} is read-only")
        self._file.write("UPDATE outbox SET settled = settled WHERE 0", ())

    def set_aside(self, reason: str) -> None:
        """Go on with a new file that holds the waiting entries; the old one is kept under another name.

        For a file whose numbers can no longer be trusted, such as a card that was restored from an old copy.

        Raises:
            OutboxError: The files cannot be moved.
        """
        self._file.set_aside(reason)

    def quarantined(self) -> list[Path]:
        """Files that were set aside and wait for someone to look at them."""
        return sorted(self._file.path.parent.glob(f"{self._file.path.name}.damaged-*[0-9]"))

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        self._file.close()

    def _refuse_overflow(self) -> None:
        depth = self.depth()
        if depth >= self._settings.max_entries:
            raise OutboxFullError(f"{depth} entries wait in {self._file.path}, as many as `outbox.max_entries` allows")

    def _refuse_little_room(self) -> os.statvfs_result:
        try:
            disk = os.statvfs(self._file.path.parent)
        except OSError as error:
            raise named(self._file.path, "check", error) from error
        free_mb = disk.f_bavail * disk.f_frsize / 2**20
        if free_mb < self._settings.min_free_mb:
            raise OutboxFullError(
                f"{free_mb:.0f} MB free on the disk of {self._file.path}, {self._settings.min_free_mb} needed"
            )
        return disk
