"""`central openings`: who opened persons, when, which and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.ledgers import export
from central.ledgers.choice import open_ledger

if TYPE_CHECKING:
    import argparse
    from datetime import tzinfo

_NS = re.compile(r"\b(since|until)=([0-9]{1,19})(?= |$)")
"""How lines were written before they spoke in dates; the ledger keeps them as they are."""


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    shared.add_zone(parser)


def run(arguments: argparse.Namespace) -> int:
    """A line for each, oldest first."""
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        rows = [
            (
                shared.minute_at(one.at_ns // 10**9, arguments.zone),
                one.who,
                _readable(one.scope, arguments.zone),
                one.reason,
            )
            for one in ledger.openings()
        ]
    finally:
        ledger.close()
    for line in export.columns((f"at ({arguments.zone})", "who", "which", "why"), rows):
        print(line)
    return 0


def _readable(scope: str, office: tzinfo) -> str:
    def date(found: re.Match[str]) -> str:
        return f"{found[1]}={export.iso(int(found[2]), office, 'minutes')}"

    return _NS.sub(date, scope)
