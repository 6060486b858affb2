"""`central audit`: is every entry of every kiosk there, once?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.commands import options as shared
from central.ledgers.choice import open_ledger

if TYPE_CHECKING:
    import argparse

    from central.ledgers.ledger import Stream


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)


def run(arguments: argparse.Namespace) -> int:
    """A line for each outbox file, and a sum; 1 if an entry is missing or doubled, or nothing is there."""
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        streams = ledger.streams(arguments.kiosk)
        entries, doubled = ledger.count(arguments.kiosk), ledger.doubled(arguments.kiosk)
    finally:
        ledger.close()
    for stream in streams:
        print(_verdict(stream))
    missing = sum(last - first + 1 for stream in streams for first, last in stream.gaps)
    aside = sum(stream.aside for stream in streams)
    print(f"audit streams={len(streams)} entries={entries} missing={missing} doubled={doubled} set_aside={aside}")
    return 0 if streams and not doubled and all(stream.complete for stream in streams) else 1


def _verdict(stream: Stream) -> str:
    gaps = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in stream.gaps[:10])
    more = "…" if len(stream.gaps) > 10 else ""
    return (
        f"kiosk={stream.kiosk} outbox={stream.outbox} {'complete' if stream.complete else 'INCOMPLETE'} "
        f"through={stream.through} highest={stream.highest} delivered={stream.delivered} gaps={gaps or 'none'}{more} "
        f"repeated={stream.repeated} elsewhere={stream.elsewhere} set_aside={stream.aside}"
    )
