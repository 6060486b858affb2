"""`central provision`: make the code that sets a kiosk up, once."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from central import paper
from central.commands import options as shared
from central.fleet import authority, invitation
from central.fleet.registry import Fleet
from central.supervise.database import open_database
from central.supervise.register import Register
from kiosk import forms
from kiosk.cli import values
from kiosk.cli.words import meant
from kiosk.disk.text import secret_in
from kiosk.envelopes.provisioning_code import ProvisioningCode, Wifi
from kiosk.errors import FleetError
from kiosk.model import Direction

if TYPE_CHECKING:
    from kiosk.cli.words import Parser

LONGEST_HOURS = 720
"""A code lies on paper for a month at most."""
PROPOSED = 10
"""So many sites are proposed."""


def options(parser: Parser) -> None:
    """What it takes."""
    parser.add_argument("--kiosk", required=True, metavar="ID", help="name of the kiosk")
    add_code(parser)
    parser.add_argument(
        "--again", action="store_true", help="a maintenance code: also for a kiosk that is set up already"
    )


def add_code(parser: Parser) -> None:
    """What a code says, and where it goes."""
    shared.add_fleet(parser)
    parser.add_argument("--site", metavar="ID", help="where it hangs (default: as before)")
    parser.add_argument(
        "--supervision",
        default=os.environ.get("KIOSK_SUPERVISION"),
        metavar="FILE|URL",
        help="the register of sites, which proposes one and knows a mistyped one (default: $KIOSK_SUPERVISION, or none)",
    )
    parser.add_argument(
        "--lane",
        action="append",
        type=_lane,
        metavar="NAME:DIRECTION",
        help="a door, as in main:in, main:out or main:pass; once for each (default: as before, or main:pass)",
    )
    parser.add_argument(
        "--broker", type=shared.host_port, metavar="HOST:PORT", help="where it delivers (default: as before)"
    )
    parser.add_argument(
        "--enrolment", type=shared.host_port, metavar="HOST:PORT", help="where `central enrol` is (default: as before)"
    )
    parser.add_argument("--wifi", metavar="NAME", help="wireless network to join")
    parser.add_argument("--wifi-password-file", type=Path, metavar="FILE", help="file with its password, one line")
    parser.add_argument(
        "--hours",
        type=values.number(0, LONGEST_HOURS),
        default=72.0,
        metavar="N",
        help=f"how long the code is valid, at most {LONGEST_HOURS} (default: %(default)s)",
    )
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="a sheet of A4 for the technician")
    parser.add_argument("--png", type=Path, metavar="FILE", help="the code as a picture")
    parser.add_argument("--text", type=Path, metavar="FILE", help="the code as a file for the boot partition")
    shared.add_zone(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make it."""
    opened = authority.open_authority(arguments.fleet)
    with Fleet(shared.registry_in(arguments.fleet)) as registry:
        known = next(iter(registry.stations(arguments.kiosk)), None)
        lanes = arguments.lane or (known.lanes if known is not None else (("main", "pass"),))
        wanted = ProvisioningCode(
            kiosk=arguments.kiosk,
            site=_site(arguments, None if known is None else known.site),
            lanes=tuple((name, Direction(direction)) for name, direction in lanes),
            broker=arguments.broker or _known(known and known.broker, "--broker"),
            enrolment=arguments.enrolment or _known(known and known.enrolment, "--enrolment"),
            ca_sha256=b"",
            token=b"",
            issued_s=0,
            expires_s=0,
            wifi=_wifi(arguments),
            again=arguments.again,
            zone=_zone(arguments.zone),
        )
        code = invitation.invite(registry, opened, wanted, round(arguments.hours * 3600))
    ends = datetime.now(arguments.zone) + timedelta(hours=arguments.hours)
    if arguments.pdf is not None:
        title, lines = invitation.sheet(wanted.kiosk, wanted.site, ends)
        authority.write_file(arguments.pdf, paper.pdf(title, lines, code), 0o600)
    if arguments.png is not None:
        authority.write_file(arguments.png, paper.png(code), 0o600)
    if arguments.text is not None:
        authority.write_file(arguments.text, code.encode() + b"\n", 0o600)
    if arguments.pdf is None and arguments.png is None and arguments.text is None:
        print(code)
    until = f"{ends:%Y-%m-%d %H:%M} ({arguments.zone})"
    print(f"{arguments.kiosk}: a code for one use, until {until}", file=sys.stderr)
    return 0


def _site(arguments: argparse.Namespace, before: str | None) -> str:
    """Where it hangs. A site that the register does not know is told, and taken: a station is not held up for a list."""
    site = arguments.site or before
    if arguments.supervision is None:
        return _known(site, "--site")
    with open_database(arguments.supervision) as database:
        district = Register(database).district()
    today = datetime.now(arguments.zone).date()
    if site is None:
        bare = [each.id for each in district.without_station(today)]
        told = (
            f"one of those at which nothing hangs yet: {', '.join(bare[:PROPOSED])}"
            if bare
            else "`central site list` names them"
        )
        raise FleetError("--site is missing", hint=f"give it; {told}{' …' if len(bare) > PROPOSED else ''}")
    if site not in district.sites or today not in district.sites[site].days:
        why = "is closed" if site in district.sites else f"is not registered{meant(site, district.sites)}"
        print(
            f"central: site {site!r} {why}; its entries are kept, and marked until `central site import` knows it",
            file=sys.stderr,
        )
    return site


def _known(value: object, option: str) -> str:
    if not isinstance(value, str):
        raise FleetError(f"{option} is missing", hint="give it; from then on the registry knows it")
    return value


def _zone(zone: tzinfo) -> str:
    """As stations know it, by its name: the office may also have it as a distance from UTC."""
    if isinstance(zone, ZoneInfo):
        return zone.key
    hours, rest = divmod(zone.utcoffset(None) or timedelta(), timedelta(hours=1))
    if rest:
        raise FleetError("--zone: a station knows zones by name", hint="give one like Asia/Kolkata")
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/UTC"


def _wifi(arguments: argparse.Namespace) -> Wifi | None:
    if arguments.wifi is None:
        return None
    path: Path | None = arguments.wifi_password_file
    try:
        return Wifi(arguments.wifi, "" if path is None else secret_in(path))
    except (OSError, ValueError) as error:
        raise FleetError(f"--wifi-password-file: {path}: {getattr(error, 'strerror', None) or error}") from error


def _lane(text: str) -> tuple[str, str]:
    name, _, direction = text.partition(":")
    if direction not in {"in", "out", "pass"} or not forms.is_id(name):
        raise argparse.ArgumentTypeError("write NAME:in, NAME:out or NAME:pass")
    return name, direction
