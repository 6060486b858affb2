"""A broker of the demo's own: mosquitto where it is installed, otherwise amqtt inside a Python process.

Both listen on a free port of the loopback and keep nothing beyond the demo. A broker is tried before the first person passes, be
it the demo's own or somebody else's: what cannot work is said at once.

Units: `_s` seconds.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from kiosk.config import BrokerUrl
from kiosk.delivery.mqtt import probe
from kiosk.errors import ConfigError, LinkError
from kiosk.log import printable
from kiosk.process.supervise import Child, Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.config import Config

START_S = 60.0
"""Longest time that a broker of our own may take until it listens: Python's on a busy board."""
ANSWER_S = 5.0
PORTS = 3
"""So many ports are tried; another program may take one between our look and the broker's."""

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 0
log_type error
"""
_AMQTT = """\
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


@dataclass(frozen=True, slots=True)
class OwnBroker:
    """A broker that is about to be started.

    Attributes:
        url: Its address.
        protocol: What it speaks: "5" or "3.1.1"; amqtt answers MQTT 5 with silence.
        child: The process that will be it.
    """

    url: str
    protocol: str
    child: Child


def own_broker(folder: Path) -> OwnBroker:
    """The broker that this machine has.

    Args:
        folder: Where its configuration and its store go.

    Raises:
        LinkError: Neither mosquitto nor amqtt is installed.
    """
    port = _free_port()
    url = f"mqtt://127.0.0.1:{port}"
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])  # Debian keeps it where users do not look
    mosquitto = shutil.which("mosquitto", path=path)
    settings = folder / "broker.conf"
    if mosquitto is not None:
        store = folder / "broker"
        store.mkdir(mode=0o700, exist_ok=True)
        user = "user root\n" if os.geteuid() == 0 else ""  # else it changes to a user who cannot write here
        settings.write_text(user + _MOSQUITTO.format(port=port, folder=store), "utf-8")
        return OwnBroker(url, "5", Child("mosquitto", [mosquitto, "-c", str(settings)], orphaned=signal.SIGKILL))
    if importlib.util.find_spec("amqtt") is not None:
        settings.write_text(_AMQTT.format(port=port), "utf-8")
        argv = [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(settings)]
        return OwnBroker(url, "3.1.1", Child("amqtt", argv, orphaned=signal.SIGKILL))
    raise LinkError("there is no broker on this machine", hint="apt install mosquitto, or pip install amqtt")


def started_broker(folder: Path) -> OwnBroker:
    """The broker that this machine has, once it listens.

    Args:
        folder: Where its configuration, its store and its log go.

    Raises:
        LinkError: There is none, or it does not start.
    """
    for _ in range(PORTS):
        broker = own_broker(folder)
        broker.child.output = folder / f"{broker.child.name}.log"
        with ExitStack() as stack:
            stack.callback(Supervisor([broker.child]).stop, 0.0)
            if _listens(broker):
                stack.pop_all()
                return broker
    name, log = broker.child.name, broker.child.output
    said = log.read_text("utf-8", "replace").splitlines() if log is not None and log.exists() else []
    last = printable(said[-1]) if said else "it says nothing"
    raise LinkError(f"{name} does not start: {last}", hint="mend that, or name a broker that runs: --broker URL")


def _listens(broker: OwnBroker) -> bool:
    """Wait until it does; False once its process has ended."""
    deadline_s = time.monotonic() + START_S
    port = urlsplit(broker.url).port
    while time.monotonic() < deadline_s:
        broker.child.tend(time.monotonic())
        if broker.child.process is None:
            return False
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def checked_url(url: str) -> str:
    """The address that was given, if it is one.

    Raises:
        ConfigError: It is not.
    """
    try:
        good = urlsplit(TypeAdapter(BrokerUrl).validate_python(url)).port != 0
    except (ValidationError, ValueError):
        good = False
    if not good:
        raise ConfigError(f"--broker {printable(url)} is no broker's address", hint="write it as mqtt://127.0.0.1:1883")
    return url


def try_broker(config: Config, url: str) -> None:
    """Be let in by the broker that was given, once.

    Raises:
        LinkError: It is not there, or lets nobody in without a password.
    """
    try:
        probe(config, url, ANSWER_S)
    except LinkError as error:
        hint = "start one that lets everybody in, without a password, or leave --broker out: the demo brings its own"
        raise LinkError(f"--broker: {error.args[0]}", hint=hint) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
