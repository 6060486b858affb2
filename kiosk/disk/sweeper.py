"""Settled entries older than `outbox.keep_h` are forgotten, a bounded number at a time, so that a door never waits long.

An entry's age is judged by the clock that marked it; how, `age_mark_s` says. The newest row is never deleted, only emptied: its
number stays, so that the next one is right. What no broker has taken yet, because it is too large, stays.

Units: `_s` seconds, `_h` hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.clock import EARLIEST_NS
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from kiosk.disk.connection import Connection
    from kiosk.model import Moment

SWEEP_ROWS = 500
"""Rows deleted in one transaction."""
_EARLIEST_S = EARLIEST_NS // 1_000_000_000


def age_mark_s(at: Moment) -> int:
    """By what an entry's age is judged: the wall clock, or, where that was never set, the time since boot, far below any wall time."""
    return (at.boot_ns if at.quality is ClockQuality.UNSET else at.wall_ns) // 1_000_000_000


def sweep(file: Connection, keep_h: float, now: Moment) -> int:
    """Forget what is old enough, and carry the log into the file.

    Args:
        file: The outbox's.
        keep_h: How long settled entries are kept.
        now: Now.

    Returns:
        How many were forgotten; fewer than `SWEEP_ROWS` when the work is done.

    Raises:
        OutboxError: The file failed.
    """
    is_set, now_s = now.quality is not ClockQuality.UNSET, age_mark_s(now)
    ((settled, newest),) = file.read("SELECT settled, (SELECT coalesce(max(seq), 0) FROM entry) FROM outbox")
    if is_set:
        # Made before the clock was set, or while it was far ahead: their age is unknown, and begins now.
        file.write(
            "UPDATE entry SET recorded_s = ? WHERE seq IN (SELECT seq FROM entry WHERE seq <= ? "
            "AND (recorded_s < ? OR recorded_s > ?) LIMIT ?)",
            (now_s, settled, _EARLIEST_S, now_s + 86_400, SWEEP_ROWS),
        )
    # Each clock judges its own marks. What an earlier boot has marked without a clock is older than that by this boot's.
    from_s, before_s = _EARLIEST_S if is_set else 0, now_s - round(keep_h * 3600)
    forgotten = file.write(
        "DELETE FROM entry WHERE seq IN "
        "(SELECT seq FROM entry WHERE seq <= ? AND recorded_s >= ? AND recorded_s < ? AND seq NOT IN (SELECT seq FROM oversized)"
        " LIMIT ?)",
        (min(settled, newest - 1), from_s, before_s, SWEEP_ROWS),
    )
    if settled == newest and forgotten < SWEEP_ROWS:
        statement = (
            "UPDATE entry SET body = x'' WHERE seq = ? AND recorded_s >= ? AND recorded_s < ? AND body IS NOT x''"
            " AND seq NOT IN (SELECT seq FROM oversized)"
        )
        forgotten += file.write(statement, (newest, from_s, before_s))
    file.read("PRAGMA wal_checkpoint(PASSIVE)")
    return forgotten
