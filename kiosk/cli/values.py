"""Values of options: what is no number or no day is told in one sentence, with an example of what is."""

from __future__ import annotations

import argparse
import math
import re
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = "write it as 2026-11-23"
_MOMENT = f"{_DAY}, or with a time as 2026-11-23T08:00"
_TURNED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
"""As people here write a day."""
_LIKE_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


def whole(least: int | None = None, most: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers, of those from `least` on, or up to `most`."""

    def read(text: str) -> int:
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        if value is not None and (least is None or least <= value) and (most is None or value <= most):
            return value
        reach = "" if least is None else f" of {least} or more" if most is None else f" from {least} to {most}"
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number{reach}")

    return read


def number(least: float = 0.0, most: float = math.inf) -> Callable[[str], float]:
    """A reader of numbers from `least` to `most`, with or without a fraction; never infinite."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if least <= value <= most and math.isfinite(value):
            return value
        reach = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of {least:g} or more"
        raise argparse.ArgumentTypeError(f"{text!r} is no number {reach}, as in {max(least, min(most, 2.5)):g}")

    return read


def moment(text: str) -> datetime:
    """A day, which is its midnight, or a time; without a zone (`tzinfo` None) where none was written."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(_wrong(text, "no day and no time", _MOMENT)) from None


def day(text: str) -> date:
    """A day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(_wrong(text, "no day", _DAY)) from None


def _wrong(text: str, what: str, remedy: str) -> str:
    turned = _TURNED.fullmatch(text)
    if turned is not None:
        try:
            return f"{text!r} is {what}; did you mean {date(int(turned[3]), int(turned[2]), int(turned[1]))}?"
        except ValueError:
            pass
    if _LIKE_ISO.match(text):
        try:
            date.fromisoformat(text[:10])
        except ValueError:
            return f"{text!r} is in no calendar; {remedy}"
    return f"{text!r} is {what}; {remedy}"
