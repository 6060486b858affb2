"""The services under a real systemd: what they may not do, and how they come back. `make test-units`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.units import machine

WATCHDOG_S = 30.0
CONFIG = """\
kiosk: {id: test-1, site: office-1}
update: {window_from: "00:00", window_to: "00:00"}
lanes:
  - camera: {source: "sim:seed=1,people=5000,hang=120", width_px: 640, height_px: 480, fps: 15}
    panel: {kind: mock}
uplink: {brokers: ["mqtt://127.0.0.1:1883"], settle_on: puback, receipt_timeout_s: 2,
         username: test, password_file: /run/credentials/kiosk-uplink.service/kiosk-uplink.password}
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """One boot, and all that it showed."""
    reason = machine.missing()
    if reason:
        pytest.fail(reason)
    root = machine.furnish(CONFIG)
    said = machine.boot(root)
    results = root / "results.json"
    assert results.exists(), said[-4000:]
    return dict(json.loads(results.read_text("utf-8")))


def test_both_start_and_deliver(seen: dict[str, Any]) -> None:
    """Both become ready, share the outbox, and what was scanned is settled."""
    assert seen["started"], seen
    assert seen["delivered"], seen
    assert seen["modes"]["outbox.db"] == oct(0o100660)
    assert "lane main" in seen["status"]["kiosk-scan.service"]
    assert seen["status"]["kiosk-uplink.service"] == "online"


def test_exposure_is_small(seen: dict[str, Any]) -> None:
    """systemd-analyze finds at most 0.4 for scan and 1.0 for the uplink."""
    assert seen["exposure"]["kiosk-scan.service"] <= 0.4
    assert seen["exposure"]["kiosk-uplink.service"] <= 1.0
    assert all(seen["within_threshold"].values())


@pytest.mark.parametrize("service", ["scan", "uplink"])
def test_probes_are_denied(seen: dict[str, Any], service: str) -> None:
    """Whatever somebody who has taken over the process would try next fails."""
    probes = seen["probes"][service]
    assert len(probes) >= 30, probes
    assert not [name for name, result in probes.items() if result == "ALLOWED"]


def test_camera_that_hangs_is_back_soon(seen: dict[str, Any]) -> None:
    """After the watchdog's time and that of two starts the next process has its first frame; meanwhile the fault shows."""
    assert WATCHDOG_S - 1 <= seen["hang_s"] <= WATCHDOG_S + 1 + 2 * seen["start_s"]
    assert seen["left_after_hang"] == "fault"


def test_neither_takes_the_other_down(seen: dict[str, Any]) -> None:
    """A killed process comes back, and the other one is still the same."""
    for killed in ("uplink_killed", "scan_killed"):
        assert seen[killed] == {"other_is_same": True, "back": True}, killed
    assert seen["left_after_kill"] == "fault"


def test_end_that_was_asked_for_is_dark(seen: dict[str, Any]) -> None:
    """A service that is stopped leaves no light."""
    assert seen["left_after_stop"] == "dark"


def test_wrong_configuration_does_not_spin(seen: dict[str, Any]) -> None:
    """Both give up with code 2 and stay so, and are at work as soon as the file is right."""
    assert seen["wrong_config"] == {"gave_up": True, "codes": ["2", "2"], "stays_quiet": True, "back": True}


def test_restarts_are_forgotten_in_good_health(seen: dict[str, Any]) -> None:
    """A camera that stalls now and then costs a second each time, not a minute after a week."""
    assert seen["restarts_counted"] > 0
    assert seen["restarts_forgotten"] == 0


def test_root_joins_the_network_that_the_uplink_asks_for(seen: dict[str, Any]) -> None:
    """The wish brings root's unit to work, which leaves a file for itself alone and starts wpa_supplicant; no log has the password."""
    wifi = seen["wifi"]
    assert wifi["found"], wifi
    assert (wifi["state"], wifi["mode"], wifi["network"], wifi["unit"]) == ("written", oct(0o100600), True, "active"), (
        wifi
    )
    assert not wifi["uplink_reads"]
    assert "a password" not in wifi["log"]
    assert wifi["exposure"] <= 2.5, wifi


def test_only_the_uplink_may_begin_the_link_anew(seen: dict[str, Any]) -> None:
    """Its wish starts wpa_supplicant anew and is gone; that of the scan process is removed and moves nothing."""
    assert seen["link"] == {
        "kiosk-scan": {"removed": True, "begun_anew": False, "active": True},
        "kiosk-uplink": {"removed": True, "begun_anew": True, "active": True},
    }


def test_only_the_uplink_may_restart_the_board(seen: dict[str, Any]) -> None:
    """A request of the scan process is removed; one of the uplink restarts, and all is at work again."""
    assert seen["asked_by_scan"] == "refused and removed"
    assert seen["second_boot"]


def test_update_is_fetched_in_the_uplinks_sandbox(seen: dict[str, Any]) -> None:
    """It reads the order and its folder, reaches out, and says that nobody is there; that is no failed unit."""
    assert seen["update"]["fetch"]["state"] == "fetching", seen["update"]
    assert "cannot be fetched" in seen["update"]["fetch"]["reason"]
    assert seen["update"]["fetch_result"] == "success"
    assert seen["exposure"]["kiosk-fetch.service"] <= 1.1  # as the uplink's without the list of brokers


def test_update_is_installed_by_root_alone(seen: dict[str, Any]) -> None:
    """RAUC of Debian 13 takes our settings and the signature; it gets no further without a card, and that is told."""
    update = seen["update"]
    assert "Rejected send message" in update["strangers"], update["strangers"]
    assert "kiosk updates: signer" in update["log"], update["log"]
    assert update["install"]["state"] == "failed", update
    assert "mount" in update["install"]["reason"] or "loop" in update["install"]["reason"], update["install"]
    assert update["ready_is_gone"]
    assert update["update_result"] == "success"
    assert update["word_for_the_firmware"] == "left"


def test_table(seen: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """For whoever runs it: what was measured, in one table."""
    rows = [(f"exposure {unit}", str(value)) for unit, value in seen["exposure"].items()]
    rows.append(
        ("back after a hang", f"{seen['hang_s']:.1f} s (watchdog {WATCHDOG_S:.0f} s, a start {seen['start_s']:.1f} s)")
    )
    rows += [
        (f"{service}: {name}", result) for service, probes in seen["probes"].items() for name, result in probes.items()
    ]
    with capsys.disabled():
        print()  # noqa: T201  the table
        for name, value in rows:
            print(f"{name:48} {value}")  # noqa: T201  the table
    assert len(rows) > 60
