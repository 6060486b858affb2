"""The grammar that several formats share: names and dates.

A card is told by its numbers, its dates and their order. Its name is whatever was written there: no letter, mark or sign
in it makes a card wrong. What cannot be seen is taken out of it, so that a name stays one line of text wherever it goes.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from kiosk.model import BirthDate

LONGEST_NAME = 100
SPARE = 4
"""How many times as long a name may be written as it is: blanks and marks go, but somebody's patience ends."""
LONGEST_BIRTH = 64
FIRST_YEAR, LAST_YEAR = 1800, 2200

_DDMMYYYY = re.compile(r"([0-9]{2})(/?)([0-9]{2})\2([0-9]{4})")
_YEAR = re.compile(r"(?<![0-9])[0-9]{4}(?![0-9])")
_JOINERS = "\u200c\u200d"
_VIRAMA = 9
"""Canonical combining class of the signs behind which a joiner shapes a letter, in scripts of India and around."""


def name_of(text: str, longest: int = LONGEST_NAME) -> str | None:
    """The name as it was written, on one line, in NFC; None if nobody could be called so.

    White space of any kind becomes a single space; control and format characters go, except the joiners without which
    Arabic, Persian or the scripts of India are not written right. A name has a letter, and at most so many characters.

    Args:
        text: What the code says.
        longest: In characters.
    """
    if len(text) > SPARE * longest:
        return None
    seen = "".join(
        letter
        for at, letter in enumerate(text)
        if letter.isspace()
        or unicodedata.category(letter) not in {"Cc", "Cf", "Cs"}
        or (letter in _JOINERS and _shapes(text, at))
    )
    name = unicodedata.normalize("NFC", " ".join(seen.split()))
    if not 1 <= len(name) <= longest:
        return None
    return name if any(unicodedata.category(letter)[0] == "L" for letter in name) else None


def tidy(text: str) -> str:
    """A field without what cannot be seen around it: white space, control and format characters at both ends."""
    first, last = 0, len(text)
    while first < last and _is_unseen(text[first]):
        first += 1
    while last > first and _is_unseen(text[last - 1]):
        last -= 1
    return text[first:last]


def is_plain(text: str, longest: int) -> bool:
    """No control characters, and no longer than that."""
    return len(text) <= longest and not any(unicodedata.category(letter).startswith("C") for letter in text)


def day_of(text: str) -> date | None:
    """The day in `ddMMyyyy` or `dd/MM/yyyy`; None if there is no such day: 31022000 does not roll over."""
    match = _DDMMYYYY.fullmatch(text)
    return _real(int(match[4]), int(match[3]), int(match[1])) if match else None


def birth_of(day: date) -> BirthDate:
    """The whole date of birth."""
    return BirthDate(day.year, day.month, day.day)


def known_birth_of(text: str) -> BirthDate | None:
    """What is known of a birth, however it is written: whole, partly unknown (`00`, `XX`, `**`, left out) or impossible.

    A year that is known is kept, with the month if that is one, and the day if there is such a day. `01/02/1990` may be
    either way round: only its year is known.

    Args:
        text: With or without a time of day behind it.
    """
    if len(text) > LONGEST_BIRTH:
        return None
    written = re.split(r"T| +(?=[0-9]{1,2}:)", tidy(text), maxsplit=1)[0]
    if len(written) == len("yyyyMMdd") and _number(written):
        by_year = _partly(int(written[:4]), int(written[4:6]), int(written[6:]))
        return by_year if _is_year(written[:4]) else known_birth_of(f"{written[:2]}-{written[2:4]}-{written[4:]}")
    match re.split(r"[-/.]", written):
        case [year, *rest] if _is_year(year) and len(rest) <= 2:
            month, day = (*map(_number, rest), None, None)[:2]
            return _partly(int(year), month, day)
        case [first_text, second_text, year] if _is_year(year):
            first, second = _number(first_text), _number(second_text)
            if first is None or second is None or (first != second and max(first, second) <= 12):
                return BirthDate(int(year))
            return _partly(int(year), min(first, second), max(first, second))
    years = [year for year in _YEAR.findall(text) if _is_year(year)]
    return BirthDate(int(years[0])) if len(years) == 1 else None


def day_first_birth_of(text: str) -> BirthDate | None:
    """What is known of a birth that is written day first (`ddMMyyyy`, `dd/MM/yyyy`, `00/00/yyyy`) or as a year alone.

    None for a day that does not exist: it must not roll over, and on a card it is a damaged read.
    """
    day = day_of(text)
    if day is not None:
        return birth_of(day)
    match = re.fullmatch(r"(?:00(/?)([0-9]{2})\1)?([0-9]{4})", text)
    if match is None or not _is_year(match[3]) or int(match[2] or 0) > 12:
        return None
    return _partly(int(match[3]), int(match[2] or 0), None)


def _partly(year: int, month: int | None, day: int | None) -> BirthDate:
    if month is None or not 1 <= month <= 12:
        return BirthDate(year)
    return BirthDate(year, month, None if day is None or _real(year, month, day) is None else day)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _is_year(text: str) -> bool:
    return re.fullmatch(r"[0-9]{4}", text) is not None and FIRST_YEAR <= int(text) <= LAST_YEAR


def _real(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _is_unseen(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) in {"Cc", "Cf"}


def _shapes(text: str, at: int) -> bool:
    """Whether the joiner at this place shapes what is beside it (RFC 5892, appendix A: behind a virama, or a non-joiner in Arabic)."""
    before = next(
        (
            letter
            for letter in reversed(text[:at])
            if unicodedata.category(letter) != "Mn" or unicodedata.combining(letter) == _VIRAMA
        ),
        "",
    )
    if before and unicodedata.combining(before) == _VIRAMA:
        return True
    after = next((letter for letter in text[at + 1 :] if unicodedata.category(letter) != "Mn"), "")
    return text[at] == _JOINERS[0] and all(
        letter and unicodedata.bidirectional(letter) == "AL" for letter in (before, after)
    )
