"""The cheap look: what the camera has made small is used as it is, and a picture of any size costs what its blocks cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bench import idle
from kiosk.config import Camera
from kiosk.lens import optics
from kiosk.reading import evidence
from kiosk.settings import loader

ROOT = Path(__file__).resolve().parents[3]
BOARDS = sorted((ROOT / "config" / "boards").glob("*.yaml"))


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_boards_small_picture_is_used_as_it_is(path: Path) -> None:
    """Both streams of each shipped board are whole blocks, and one is half the other: nothing has to be made smaller again."""
    for lane in loader.load_board(path).lanes:
        sides = (lane.camera.width_px, lane.camera.height_px)
        assert [side % evidence.BLOCK_PX for side in sides] == [0, 0]
        if lane.camera.source.startswith("picamera2:"):
            small = optics.small_size_px(lane.camera)
            assert small == (sides[0] // 2, sides[1] // 2)


@pytest.mark.parametrize(("width_px", "height_px"), [(960, 540), (1296, 972), (1152, 648), (800, 600), (1283, 721)])
def test_odd_sizes_are_cut_and_not_stretched(width_px: int, height_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of whole blocks is looked at, at exactly half its size; with the camera's own half nothing is made at all."""
    made: list[tuple[tuple[int, ...], tuple[int, int]]] = []
    resize: Any = cv2.resize

    def noted(source: Any, size: tuple[int, int], **how: int) -> Any:
        made.append((source.shape, size))
        return resize(source, size, **how)

    luma = np.random.default_rng(1).integers(0, 255, (height_px, width_px), np.uint8)
    half = np.ascontiguousarray(luma[::2, ::2])
    monkeypatch.setattr("kiosk.reading.evidence.cv2.resize", noted)
    evidence.Watch().look(luma)
    (height, width), size = made[0]
    assert (width, height) == (2 * size[0], 2 * size[1])
    assert width_px - width < evidence.BLOCK_PX
    assert height_px - height < evidence.BLOCK_PX
    made.clear()
    evidence.Watch().look(luma, half)
    assert all(size == (width_px // 16, height_px // 16) for _, size in made)


def test_what_was_answered_is_not_looked_at_again() -> None:
    """Where a code was read there is no news; beside it there is."""
    frame = np.full((720, 1280), 150, np.uint8)
    noise = np.random.default_rng(1).integers(0, 255, (160, 160), np.uint8)
    frame[100:260, 200:360] = frame[400:560, 800:960] = noise
    both = evidence.Watch().look(frame).regions
    (other,) = evidence.Watch().look(frame, None, [(170, 70, 390, 290)]).regions
    assert len(both) == 2
    assert other in both
    assert other[0] > 700


def test_one_texture_is_one_region() -> None:
    """A weaker texture around a strong one is not a region of its own."""
    generator = np.random.default_rng(1)
    frame = np.full((720, 1280), 150, np.uint8)
    frame[180:500, 380:820] = 150 + generator.integers(-40, 40, (320, 440))
    frame[200:480, 400:800] = generator.integers(0, 255, (280, 400), np.uint8)
    assert len(evidence.Watch().look(frame).regions) == 1


def test_bench_of_idle_frames_misses_what_costs_more() -> None:
    """Each size of config/boards/ has a row beside the default one's; a row is missed where its middle round costs more, whatever a few rounds say."""
    rows = idle.rows()
    assert (rows[0].camera.width_px, rows[0].camera.height_px) == (Camera().width_px, Camera().height_px)
    assert {name for row in rows[1:] for name in row.names} == {path.stem for path in BOARDS}
    assert len(idle.measured(rows, 1, 7)[-1]) == 1
    default_ms = [1.0, 2.0, 4.0, 1.0, 1.0]
    for factors, met in (((1.0, 1.0, 1.0, 9.0, 9.0), True), ((0.5, 0.5, 1.2, 1.2, 1.2), False)):
        own_ms = [time_ms * factor for time_ms, factor in zip(default_ms, factors, strict=True)]
        lines, all_met = idle.judged(rows[:2], [default_ms, own_ms])
        assert all_met is met
        assert ("missed" in lines[1]) is not met
