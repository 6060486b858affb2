"""`central fleet`: which kiosks there are; take one's certificate away, cut its connection, replace its board.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.commands import provision
from central.fleet import authority, cut, presence
from central.fleet.registry import STATES, Fleet
from central.ledgers import export
from central.ledgers.choice import open_ledger
from kiosk.cli import values, words
from kiosk.cli.words import Action
from kiosk.errors import FleetError

if TYPE_CHECKING:
    import argparse

    from central.fleet.registry import Station
    from kiosk.cli.words import Parser

COLUMNS = ("kiosk", "site", "state", "expires", "reuses", "link", "seen")
ALARM = 3
"""Before this column stands another, where there is something in it."""


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action(
                "list",
                "all of them; when each was last heard, whoever has been silent for longest first",
                list_,
                _add_list,
            ),
            Action("revoke", "take a kiosk's certificates and codes away", revoke, _add_revoke),
            Action("cut", "end the connection that a revoked kiosk still has", cut_, _add_cut),
            Action(
                "replace",
                "replace a kiosk's board: revoke it, and make a code for its successor",
                replace_,
                _add_replace,
            ),
        ),
    )


def _add_kiosk(parser: Parser) -> None:
    parser.add_argument("kiosk", nargs="?", metavar="ID", help="which kiosk")


def _add_broker(parser: Parser, what: str) -> None:
    there = parser.add_argument_group("the broker")
    there.add_argument("--at-broker", dest="url", metavar="URL", help=f"{what}; as mqtts://host:port")
    shared.add_broker(there)


def _add_list(parser: Parser) -> None:
    _add_kiosk(parser)
    shared.add_fleet(parser)
    parser.add_argument("--ledger", metavar="FILE|URL", help="when it got a station's newest entry, from here")
    parser.add_argument("--state", choices=STATES, action="append", help="only those in this state (default: all)")
    parser.add_argument(
        "--silent-hours", type=values.number(), default=0.0, metavar="N", help="only those not heard for so long"
    )
    parser.add_argument("--wide", action="store_true", help="with the serial numbers of the certificates")
    parser.add_argument("--json", action="store_true", help="for programs: JSON, one object a line, times in UTC")
    shared.add_zone(parser)
    _add_broker(parser, "which keeps the statuses")


def _add_revoke(parser: Parser) -> None:
    _add_kiosk(parser)
    shared.add_fleet(parser)
    _add_broker(parser, "where it may still be connected, for the command that comes next")


def _add_cut(parser: Parser) -> None:
    _add_kiosk(parser)
    shared.add_fleet(parser)
    parser.add_argument(
        "--watch-s",
        type=values.number(),
        default=30.0,
        metavar="S",
        help="see for so long that it stays away (default: 30)",
    )
    _add_broker(parser, "which has the connection")


def _add_replace(parser: Parser) -> None:
    _add_kiosk(parser)
    provision.add_code(parser)
    _add_broker(parser, "where the old one may still be connected, for the command that comes next")


def _station(registry: Fleet, arguments: argparse.Namespace) -> Station:
    """The one that was named.

    Raises:
        FleetError: None was, or there is none of this name.
    """
    hint = f"`{_command(arguments, 'list')}` names them"
    if arguments.kiosk is None:
        raise FleetError("which kiosk?", hint=f"give its id; {hint}")
    for station in registry.stations(arguments.kiosk):
        return station
    raise FleetError(f"there is no kiosk {arguments.kiosk!r}", hint=hint)


def _command(arguments: argparse.Namespace, *words: str) -> str:
    """Another command line for the same fleet, to be copied."""
    given = [] if str(arguments.fleet) == shared.DEFAULT_FLEET else ["--fleet", str(arguments.fleet)]
    return shlex.join(["central", "fleet", *words, *given])


def revoke(arguments: argparse.Namespace) -> int:
    """Take its certificates and codes away; say what is left to do."""
    with Fleet(shared.registry_in(arguments.fleet)) as registry:
        kiosk = _station(registry, arguments).kiosk
        count = registry.revoke(kiosk)
        authority.open_authority(arguments.fleet).publish(registry.revoked)
    print(
        f"{kiosk}: {count} certificates revoked; copy crl.pem beside the broker and reload it (SIGHUP), then end"
        f" the connection that it may still have: {_cutting(arguments)}"
    )
    return 0


def _cutting(arguments: argparse.Namespace) -> str:
    """The command line that cuts it, with what was given for it here."""
    given = {"--at-broker": arguments.url or "URL", "--ca-file": arguments.ca_file}
    if arguments.least_tls != shared.LEAST_TLS:
        given["--least-tls"] = arguments.least_tls
    named = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    return _command(arguments, "cut", arguments.kiosk, *named)


def replace_(arguments: argparse.Namespace) -> int:
    """Revoke it, and make the code for its successor."""
    revoke(arguments)
    arguments.again = False
    return provision.run(arguments)


def cut_(arguments: argparse.Namespace) -> int:
    """0 if it stayed away, 1 if it came back."""
    with Fleet(shared.registry_in(arguments.fleet)) as registry:
        station = _station(registry, arguments)
    if station.state == "enrolled":
        raise FleetError(
            f"{station.kiosk} would come right back: its certificate is good",
            hint=f"first: {_command(arguments, 'revoke', station.kiosk)}",
        )
    if arguments.url is None or not arguments.url.startswith("mqtts://"):
        raise FleetError("at which broker?", hint="give --at-broker mqtts://HOST:PORT")
    arguments.broker = arguments.url
    broker = shared.broker_of(arguments, arguments.kiosk)
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


def list_(arguments: argparse.Namespace) -> int:
    """A line for each, in the order of their names; where it is known who was heard when, in that order."""
    with Fleet(shared.registry_in(arguments.fleet)) as registry:
        stations = registry.stations(arguments.kiosk)
    arguments.broker = arguments.url
    told = {} if arguments.url is None else presence.statuses(shared.broker_of(arguments, "central-operator"))
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
    shown = [
        (station, seen)
        for station, seen in rows
        if (not arguments.state or station.state in arguments.state) and seen.seen_s <= before_s
    ]
    if arguments.json:
        for station, seen in shown:
            print(json.dumps(_record(station, seen), ensure_ascii=False))
        return 0
    heading = [*COLUMNS[:-1], f"seen ({arguments.zone})", *(["serial"] if arguments.wide else [])]
    lines = [_row(station, seen, arguments) for station, seen in shown]
    if any(station.copies for station, _ in shown):
        heading.insert(ALARM, "alarm")
        for cells, (station, _) in zip(lines, shown, strict=True):
            cells.insert(ALARM, "copied?" if station.copies else "-")
    for line in export.columns(heading, lines):
        print(line)
    return 0


def _row(station: Station, seen: presence.Presence, arguments: argparse.Namespace) -> list[str]:
    expires = shared.day_at(station.expires_s, arguments.zone) if station.expires_s else "-"
    last = shared.minute_at(seen.seen_s, arguments.zone) if seen.seen_s else "-"
    serial = [station.serial or "-"] if arguments.wide else []
    return [station.kiosk, station.site, station.state, expires, str(station.reuses), seen.link or "-", last, *serial]


def _record(station: Station, seen: presence.Presence) -> dict[str, object]:
    return asdict(station) | {"link": seen.link, "seen_s": seen.seen_s}
