"""`kiosk outbox`: what waits for the centre, without the names of those who wait."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kiosk import settings, wire
from kiosk.errors import WireError
from kiosk.outbox import Outbox

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Print the outbox's numbers and its oldest waiting entries."""
    config = settings.load(arguments.config)
    outbox = Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)
    try:
        if arguments.resend is not None:
            numbers = outbox.resend(*arguments.resend)
            what = (
                f"{numbers.start}..{numbers[-1]} are sent again" if numbers else "nothing of that is settled and held"
            )
            print(what, file=sys.stderr)
        facts = {
            "outbox": str(outbox.id),
            "last_seq": outbox.last_seq,
            "settled_seq": outbox.settled,
            "waiting": outbox.depth(),
        }
        rows = [_row(seq, body) for seq, body in outbox.head(outbox.settled, arguments.limit)]
    finally:
        outbox.close()
    if arguments.json:
        print(json.dumps({**facts, "oldest": rows}))
        return 0
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    for row in rows:
        print("  ".join(str(value) for value in row.values()))
    return 0


def _row(seq: int, body: bytes) -> dict[str, object]:
    try:
        entry = wire.decode_entry(body)
    except WireError:
        return {"seq": seq, "rotten_bytes": len(body)}
    at = datetime.fromtimestamp(entry.at.wall_ns / 1e9, UTC).isoformat(timespec="seconds")
    return {
        "seq": seq,
        "at": at,
        "clock": entry.at.quality.value,
        "lane": entry.lane,
        "direction": entry.direction.value,
        "document": entry.document,
    }
