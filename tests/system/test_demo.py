"""The demo is the whole system: it keeps its promise, says so, and leaves nothing behind, whatever is done to it while it runs."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from kiosk.__main__ import main
from kiosk.commands import demo as command
from kiosk.demo import broker as demo_broker
from kiosk.demo.folder import kept_folder
from kiosk.demo.judge import Tally, judge
from kiosk.demo.telling import next_steps
from kiosk.errors import LinkError
from kiosk.process.supervise import Child, Supervisor
from kiosk.sim.door import visits_of
from tests.running import until

LAST_LINE = re.compile(
    r"demo shown=(\d+) recorded=(\d+) repeated=(\d+) refused=(\d+) unread=(\d+) waiting=(\d+) ledger=(\d+) lost=0 doubled=0"
)
GOOD = {"cccd", "can-cuoc", "national-qr", "bhyt"}
ENDS_S = 3.0
LOADS = 4
STEP_COLUMN = 27
ANOTHER_FOLDER = "name a folder that you may write to: --state-dir DIR"
ANOTHER_BROKER = "start one that lets everybody in, without a password, or leave --broker out: the demo brings its own"


class Started:
    """A demo in a session of its own, as a terminal's shell would start it, with a folder for what is temporary."""

    def __init__(self, folder: Path, *words: str) -> None:
        folder.mkdir()
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.out, self.log = folder / "out", folder / "log"
        with self.out.open("w") as out, self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kiosk", "demo", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                start_new_session=True,
            )

    def said(self) -> str:
        """What it has written, both ways."""
        return self.out.read_text() + self.log.read_text()

    def judged(self, longest_s: float = 180) -> tuple[int, ...]:
        """Wait for the judgement: shown, recorded, repeated, refused, unread, waiting, ledger."""
        self.process.wait(longest_s)
        match = LAST_LINE.fullmatch(self.out.read_text().splitlines()[-1])
        assert match, self.said()
        return tuple(map(int, match.groups()))

    def left_nothing(self) -> None:
        """No process of it goes on, and no folder stays."""
        until(lambda: not _mentioning(self.temporary), lambda: _mentioning(self.temporary), longest_s=30)
        until(lambda: not list(self.temporary.iterdir()), lambda: list(self.temporary.rglob("*")), longest_s=30)


@contextmanager
def _demo(folder: Path, *words: str) -> Iterator[Started]:
    started = Started(folder, *words)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(20)


def _mentioning(folder: Path) -> list[str]:
    """The command lines of all processes that live and name this folder, or have it in their environment."""
    mark, found = str(folder).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes() + (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is not ours
    return found


def _truth(seed: int, people: int) -> tuple[int, ...]:
    """What the judgement of a whole demo must say."""
    visits = visits_of(seed, people)
    recorded = sum(visit.kind in GOOD and not visit.comes_again for visit in visits)
    refused = sum(visit.kind not in GOOD for visit in visits)
    return people, recorded, people - recorded - refused, refused, 0, 0, recorded


def test_demo_reads_everybody_and_loses_nobody(tmp_path: Path) -> None:
    """With its own broker: what it counts is what the simulated door knows, no process was restarted, and nothing stays."""
    with _demo(tmp_path / "one", "--people", "5", "--seed", "17") as demo:
        assert demo.judged() == _truth(17, 5)
        assert demo.process.returncode == 0, demo.said()
        said = demo.said()
        assert "ledger: " in said
        assert not re.search("ERROR|WARNING|restart", said)
        assert f"{sys.executable} -m kiosk demo --state-dir kiosk-demo" in said
        demo.left_nothing()


def test_demo_survives_its_broker_and_its_uplink(tmp_path: Path, broker: Any) -> None:
    """kill -9 of the broker, twice, and of the uplink, while people pass."""
    with _demo(tmp_path / "one", "--people", "8", "--seed", "2", "--broker", broker.url) as demo:
        until(lambda: "started process=uplink" in demo.log.read_text(), longest_s=60)
        for moment in range(2):
            time.sleep(3)
            broker.kill()
            if moment == 0:
                pid = re.search(r"started process=uplink pid=(\d+)", demo.log.read_text())
                assert pid is not None
                os.kill(int(pid[1]), signal.SIGKILL)
            time.sleep(1)
            broker.start()
        assert demo.judged() == _truth(2, 8)
        assert demo.process.returncode == 0, demo.said()
        assert demo.log.read_text().count("started process=uplink") == 2


def _empty_start_s() -> float:
    """What an empty Python takes now, on this machine."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True, timeout=60)
    return time.monotonic() - began_s


def _end_by_ctrl_c(folder: Path, after_s: float) -> None:
    """Once it plays, wait so long, and press Ctrl-C."""
    with _demo(folder, "--people", "5", "--seed", "1") as demo:
        until(lambda: ", broker mqtt://" in demo.out.read_text(), demo.said, longest_s=60)
        time.sleep(after_s)
        bound_s = max(ENDS_S, 5 * _empty_start_s())
        is_early = demo.process.poll() is None and "What to try next" not in demo.out.read_text()
        began_s = time.monotonic()
        os.killpg(demo.process.pid, signal.SIGINT)
        shown, recorded, repeated, refused, unread, waiting, ledger = demo.judged()
        took_s = time.monotonic() - began_s
        assert recorded == waiting + ledger, demo.said()
        assert shown == recorded + repeated + refused + unread
        if is_early:
            assert took_s <= bound_s, f"{took_s:.1f} s after {after_s:.1f} s"
            assert demo.process.returncode == 0, demo.said()
            assert demo.out.read_text().count("stopping; Ctrl-C again leaves at once") == 1
        demo.left_nothing()


@pytest.mark.parametrize("seed", [pytest.param(3), pytest.param(30, marks=pytest.mark.slow)])
def test_ctrl_c_ends_the_demo_soon_and_loses_nothing(seed: int, tmp_path: Path) -> None:
    """At `seed` seeded moments: one line, a judgement in which what waits is not lost, and nothing that goes on."""
    random = Random(seed)
    for number in range(seed):
        _end_by_ctrl_c(tmp_path / str(number), random.uniform(0, 6))


def test_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    """Also while a child is deaf: exit code 130, one sentence, and nothing that goes on."""
    with _demo(tmp_path / "one", "--people", "5") as demo:
        until(lambda: "started process=uplink" in demo.log.read_text(), demo.said, longest_s=60)
        pid = re.search(r"started process=uplink pid=(\d+)", demo.log.read_text())
        assert pid is not None
        until(lambda: "[1]" in demo.out.read_text(), demo.said, longest_s=60)
        os.kill(int(pid[1]), signal.SIGSTOP)
        demo.process.send_signal(signal.SIGINT)
        until(lambda: "stopping" in demo.out.read_text(), demo.said, longest_s=60)
        demo.process.send_signal(signal.SIGINT)
        demo.process.wait(60)
        if demo.process.returncode != 0:  # 0: it was done before the second one came
            assert demo.process.returncode == 130
            assert demo.log.read_text().endswith("kiosk: left at once, without a judgement\n")
        demo.left_nothing()


@pytest.mark.parametrize("end", [pytest.param(signal.SIGHUP, marks=pytest.mark.slow), signal.SIGKILL])
def test_demo_that_is_ended_from_outside_leaves_nothing(end: signal.Signals, tmp_path: Path) -> None:
    """The terminal's window is closed, or the demo is killed: no broker goes on under init, and no private key stays."""
    with _demo(tmp_path / "one", "--people", "5") as demo:
        until(lambda: "[1]" in demo.out.read_text(), demo.said, longest_s=60)
        assert list(demo.temporary.rglob("authority"))
        demo.process.send_signal(end)
        demo.process.wait(30)
        demo.left_nothing()


def test_demo_whose_terminal_closes_leaves_nothing(tmp_path: Path) -> None:
    """The view writes to a terminal that is gone: that ends it like SIGHUP."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    terminal, inside = pty.openpty()
    as_a_shell_does = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", as_a_shell_does, sys.executable, "-m", "kiosk", "demo", "--people", "5"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "TMPDIR": str(temporary), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        start_new_session=True,
    )
    os.close(inside)
    try:
        seen = b""
        while b"recorded-pass" not in seen:
            seen = seen[-10_000:] + os.read(terminal, 10_000)
        os.close(terminal)
        process.wait(60)
    finally:
        process.kill()
        process.wait(20)
    until(lambda: not _mentioning(temporary), lambda: _mentioning(temporary), longest_s=30)
    until(lambda: not list(temporary.iterdir()), longest_s=30)


@contextmanager
def _busy() -> Iterator[None]:
    """Four loops that never sleep, beside it."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOADS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_seed_brings_the_same_judgement_on_a_busy_machine(seed: int, tmp_path: Path) -> None:
    """The same line at the end, with four busy loops beside it and without."""
    lines = []
    for number in range(2):
        with (
            _busy() if number else nullcontext(),
            _demo(tmp_path / str(number), "--people", "12", "--seed", str(seed)) as demo,
        ):
            demo.judged(900)
            lines.append(demo.out.read_text().splitlines()[-1])
    assert lines[0] == lines[1]


def test_folder_that_is_kept_is_gone_on_with(tmp_path: Path) -> None:
    """`--state-dir` twice: the same station with the same keys, and each demo is judged by its own people."""
    kept = tmp_path / "not" / "there" / "yet"
    words = ("--people", "1", "--seed", "1", "--state-dir", str(kept))
    ids = []
    for number in range(2):
        with _demo(tmp_path / str(number), *words) as demo:
            assert demo.judged() == _truth(1, 1)
            ids.append(re.findall(r"kiosk (demo-\w+), broker", demo.out.read_text()))
            assert demo.process.returncode == 0
            assert f"private keys alone, in {kept}/authority" in demo.out.read_text()
            demo.left_nothing()
    assert ids[0] == ids[1]
    assert len(list((kept / "authority").iterdir())) > 0


def test_folder_that_is_kept_is_for_one_demo_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two stations in one outbox would judge each other's people."""
    with kept_folder(tmp_path):
        sentence = f"kiosk: --state-dir {tmp_path}: another demo runs in it; end that one, or name another folder"
        assert _said(capsys, "--state-dir", str(tmp_path)) == (2, sentence)


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    try:
        code = main(["demo", *words])
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--camera", "foo"),
            "--camera: 'foo' is no source; begin it with one of picamera2:, v4l2:, folder:, video:, sim:",
        ),
        (
            ("--camera", "v4l2:/dev/nope"),
            "--camera: /dev/nope is not there; plug the camera in, and see `ls /dev/video*`",
        ),
        (("--camera", "folder:/no/where"), "--camera: /no/where is not there; name a folder with .png or .jpg files"),
        (
            ("--camera", "folder:kiosk"),
            "--camera: there are no pictures in kiosk; name a folder with .png or .jpg files",
        ),
        (("--camera", "video:x.avi"), "--camera: x.avi is not there; name a video file"),
        (
            ("--broker", "127.0.0.1"),
            "--broker 127.0.0.1 is no broker's address; write it as mqtt://127.0.0.1:1883",
        ),
        (
            ("--broker", "mqtt://127.0.0.1:99999"),
            "--broker mqtt://127.0.0.1:99999 is no broker's address; write it as mqtt://127.0.0.1:1883",
        ),
        (
            ("--state-dir", "/proc/no/where"),
            f"--state-dir /proc/no/where cannot be written to: No such file or directory; {ANOTHER_FOLDER}",
        ),
        (
            ("--state-dir", "pyproject.toml"),
            f"--state-dir pyproject.toml cannot be written to: File exists; {ANOTHER_FOLDER}",
        ),
    ],
)
def test_wrong_option_is_told_in_its_own_words(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence that names the option and the remedy, exit code 2, and no file that the user never saw."""
    monkeypatch.chdir(Path(__file__).parents[2])
    assert _said(capsys, *words) == (2, f"kiosk: {sentence}")


@pytest.mark.parametrize("people", ["0", "-1", "x", "1.5", ""])
def test_number_of_people_is_a_number_from_1_on(people: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody reads the name of a function of ours."""
    sentence = f"kiosk demo: error: argument --people: {people!r} is no whole number of 1 or more"
    assert _said(capsys, f"--people={people}") == (2, sentence)


def test_temporary_folder_that_cannot_be_made_is_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full or read-only /tmp is not ours to mend; the option that helps is named."""
    monkeypatch.setattr("tempfile.tempdir", "/proc/no")
    code, said = _said(capsys)
    assert code == 2
    assert re.fullmatch(
        r"kiosk: the temporary folder /proc/no/kiosk-demo-\w+ cannot be written to: [^;]+; " + ANOTHER_FOLDER, said
    )
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/proc/no"])
    code, said = _said(capsys)
    assert (code, said.startswith("kiosk: a temporary folder cannot be written to: "), ANOTHER_FOLDER in said) == (
        2,
        True,
        True,
    )


def test_folder_in_which_something_is_in_the_way_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written later is told like what cannot be written at first."""
    (tmp_path / "broker.conf").mkdir()
    sentence = f"kiosk: --state-dir {tmp_path} cannot be written to: Is a directory; {ANOTHER_FOLDER}"
    assert _said(capsys, "--state-dir", str(tmp_path)) == (2, sentence)


def test_broker_that_is_not_there_is_said_before_people_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do about it."""
    sentence = f"kiosk: --broker: cannot connect to mqtt://127.0.0.1:1: nobody listens at the broker's port (Connection refused); {ANOTHER_BROKER}"
    assert _said(capsys, "--broker", "mqtt://127.0.0.1:1") == (13, sentence)


def test_broker_that_asks_for_a_password_is_said_before_people_pass(
    broker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo has none to give."""
    broker.kill()
    settings = broker.settings
    broker.settings = lambda: settings().replace("allow_anonymous true", "allow_anonymous false")
    broker.start()
    code, said = _said(capsys, "--broker", broker.url)
    assert code == 13
    assert said.startswith(
        f"kiosk: --broker: {broker.url} does not let this kiosk in: the broker does not allow that to this kiosk; start one"
    )


def test_entries_that_cannot_be_delivered_wait_and_the_exit_code_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An uplink that does nothing: given up after a while, told every two seconds at most, and nothing is called lost."""
    monkeypatch.setattr(command, "STILL_S", 3.0)
    idle = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(command, "kiosk_argv", lambda *_words: idle)
    words = ["demo", "--people", "1", "--seed", "6", "--plain"]
    assert main([*words, "--state-dir", str(tmp_path / "demo")]) == 1
    *_, last = said = capsys.readouterr().out.splitlines()
    assert last == "demo shown=1 recorded=1 repeated=0 refused=0 unread=0 waiting=1 ledger=0 lost=0 doubled=0"
    assert 1 <= sum("waiting for the centre's receipts: 1 to go" in line for line in said) <= 2
    assert any(line.startswith("waiting=1: on the kiosk's disk, nothing moved for 3 s before") for line in said)


def test_port_that_is_taken_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may take it between our look and the broker's."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        free = demo_broker._free_port()
        ports = [other.getsockname()[1], free]
        monkeypatch.setattr(demo_broker, "_free_port", lambda: ports.pop(0))
        own = demo_broker.started_broker(tmp_path)
        try:
            assert own.url == f"mqtt://127.0.0.1:{free}"
        finally:
            Supervisor([own.child]).stop(0.0)


def test_broker_that_does_not_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last words of its log."""
    broken = Child("mosquitto", [sys.executable, "-c", "raise SystemExit('no room')"])
    own = demo_broker.OwnBroker("mqtt://127.0.0.1:1", "5", broken)
    monkeypatch.setattr(demo_broker, "own_broker", lambda _folder: own)
    with pytest.raises(LinkError, match="mosquitto does not start: no room; mend that, or name a broker"):
        demo_broker.started_broker(tmp_path)


@pytest.mark.slow
def test_demo_goes_on_without_mosquitto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """amqtt, the broker in Python, takes its place."""
    find = shutil.which
    monkeypatch.setattr("shutil.which", lambda name, **more: None if name == "mosquitto" else find(name, **more))
    assert main(["demo", "--people", "2", "--state-dir", str(tmp_path / "demo")]) == 0
    assert capsys.readouterr().out.endswith(
        "recorded=2 repeated=0 refused=0 unread=0 waiting=0 ledger=2 lost=0 doubled=0\n"
    )


@pytest.mark.slow
def test_what_to_try_next_runs_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after another, from the folder in which the demo was called; a webcam there is not everywhere."""
    monkeypatch.setattr("sys.argv", [str(Path(sys.executable).with_name("kiosk"))])
    commands = [step[STEP_COLUMN:] for step in next_steps(None) if "v4l2" not in step]
    assert len(commands) == 4
    for line in commands:
        ended = subprocess.run(line, shell=True, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)  # noqa: S602
        assert ended.returncode == 0, (line, ended.stderr)
        assert ended.stdout
    assert next(next_steps(tmp_path / "kept")).endswith(f" entries --ledger {tmp_path}/kept/ledger.db")


def test_judge_counts_what_is_lost_what_waits_and_what_is_doubled() -> None:
    """A green without a row waits if the disk has it, else it is lost; a row without a green, or a second one, is doubled."""
    first, second, third = (UUID(int=number) for number in (1, 2, 3))
    tally = Tally(recorded=[first, second])
    assert judge((2, 0), 2, tally, [], [first, second]).holds
    assert judge((2, 0), 2, tally, [], [first]).lost == 1
    assert judge((2, 0), 3, tally, [], [first, second]).lost == 1
    assert judge((2, 0), 2, tally, [], [first, second, second]).doubled == 1
    assert judge((2, 0), 2, tally, [], [first, second, third]).doubled == 1
    assert not judge((2, 0), 2, tally, [], [first, third]).holds
    waits = judge((3, 1), 2, tally, [first, second, third], [first])
    assert (waits.holds, waits.waiting, waits.lost, waits.unread) == (True, 1, 0, 1)
