"""When a site is open, as an office writes it on its door: `T2-T6 07:30-11:30 13:30-17:00; T7 07:30-11:30`.

Groups stand between semicolons: days, then one or more spans. Days are `T2` to `T7` and `CN`, or `Mon` to `Sun`, alone, with commas, or from one
to another; `24/7` is always. Nothing is never: a site without hours is not expected to be open.

Units: `_min` minutes of a local day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

ALWAYS = "24/7"
DAY_MIN = 24 * 60
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NGAY = ("t2", "t3", "t4", "t5", "t6", "t7", "cn")
_NUMBERS = {name: number for names in (_DAYS, _NGAY) for number, name in enumerate(names)}
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_GROUP = re.compile(r"([A-Za-z0-9,\s-]*?)\s*((?:\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}\s*)+)")
_EXAMPLE = "write them as T2-T6 07:30-11:30 13:30-17:00; T7 07:30-11:30, or 24/7"


@dataclass(frozen=True, slots=True)
class Hours:
    """A week.

    Attributes:
        spans: For each day from Monday its spans as (from_min, to_min), in order, none touching the next.
    """

    spans: tuple[tuple[tuple[int, int], ...], ...] = ((),) * 7

    def on(self, weekday: int) -> bool:
        """Whether it opens at all on a day; 0 is Monday."""
        return bool(self.spans[weekday])

    def at(self, local: datetime) -> bool:
        """Whether it is open at a local time."""
        minute = 60 * local.hour + local.minute
        return any(first <= minute < last for first, last in self.spans[local.weekday()])

    def closes_min(self, weekday: int) -> int | None:
        """When the last span of a day ends; None if it does not open."""
        return self.spans[weekday][-1][1] if self.spans[weekday] else None

    def __str__(self) -> str:
        if self == WHOLE_WEEK:
            return ALWAYS
        groups: list[tuple[list[int], tuple[tuple[int, int], ...]]] = []
        for day, spans in enumerate(self.spans):
            if groups and groups[-1][1] == spans and groups[-1][0][-1] == day - 1:
                groups[-1][0].append(day)
            elif spans:
                groups.append(([day], spans))
        return "; ".join(f"{_named(days)} {' '.join(map(_written, spans))}" for days, spans in groups)


WHOLE_WEEK = Hours((((0, DAY_MIN),),) * 7)


def read(text: str) -> Hours:
    """From what was written.

    Args:
        text: As in the module's docstring; empty for never.

    Raises:
        ValueError: It means nothing; the message says what, and how it is written.
    """
    if text.strip() == ALWAYS:
        return WHOLE_WEEK
    week: list[list[tuple[int, int]]] = [[] for _ in range(7)]
    for group in filter(None, (part.strip() for part in text.replace("–", "-").split(";"))):
        found = _GROUP.fullmatch(group)
        if found is None:
            raise ValueError(f"{group!r} is no opening hours; {_EXAMPLE}")
        for day in _days(found[1], group):
            week[day] += [_span(span) for span in _SPAN.finditer(found[2])]
    for day, spans in enumerate(week):
        spans.sort()
        for (first, last), (following, _) in pairwise(spans):
            if following <= last:
                raise ValueError(f"{_NGAY[day].upper()} has {_written((first, last))} and another span that touches it")
    return Hours(tuple(map(tuple, week)))


def _days(text: str, group: str) -> list[int]:
    days: list[int] = []
    for part in text.replace(" ", "").lower().split(","):
        first, dash, last = part.partition("-")
        if first not in _NUMBERS or (dash and last not in _NUMBERS):
            raise ValueError(f"{group!r} names no days; {_EXAMPLE}")
        begins, ends = _NUMBERS[first], _NUMBERS[last if dash else first]
        if ends < begins:
            raise ValueError(f"{part!r} goes backwards: a week begins on Monday (T2) and ends on Sunday (CN)")
        days += range(begins, ends + 1)
    if len(set(days)) != len(days):
        raise ValueError(f"{group!r} names a day twice")
    return days


def _span(found: re.Match[str]) -> tuple[int, int]:
    hours_minutes = [int(part) for part in found.groups()]
    first, last = 60 * hours_minutes[0] + hours_minutes[1], 60 * hours_minutes[2] + hours_minutes[3]
    if max(hours_minutes[1], hours_minutes[3]) > 59 or not first < last <= DAY_MIN:
        raise ValueError(
            f"{found[0]!r} is no span of a day; past midnight is the next day's: 22:00-24:00, then 00:00-06:00"
        )
    return first, last


def _written(span: tuple[int, int]) -> str:
    return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in span)


def _named(days: list[int]) -> str:
    first, last = _NGAY[days[0]].upper(), _NGAY[days[-1]].upper()
    return first if len(days) == 1 else f"{first}-{last}"
