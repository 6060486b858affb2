"""`central entries`: list or export entries; it opens no name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.commands import options as shared
from central.ledgers.choice import open_ledger

if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    shared.add_span(parser)
    shared.add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write them."""
    shared.check_format(arguments)
    since_ns, until_ns = shared.since_until(arguments)
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        count = shared.write_entries(ledger.entries(arguments.kiosk, since_ns, until_ns), arguments)
    finally:
        ledger.close()
    if arguments.out is not None:
        print(f"{count} entries written to {arguments.out}")
    return 0
