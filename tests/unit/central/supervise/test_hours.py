"""Opening hours as offices write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.supervise import hours
from central.supervise.hours import DAY_MIN, Hours

_WEEKS = st.lists(
    st.lists(st.integers(0, DAY_MIN), max_size=6, unique=True).map(
        lambda ends: tuple(zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False))
    ),
    min_size=7,
    max_size=7,
).map(lambda days: Hours(tuple(days)))


@given(_WEEKS)
def test_what_is_written_is_read_again(week: Hours) -> None:
    """Any week of spans that do not touch comes back as it was."""
    assert hours.read(str(week)) == week


@given(st.text(max_size=60) | st.text(alphabet="T27CNMonFri-:;, 0123", max_size=40))
def test_any_text_is_hours_or_a_sentence(text: str) -> None:
    """Nothing that is typed raises anything else."""
    with suppress(ValueError):
        assert isinstance(hours.read(text), Hours)


@pytest.mark.parametrize(
    ("text", "open_at", "shut_at"),
    [
        ("T2-T6 07:30-11:30 13:30-17:00", "2026-11-23T07:30", "2026-11-23T11:30"),
        ("Mon-Fri 7:30-11:30; Sat 07:30-11:30", "2026-11-28T08:00", "2026-11-29T08:00"),
        ("t2,t4,t6 08:00–09:00", "2026-11-25T08:59", "2026-11-24T08:30"),
        ("24/7", "2026-11-29T23:59", None),
        ("T7 22:00-24:00; CN 00:00-06:00", "2026-11-29T05:59", "2026-11-29T06:00"),
        ("", None, "2026-11-23T08:00"),
    ],
)
def test_minute_is_open_or_not(text: str, open_at: str | None, shut_at: str | None) -> None:
    """The first minute of a span is open and its end is not."""
    week = hours.read(text)
    assert open_at is None or week.at(datetime.fromisoformat(open_at))
    assert shut_at is None or not week.at(datetime.fromisoformat(shut_at))


def test_day_has_its_last_minute() -> None:
    """What closes last counts, and a day without hours has none."""
    week = hours.read("T2 13:30-17:00 07:30-11:30")
    assert (week.closes_min(0), week.closes_min(1), week.on(0), week.on(1)) == (17 * 60, None, True, False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("T8 07:00-08:00", "names no days"),
        ("07:00-08:00", "names no days"),
        ("T2", "is no opening hours"),
        ("CN-T2 07:00-08:00", "goes backwards"),
        ("T2,T2 07:00-08:00", "a day twice"),
        ("T2 08:00-07:00", "is no span of a day"),
        ("T2 07:60-08:00", "is no span of a day"),
        ("T2 22:00-25:00", "is no span of a day"),
        ("T2 07:00-09:00 08:00-10:00", "another span that touches it"),
        ("T2 07:00-09:00; T2-T3 09:00-10:00", "another span that touches it"),
    ],
)
def test_what_means_nothing_is_told(text: str, told: str) -> None:
    """Each in a sentence of its own."""
    with pytest.raises(ValueError, match=told):
        hours.read(text)
