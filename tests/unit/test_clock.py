"""Two clocks: one may jump, one may not; entries made before the clock was set are mended afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.clock import (
    EARLIEST_NS,
    LATEST_NS,
    SystemClock,
    corrected,
    keep_anchor,
    local_time,
    minute_of_day,
    stamp,
    uuid7,
)
from kiosk.config import Config
from kiosk.cues import volume_percent_at
from kiosk.model import ClockQuality, Moment
from kiosk.updates.rules import is_night

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
    assert corrected(UNSET, replace(NOW, quality=ClockQuality.UNSET)) is UNSET
    estimated = replace(UNSET, quality=ClockQuality.ESTIMATED)
    assert corrected(estimated, replace(NOW, quality=ClockQuality.ESTIMATED)) is estimated
    synced = replace(UNSET, quality=ClockQuality.SYNCED)
    assert corrected(synced, NOW) is synced


def test_wall_clock_before_this_software_is_unset() -> None:
    """A clock that shows some past day says so."""
    assert SystemClock()._quality(1_000_000_000) is ClockQuality.UNSET


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Raspberry Pi whose clock nobody has synced; the folder of its battery clocks."""
    monkeypatch.setattr("kiosk.clock.platform.machine", lambda: "aarch64")
    monkeypatch.setattr("kiosk.clock._RTC", tmp_path / "rtc")
    monkeypatch.setattr("kiosk.clock._TIMESYNC_MARK", tmp_path / "synchronized")
    monkeypatch.setattr(SystemClock, "_kernel_is_synced", lambda _self: False)
    return tmp_path / "rtc"


def test_day_that_systemd_has_guessed_is_no_time(board: Path) -> None:
    """Without a battery nothing but a time server sets a Pi's clock, however well the day looks: it was remembered or built in."""
    assert not board.exists()
    assert SystemClock().now().quality is ClockQuality.UNSET


@pytest.mark.parametrize(
    ("shown", "quality"),
    [
        (lambda now_s: now_s + 60, ClockQuality.ESTIMATED),
        (lambda now_s: now_s - 25 * 3600, ClockQuality.UNSET),
        (lambda _now_s: 4_000, ClockQuality.UNSET),
        (lambda _now_s: "", ClockQuality.UNSET),
    ],
    ids=["drifted", "of-another-day", "battery-empty", "unreadable"],
)
def test_battery_clock_is_believed_where_it_agrees(
    board: Path, shown: Callable[[int], object], quality: ClockQuality
) -> None:
    """A Pi 5's clock without a battery shows 1970, while systemd has put the system's to the day it was built."""
    (board / "rtc0").mkdir(parents=True)
    (board / "rtc0" / "since_epoch").write_text(f"{shown(time.time_ns() // 10**9)}\n")
    assert SystemClock().now().quality is quality


def test_battery_clock_that_is_found_late_is_believed(board: Path) -> None:
    """Its driver may come after the station; once it has agreed, it is not asked again."""
    watched = SystemClock()
    assert watched.now().quality is ClockQuality.UNSET
    (board / "rtc0").mkdir(parents=True)
    (board / "rtc0" / "since_epoch").write_text(f"{time.time_ns() // 10**9}\n")
    assert watched.now().quality is ClockQuality.ESTIMATED
    (board / "rtc0" / "since_epoch").unlink()
    assert watched.now().quality is ClockQuality.ESTIMATED


def test_clock_that_was_synced_once_stays_believed(board: Path) -> None:
    """A time server that falls silent takes nothing away; until it has spoken, the clock is looked at anew each time."""
    watched = SystemClock()
    assert watched.now().quality is ClockQuality.UNSET
    (board.parent / "synchronized").touch()
    assert watched.now().quality is ClockQuality.SYNCED
    (board.parent / "synchronized").unlink()
    assert watched.now().quality is ClockQuality.ESTIMATED


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's clock was never set."""
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)


@pytest.mark.usefixtures("unset")
def test_centres_time_is_found_by_every_process_of_this_boot(tmp_path: Path) -> None:
    """From then on moments are estimated by it; it is taken once, so that no later message moves the clock."""
    clock = SystemClock(tmp_path / "run")
    assert clock.now().quality is ClockQuality.UNSET
    assert keep_anchor(tmp_path / "run", clock.now(), NOW.wall_ns)
    told = SystemClock(tmp_path / "run").now()
    assert told.quality is ClockQuality.ESTIMATED
    assert 0 <= told.wall_ns - NOW.wall_ns < 60_000_000_000
    assert not keep_anchor(tmp_path / "run", told, NOW.wall_ns + 10**18)
    assert SystemClock().now().quality is ClockQuality.UNSET


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(
    "content",
    ['{"boot_id":"another","booted_ns":1800000000000000000}', "[]", "{", '{"booted_ns":null}', '{"booted_ns":1}'],
)
def test_anchor_of_another_boot_or_none_is_not_believed(tmp_path: Path, content: str) -> None:
    """The clock stays unset."""
    (tmp_path / "clock.json").write_text(content)
    assert SystemClock(tmp_path).now().quality is ClockQuality.UNSET


@pytest.mark.parametrize("centre_ns", [0, EARLIEST_NS - 1, LATEST_NS])
def test_impossible_time_is_not_taken(tmp_path: Path, centre_ns: int) -> None:
    """Before this software was written, or in another century."""
    assert not keep_anchor(tmp_path, UNSET, centre_ns)
    assert not list(tmp_path.iterdir())


def test_clock_that_is_set_is_left_alone(tmp_path: Path) -> None:
    """Neither a synced nor an estimated clock takes the centre's time."""
    assert not keep_anchor(tmp_path, NOW, NOW.wall_ns)
    assert not keep_anchor(tmp_path, replace(NOW, quality=ClockQuality.ESTIMATED), NOW.wall_ns)


def test_hour_of_a_clock_that_was_never_set_is_unknown() -> None:
    """No hour is guessed."""
    assert minute_of_day(UNSET, "Asia/Ho_Chi_Minh") is None
    assert local_time(UNSET, "Asia/Ho_Chi_Minh") is None


@pytest.mark.parametrize("machine", ["UTC", "America/New_York", "Asia/Ho_Chi_Minh"])
@pytest.mark.parametrize("zone", ["Asia/Ho_Chi_Minh", "Europe/Berlin", "Asia/Kathmandu"])
def test_hours_are_those_of_the_door(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, machine: str, zone: str
) -> None:
    """Each hour of a day: quiet from 21 to 6 and updates from 1 to 4 where the door is, whatever zone the machine has, or none."""
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    config = make_config(clock={"zone": zone})
    start, end = (int(text[:2]) * 60 for text in (config.update.window_from, config.update.window_to))
    for hour in range(24):
        at = datetime(2026, 11, 30, hour, 15, tzinfo=ZoneInfo(config.clock.zone))
        minute = minute_of_day(Moment(int(at.timestamp()) * 10**9, "boot", 1, ClockQuality.SYNCED), config.clock.zone)
        assert minute == hour * 60 + 15
        assert volume_percent_at(config.sound, minute) == (20 if hour >= 21 or hour < 6 else 80)
        assert is_night(minute, start, end) is (1 <= hour < 4)
    monkeypatch.undo()
    time.tzset()


def test_files_are_named_by_a_day_that_is_known() -> None:
    """Or by the seconds since boot."""
    assert stamp(NOW) == "20270115-080000"
    assert stamp(replace(UNSET, wall_ns=NOW.wall_ns, boot_ns=61_000_000_000)) == "boot-61s"


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_ids_sort_by_time(first_ns: int, second_ns: int) -> None:
    """UUIDv7: version and variant are right, and an id of a later millisecond is greater."""
    first, second = uuid7(first_ns), uuid7(second_ns)
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first != second
    if first_ns // 1_000_000 < second_ns // 1_000_000:
        assert first < second
