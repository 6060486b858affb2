"""Entries for people and for their spreadsheets.

A spreadsheet runs what begins with `=`, `+`, `-` or `@`. Everything in an entry may come from a code that a stranger made. In CSV
such cells get an apostrophe in front, which spreadsheets show as text [1]; also behind a separator inside of a cell, because a
spreadsheet of another country splits at semicolons. An XLSX file says of every cell that it is text [2].

CSV is for programs: Excel takes a file without a byte order mark for the machine's old code page, and what looks like a number for a number, so that
identity numbers lose their zeros and their last digits. "excel-csv" is for a double click in Excel: UTF-8 with the mark, CRLF, and every
cell a formula that is nothing but its text (`="001090000123"`), the one form in which Excel keeps both the text and the row. A first line `sep=;` would
have Excel forget the mark, so the separator is Excel's own: of the region that the machine is set to.

Sources:
    [1] OWASP, "CSV Injection".
    [2] XlsxWriter, worksheet.write_string(): never a formula, a link or a number.
    [3] Excel specifications and limits: text in a formula has 255 characters at most.
"""

from __future__ import annotations

import csv
import json
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from kiosk.errors import ConfigError, LedgerError
from kiosk.forms import PERSON_PARTS
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from central.ledgers.ledger import Row

COLUMNS = (
    "at", "clock", "kiosk", "site", "lane", "direction", "document", "flags", "number", "qid", "name", "birth_year",
    "birth_date", "sex", "phone", "insurance", "sealed", "received", "id", "outbox", "seq",
)  # fmt: skip
_TABLE = {"at": 21, "kiosk": 14, "lane": 6, "direction": 9, "document": 9, "number": 12, "name": 0}
"""Columns of a table, and how wide they are at least."""
_FORMULA = re.compile('(^|[,;|\t\r\n"])(?=\\s*[=+\\-@＝＋－＠])')
_MOVES_ON = ("\t", "\r", "\n")
_LITERAL_CHARACTERS = 255
"""Of one text in a formula of Excel's [3]."""
SEPARATORS = (";", ",")
"""Excel's: the first where decimals have a comma, as in Vietnam."""
MOST_ROWS = 1_048_575
"""Of one XLSX sheet below its heading."""


def write(rows: Iterable[Row], form: str, out: TextIO, office: tzinfo, separator: str = SEPARATORS[0]) -> int:
    """Write entries.

    Tables and both kinds of CSV are read in an office, so their times are in its zone; JSON is read by programs, and has UTC.

    Args:
        rows: In the order wanted.
        form: "table", "csv", "excel-csv" or "json" (one object a line).
        out: Where to.
        office: The office's zone.
        separator: Of "excel-csv".

    Returns:
        How many there were.
    """
    count = 0
    table, cell = None, safe_cell
    if form == "csv":
        table = csv.writer(out, lineterminator="\n")
    elif form == "excel-csv":
        out.write("\ufeff")
        table, cell = csv.writer(out, delimiter=separator, lineterminator="\r\n", quoting=csv.QUOTE_ALL), excel_cell
    if table is not None:
        table.writerow(COLUMNS)
    elif form == "table":
        out.write(_table_line({column: column for column in _TABLE} | {"at": f"at ({office})"}))
    for count, row in enumerate(rows, 1):  # noqa: B007  counted for the caller
        if table is not None:
            record = record_of(row, office)
            table.writerow([cell(record.get(column, "")) for column in COLUMNS])
        elif form == "json":
            out.write(json.dumps(record_of(row, UTC), ensure_ascii=False) + "\n")
        else:
            record = record_of(row, office)
            at = record["at"][:19].replace("T", " ") if "at" in record else "(unset)"
            out.write(_table_line(record | {"at": at} | ({"name": "(sealed)"} if row.entry.sealed else {})))
    return count


def _table_line(record: Mapping[str, str]) -> str:
    """One line for a terminal; a text that is longer than its column pushes the rest."""
    return "  ".join(f"{printable(record.get(name, '-')):{width}}" for name, width in _TABLE.items()).rstrip() + "\n"


def record_of(row: Row, office: tzinfo) -> dict[str, str]:
    """One entry as named texts; absent are parts of the holder that were not kept or are sealed, and a time that nobody knew."""
    entry = row.entry
    is_timed = entry.at.quality is not ClockQuality.UNSET
    return {
        **({"at": iso(entry.at.wall_ns, office)} if is_timed else {}),
        "clock": entry.at.quality.value,
        "kiosk": entry.kiosk,
        "site": entry.site,
        "lane": entry.lane,
        "direction": entry.direction.value,
        "document": entry.document,
        "flags": " ".join(entry.flags),
        **{
            name: value for name, value in entry.person if name in PERSON_PARTS
        },  # no other column is a person's to name
        "sealed": " ".join(box.key for box in entry.sealed),
        "received": iso(row.received_ns, office),
        "id": str(entry.id),
        "outbox": str(row.outbox),
        "seq": str(row.seq),
    }


def safe_cell(text: str) -> str:
    """The text in a form that no spreadsheet runs, whatever it takes for a separator."""
    guarded = _FORMULA.sub(r"\1'", text)
    return "'" + guarded if guarded.startswith(_MOVES_ON) else guarded


def excel_cell(text: str) -> str:
    """The text as a formula that is nothing but this text: Excel makes no number, no date and no command of it.

    Behind a separator of another region it is guarded as in `safe_cell`, because Excel may split there.
    """
    guarded = _FORMULA.sub(lambda found: f"{found[1]}'" if found[1] else "", text)
    parts = [guarded[at : at + _LITERAL_CHARACTERS] for at in range(0, len(guarded), _LITERAL_CHARACTERS)]
    return "=" + "&".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in parts) if parts else ""


def write_xlsx(rows: Iterable[Row], path: Path, office: tzinfo) -> int:
    """Write entries as one sheet of text cells, in a file that only its owner may read.

    Returns:
        How many there were.

    Raises:
        ConfigError: XlsxWriter is not installed.
        LedgerError: The file cannot be written, or there are more entries than a sheet has rows.
    """
    try:
        import xlsxwriter  # noqa: PLC0415  an extra that nothing else needs
    except ImportError as error:
        raise ConfigError(
            f"--format xlsx needs XlsxWriter ({error})", hint="run `make centre` in the checkout"
        ) from error
    count = 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            book = xlsxwriter.Workbook(out, {"constant_memory": True})
            try:
                count = _fill(book.add_worksheet("entries"), rows, office)
            finally:
                book.close()
    except (OSError, xlsxwriter.exceptions.XlsxFileError) as error:
        if isinstance(error, LedgerError):
            path.unlink(missing_ok=True)
            raise
        raise LedgerError(f"cannot write {path}: {error}", hint="name another file with --out") from error
    return count


def _fill(sheet: Any, rows: Iterable[Row], office: tzinfo) -> int:  # noqa: ANN401  XlsxWriter has no types
    count = 0
    for place, column in enumerate(COLUMNS):
        sheet.write_string(0, place, column)
    for count, row in enumerate(rows, 1):
        if count > MOST_ROWS:
            raise LedgerError(
                f"more than {MOST_ROWS} entries", hint="choose fewer with --since and --until, or --format csv"
            )
        record = record_of(row, office)
        for place, column in enumerate(COLUMNS):
            sheet.write_string(count, place, record.get(column, ""))
    return count


def printable(text: str) -> str:
    """Nothing that moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def columns(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines for a terminal, each column as wide as its widest text; nothing in them moves the cursor."""
    table = [[printable(text) for text in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def iso(wall_ns: int, zone: tzinfo, step: str = "milliseconds") -> str:
    """A time with its zone's distance from UTC, as programs and spreadsheets read it."""
    try:
        return datetime.fromtimestamp(wall_ns / 1e9, zone).isoformat(timespec=step)
    except (OverflowError, ValueError, OSError):
        return f"ns:{wall_ns}"
