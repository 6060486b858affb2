"""How many entries a second one collector brings into the ledger: into a SQLite file and into PostgreSQL.

All that a collector does after the broker has handed it a message: reading the batch, one durable transaction for as many
as have come, the receipts. Many kiosks take turns, each with a backlog in full batches, so that it is the ledger and not a
network that is measured. Every entry is counted at the end; the clock runs until the last commit has returned.

    python -m bench.collector [--entries N] [--kiosks N] [--batch N] [--gather N] [--rounds N]
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

from bench.drain import invented
from bench.postgres import Postgres
from central.intake.collector import GC_THRESHOLD
from central.intake.gathering import Intake, Message
from central.ledgers.choice import open_ledger
from kiosk.delivery import wire


def messages(entries: int, kiosks: int, batch: int) -> list[Message]:
    """The kiosks' backlogs as they would come: one batch of each in turn."""
    outboxes: dict[str, UUID] = {f"kiosk-{number}": uuid4() for number in range(kiosks)}
    found: list[Message] = []
    for first in range(1, entries // kiosks + 1, batch):
        rows = invented(min(batch, entries // kiosks + 1 - first))
        for kiosk, outbox in outboxes.items():
            own = [
                (seq, wire.encode_entry(replace(entry, kiosk=kiosk, id=_another(entry.id))))
                for seq, entry in enumerate(rows, first)
            ]
            found.append(Message(kiosk, wire.encode_batch(kiosk, outbox, own)))
    return found


def _another(id_: UUID) -> UUID:
    """The same time, other random bits."""
    return UUID(int=(id_.int >> 62 << 62) | (uuid4().int & (1 << 62) - 1))


def collected(place: str, arrivals: list[Message], gather: int) -> float:
    """Seconds until everything is in the ledger."""
    ledger = open_ledger(place)
    intake = Intake(ledger)
    started_s = time.perf_counter()
    for first in range(0, len(arrivals), gather):
        intake.commit(arrivals[first : first + gather])
    took_s = time.perf_counter() - started_s
    counted = ledger.count()
    complete = all(stream.complete for stream in ledger.streams())
    ledger.close()
    expected = sum(len(wire.decode_batch(message.body).rows) for message in arrivals)
    if counted != expected or not complete:
        raise SystemExit(f"{counted} of {expected} entries are in the ledger")
    return took_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--kiosks", type=int, default=100)
    parser.add_argument("--batch", type=int, default=50, help="entries in a PUBLISH")
    parser.add_argument("--gather", type=int, default=100, help="PUBLISHes in a commit")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    gc.set_threshold(GC_THRESHOLD)  # as the collector does
    arrivals = messages(arguments.entries, arguments.kiosks, arguments.batch)
    entries = sum(message.body.count(b'"boot_ns"') for message in arrivals)
    took_s: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
    server = Postgres()
    try:
        with tempfile.TemporaryDirectory(prefix="kiosk-bench-") as folder:
            for number in range(arguments.rounds):
                for name, place in (
                    ("SQLite", str(Path(folder) / f"{number}.db")),
                    ("PostgreSQL", server.database()),
                ):
                    took_s[name].append(collected(place, arrivals, arguments.gather))
    finally:
        server.stop()
    print(f"collector entries={entries} kiosks={arguments.kiosks} batch={arguments.batch} gather={arguments.gather}")
    for name, times_s in took_s.items():
        rates = " ".join(f"{entries / each_s:.0f}" for each_s in times_s)
        print(f"{name:12} {entries / median(times_s):7.0f} entries/s   (rounds: {rates})")


if __name__ == "__main__":
    main()
