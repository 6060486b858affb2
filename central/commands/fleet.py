"""The fleet's words of the command line: ca · fleet · provision · enrol.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from central import paper
from central.commands import options
from central.fleet import authority, cut, invitation, presence
from central.fleet.enrolment_server import EnrolmentServer
from central.fleet.registry import RESERVED, STATES, Fleet
from central.ledgers.choice import open_ledger
from kiosk.disk.text import secret_in
from kiosk.envelopes.provisioning_code import ProvisioningCode, Wifi
from kiosk.errors import FleetError
from kiosk.model import Direction

if TYPE_CHECKING:
    from central.fleet.registry import Station

_log = logging.getLogger(__name__)

DEFAULT_FLEET = "fleet"


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the command line's."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--fleet",
        type=Path,
        default=Path(os.environ.get("KIOSK_FLEET", DEFAULT_FLEET)),
        metavar="DIR",
        help=f"folder of the authority and the registry (default: $KIOSK_FLEET or {DEFAULT_FLEET})",
    )
    ca = verbs.add_parser("ca", parents=[common], help="the fleet's certificate authority: begin it, certify servers")
    ca.add_argument("action", choices=("init", "server", "client"), help="begin it, or certify a server or a client")
    ca.add_argument(
        "names", nargs="*", metavar="NAME", help="a server's host names and addresses; a client's name, as in central-x"
    )
    ca.add_argument(
        "--out", type=Path, metavar="DIR", help="where certificate and key go (default: the fleet's folder)"
    )
    ca.add_argument(
        "--as", dest="file", type=_file_name, metavar="FILE", help="file name without ending (default: NAME)"
    )
    ca.set_defaults(command=_ca)

    fleet = verbs.add_parser("fleet", parents=[common], help="which kiosks there are; take one's certificate away")
    fleet.add_argument(
        "action",
        choices=("list", "revoke", "cut", "replace"),
        help="list all; revoke one; cut the connection that a revoked one still has; replace one's board: revoke it and"
        " make a code for its successor",
    )
    fleet.add_argument("kiosk", nargs="?", metavar="ID", help="which kiosk")
    seen = fleet.add_argument_group("list: when each was last heard, whoever has been silent for longest first")
    seen.add_argument("--ledger", metavar="FILE|URL", help="its newest entry, from here")
    seen.add_argument("--state", choices=STATES, action="append", help="only those in this state (default: all)")
    seen.add_argument("--silent-hours", type=float, default=0.0, metavar="N", help="only those not heard for so long")
    there = fleet.add_argument_group("list, cut: the broker")
    there.add_argument(
        "--at-broker",
        dest="url",
        metavar="URL",
        help="which keeps the statuses, or the connection; as mqtts://host:port",
    )
    there.add_argument(
        "--watch-s", type=float, default=30.0, metavar="S", help="cut: see for so long that it stays away (default: 30)"
    )
    options.add_broker(there)
    _add_code_options(fleet)
    fleet.set_defaults(command=_fleet)

    provision = verbs.add_parser("provision", parents=[common], help="make the code that sets a kiosk up, once")
    provision.add_argument("--kiosk", required=True, metavar="ID", help="name of the kiosk")
    _add_code_options(provision)
    provision.add_argument(
        "--again", action="store_true", help="a maintenance code: also for a kiosk that is set up already"
    )
    provision.set_defaults(command=_provision)

    enrol = verbs.add_parser(
        "enrol", parents=[common], help="serve certificates to kiosks with a valid code, over HTTPS"
    )
    enrol.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 8443), metavar="HOST:PORT", help="default: 127.0.0.1:8443"
    )
    enrol.add_argument("--cert-file", type=Path, metavar="FILE", help="default: broker.pem in the fleet's folder")
    enrol.add_argument("--key-file", type=Path, metavar="FILE", help="default: broker.key in the fleet's folder")
    enrol.add_argument(
        "--days",
        type=float,
        default=authority.CLIENT_DAYS,
        metavar="N",
        help="life of a certificate (default: %(default)s)",
    )
    enrol.set_defaults(command=_enrol)


def _add_code_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", metavar="ID", help="where it hangs (default: as before)")
    parser.add_argument(
        "--lane",
        action="append",
        type=_lane,
        metavar="NAME:DIRECTION",
        help="a door, as in main:in, main:out or main:pass; once for each (default: as before, or main:pass)",
    )
    parser.add_argument("--broker", type=_host, metavar="HOST:PORT", help="where it delivers (default: as before)")
    parser.add_argument(
        "--enrolment", type=_host, metavar="HOST:PORT", help="where `central enrol` is (default: as before)"
    )
    parser.add_argument("--wifi", metavar="NAME", help="wireless network to join")
    parser.add_argument("--wifi-password-file", type=Path, metavar="FILE", help="file with its password, one line")
    parser.add_argument(
        "--hours", type=float, default=72.0, metavar="N", help="how long the code is valid (default: %(default)s)"
    )
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="a sheet of A4 for the technician")
    parser.add_argument("--png", type=Path, metavar="FILE", help="the code as a picture")
    parser.add_argument("--text", type=Path, metavar="FILE", help="the code as a file for the boot partition")


def _ca(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.fleet
    if arguments.action == "init":
        made = authority.create(folder, arguments.names[0] if arguments.names else "kiosk fleet")
        Fleet(folder / "fleet.db").close()
        print(f"{folder}: authority {made.fingerprint.hex()}")
        print(
            "put fleet.pem into the kiosks' image; ca.pem and crl.pem beside the broker; keep the keys where they are"
        )
        return 0
    if not arguments.names:
        raise FleetError("whom to certify?", hint="give the server's host names, or the client's name")
    opened = authority.open_authority(folder)
    if arguments.action == "server":
        certificate, key = opened.issue_server(arguments.names)
    else:
        if len(arguments.names) != 1 or not re.fullmatch(rf"{RESERVED}-[a-z0-9-]{{1,48}}", arguments.names[0]):
            raise FleetError(
                "that is no name for a client", hint=f"clients of the centre are called {RESERVED}-something"
            )
        certificate, key = opened.issue_client(arguments.names[0])
    out: Path = arguments.out or folder
    stem = arguments.file or _file_name(arguments.names[0])
    authority.write_file(out / f"{stem}.key", key, 0o600)
    authority.write_file(out / f"{stem}.pem", certificate, 0o644)
    print(f"{out / stem}.pem and {out / stem}.key written")
    return 0


def _fleet(arguments: argparse.Namespace) -> int:
    with Fleet(_registry(arguments.fleet)) as registry:
        if arguments.action == "list":
            return _list(registry.stations(arguments.kiosk), arguments)
        if arguments.kiosk is None:
            raise FleetError("which kiosk?", hint="give its id; `central fleet list` names them")
        if arguments.action == "cut":
            return _cut(registry.stations(arguments.kiosk), arguments)
        count = registry.revoke(arguments.kiosk)
        authority.open_authority(arguments.fleet).write_revoked(registry.revoked())
    print(
        f"{arguments.kiosk}: {count} certificates revoked; copy crl.pem beside the broker and reload it (SIGHUP), then end"
        f" the connection that it may still have: central fleet cut {arguments.kiosk} --at-broker URL"
    )
    if arguments.action == "replace":
        arguments.again = False
        return _provision(arguments)
    return 0


def _cut(stations: list[Station], arguments: argparse.Namespace) -> int:
    if not stations:
        raise FleetError(f"there is no kiosk {arguments.kiosk!r}", hint="`central fleet list` names them")
    if stations[0].state == "enrolled":
        raise FleetError(
            f"{arguments.kiosk} would come right back: its certificate is good", hint="first: central fleet revoke"
        )
    if arguments.url is None or not arguments.url.startswith("mqtts://"):
        raise FleetError("at which broker?", hint="give --at-broker mqtts://HOST:PORT")
    arguments.broker = arguments.url
    broker = options.broker_of(arguments, arguments.kiosk)
    if broker.ca_file is None:
        broker = replace(broker, ca_file=arguments.fleet / "ca.pem")
    if cut.cut(broker, authority.open_authority(arguments.fleet), arguments.kiosk, arguments.watch_s):
        print(f"{arguments.kiosk}: its connection is cut, and it stayed away for {arguments.watch_s:.0f} s")
        return 0
    print(
        f"{arguments.kiosk}: it came back; the broker has not read the list: copy crl.pem beside it, reload it (SIGHUP), and"
        " cut again",
        file=sys.stderr,
    )
    return 1


def _list(stations: list[Station], arguments: argparse.Namespace) -> int:
    """A line for each, in the order of their names; where it is known who was heard when, in that order."""
    arguments.broker = arguments.url
    told = {} if arguments.url is None else presence.statuses(options.broker_of(arguments, "central-operator"))
    received_ns: dict[str, int] = {}
    if arguments.ledger is not None:
        ledger = open_ledger(arguments.ledger, existing=True)
        try:
            received_ns = ledger.last_received_ns()
        finally:
            ledger.close()
    rows = [(station, presence.Presence()) for station in stations]
    if arguments.url is not None or arguments.ledger is not None:
        rows = presence.joined(stations, told, received_ns)
    before_s = time.time() - arguments.silent_hours * 3600
    print(f"{'kiosk':24} {'site':20} {'state':9} {'expires':10} {'reuses':>6} {'link':10} {'seen (UTC)':16} serial")
    for station, seen in rows:
        if (not arguments.state or station.state in arguments.state) and seen.seen_s <= before_s:
            print(_row(station, seen))
    return 0


def _provision(arguments: argparse.Namespace) -> int:
    opened = authority.open_authority(arguments.fleet)
    with Fleet(_registry(arguments.fleet)) as registry:
        known = next(iter(registry.stations(arguments.kiosk)), None)
        lanes = arguments.lane or (known.lanes if known is not None else (("main", "pass"),))
        wanted = ProvisioningCode(
            kiosk=arguments.kiosk,
            site=arguments.site or _known(known and known.site, "--site"),
            lanes=tuple((name, Direction(direction)) for name, direction in lanes),
            broker=arguments.broker or _known(known and known.broker, "--broker"),
            enrolment=arguments.enrolment or _known(known and known.enrolment, "--enrolment"),
            ca_sha256=b"",
            token=b"",
            issued_s=0,
            expires_s=0,
            wifi=_wifi(arguments),
            again=arguments.again,
        )
        code = invitation.invite(registry, opened, wanted, round(arguments.hours * 3600))
    ends = datetime.now(UTC) + timedelta(hours=arguments.hours)
    if arguments.pdf is not None:
        title, lines = invitation.sheet(wanted.kiosk, wanted.site, ends)
        authority.write_file(arguments.pdf, paper.pdf(title, lines, code), 0o600)
    if arguments.png is not None:
        authority.write_file(arguments.png, paper.png(code), 0o600)
    if arguments.text is not None:
        authority.write_file(arguments.text, code.encode() + b"\n", 0o600)
    if arguments.pdf is None and arguments.png is None and arguments.text is None:
        print(code)
    print(f"{arguments.kiosk}: a code for one use, until {ends:%Y-%m-%d %H:%M} UTC", file=sys.stderr)
    return 0


def _enrol(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    opened = authority.open_authority(arguments.fleet)
    _registry(arguments.fleet)
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


def _known(value: object, option: str) -> str:
    if not isinstance(value, str):
        raise FleetError(f"{option} is missing", hint="give it; from then on the registry knows it")
    return value


def _wifi(arguments: argparse.Namespace) -> Wifi | None:
    if arguments.wifi is None:
        return None
    path: Path | None = arguments.wifi_password_file
    try:
        return Wifi(arguments.wifi, "" if path is None else secret_in(path))
    except (OSError, ValueError) as error:
        raise FleetError(f"--wifi-password-file: {path}: {getattr(error, 'strerror', None) or error}") from error


def _registry(folder: Path) -> Path:
    path = folder / "fleet.db"
    if not path.exists():
        raise FleetError(f"{path} does not exist", hint="name the fleet's folder with --fleet, or `central ca init`")
    return path


def _row(station: Station, seen: presence.Presence) -> str:
    expires = f"{datetime.fromtimestamp(station.expires_s, UTC):%Y-%m-%d}" if station.expires_s else "-"
    last = f"{datetime.fromtimestamp(seen.seen_s, UTC):%Y-%m-%d %H:%M}" if seen.seen_s else "-"
    return (
        f"{station.kiosk:24} {station.site:20} {station.state:9} {expires:10} {station.reuses:6}"
        f" {seen.link or '-':10} {last:16} {station.serial or '-'}"
    )


def _lane(text: str) -> tuple[str, str]:
    name, _, direction = text.partition(":")
    if direction not in {"in", "out", "pass"} or not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", name):
        raise argparse.ArgumentTypeError("write NAME:in, NAME:out or NAME:pass")
    return name, direction


def _host(text: str) -> str:
    if not re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError("write HOST:PORT")
    return text


def _address(text: str) -> tuple[str, int]:
    host, _, port = _host(text).rpartition(":")
    return host.strip("[]"), int(port)


def _file_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError("a file name has letters, digits, dots and hyphens")
    return text
