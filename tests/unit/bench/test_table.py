"""A row says met or missed, a run's exit code is 1 if one is missed, and a wrong payload is never overlooked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench import decode
from bench.decoding.intervals import Estimate
from bench.decoding.row import Row, Wanted
from bench.decoding.run import Faults, Judge, Run, door_decoder
from bench.troubles.sighting import POSTED

LUMA = np.full((8, 8), 255, np.uint8)


@pytest.mark.parametrize(
    ("wanted", "value", "low", "is_missed"),
    [
        (Wanted(1.4), 1.4, 1.2, False),
        (Wanted(1.4), 1.39, 1.2, True),
        (Wanted(2.5, at_least=False), 2.5, 2.0, False),
        (Wanted(2.5, at_least=False), 2.51, 2.0, True),
        (Wanted(4, surely=True), 5, -0.1, True),
        (Wanted(4, surely=True), 5, 0.1, False),
        (None, 0, 0, False),
    ],
)
def test_row_is_met_or_missed(wanted: Wanted | None, value: float, low: float, *, is_missed: bool) -> None:
    """Bounds hold at the bound itself, from their side; where it is asked for, the whole interval must be above 0."""
    row = Row("codes", Estimate(value, low, 9, 10), wanted)
    assert row.is_missed is is_missed
    assert ("**missed**" in row.line()) is is_missed


def test_row_that_was_not_measured_is_neither() -> None:
    """Without photos their rows say so, and do not fail a run."""
    row = Row("photos", None, Wanted(96), " %")
    assert not row.is_missed
    assert row.line() == "| photos | ≥ 96 % | | | | not measured |"


def _main(monkeypatch: pytest.MonkeyPatch, docs: Path, rows: dict[str, Callable[[Run], list[Row]]], *words: str) -> int:
    monkeypatch.setattr(decode, "ROWS", rows)
    monkeypatch.setattr(decode, "engines", lambda **_: {})
    monkeypatch.setattr(sys, "argv", ["decode", "--docs", str(docs), *words])
    return decode.main()


def _rows(value: float) -> Callable[[Run], list[Row]]:
    return lambda run: [Row(f"seed {run.seed}", Estimate(value, 0, 1, 1), Wanted(1))]


def test_exit_code_tells_of_a_missed_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 if all is met, 1 if one row is missed; the seed that was drawn is printed, and one that is given is taken."""
    assert _main(monkeypatch, tmp_path, {"good": _rows(1)}) == 0
    said = capsys.readouterr().out
    assert said.split(",")[0].removeprefix("Seed ") in said.split("| seed ")[1]
    assert _main(monkeypatch, tmp_path, {"good": _rows(1), "bad": _rows(0)}, "--seed", "17") == 1
    assert "| seed 17 | ≥ 1 | 0 |" in capsys.readouterr().out


def test_only_a_whole_run_becomes_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A sample, or some of the rows, is printed and leaves the page as it was."""
    rows = {"one": _rows(1), "two": _rows(1)}
    for words in (["--quick"], ["--rows", "two"]):
        _main(monkeypatch, tmp_path, rows, *words)
        assert not list(tmp_path.iterdir())
    _main(monkeypatch, tmp_path, rows, "--seed", "5")
    assert "| seed 5 | ≥ 1 | 1 | 0 to 1 | 1 | met |" in (tmp_path / "decoding-table.md").read_text("utf-8")


def test_unknown_rows_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name that is no row ends with exit code 2 before anything is measured."""
    with pytest.raises(SystemExit, match="2"):
        _main(monkeypatch, tmp_path, {"one": _rows(1)}, "--rows", "won")


def test_judge_counts_the_kiosks_faults_alone() -> None:
    """What is not in the picture is wrong, a poster's code is not, an exception is counted, and a rival's errors are the rival's."""
    judge = Judge()

    def raising(_: object) -> list[bytes]:
        raise ValueError

    told = judge.compare({"kiosk": lambda _: [b"a", POSTED], "rival": lambda _: [b"b"]}, LUMA, [b"a"])
    assert (told["kiosk"][0], told["rival"][0]) == ({b"a"}, set())
    assert judge.faults == Faults(0, 0, 1)
    judge.compare({"kiosk": lambda _: [b"a", b"b"], "rival": raising}, LUMA, [b"a"])
    judge.compare({"kiosk": raising}, LUMA, [])
    assert judge.faults == Faults(1, 1, 3)


def test_each_reader_comes_first_and_last() -> None:
    """Over a few pictures each of three readers has been called in each place."""
    judge, called = Judge(), list[str]()

    def reader(name: str) -> Callable[[object], list[bytes]]:
        return lambda _: called.append(name) or []  # type: ignore[func-returns-value]

    for _ in range(6):
        judge.compare({name: reader(name) for name in "abc"}, LUMA, [])
    for place in range(3):
        assert set(called[place::3]) == set("abc")


def test_slow_clock_ends_a_frame_sooner() -> None:
    """A decoder whose clock runs a thousand times faster than the work tries less on the same frames."""
    noise = np.random.default_rng(4).integers(0, 2, (60, 80)).astype(np.uint8) * 255
    luma = np.kron(noise, np.ones((5, 5), np.uint8))
    from kiosk.lens.frame import Frame  # noqa: PLC0415  one test needs it

    tried = []
    for slower in (1.0, 1000.0):
        decoder = door_decoder(slower)
        for _ in range(3):
            decoder.read(Frame(luma, 0))
        tried.append(len(decoder.tried))
    assert tried[0] > tried[1] == 1
