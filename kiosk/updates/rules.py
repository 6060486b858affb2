"""Updates, decided: when the night is, how an update stands.

An update is offered by a signed command (`kiosk.envelopes.remote`), fetched at night by `kiosk update fetch`, installed by
`kiosk update install` for the one that the firmware boots on trial, and kept or left by `kiosk prove`. Each of these leaves
a small file; how the update stands is read off from them and told to nobody but the centre.

Units: minutes of the day in local time; `_s` seconds of Unix time.

Sources:
    [1] raspberrypi/rpi-eeprom, pull request 446: what `[tryboot]` and `tryboot_a_b` need came on 2022-10-18.
    [2] raspberrypi/documentation, bootflow-legacy.adoc: a Zero 2 W has no EEPROM; its ROM reads the card itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kiosk.language.message import Message, say

NEEDED_BOOTLOADER_S = 1_666_051_200
"""2022-10-18 [1]: an older one boots the slot that it always boots, and never a trial."""
WITHOUT_TRIALS = frozenset({"zero2w"})
"""Boards of which nobody has seen yet that their firmware boots a slot on trial [2]."""


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


def unfit(board: str, bootloader_s: int | None) -> Message:
    """Why this board takes no update; empty if it does.

    Args:
        board: As the image calls it; empty where there is no image.
        bootloader_s: When the bootloader in its EEPROM was made; None where it does not tell.
    """
    if board in WITHOUT_TRIALS:
        return say(
            "{board} takes no updates: that its firmware boots a version on trial has not been seen; write a new card instead",
            board=board,
        )
    if bootloader_s is not None and bootloader_s < NEEDED_BOOTLOADER_S:
        return say(
            "the bootloader in the EEPROM is of {day} and knows no trial; write it anew with Raspberry Pi Imager, Misc utility images, "
            "Bootloader (2022-10-18 or newer)",
            day=datetime.fromtimestamp(bootloader_s, UTC).date(),
        )
    return Message("", {})


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
