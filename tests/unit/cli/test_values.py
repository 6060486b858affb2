"""Values of options: what is wrong is told in our own words, with an example of what is right."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.cli import values

WRITE = "write it as 2026-11-23, or with a time as 2026-11-23T08:00"


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (values.whole(1), "x", "'x' is no whole number of 1 or more"),
        (values.whole(1), "0", "'0' is no whole number of 1 or more"),
        (values.whole(1), "2.5", "'2.5' is no whole number of 1 or more"),
        (values.whole(1), "", "'' is no whole number of 1 or more"),
        (values.whole(1), "٣", "'٣' is no whole number of 1 or more"),
        (values.whole(1), "1_0", "'1_0' is no whole number of 1 or more"),
        (values.whole(1900, 2100), "1899", "'1899' is no whole number from 1900 to 2100"),
        (values.whole(1900, 2100), "2101", "'2101' is no whole number from 1900 to 2100"),
        (values.whole(), "one", "'one' is no whole number"),
        (values.number(), "soon", "'soon' is no number of 0 or more, as in 2.5"),
        (values.number(), "nan", "'nan' is no number of 0 or more, as in 2.5"),
        (values.number(), "inf", "'inf' is no number of 0 or more, as in 2.5"),
        (values.number(), "-1", "'-1' is no number of 0 or more, as in 2.5"),
        (values.number(0, 1), "1.1", "'1.1' is no number from 0 to 1, as in 1"),
        (values.moment, "yesterday", f"'yesterday' is no day and no time; {WRITE}"),
        (values.moment, "", f"'' is no day and no time; {WRITE}"),
        (values.moment, "23/11/2026", "'23/11/2026' is no day and no time; did you mean 2026-11-23?"),
        (values.moment, "1.2.2026", "'1.2.2026' is no day and no time; did you mean 2026-02-01?"),
        (values.moment, "31/02/2026", f"'31/02/2026' is no day and no time; {WRITE}"),
        (values.moment, "2026-02-30", f"'2026-02-30' is in no calendar; {WRITE}"),
        (values.moment, "2026-11-23T25:00", f"'2026-11-23T25:00' is no day and no time; {WRITE}"),
        (values.moment, "08:00", f"'08:00' is no day and no time; {WRITE}"),
        (values.day, "2026-11-23T08:00", "'2026-11-23T08:00' is no day; write it as 2026-11-23"),
        (values.day, "2026-13-01", "'2026-13-01' is in no calendar; write it as 2026-11-23"),
        (values.day, "today", "'today' is no day; write it as 2026-11-23"),
    ],
)  # fmt: skip
def test_wrong_value_is_one_sentence(read: Callable[[str], object], text: str, sentence: str) -> None:
    """No word of a library: what was written, why it is wrong, and what is right."""
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read(text)
    assert str(refused.value) == sentence


def test_right_values_are_taken() -> None:
    """The ends of a range belong to it; a day is its midnight; a zone that is written is kept, one that is not is not invented."""
    assert [values.whole(1900, 2100)(text) for text in ("1900", "2100")] == [1900, 2100]
    assert values.whole()("-7") == -7
    assert values.number(0, 1)("0.5") == 0.5
    assert values.day("2026-11-23") == date(2026, 11, 23)
    assert values.moment("2026-11-23") == datetime(2026, 11, 23)  # noqa: DTZ001  that is the promise
    seven = timezone(timedelta(hours=7))
    assert values.moment("2026-11-23T08:00+07:00") == datetime(2026, 11, 23, 8, tzinfo=seven)
    assert values.moment("2026-11-23 08:00:30Z").tzinfo == UTC


@given(st.text(max_size=30))
def test_no_text_makes_a_reader_fail_otherwise(text: str) -> None:
    """Whatever is typed is a value or a sentence."""
    for read in (values.whole(1, 9), values.number(), values.moment, values.day):
        with suppress(argparse.ArgumentTypeError):
            read(text)
