"""Two clocks: one may jump, one may not; entries made before the clock was set are mended afterwards."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kiosk.clock import SystemClock, corrected, uuid7
from kiosk.model import ClockQuality, Moment

UNSET = Moment(1_000, "boot-1", 5_000, ClockQuality.UNSET)
NOW = Moment(1_800_000_000_000_000_000, "boot-1", 9_000, ClockQuality.SYNCED)


def test_time_since_boot_never_goes_back() -> None:
    """A later question has a later answer, and both clocks are read together."""
    clock = SystemClock()
    first, moment, last = clock.boot_ns(), clock.now(), clock.boot_ns()
    assert first <= moment.boot_ns <= last
    assert len(moment.boot_id) == 36
    assert moment.quality in ClockQuality


def test_moment_of_the_same_boot_is_corrected() -> None:
    """Its wall time is counted back from a synced clock."""
    assert corrected(UNSET, NOW) == Moment(NOW.wall_ns - 4_000, "boot-1", 5_000, ClockQuality.SYNCED)


def test_moment_that_cannot_be_corrected_stays() -> None:
    """Of another boot, of a synced clock, or by a clock that is no better."""
    assert corrected(UNSET, replace(NOW, boot_id="boot-2")) is UNSET
    assert corrected(UNSET, replace(NOW, quality=ClockQuality.ESTIMATED)) is UNSET
    synced = replace(UNSET, quality=ClockQuality.SYNCED)
    assert corrected(synced, NOW) is synced


def test_wall_clock_before_this_software_is_unset() -> None:
    """A clock that shows some past day says so."""
    assert SystemClock()._quality(1_000_000_000) is ClockQuality.UNSET


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_ids_sort_by_time(first_ns: int, second_ns: int) -> None:
    """UUIDv7: version and variant are right, and an id of a later millisecond is greater."""
    first, second = uuid7(first_ns), uuid7(second_ns)
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first != second
    if first_ns // 1_000_000 < second_ns // 1_000_000:
        assert first < second
