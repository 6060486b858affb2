"""The bench of moving hands says what it saw, and its floor has a say in the exit code."""

from __future__ import annotations

import sys

import pytest

from bench import motion
from bench.motion import FLOOR_AT, Share


@pytest.mark.parametrize(("read", "code"), [(200, 0), (180, 0), (179, 1), (0, 1)])
def test_missed_floor_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], read: int, code: int
) -> None:
    """At least 0.9 of the draws at 50 mm/s and 5 ms, whatever the rest of the curve does."""
    asked: list[int] = []

    def curve(_seed: str, draws: int, floor_draws: int) -> dict[tuple[int, int], Share]:
        asked.extend((draws, floor_draws))
        places = ((speed, exposure) for speed in motion.SPEEDS_MM_S for exposure in motion.EXPOSURES_MS)
        return {place: Share(1, 2) for place in places} | {FLOOR_AT: Share(read, 200)}

    monkeypatch.setattr(motion, "curve", curve)
    monkeypatch.setattr(sys, "argv", ["motion", "--people", "0", "--draws", "2", "--floor-draws", "1"])
    assert motion.main() == code
    assert asked == [2, 200], "the floor is never judged by fewer"
    said = capsys.readouterr().out
    assert f"floor at 50 mm/s and 5 ms: {read} of 200 read" in said
    assert ("MISSED" in said) == bool(code)


def test_hand_that_moves_is_read_where_the_light_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of the floor's draws, and of the same at three times the exposure: the difference is the setting's."""
    monkeypatch.setattr(motion, "SPEEDS_MM_S", (50,))
    monkeypatch.setattr(motion, "EXPOSURES_MS", (5, 15))
    monkeypatch.setattr(motion, "ROOMS", 1)
    shares = motion.curve("test", 10, 10)
    assert shares[50, 5].hits >= 9
    assert shares[50, 15].hits <= 2


def test_card_of_the_bench_has_the_usual_size() -> None:
    """What is told of 53 modules is told of 53 modules."""
    assert {motion.held("test", number).face.modules for number in range(3)} == {motion.CODE_MODULES}
