"""The station's commands as a newcomer meets them: on a laptop, without pins, camera, services or a configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from kiosk import log
from kiosk.__main__ import main as kiosk
from kiosk.cues import MEANINGS, CueName
from kiosk.service import at_hand
from kiosk.settings import loader

LIMIT_S = 60
NOISY_CAMERA = """
import logging, os, sys
if os.environ.get("LIBCAMERA_LOG_LEVELS") != "*:ERROR":
    print("INFO Camera camera_manager.cpp:340 libcamera v0.5.2", file=sys.stderr)
logging.getLogger("picamera2.picamera2").info("Initialization successful.")
class Picamera2:
    def global_camera_info():
        raise RuntimeError("no such camera")
"""


@pytest.fixture(autouse=True)
def unsignalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run in this process leave its signal handlers alone."""
    monkeypatch.setattr("kiosk.commands.aim.until_signalled", lambda: lambda: False)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """A configuration file beside a state folder that is not there."""

    def write(**sections: object) -> Path:
        values = {
            "kiosk": {"id": "test-1", "site": "office-1"},
            "state": {"dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run")},
            "seal": {"mode": "off"},
            **sections,
        }
        path = tmp_path / "kiosk.yaml"
        path.write_text(yaml.safe_dump(values), "utf-8")
        return path

    return write


def _said(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a child of its own says, in a process where nobody has silenced anything."""
    inherited = {name: value for name, value in os.environ.items() if name not in log.HUSHED}
    return subprocess.run(
        [sys.executable, "-m", "kiosk", *words],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("v4l2:/dev/video99", "cannot open the camera /dev/video99; see `ls /dev/video*`"),
        ("v4l2:99", "cannot open the camera 99; see `ls /dev/video*`"),
        ("video:broken.mp4", "cannot play broken.mp4; convert it with"),
        ("picamera2:0", "the camera failed: no such camera; check the ribbon"),
    ],
)
def test_no_camera_is_one_sentence_of_ours(
    source: str, sentence: str, written: Callable[..., Path], tmp_path: Path
) -> None:
    """OpenCV, FFmpeg, libcamera and picamera2 say nothing beside it."""
    (tmp_path / "broken.mp4").write_bytes(bytes(4) + b"ftypisom" + bytes(100))
    (tmp_path / "picamera2.py").write_text(NOISY_CAMERA)
    here = Path(__file__).resolve().parents[2]
    lanes = [{"panel": {"kind": "mock"}, "camera": {"source": source}}]
    done = _said("scan", "--config", str(written(lanes=lanes)), cwd=tmp_path, PYTHONPATH=f"{here}:{tmp_path}")
    assert done.stderr.startswith(f"kiosk: {sentence}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (10, "", 1)


def test_broken_pictures_are_told_in_our_words_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libpng, libjpeg and libtiff write to stderr by themselves; whoever reads a picture hears what became of it."""
    noise = np.random.default_rng(1).integers(0, 255, (300, 300), np.uint8)
    for name in ("cut.png", "cut.tif"):
        whole = cv2.imencode(name[3:], noise)[1].tobytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    spoilt = bytearray(cv2.imencode(".jpg", noise)[1].tobytes())
    spoilt[5000:5100] = bytes(100)
    (tmp_path / "spoilt.jpg").write_bytes(spoilt)
    (tmp_path / "empty.png").touch()
    assert kiosk(["read", str(tmp_path / "spoilt.jpg")]) == 1
    assert capfd.readouterr() == (f"{tmp_path}/spoilt.jpg: no code\n", "")
    for name in ("cut.png", "cut.tif", "empty.png"):
        assert kiosk(["read", str(tmp_path / name)]) == 2
        said = capfd.readouterr().err
        why = "is no picture that can be decoded" if name != "cut.png" else "cannot be read: it is damaged or cut short"
        assert said.startswith(f"kiosk: {tmp_path}/{name} {why}; give a picture (bmp,")
        assert said.count("\n") == 1


def test_who_wants_to_hear_the_libraries_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set already is left as it is."""
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "*:INFO")
    log.hush()
    assert (os.environ["OPENCV_LOG_LEVEL"], os.environ["LIBCAMERA_LOG_LEVELS"]) == ("DEBUG", "*:INFO")


LEAVES_A_PIPE = """
import os
os.mkfifo(os.path.join(os.environ.get("LG_WD", "."), ".lgd-nfy0"))
"""


def _tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mode, path.lstat().st_size) for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("set_up", [False, True], ids=["unprovisioned", "set-up"])
@pytest.mark.parametrize(
    "words",
    ["check", "doctor", "wiring", "status", "outbox", "support-bundle --out {out}", "aim --seconds 1 --silent"],
    ids=lambda words: words.partition(" ")[0],
)
def test_looking_leaves_nothing_behind(
    words: str,
    set_up: bool,  # noqa: FBT001
    written: Callable[..., Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a machine without a station, whoever asks makes no folder and no file, but for the one that was asked for."""
    monkeypatch.setattr("kiosk.commands.doctor.ANSWER_S", 0.01)
    monkeypatch.setattr("kiosk.service.checkup.STEP_MS", 1)
    lanes = [{"panel": {"kind": "mock"}, "camera": {"source": "sim:people=1"}}]
    config = written(lanes=lanes, uplink={"brokers": ["mqtt://127.0.0.1:1"]})
    if not set_up:
        config.write_text(
            yaml.safe_dump({**yaml.safe_load(config.read_text()), "kiosk": None}).replace("kiosk: null\n", "")
        )
    asked_for = tmp_path_factory.mktemp("asked") / "bundle.zip"
    monkeypatch.chdir(tmp_path)
    before = _tree(tmp_path)
    code = kiosk([*words.format(out=asked_for).split(), "--config", str(config)])
    assert _tree(tmp_path) == before
    assert code in {0, 1, 2, 12}
    assert asked_for.exists() == words.startswith("support-bundle")


def test_pins_leave_no_pipe_behind(written: Callable[..., Path], tmp_path: Path) -> None:
    """lgpio makes one in the working directory as soon as it is imported."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "lgpio.py").write_text(LEAVES_A_PIPE)
    (tmp_path / "here").mkdir()
    here = Path(__file__).resolve().parents[2]
    config = str(written(lanes=[{"panel": {"kind": "gpio"}}]))
    done = _said("panel", "--config", config, cwd=tmp_path / "here", PYTHONPATH=f"{here}:{tmp_path / 'modules'}")
    assert done.stderr.startswith("kiosk: this machine has no pins (")
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize(("status", "told"), [("11", 0), ("10", 1), ("KILL", 1)])
def test_fault_of_the_pins_is_told_once(
    status: str,
    told: int,
    written: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What puts the light right after a scan process says nothing that this process has said; but it tells what nobody has."""
    monkeypatch.setenv("EXIT_STATUS", status)
    config = str(written(lanes=[{"panel": {"kind": "gpio"}}]))
    assert kiosk(["panel", "--ended", "--config", config]) == 11
    said = capsys.readouterr().err
    assert said.count("this machine has no pins (") == told
    assert "check the wiring" not in said


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default configuration of a machine that has none, and no device."""
    path = tmp_path / "etc" / "kiosk.yaml"
    monkeypatch.setattr(loader, "DEFAULT_CONFIG", path)
    monkeypatch.setattr(at_hand, "_DEV", tmp_path)
    monkeypatch.setattr("kiosk.commands.panel.PAUSE_S", 0.0)
    monkeypatch.setattr("kiosk.commands.panel.STANDING_S", 0.05)
    return path


REMEDY = "copy one of config/boards/ or config/kiosk.yaml there, or name a file with --config"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ("run", 11, "kiosk: there is no {path}, and this machine has no pins ("),
        ("scan", 11, "kiosk: there is no {path}, and this machine has no pins ("),
        ("outbox", 2, f"kiosk: there is no {{path}}, and this station is not set up; {REMEDY}"),
        ("prove", 2, f"kiosk: there is no {{path}}, and this station is not set up; {REMEDY}"),
        ("update status", 2, f"kiosk: there is no {{path}}, and this station is not set up; {REMEDY}"),
        ("wiring", 0, f"kiosk: there is no {{path}}, so every setting has its default; {REMEDY}"),
        ("support-bundle --out {out}", 0, f"kiosk: there is no {{path}}, so every setting has its default; {REMEDY}"),
        ("doctor", 1, f"kiosk: there is no {{path}}, so every setting has its default; {REMEDY}"),
        ("panel recorded-in", 0, "kiosk: no {path} and no pins: this terminal stands in for lights and buzzer"),
        ("aim --camera sim:people=0", 1, "kiosk: no {path} and no pins: this terminal stands in for lights and buzzer"),
    ],
    ids=lambda value: str(value).partition(" ")[0],
)
def test_without_a_configuration_one_sentence_says_what_to_do(
    words: str, code: int, sentence: str, absent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What needs a station names the file that is missing and how to begin one; what can be tried without is."""
    assert kiosk([*words.format(out=tmp_path / "bundle.zip").split(), "--config", str(absent)]) == code
    said = capsys.readouterr().err
    assert said.startswith(sentence.format(path=absent))
    assert said.count("\n") == 1


def test_aim_takes_the_webcam_that_is_there(absent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first of them; without one a camera can be named, also an invented one."""
    assert kiosk(["aim", "--silent", "--config", str(absent)]) == 10
    assert "no webcam; name a camera with --camera, as in v4l2:/dev/video0, or sim:people=20" in capsys.readouterr().err
    for name in ("video10", "video2", "vcs"):
        (tmp_path / name).touch()
    assert kiosk(["aim", "--silent", "--config", str(absent)]) == 10
    said = capsys.readouterr().err
    assert f"the camera is {tmp_path}/video2; --camera names another one" in said
    assert f"cannot open the camera {tmp_path}/video2" in said


def test_panel_and_aim_show_in_the_terminal_what_a_file_gives_to_pins(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--terminal`, each cue once; without it a configuration that names pins is believed, and their absence told."""
    monkeypatch.setattr("kiosk.commands.panel.PAUSE_S", 0.0)
    monkeypatch.setattr("kiosk.commands.panel.STANDING_S", 0.05)
    config = str(written(lanes=[{"panel": {"kind": "gpio"}, "camera": {"source": "sim:people=0"}}]))
    assert kiosk(["panel", "--terminal", "--config", config, "recorded-in", "ready"]) == 0
    lines = [f"panel: {name}: {MEANINGS[name]}" for name in (CueName.RECORDED_IN, CueName.READY)]
    assert capsys.readouterr() == ("\n".join([*lines, ""]), "")
    assert kiosk(["aim", "--terminal", "--config", config]) == 1
    assert kiosk(["panel", "--config", config, "recorded-in"]) == 11
    assert kiosk(["aim", "--config", config]) == 11


LOOKING = """
import sys
from contextlib import suppress
from kiosk.__main__ import main
with suppress(SystemExit):
    main(["--help"])
for word in ("status", "outbox", "check", "wiring"):
    assert main([word, "--config", sys.argv[1]]) in {0, 1, 12}
print([name for name in ("cv2", "numpy", "zxingcpp", "gpiozero", "paho") if name in sys.modules])
"""


def test_help_and_looking_load_no_pictures(written: Callable[..., Path]) -> None:
    """A word that only looks at files is quick on a slow board, and works where a camera's or a pin's library is broken."""
    done = subprocess.run(
        [sys.executable, "-c", LOOKING, str(written())], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_folder_with_broken_pictures_shows_the_others(written: Callable[..., Path], tmp_path: Path) -> None:
    """An empty file among them ends no process."""
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "1.png").touch()
    (tmp_path / "shown" / "2.png").write_bytes(cv2.imencode(".png", np.zeros((90, 90), np.uint8))[1].tobytes())
    config = str(written(lanes=[{"panel": {"kind": "none"}, "camera": {"fps": 120}}]))
    assert kiosk(["aim", "--config", config, "--camera", f"folder:{tmp_path / 'shown'}", "--silent"]) == 1
