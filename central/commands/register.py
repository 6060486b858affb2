"""What `central area`, `site` and `point` share: tables that are taken in, lists that are shown, and where the register is.

The register is begun with `--new`, never silently: an office that typed a wrong name must not find itself with two.
"""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from central.commands import options as shared
from central.ledgers import export
from central.supervise.database import open_database
from central.supervise.importing import COLUMNS, NEEDED
from central.supervise.register import Register
from kiosk.cli import values

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from central.supervise.database import Database
    from central.supervise.places import District
    from kiosk.cli.words import Parser

DEFAULT = "supervision.db"


def place() -> str:
    """Where the register is, if nothing else is said."""
    return os.environ.get("KIOSK_SUPERVISION", DEFAULT)


def add_register(parser: argparse._ActionsContainer, *, begins: bool = False) -> None:
    """Which register."""
    parser.add_argument(
        "--supervision",
        default=place(),
        metavar="FILE|URL",
        help=f"the register, a file or postgresql://… (default: $KIOSK_SUPERVISION or {DEFAULT})",
    )
    if begins:
        parser.add_argument("--new", action="store_true", help="begin a register where there is none")


def add_import(parser: Parser, what: str) -> None:
    """A table that is taken in."""
    needed = ", ".join(NEEDED[what])
    rest = ", ".join(name for name in COLUMNS[what] if name not in NEEDED[what])
    parser.add_argument(
        "table",
        type=Path,
        metavar="FILE",
        help=f"CSV with the columns {needed}; also {rest}; headings may be Vietnamese (docs/registry.md)",
    )
    add_register(parser, begins=True)
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    shared.add_zone(parser)


def add_list(parser: Parser) -> None:
    """What is shown of it."""
    parser.add_argument(
        "--day", type=values.day, metavar="DAY", help="as it was or will be on that day (default: today)"
    )
    parser.add_argument("--area", metavar="ID", help="in this area and all below it")
    parser.add_argument("--json", action="store_true", help="for programs: JSON, one object a line")
    add_register(parser)
    shared.add_zone(parser)


def opened(arguments: argparse.Namespace) -> Database:
    """The register that was named."""
    return open_database(arguments.supervision, new=getattr(arguments, "new", False))


def today(arguments: argparse.Namespace) -> date:
    """The day that was asked for, or the office's today."""
    day: date | None = getattr(arguments, "day", None)
    return day or datetime.now(arguments.zone).date()


def take(arguments: argparse.Namespace, what: str, read: Callable[[Path, District, date], list[Any]]) -> int:
    """Take a table in; say what has changed."""
    with opened(arguments) as database:
        register = Register(database)
        rows = read(arguments.table, register.district(), today(arguments))
        new, changed = register.take(**{f"{what}s": rows}, only_judge=arguments.dry_run)
    would = "would be " if arguments.dry_run else ""
    print(
        f"{len(rows)} {what}s in {arguments.table}: {would}new={new} changed={changed} as_before={len(rows) - new - changed}"
    )
    return 0


def show(arguments: argparse.Namespace, heading: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
    """Write a list, as a table or for programs."""
    if arguments.json:
        for row in rows:
            print(json.dumps(dict(zip(heading, row, strict=True)), ensure_ascii=False, default=str))
        return 0
    for line in export.columns(heading, [["-" if cell in ("", None) else str(cell) for cell in row] for row in rows]):
        print(line)
    return 0
