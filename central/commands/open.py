"""`central open`: open sealed persons with a private key, for a reason that is kept."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING
from uuid import UUID

from central.commands import options as shared
from central.keys import opening
from central.keys.keystore import KeyStore
from central.ledgers.choice import open_ledger
from kiosk.errors import SealError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.ledgers.ledger import Row


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    shared.add_keys(parser, "the folder of private keys")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stays in the ledger")
    parser.add_argument("--entry", type=_entry_id, metavar="ID", help="this entry only")
    shared.add_span(parser)
    shared.add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Open them, after a line in the audit; 1 if a box was damaged."""
    shared.check_format(arguments)
    keys = {one.key.public.id: one.key for one in KeyStore(arguments.keys).stored()}
    if not keys:
        raise SealError(
            f"there is no private key in {arguments.keys}", hint="name the folder of `central keys` with --keys"
        )
    since_ns, until_ns = shared.since_until(arguments)
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        noted = opening.note(ledger, arguments.reason, _scope(arguments))
        rows: Iterable[Row] = ledger.entries(arguments.kiosk, since_ns, until_ns)
        if arguments.entry is not None:
            rows = (row for row in rows if row.entry.id == arguments.entry)
        opener = opening.Opener(keys)
        try:
            shared.write_entries(opener.open(rows), arguments)
        finally:
            head = opening.note_shown(ledger, noted, opener.count)
    finally:
        ledger.close()
    count = opener.count
    print(f"audit head={head}", file=sys.stderr)
    print(
        f"open opened={count.opened} without_key={count.without_key} damaged={count.damaged} never_sealed={count.open}",
        file=sys.stderr,
    )
    return 0 if not count.damaged else 1


def _scope(arguments: argparse.Namespace) -> str:
    """Which entries were asked for, for whoever reads the audit later, in whatever zone."""
    asked = {"kiosk": arguments.kiosk, "since": arguments.since, "until": arguments.until, "entry": arguments.entry}
    for name in ("since", "until"):
        if asked[name] is not None:
            asked[name] = shared.known(asked[name], arguments.zone).isoformat(timespec="minutes")
    return " ".join(f"{name}={value}" for name, value in asked.items() if value is not None) or "all"


def _entry_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        hint = "`central entries --format csv` has it in the column id"
        raise argparse.ArgumentTypeError(f"{text!r} is no entry's id; {hint}") from None
