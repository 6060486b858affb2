"""`kiosk status`: how this kiosk is, from the marks that its processes leave; what the centre is told, in the same words.

Times are in this machine's zone; with `--json` everything is as the centre gets it (docs/asyncapi.yaml).
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.commands.options import add_config, add_json
from kiosk.commissioning import provision
from kiosk.delivery import complaints
from kiosk.errors import NotProvisionedError, OutboxError
from kiosk.model import ClockQuality
from kiosk.outbox import Outbox
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config

LAST_TRY_S = 7 * 86_400.0


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the status; 0 if the kiosk records and delivers, 1 if it does not."""
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError as error:
        print(f"not set up: {_last_try(loader.load_board(arguments.config)) or error}")
        return 1
    uplink = health.read_marks(config.state.runtime_dir, "uplink", health.FRESH_S) or {}
    state = str(uplink.get("state", "uplink-not-running"))
    try:
        outbox = Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)
    except OutboxError as error:
        print(f"outbox: {error}")
        return 1
    try:
        now = SystemClock(config.state.runtime_dir).now()
        message = health.status_message(
            config,
            outbox,
            now,
            state,
            uplink.get("commands"),
            [
                *provision.warnings(config, now),
                *health.of_delivery(
                    uplink.get("taken_over_boot_ns"), now.boot_ns, complaints.read(uplink.get("complaints"))
                ),
            ],
            uplink.get("trust_issued_s"),
        )
    finally:
        outbox.close()
    if arguments.json:
        print(message.decode())
    else:
        _print_tree(json.loads(message), config.clock.zone)
    status = json.loads(message)
    well = state == "online" and all(not lane["fault"] for lane in status["lanes"]) and bool(status["lanes"])
    return 0 if well else 1


def _last_try(board: Config) -> str:
    """How the last provisioning code fared."""
    marks = health.read_marks(board.state.runtime_dir, provision.MARKS, LAST_TRY_S) or {}
    return str(marks.get("reason") or marks.get("state") or "")


def _print_tree(values: dict[str, Any], zone: str, indent: str = "") -> None:
    """The status as a person reads it: in its own words, without what only programs need."""
    for name, value in values.items():
        if name in _LEFT_OUT or (name == "update" and value is None):
            continue
        if isinstance(value, dict) and value and name != "at":
            print(f"{indent}{name}:")
            _print_tree(value, zone, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                print(f"{indent}{name.removesuffix('s')}:")
                _print_tree(item, zone, indent + "  ")
        else:
            print(f"{indent}{_CALLED.get(name, name):{24 - len(indent)}} {_said(name, value, zone)}")


_LEFT_OUT = frozenset({"v", "boot_id", "boot_ns", "id"})
_CALLED = {
    "at": "clock", "uptime_s": "machine_up", "written_boot_ns": "told", "last_scan_wall_ns": "last_scan",
    "oldest_age_s": "oldest_waits", "trust_issued_s": "trust_list",
}  # fmt: skip
_ABSENT = {
    "temperature_c": "not told by this board", "throttled": "not told by this board", "last_scan_wall_ns": "none yet",
}  # fmt: skip


_MEANING = {
    health.SHARED: "another station uses this identity; see the line `broker` of `kiosk doctor`",
}  # fmt: skip


def _said(name: str, value: Any, zone: str) -> str:  # noqa: ANN401  whatever JSON holds
    """One value, with its unit in words."""
    if value is None:
        return _ABSENT.get(name, "none")
    match name:
        case "at" if value["clock"] == ClockQuality.UNSET.value:
            return "unset: nobody has told the time since it was switched on"
        case "at":
            return f"{_time(value['wall_ns'], zone)}, {value['clock']}"
        case "last_scan_wall_ns":
            return _time(value, zone)
        case "trust_issued_s":
            return f"of {_time(value * 10**9, zone)}"
        case "written_boot_ns":
            return f"{_duration((time.clock_gettime_ns(time.CLOCK_BOOTTIME) - value) // 10**9)} ago"
        case "uptime_s" | "oldest_age_s":
            return _duration(value)
    if isinstance(value, list):
        return ", ".join(f"{each}: {_MEANING[each]}" if each in _MEANING else str(each) for each in value) or "none"
    return "none" if value in ("", {}) else str(value)


def _time(wall_ns: int, zone: str) -> str:
    """In the door's zone, which is told."""
    return datetime.fromtimestamp(wall_ns // 10**9, ZoneInfo(zone)).isoformat(" ")


def _duration(seconds: int) -> str:
    """Its two largest units."""
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts = [
        (seconds // size % (units[at - 1][1] // size if at else 10**9), unit) for at, (unit, size) in enumerate(units)
    ]
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])
