"""Processes of a supervisor: in sessions of their own, and gone when it is, whatever ended it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiosk.process import supervise
from kiosk.process.supervise import Child, Supervisor
from tests.running import until

PARENT = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever started the tests may have it ignored
from kiosk.process.supervise import Child, Supervisor
quiet = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
folder, ends = Path(sys.argv[1]), (signal.SIGTERM, signal.SIGKILL)
children = [Child(end.name, [sys.executable, "-c", quiet], output=folder / end.name, orphaned=end) for end in ends]
supervisor = Supervisor(children)
supervisor.tend()
print(*(child.process.pid for child in children), flush=True)
time.sleep(600)
"""


def _is_gone(pid: int) -> bool:
    """Whether nothing of it is left but what its new parent has not buried yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_nobody_outlives_the_supervisor(end: signal.Signals, tmp_path: Path) -> None:
    """Whatever signal ends it: none of them goes on under init, deaf to SIGHUP as mosquitto is."""
    argv = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            pids = [int(word) for word in parent.stdout.readline().split()]
            assert [os.getsid(pid) for pid in pids] == pids, "Ctrl-C in the terminal must not reach them"
            until(lambda: all((tmp_path / how).read_text() == "up\n" for how in ("SIGTERM", "SIGKILL")))
            parent.send_signal(end)
            parent.wait(20)
        finally:
            parent.kill()
    until(lambda: all(map(_is_gone, pids)))


def test_process_of_a_supervisor_that_is_gone_already_does_not_begin(tmp_path: Path) -> None:
    """It died between the fork and the word to the kernel: nobody will tell the child, so it looks for itself."""
    sign = tmp_path / "begun"
    begin = [sys.executable, "-c", f"open({str(sign)!r}, 'w').close()"]
    *leash, its_parent = supervise._leashed([], signal.SIGTERM)
    assert its_parent == str(os.getpid())
    assert subprocess.run([*leash, str(os.getpid() + 1), *begin], check=False, timeout=20).returncode == 1
    assert not sign.exists()
    assert subprocess.run([*leash, its_parent, *begin], check=False, timeout=20).returncode == 0
    assert sign.exists()


def test_program_that_is_not_there_is_said_in_a_word() -> None:
    """The line that a process's log ends with is read by people."""
    ended = subprocess.run(
        supervise._leashed(["/no/such/program"], signal.SIGTERM),
        check=False,
        timeout=20,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (1, "/no/such/program: No such file or directory\n")


def test_process_that_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file on a disk that is full today: the others go on, and the next try is later."""
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.05)
    folder = tmp_path / "later"
    child = Child("test", [sys.executable, "-c", "import time; time.sleep(60)"], output=folder / "log", _pause_s=0.05)
    try:
        child.tend(time.monotonic())
        assert (child.process, child.restarts) == (None, 1)
        folder.mkdir()

        def runs() -> bool:
            child.tend(time.monotonic())
            return child.process is not None

        until(runs)
    finally:
        Supervisor([child]).stop()
    assert child.process is None


def test_supervisor_without_patience_ends_what_does_not_listen() -> None:
    """`stop(0)` asks nobody twice."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = Child("test", [sys.executable, "-c", deaf])
    child.tend(time.monotonic())
    assert child.process is not None
    pid = child.process.pid
    Supervisor([child]).stop(0.0)
    assert _is_gone(pid)
