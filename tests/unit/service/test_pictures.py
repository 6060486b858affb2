"""The pictures of the cues: made from the cues themselves, and shown on the pages that explain them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kiosk.cues import CUES, DARK, DIM_WHITE, GREEN, RED, WHITE, Cue, CueName
from kiosk.service import pictures

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def test_files_show_the_cues_of_today() -> None:
    """docs/pictures/ is what `make docs` makes of kiosk/cues.py."""
    for name, content in pictures.pictures().items():
        assert (ROOT / "docs" / "pictures" / name).read_text("utf-8") == content, f"{name}: run `make docs`"


def _bars(cue: Cue, y_px: str) -> list[ET.Element]:
    drawn = ET.fromstring(pictures.cue_svg(cue, cue.name)).iter(f"{SVG}rect")  # noqa: S314  our own words
    return [bar for bar in drawn if bar.get("y") == y_px or (not y_px and bar.get("fill") == "#444")]


def test_every_light_and_tone_is_drawn() -> None:
    """A picture has one bar a colour, in the colours' order, one stroke a tone, and is no wider than it may be; what stands goes on to its edge."""
    for name, cue in pictures.drawn().items():
        shown = cue.steps if cue.name != "identify" else cue.steps[: pictures.LONGEST_MS // 120]
        lit = [pictures.on_paper(rgb) for rgb, _ in groupby(step.rgb for step in shown) if rgb != DARK]
        bars = _bars(cue, "6.0")
        fills = [bar.get("fill") for bar in bars]
        assert fills[: len(lit)] == lit if cue.standing else fills == lit, name
        assert len(_bars(cue, "")) == sum(step.tone_hz > 0 for step in shown), name
        (housing,) = _bars(cue, "3.0")
        width_px = float(housing.get("width", 0))
        assert (
            width_px == pytest.approx(pictures.WIDTH_PX - 2, abs=0.1)
            if cue.standing
            else width_px < pictures.WIDTH_PX - 1
        )
        assert max(float(bar.get("x", 0)) + float(bar.get("width", 0)) for bar in bars) <= width_px + 1.2


def test_a_picture_without_tones_has_the_same_light() -> None:
    """For whoever is not to hear it, such as a visitor who has a sheet in front of them, the strokes are left out."""
    cue = CUES[CueName.FAULT]
    silent = pictures.cue_svg(cue, "fault", tones=False)
    assert "#444" not in silent
    assert silent.count(pictures.on_paper(RED)) == 4
    assert 'height="26"' in silent


def test_a_light_on_paper_is_told_from_its_housing_and_from_every_other() -> None:
    """Each colour of the panel is an ink of its own, also white and dim white, and none is the white paper's unless it is white."""
    inks = {rgb: pictures.on_paper(rgb) for cue in CUES.values() for step in cue.steps if (rgb := step.rgb) != DARK}
    assert len(set(inks.values())) == len(inks) >= 8
    assert inks[GREEN] == "#00ff00"
    assert inks[WHITE] == "#ffffff"
    assert inks[DIM_WHITE] == "#aaaaaa"
    assert pictures.HOUSING not in inks.values()


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_brings_its_own_background(path: Path) -> None:
    """On a dark page as on a white one: the first thing that is drawn is opaque and covers the picture, and every word stands on it."""
    picture = ET.parse(path).getroot()  # noqa: S314  our own
    _, _, width_px, height_px = map(float, picture.get("viewBox", "").split())
    silent = {f"{SVG}{tag}" for tag in ("title", "desc", "defs", "style", "metadata")}
    ground = next(child for child in picture if child.tag not in silent)
    assert ground.tag == f"{SVG}rect"
    assert ground.get("fill", "none") not in {"none", "transparent"}
    assert not {"opacity", "fill-opacity", "transform"} & set(ground.keys())
    left_px, top_px = (float(ground.get(side, 0)) for side in ("x", "y"))
    right_px, bottom_px = left_px + float(ground.get("width", 0)), top_px + float(ground.get("height", 0))
    # A rounded edge may be drawn a pixel or two inside.
    assert max(left_px, top_px, width_px - right_px, height_px - bottom_px) <= 2
    moved = {id(inner) for outer in picture.iter() if outer.get("transform") for inner in outer.iter()}
    for words in picture.iter(f"{SVG}text"):
        if id(words) in moved:
            continue  # a group of its own, placed as a whole
        assert left_px <= float(words.get("x", 0)) <= right_px, words.text
        assert top_px <= float(words.get("y", 0)) <= bottom_px, words.text


def test_the_handbook_explains_every_cue() -> None:
    """docs/vi/ is what `make docs` makes, with a row for each answer and each state, so that a new one cannot go unexplained."""
    page = (ROOT / "docs" / "vi" / "den-va-am-thanh.md").read_text("utf-8")
    assert page == pictures.page_in_vietnamese(), "run `make docs`"
    assert not [name for name in pictures.pictures() if name not in page]
    assert "`kiosk aim`" in page


def test_the_page_of_lights_is_that_of_today() -> None:
    """docs/lights.md is what `make docs` makes, and has a row for each cue and a picture for each that is drawn."""
    page = (ROOT / "docs" / "lights.md").read_text("utf-8")
    assert page == pictures.page(), "run `make docs`"
    assert not [name for name in CueName if f"| {name} |" not in page]
    assert not [name for name in pictures.pictures() if name not in page]
