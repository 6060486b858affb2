"""`central entries`: list or export entries; it opens no name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.ledgers import export
from central.ledgers.choice import open_ledger
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    shared.add_span(parser)
    parser.add_argument(
        "--format", choices=("table", "csv", "json", "xlsx"), default="table", help="default: %(default)s"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to the terminal")


def run(arguments: argparse.Namespace) -> int:
    """Write them."""
    if arguments.format == "xlsx" and arguments.out is None:
        raise ConfigError("a spreadsheet is no text for a terminal", hint="name its file with --out")
    since_ns, until_ns = shared.since_until(arguments)
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        rows = ledger.entries(arguments.kiosk, since_ns, until_ns)
        if arguments.out is None:
            export.write(rows, arguments.format, sys.stdout, arguments.zone)
            return 0
        if arguments.format == "xlsx":
            count = export.write_xlsx(rows, arguments.out, arguments.zone)
        else:
            with shared.private_file(arguments.out) as out:
                count = export.write(rows, arguments.format, out, arguments.zone)
    finally:
        ledger.close()
    print(f"{count} entries written to {arguments.out}")
    return 0
