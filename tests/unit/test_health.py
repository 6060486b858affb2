"""Marks are whole or absent, and the status says what the board tells."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.model import ClockQuality, Entry, Moment
from kiosk.outbox import Outbox


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_marks_are_read_back_while_they_are_fresh(tmp_path: Path) -> None:
    """What a process wrote last is read; when it is old it is not believed."""
    health.write_marks(tmp_path / "run", "uplink", {"state": "online", "written_boot_ns": _now_ns()})
    marks = health.read_marks(tmp_path / "run", "uplink", 5)
    assert marks is not None
    assert marks["state"] == "online"
    health.write_marks(tmp_path / "run", "uplink", {"written_boot_ns": _now_ns() - 6_000_000_000})
    assert health.read_marks(tmp_path / "run", "uplink", 5) is None
    health.write_marks(tmp_path / "run", "uplink", {"written_boot_ns": _now_ns() + 60_000_000_000})
    assert health.read_marks(tmp_path / "run", "uplink", 5) is None, "of another boot"


def test_marks_are_written_by_their_own_process_alone(tmp_path: Path) -> None:
    """The other one may read them, by its group, under the umask of a service."""
    before = os.umask(0o007)
    try:
        for name in ("scan-main", "scan-main", "camera-main"):
            health.write_marks(tmp_path, name, {"written_boot_ns": _now_ns()})
            assert (tmp_path / f"{name}.json").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"written_boot_ns": "x"}', "\ud800"])
def test_broken_marks_are_no_marks(tmp_path: Path, content: str) -> None:
    """Half a file is not believed and does no harm."""
    (tmp_path / "uplink.json").write_text(content, "utf-8", "surrogatepass")
    assert health.read_marks(tmp_path, "uplink", 5) is None
    assert health.read_marks(tmp_path, "other", 5) is None


def test_folder_that_cannot_be_written_does_not_stop_a_door(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its reason."""
    (tmp_path / "file").touch()
    health.write_marks(tmp_path / "file", "uplink", {"written_boot_ns": 1})
    assert "marks-not-written" in caplog.text


def test_status_says_how_the_station_is(make_config: Callable[..., Config], make_entry: Callable[[int], Entry]) -> None:
    """Version, uptime, outbox depth and age, lanes, disk, clock: in one JSON object without a person."""
    config = make_config()
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    outbox.append(make_entry(1))
    health.write_marks(
        config.state.runtime_dir, "scan-main", {"lane": "main", "written_boot_ns": _now_ns(), "fault": ""}
    )
    message = health.status_message(config, outbox, SystemClock().now(), "online")
    status = json.loads(message)
    assert (status["v"], status["kiosk"], status["state"]) == (1, "test-1", "online")
    assert status["outbox"]["waiting"] == 1
    assert 0 <= status["outbox"]["oldest_age_s"] < 60
    assert status["outbox"]["disk_free_mb"] > 0
    assert status["at"]["clock"] in {"synced", "estimated", "unset"}
    assert status["uptime_s"] > 0
    assert status["lanes"][0]["fault"] == ""
    assert b"Nguy" not in message
    assert json.loads(health.last_will(config)) == {"v": 1, "kiosk": "test-1", "site": "office-1", "state": "lost"}
    outbox.close()


def test_age_is_told_only_by_clocks_that_were_set(
    make_config: Callable[..., Config], make_entry: Callable[[int], Entry]
) -> None:
    """Within one boot always; across boots not if the day then or now was guessed."""
    config, entry = make_config(), make_entry(1)
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    outbox.append(entry)
    later = replace(entry.at, wall_ns=entry.at.wall_ns + 90 * 10**9, boot_ns=entry.at.boot_ns + 60 * 10**9)

    def age_s(now: Moment) -> int | None:
        oldest_age_s: int | None = json.loads(health.status_message(config, outbox, now, "online"))["outbox"][
            "oldest_age_s"
        ]
        return oldest_age_s

    unset = replace(later, quality=ClockQuality.UNSET)
    assert [age_s(now) for now in (later, unset)] == [60, 60]
    assert [age_s(replace(now, boot_id="another")) for now in (later, unset)] == [90, None]
    outbox.close()


def test_lane_without_a_sign_of_life_is_a_fault(make_config: Callable[..., Config]) -> None:
    """A scan process that hangs writes no marks, and the centre is told."""
    config = make_config()
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    status = json.loads(health.status_message(config, outbox, SystemClock().now(), "online"))
    assert "no sign of life" in status["lanes"][0]["fault"]
    assert status["outbox"]["oldest_age_s"] is None
    outbox.close()


@pytest.mark.parametrize(
    ("lanes", "warns"),
    [
        ({"main": {"trust_fault": ""}, "side": {"trust_fault": "trust.list: not a trust list"}}, True),
        ({"main": {"trust_fault": ""}, "side": {}}, False),
        ({"main": {"trust_fault": "x", "written_boot_ns": 1}}, False),
    ],
)
def test_refused_trust_list_of_any_lane_is_a_warning(
    make_config: Callable[..., Config], lanes: dict[str, dict[str, object]], *, warns: bool
) -> None:
    """Of marks that are fresh; those of a version that had no such word warn of nothing."""
    config = make_config(lanes=[{"name": name, "panel": {"kind": "none"}} for name in lanes])
    for name, marks in lanes.items():
        fresh = {"lane": name, "written_boot_ns": _now_ns(), "fault": ""}
        health.write_marks(config.state.runtime_dir, f"scan-{name}", fresh | marks)
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    status = json.loads(health.status_message(config, outbox, SystemClock().now(), "online"))
    outbox.close()
    assert ("trust-fault" in status["warnings"]) is warns


def test_board_tells_temperature_and_throttling(tmp_path: Path) -> None:
    """Where the files are there; elsewhere None, and never an exception."""
    empty = health.board_facts(tmp_path)
    assert (empty["temperature_c"], empty["throttled"]) == (None, None)
    (tmp_path / "sys/class/thermal/thermal_zone0").mkdir(parents=True)
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").write_text("48312\n")
    (tmp_path / "sys/devices/platform/soc/soc:firmware").mkdir(parents=True)
    (tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("50005\n")
    facts = health.board_facts(tmp_path)
    assert facts["temperature_c"] == pytest.approx(48.312)
    assert facts["throttled"] == ["under-voltage", "throttled", "was-under-voltage", "was-throttled"]
