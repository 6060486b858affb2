"""The fleet's words of the command line: ca · fleet.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import argparse
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from central import authority
from central.fleet import RESERVED, Fleet
from kiosk.errors import FleetError

if TYPE_CHECKING:
    from central.fleet import Station

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
    fleet.add_argument("action", choices=("list", "revoke"), help="list all, or revoke one")
    fleet.add_argument("kiosk", nargs="?", metavar="ID", help="which kiosk")
    fleet.set_defaults(command=_fleet)


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
            print(f"{'kiosk':24} {'site':20} {'state':9} {'expires':10} {'reuses':>6} serial")
            for station in registry.stations(arguments.kiosk):
                print(_row(station))
            return 0
        if arguments.kiosk is None:
            raise FleetError("which kiosk?", hint="give its id; `central fleet list` names them")
        count = registry.revoke(arguments.kiosk)
        authority.open_authority(arguments.fleet).write_revoked(registry.revoked())
    print(f"{arguments.kiosk}: {count} certificates revoked; copy crl.pem beside the broker and reload it (SIGHUP)")
    return 0


def _registry(folder: Path) -> Path:
    path = folder / "fleet.db"
    if not path.exists():
        raise FleetError(f"{path} does not exist", hint="name the fleet's folder with --fleet, or `central ca init`")
    return path


def _row(station: Station) -> str:
    expires = datetime.fromtimestamp(station.expires_s, UTC).date().isoformat() if station.expires_s else "-"
    return f"{station.kiosk:24} {station.site:20} {station.state:9} {expires:10} {station.reuses:6} {station.serial or '-'}"


def _file_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError("a file name has letters, digits, dots and hyphens")
    return text
