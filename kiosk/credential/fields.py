"""The grammar that several formats share: names and dates. All comparing is done in NFC; what is kept stays as written."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from kiosk.model import BirthDate

LONGEST_NAME = 100

_DDMMYYYY = re.compile(r"([0-9]{2})(/?)([0-9]{2})\2([0-9]{4})")
_ISO = re.compile(r"([0-9]{4})-([0-9]{2}|\*\*)-([0-9]{2}|\*\*)")
_NAME_MARKS = frozenset(" '’.-,")


def is_name(text: str) -> bool:
    """Letters of any script, with the marks that names carry, 1 to 100 characters, at least one letter."""
    if not 1 <= len(text) <= LONGEST_NAME:
        return False
    kinds = [unicodedata.category(letter)[0] for letter in text if letter not in _NAME_MARKS]
    return "L" in kinds and set(kinds) <= {"L", "M"}


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


def masked_birth_of(text: str) -> BirthDate | None:
    """The date in `YYYY-MM-DD`, where month and day may be `**`; None if there can be no such day."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year = int(match[1])
    month = None if match[2] == "**" else int(match[2])
    day = None if match[3] == "**" else int(match[3])
    if _real(2000 if year == 0 or day is None or month is None else year, month or 1, day or 1) is None or year == 0:
        return None
    return BirthDate(year, month, day)


def _real(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
