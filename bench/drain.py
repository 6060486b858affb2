"""A backlog on its way into the centre's ledger: this uplink beside what builders of such kiosks would pick.

    kiosk            the uplink: batches, a bounded window, settled by receipts
    paho one by one  paho with its defaults, an entry a PUBLISH, settled by PUBACK (which promises less)
    bridge           a local mosquitto that bridges to the centre's, an entry a PUBLISH (which promises less)

All go over the same way (`bench.relay`, which counts bytes and can be slow) through a real mosquitto into the same collector and a
ledger of their own. The time runs from the moment when the backlog is there (in the rivals' case, encoded and ready to be
sent) until its last entry is in the ledger. Rounds are interleaved. Of the uplink's process memory is sampled. Persons are in the
clear, as the rivals' would be, or sealed as the kiosk's are by default; what is sealed cannot be packed.

    python -m bench.drain [--entries N] [--rounds N] [--round-trip-ms MS] [--rivals kiosk,paho,bridge] [--sealed]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import yaml

from central.ledgers.sqlite import SqliteLedger
from kiosk.clock import SystemClock, uuid7
from kiosk.delivery import wire
from kiosk.envelopes.seal import CLASSIC, PrivateKey, seal
from kiosk.model import Direction, Entry
from kiosk.outbox import Outbox
from kiosk.settings import loader
from kiosk.sim import people

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.config import Config
    from kiosk.envelopes.seal import PublicKey

LONGEST_S = 900.0
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "mosquitto"
_CONF = """\
{user}
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
log_type error
"""
_BRIDGE = """\
connection centre
address 127.0.0.1:{port}
topic kiosks/# out 1
cleansession false
restart_timeout 1
"""


@dataclass(frozen=True)
class Drained:
    """What one round took."""

    took_s: float
    processor_s: float
    note: str
    sent_bytes: int = 0


class Bench:
    """One round of one rival: a broker, a way to it, a collector, an empty ledger."""

    def __init__(self, folder: Path, made: list[Entry], round_trip_ms: float, stack: ExitStack) -> None:
        self.folder = folder
        self.made = made
        self.entries = len(made)
        self._stack = stack
        folder.mkdir()
        self.port, self.way_port = free_port(), free_port()
        url = f"mqtt://127.0.0.1:{self.port}"
        self._ledger_path = folder / "ledger.db"
        self.run_mosquitto("centre", self.port, "")
        self._way = self.start_relay(self.way_port, self.port, round_trip_ms)
        self._start([sys.executable, "-m", "central", "collect", "--broker", url, "--ledger", str(self._ledger_path)])
        self.ledger = SqliteLedger(self._ledger_path)
        stack.callback(self.ledger.close)
        time.sleep(1.5)  # the collector has subscribed
        values = {
            "kiosk": {"id": "bench", "site": "bench"},
            "state": {"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
            "uplink": {"brokers": [f"mqtt://127.0.0.1:{self.way_port}"]},
        }
        self.config_path = folder / "kiosk.yaml"
        self.config_path.write_text(yaml.safe_dump(values), "utf-8")
        self.config: Config = loader.load(self.config_path)
        self.outbox = Outbox.open(self.config.state.dir / "outbox.db", self.config.outbox)
        stack.callback(self.outbox.close)

    def run_mosquitto(self, name: str, port: int, extra: str) -> subprocess.Popen[bytes]:
        """A mosquitto of the bench's own."""
        path = self.folder / f"{name}.conf"
        path.write_text(_CONF.format(port=port, user=user_line()) + extra)
        process = self._start([MOSQUITTO, "-c", str(path)])
        await_port(port)
        return process

    def start_relay(self, port: int, target_port: int, round_trip_ms: float) -> subprocess.Popen[bytes]:
        """The way to the centre."""
        words = ["-m", "bench.relay", str(port), str(target_port), str(round_trip_ms)]
        process = self._start([sys.executable, *words])
        await_port(port)
        return process

    def start_sender(self, port: int) -> subprocess.Popen[bytes]:
        """paho, connected."""
        path = self.folder / "payloads"
        entries = enumerate(self.made, 1)
        payloads = [
            wire.encode_batch("bench", self.outbox.id, [(seq, wire.encode_entry(entry))]) for seq, entry in entries
        ]
        path.write_bytes(b"\n".join(payloads))
        process = self._start([sys.executable, "-m", "bench.sender", str(port), wire.entries_topic("bench"), str(path)])
        _said(process)
        return process

    def sent_bytes(self) -> int:
        """How many bytes went to the centre; the way is closed with that."""
        self._way.terminate()
        return int(_said(self._way).split()[0])

    def start_uplink(self) -> subprocess.Popen[bytes]:
        """The kiosk's uplink."""
        return self._start([sys.executable, "-m", "kiosk", "uplink", "--config", str(self.config_path)])

    def until_in_ledger(self, each: Callable[[], None] = lambda: None) -> None:
        """Wait for the last entry."""
        deadline_s = time.monotonic() + LONGEST_S
        while self.arrived() < self.entries:
            each()
            if time.monotonic() > deadline_s:
                raise SystemExit(f"only {self.arrived()} of {self.entries} after {LONGEST_S:.0f} s")
            time.sleep(0.02)

    def arrived(self) -> int:
        """How many entries are in the ledger without a gap."""
        streams = self.ledger.streams()
        return streams[0].through if streams else 0

    def _start(self, argv: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._stack.callback(ended, process)
        return process


def drain_kiosk(bench: Bench) -> Drained:
    """The uplink, from its first connection."""
    bodies = [(wire.encode_entry(entry), 1) for entry in bench.made]
    process = bench.start_uplink()
    marks = bench.config.state.runtime_dir / "uplink.json"
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        with suppress(OSError, ValueError):
            if json.loads(marks.read_text())["state"] == "online":
                break
        time.sleep(0.01)
    idle_kb, before_s = resident_kb(process.pid), processor_s(process.pid)
    connection = bench.outbox._file.live()  # noqa: SLF001  a backlog at once; entry by entry would take minutes
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO entry (body, recorded_s) VALUES (?, ?)", bodies)
    connection.execute("COMMIT")
    started_s = time.monotonic()
    most_kb = [idle_kb]
    bench.until_in_ledger(lambda: most_kb.append(resident_kb(process.pid)))
    took_s = time.monotonic() - started_s
    note = f"memory {idle_kb / 1024:.1f} MB idle, {max(most_kb) / 1024:.1f} MB at most"
    return Drained(took_s, processor_s(process.pid) - before_s, note)


def drain_paho(bench: Bench) -> Drained:
    """paho as its first page shows it."""
    sender = bench.start_sender(bench.way_port)
    started_s = time.monotonic()
    bench.until_in_ledger()
    took_s = time.monotonic() - started_s
    return Drained(took_s, float(_said(sender)), "")


def drain_bridge(bench: Bench) -> Drained:
    """A local mosquitto that has taken everything while the way was cut."""
    port, way = free_port(), free_port()
    local = bench.run_mosquitto("local", port, _BRIDGE.format(port=way))
    _said(bench.start_sender(port))
    before_s = processor_s(local.pid)
    bench.start_relay(way, bench.way_port, 0)
    deadline_s = time.monotonic() + 60
    while bench.arrived() == 0 and time.monotonic() < deadline_s:
        time.sleep(0.005)
    started_s = time.monotonic()
    bench.until_in_ledger()
    return Drained(time.monotonic() - started_s, processor_s(local.pid) - before_s, "")


RIVALS = {"kiosk": drain_kiosk, "paho": drain_paho, "bridge": drain_bridge}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--round-trip-ms", type=float, default=0.0)
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--sealed", action="store_true", help="persons sealed, as the kiosk's are by default")
    arguments = parser.parse_args()
    results: dict[str, list[Drained]] = {name: [] for name in arguments.rivals.split(",")}
    made = invented(arguments.entries, PrivateKey.make(CLASSIC).public if arguments.sealed else None)
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(arguments.rounds):
            for name, drained in results.items():
                with ExitStack() as stack:
                    path = Path(folder) / f"{round_}-{name}"
                    bench = Bench(path, made, arguments.round_trip_ms, stack)
                    result = RIVALS[name](bench)
                    drained.append(replace(result, sent_bytes=bench.sent_bytes()))
                    print(f"round {round_ + 1} {name:8} {result.took_s:6.1f} s", file=sys.stderr, flush=True)
    persons = "sealed" if arguments.sealed else "clear"
    print(
        f"drain entries={arguments.entries} rounds={arguments.rounds} "
        f"round_trip_ms={arguments.round_trip_ms:.0f} persons={persons}"
    )
    for name, drained in results.items():
        print(_row(name, drained, results.get("kiosk", drained), arguments.entries))


def _row(name: str, drained: list[Drained], ours: list[Drained], entries: int) -> str:
    took_s, ours_s = (median(each.took_s for each in rows) for rows in (drained, ours))
    processor, ours_processor = (median(each.processor_s for each in rows) for rows in (drained, ours))
    sent, ours_sent = (median(each.sent_bytes for each in rows) for rows in (drained, ours))
    return (
        f"{name:8} {took_s:7.1f} s {entries / took_s:7.0f} entries/s ({took_s / ours_s:5.1f} × kiosk's time)   "
        f"{1e6 * processor / entries:6.1f} us of processor an entry ({processor / ours_processor:4.1f} ×)   "
        f"{sent / entries:5.0f} bytes an entry ({sent / ours_sent:4.1f} ×)   {drained[-1].note}"
    )


def invented(count: int, key: PublicKey | None = None) -> list[Entry]:
    """Entries of nobody, one a second until now; sealed to a key if there is one."""
    now, random = SystemClock().now(), Random(1)
    entries = []
    for number in range(count):
        age_ns = (count - number) * 1_000_000_000
        at = replace(now, wall_ns=now.wall_ns - age_ns, boot_ns=max(0, now.boot_ns - age_ns))
        somebody = people.somebody(random)
        person = (("number", somebody.number), ("name", somebody.name), ("birth_year", str(somebody.year)))
        entry_id = uuid7(at.wall_ns)
        sealed = (seal(person, key, "bench", entry_id),) if key else ()
        clear = () if sealed else person
        entries.append(Entry(entry_id, "bench", "bench", "main", Direction.IN, at, "cccd", (), clear, sealed))
    return entries


def resident_kb(pid: int) -> int:
    """Resident memory of a process."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def processor_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def user_line() -> str:
    """mosquitto, started as root, would become another user who cannot read our folders."""
    return "user root" if os.geteuid() == 0 else ""


def await_port(port: int) -> None:
    """Until somebody listens there, 10 s at most."""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.02)


def _said(process: subprocess.Popen[bytes]) -> str:
    """The next line that a process of the bench's says."""
    return "" if process.stdout is None else process.stdout.readline().decode().strip()


def ended(process: subprocess.Popen[bytes]) -> None:
    """Ask a process of the bench's to end, and see to it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    main()
