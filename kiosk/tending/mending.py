"""When a station restarts something of itself that nobody is there to restart: decided by how long it has been ill, never more often.

A wireless link that has died is begun anew, then the board; a camera whose sensor or bus is stuck comes back with the board alone [1].
A restart that did not help is not repeated at once: the board's own time since it started is the pause, for a station without a
clock has no other that can be believed.

Units: `_s` seconds.

Sources:
    [1] raspberrypi/linux, issues 7533 (wireless links that do not come back) and 7613 (a bus that is stuck until the restart).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LINK_AFTER_S = 1800.0
"""Without a broker, until the wireless link begins anew; and again after each such time."""
BOARD_AFTER_S = 7200.0
"""Without a broker, until the board restarts."""
BOARD_APART_S = 6 * 3600.0
CAMERA_AFTER_S = 900.0
"""Since the first start of a camera that has given no pictures since then."""
CAMERA_STARTS = 8
CAMERA_APART_S = 3600.0
MANY = 3
"""Restarts that did not help, one after another: from then on one a day."""
DAY_S = 86_400.0
QUIET_S = 300.0
"""Since the last code, until a restart disturbs nobody; a station whose link alone is ill still serves people."""


class Step(Enum):
    """What is to be done."""

    NOTHING = "nothing"
    LINK = "link"
    BOARD = "board"


@dataclass(frozen=True, slots=True)
class Dead:
    """A link without a broker.

    Attributes:
        offline_s: For how long, at most since the board started.
        mended_s: Since the wireless link was begun anew; None if it was not since the broker was lost.
        quiet_s: Since a code was answered; None if none was, or nobody knows.
    """

    offline_s: float
    mended_s: float | None
    quiet_s: float | None


@dataclass(frozen=True, slots=True)
class Shut:
    """A lane whose camera gives no pictures.

    Attributes:
        shut_s: Since the first start that gave none.
        starts: How often its process has tried since then, that one included.
    """

    shut_s: float
    starts: int


def of_link(dead: Dead, uptime_s: float, restarts: int) -> Step:
    """What a link without a broker asks for.

    Args:
        dead: How it is.
        uptime_s: Since the board started.
        restarts: How often in a row the board was restarted for the link's sake, without help.
    """
    is_quiet = dead.quiet_s is None or dead.quiet_s >= QUIET_S
    if dead.offline_s >= BOARD_AFTER_S and is_quiet and uptime_s >= pause_s(restarts, BOARD_APART_S):
        return Step.BOARD
    waited_s = dead.offline_s if dead.mended_s is None else min(dead.offline_s, dead.mended_s)
    return Step.LINK if waited_s >= LINK_AFTER_S else Step.NOTHING


def of_camera(shut: Shut, uptime_s: float, restarts: int) -> Step:
    """What a camera without pictures asks for; the arguments are those of `of_link`."""
    is_stuck = shut.shut_s >= CAMERA_AFTER_S and shut.starts >= CAMERA_STARTS
    return Step.BOARD if is_stuck and uptime_s >= pause_s(restarts, CAMERA_APART_S) else Step.NOTHING


def pause_s(restarts: int, apart_s: float) -> float:
    """How long a board must have run before the next restart, after so many in a row that did not help."""
    if restarts == 0:
        return 0.0
    return apart_s if restarts < MANY else DAY_S
