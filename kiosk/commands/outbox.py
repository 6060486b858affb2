"""`kiosk outbox`: what waits for the centre, without the names of those who wait."""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from kiosk.cli import values
from kiosk.clock import SystemClock, corrected, judging_s
from kiosk.commands.options import add_config, add_json
from kiosk.delivery import wire
from kiosk.errors import WireError
from kiosk.outbox import Outbox
from kiosk.settings import loader

if TYPE_CHECKING:
    from kiosk.model import Moment


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    add_json(parser)
    parser.add_argument(
        "--limit", type=values.whole(1), default=10, metavar="N", help="how many of the oldest waiting (default: 10)"
    )
    parser.add_argument(
        "--resend",
        type=_numbers,
        metavar="FROM..TO",
        help="send these settled entries once more, or everything from FROM on; repeats are harmless",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the outbox's numbers and its oldest waiting entries."""
    config = loader.load(arguments.config)
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
        now = SystemClock(config.state.runtime_dir).now()
        rows = [_row(seq, body, now, config.clock.zone) for seq, body in outbox.head(outbox.settled, arguments.limit)]
    finally:
        outbox.close()
    if arguments.json:
        print(json.dumps({**facts, "oldest": rows}))
        return 0
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    for row in rows:
        print("  ".join("-" if value is None else str(value) for value in row.values()))
    return 0


def _row(seq: int, body: bytes, now: Moment, zone: str) -> dict[str, object]:
    """One entry, with the time that it would be sent with now; None for one that nobody knows."""
    try:
        entry = wire.decode_entry(body)
    except WireError:
        return {"seq": seq, "rotten_bytes": len(body)}
    at = corrected(entry.at, now)
    at_s = judging_s(at)
    return {
        "seq": seq,
        "at": None if at_s is None else datetime.fromtimestamp(at_s, ZoneInfo(zone)).isoformat(timespec="seconds"),
        "clock": at.quality.value,
        "lane": entry.lane,
        "direction": entry.direction.value,
        "document": entry.document,
    }


def _numbers(text: str) -> tuple[int, int | None]:
    """FROM..TO; FROM and FROM.. go on to the newest that is settled."""
    found = re.fullmatch(r"([1-9][0-9]{0,15})(?:\.\.([1-9][0-9]{0,15})?)?", text)
    if found is None:
        raise argparse.ArgumentTypeError("numbers are written FROM..TO, FROM.. or FROM, as in 41..52")
    first, last = int(found[1]), None if found[2] is None else int(found[2])
    if last is not None and last < first:
        raise argparse.ArgumentTypeError(f"{last} comes before {first}")
    return first, last
