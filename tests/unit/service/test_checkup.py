"""The doctor disturbs no station at work, and every trouble comes with its remedy."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme

from kiosk import health
from kiosk.__main__ import main
from kiosk.clock import SystemClock, keep_anchor
from kiosk.config import Config
from kiosk.delivery import refusals, rival
from kiosk.errors import OutboxError
from kiosk.language.message import say
from kiosk.model import ClockQuality, Entry
from kiosk.outbox import Outbox
from kiosk.service import acceptance, checkup
from kiosk.service.checkup import Finding, Health

ROOT = Path(__file__).resolve().parents[3]
WORKING = {"lane": "main", "fps": 12.5, "recorded": 7, "fault": ""}


def _mark(config: Config, name: str, **marks: object) -> None:
    marks["written_boot_ns"] = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    health.write_marks(config.state.runtime_dir, name, marks)


def _found(config: Config, root: Path = Path("/nowhere")) -> dict[str, Finding]:
    return {finding.part: finding for finding in checkup.findings(config, root)}


def test_station_at_work_is_not_disturbed(make_config: Callable[..., Config]) -> None:
    """Camera, pins and the name at the broker belong to the processes that run; their marks are told instead."""
    config = make_config(lanes=[{"camera": {"source": "v4l2:/dev/none"}, "panel": {"kind": "gpio"}}])
    _mark(config, "scan-main", **WORKING)
    _mark(config, "uplink", state="online", broker="mqtt://127.0.0.1:1", protocol="5", last_receipt_boot_ns=None)
    found = _found(config)
    assert found["lane main"].health is Health.OK
    assert "12.5 frames a second, 7 recorded" in found["lane main"].says
    assert found["broker mqtt://127.0.0.1:1"] == Finding(
        say("broker mqtt://127.0.0.1:1"), Health.OK, say("online, MQTT 5")
    )
    assert found["receipts"].says == "none since the uplink's start, 0 entries wait"
    _mark(config, "scan-main", **{**WORKING, "fault": "the disk is full; make room"})
    _mark(config, "uplink", state="offline", broker="mqtt://127.0.0.1:1")
    found = _found(config)
    assert found["lane main"] == Finding(say("lane main"), Health.FAILED, say("the disk is full; make room"))
    assert found["broker mqtt://127.0.0.1:1"].says == "offline; look at what `kiosk run` says"


@pytest.mark.parametrize(("state", "worst"), [("online", Health.WARNING), ("offline", Health.FAILED)])
@pytest.mark.parametrize("why", [rival.TAKEN_OVER, rival.SUSPECTED])
def test_another_of_this_name_is_no_network_fault(
    make_config: Callable[..., Config], state: str, worst: Health, why: str
) -> None:
    """For an hour it is told as what it is, surely or as a suspicion, with the remedy; then the link is told as before."""
    config = make_config()
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    marks = {"state": state, "broker": "b", "protocol": "5", "last_receipt_boot_ns": None, "taken_over_why": str(why)}
    _mark(config, "uplink", **marks, taken_over_boot_ns=now_ns - 60 * 10**9)
    found = _found(config)["broker b"]
    assert found.health is worst
    assert found.says.startswith(f"{state}; {why}, 60 s ago; find the other machine with a copy of this card")
    assert "cable" not in found.says
    for over_ns in (now_ns - 3700 * 10**9, now_ns + 9 * 10**9, None, "x"):
        _mark(config, "uplink", **marks, taken_over_boot_ns=over_ns)
        assert "identity" not in _found(config)["broker b"].says


@pytest.mark.parametrize("folder", ["etc/systemd/system", "usr/lib/systemd/system"])
def test_remedy_is_one_that_this_machine_has(make_config: Callable[..., Config], tmp_path: Path, folder: str) -> None:
    """Where systemd runs the station its services are named, elsewhere `kiosk run`."""
    config, door = make_config(), tmp_path / "door"
    (door / folder).mkdir(parents=True)
    (door / folder / "kiosk-uplink.service").touch()
    assert _found(config)["receipts"].says == "the uplink does not run; start it: kiosk run"
    assert _found(config, door)["receipts"].says.endswith("start it: systemctl start kiosk-uplink")
    _mark(config, "uplink", state="offline", broker="b")
    for marks in (WORKING, {**WORKING, "waits": "0 of 3 codes of a card"}):
        _mark(config, "scan-main", **marks)
        assert _found(config)["lane main"].says.endswith("to try camera and panel: end `kiosk run`")
        assert _found(config, door)["lane main"].says.endswith("to try camera and panel: systemctl stop kiosk-scan")
    assert _found(config)["broker b"].says.endswith("what `kiosk run` says")
    assert _found(config, door)["broker b"].says.endswith("what `journalctl -u kiosk-uplink -b` says")


def test_cable_is_named_only_where_none_carries(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """A broker that cannot be found is told as that while a network is there; without one it is the cable or the Wi-Fi."""
    config = make_config()
    for interface, carrier in (("lo", "1"), ("eth0", "0")):
        folder = tmp_path / "sys/class/net" / interface
        folder.mkdir(parents=True)
        (folder / "carrier").write_text(carrier)
    for name in refusals.NAMES:
        _mark(config, "uplink", state="offline", broker="b", complaints={"link": name, "entries": "", "topics": {}})
        (tmp_path / "sys/class/net/eth0/carrier").write_text("1")
        assert str(refusals.said(name)) in _found(config, tmp_path)["broker b"].says
        (tmp_path / "sys/class/net/eth0/carrier").write_text("0")
        says = _found(config, tmp_path)["broker b"].says
        assert ("cable" in says) is (name in refusals.PERHAPS_NO_CABLE or name == "cable")


def test_outbox_is_looked_at_and_not_made(make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that has recorded nobody yet has none; one that could not make it is told so before a citizen comes."""
    config = make_config()
    assert checkup._outbox(config) == (Health.OK, "none yet; it is made when scanning begins")
    assert not (config.state.dir / "outbox.db").exists()
    monkeypatch.setattr("kiosk.service.checkup.os.access", lambda _path, _mode: False)
    with pytest.raises(
        OutboxError, match=r"outbox.db cannot be made: .* is not writable; run this as the station's user"
    ):
        checkup._outbox(config)


def test_entries_that_no_broker_takes_are_told(
    make_config: Callable[..., Config], make_entry: Callable[[int], Entry]
) -> None:
    """How many, and what the broker must take."""
    config = make_config()
    config.state.dir.mkdir(parents=True)
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        outbox.append(make_entry(1))
        outbox.note_oversized(1, 9000)
        outbox.settle(1)
    health, told = checkup._outbox(config)
    assert health is Health.WARNING
    assert told == (
        "0 entries wait; 1 more are too large for the broker: let it take messages of 9000 bytes, then they are sent by themselves"
    )


def test_damaged_outbox_is_told_and_left_alone(make_config: Callable[..., Config]) -> None:
    """Setting it aside is the station's work; whoever looks changes nothing."""
    config = make_config()
    path = config.state.dir / "outbox.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(OutboxError, match="file is not a database"):
        checkup._outbox(config)
    assert [found.name for found in path.parent.iterdir()] == ["outbox.db"]


def test_centre_that_is_silent_is_told(make_config: Callable[..., Config], make_entry: Callable[..., Entry]) -> None:
    """Online and no receipt, though entries wait: nobody collects."""
    config = make_config()
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    outbox.append(make_entry(1))
    outbox.close()
    _mark(config, "scan-main", **WORKING)
    _mark(config, "uplink", state="online", broker="b", protocol="5", last_receipt_boot_ns=None)
    assert _found(config)["receipts"].health is Health.FAILED
    _mark(config, "uplink", state="online", broker="b", last_receipt_boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    assert _found(config)["receipts"] == Finding(say("receipts"), Health.OK, say("the last 0 s ago, 1 entries wait"))


def test_disk_and_set_aside_files_are_told(make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow disk before it is full, and a damaged file that waits for somebody."""
    config = make_config()
    Outbox.open(config.state.dir / "outbox.db", config.outbox).close()
    for free_mb, expected in ((60, Health.FAILED), (200, Health.WARNING), (300, Health.OK)):
        disk = os.statvfs(config.state.dir)
        narrow = os.statvfs_result([*disk[:4], free_mb * 2**20 // disk.f_frsize, *disk[5:]])
        monkeypatch.setattr("kiosk.service.checkup.os.statvfs", lambda _path, narrow=narrow: narrow)
        found, says = checkup._disk(config)
        assert (found, says.split(" MB free")[0]) == (expected, str(free_mb))
        monkeypatch.undo()
    (config.state.dir / "outbox.db.damaged-1").touch()
    assert "1 damaged files set aside: keep them" in checkup._outbox(config)[1]


@pytest.mark.parametrize(
    ("life", "spare", "expected"),
    [
        ("0x01 0x02", "0x01", Health.OK), ("0x09 0x01", "0x01", Health.WARNING), ("0x01 0x01", "0x02", Health.WARNING),
        ("0x0b 0x01", "0x01", Health.FAILED), ("0x01 0x01", "0x03", Health.FAILED), ("", "", Health.OK),
    ],
)  # fmt: skip
def test_worn_card_is_told(tmp_path: Path, life: str, spare: str, expected: Health) -> None:
    """In tenths of its life, where it tells them."""
    device = tmp_path / "sys/block/mmcblk0/device"
    device.mkdir(parents=True)
    (device / "name").write_text("DG4016\n")
    if life:
        (device / "life_time").write_text(life + "\n")
        (device / "pre_eol_info").write_text(spare + "\n")
    found, says = checkup._card(tmp_path)
    assert found is expected
    assert says.startswith("DG4016")
    assert ("replace it" in says) == (expected is not Health.OK)
    assert checkup._card(tmp_path / "none")[0] is Health.OK


@pytest.mark.parametrize(("days", "expected"), [(-3, Health.FAILED), (5, Health.WARNING), (300, Health.OK)])
def test_certificate_that_runs_out_is_told(
    make_config: Callable[..., Config], tmp_path: Path, days: int, expected: Health
) -> None:
    """Weeks before it does."""
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    issued = trustme.CA().issue_cert("test-1", not_after=ends)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    tls = {"cert_file": str(cert), "key_file": str(key)}
    found, says = checkup._certificate(make_config(uplink={"brokers": ["mqtts://a:8883"], "tls": tls}))
    assert found is expected, says


def test_dark_camera_is_told(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """A picture without light, from the aim's own measure, and where to go on."""
    import cv2  # noqa: PLC0415  one picture
    import numpy as np  # noqa: PLC0415

    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((240, 320), 9, np.uint8))
    lane = make_config(lanes=[{"camera": {"source": f"folder:{tmp_path}"}, "panel": {"kind": "none"}}]).lanes[0]
    found, says = checkup._camera(lane)
    assert found is Health.WARNING
    assert "too dark: more light" in says
    assert "kiosk aim" in says


def test_clock_tells_its_quality(make_config: Callable[..., Config]) -> None:
    """A wall time, and a remedy unless it is synchronised."""
    found, says = checkup._clock(make_config())
    assert datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).strftime("%Y-%m-%d %H:") in says
    assert "(Asia/Ho_Chi_Minh)" in says
    assert found is Health.OK or "UDP 123" in says


def test_guessed_day_judges_nothing(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was never set shows no day and says of no certificate that it is good; the centre's time does both."""
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)
    issued = trustme.CA().issue_cert("test-1", not_after=datetime.now(UTC) + timedelta(days=300, hours=1))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    tls = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "cert.pem")}
    config = make_config(uplink={"brokers": ["mqtts://a:8883"], "tls": tls})
    found, says = checkup._clock(config)
    assert (found, "Asia" in says, "UDP 123" in says) == (Health.WARNING, False, True)
    found, says = checkup._certificate(config)
    assert found is Health.WARNING
    assert says.endswith("nobody knows before the clock is set")
    keep_anchor(config.state.runtime_dir, SystemClock().now(), time.time_ns() + 400 * 86_400 * 10**9)
    assert f"{datetime.now(UTC) + timedelta(days=400):%Y-%m-%d}" in checkup._clock(config)[1]
    assert checkup._certificate(config)[0] is Health.FAILED


def test_acceptance_asks_again_and_writes_each_answer() -> None:
    """Nonsense is asked again; notes are kept; what was answered is written at once."""
    typed = iter(["", "perhaps", "y", "n green is pale", "s"])
    report = io.StringIO()
    assert acceptance.ask(acceptance.STEPS[:3], lambda _: next(typed), report, SystemClock()) == 1
    lines = [json.loads(line) for line in report.getvalue().splitlines()]
    assert [(line["answer"], line["note"]) for line in lines] == [("yes", ""), ("no", "green is pale"), ("skipped", "")]
    assert lines[0]["name"] == acceptance.STEPS[0].name
    assert abs(lines[0]["wall_s"] - time.time()) < 60


def test_acceptance_tells_no_day_that_was_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of its steps pull the plug."""
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)
    report = io.StringIO()
    acceptance.ask(acceptance.STEPS[:1], lambda _: "y", report, SystemClock())
    assert json.loads(report.getvalue())["wall_s"] is None


def test_acceptance_goes_on_where_the_board_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the same report only what has no answer is asked; a line that a power cut has halved counts for none."""
    config, path = tmp_path / "kiosk.yaml", tmp_path / "report.jsonl"
    config.write_text(
        f"state: {{dir: {tmp_path / 'state'}, runtime_dir: {tmp_path / 'run'}}}\n"
        'lanes: [{camera: {source: "sim:people=1"}, panel: {kind: none}}]\n'
    )
    argv = ["doctor", "--config", str(config), "--acceptance", "--report", str(path)]
    typed = iter(["y", "n pale"])

    def answer(_: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    assert main(argv) == 1
    with path.open("a") as report:
        report.write('{"name": "' + acceptance.STEPS[2].name)
    assert acceptance.remaining(path) == acceptance.STEPS[2:]
    capsys.readouterr()
    typed = iter(["s"] * len(acceptance.STEPS))
    main(argv)
    assert f"[1/{len(acceptance.STEPS) - 2}] {acceptance.STEPS[2].name}, " in capsys.readouterr().out
    assert acceptance.remaining(path) == ()
    assert sum(line.endswith("}") for line in path.read_text().splitlines()) == len(path.read_text().splitlines()) - 1


def test_acceptance_takes_about_an_hour() -> None:
    """All steps together, for whoever has everything at hand."""
    assert all(step.minutes >= 1 for step in acceptance.STEPS)
    assert 50 <= sum(step.minutes for step in acceptance.STEPS) <= 70


def test_watchdog_is_not_forestalled_by_the_kernel() -> None:
    """The image's kernel restarts itself after a panic; what is to prove the watchdog switches that off first, without procps."""
    assert "panic=10" in (ROOT / "image-build/boot/cmdline.txt").read_text("ascii").split()
    (step,) = [step for step in acceptance.STEPS if step.name == "watchdog"]
    off, crash = "echo 0 > /proc/sys/kernel/panic", "echo c > /proc/sysrq-trigger"
    for text in (step.do, (ROOT / "docs/untested-on-a-pi.md").read_text("utf-8")):
        assert -1 < text.find(off) < text.find(crash)


def test_shipped_acceptance_page_is_up_to_date() -> None:
    """`make docs` makes it; each step has a name of its own."""
    assert (ROOT / "docs/acceptance.md").read_text("utf-8") == acceptance.page()
    assert len({step.name for step in acceptance.STEPS}) == len(acceptance.STEPS)
