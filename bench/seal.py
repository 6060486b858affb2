"""What sealing costs at the door: the seal of one entry, and the whole of an entry with and without it; and opening.

Interleaved in blocks, with a real outbox on this disk. Pi cores are some five times slower.

    python -m bench.seal [--entries N] [--dir FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.clock import SystemClock, uuid7
from kiosk.config import Outbox as Settings
from kiosk.delivery import wire
from kiosk.envelopes.seal import CLASSIC, HYBRID, PrivateKey, seal, unseal
from kiosk.model import Direction, Entry
from kiosk.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = 50
PERSON = (("number", "046090000123"), ("name", "Nguyễn Thị Thử Nghiệm"), ("birth_year", "1990"))
LIMIT_MS = 1.0


def main() -> int:
    """Measure and print; 1 if the classic seal takes a millisecond or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--dir", type=Path, help="where the outbox goes; the disk to be measured")
    arguments = parser.parse_args()
    classic, hybrid = PrivateKey.make(CLASSIC), PrivateKey.make(HYBRID)
    recipients: dict[str, list[PrivateKey]] = {
        "in the clear": [], CLASSIC: [classic], HYBRID: [hybrid], "both": [classic, hybrid],
    }  # fmt: skip
    seal_ms: dict[str, list[float]] = {name: [] for name in recipients}
    whole_ms: dict[str, list[float]] = {name: [] for name in recipients}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        outbox = Outbox.open(Path(folder) / "outbox.db", Settings())
        for block in range(max(1, arguments.entries // BLOCK)):
            names = list(recipients)
            for name in names[block % 4 :] + names[: block % 4]:
                for _ in range(BLOCK):
                    started_ns = time.perf_counter_ns()
                    entry, sealed_ns = _entry(recipients[name])
                    outbox.append(entry)
                    whole_ms[name].append((time.perf_counter_ns() - started_ns) / 1e6)
                    seal_ms[name].append(sealed_ns / 1e6)
                    sizes[name] = len(wire.encode_entry(entry))
        outbox.close()
    print(f"seal entries={arguments.entries}")
    for name in recipients:
        print(
            f"{name:16} seal p50 {_share(seal_ms[name], 0.5):6.3f} p99 {_share(seal_ms[name], 0.99):6.3f} ms   "
            f"sealed and committed p50 {_share(whole_ms[name], 0.5):6.2f} p99 {_share(whole_ms[name], 0.99):6.2f} ms   "
            f"{sizes[name]:5d} bytes"
        )
    for name, key in ((CLASSIC, classic), (HYBRID, hybrid)):
        print(f"{name:16} open p50 {_share(_opened(key), 0.5):6.3f} ms")
    return 0 if _share(seal_ms[CLASSIC], 0.5) < LIMIT_MS else 1


def _entry(recipients: Sequence[PrivateKey]) -> tuple[Entry, int]:
    """An entry, and how long its sealing took."""
    now = SystemClock().now()
    entry_id = uuid7(now.wall_ns)
    started_ns = time.perf_counter_ns()
    sealed = tuple(seal(PERSON, key.public, "bench", entry_id) for key in recipients)
    sealed_ns = time.perf_counter_ns() - started_ns
    person = () if sealed else PERSON
    return Entry(entry_id, "bench", "bench", "main", Direction.IN, now, "cccd", (), person, sealed), sealed_ns


def _opened(key: PrivateKey) -> list[float]:
    times_ms = []
    for _ in range(500):
        entry_id = uuid7(time.time_ns())
        sealed = seal(PERSON, key.public, "bench", entry_id)
        started_ns = time.perf_counter_ns()
        unseal(sealed, key, "bench", entry_id)
        times_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    return times_ms


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    raise SystemExit(main())
