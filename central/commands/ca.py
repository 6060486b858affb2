"""`central ca`: the fleet's certificate authority: begin it, certify servers and programs of the centre, take that back."""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from central.commands import options as shared
from central.fleet import authority
from central.fleet.registry import RESERVED, Fleet
from central.ledgers import export
from kiosk.cli import words
from kiosk.cli.words import Action
from kiosk.errors import FleetError

if TYPE_CHECKING:
    from central.fleet.authority import Authority
    from central.fleet.own import Own
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
            Action("list", "the certificates of the centre's own, with their ends", list_, _add_list),
            Action("revoke", "take a certificate of the centre's own back", revoke, _add_revoke),
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


def _add_list(parser: Parser) -> None:
    shared.add_fleet(parser)
    shared.add_zone(parser)
    parser.add_argument("--json", action="store_true", help="for programs: JSON, one object a line, times in UTC")


def _add_revoke(parser: Parser) -> None:
    parser.add_argument(
        "which",
        nargs="?",
        metavar="NAME|SERIAL|FILE",
        help="all of this name, the one of this number, or the one in this file, for one that the registry does not know",
    )
    shared.add_fleet(parser)


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
    return _written(arguments, *authority.open_authority(arguments.fleet).issue_server(arguments.names))


def client(arguments: argparse.Namespace) -> int:
    """Certify it."""
    if len(arguments.names) != 1 or not re.fullmatch(rf"{RESERVED}-[a-z0-9-]{{1,48}}", arguments.names[0]):
        raise FleetError("that is no name for a client", hint=f"clients of the centre are called {RESERVED}-something")
    return _written(arguments, *authority.open_authority(arguments.fleet).issue_client(arguments.names[0]))


def list_(arguments: argparse.Namespace) -> int:
    """A line for each, by name."""
    with Fleet(shared.registry_in(arguments.fleet)) as registry:
        known = registry.own.all()
    if arguments.json:
        for each in known:
            print(json.dumps(asdict(each), ensure_ascii=False))
        return 0
    rows = [[each.name, _state(each), shared.day_at(each.expires_s, arguments.zone), each.serial] for each in known]
    for line in export.columns(["name", "state", "expires", "serial"], rows):
        print(line)
    return 0


def _state(certificate: Own) -> str:
    if certificate.revoked_s is not None:
        return "revoked"
    return "good" if certificate.expires_s > time.time() else "ended"


def revoke(arguments: argparse.Namespace) -> int:
    """Take it back; say what is left to do."""
    if arguments.which is None:
        raise FleetError(
            "which certificate?", hint="give its name, its number or its file; `central ca list` names them"
        )
    opened = authority.open_authority(arguments.fleet)
    with Fleet(shared.registry_in(arguments.fleet)) as registry:
        which, file = arguments.which, Path(arguments.which)
        if file.is_file():
            which = _entered(registry, opened, file)
        ended = registry.own.revoke(which)
        opened.publish(registry.revoked)
    for each in ended:
        print(f"{each.name}: certificate {each.serial} revoked")
    print(
        "copy crl.pem beside the broker and reload it (SIGHUP); a connection that stands ends with the broker's next start"
    )
    return 0


def _entered(registry: Fleet, opened: Authority, file: Path) -> str:
    """The number of a certificate in a file, which the registry knows from now on.

    Raises:
        FleetError: It is none of this authority's, or a station's.
    """
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        certificate.verify_directly_issued_by(opened.certificate)
    except OSError as error:
        raise FleetError(f"{file}: {error.strerror}") from error
    except (ValueError, TypeError, InvalidSignature) as error:
        raise FleetError(f"{file} is no certificate of this authority", hint="name one in PEM, not its key") from error
    name = authority.name_of(certificate)
    if registry.stations(name):
        raise FleetError(f"{file} is a station's", hint=f"`central fleet revoke {name}` takes it back")
    _enter(registry, certificate)
    return f"{certificate.serial_number:x}"


def _enter(registry: Fleet, certificate: x509.Certificate) -> None:
    issued_s, expires_s = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    registry.own.enter(certificate.serial_number, authority.name_of(certificate), int(issued_s), int(expires_s))


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
    with Fleet(
        arguments.fleet / "fleet.db"
    ) as registry:  # before anybody has it: what is in no list can be taken back by nobody
        _enter(registry, x509.load_pem_x509_certificate(certificate))
    authority.write_file(out / f"{stem}.key", key, 0o600)
    authority.write_file(out / f"{stem}.pem", certificate, 0o644)
    print(f"{out / stem}.pem and {out / stem}.key written")
    return 0


def _file_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError("a file name has letters, digits, dots and hyphens")
    return text
