"""What the tests of images share: a built image, a centre on this machine, and the table that is printed at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect

import pytest

from tests.conftest import Mosquitto

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "image"
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
    """A broker and a collector of this machine.

    Attributes:
        broker: The broker.
        ledger: The collector's ledger.
    """

    broker: Mosquitto
    ledger: Path
    _process: subprocess.Popen[bytes] | None = None

    def collect(self) -> None:
        """Start the collector."""
        argv = [sys.executable, "-m", "central", "collect", "--broker", self.broker.url, "--ledger", str(self.ledger)]
        with self.ledger.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)

    def stop_collecting(self) -> None:
        """End the collector; harmless when repeated."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def entries(self, boot_id: str | None = None) -> int:
        """How many entries are in the ledger, of all boots or of one."""
        if not self.ledger.exists():
            return 0
        with closing(connect(f"file:{self.ledger}?mode=ro", uri=True, timeout=10)) as ledger:
            return int(ledger.execute(_COUNT, (boot_id, boot_id)).fetchone()[0])

    def audit(self) -> subprocess.CompletedProcess[str]:
        """What `central audit` says."""
        argv = [sys.executable, "-m", "central", "audit", "--ledger", str(self.ledger)]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def until(true: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait for it, and fail by its name if it does not come."""
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {limit_s:.0f} s: {what}"
        time.sleep(0.2)


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
    """A broker that listens and a collector that has not been started."""
    place = tmp_path_factory.mktemp("centre")
    with ExitStack() as stack:
        broker = Mosquitto(place)
        stack.callback(broker.kill)
        broker.start()
        one = Centre(broker, place / "ledger.db")
        stack.callback(one.stop_collecting)
        yield one
