"""A backlog on its way into the centre's ledger: this uplink beside what builders of such kiosks would pick.

    kiosk            the uplink: batches, a bounded window, settled by receipts
    paho one by one  paho with its defaults, an entry a PUBLISH, settled by PUBACK (which promises less)
    bridge           a local mosquitto that bridges to the centre's, an entry a PUBLISH (which promises less)

All go through the same real mosquitto into the same collector and a ledger of their own; the time runs from the moment when
the backlog is there (in the rivals' case, encoded and ready to be sent) until its last entry is in the ledger. The rounds are interleaved. The memory of the uplink's process is sampled.

    python -m bench.drain [--entries N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from central.sqlite_ledger import SqliteLedger
from kiosk import settings, wire
from kiosk.clock import SystemClock, uuid7
from kiosk.model import Direction, Entry
from kiosk.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.config import Config

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


class Bench:
    """One round of one rival: a broker, a collector, an empty ledger."""

    def __init__(self, folder: Path, entries: int, stack: ExitStack) -> None:
        self.folder = folder
        self.entries = entries
        self._stack = stack
        folder.mkdir()
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._ledger_path = folder / "ledger.db"
        self.start_broker()
        self._start(
            [sys.executable, "-m", "central", "collect", "--broker", self.url, "--ledger", str(self._ledger_path)]
        )
        self.ledger = SqliteLedger(self._ledger_path)
        stack.callback(self.ledger.close)
        time.sleep(1.5)  # the collector has subscribed
        values = {
            "kiosk": {"id": "bench", "site": "bench"},
            "state": {"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
            "uplink": {"brokers": [self.url]},
        }
        self.config_path = folder / "kiosk.yaml"
        self.config_path.write_text(yaml.safe_dump(values), "utf-8")
        self.config: Config = settings.load(self.config_path)
        self.outbox = Outbox.open(self.config.state.dir / "outbox.db", self.config.outbox)
        stack.callback(self.outbox.close)

    def start_broker(self) -> None:
        """The centre's broker."""
        self.run_mosquitto("centre", self.port, "")

    def run_mosquitto(self, name: str, port: int, extra: str) -> subprocess.Popen[bytes]:
        """A mosquitto of the bench's own."""
        path = self.folder / f"{name}.conf"
        path.write_text(_CONF.format(port=port, user="user root" if os.geteuid() == 0 else "") + extra)
        process = self._start([MOSQUITTO, "-c", str(path)])
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            time.sleep(0.02)
        return process

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
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        self._stack.callback(_ended, process)
        return process


def drain_kiosk(bench: Bench) -> tuple[float, str]:
    """The uplink, from its first connection."""
    bodies = [(wire.encode_entry(entry), 1) for entry in invented(bench.entries)]
    process = bench.start_uplink()
    marks = bench.config.state.runtime_dir / "uplink.json"
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        with suppress(OSError, ValueError):
            if json.loads(marks.read_text())["state"] == "online":
                break
        time.sleep(0.01)
    idle_kb = resident_kb(process.pid)
    connection = bench.outbox._live()  # noqa: SLF001  a backlog at once; entry by entry would take minutes
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO entry (body, recorded_s) VALUES (?, ?)", bodies)
    connection.execute("COMMIT")
    started_s = time.monotonic()
    most_kb = [idle_kb]
    bench.until_in_ledger(lambda: most_kb.append(resident_kb(process.pid)))
    took_s = time.monotonic() - started_s
    return took_s, f"memory of the uplink: {idle_kb / 1024:.1f} MB idle, {max(most_kb) / 1024:.1f} MB at most"


def drain_paho(bench: Bench) -> tuple[float, str]:
    """paho as its first page shows it."""
    payloads = single_batches(bench)
    client = Client(CallbackAPIVersion.VERSION2)
    started_s = time.monotonic()
    client.connect("127.0.0.1", bench.port)
    client.loop_start()
    for payload in payloads:
        client.publish(wire.entries_topic("bench"), payload, qos=1)
    bench.until_in_ledger()
    took_s = time.monotonic() - started_s
    client.disconnect()
    client.loop_stop()
    return took_s, ""


def drain_bridge(bench: Bench) -> tuple[float, str]:
    """A local mosquitto that has taken everything while the way was cut."""
    payloads = single_batches(bench)
    port, way = free_port(), free_port()
    bench.run_mosquitto("local", port, _BRIDGE.format(port=way))
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for info in [client.publish(wire.entries_topic("bench"), payload, qos=1) for payload in payloads]:
        info.wait_for_publish(120)
    client.disconnect()
    client.loop_stop()
    with subprocess.Popen([sys.executable, "-c", _FORWARD, str(way), str(bench.port)]) as forward:
        deadline_s = time.monotonic() + 60
        while bench.arrived() == 0 and time.monotonic() < deadline_s:
            time.sleep(0.005)
        started_s = time.monotonic()
        bench.until_in_ledger()
        took_s = time.monotonic() - started_s
        forward.send_signal(signal.SIGKILL)
    return took_s, ""


_FORWARD = """
import socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def copy(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
while True:
    near, _ = server.accept()
    far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""
RIVALS = {"kiosk": drain_kiosk, "paho one by one": drain_paho, "bridge": drain_bridge}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    all_s: dict[str, list[float]] = {name: [] for name in RIVALS}
    notes: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(arguments.rounds):
            for name, drain in RIVALS.items():
                with ExitStack() as stack:
                    bench = Bench(Path(folder) / f"{round_}-{name.replace(' ', '-')}", arguments.entries, stack)
                    seconds, notes[name] = drain(bench)
                    all_s[name].append(seconds)
                    print(f"round {round_ + 1} {name:16} {seconds:6.1f} s", file=sys.stderr, flush=True)
    print(f"drain entries={arguments.entries} rounds={arguments.rounds}")
    ours_s = median(all_s["kiosk"])
    for name, times_s in all_s.items():
        middle_s = median(times_s)
        rate = f"{arguments.entries / middle_s:7.0f} entries/s"
        print(f"{name:16} {middle_s:6.1f} s   {rate}   {middle_s / ours_s:5.1f} × kiosk's time   {notes[name]}")


def invented(count: int) -> list[Entry]:
    """Entries of nobody, one a second until now."""
    now = SystemClock().now()
    entries = []
    for number in range(count):
        age_ns = (count - number) * 1_000_000_000
        at = replace(now, wall_ns=now.wall_ns - age_ns, boot_ns=max(0, now.boot_ns - age_ns))
        person = (("number", f"{number:012d}"), ("name", "Nguyễn Văn A"), ("birth_year", "1990"))
        entries.append(Entry(uuid7(at.wall_ns), "bench", "bench", "main", Direction.IN, at, "cccd", (), person))
    return entries


def single_batches(bench: Bench) -> list[bytes]:
    """An entry a PUBLISH, in the form that the collector takes."""
    return [
        wire.encode_batch("bench", bench.outbox.id, [(seq, wire.encode_entry(entry))])
        for seq, entry in enumerate(invented(bench.entries), 1)
    ]


def resident_kb(pid: int) -> int:
    """Resident memory of a process."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def free_port() -> int:
    """A port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
