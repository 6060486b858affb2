"""`central area`: the parts of the country that somebody answers for, as a tree, with the days on which each was what it was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from central.commands import register as shared
from central.supervise import importing
from central.supervise.register import Register
from kiosk.cli import words
from kiosk.cli.words import Action
from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import date

    from central.supervise.places import Area, District
    from kiosk.cli.words import Parser

COLUMNS = ("area", "name", "kind", "id", "from", "until", "population", "sites")


def options(parser: Parser) -> None:
    """What it takes."""
    words.actions(
        parser,
        (
            Action(
                "import",
                "take in a table of areas, all of it or nothing",
                import_,
                partial(shared.add_import, what="area"),
            ),
            Action("list", "the tree of a day, with how many sites each has", list_, shared.add_list),
        ),
    )


def import_(arguments: argparse.Namespace) -> int:
    """Take a table in."""
    return shared.take(arguments, "area", importing.areas)


def list_(arguments: argparse.Namespace) -> int:
    """A line for each."""
    with shared.opened(arguments) as database:
        district = Register(database).district()
    day = shared.today(arguments)
    begin = district.roots(day)
    if arguments.area:
        if not district.within(arguments.area, day):
            raise SupervisionError(
                f"there is no area {arguments.area!r} on {day}", hint="`central area list` names them"
            )
        begin = [district.areas[arguments.area]]
    rows = [
        ("  " * depth + (area.name if not arguments.json else area.id), area.name, area.kind, area.id, area.days.begins, area.days.until,
         area.population, len(district.sites_in(area.id, day)))
        for depth, area in _tree(district, begin, day)
    ]  # fmt: skip
    if arguments.json:
        return shared.show(arguments, COLUMNS[1:], [row[1:] for row in rows])
    return shared.show(arguments, (COLUMNS[0], *COLUMNS[2:]), [(row[0], *row[2:]) for row in rows])


def _tree(district: District, areas: list[Area], day: date, depth: int = 0) -> Iterator[tuple[int, Area]]:
    for area in areas:
        yield depth, area
        yield from _tree(district, district.children(area.id, day), day, depth + 1)
