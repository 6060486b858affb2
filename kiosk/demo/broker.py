"""A broker of the demo's own: mosquitto where it is installed, otherwise amqtt inside a Python process.

Both listen on a free port of the loopback and keep nothing beyond the demo.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.errors import LinkError
from kiosk.process.supervise import Child

if TYPE_CHECKING:
    from pathlib import Path

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
        store.mkdir(mode=0o700)
        user = "user root\n" if os.geteuid() == 0 else ""  # else it changes to a user who cannot write here
        settings.write_text(user + _MOSQUITTO.format(port=port, folder=store), "utf-8")
        return OwnBroker(url, "5", Child("mosquitto", [mosquitto, "-c", str(settings)]))
    if importlib.util.find_spec("amqtt") is not None:
        settings.write_text(_AMQTT.format(port=port), "utf-8")
        argv = [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(settings)]
        return OwnBroker(url, "3.1.1", Child("amqtt", argv))
    raise LinkError("there is no broker on this machine", hint="apt install mosquitto, or pip install amqtt")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
