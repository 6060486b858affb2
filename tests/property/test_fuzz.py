"""The fuzzer finds what is there to be found, and in the parsers there is nothing; `make fuzz` throws far more."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from bench import bombs, fuzz, guided
from bench.children import ChildDiedError, spread
from bench.fuzz_parsers import PARSERS
from bench.layers import ForgedError, Layer, Parser

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = 2000
SLOW = {"configuration": 1000}
"""YAML in Python takes milliseconds each."""


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_answers_or_refuses_whatever_comes(parser: Parser) -> None:
    """Thousands of broken inputs meet an answer or a documented refusal, and some get through to be accepted."""
    row = fuzz.thrown(parser, SLOW.get(parser.name, INPUTS), seed=7)
    assert [(error, data[:80]) for error, data in row.crashes] == []
    assert row.refused
    assert row.accepted
    assert row.refused + row.accepted == row.inputs


def _brittle(data: bytes, _layer: Layer) -> bool:
    return data[4] > 0


def test_a_crash_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that a parser does not document fails the run, and the input that caused it is in the folder."""
    monkeypatch.setattr(fuzz, "PARSERS", (Parser("brittle", (Layer((b"0123456789",)),), _brittle),))
    assert fuzz.main(["--inputs", "500", "--only", "brittle", "--crashes", str(tmp_path)]) == 1
    kept = sorted(tmp_path.iterdir())
    assert kept
    assert all(len(path.read_bytes()) < 5 for path in kept)
    assert f"IndexError: {kept[0]}" in capsys.readouterr().out


def test_a_documented_refusal_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same parser passes once the error is among those that it may raise."""
    parser = Parser("brittle", (Layer((b"0123456789",)),), _brittle, (IndexError,))
    monkeypatch.setattr(fuzz, "PARSERS", (parser,))
    assert fuzz.main(["--inputs", "500", "--only", "brittle", "--crashes", str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["hc1", "shc", "nzcp", "pass", "command", "provisioning", "authority's keys", "trust list"]
)
def test_a_forgery_would_be_seen(name: str) -> None:
    """Claims that were changed and signed again are found out as soon as they are said to be unsigned."""
    parser = next(parser for parser in PARSERS if parser.name == name)
    layers = tuple(replace(layer, signed=False) for layer in parser.layers if layer.signed)
    row = fuzz.thrown(replace(parser, layers=layers), INPUTS, seed=7)
    assert {error for error, _ in row.crashes} == {ForgedError.__name__}


def test_the_same_seed_breaks_alike() -> None:
    """A run can be repeated: what is broken, and how, depends on the seed alone."""
    example = bytes(range(200))
    runs = [[fuzz.broken(example, random.Random(seed)) for _ in range(5)] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_slow_parser_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A payload that takes longer than it may fails the run, and is in the folder."""

    def tardy(data: bytes, _layer: Layer) -> bool:
        ends_ns = time.thread_time_ns() + (4_000_000 if len(data) > 50 else 0)
        while time.thread_time_ns() < ends_ns:
            pass
        return True

    monkeypatch.setattr(fuzz, "LONGEST_MS", 3.0)
    monkeypatch.setattr(fuzz, "PARSERS", (Parser("tardy", (Layer((b"0123456789",)),), tardy),))
    assert fuzz.main(["--inputs", "200", "--jobs", "1", "--only", "tardy", "--crashes", str(tmp_path)]) == 1
    (kept,) = tmp_path.iterdir()
    assert len(kept.read_bytes()) > 50
    assert "sound=no" in capsys.readouterr().out


def test_what_kills_the_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash beneath Python, which no `except` sees, fails the run, too."""
    monkeypatch.setattr(fuzz, "PARSERS", (Parser("deadly", (Layer((b"0123456789",)),), lambda *_: os._exit(3)),))
    assert fuzz.main(["--inputs", "200", "--only", "deadly", "--crashes", str(tmp_path)]) == 1
    assert "the process died" in capsys.readouterr().out


def test_pieces_add_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """However many processes share the work, the same inputs meet the same answers."""
    parser = next(parser for parser in PARSERS if parser.name == "base45")
    monkeypatch.setattr(fuzz, "PARSERS", (parser,))
    monkeypatch.setattr(fuzz, "PIECE", 300)
    counts = []
    for jobs in ("1", "2"):
        assert fuzz.main(["--inputs", "1000", "--jobs", jobs, "--only", "base45"]) == 0
        counts.append(next(line.split()[1:5] for line in capsys.readouterr().out.splitlines() if line[:6] == "base45"))
    assert counts[0] == counts[1]
    assert counts[0][0] == "1000"


def test_children_that_die_are_told() -> None:
    """A task whose process ends without an answer is named, not waited for."""
    with pytest.raises(ChildDiedError, match="7: exit code 7"):
        list(spread(os._exit, [7], 1))


def test_bombs_are_refused_and_take_no_memory() -> None:
    """Inflate and CBOR bombs are refused, each within 20 MB; `make fuzz` judges their time, too."""
    costs = bombs.defused()
    assert len(costs) > 30
    assert [cost for cost in costs if not cost.refused] == []
    assert [cost for cost in costs if cost.memory_mb >= bombs.LARGEST_MB] == []


def test_atheris_runs_where_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    """Guided by coverage for a second, it finds nothing, and says how much it tried; without it, that is said."""
    assert guided.each(["base45"], 1, 1)
    said = capfd.readouterr().out
    if find_spec("atheris") is None:
        assert "not done" in said
    else:
        name, inputs, branches = said.splitlines()[-1].split()
        assert (name, int(inputs) > 100, int(branches) > 5) == ("base45", True, True)


def test_guided_finding_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever atheris leaves with but a clean end, and one that does not end, is no success."""
    monkeypatch.setattr(guided, "find_spec", lambda _: object())
    assert not guided.each(["no such parser"], 1, 1)
    assert "exit code 2" in capsys.readouterr().out
    monkeypatch.setattr(guided, "_START_S", -0.99)
    assert not guided.each(["base45"], 1, 1)
    assert "did not end" in capsys.readouterr().out
