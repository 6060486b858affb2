"""What the tests of images share: a built image, a centre on this machine, and the table that is printed at the end."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from central.fleet.registry import Fleet
from tests.conftest import FleetBroker
from tests.image.machine import BROKER_PORT, ENROLMENT_PORT, GUEST_HOST

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "image"
ZONE = "Asia/Tokyo"
"""Of the stations: neither this machine's, nor UTC, nor the one that a station has where nobody says another."""
_COUNT = "SELECT count(*) FROM entry WHERE ? IS NULL OR boot_id = ?"


@dataclass
class Table:
    """What was seen, for whoever started the tests.

    Attributes:
        lines: Name and what was seen.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def note(self, what: str, seen: object) -> None:
        """One line, with the time since the start."""
        self.lines.append((f"{time.monotonic() - self.started_s:6.0f} s  {what}", str(seen)))


@dataclass
class Centre:
    """A whole centre on this machine: the broker as it ships, enrolment, the authority's keys, a collector.

    Attributes:
        broker: The broker, which asks everybody for a certificate.
        ledger: The collector's ledger.
        keys: The authority's folder.
        enrolment_port: Of `central enrol`, on the loopback.
    """

    broker: FleetBroker
    ledger: Path
    keys: Path
    enrolment_port: int
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def ways(self) -> dict[int, int]:
        """The ports by which a guest reaches it, to those of this machine's loopback."""
        return {BROKER_PORT: self.broker.port, ENROLMENT_PORT: self.enrolment_port}

    def begin(self) -> None:
        """Make the registry and the authority's keys, hand their list to enrolment, and let that serve."""
        Fleet(self.broker.fleet / "fleet.db").close()
        self.say("keys", "make", "--keys", str(self.keys), "--days", "3")
        self.say("keys", "publish", "--keys", str(self.keys))
        shutil.copy(self.keys / "authority-keys.cose", self.broker.fleet / "authority-keys.cose")
        address = f"127.0.0.1:{self.enrolment_port}"
        self._start("enrol", "--fleet", str(self.broker.fleet), "--listen", address)

    def code(self, kiosk: str) -> bytes:
        """A provisioning code as a file for the boot partition, as an operator makes it."""
        path = self.ledger.with_name("kiosk-code.txt")
        self.say(
            "provision", "--fleet", str(self.broker.fleet), "--kiosk", kiosk, "--site", "image-test",
            "--lane", "main:in", "--broker", f"{GUEST_HOST}:{BROKER_PORT}",
            "--enrolment", f"{GUEST_HOST}:{ENROLMENT_PORT}", "--zone", ZONE, "--text", str(path),
        )  # fmt: skip
        return path.read_bytes()

    def collect(self) -> None:
        """Start the collector."""
        files = self.broker.files("central-collector")
        tls = [part for name, file in files.items() for part in (f"--{name.replace('_', '-')}", file)]
        self._start("collect", "--broker", self.broker.url, "--ledger", str(self.ledger), *tls)

    def stop_collecting(self) -> None:
        """End the collector; harmless when repeated."""
        self._stop("collect")

    def end(self) -> None:
        """End everything."""
        for verb in list(self._processes):
            self._stop(verb)
        self.broker.kill()

    def entries(self, boot_id: str | None = None) -> int:
        """How many entries are in the ledger, of all boots or of one."""
        return int(self.rows(_COUNT, boot_id, boot_id)[0][0]) if self.ledger.exists() else 0

    def rows(self, query: str, *values: object) -> list[Any]:
        """What the ledger answers."""
        with closing(connect(f"file:{self.ledger}?mode=ro", uri=True, timeout=10)) as ledger:
            return ledger.execute(query, values).fetchall()

    def opened(self) -> int:
        """Of how many entries the authority can read the person."""
        shown = self.say(
            "open", "--ledger", str(self.ledger), "--keys", str(self.keys), "--reason", "image test", "--format", "json"
        )
        return shown.stdout.count('"number"')

    def audit(self) -> subprocess.CompletedProcess[str]:
        """What `central audit` says."""
        return self.say("audit", "--ledger", str(self.ledger), check=False)

    @staticmethod
    def say(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A verb of the centre's command line, to its end."""
        argv = [sys.executable, "-m", "central", *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def _start(self, verb: str, *words: str) -> None:
        with self.ledger.with_name(f"{verb}.log").open("ab") as log:
            argv = [sys.executable, "-m", "central", verb, *words]
            self._processes[verb] = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)

    def _stop(self, verb: str) -> None:
        process = self._processes.pop(verb, None)
        if process is not None:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """The table of this module's checks, printed when they are done."""
    seen = Table()
    yield seen
    text = "\n".join(f"{what:58} {value}" for what, value in seen.lines)
    (WORK / f"{request.module.__name__.rpartition('.')[2]}.txt").write_text(text + "\n", "utf-8")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Room for a card, kept after the tests so that its logs can be read."""
    path = WORK / "test"
    path.mkdir(parents=True, exist_ok=True)
    yield path
    for card in path.glob("*.card"):
        card.unlink()


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A centre whose collector has not been started."""
    place = tmp_path_factory.mktemp("centre")
    broker = FleetBroker(place, GUEST_HOST)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    one = Centre(broker, place / "ledger.db", place / "authority", port)
    try:
        broker.start()
        one.begin()
        yield one
    finally:
        one.end()
