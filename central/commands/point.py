"""`central point`: which station hangs at which site, since when."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from central.commands import options as centre
from central.commands import register as shared
from central.supervise import importing
from central.supervise.places import Days, Point
from central.supervise.register import Register
from kiosk.cli import values, words
from kiosk.cli.words import Action, meant
from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    import argparse

    from kiosk.cli.words import Parser

COLUMNS = ("kiosk", "site", "name", "area", "from", "until")


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action("add", "a station hangs at a site from a day on; where it hung before, it ends", add, _add_add),
            Action(
                "import",
                "take in a table of them, all of it or nothing",
                import_,
                partial(shared.add_import, what="point"),
            ),
            Action("list", "what hangs where on a day", list_, shared.add_list),
        ),
    )


def _add_add(parser: Parser) -> None:
    parser.add_argument("kiosk", type=centre.kiosk, metavar="KIOSK", help="which station")
    parser.add_argument("site", metavar="SITE", help="at which site")
    parser.add_argument("--from", dest="day", type=values.day, metavar="DAY", help="since which day (default: today)")
    shared.add_register(parser)
    centre.add_zone(parser)


def add(arguments: argparse.Namespace) -> int:
    """One of them."""
    day = shared.today(arguments)
    with shared.opened(arguments) as database:
        register = Register(database)
        district = register.district()
        if arguments.site not in district.sites:
            raise SupervisionError(
                f"there is no site {arguments.site!r}{meant(arguments.site, district.sites)}",
                hint="`central site list` names them",
            )
        before = district.site_of(arguments.kiosk, day)
        register.take(points=[Point(arguments.kiosk, arguments.site, Days(day))])
    print(
        f"{arguments.kiosk}: at {arguments.site} from {day} on"
        + (f", until then at {before}" if before not in {None, arguments.site} else "")
    )
    return 0


def import_(arguments: argparse.Namespace) -> int:
    """Take a table in."""
    return shared.take(arguments, "point", importing.points)


def list_(arguments: argparse.Namespace) -> int:
    """A line for each."""
    with shared.opened(arguments) as database:
        district = Register(database).district()
    day = shared.today(arguments)
    inside = district.within(arguments.area, day) if arguments.area else None
    rows = []
    for point in district.points:
        site = district.sites[point.site]
        if day in point.days and (inside is None or site.area_on(day) in inside):
            rows.append((point.kiosk, point.site, site.name, site.area_on(day), point.days.begins, point.days.until))
    return shared.show(arguments, COLUMNS, rows)
