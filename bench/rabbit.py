"""A RabbitMQ cluster of a test's own: three real nodes on the loopback, each with its ports, its folder and its name.

No service manager is asked and nothing of the system's own RabbitMQ is touched. Erlang's port mapper (epmd), which would
start by itself, listen everywhere and stay, is started first, on the loopback and on a port of its own. Every node is a
process group of its own and is ended by that.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from bench.drain import free_port

START_S = 180.0
STOP_S = 30.0
_SETTINGS = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
mqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}
{anonymous}
cluster_formation.peer_discovery_backend = classic_config
{peers}
"""


_ANONYMOUS = "mqtt.allow_anonymous = true\nmqtt.default_user = guest\nmqtt.default_pass = guest"
_ANONYMOUS_SINCE_4 = "anonymous_login_user = guest\nanonymous_login_pass = guest"
_INSIDE = 'mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount --bind /tmp "$1/tmp"; exec chroot "$@"'
"""Runs a program of another release: in its own root, but for the devices, the processes and what is temporary."""


class Node:
    """One of the cluster's nodes."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str], names: list[str], root: Path) -> None:
        self.name = name
        self._programs = _folder_of_programs(root)
        inside = str(self._programs / "rabbitmq-server").removeprefix(str(root).rstrip("/"))
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", _INSIDE, "sh", str(root)]
        self._argv = [inside] if root == Path("/") else [*unshare, inside]
        self.amqp_port, self.mqtt_port = free_port(), free_port()
        self.amqp_url = f"amqp://127.0.0.1:{self.amqp_port}"
        self.mqtt_url = f"mqtt://127.0.0.1:{self.mqtt_port}"
        self._folder = folder / name.partition("@")[0]
        self._folder.mkdir()
        peers = "\n".join(
            f"cluster_formation.classic_config.nodes.{place} = {peer}" for place, peer in enumerate(names, 1)
        )
        (self._folder / "rabbitmq.conf").write_text(
            _SETTINGS.format(
                amqp=self.amqp_port,
                mqtt=self.mqtt_port,
                peers=peers,
                anonymous=_ANONYMOUS if self.version.startswith("3.") else _ANONYMOUS_SINCE_4,
            )
        )
        (self._folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        self._environment = environment | {
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.amqp_port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_BASE": str(self._folder),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> str:
        """RabbitMQ's, as 3.10.8."""
        return self._programs.parent.name.partition("-")[2]

    def start(self) -> None:
        """Start it; `wait` sees it listen."""
        with (self._folder / "output").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it takes connections for both protocols."""
        deadline_s = time.monotonic() + START_S
        for port in (self.amqp_port, self.mqtt_port):
            while True:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 0.5).close()
                    break
                if time.monotonic() > deadline_s or self._process is None or self._process.poll() is not None:
                    raise RuntimeError(f"{self.name} does not listen:\n{self.output()}")
                time.sleep(0.2)

    def kill(self) -> None:
        """kill -9 of the whole node."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S)
            self._process = None

    def output(self) -> str:
        """The end of what it printed."""
        return (self._folder / "output").read_text(errors="replace")[-4000:]


class RabbitCluster:
    """Some nodes that are one broker."""

    def __init__(self, stack: ExitStack, count: int = 3, root: Path = Path("/")) -> None:
        """Start them.

        Args:
            stack: Ends them and removes their folder.
            count: How many.
            root: Where RabbitMQ is installed; another one than this machine's needs root.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="kiosk-mq-"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text("KIOSKCLUSTEROFATEST")
        cookie.chmod(0o400)
        mapper_port = free_port()
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        }
        mapper = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(mapper_port)], env=environment)
        stack.callback(_ended, mapper)
        names = [f"kiosk{number}@localhost" for number in range(1, count + 1)]
        self.nodes = [Node(self.folder, name, environment, names, root) for name in names]
        for node in self.nodes:
            stack.callback(node.kill)
            node.start()
        for node in self.nodes:
            node.wait()


def _folder_of_programs(root: Path) -> Path:
    found = sorted((root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    if not found:
        raise RuntimeError("there is no RabbitMQ here: apt install rabbitmq-server")
    return found[-1]


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(STOP_S)
