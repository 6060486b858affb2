"""The pins that a lane holds are told to whoever puts its light right after its death, who believes nobody else and loads little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kiosk import forms
from kiosk.config import Panel, State
from kiosk.process import held
from kiosk.process.held import HeldPins

CONFIG = Path("/etc/kiosk/kiosk.yaml")
SEPARATE = {"kind": "separate", "red_pin": 5, "green_pin": 6, "blue_pin": None, "yellow_pin": 13, "active_high": False}
PANELS: dict[str, dict[str, Any]] = {
    "rgb": {"kind": "mock"},
    "separate": {"kind": "gpio", "leds": SEPARATE, "buzzer": {"kind": "active", "pin": 19, "active_high": False}},
    "silent": {"kind": "gpio", "buzzer": {"kind": "none"}},
    "none": {"kind": "none"},
}
ENDED = """
import os, sys
from pathlib import Path
import kiosk.forms
kiosk.forms.RUNTIME_DIR = Path(sys.argv[1])
from kiosk.__main__ import main
os._exit = lambda code: sys.exit(print(code, *sys.modules))
main(["panel", "--ended", "--config", sys.argv[2]])
"""
HEAVY = {
    "pydantic",
    "yaml",
    "cryptography",
    "numpy",
    "cv2",
    "PIL",
    "sqlite3",
    "kiosk.config",
    "kiosk.settings",
    "kiosk.sim",
}


@pytest.mark.parametrize("name", PANELS)
def test_what_is_written_is_what_is_read(tmp_path: Path, name: str) -> None:
    """Every kind of panel, by its lane, for the configuration that it was started with."""
    panel = Panel.model_validate(PANELS[name])
    held.write(tmp_path / "run", "main", ["main"], panel, CONFIG)
    assert held.read(tmp_path / "run", None, CONFIG) == {"main": HeldPins.of(panel)}
    assert held.read(tmp_path / "run", "main", CONFIG) == {"main": HeldPins.of(panel)}
    assert held.read(tmp_path / "run", "other", CONFIG) == {}
    assert held.read(tmp_path / "run", None, tmp_path / "kiosk.yaml") == {}


def test_lane_that_is_no_more_is_forgotten(tmp_path: Path) -> None:
    """Its pins may be another one's now."""
    for lane, lanes in (("one", ["one", "two"]), ("two", ["one", "two"])):
        held.write(tmp_path, lane, lanes, Panel(), CONFIG)
    assert list(held.read(tmp_path, None, CONFIG)) == ["one", "two"]
    held.write(tmp_path, "two", ["two", "three"], Panel(), CONFIG)
    assert list(held.read(tmp_path, None, CONFIG)) == ["two"]


def test_folder_that_takes_nothing_stops_no_door(tmp_path: Path) -> None:
    """The configuration says the same, only later."""
    (tmp_path / "run").write_text("")
    held.write(tmp_path / "run", "main", ["main"], Panel(), CONFIG)
    assert held.read(tmp_path / "run", None, CONFIG) == {}


@pytest.mark.parametrize("mode", [0o660, 0o646, 0o620])
def test_what_others_could_have_written_is_not_believed(tmp_path: Path, mode: int) -> None:
    """Red where green is would call people in after a crash."""
    held.write(tmp_path, "main", ["main"], Panel(), CONFIG)
    path = tmp_path / "pins-main.json"
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(mode)
    assert held.read(tmp_path, "main", CONFIG) == {}


def test_file_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a link, whoever made it, or a pipe that nobody writes to."""
    held.write(tmp_path, "main", ["main"], Panel(), CONFIG)
    (tmp_path / "pins-link.json").symlink_to("pins-main.json")
    os.mkfifo(tmp_path / "pins-pipe.json")
    assert list(held.read(tmp_path, None, CONFIG)) == ["main"]
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert held.read(tmp_path, None, CONFIG) == {}


def _with_pins(**changes: object) -> str:
    panel = HeldPins.of(Panel())
    pins = {field: getattr(panel, field) for field in HeldPins.__slots__}
    return json.dumps({"config": str(CONFIG), "pins": {**pins, **changes}})


@pytest.mark.parametrize(
    "content",
    ["", "[]", "1", "{}", '{"config": "/etc/kiosk/kiosk.yaml"}', '{"config": "/etc/kiosk/kiosk.yaml", "pins": []}',
     _with_pins(more=1), _with_pins(leds=[17]), _with_pins(leds={"red": "17"}), _with_pins(buzzer=True), "[" * 3000],
)  # fmt: skip
def test_damaged_file_is_none(tmp_path: Path, content: str) -> None:
    """The configuration is read then."""
    (tmp_path / "pins-main.json").write_text(content, "utf-8")
    (tmp_path / "pins-main.json").chmod(0o640)
    assert held.read(tmp_path, None, CONFIG) == {}


def test_folder_is_the_one_of_a_station() -> None:
    """Where nobody has set another one, the processes write where the command looks."""
    assert State().runtime_dir == forms.RUNTIME_DIR


def _modules_of_ended(runtime_dir: Path, config: Path) -> set[str]:
    argv = [sys.executable, "-c", ENDED, str(runtime_dir), str(config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    code, *modules = done.stdout.split()
    assert code == "0", done.stderr
    assert "panel of main left fault" in done.stderr
    return set(modules)


def test_light_of_a_dead_process_waits_for_no_settings(tmp_path: Path) -> None:
    """With the pins that the process has told, nothing is loaded that reads settings, pictures or keys; without them all is read."""
    config = tmp_path / "kiosk.yaml"
    config.write_text(
        f"kiosk: {{id: a, site: b}}\nlanes: [{{panel: {{kind: mock}}}}]\nstate: {{runtime_dir: {tmp_path}}}\n"
    )
    assert "kiosk.settings.loader" in _modules_of_ended(tmp_path, config)
    held.write(tmp_path, "main", ["main"], Panel(kind="mock"), config)
    assert not HEAVY & _modules_of_ended(tmp_path, config)
    config.write_text("nonsense: [")
    assert not HEAVY & _modules_of_ended(tmp_path, config)
    assert json.loads((tmp_path / "panel-main.json").read_text())["left"] == "fault"
