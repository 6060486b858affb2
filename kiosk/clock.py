"""The two clocks: wall time that may be wrong or jump, and time since boot that never goes backwards.

A Pi has no battery clock: after power-on the wall clock shows some past day until the network corrects it. That day looks
well: systemd sets the clock to the day it was built, or to the last one it remembers. So every moment is taken on both
clocks at once, with a word on how far the wall clock can be believed.

A machine whose clock was never set may have the centre's time instead: the uplink takes it from a receipt and leaves it,
with the time since boot, in `state.runtime_dir`, where every process of the station finds it until the machine is off.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from kiosk.model import ClockQuality, Moment

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")
EARLIEST_NS = 1_735_689_600_000_000_000
"""2025-01-01: this software is younger than any earlier wall time, which is that of a clock that was not set."""
LATEST_NS = 4_102_444_800_000_000_000
"""2100-01-01: what claims to be later is no time."""
ANCHOR = "clock.json"
_RTC = Path("/sys/class/rtc")
_RTC_APART_S = 3600
"""So far may a battery clock and the system's drift apart in a year offline; an empty battery is wrong by decades."""
_PC = frozenset({"x86_64", "i686"})
"""Machines whose kernel reads the time from the firmware or the hypervisor before anything else."""
_ADJTIMEX_UNSYNCED = 5  # TIME_ERROR of adjtimex(2): no time source has set the clock


class Clock(Protocol):
    """Where time comes from; a parameter, so that tests move it."""

    def now(self) -> Moment:
        """Both clocks, read together."""

    def boot_ns(self) -> int:
        """Nanoseconds since boot, never less than before."""


class SystemClock:
    """The machine's clocks, or the centre's time where the machine has none."""

    def __init__(self, runtime_dir: Path | None = None) -> None:
        """Prepare them.

        Args:
            runtime_dir: Where `keep_anchor` may have left the centre's time; None for the machine's clocks alone.
        """
        self._anchor_file = None if runtime_dir is None else runtime_dir / ANCHOR
        self._boot_id = _BOOT_ID.read_text("ascii").strip()
        self._adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
        self._believed = False
        """Whether an unsynced clock had a battery behind it, or was synced while this object looked on. Looked at until it has:
        a battery clock on a bus is found some seconds after the start."""

    def now(self) -> Moment:
        """Both clocks, read together."""
        wall_ns, boot_ns = time.time_ns(), self.boot_ns()
        quality = self._quality(wall_ns)
        if quality is ClockQuality.UNSET and (booted_ns := self._booted_ns()) is not None:
            return Moment(booted_ns + boot_ns, self._boot_id, boot_ns, ClockQuality.ESTIMATED)
        return Moment(wall_ns, self._boot_id, boot_ns, quality)

    def boot_ns(self) -> int:
        """Nanoseconds since boot, counting time in suspend."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def _quality(self, wall_ns: int) -> ClockQuality:
        if wall_ns < EARLIEST_NS:
            return ClockQuality.UNSET
        if _TIMESYNC_MARK.exists() or self._kernel_is_synced():
            self._believed = True
            return ClockQuality.SYNCED
        if not self._believed:
            self._believed = platform.machine() in _PC or _a_battery_agrees(wall_ns)
        return ClockQuality.ESTIMATED if self._believed else ClockQuality.UNSET

    def _booted_ns(self) -> int | None:
        """When this boot was, by the centre's time; None if that is not known."""
        if self._anchor_file is None:
            return None
        try:
            anchor = json.loads(self._anchor_file.read_text("utf-8"))
            return int(anchor["booted_ns"]) if anchor["boot_id"] == self._boot_id else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _kernel_is_synced(self) -> bool:
        if self._adjtimex is None:
            return False
        query = ctypes.create_string_buffer(256)  # struct timex with modes = 0: read only
        return 0 <= int(self._adjtimex(query)) < _ADJTIMEX_UNSYNCED


def _a_battery_agrees(wall_ns: int) -> bool:
    """Whether there is a clock with a battery, and it shows the same time: a Pi 5 has one whose battery is sold apart."""
    for file in _RTC.glob("rtc*/since_epoch"):
        try:
            shown_s = int(file.read_text("ascii"))
        except (OSError, ValueError):
            continue
        if abs(shown_s - wall_ns // 1_000_000_000) <= _RTC_APART_S:
            return True
    return False


def judging_s(now: Moment) -> float | None:
    """The time by which expiry is judged, in Unix seconds; None from a clock that was never set."""
    return None if now.quality is ClockQuality.UNSET else now.wall_ns / 1e9


def local_time(now: Moment, zone: str) -> datetime | None:
    """Day and time as people have it at the door; None from a clock that was never set.

    Args:
        now: The clocks as they stand.
        zone: As in `clock.zone`; the machine's own is never asked, for an image has none and would show UTC.
    """
    return None if now.quality is ClockQuality.UNSET else datetime.fromtimestamp(now.wall_ns / 1e9, ZoneInfo(zone))


def minute_of_day(now: Moment, zone: str) -> int | None:
    """The same in minutes, 0 to 1439."""
    local = local_time(now, zone)
    return None if local is None else local.hour * 60 + local.minute


def stamp(now: Moment) -> str:
    """For the name of a file: day and time in UTC; the seconds since boot where the clock was never set."""
    if now.quality is ClockQuality.UNSET:
        return f"boot-{now.boot_ns // 1_000_000_000}s"
    return f"{datetime.fromtimestamp(now.wall_ns / 1e9, UTC):%Y%m%d-%H%M%S}"


def keep_anchor(runtime_dir: Path, now: Moment, centre_ns: int) -> bool:
    """Leave the centre's time for every process of this station, if its own clock was never set.

    Args:
        runtime_dir: A folder in memory, made if it is not there.
        now: The clocks as they stand.
        centre_ns: The centre's wall time, just now.

    Returns:
        Whether it was taken.

    Raises:
        OSError: The folder cannot be written.
    """
    if now.quality is not ClockQuality.UNSET or not EARLIEST_NS <= centre_ns < LATEST_NS:
        return False
    path = runtime_dir / ANCHOR
    fresh = path.with_suffix(".tmp")
    runtime_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    fresh.write_text(json.dumps({"boot_id": now.boot_id, "booted_ns": centre_ns - now.boot_ns}), "utf-8")
    fresh.replace(path)
    return True


def uuid7(wall_ns: int) -> UUID:
    """A UUID that sorts by time: 48 bits of Unix milliseconds, 74 random bits (RFC 9562, section 5.7).

    Args:
        wall_ns: Unix time in nanoseconds, 0 or greater.
    """
    milliseconds = (wall_ns // 1_000_000) & ((1 << 48) - 1)
    random = int.from_bytes(os.urandom(10), "big")
    high = milliseconds << 16 | 0x7000 | random >> 68
    low = 1 << 63 | random & ((1 << 62) - 1)
    return UUID(int=high << 64 | low)


def corrected(at: Moment, now: Moment) -> Moment:
    """The moment with the wall time that today's clock gives it.

    Only a moment of the same boot can be corrected, and only by a clock that is better than it was then.

    Args:
        at: The moment as it was taken.
        now: The clocks as they stand.
    """
    if at.boot_id != now.boot_id or _RANK[now.quality] <= _RANK[at.quality]:
        return at
    return Moment(max(0, now.wall_ns - (now.boot_ns - at.boot_ns)), at.boot_id, at.boot_ns, now.quality)


_RANK = {ClockQuality.UNSET: 0, ClockQuality.ESTIMATED: 1, ClockQuality.SYNCED: 2}
