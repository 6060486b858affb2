"""What a station that is not set up shows of codes that no camera has read: each failure once, by its number."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk.__main__ import main as kiosk
from kiosk.clock import SystemClock
from kiosk.commissioning import identity, provision
from kiosk.commissioning.first_start import FirstStart
from kiosk.config import Config, Sound
from kiosk.cues import Cue, CueName
from kiosk.decoder import Decoder
from kiosk.envelopes import base45, cose
from kiosk.envelopes.provisioning_code import (
    CONTENT,
    ENTRIES_WAIT,
    EXPIRED,
    FORGED,
    MAY_PASS,
    NO_CENTRE,
    NO_WIFI,
    NOT_A_CODE,
    NOT_KEPT,
    PREFIX,
    PURPOSE,
    REFUSED,
    SET_UP_ALREADY,
    USED,
)
from kiosk.errors import CameraEndedError, ProvisionError
from kiosk.health import read_marks, write_marks
from kiosk.lens.frame import Frame
from kiosk.settings import loader

UNIT = (
    Path(__file__).resolve().parents[3]
    / "image-build/overlay/station/usr/lib/systemd/system/kiosk-code.service"
)  # fmt: skip
REFUSALS = (NOT_A_CODE, FORGED, EXPIRED, USED, SET_UP_ALREADY, REFUSED, NOT_KEPT)


class Panel:
    """Remembers how many beeps it counted out."""

    def __init__(self) -> None:
        self.counted: list[int] = []

    def show(self, *cues: Cue) -> None:
        for cue in cues:
            assert cue.name == CueName.PROVISIONING_ERROR
            self.counted.append(sum(step.tone_hz == 880 for step in cue.steps))

    def expect(self) -> None:
        pass

    def stand(self, cue: Cue) -> None:
        assert cue.name == CueName.UNPROVISIONED

    def tune(self, sound: Sound) -> None:
        raise AssertionError(sound)

    def close(self) -> None:
        pass


class Camera:
    """An empty door; between two frames something happens elsewhere."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self._events = list(events)

    def next_frame(self, timeout_s: float) -> Frame:
        assert timeout_s > 0
        if not self._events:
            raise CameraEndedError("over")
        self._events.pop(0)()
        return Frame(np.full((320, 320), 230, np.uint8), SystemClock().boot_ns())

    def close(self) -> None:
        pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A board's configuration, which names no kiosk, and the fleet's key."""
    key = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "fleet.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    values = {
        "state": {"dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run")},
        "trust": {"fleet_key_file": str(tmp_path / "fleet.pem")},
        "lanes": [{"panel": {"kind": "none"}}],
    }
    path = tmp_path / "kiosk.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _counted(board: Config, *events: Callable[[], object]) -> list[int]:
    panel = Panel()
    FirstStart(board, Camera(*events), Decoder(1000), panel).run(lambda: False)
    return panel.counted


def test_code_from_a_file_fails_audibly(path: Path, tmp_path: Path) -> None:
    """Each failure of `kiosk provision` is counted out once, the same one again when it is tried again."""
    board = loader.load_board(path)
    code = tmp_path / "kiosk-code.txt"
    code.write_text("https://office.example")
    argv = ["provision", "--config", str(path), "--file", str(code), "--wait-s", "0"]

    def nothing() -> None:
        pass

    assert _counted(board, nothing, nothing) == []
    assert _counted(board, lambda: kiosk(argv), nothing, nothing, lambda: kiosk(argv), nothing, nothing) == [1, 1]
    assert _counted(board, nothing) == [1]  # it failed while the camera was starting


def test_other_marks_are_not_counted(path: Path) -> None:
    """Neither a try under way, nor one that went well, nor a failure of long ago."""
    board = loader.load_board(path)
    now_ns = SystemClock().boot_ns()

    def marked(state: str, written_boot_ns: int) -> Callable[[], None]:
        marks = {"written_boot_ns": written_boot_ns, "code": "x", "state": state, "number": 4, "reason": ""}
        return lambda: write_marks(board.state.runtime_dir, provision.MARKS, marks)

    old_ns = now_ns - round((provision.FRESH_S + 1) * 1e9)
    events = [marked("working", now_ns), marked("done", now_ns), marked("failed", old_ns)]
    assert _counted(board, *events, lambda: None) == []


@pytest.mark.parametrize("number", range(1, 11))
def test_exit_code_says_whether_another_try_may_help(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """23 for a network that may come, 20 for a code that no repetition makes good; the marks say which, and nothing of it."""

    def refused(*_: object, **__: object) -> None:
        raise ProvisionError(number, "no")

    monkeypatch.setattr(provision, "set_up", refused)
    code = tmp_path / "kiosk-code.txt"
    code.write_text("KS1:ABC")
    assert kiosk(["provision", "--config", str(path), "--file", str(code)]) == (20 if number in REFUSALS else 23)
    run = loader.load_board(path).state.runtime_dir
    marks = read_marks(run, provision.MARKS, provision.FRESH_S) or {}
    assert (marks["state"], marks["number"], marks["code"]) == ("failed", number, provision.name_of("KS1:ABC"))
    assert "KS1:ABC" not in json.dumps(marks)
    assert code.read_text() == "KS1:ABC"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_root_leaves_nothing_that_the_uplink_cannot_use(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo kiosk provision` in a folder of root's: key, identity and marks are the user's whose the identity was."""
    folder = identity.folder_in(tmp_path / "state")
    folder.mkdir(parents=True)
    os.chown(folder, 12345, 12346)

    def set_up(*_: object, **__: object) -> None:
        identity.pending_key(tmp_path / "state", "abc")
        raise ProvisionError(NO_CENTRE, "no")

    monkeypatch.setattr(provision, "set_up", set_up)
    code = tmp_path / "kiosk-code.txt"
    code.write_text("KS1:ABC")
    assert kiosk(["provision", "--config", str(path), "--file", str(code)]) == 23
    pending = tmp_path / "state" / "enrolment"
    left = [tmp_path / "run" / "provision.json", pending, pending / "abc.pem"]
    assert {(place.stat().st_uid, place.stat().st_gid) for place in left} == {(12345, 12346)}
    identity.replace(tmp_path / "state", {identity.KEY: (b"key", identity.PRIVATE)})
    left = [folder, folder / identity.KEY]
    assert {(place.stat().st_uid, place.stat().st_gid) for place in left} == {(12345, 12346)}


def test_missing_key_of_the_fleet_is_counted_too(path: Path, tmp_path: Path) -> None:
    """That is a fault of the configuration, exit code 2, and number 9 at the panel."""
    (tmp_path / "fleet.pem").unlink()
    code = tmp_path / "kiosk-code.txt"
    code.write_text("KS1:ABC")
    assert kiosk(["provision", "--config", str(path), "--file", str(code)]) == 2
    marks = read_marks(loader.load_board(path).state.runtime_dir, provision.MARKS, provision.FRESH_S) or {}
    assert (marks["state"], marks["number"]) == ("failed", NOT_KEPT)


def test_unit_repeats_only_what_may_pass() -> None:
    """Refusals end it until the next start of the station; a network that is not there is waited for, and entries that are on their way."""
    keys: dict[str, str] = dict(
        line.split("=", 1) for line in UNIT.read_text("utf-8").splitlines() if "=" in line and line[0] != "#"
    )
    assert frozenset({NO_WIFI, NO_CENTRE, ENTRIES_WAIT}) == MAY_PASS
    assert (keys["Restart"], keys["RestartPreventExitStatus"]) == ("on-failure", "2 20")
    assert keys["ConditionPathExists"] == "/var/lib/kiosk/etc/kiosk-code.txt"
    assert keys["WantedBy"] == "multi-user.target"
    assert "ExecStartPost" not in keys


@pytest.mark.parametrize(
    ("ended", "is_kept"), [(("exited", "0"), False), (("exited", "20"), True), (("killed", "TERM"), True)]
)
def test_only_success_removes_the_code(tmp_path: Path, ended: tuple[str, str], *, is_kept: bool) -> None:
    """Neither a refusal nor a shutdown while the centre is asked costs the code."""
    code = tmp_path / "kiosk-code.txt"
    code.write_text("KS1:ABC")
    (line,) = re.findall(r"^ExecStopPost=\+/bin/sh -c '(.+)'$", UNIT.read_text("utf-8"), re.MULTILINE)
    script = line.replace("$$", "$").replace("/var/lib/kiosk/etc", str(tmp_path))
    env = {"EXIT_CODE": ended[0], "EXIT_STATUS": ended[1], "PATH": os.environ["PATH"]}
    subprocess.run(["/bin/sh", "-c", script], env=env, check=True, timeout=30)
    assert code.exists() is is_kept


@pytest.mark.parametrize(
    "address", ["centre.example:99999", "centre.example:0", "centre.example", "u:p@centre.example:8443"]
)
@pytest.mark.parametrize("place", ["broker", "enrolment"])
def test_code_with_an_address_that_is_none_is_answered_with_its_number(path: Path, place: str, address: str) -> None:
    """A code that a faulty centre has signed, with a port that there is not: counted out, and the station goes on waiting."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    (path.parent / "fleet.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    addresses = {"broker": "broker.example:8883", "enrolment": "centre.example:8443"} | {place: address}
    content = [
        "door-1", "office-1", [["main", 2]], addresses["broker"], addresses["enrolment"], bytes(32), bytes(16), None, False,
    ]  # fmt: skip
    now_s = int(time.time())
    claims = {cose.IAT: now_s, cose.EXP: now_s + 3600, CONTENT: content}
    text = PREFIX + base45.encode(cose.sign(claims, key, PURPOSE))
    board, panel = loader.load_board(path), Panel()
    first = FirstStart(board, Camera(), Decoder(1000), panel)
    panel.show(first._take(text.encode()))
    assert panel.counted == [NOT_A_CODE]
    assert provision.spooled(board.state.runtime_dir) is None
    with pytest.raises(ProvisionError, match="an address in it is not host:port"):
        provision.redeem(path, text, board.state.runtime_dir, wait_s=0)
    assert _counted(board, lambda: None) == [NOT_A_CODE]  # the next loop waits on, and tells what was tried from a file
