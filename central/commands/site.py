"""`central site`: where people enter, in which area, when it is open, and whether anything hangs there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options as centre
from central.commands import register as shared
from central.fleet.registry import Fleet
from central.supervise import importing
from central.supervise.register import Register
from kiosk.cli import values, words
from kiosk.cli.words import Action
from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    import argparse

    from kiosk.cli.words import Parser

COLUMNS = ("site", "name", "area", "kind", "hours", "needs", "due", "stations", "from", "until")
UNKNOWN = "(not registered)"
"""In the place of a name, where only stations know the site."""


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action(
                "import",
                "take in a table of sites, all of it or nothing",
                import_,
                partial(shared.add_import, what="site"),
            ),
            Action("list", "the sites of a day; --without-station for those at which nothing hangs", list_, _add_list),
            Action("close", "end a site on a day; what is known of it stays", close, _add_close),
        ),
    )


def _add_list(parser: Parser) -> None:
    shared.add_list(parser)
    parser.add_argument("--without-station", action="store_true", help="only those at which no station hangs")
    parser.add_argument(
        "--stations",
        type=Path,
        metavar="DIR",
        help="the fleet's folder: also sites that its stations name and nobody has registered",
    )


def _add_close(parser: Parser) -> None:
    parser.add_argument("site", metavar="ID", help="which site")
    parser.add_argument(
        "--on", dest="day", type=values.day, metavar="DAY", help="the first day on which it is none (default: today)"
    )
    shared.add_register(parser)
    centre.add_zone(parser)


def import_(arguments: argparse.Namespace) -> int:
    """Take a table in."""
    return shared.take(arguments, "site", importing.sites)


def list_(arguments: argparse.Namespace) -> int:
    """A line for each; those that only stations know come last, marked."""
    with shared.opened(arguments) as database:
        district = Register(database).district()
    day = shared.today(arguments)
    if arguments.area and not district.within(arguments.area, day):
        raise SupervisionError(f"there is no area {arguments.area!r} on {day}", hint="`central area list` names them")
    sites = [site for _, site in sorted(district.sites.items()) if day in site.days]
    sites = district.sites_in(arguments.area, day) if arguments.area else sites
    rows: list[tuple[object, ...]] = []
    for site in sites:
        hang = district.stations_at(site.id, day)
        if not (arguments.without_station and hang):
            due = "yes" if site.is_due(day) else "new" if site.is_new(day) else "no"
            rows.append(
                (
                    site.id,
                    site.name,
                    site.area_on(day),
                    site.kind,
                    str(site.hours),
                    " ".join(site.needs),
                    due,
                    " ".join(hang),
                    site.days.begins,
                    site.days.until,
                )
            )
    if arguments.stations and not arguments.area:
        rows += _unknown(arguments, set(district.sites))
    return shared.show(arguments, COLUMNS, rows)


def _unknown(arguments: argparse.Namespace, known: set[str]) -> list[tuple[object, ...]]:
    """Sites that stations were set up for and that nobody has registered."""
    named: dict[str, list[str]] = {}
    with Fleet(centre.registry_in(arguments.stations)) as fleet:
        for station in fleet.stations():
            if station.site not in known:
                named.setdefault(station.site, []).append(station.kiosk)
    return [(site, UNKNOWN, "", "", "", "", "", " ".join(kiosks), None, None) for site, kiosks in sorted(named.items())]


def close(arguments: argparse.Namespace) -> int:
    """End it, and whatever hangs there."""
    day = shared.today(arguments)
    with shared.opened(arguments) as database:
        Register(database).close_site(arguments.site, day)
    print(
        f"{arguments.site}: closed from {day} on; its stations hang nowhere from then on, until `central point add` says where"
    )
    return 0
