"""Signs of life are told to a supervisor, heard by ours, and their absence ends a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiosk.commands import run as run_command
from kiosk.process import supervise
from kiosk.process.notify import Listener, Notifier
from kiosk.process.supervise import Child
from tests.running import until

QUIET = "import time; time.sleep(60)"
READY = f"from kiosk.process.notify import Notifier; Notifier().ready('up'); {QUIET}"
ALIVE_ONCE = f"from kiosk.process.notify import Notifier; Notifier().alive(); {QUIET}"
LIVELY = """
import time
from kiosk.process.notify import Notifier
notifier = Notifier()
notifier.ready("up")
while True:
    notifier.alive()
    time.sleep(0.05)
"""


def test_supervisor_is_told_of_changes_only(tmp_path: Path) -> None:
    """Ready once, a status when it changes, signs of life ten times a second at most, each in systemd's words."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(2)
        notifier = Notifier(path)
        for _ in range(3):
            notifier.ready("lane main: ready")
            notifier.alive()
        notifier.status("a\nb " + "x" * 500)
        notifier.stopping()
        said = [systemd.recv(4096) for _ in range(5)]
        assert said[:3] == [b"READY=1", b"STATUS=lane main: ready", b"WATCHDOG=1"]
        assert said[3].startswith(b"STATUS=a b xx")
        assert len(said[3]) < 250
        assert said[4] == b"STOPPING=1"
        systemd.settimeout(0.05)
        with pytest.raises(TimeoutError):
            systemd.recv(4096)


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@kiosk-nobody-listens"])
def test_without_a_supervisor_nothing_happens(address: str) -> None:
    """A process that was started by hand, or has outlived its supervisor, goes on."""
    notifier = Notifier(address)
    notifier.ready("up")
    notifier.alive()


def test_listener_hears_a_process() -> None:
    """Ready is heard once for all, a sign of life with its time."""
    listener = Listener(1.0)
    notifier = Notifier(listener.address)
    listener.listen(2.0)
    assert (listener.is_ready, listener.heard_s) == (False, 1.0)
    notifier.ready("up")
    listener.listen(3.0)
    assert (listener.is_ready, listener.is_watched, listener.heard_s) == (True, False, 3.0)
    notifier.status("no sign of life")
    listener.listen(4.0)
    assert listener.heard_s == 3.0
    notifier.alive()
    listener.listen(5.0)
    assert (listener.is_watched, listener.heard_s) == (True, 5.0)
    listener.close()


def _child(program: str, epitaph: tuple[str, ...] = ()) -> Child:
    return Child("test", [sys.executable, "-c", program], epitaph=epitaph)


def test_process_that_hangs_is_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One sign of life and then silence: it is killed, its epitaph is run, and it is started anew."""
    monkeypatch.setattr(supervise, "SILENT_S", 0.4)
    sign = tmp_path / "epitaph"
    child = _child(ALIVE_ONCE, (sys.executable, "-c", f"open({str(sign)!r}, 'w').close()"))

    def again() -> bool:
        child.tend(time.monotonic())
        return child.restarts == 1 and child.process is not None

    try:
        until(again)
        assert sign.exists(), "a new process must not be started before its predecessor's light is put right"
    finally:
        supervise.Supervisor([child]).stop()


def test_card_that_stalls_costs_no_restart() -> None:
    """A commit of 4, 7 or 12 s is waited for, by systemd as long as here; what is silent beyond that hangs."""
    unit = (Path(__file__).resolve().parents[3] / "systemd/system/kiosk-scan.service").read_text("utf-8")
    assert f"\nWatchdogSec={supervise.SILENT_S:.0f}\n" in unit
    child = _child(ALIVE_ONCE)
    now_s = time.monotonic()

    def is_watched() -> bool:
        child.tend(now_s)
        return child._listener is not None and child._listener.is_watched

    try:
        until(is_watched)
        for stall_s in (4, 7, 12, 29):
            child.tend(now_s + stall_s)
            assert child.restarts == 0
        child.tend(now_s + supervise.SILENT_S + 1)
        assert child.restarts == 1
    finally:
        supervise.Supervisor([child]).stop()


@pytest.mark.parametrize("program", [QUIET, READY, LIVELY])
def test_process_that_works_or_never_spoke_is_left_alone(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Silence means nothing before the first sign of life; to be ready is none: mosquitto says that and no more."""
    monkeypatch.setattr(supervise, "SILENT_S", 1.5)
    child = _child(program)
    try:
        child.tend(time.monotonic())
        first = child.process
        deadline_s = time.monotonic() + 2.5
        while time.monotonic() < deadline_s:
            child.tend(time.monotonic())
            time.sleep(0.02)
        assert child.process is first
        assert child.is_ready == (program in (READY, LIVELY))
    finally:
        supervise.Supervisor([child]).stop()


def test_epitaph_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Showing the fault is worth a few seconds, and not a closed door."""
    monkeypatch.setattr(supervise, "EPITAPH_S", 0.3)
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.0)
    child = _child("raise SystemExit(3)", (sys.executable, "-c", QUIET))

    def again() -> bool:
        child.tend(time.monotonic())
        return child.restarts == 2

    try:
        until(again)
    finally:
        supervise.Supervisor([child]).stop()


def test_epitaph_knows_how_its_process_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the variable in which systemd tells its ExecStopPost, so that a fault is not told twice."""
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.0)
    sign = tmp_path / "epitaph"
    program = f"import os; open({str(sign)!r}, 'w').write(os.environ['EXIT_STATUS'])"
    child = _child("raise SystemExit(11)", (sys.executable, "-c", program))

    def again() -> bool:
        child.tend(time.monotonic())
        return child.restarts == 2

    try:
        until(again)
        assert sign.read_text() == "11"
    finally:
        supervise.Supervisor([child]).stop()


def test_hanging_camera_shows_its_frames_first() -> None:
    """`hang=2`: two frames, then a call that does not come back; a process in it dies of SIGABRT like systemd's."""
    program = """
from kiosk.config import Camera
from kiosk.sim.opening import open_camera
camera = open_camera(Camera(source="sim:seed=1,people=20,hang=2", width_px=320, height_px=240))
for number in range(3):
    print(number, flush=True)
    camera.next_frame(0.5)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        os.kill(process.pid, signal.SIGABRT)
        assert process.wait(10) == -signal.SIGABRT


def test_two_lanes_are_ready_when_one_is(tmp_path: Path) -> None:
    """One door that scans is not kept waiting by another one's missing camera; systemd hears of it."""
    config = tmp_path / "kiosk.yaml"
    config.write_text(
        f"""
kiosk: {{id: test-1, site: office-1}}
state: {{dir: {tmp_path / "state"}, runtime_dir: {tmp_path / "run"}}}
lanes:
  - {{name: one, camera: {{source: "sim:seed=1,people=500", width_px: 320, height_px: 240}}, panel: {{kind: none}}}}
  - {{name: two, camera: {{source: "v4l2:/dev/none"}}, panel: {{kind: mock}}}}
""",
        "utf-8",
    )
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": path}
        with subprocess.Popen(run_command.kiosk_argv("scan", "--config", str(config)), env=environment) as process:
            try:
                said = {systemd.recv(4096)}
                while b"STATUS=1 of 2 lanes scanning" not in said:
                    said.add(systemd.recv(4096))
                assert {b"READY=1", b"WATCHDOG=1"} <= said
                until((tmp_path / "run" / "panel-two.json").exists)
                assert (tmp_path / "run" / "pins-two.json").exists()
                assert '"left": "fault"' in (tmp_path / "run" / "panel-two.json").read_text()
            finally:
                process.terminate()
                process.wait(20)
