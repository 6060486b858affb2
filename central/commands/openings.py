"""`central openings`: who opened persons, when, which and why; and whether any of these lines was changed or taken away."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.ledgers import chain, export
from central.ledgers.choice import open_ledger
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from datetime import tzinfo

_NS = re.compile(r"\b(since|until)=([0-9]{1,19})(?= |$)")
"""How lines were written before they spoke in dates; the ledger keeps them as they are."""


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument(
        "verb",
        nargs="?",
        choices=("verify",),
        help="see whether all lines are there as they were written; else list them",
    )
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        type=_head,
        metavar="HASH",
        help="of verify: a head that `central open` printed; it must be among the lines' hashes",
    )
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    shared.add_zone(parser)


def run(arguments: argparse.Namespace) -> int:
    """A line for each, oldest first; or 0 if all are as they were written, 1 if not."""
    if arguments.verb == "verify":
        return _verify(arguments)
    if arguments.head:
        raise ConfigError("--head is for `central openings verify`", hint="write verify, or leave --head out")
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        rows = [
            (
                shared.minute_at(one.at_ns // 10**9, arguments.zone),
                one.who,
                _readable(one.scope, arguments.zone),
                "" if one.shown is None else str(one.shown),
                one.reason,
            )
            for one in ledger.openings()
        ]
    finally:
        ledger.close()
    for line in export.columns((f"at ({arguments.zone})", "who", "which", "shown", "why"), rows):
        print(line)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        lines = ledger.openings()
    finally:
        ledger.close()
    broken = chain.first_broken(lines)
    if broken is not None:
        at = shared.minute_at(lines[broken - 1].at_ns // 10**9, arguments.zone)
        print(
            f"openings: line {broken}, of {at}, is not as it was written, or one before it is gone; compare with a backup of the ledger",
            file=sys.stderr,
        )
        return 1
    known = {chain.BEGIN, *chain.hashes_of(lines)}
    for head in arguments.head:
        if head not in known:
            print(
                f"openings: head {head} is not among the {len(lines)} lines: some were taken away, or all were written anew; compare"
                " with a backup of the ledger",
                file=sys.stderr,
            )
            return 1
    print(f"openings lines={len(lines)} head={chain.head_of(lines)}")
    return 0


def _head(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("a head is 64 hexadecimal digits")
    return text


def _readable(scope: str, office: tzinfo) -> str:
    def date(found: re.Match[str]) -> str:
        return f"{found[1]}={export.iso(int(found[2]), office, 'minutes')}"

    return _NS.sub(date, scope)
