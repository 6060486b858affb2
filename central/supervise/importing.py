"""Areas, sites and points from a table that an office has typed: CSV of any spreadsheet, headings in Vietnamese or English.

Every mistake is told, with its line and its column, and nothing is taken in while there is one. A table says what *is*: a row whose id is
known takes the place of what is there. A row that is missing changes nothing, nor does a column; an empty cell is the column's usual value.

Days are written as 2026-11-23 or as 23/11/2026.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from central.supervise import hours
from central.supervise.places import Area, Days, Point, Site
from kiosk import forms
from kiosk.cli.words import meant
from kiosk.disk.text import text_of
from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from central.supervise.places import District

Made = TypeVar("Made")

LARGEST_BYTES = 5_000_000
MOST_ROWS = 20_000
LONGEST_TEXT = 200
TOLD = 20
"""So many mistakes are told; of more their number."""
MINUTES_MAX = 24 * 60
_SEPARATORS = (",", ";", "\t")
_VIETNAMESE_DAY = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})")
DIRECTIONS = ("in", "out")
COLUMNS = {
    "area": ("id", "parent", "kind", "name", "name_en", "population", "from", "until"),
    "site": (
        "id", "area", "area_from", "kind", "name", "address", "contact", "phone", "hours", "longest_stay_min", "lag_min", "needs",
        "exempt", "from", "until",
    ),
    "point": ("kiosk", "site", "from", "until"),
}  # fmt: skip
"""What a table of each kind may have, in English."""
NEEDED = {"area": ("id", "name"), "site": ("id", "area", "name"), "point": ("kiosk", "site")}
VIETNAMESE = {
    "mã": "id", "thuộc": "parent", "loại": "kind", "tên": "name", "tên tiếng anh": "name_en", "dân số": "population", "từ ngày": "from",
    "đến ngày": "until", "khu vực": "area", "khu vực từ ngày": "area_from", "địa chỉ": "address", "phụ trách": "contact",
    "điện thoại": "phone", "giờ mở cửa": "hours", "ở lâu nhất (phút)": "longest_stay_min", "còn lại (phút)": "lag_min",
    "chiều": "needs", "miễn": "exempt", "trạm": "kiosk", "điểm": "site",
}  # fmt: skip
"""Headings as an office writes them."""


class WrongTableError(SupervisionError):
    """A table has mistakes; nothing of it was taken in."""

    hint = ""

    def __init__(self, name: str, mistakes: list[str]) -> None:
        more = [f"and {len(mistakes) - TOLD} more"] if len(mistakes) > TOLD else []
        super().__init__("\n  ".join([f"{name} was not taken in:", *mistakes[:TOLD], *more]))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class _Line:
    """One row: its cells by column, where they stand, and what is wrong with them so far."""

    number: int
    cells: Mapping[str, str]
    mistakes: list[str]

    def take(self, column: str, read: Callable[[str], Made], usual: Made, before: Area | Site | None = None) -> Made:
        """A cell as it is meant.

        Args:
            column: Which.
            read: From its text.
            usual: What an empty cell means, and a wrong one until it is told.
            before: What is known under this id: a table without this column leaves it as it is.
        """
        if column not in self.cells:
            known: Made = usual if before is None else getattr(before, column)
            return known
        text = " ".join(self.cells[column].split())
        try:
            if len(text) > LONGEST_TEXT:
                raise ValueError(f"has {len(text)} signs, more than {LONGEST_TEXT}")
            if not text.isprintable():
                raise ValueError("has signs that are not seen")
            return read(text) if text else usual
        except ValueError as error:
            self.wrong(column, str(error))
            return usual

    def wrong(self, column: str, why: str) -> None:
        """Note a mistake."""
        self.mistakes.append(f"line {self.number}, {column}: {why}")

    def needed(self, column: str, read: Callable[[str], str]) -> str:
        """A cell that may not be empty."""
        if not self.cells.get(column, "").strip():
            self.wrong(column, "is empty")
        return self.take(column, read, "")

    def days(self, today: date, before: Area | Site | Point | None) -> Days:
        """From the columns `from` and `until`; where nothing is said of the first day it is as before, or today."""
        known = Days(today) if before is None else before.days
        begins = self.take("from", _day, known.begins)
        until = self.take("until", _day, None) if "until" in self.cells else known.until
        if until is not None and until <= begins:
            self.wrong("until", f"{until} is not after {begins}; it is the first day on which it is no more")
            until = None
        return Days(begins, until)


def areas(path: Path, known: District, today: date) -> list[Area]:
    """A table of areas.

    Args:
        path: The file.
        known: The register as it is.
        today: Since when a new one is there, if its line does not say so.

    Raises:
        WrongTableError: There are mistakes in it; all are told.
        SupervisionError: It cannot be read.
    """

    def area(line: _Line) -> Area:
        before = known.areas.get(name := line.needed("id", _id))
        return Area(
            id=name,
            parent=line.take("parent", _id, "", before),
            kind=line.take("kind", str, "area", before),
            name=line.needed("name", str),
            days=line.days(today, before),
            name_en=line.take("name_en", str, "", before),
            population=line.take("population", _up_to(10**9), None, before),
        )

    return _read(path, "area", area, lambda each: each.id)


def sites(path: Path, known: District, today: date) -> list[Site]:
    """A table of sites. Where a site that is known lies in another area from a day on, the column `area_from` says since when.

    Args:
        path: The file.
        known: The register as it is.
        today: Since when a new one is registered, if its line does not say so.

    Raises:
        WrongTableError: There are mistakes in it; all are told.
        SupervisionError: It cannot be read.
    """

    def site(line: _Line) -> Site:
        before = known.sites.get(name := line.needed("id", _id))
        days = line.days(today, before)
        return Site(
            id=name,
            areas=_areas_of(line, days, before),
            kind=line.take("kind", str, "office", before),
            name=line.needed("name", str),
            days=days,
            hours=line.take("hours", hours.read, hours.Hours(), before),
            address=line.take("address", str, "", before),
            contact=line.take("contact", str, "", before),
            phone=line.take("phone", str, "", before),
            longest_stay_min=line.take("longest_stay_min", _up_to(7 * MINUTES_MAX), 480, before),
            lag_min=line.take("lag_min", _up_to(MINUTES_MAX), 30, before),
            needs=line.take("needs", _needs, DIRECTIONS, before),
            exempt=line.take("exempt", _exempt, (), before),
        )

    return _read(path, "site", site, lambda each: each.id)


def points(path: Path, known: District, today: date) -> list[Point]:
    """A table of points.

    Args:
        path: The file.
        known: The register as it is.
        today: Since when a station hangs there, if its line does not say so.

    Raises:
        WrongTableError: There are mistakes in it; all are told.
        SupervisionError: It cannot be read.
    """

    def point(line: _Line) -> Point:
        kiosk, site = line.needed("kiosk", _id), line.needed("site", _id)
        if site and site not in known.sites:
            line.wrong("site", f"there is no site {site!r}{meant(site, known.sites)}")
        there = next(
            (each for each in known.points if (each.kiosk, each.site, each.days.until) == (kiosk, site, None)), None
        )
        return Point(kiosk, site, line.days(today, there))

    return _read(path, "point", point, lambda each: f"{each.kiosk} {each.days.begins}")


def _areas_of(line: _Line, days: Days, before: Site | None) -> tuple[tuple[str, Days], ...]:
    name, since = line.needed("area", _id), line.take("area_from", _day, None)
    if before is None:
        return ((name, Days(since or days.begins, days.until)),)
    last, last_days = before.areas[-1]
    if name == last and since in {None, last_days.begins}:
        return (*before.areas[:-1], (last, replace(last_days, until=days.until)))
    if since is None:
        line.wrong("area_from", f"it lay in {last!r} until now: since when does it lie in {name!r}?")
    elif since <= last_days.begins:
        line.wrong("area_from", f"{since} is not after {last_days.begins}, since when it lies in {last!r}")
    else:
        return (*before.areas[:-1], (last, replace(last_days, until=since)), (name, Days(since, days.until)))
    return before.areas


def _id(text: str) -> str:
    if fault := forms.fault_of_id(text):
        raise ValueError("; ".join(str(part) for part in fault))
    return text


def _up_to(most: int) -> Callable[[str], int]:
    """Whole numbers; thousands may have points, commas or blanks between them, as spreadsheets here write them."""

    def read(text: str) -> int:
        plain = re.sub(r"(?<=\d)[.,\s](?=\d{3}(?!\d))", "", text)
        if not re.fullmatch(r"[0-9]{1,10}", plain) or int(plain) > most:
            raise ValueError(f"{text!r} is no whole number from 0 to {most}")
        return int(plain)

    return read


def _needs(text: str) -> tuple[str, ...]:
    needs = text.replace(",", " ").split()
    if strange := [need for need in needs if need not in DIRECTIONS]:
        raise ValueError(f"{strange[0]!r} is neither in nor out")
    return tuple(direction for direction in DIRECTIONS if direction in needs)


def _exempt(text: str) -> tuple[Days, ...]:
    """Days and spans with commas between: `2026-02-16..2026-02-20, 02/09/2026`; both ends are excused."""
    spans = []
    for part in filter(None, (part.strip() for part in re.split(r"[,;]", text))):
        first, _, last = part.partition("..")
        begins = _day(first.strip())
        ends = _day(last.strip()) if last else begins
        if ends < begins:
            raise ValueError(f"{part!r} ends before it begins")
        spans.append(Days(begins, date.fromordinal(ends.toordinal() + 1)))
    return tuple(spans)


def _day(text: str) -> date:
    turned = _VIETNAMESE_DAY.fullmatch(text)
    try:
        return date(int(turned[3]), int(turned[2]), int(turned[1])) if turned else date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day; write it as 2026-11-23 or 23/11/2026") from None


def _read(path: Path, what: str, make: Callable[[_Line], Made], key: Callable[[Made], str]) -> list[Made]:
    made: list[Made] = []
    mistakes: list[str] = []
    first: dict[str, int] = {}
    for number, cells in _lines(path, what):
        line = _Line(number, cells, mistakes)
        each = make(line)
        if key(each) in first:
            mistakes.append(f"line {number}: {key(each)} stands on line {first[key(each)]}, too")
        first.setdefault(key(each), number)
        made.append(each)
    if mistakes:
        raise WrongTableError(str(path), mistakes)
    return made


def _lines(path: Path, what: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Its rows by column, and the number of the line on which each begins."""
    text = _content(path)
    heading_line = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=heading_line.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    try:
        heading = [_column(cell, what, path) for cell in next(rows, [])]
        if absent := [name for name in NEEDED[what] if name not in heading]:
            raise WrongTableError(
                str(path), [f"line 1: there is no column {absent[0]!r}; it needs {', '.join(NEEDED[what])}"]
            )
        begins = rows.line_num + 1
        for count, row in enumerate(rows):
            if count >= MOST_ROWS:
                raise WrongTableError(str(path), [f"line {begins}: more than {MOST_ROWS} rows"])
            if any(cell.strip() for cell in row):
                if len(row) > len(heading):
                    raise WrongTableError(
                        str(path), [f"line {begins}: {len(row)} cells, and the heading has {len(heading)}"]
                    )
                yield begins, dict(zip(heading, row, strict=False))
            begins = rows.line_num + 1
    except csv.Error as error:
        raise WrongTableError(str(path), [f"line {rows.line_num}: {error}"]) from error


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise SupervisionError(f"cannot read {path}: {error.strerror}", hint="name the table as a file") from error
    if len(content) > LARGEST_BYTES:
        raise SupervisionError(
            f"{path} has more than {LARGEST_BYTES // 1_000_000} MB", hint="divide it into several tables"
        )
    if content.startswith(b"PK"):
        raise SupervisionError(f"{path} is a workbook", hint="save it as CSV UTF-8 in the spreadsheet")
    try:
        return text_of(content)
    except UnicodeDecodeError as error:
        raise SupervisionError(f"{path} is not UTF-8", hint="save it as CSV UTF-8 in the spreadsheet") from error


def _column(cell: str, what: str, path: Path) -> str:
    name = " ".join(cell.split()).lower()
    column = VIETNAMESE.get(name, name)
    if column == "site" and what == "site":
        column = "id"  # "điểm" in a table of sites is the site itself
    if column not in COLUMNS[what]:
        raise WrongTableError(
            str(path),
            [
                f"line 1: there is no column {name!r} in a table of {what}s{meant(name, [*COLUMNS[what], *VIETNAMESE])}; it has {', '.join(COLUMNS[what])}"
            ],
        )
    return column
