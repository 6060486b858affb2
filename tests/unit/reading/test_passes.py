"""Each pass reads, says where, and is bounded; the straightening follows bent paper."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from kiosk.reading import grid, passes
from kiosk.reading.cases import Trait
from kiosk.reading.evidence import Watch
from kiosk.reading.passes import Found
from kiosk.reading.zbar import ZbarScanner
from kiosk.sim.render import Scene, code_picture
from kiosk.sim.shutter import smeared

CARD = "046090000123||Nguyễn Thị Ứng|01021990|Nữ|Phong Điền, Thừa Thiên Huế|15062021".encode()
Luma = np.ndarray[Any, np.dtype[np.uint8]]
BOX = (100, 60, 360, 320)


def _scene(module_px: int = 4) -> tuple[Luma, tuple[float, float]]:
    """A code on a grey wall, and its middle."""
    picture = np.full((400, 500), 190, np.uint8)
    code = code_picture(CARD, module_px)
    picture[80 : 80 + code.shape[0], 120 : 120 + code.shape[1]] = code
    return picture, (120 + code.shape[1] / 2, 80 + code.shape[0] / 2)


def _middle(found: Found) -> tuple[float, float]:
    return tuple(np.array(found.corners).mean(0))


@pytest.mark.parametrize("name", [recipe.plan.name for recipe in passes.RECIPES])
def test_every_pass_reads_an_easy_code_and_says_where(name: str) -> None:
    """Whatever is done to the picture, the corners are in the pixels of the whole one."""
    picture, middle = _scene()
    if "focus" in name:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.6 if name == "focus-3" else 2.0), np.uint8)
    (found,) = [each for each in passes.read_region(name, picture, BOX) if each.payload]
    assert found.payload == CARD
    assert np.hypot(*np.subtract(_middle(found), middle)) < 4


def test_zbar_reads_a_region_and_says_where() -> None:
    """As the other passes do; a picture that is too large is halved first."""
    picture, middle = _scene()
    (found,) = passes.read_by_zbar(ZbarScanner(1), picture, BOX)
    assert (found.payload, np.hypot(*np.subtract(_middle(found), middle)) < 4) == (CARD, True)
    large = picture.repeat(3, axis=0).repeat(3, axis=1)
    (found,) = passes.read_by_zbar(ZbarScanner(1), large, (0, 0, 1500, 1200))
    assert np.hypot(*np.subtract(_middle(found), np.multiply(middle, 3))) < 12


@pytest.mark.parametrize("roll_deg", [0, 20])
@pytest.mark.parametrize("heading_deg", [0, 35, 90, 140])
def test_way_of_a_smear_is_seen_in_the_picture(heading_deg: float, roll_deg: float) -> None:
    """However the code itself is turned, within a sixth of a right angle; the strongest edges lie across it."""
    picture, middle = _scene()
    turn = cv2.getRotationMatrix2D(middle, roll_deg, 1.0)
    turned = np.asarray(cv2.warpAffine(picture, turn, (500, 400), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    heading = np.radians(heading_deg)
    seen = passes._way_of_smear(smeared(turned, (6 * np.cos(heading), 6 * np.sin(heading))))
    off_deg = np.degrees(np.arctan2(seen[1], seen[0]) - heading + np.pi / 2) % 180 - 90
    assert abs(off_deg) < 15


@pytest.mark.parametrize("heading_deg", [0, 35, 90, 140])
def test_smear_is_undone_along_its_way(heading_deg: float) -> None:
    """A code that is smeared over one module and a half is read, whichever way; as if it were out of focus it is not."""
    heading = np.radians(heading_deg)
    picture, _ = _scene(module_px=2)
    noise = np.random.default_rng(1).normal(0, 3, picture.shape)
    soft = cv2.GaussianBlur(smeared(picture, (3 * np.cos(heading), 3 * np.sin(heading))), (0, 0), 0.7)
    seen = np.clip(soft + noise, 0, 255).astype(np.uint8)
    assert [found.payload for found in passes.read_region("focus-double-smear", seen, BOX)] == [CARD]


@pytest.mark.parametrize("recipe", passes.RECIPES, ids=lambda recipe: recipe.plan.name)
def test_prepared_picture_is_bounded(recipe: passes.Recipe) -> None:
    """However large the region, a pass looks at a bounded number of pixels."""
    prepared, _ = passes._prepared(np.full((1500, 2000), 200, np.uint8), recipe)
    assert prepared.size <= 1.02 * passes.PIXELS_MAX


def test_plans_have_names_of_their_own() -> None:
    """A strategy is found again by its name."""
    names = [plan.name for plan in passes.PLANS]
    assert len(set(names)) == len(names)


@settings(max_examples=40, deadline=None)
@given(st_numpy.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))), st.sampled_from(passes.RECIPES))
def test_no_picture_makes_a_pass_raise(picture: Luma, recipe: passes.Recipe) -> None:
    """Pictures of any content and of a pixel or two are read without an exception, and nothing is found in noise."""
    height_px, width_px = picture.shape
    assert not [
        each for each in passes.read_region(recipe.plan.name, picture, (0, 0, width_px, height_px)) if each.payload
    ]
    assert Watch().look(picture).regions in ((), ((0, 0, width_px, height_px),))


@pytest.mark.parametrize("bend_px", [0.0, 4.0, 8.0])
def test_bent_code_comes_out_module_by_module(bend_px: float) -> None:
    """A code bent by up to one and a third modules is sampled as if it were flat."""
    module_px = 6
    code = code_picture(CARD, module_px)
    rows, columns = np.mgrid[0 : code.shape[0], 0 : code.shape[1]].astype(np.float32)
    wave = bend_px * np.sin(np.pi * rows / code.shape[0]) * np.sin(np.pi * columns / code.shape[1])
    bent = np.asarray(cv2.remap(code, columns + wave, rows + wave, cv2.INTER_LINEAR), np.uint8)
    modules = code.shape[0] // module_px - 8
    first, last = 4.0 * module_px, 4.0 * module_px + modules * module_px
    corners = ((first, first), (last, first), (last, last), (first, last))
    cells = grid.brightness_of_modules(bent, corners, modules)
    truth = code[first_module_centres(modules, module_px)] > 127
    assert np.mean((cells > 127) != truth) < 0.01
    assert [found.payload for found in passes.read_grid(cells, corners)] == [CARD]


def first_module_centres(modules: int, module_px: int) -> Any:
    """Where the modules' middles are in a flat picture."""
    middles = np.arange(4, 4 + modules) * module_px + module_px // 2
    return np.ix_(middles, middles)


@pytest.mark.parametrize(
    ("corners", "modules"),
    [
        (((0.0, 0.0),) * 4, 29),
        (((0.0, 0.0), (90.0, 0.0), (0.0, 90.0), (90.0, 90.0)), 29),
        (((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)), 29),
        (((0.0, 0.0), (900.0, 0.0), (900.0, 900.0), (0.0, 900.0)), 177),
        (((0.0, 0.0), (90.0, 0.0), (90.0, 90.0), (0.0, 90.0)), 0),
    ],
)
def test_impossible_near_miss_is_not_straightened(corners: Any, modules: int) -> None:
    """Corners without an area, crossed, or too near for the modules; a code too large, or of unknown size."""
    assert passes.cells_of(np.zeros((100, 100), np.uint8), Found(b"", corners, modules)) is None


def test_code_in_a_frame_is_where_one_looks_first() -> None:
    """The region with the most texture holds the code; the empty frame has none."""
    scene = Scene(1280, 720, 4)
    frame = scene.empty(0).copy()
    watch = Watch()
    assert watch.look(frame).regions == ()
    code = code_picture(CARD, 4)
    frame[300 : 300 + code.shape[0], 500 : 500 + code.shape[1]] = code
    left, top, right, bottom = watch.look(frame).regions[0]
    assert left <= 516
    assert top <= 316
    assert right >= 484 + code.shape[1]
    assert bottom >= 284 + code.shape[0]
    assert (right - left) * (bottom - top) < 0.15 * frame.size


def test_furniture_is_learnt() -> None:
    """Texture that stands still for seconds draws no attention any more; what is new does."""
    frame = Scene(1280, 720, 4).empty(0).copy()
    code = code_picture(CARD, 4)
    frame[300 : 300 + code.shape[0], 500 : 500 + code.shape[1]] = code
    watch = Watch()
    assert watch.look(frame).regions
    for _ in range(400):
        look = watch.look(frame)
    assert look.regions == ()
    frame[20 : 20 + code.shape[0], 20 : 20 + code.shape[1]] = code
    left, top, _, _ = watch.look(frame).regions[0]
    assert max(left, top) < 40


def test_ailments_are_told_apart() -> None:
    """A dark frame is dim, a blurred one soft, a good one neither."""
    picture, _ = _scene()
    watch = Watch()
    assert watch.look(picture[:300, :400].copy()).traits == frozenset()
    assert watch.look((picture[:300, :400] // 4).astype(np.uint8)).traits == {Trait.DIM}
    blurred = np.asarray(cv2.GaussianBlur(picture[:300, :400], (0, 0), 4), np.uint8)
    assert watch.look(blurred).traits == {Trait.SOFT}
