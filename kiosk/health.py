"""How the station is: marks that its processes leave in a folder in memory, and the status message made of them.

A mark is a small JSON file, replaced by renaming, so that a reader sees the old or the new one and never half of it. It
tells of finished work (frames decoded, entries committed, receipts taken) and when it was written; a mark that is older
than `FRESH_S` is no longer believed, because its process hangs or is gone.

    scan-<lane>.json     written by a lane's scan process       uplink.json   written by the uplink
    camera-<lane>.json   its starts, counted by itself

Units: `_s` seconds, `_ms` milliseconds, `_ns` nanoseconds, `_mb` megabytes, `_c` degrees Celsius.

Sources:
    [1] raspberrypi/documentation, vcgencmd get_throttled: bits 0 to 3 are now, 16 to 19 since boot.
    [2] raspberrypi/linux, drivers/hwmon/raspberrypi-hwmon.c: `in0_lcrit_alarm` is 1 while the supply is too weak, 0 while it is not. A
        Pi 5's firmware is `soc@107c000000:firmware`, where get_throttled may be missing.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiosk import __version__
from kiosk.clock import judging_s
from kiosk.disk import shared
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kiosk.config import Config
    from kiosk.delivery.complaints import Complaints
    from kiosk.model import Moment
    from kiosk.outbox import Outbox

_log = logging.getLogger(__name__)

FRESH_S = 15.0
FRAMES_OF_A_CAMERA = 50
"""Decoded in one start: more than a camera that starts and stalls gives."""
_EVER_S = 1e12
SHARED = "identity-shared"
"""The warning that another station comes to the broker under this one's name."""
SHARED_S = 3600
"""So long after it was last seen."""
STOPPED = "stopped"
"""The state of an uplink that was told to end; the centre is told the same."""
OUTBOX_SHARE = 0.8
"""Of `outbox.max_entries` waiting: time to look after the uplink."""
DISK_TIMES = 4
"""Times `outbox.min_free_mb` left: time to look after the disk."""

_LANE_WARNINGS = {"trust_fault": "trust-fault", "camera_fault": "camera-fault"}
_TEMPERATURE = Path("sys/class/thermal/thermal_zone0/temp")
_THROTTLED = "sys/devices/platform/soc*/*firmware/get_throttled"
_HWMON, _VOLT = "sys/class/hwmon/hwmon*/name", "rpi_volt"
CONTROLLERS = Path("sys/fs/cgroup/cgroup.controllers")
_THROTTLED_BITS = {
    0: "under-voltage", 1: "frequency-capped", 2: "throttled", 3: "temperature-limit",
    16: "was-under-voltage", 17: "was-frequency-capped", 18: "was-throttled", 19: "was-at-temperature-limit",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScanMarks:
    """What a lane's scan process tells of itself.

    Attributes:
        lane: Its name.
        written_boot_ns: When this was written.
        frames: Frames decoded since its start.
        fps: Frames a second since the last marks.
        decode_ms_p50: Median decoding time of the last 300 frames.
        decode_ms_p99: Their 99th percentile.
        commit_ms_p50: Median time to make an entry durable, of the last 300 entries.
        commit_ms_p99: Their 99th percentile.
        recorded: Entries since its start.
        repeated: Repeats since its start.
        refused: Refusals since its start.
        last_scan_wall_ns: When the last code was answered, Unix time; None before the first, and while the clock is unset.
        fault: What keeps it from recording, one sentence; empty if nothing does.
        trust_fault: Why it refuses the list of whom to believe, or of what is revoked, that lies there; empty if it does not.
        camera_fault: What its camera does not give as it is set; empty if it gives all.
    """

    lane: str
    written_boot_ns: int
    frames: int
    fps: float
    decode_ms_p50: float
    decode_ms_p99: float
    commit_ms_p50: float
    commit_ms_p99: float
    recorded: int
    repeated: int
    refused: int
    last_scan_wall_ns: int | None
    fault: str
    trust_fault: str = ""
    camera_fault: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def write_marks(runtime_dir: Path, name: str, marks: dict[str, Any]) -> None:
    """Replace a process's marks; a folder that cannot be written is logged and does not stop a door.

    Args:
        runtime_dir: The folder, made if it is not there.
        name: "uplink" or "scan-<lane>".
        marks: What JSON can hold, with "written_boot_ns".
    """
    path = runtime_dir / f"{name}.json"
    try:
        runtime_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        # The other process shares the group and the folder, and must not write here; a service's umask would let it.
        shared.replace(path, json.dumps(marks).encode(), 0o640)
    except OSError as error:
        _log.warning(line("marks-not-written", path=path, reason=error.strerror))


def note_end(runtime_dir: Path, name: str) -> None:
    """Have the marks of a process that ends in order say so; they would be believed for a while yet.

    Args:
        runtime_dir: The folder.
        name: "uplink".
    """
    marks = read_marks(runtime_dir, name, FRESH_S)
    if marks is not None:
        write_marks(runtime_dir, name, {**marks, "state": STOPPED})


def read_marks(runtime_dir: Path, name: str, fresh_s: float) -> dict[str, Any] | None:
    """A process's marks; None if there are none that can be believed.

    Args:
        runtime_dir: The folder.
        name: "uplink" or "scan-<lane>".
        fresh_s: Oldest age that is believed.
    """
    try:
        marks = json.loads(shared.read(runtime_dir / f"{name}.json"))
        age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(marks["written_boot_ns"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return marks if isinstance(marks, dict) and 0 <= age_ns <= fresh_s * 1e9 else None


def shared_ago_s(taken_over_boot_ns: object, boot_ns: int) -> int | None:
    """How long ago another station took this one's place at the broker; None if it did not within `SHARED_S`.

    Args:
        taken_over_boot_ns: When it last did, as the uplink's marks have it; None if it never did.
        boot_ns: Now.
    """
    if not isinstance(taken_over_boot_ns, int):
        return None
    ago_s = (boot_ns - taken_over_boot_ns) // 1_000_000_000
    return ago_s if 0 <= ago_s <= SHARED_S else None


def of_delivery(taken_over_boot_ns: object, boot_ns: int, complaints: Complaints) -> list[str]:
    """The warnings of what is wrong between the station and its broker.

    Args:
        taken_over_boot_ns: When another station last took this one's place there; None if it never did.
        boot_ns: Now.
        complaints: What the broker refuses.
    """
    is_shared = shared_ago_s(taken_over_boot_ns, boot_ns) is not None
    return [*[SHARED] * is_shared, *complaints.warnings]


def camera_marks(lane: str) -> str:
    """The name of the marks in which a lane's starts are counted."""
    return f"camera-{lane}"


def mark_camera_start(runtime_dir: Path, lane: str, boot_ns: int) -> None:
    """Count that a lane opens its camera, since the last time that one gave pictures: a scan process does it before it tries.

    Args:
        runtime_dir: The folder.
        lane: Its name.
        boot_ns: Now.
    """
    before = read_marks(runtime_dir, camera_marks(lane), _EVER_S)
    last = read_marks(runtime_dir, f"scan-{lane}", _EVER_S)
    marks = {"written_boot_ns": boot_ns, "since_boot_ns": boot_ns, "starts": 1}
    try:
        if before is not None and (last is None or not _gave_pictures(last, int(before["since_boot_ns"]))):
            marks |= {"since_boot_ns": int(before["since_boot_ns"]), "starts": int(before["starts"]) + 1}
    except (KeyError, TypeError, ValueError):  # not ours
        pass
    write_marks(runtime_dir, camera_marks(lane), marks)


def _gave_pictures(scan: dict[str, Any], since_boot_ns: int) -> bool:
    return int(scan["frames"]) >= FRAMES_OF_A_CAMERA and int(scan["written_boot_ns"]) >= since_boot_ns


def status_message(  # noqa: PLR0913  a status has many parts
    config: Config,
    outbox: Outbox,
    now: Moment,
    state: str,
    commands: dict[str, Any] | None = None,
    warnings: Sequence[str] = (),
    trust_issued_s: int | None = None,
    *,
    update: dict[str, Any] | None = None,
) -> bytes:
    """What the centre is told of this station, retained at its status topic.

    Args:
        config: The station's settings.
        outbox: Its outbox.
        now: Now.
        state: How the link is: "online", "offline", …; "lost" is said by the broker, "stopped" by the uplink's last word.
        commands: What became of the centre's commands; None for a station that obeys nobody.
        warnings: What else will stop the station if nobody acts.
        trust_issued_s: When the trust list was issued that the station has; None without one.
        update: How an update stands; None where nobody looks.
    """
    disk = os.statvfs(config.state.dir)
    lanes = [_lane(config, lane.name) for lane in config.lanes]
    of_lanes = [word for key, word in _LANE_WARNINGS.items() if any(lane.get(key) for lane in lanes)]
    return _dump(
        {
            **_head(config, state),
            "at": {"wall_ns": now.wall_ns, "boot_id": now.boot_id, "boot_ns": now.boot_ns, "clock": now.quality.value},
            "version": __version__,
            "uptime_s": now.boot_ns // 1_000_000_000,
            "outbox": _outbox(outbox, now, disk),
            "warnings": [*_warnings(config, outbox, now, disk), *of_lanes, *warnings],
            "lanes": lanes,
            "board": board_facts(),
            "commands": commands,
            "trust_issued_s": trust_issued_s,
            "update": update,
        }
    )


def last_will(config: Config) -> bytes:
    """What the broker says in the station's name when the connection is lost."""
    return _dump(_head(config, "lost"))


def board_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Temperature, throttling and load, each None where the board does not tell; throttling by the firmware, or by its alarm [2].

    Args:
        root: Where /sys and /proc are.
    """
    millidegrees = _number(root / _TEMPERATURE, 10)
    return {
        "temperature_c": None if millidegrees is None else millidegrees / 1000,
        "throttled": _throttled(root),
        "load": round(os.getloadavg()[0], 2),
    }


def _throttled(root: Path) -> list[str] | None:
    """What holds the board back, or has since its start; None where it does not tell."""
    for path in sorted(root.glob(_THROTTLED)):
        bits = _number(path, 16)
        if bits is not None:
            return [word for bit, word in _THROTTLED_BITS.items() if bits >> bit & 1]
    for path in sorted(root.glob(_HWMON)):
        if _first_line(path) == _VOLT and (alarm := _number(path.with_name("in0_lcrit_alarm"), 10)) is not None:
            return [_THROTTLED_BITS[0]] * bool(alarm)
    return None


def limits_hold(root: Path = Path("/")) -> bool | None:
    """Whether the kernel bounds the memory of a service; None where it does not tell.

    Args:
        root: Where /sys is.
    """
    try:
        return "memory" in (root / CONTROLLERS).read_text("ascii").split()
    except (OSError, ValueError):
        return None


def _first_line(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _head(config: Config, state: str) -> dict[str, Any]:
    return {"v": 1, "kiosk": config.kiosk.id, "site": config.kiosk.site, "state": state}


def _outbox(outbox: Outbox, now: Moment, disk: os.statvfs_result) -> dict[str, Any]:
    oldest = outbox.oldest()
    return {
        "id": str(outbox.id),
        "last_seq": outbox.last_seq,
        "waiting": outbox.depth(),
        "oldest_age_s": None if oldest is None else _age_s(oldest, now),
        "set_aside": len(outbox.quarantined()),
        "disk_free_mb": disk.f_bavail * disk.f_frsize // 2**20,
        "disk_free_percent": round(100 * disk.f_bavail / max(1, disk.f_blocks)),
    }


def _warnings(config: Config, outbox: Outbox, now: Moment, disk: os.statvfs_result) -> list[str]:
    """What stops the station, or an entry on its way, if nobody acts: "outbox-filling", "disk-filling", "entries-oversized"; `Sealer.warnings`."""
    from kiosk.sealer import Sealer  # noqa: PLC0415  whoever writes marks alone, after a death, has no time for it

    filling = outbox.depth() > OUTBOX_SHARE * config.outbox.max_entries
    narrow = disk.f_bavail * disk.f_frsize < DISK_TIMES * config.outbox.min_free_mb * 2**20
    too_large = bool(outbox.oversized())
    return (
        ["outbox-filling"] * filling
        + ["disk-filling"] * narrow
        + ["entries-oversized"] * too_large
        + Sealer(config).warnings(now)
    )


def _age_s(then: Moment, now: Moment) -> int | None:
    """By the clock that is surest: since boot within one boot, by the wall across boots; None if that was not set at both ends."""
    if then.boot_id == now.boot_id:
        return max(0, now.boot_ns - then.boot_ns) // 1_000_000_000
    then_s, now_s = judging_s(then), judging_s(now)
    return None if then_s is None or now_s is None else max(0, int(now_s - then_s))


def _lane(config: Config, name: str) -> dict[str, Any]:
    marks = read_marks(config.state.runtime_dir, f"scan-{name}", FRESH_S)
    return marks or {"lane": name, "fault": "its scan process gives no sign of life"}


def _number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text("ascii").strip(), base)
    except (OSError, ValueError):
        return None


def _dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
