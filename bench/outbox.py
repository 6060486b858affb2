"""What a commit costs: time, bytes written and flushes for each entry, beside what builders of such kiosks would pick.

Rivals: Python's sqlite3 as it comes (rollback journal, one transaction an entry), and a line of JSON with fsync. The times are of
the real things, interleaved in blocks. Bytes and flushes are counted below SQLite, in a VFS of apsw that runs the same
statements with the same settings.

    python -m bench.outbox [--entries N] [--dir FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from kiosk.clock import SystemClock, uuid7
from kiosk.config import Outbox as Settings
from kiosk.delivery import wire
from kiosk.disk import outbox_file
from kiosk.model import Direction, Entry
from kiosk.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 50
_DEFAULT_TABLE = "CREATE TABLE entry (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)"


class CountingVfs(apsw.VFS):
    """SQLite's own, with a count of what it writes and how often it flushes."""

    def __init__(self, name: str) -> None:
        self.written_bytes = self.flushes = 0
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> CountingFile:  # noqa: ANN401, N802  apsw's names
        """Open a file that counts."""
        return CountingFile(self, name, flags)


class CountingFile(apsw.VFSFile):
    """One file of it."""

    def __init__(self, vfs: CountingVfs, name: Any, flags: list[int]) -> None:  # noqa: ANN401  apsw's types
        self._vfs = vfs
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: ANN401, N802  apsw's names
        """Count the bytes."""
        self._vfs.written_bytes += len(data)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802  apsw's names
        """Count the flush."""
        self._vfs.flushes += 1
        super().xSync(flags)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--dir", type=Path, help="where the files go; the disk to be measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        times_ms = _timed(Path(folder), arguments.entries)
        counts = _counted(Path(folder), arguments.entries)
    ours_ms, ours_bytes = _share(times_ms["outbox"], 0.5), counts["outbox"][0]
    print(f"outbox entries={arguments.entries}")
    for name, values_ms in times_ms.items():
        line = (
            f"{name:16} p50 {_share(values_ms, 0.5):6.2f} ms   p99 {_share(values_ms, 0.99):6.2f} ms   "
            f"{_share(values_ms, 0.5) / ours_ms:5.2f} × ours"
        )
        if name in counts:
            written_bytes, flushes = counts[name]
            line += f"   {written_bytes:7.0f} bytes ({written_bytes / ours_bytes:4.2f} × ours) and {flushes:4.2f} flushes an entry"
        print(line)


def _entry() -> Entry:
    now = SystemClock().now()
    person = (("number", "046090000123"), ("name", "Nguyễn Văn A"), ("birth_year", "1990"))
    return Entry(uuid7(now.wall_ns), "bench", "bench", "main", Direction.IN, now, "cccd", (), person)


def _timed(folder: Path, count: int) -> dict[str, list[float]]:
    with ExitStack() as stack:
        outbox = Outbox.open(folder / "ours" / "outbox.db", Settings())
        stack.callback(outbox.close)
        default = sqlite3.connect(folder / "default.db")
        stack.callback(default.close)
        default.execute(_DEFAULT_TABLE)
        lines = stack.enter_context((folder / "lines.jsonl").open("ab"))

        def with_default(entry: Entry) -> None:
            with default:
                default.execute("INSERT INTO entry (body) VALUES (?)", (wire.encode_entry(entry),))

        def with_lines(entry: Entry) -> None:
            lines.write(wire.encode_entry(entry) + b"\n")
            lines.flush()
            os.fsync(lines.fileno())

        writers: dict[str, Callable[[Entry], object]] = {
            "outbox": outbox.append, "sqlite3 default": with_default, "lines + fsync": with_lines,
        }  # fmt: skip
        times_ms: dict[str, list[float]] = {name: [] for name in writers}
        for block in range(count // BLOCK):
            names = list(writers)
            for name in names[block % 3 :] + names[: block % 3]:
                for _ in range(BLOCK):
                    entry = _entry()
                    started_ns = time.perf_counter_ns()
                    writers[name](entry)
                    times_ms[name].append((time.perf_counter_ns() - started_ns) / 1e6)
    return times_ms


def _counted(folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Bytes and flushes for each entry, with what is left in a log at the end carried into the file."""
    counts = {}
    for name in ("outbox", "sqlite3 default"):
        vfs = CountingVfs(f"counting {name}")
        connection = apsw.Connection(str(folder / f"counted-{name}.db"), vfs=f"counting {name}")
        if name == "outbox":
            for pragma in outbox_file.PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            for statement in outbox_file.SCHEMA:
                connection.execute(statement)
            insert = "INSERT INTO entry (body, recorded_s) VALUES (?, 1)"
        else:
            connection.execute(_DEFAULT_TABLE)
            insert = "INSERT INTO entry (body) VALUES (?)"
        vfs.written_bytes = vfs.flushes = 0
        for _ in range(count):
            connection.execute(insert, (wire.encode_entry(_entry()),))
        connection.close()  # the log is carried into the file
        counts[name] = (vfs.written_bytes / count, vfs.flushes / count)
    return counts


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
