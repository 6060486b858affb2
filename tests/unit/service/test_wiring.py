"""A picture says what the configuration says, and every shipped board is a configuration that works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kiosk.__main__ import main
from kiosk.config import Config
from kiosk.service import wiring
from kiosk.settings import loader

ROOT = Path(__file__).resolve().parents[3]
BOARDS = sorted((ROOT / "config/boards").glob("*.yaml"))
SVG = "{http://www.w3.org/2000/svg}"


def test_header_is_the_one_of_the_board() -> None:
    """Forty pins: each BCM number and each fixed pin once."""
    assert sorted([*wiring.HEADER.values(), *wiring.FIXED]) == list(range(1, 41))
    assert (wiring.HEADER[17], wiring.HEADER[27], wiring.HEADER[22], wiring.HEADER[18]) == (11, 13, 15, 12)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_shipped_board_is_drawn_as_it_is_wired(path: Path) -> None:
    """It is accepted as it is, and names no station; its picture is up to date and has each pin that it drives, by its number."""
    config = loader.load_board(path)
    assert config.kiosk.id == loader.NOBODY
    title = path.read_text("utf-8").split("\n")[0].lstrip("# ")
    picture = wiring.diagram(config, title)
    assert (ROOT / f"docs/boards/{path.stem}.svg").read_text("utf-8") == picture
    drawn = ET.fromstring(picture)  # noqa: S314  our own
    bold = {text.text for text in drawn.iter(f"{SVG}text") if text.get("font-weight") == "bold"}
    for lane in config.lanes:
        pins = [
            *lane.panel.leds.model_dump(include={"red_pin", "green_pin", "blue_pin"}).values(),
            lane.panel.buzzer.pin,
        ]
        assert {f"{wiring.HEADER[pin]} · GPIO {pin}" for pin in pins} <= bold
    channels = re.findall(r"H(\d+) V", picture)
    assert len(channels) == len(set(channels)) == len(wiring.wires(config)), "no wire lies on another"


def test_shipped_parts_are_up_to_date() -> None:
    """`make docs` makes the page."""
    boards = [
        (path.stem, path.read_text("utf-8").split("\n")[0].lstrip("# "), loader.load_board(path)) for path in BOARDS
    ]
    assert (ROOT / "docs/parts.md").read_text("utf-8") == wiring.parts_page(boards)


def _one(make_config: Callable[..., Config], **lane: object) -> Config:
    return make_config(lanes=[lane])


def test_parts_follow_the_kinds(make_config: Callable[..., Config]) -> None:
    """An active buzzer needs a transistor, a lamp a MOSFET, a common anode 3.3 V; what is not there needs nothing."""
    panel = {
        "kind": "gpio",
        "leds": {"kind": "separate", "blue_pin": None, "active_high": False},
        "buzzer": {"kind": "active"},
    }
    config = _one(make_config, camera={"source": "v4l2:/dev/video0"}, panel=panel, lamp={"when": "dark"})
    shopping = {part.what: part.count for part in wiring.parts(config)}
    assert shopping["resistor, 330 Ω"] == 2
    assert {"transistor 2N2222", "logic-level MOSFET, such as IRLZ44N", "LED, 10 mm, red"} <= set(shopping)
    assert any(what.startswith("USB camera") for what in shopping)
    assert {(wire.header_pin, wire.part) for wire in wiring.wires(config)} >= {
        (1, "anodes"),
        (16, "lamp"),
        (6, "buzzer, −"),
    }
    silent = _one(make_config, camera={"source": "sim:seed=1"}, panel={"kind": "gpio", "buzzer": {"kind": "none"}})
    assert [wire.part for wire in wiring.wires(silent)][-1] == "cathodes"
    assert not any("buzzer" in part.what or "camera" in part.what for part in wiring.parts(silent))
    dark = _one(make_config, panel={"kind": "none"})
    assert wiring.wires(dark) == ()
    assert len(wiring.parts(dark)) == 1


def test_board_without_a_name_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kiosk wiring` takes a file of config/boards/ as it is, under its own name."""
    path = tmp_path / "zero2w-mini.yaml"
    text = (ROOT / "config/boards/zero2w-mini.yaml").read_text("utf-8")
    path.write_text(f"{text}state: {{dir: {tmp_path / 'state'}}}\n", "utf-8")
    picture = tmp_path / "wiring.svg"
    assert main(["wiring", "--config", str(path), "--out", str(picture)]) == 0
    assert "header pin 11  RGB LED, red" in capsys.readouterr().out
    assert "zero2w-mini" in picture.read_text("utf-8")
