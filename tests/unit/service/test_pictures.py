"""The pictures of the cues: made from the cues themselves, and shown on the pages that explain them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from kiosk.cues import DIM_WHITE, GREEN, CueName
from kiosk.service import pictures

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def test_files_show_the_cues_of_today() -> None:
    """docs/pictures/ is what `make docs` makes of kiosk/cues.py."""
    for name, content in pictures.pictures().items():
        assert (ROOT / "docs" / "pictures" / name).read_text("utf-8") == content, f"{name}: run `make docs`"


def test_every_light_and_tone_is_drawn() -> None:
    """A picture has one bar a step, one stroke a tone, and the frame; of a long cue it shows the beginning."""
    for cue in pictures.drawn().values():
        drawn = ET.fromstring(pictures.cue_svg(cue, cue.name)).findall(f"{SVG}rect")  # noqa: S314  our own words
        steps = cue.steps if cue.name != "identify" else cue.steps[: pictures.LONGEST_MS // 120]
        assert len(drawn) == len(steps) + sum(step.tone_hz > 0 for step in steps) + 1
        assert sum(float(bar.get("width", 0)) for bar in drawn if bar.get("y") == "1.0") <= pictures.WIDTH_PX


def test_a_dim_light_is_that_light_on_paper() -> None:
    """Paper has no dim white: it is shown as white, and green as green."""
    assert pictures.on_paper(DIM_WHITE) == "#ffffff"
    assert pictures.on_paper(GREEN) == "#00ff00"


def test_the_handbook_explains_every_cue() -> None:
    """docs/vi/ shows each answer and each state, so that a new one cannot go unexplained."""
    page = (ROOT / "docs" / "vi" / "den-va-am-thanh.md").read_text("utf-8")
    missing = [name for name in pictures.pictures() if name not in page]
    assert not missing
    assert "`kiosk aim`" in page


def test_the_page_of_lights_is_that_of_today() -> None:
    """docs/lights.md is what `make docs` makes, and has a row for each cue and a picture for each that is drawn."""
    page = (ROOT / "docs" / "lights.md").read_text("utf-8")
    assert page == pictures.page(), "run `make docs`"
    assert not [name for name in CueName if f"| {name} |" not in page]
    assert not [name for name in pictures.pictures() if name not in page]
