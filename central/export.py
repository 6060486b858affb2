"""Entries for people and for their spreadsheets.

A spreadsheet runs what begins with `=`, `+`, `-` or `@`. Everything in an entry may come from a code that a stranger
made, so such cells get an apostrophe in front, which spreadsheets show as text [1].

Sources:
    [1] OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.ledger import Row

COLUMNS = (
    "at", "clock", "kiosk", "site", "lane", "direction", "document", "flags", "number", "qid", "name", "birth_year",
    "birth_date", "sex", "phone", "insurance", "received", "id", "outbox", "seq",
)  # fmt: skip
_TABLE = ("at", "kiosk", "lane", "direction", "document", "number", "name")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(rows: Iterable[Row], form: str, out: TextIO) -> int:
    """Write entries.

    Args:
        rows: In the order wanted.
        form: "table", "csv" or "json" (one object a line).
        out: Where to.

    Returns:
        How many there were.
    """
    count = 0
    table = csv.writer(out, lineterminator="\n") if form == "csv" else None
    if table is not None:
        table.writerow(COLUMNS)
    for count, row in enumerate(rows, 1):  # noqa: B007  counted for the caller
        record = record_of(row)
        if table is not None:
            table.writerow([safe_cell(record.get(column, "")) for column in COLUMNS])
        elif form == "json":
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            out.write("  ".join(printable(record.get(column, "-")) for column in _TABLE) + "\n")
    return count


def record_of(row: Row) -> dict[str, str]:
    """One entry as named texts; parts of the holder that were not kept are absent."""
    entry = row.entry
    return {
        "at": _iso(entry.at.wall_ns),
        "clock": entry.at.quality.value,
        "kiosk": entry.kiosk,
        "site": entry.site,
        "lane": entry.lane,
        "direction": entry.direction.value,
        "document": entry.document,
        "flags": " ".join(entry.flags),
        **{name: value for name, value in entry.person if name in COLUMNS},
        "received": _iso(row.received_ns),
        "id": str(entry.id),
        "outbox": str(row.outbox),
        "seq": str(row.seq),
    }


def safe_cell(text: str) -> str:
    """The text in a form that no spreadsheet runs."""
    return "'" + text if text.startswith(_FORMULA) else text


def printable(text: str) -> str:
    """Nothing that moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _iso(wall_ns: int) -> str:
    try:
        return datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return f"ns:{wall_ns}"
