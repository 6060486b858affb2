"""`central ca`: the fleet's certificate authority: begin it, certify servers and programs of the centre."""

from __future__ import annotations

import argparse
import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.fleet import authority
from central.fleet.registry import RESERVED, Fleet
from kiosk.cli import words
from kiosk.cli.words import Action
from kiosk.errors import FleetError

if TYPE_CHECKING:
    from kiosk.cli.words import Parser

LONGEST_NAME = 64
"""Of a subject in a certificate, as RFC 5280 has it."""


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action("init", "begin the authority, and the fleet's key", init, _add_init),
            Action(
                "server", "certify a server, such as the broker, by its host names and addresses", server, _add_server
            ),
            Action("client", "certify a program of the centre, such as the collector", client, _add_client),
        ),
    )


def _add_init(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", default="kiosk fleet", metavar="NAME", help="what its certificate calls it")
    shared.add_fleet(parser)


def _add_server(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="a host name or an address by which it is called")
    _add_files(parser)


def _add_client(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"its name, as in {RESERVED}-collector")
    _add_files(parser)


def _add_files(parser: Parser) -> None:
    shared.add_fleet(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where certificate and key go (default: the fleet's folder)"
    )
    parser.add_argument(
        "--as", dest="file", type=_file_name, metavar="FILE", help="file name without ending (default: NAME)"
    )


def init(arguments: argparse.Namespace) -> int:
    """Begin it."""
    folder: Path = arguments.fleet
    if not 0 < len(arguments.name) <= LONGEST_NAME or not arguments.name.isprintable():
        raise FleetError(f"{arguments.name!r} is no name for an authority", hint=f"1 to {LONGEST_NAME} letters")
    made = authority.create(folder, arguments.name)
    Fleet(folder / "fleet.db").close()
    print(f"{folder}: authority {made.fingerprint.hex()}")
    print("put fleet.pem into the kiosks' image; ca.pem and crl.pem beside the broker; keep the keys where they are")
    return 0


def server(arguments: argparse.Namespace) -> int:
    """Certify it."""
    if not arguments.names:
        raise FleetError("whom to certify?", hint="give the server's host names and addresses")
    for name in arguments.names:
        check_host(name)
    certificate, key = authority.open_authority(arguments.fleet).issue_server(arguments.names)
    return _written(arguments, certificate, key)


def client(arguments: argparse.Namespace) -> int:
    """Certify it."""
    if len(arguments.names) != 1 or not re.fullmatch(rf"{RESERVED}-[a-z0-9-]{{1,48}}", arguments.names[0]):
        raise FleetError("that is no name for a client", hint=f"clients of the centre are called {RESERVED}-something")
    certificate, key = authority.open_authority(arguments.fleet).issue_client(arguments.names[0])
    return _written(arguments, certificate, key)


def check_host(name: str) -> None:
    """A host name as DNS has it, or an address.

    Raises:
        FleetError: It is neither; no client would find such a server, or trust it.
    """
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return
    labels = name.split(".")
    if name.startswith("*."):
        reason = "a certificate for every host of a domain is worth as much as all of them"
    elif len(name) > 253 or any(len(label) > 63 for label in labels):
        reason = "a host name has at most 253 letters, and 63 between two dots"
    elif not all(re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", label) for label in labels):
        reason = "a host name has letters a to z, digits, dots and hyphens"
    elif labels[-1].isdigit():
        reason = "it looks like an address, and is none"
    else:
        return
    raise FleetError(f"{name!r} is no name of a server: {reason}", hint="write it as broker.example or 192.0.2.7")


def _written(arguments: argparse.Namespace, certificate: bytes, key: bytes) -> int:
    out: Path = arguments.out or arguments.fleet
    stem = arguments.file or arguments.names[0].replace(":", "-").strip("-")
    authority.write_file(out / f"{stem}.key", key, 0o600)
    authority.write_file(out / f"{stem}.pem", certificate, 0o644)
    print(f"{out / stem}.pem and {out / stem}.key written")
    return 0


def _file_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError("a file name has letters, digits, dots and hyphens")
    return text
