"""What tests share: a real broker, a small configuration, invented entries."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest

from bench.postgres import Postgres
from central.fleet import authority
from central.ledgers.choice import open_ledger
from kiosk.clock import SystemClock, uuid7
from kiosk.config import Config
from kiosk.model import Direction, Entry
from tests.costs import Costs

ROOT = Path(__file__).resolve().parents[1]
START_S = 10.0
# `make test-cluster`: minutes, and RabbitMQ. `make test-units`: root, and a Debian of its own.
# `make test-image`: minutes, and QEMU. `make test-page`: a browser.
# `make test-updates`: ten minutes, and User Mode Linux. `make test-boards`: minutes, a compiler, a Pi's libraries, qemu-user.
# `make test-brokers`: minutes, RabbitMQ, Node.js, and root for brokers of other releases.
collect_ignore = [
    folder
    for folder in ("boards", "brokers", "cluster", "units", "image", "page", "updates")
    if not os.environ.get(f"KIOSK_{folder.upper()}")
]

hypothesis.settings.register_profile("house", deadline=None)  # time is measured in bench/, not here
hypothesis.settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test` and `make test-all` name what they may take."""
    parser.addoption("--budget-s", type=float, help="tell at the end what was taken, beside so many processor seconds")


def pytest_configure(config: pytest.Config) -> None:
    """Workers measure, too: they are given the option."""
    budget_s = config.getoption("--budget-s")
    if budget_s is not None:
        config.pluginmanager.register(Costs(budget_s))


class Mosquitto:
    """A real mosquitto on a free port of the loopback, ended by its own pid."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.extra = ""

    def start(self) -> None:
        """Start it, and wait until it listens."""
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
        program = shutil.which("mosquitto", path=path)
        assert program is not None, "apt install mosquitto"
        user = "user root\n" if os.geteuid() == 0 else ""
        settings = self._folder / "mosquitto.conf"
        settings.write_text(user + self.settings())
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(settings)], stdout=log, stderr=log)
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        pytest.fail((self._folder / "mosquitto.log").read_text())

    def settings(self) -> str:
        """What it is told."""
        return f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n{self.extra}\n"

    def kill(self) -> None:
        """kill -9: nothing it holds in memory survives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto that runs."""
    folder = tmp_path / "broker"
    folder.mkdir()
    mosquitto = Mosquitto(folder)
    mosquitto.start()
    yield mosquitto
    mosquitto.kill()


class FleetBroker(Mosquitto):
    """A mosquitto with the configuration that ships, and an authority of its own; only paths and the port differ."""

    def __init__(self, folder: Path, *names: str) -> None:
        super().__init__(folder)
        self.url = f"mqtts://127.0.0.1:{self.port}"
        self.fleet = folder / "fleet"
        self.authority = authority.create(self.fleet, "test fleet")
        certificate, key = self.authority.issue_server(["127.0.0.1", *names])
        (self.fleet / "broker.pem").write_bytes(certificate)
        (self.fleet / "broker.key").write_bytes(key)
        shutil.copy(ROOT / "config" / "broker" / "acl", self.fleet / "acl")
        self.identity("central-collector")

    def settings(self) -> str:
        """What Debian 12 and 13 ship as mosquitto.conf, but for its places; the shipped file lies beside it, as it does at a centre."""
        text = (ROOT / "config" / "broker" / "mosquitto.conf").read_text()
        for shipped, here in (
            ("listener 8883\n", f"listener {self.port} 127.0.0.1\n"),
            ("/etc/mosquitto/kiosk/", f"{self.fleet}/"),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        (self._folder / "conf.d").mkdir(exist_ok=True)
        (self._folder / "conf.d" / "kiosk.conf").write_text(text + self.extra)
        return (
            f"pid_file {self._folder}/mosquitto.pid\npersistence true\npersistence_location {self._folder}/\n"
            f"log_dest stderr\ninclude_dir {self._folder}/conf.d\n"
        )

    def identity(self, name: str) -> dict[str, str]:
        """A client's files, as `uplink.tls` names them."""
        certificate, key = self.authority.issue_client(name)
        (self.fleet / f"{name}.pem").write_bytes(certificate)
        (self.fleet / f"{name}.key").write_bytes(key)
        return self.files(name)

    def files(self, name: str) -> dict[str, str]:
        """The same, made before."""
        return {
            "ca_file": str(self.fleet / "ca.pem"),
            "cert_file": str(self.fleet / f"{name}.pem"),
            "key_file": str(self.fleet / f"{name}.key"),
        }

    def reload(self) -> None:
        """SIGHUP: lists and certificates are read again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)


@pytest.fixture
def fleet_broker(tmp_path: Path) -> Iterator[FleetBroker]:
    """A mosquitto that runs as `config/broker` has it."""
    folder = tmp_path / "fleet-broker"
    folder.mkdir()
    mosquitto = FleetBroker(folder)
    mosquitto.start()
    yield mosquitto
    mosquitto.kill()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that runs; each test asks it for a database of its own."""
    server = Postgres(in_memory=True)
    yield server
    server.stop()


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """A kiosk's settings, with sections replaced by name."""

    def make(**sections: object) -> Config:
        return Config.model_validate(
            {
                "kiosk": {"id": "test-1", "site": "office-1"},
                "state": {"dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run")},
                "lanes": [{"panel": {"kind": "none"}}],
                "seal": {"mode": "off"},  # where the person is not what a test is about, it can be read
                **sections,
            }
        )

    return make


@pytest.fixture
def make_entry() -> Callable[..., Entry]:
    """An invented entry, made now."""
    clock = SystemClock()

    def make(number: int = 0) -> Entry:
        now = clock.now()
        person = (("number", f"{number:012d}"), ("name", "Nguyễn Thị Thử"))
        return Entry(uuid7(now.wall_ns), "test-1", "office-1", "main", Direction.IN, now, "cccd", (), person)

    return make


@pytest.fixture
def judge_ledger() -> Callable[[str, int], None]:
    """The closing judgement: in this ledger are the entries 0 to `count` of one outbox file, each once, without a gap."""

    def judge(place: str, count: int) -> None:
        with closing(open_ledger(place)) as ledger:
            numbers = sorted(int(dict(row.entry.person)["number"]) for row in ledger.entries())
            (stream,) = ledger.streams()
            doubled = ledger.doubled()
        assert numbers == list(range(count))
        assert (stream.complete, stream.through, doubled) == (True, count, 0)

    return judge
