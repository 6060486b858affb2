"""Aiming: what is measured is so, the sentence says the next step, and the beeps quicken as it gets better."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kiosk.commands.aim import RECENT_NS, Sight
from kiosk.cues import GREEN, MEANINGS, TURQUOISE, Cue, CueName
from kiosk.decoder import read_picture
from kiosk.lens.frame import Frame
from kiosk.model import Reading
from kiosk.service import aim
from kiosk.service.aim import CodeInView, Gauge, Verdict, View
from kiosk.sim.render import code_picture

CARD = b"046090000123||Nguyen Van A|01021990|Nam|Hue|15062021"
MODULES = 33
GOOD = View(mean=128, dark=30, light=220, blur_px=0.9, code=CodeInView(33, 132, 0.2))
NOTHING = View(mean=110, dark=60, light=160, blur_px=1.2)
MS = 1_000_000


def _picture(module_px: int, payload: bytes = CARD) -> NDArray[np.uint8]:
    """A card's code, a little turned, in the middle of a grey frame."""
    code = code_picture(payload, module_px)
    picture = np.full((720, 1280), 150, np.uint8)
    top, left = (720 - code.shape[0]) // 2, (1280 - code.shape[1]) // 2
    picture[top : top + code.shape[0], left : left + code.shape[1]] = code // 2 + 60
    turn = cv2.getRotationMatrix2D((640, 360), 8, 1)
    return np.asarray(cv2.warpAffine(picture, turn, (1280, 720), borderValue=150), np.uint8)


def _view(picture: NDArray[np.uint8]) -> View:
    return Gauge().view(Frame(picture, 1, None, 8000, 4.5), read_picture(picture))


@pytest.mark.parametrize("module_px", [2, 3, 5, 9])
def test_pixels_a_module_are_measured(module_px: int) -> None:
    """From the corners and the symbol's own number of modules."""
    view = _view(_picture(module_px))
    assert view.code is not None
    assert view.code.modules == MODULES
    assert view.code.module_px == pytest.approx(module_px, rel=0.05)
    assert view.code.share == pytest.approx(module_px * MODULES / 720, rel=0.05)


@pytest.mark.parametrize("module_px", [4, 6, 10])
@pytest.mark.parametrize("blur_px", [1.0, 1.5, 2.0])
def test_blur_is_measured_whatever_the_size(module_px: int, blur_px: float) -> None:
    """Within a third, the pixels' own softness included."""
    picture = _picture(module_px)
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur_px), np.uint8)
    view = Gauge().view(Frame(blurred, 1), read_picture(picture))
    assert view.blur_px == pytest.approx(blur_px, rel=0.34)


def test_light_is_measured_in_the_code() -> None:
    """The wall behind does not count while a code is in view, and does while none is."""
    view = _view(_picture(5))
    assert (view.dark, view.light) == (60, 187)
    assert view.contrast == 127
    wall = Gauge().view(Frame(np.full((720, 1280), 150, np.uint8), 1), [])
    assert (wall.mean, wall.contrast, wall.code) == (150, 0, None)


def test_code_at_the_edge_is_measured() -> None:
    """Corners beyond the picture, as engines guess them, are no fault."""
    picture = np.ascontiguousarray(_picture(5)[270:450, 560:720])
    reading = Reading(CARD, ((-9.0, -5.0), (170.0, 2.0), (164.0, 190.0), (-3.0, 181.0)), 1)
    view = Gauge().view(Frame(picture, 1), [reading])
    assert view.code is not None
    assert view.code.modules is None
    assert view.contrast > 100


def test_modules_are_counted_once_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting costs another reading; while the same code is held up it is not repeated, failures are."""
    counts = iter([None, 33, 41])
    monkeypatch.setattr(aim, "modules_of", lambda _luma, _reading: next(counts))
    gauge = Gauge()
    frame = Frame(_picture(4), 1)
    (first,) = read_picture(frame.luma)
    other = replace(first, payload=b"another")
    views = [gauge.view(frame, [reading]) for reading in (first, first, first, other)]
    assert [view.code.modules for view in views if view.code is not None] == [None, 33, 33, 41]


def test_code_that_the_plain_engine_does_not_read_is_not_counted() -> None:
    """Another code at the same place is not taken for it."""
    picture = _picture(4)
    (reading,) = read_picture(picture)
    assert aim.modules_of(picture, reading) == MODULES
    assert aim.modules_of(picture, replace(reading, payload=b"another")) is None


def test_largest_code_counts() -> None:
    """The card in the hand, not the poster on the wall."""
    picture = np.hstack([_picture(3), _picture(6, CARD + b"|")])
    view = _view(picture)
    assert view.code is not None
    assert view.code.module_px == pytest.approx(6, rel=0.05)


@pytest.mark.parametrize(
    ("view", "verdict"),
    [
        (GOOD, Verdict.GOOD),
        (replace(GOOD, code=CodeInView(33, 98, 0.1)), Verdict.CLOSER),
        (replace(GOOD, code=CodeInView(33, 660, 0.92)), Verdict.FARTHER),
        (replace(GOOD, code=CodeInView(None, 132, 0.2)), Verdict.BARELY),
        (replace(GOOD, blur_px=1.9), Verdict.BLURRED),
        (replace(GOOD, blur_px=1.9, code=CodeInView(33, 165, 0.2)), Verdict.GOOD),
        (replace(GOOD, dark=100, light=159), Verdict.FLAT),
        (replace(GOOD, dark=10, light=69), Verdict.DARK),
        (replace(GOOD, dark=151, light=255), Verdict.BRIGHT),
        (NOTHING, Verdict.NO_CODE),
        (replace(NOTHING, mean=5, dark=0, light=12), Verdict.DARK),
        (replace(NOTHING, mean=240), Verdict.BRIGHT),
        (replace(NOTHING, blur_px=5), Verdict.NO_CODE_BLURRED),
        (replace(NOTHING, blur_px=50, dark=100, light=150), Verdict.NO_CODE),
    ],
)
def test_verdict_is_the_next_step(view: View, verdict: Verdict) -> None:
    """One sentence; a blank wall is not called blurred."""
    assert aim.verdict_of(view) is verdict
    assert aim.line_of(view).startswith(f"{verdict.value} | ")


def test_line_has_the_numbers_that_are_known() -> None:
    """Exposure and lens only from a camera that tells them."""
    assert aim.line_of(replace(GOOD, exposure_us=8000, lens_dioptres=4.5)) == (
        "good | 4.0 px a module, code 132 px of 33 modules, blur 0.9 px, brightness 128, contrast 190, "
        "exposure 8.0 ms, lens 4.5 dioptres"
    )
    assert aim.line_of(NOTHING).endswith("| blur 1.2 px, brightness 110, contrast 100")
    assert "modules not counted, code 132 px, blur" in aim.line_of(replace(GOOD, code=CodeInView(None, 132, 0.2)))


@pytest.mark.parametrize(
    "steps",
    [
        [NOTHING, *(replace(GOOD, code=CodeInView(33, 33 * px, 0.1)) for px in (1.6, 2.0, 2.5, 2.9)), GOOD],
        [NOTHING, *(replace(GOOD, blur_px=px) for px in (4.0, 3.0, 2.0)), GOOD],
        [NOTHING, *(replace(GOOD, dark=100, light=100 + contrast) for contrast in (30, 40, 55)), GOOD],
        [replace(GOOD, code=CodeInView(33, 660, 0.92)), GOOD],
        [NOTHING, replace(GOOD, code=CodeInView(None, 132, 0.2)), GOOD],
    ],
)
def test_beeps_quicken_and_rise_as_it_gets_better(steps: list[View]) -> None:
    """Nearer, sharper, clearer: each step is heard; nothing but good sounds like good."""
    qualities = [aim.quality_of(view) for view in steps]
    assert all(worse < better for worse, better in pairwise(qualities))
    assert all(aim.interval_ms(worse) > aim.interval_ms(better) for worse, better in pairwise(qualities))
    tones_hz = [aim.beep_for(quality).steps[0].tone_hz for quality in qualities]
    assert tones_hz == sorted(set(tones_hz))
    assert aim.interval_ms(qualities[-1]) == aim.FASTEST_MS
    assert aim.interval_ms(0.0) == aim.SEARCHING_MS


def test_beep_is_not_taken_for_an_answer() -> None:
    """Its light is white, whatever the quality, and it has a meaning of its own."""
    cues = [aim.beep_for(quality) for quality in (0.0, 0.3, 1.0)]
    assert all(len(set(step.rgb)) == 1 and step.rgb not in {GREEN, TURQUOISE} for cue in cues for step in cue.steps)
    assert "nothing is recorded" in MEANINGS[CueName.AIM]


def _looked(sight: Sight, views: list[View], step_ms: int) -> None:
    for number, view in enumerate(views):
        sight.look(Frame(np.zeros((2, 2), np.uint8), 100_000 * MS + number * step_ms * MS), view)


def test_lines_come_once_a_second_or_with_a_new_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the output is no terminal: plain lines, no control characters."""
    beeps: list[Cue] = []
    sight = Sight(beeps.append, on_terminal=False)
    _looked(sight, [NOTHING] * 60 + [GOOD] * 60, 50)
    sight.end()
    out = capsys.readouterr().out
    assert [line.split(" |")[0] for line in out.splitlines()] == [Verdict.NO_CODE.value] * 3 + [Verdict.GOOD.value] * 3
    assert "\x1b" not in out
    assert sight.verdict is Verdict.GOOD
    assert 2 <= sum(cue.steps[0].tone_hz < 500 for cue in beeps) <= 3
    assert sum(cue.steps[0].tone_hz > 1500 for cue in beeps) >= 18


def test_line_is_written_anew_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that fits the terminal, ten times a second at most, left with the cursor below it."""
    monkeypatch.setenv("COLUMNS", "40")
    sight = Sight(lambda _cue: None, on_terminal=True)
    sight.end()
    assert capsys.readouterr().out == ""
    _looked(sight, [GOOD] * 10, 20)
    sight.end()
    out = capsys.readouterr().out
    assert out.count("\r\x1b[K") == 2
    assert out.endswith("\n")
    assert all(len(line) <= 39 for line in out.rstrip("\n").split("\r\x1b[K"))


def test_one_missed_frame_changes_nothing() -> None:
    """With two exposures in turn only one of them may show the code; the better one counts, for a moment."""
    frames = RECENT_NS // (40 * MS)
    verdicts: list[Verdict | None] = []
    for missed in (1, frames, frames + 1):
        sight = Sight(lambda _cue: None, on_terminal=False)
        _looked(sight, [GOOD, NOTHING, GOOD] + [NOTHING] * missed, 40)
        verdicts.append(sight.verdict)
    assert verdicts == [Verdict.GOOD, Verdict.GOOD, Verdict.NO_CODE]
