"""`central enrol`: serve certificates to kiosks with a valid code, over HTTPS."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.fleet import authority
from central.fleet.enrolment_server import EnrolmentServer
from kiosk.cli import values

if TYPE_CHECKING:
    import argparse

_log = logging.getLogger(__name__)


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_fleet(parser)
    parser.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 8443), metavar="HOST:PORT", help="default: 127.0.0.1:8443"
    )
    parser.add_argument("--cert-file", type=Path, metavar="FILE", help="default: broker.pem in the fleet's folder")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="default: broker.key in the fleet's folder")
    parser.add_argument(
        "--days",
        type=values.number(),
        default=authority.CLIENT_DAYS,
        metavar="N",
        help="life of a certificate (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    opened = authority.open_authority(arguments.fleet)
    shared.registry_in(arguments.fleet)
    server = EnrolmentServer(
        arguments.listen,
        opened,
        arguments.cert_file or arguments.fleet / "broker.pem",
        arguments.key_file or arguments.fleet / "broker.key",
        days=arguments.days,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # From another thread: `shutdown` waits for the loop that the signal has interrupted.
        signal.signal(number, lambda *_: Thread(target=server.shutdown).start())
    _log.info("enrolling at=%s:%d", *server.server_address[:2])
    with server:
        server.serve_forever(poll_interval=0.2)
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    shared.host_port(f"{host}:{port if port != '0' else 1}")  # to listen at 0 is to listen at any free port
    return host.strip("[]"), int(port)
