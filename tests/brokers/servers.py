"""The brokers that people run, as far as PyPI, npm and Debian's archives give them: each on the loopback, on ports of its own, ended by its own process group."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from importlib.metadata import version as installed
from pathlib import Path

import pytest

from bench.drain import free_port
from bench.rabbit import RabbitCluster

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "brokers"
START_S = 120.0
_MIRROR = "http://deb.debian.org/debian"
_OLD_LISTS = [
    '--aptopt=Acquire::Check-Valid-Until "false"'
]  # a mirror may be behind; what is signed is checked all the same


class Server:
    """One broker.

    Attributes:
        name: What it is called.
        protocol: What it is known to speak; the newest of it.
        url: Where it listens.
        version: Which one was found.
    """

    name = ""
    protocol = "5"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = stack
        self.prepare()
        stack.callback(self.kill)

    def prepare(self) -> None:
        """Install it, write its settings, say its version."""
        raise NotImplementedError

    def argv(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.argv(), cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        deadline_s = time.monotonic() + START_S
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return
            is_well = self._process.poll() is None and time.monotonic() < deadline_s
            assert is_well, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9 of all of it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None


class Mosquitto(Server):
    """Debian's own of this machine."""

    name = "mosquitto"
    suite = ""

    def prepare(self) -> None:
        """Its programs are run by the libraries that they were made for."""
        self._program = [shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") or "mosquitto"]
        if self.suite:
            root = _unpacked("mosquitto", self.suite)
            libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"
            loader = next(root.glob("usr/lib*/ld-linux-x86-64.so.2"))
            self._program = [str(loader), "--library-path", libraries, f"{root}/usr/sbin/mosquitto"]
        user = "user root\n" if os.geteuid() == 0 else ""
        (self.folder / "mosquitto.conf").write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        )
        said = subprocess.run([*self._program, "-h"], capture_output=True, text=True, check=False).stdout
        self.version = re.findall(r"[\d.]+", said)[0]

    def argv(self) -> list[str]:
        """With a configuration of three lines."""
        return [*self._program, "-c", str(self.folder / "mosquitto.conf")]


class MosquittoOf13(Mosquitto):
    """That of Debian 13."""

    suite = "trixie"


class MosquittoOfUnstable(Mosquitto):
    """The newest that Debian has."""

    suite = "sid"


class Amqtt(Server):
    """The demo's stand-in."""

    name = "amqtt"
    protocol = "3.1.1"

    def prepare(self) -> None:
        """As the demo does."""
        self.version = installed("amqtt")
        (self.folder / "amqtt.yaml").write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
        )

    def argv(self) -> list[str]:
        """Its own script."""
        return [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(self.folder / "amqtt.yaml")]


class Rumqttd(Server):
    """rumqttd, as the package iotcore has it built in; it speaks one protocol a port."""

    name = "rumqttd"

    def prepare(self) -> None:
        """Its settings are rumqttd's."""
        self.version = f"0.20 (iotcore {installed('iotcore')})"
        (self.folder / "rumqttd.toml").write_text(f"""id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v{self.protocol[0] if self.protocol == "5" else 4}.1]
name = "one"
listen = "127.0.0.1:{self.port}"
next_connection_delay_ms = 1
[v{self.protocol[0] if self.protocol == "5" else 4}.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 100
""")

    def argv(self) -> list[str]:
        """In a process of its own, which ends with its standard input."""
        settings = f'{{"config_path": "{self.folder}/rumqttd.toml"}}'
        return [sys.executable, "-m", "iotcore._serve", settings]


class RumqttdOf311(Rumqttd):
    """Its listener for the older protocol."""

    name = "rumqttd, a listener for 3.1.1"
    protocol = "3.1.1"


class Aedes(Server):
    """aedes, on Node.js."""

    name = "aedes"
    protocol = "3.1.1"

    def prepare(self) -> None:
        """Locked by version and hash; no script of a package is run."""
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        if int(node[1:].partition(".")[0]) < 20:
            pytest.skip(f"aedes needs Node.js 20, this is {node}")
        place, own = WORK / "npm", Path(__file__).with_name("npm")
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(own / name, place / name)
        if not (place / "node_modules" / ".package-lock.json").exists():
            subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, check=True, timeout=600
            )
        self.version = re.findall(r'"aedes": "([\d.]+)"', (place / "package.json").read_text())[0]

    def argv(self) -> list[str]:
        """Twenty lines of no consequence around it."""
        script = Path(__file__).with_name("npm") / "broker.mjs"
        return ["env", f"AEDES={WORK / 'npm'}", "node", str(script), str(self.port)]


class RabbitMq(Server):
    """Debian's own of this machine; one node."""

    name = "RabbitMQ"
    protocol = "3.1.1"
    suite = ""

    def prepare(self) -> None:
        """The cluster of the other tests, with one node; it starts at once."""
        root = _unpacked("rabbitmq-server", self.suite, "apt") if self.suite else Path("/")
        (self._node,) = RabbitCluster(self._stack, 1, root).nodes
        self.port, self.url = self._node.mqtt_port, self._node.mqtt_url
        self.version = self._node.version
        self._runs = True

    def start(self) -> None:
        """Start it, and wait until it listens."""
        if not self._runs:
            self._node.start()
            self._node.wait()
        self._runs = True

    def kill(self) -> None:
        """kill -9 of the node."""
        self._node.kill()
        self._runs = False


class RabbitMqOf13(RabbitMq):
    """That of Debian 13, in a root of its own."""

    protocol = "5"
    suite = "trixie"


def _unpacked(package: str, suite: str, how: str = "extract") -> Path:
    """A Debian package of another release and all that it needs; as a rule unpacked and not installed."""
    if os.geteuid() != 0:
        pytest.skip("brokers of other releases of Debian need root")
    root = WORK / f"{package}-{suite}"
    if not (root / "done").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mmdebstrap", "--mode=root", f"--variant={how}", f"--include={package}", *_OLD_LISTS, suite, str(root), _MIRROR],
            check=True, timeout=1800,
        )  # fmt: skip
        subprocess.run(
            ["/sbin/ldconfig", "-n", f"{root}/usr/lib/x86_64-linux-gnu"], check=True, timeout=60
        )  # else an installation does that
        (root / "done").touch()
    return root


def servers() -> list[type[Server]]:
    """All of them; those of other releases of Debian need root."""
    return [Mosquitto, MosquittoOf13, MosquittoOfUnstable, RabbitMq, RabbitMqOf13, Amqtt, Aedes, Rumqttd, RumqttdOf311]
