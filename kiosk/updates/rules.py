"""Updates, decided: when the night is, how an update stands.

An update is offered by a signed command (`kiosk.envelopes.remote`), fetched at night by `kiosk update fetch`, installed by
`kiosk update install` for the one that the firmware boots on trial, and kept or left by `kiosk prove`. Each of these leaves
a small file; how the update stands is read off from them and told to nobody but the centre.

Units: minutes of the day in local time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How an update stands, in the order in which it goes."""

    NONE = "none"
    WAITING = "waiting"
    FETCHING = "fetching"
    FETCHED = "fetched"
    INSTALLING = "installing"
    INSTALLED = "installed"
    ON_TRIAL = "on-trial"
    PROVED = "proved"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Mark:
    """What one part has left of its work on an update.

    Attributes:
        id: The order's, in hexadecimal digits.
        state: How far it is.
        reason: Why it failed, or what it waits for; empty if there is nothing to say.
        tries: How often it has begun.
    """

    id: str
    state: State
    reason: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to judge by.

    Attributes:
        running: The version that runs; empty where there is no image.
        wanted: The version that is ordered; empty if none is.
        order_id: The order's, in hexadecimal digits.
        fetched: The fetching part's mark, of any order.
        installed: The installing part's mark, of any order.
        pending: Whether a version is on trial, or will be at the next start.
    """

    running: str
    wanted: str
    order_id: str
    fetched: Mark | None
    installed: Mark | None
    pending: bool


def is_night(minute: int, start: int, end: int) -> bool:
    """Whether a minute of the day lies in the window, which may go past midnight; a window without length is all day."""
    if start == end:
        return True
    return start <= minute < end if start < end else minute >= start or minute < end


def standing(found: Found) -> Mark:
    """How the update that is ordered stands, by what the parts have left."""
    if not found.wanted:
        return Mark("", State.NONE)
    if found.running == found.wanted:
        return Mark(found.order_id, State.ON_TRIAL if found.pending else State.PROVED)
    mark = found.installed
    if mark is not None and mark.id == found.order_id:
        if mark.state is State.INSTALLED and not found.pending:
            return Mark(mark.id, State.FAILED, "it did not prove itself; the version before runs again", mark.tries)
        return mark
    mark = found.fetched
    return mark if mark is not None and mark.id == found.order_id else Mark(found.order_id, State.WAITING)
