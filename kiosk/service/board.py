"""How the board itself is: its heat and supply, whether limits of memory hold, whether it takes updates, whether it is there twice. For `checkup`.

Each answer is whether nothing is to be done, and what was found, with the remedy where something is.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kiosk import health
from kiosk.delivery import rival
from kiosk.language.message import Message, joined, say
from kiosk.updates import updating
from kiosk.updates.rules import WITHOUT_TRIALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kiosk.config import Config

Told = tuple[bool, Message]


def is_pi(root: Path) -> bool:
    """Whether this is a Raspberry Pi, by its device tree.

    Args:
        root: Where /proc is; of all functions here, and where /sys is.
    """
    try:
        return (root / "proc/device-tree/model").read_text("ascii", "replace").startswith("Raspberry Pi")
    except OSError:
        return False


def strain(root: Path) -> Told:
    """Heat and supply."""
    facts = health.board_facts(root)
    temperature_c, throttled = facts["temperature_c"], facts["throttled"]
    said = say("temperature unknown")
    if temperature_c is not None:
        said = Message("{temperature_c:.0f} °C", {"temperature_c": temperature_c})
    if throttled is None and is_pi(root):
        unknown = say("whether the supply is too weak is unknown")
        return False, joined(
            "; ", [joined(", ", [said, unknown]), say("use the maker's, for this board does not tell")]
        )
    if not throttled:
        return True, said
    remedy = say("give it air or shade")
    if any("under-voltage" in word for word in throttled):
        remedy = say("use the maker's power supply and a short, thick cable")
    return False, joined("; ", [joined(", ", [said, *throttled]), remedy])


def limits(root: Path) -> Told:
    """The maker's device tree switches off what `MemoryMax=` needs."""
    hold = health.limits_hold(root)
    if hold is None:
        file = f"/{health.CONTROLLERS}"
        return False, say("unknown: there is no {file}; start the board with Debian's systemd", file=file)
    if not hold:
        return False, say(
            "no service's memory is bounded; add `cgroup_enable=memory` to cmdline.txt and restart the board"
        )
    return True, say("the memory of each service is bounded")


def updates(config: Config, root: Path) -> Told:
    """Whether the board can boot a new version on trial."""
    file = config.update.version_file
    if reason := updating.why_unfit(file, root):
        return updating.board_of(file) in WITHOUT_TRIALS, reason  # for those nothing is to be mended
    if not updating.version_of(file):
        return True, say("none come: this is no card image")
    made_s = updating.bootloader_s(root)
    if made_s is None:
        return True, say("can be taken, by a bootloader that does not tell its day")
    day = datetime.fromtimestamp(made_s, UTC).date()
    return True, say("can be taken, by a bootloader of {day}", day=day)


def shared_identity(uplink: Mapping[str, Any]) -> Message | None:
    """That another machine comes under this station's name, with the remedy; None if none did lately.

    Args:
        uplink: Its marks.
    """
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    ago_s = health.shared_ago_s(uplink.get("taken_over_boot_ns"), now_ns)
    if ago_s is None:
        return None
    why = rival.SUSPECTED if uplink.get("taken_over_why") == rival.SUSPECTED else rival.TAKEN_OVER
    remedy = say(
        "find the other machine with a copy of this card, and set one of the two up anew: the centre's `central fleet replace` makes"
        " the code for it"
    )
    said = say("{reason}, {ago_s} s ago", reason=why, ago_s=ago_s)
    return joined("; ", [str(uplink.get("state")), said, remedy])
