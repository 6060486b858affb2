"""The fuzzer finds what is there to be found, and in the parsers there is nothing; `make fuzz` throws far more."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench import fuzz
from bench.fuzz_parsers import PARSERS, ForgedError, Layer, Parser

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
    assert fuzz.main(["--inputs", "500", "--crashes", str(tmp_path)]) == 1
    kept = sorted(tmp_path.iterdir())
    assert kept
    assert all(len(path.read_bytes()) < 5 for path in kept)
    assert f"IndexError: {kept[0]}" in capsys.readouterr().out


def test_a_documented_refusal_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same parser passes once the error is among those that it may raise."""
    parser = Parser("brittle", (Layer((b"0123456789",)),), _brittle, (IndexError,))
    monkeypatch.setattr(fuzz, "PARSERS", (parser,))
    assert fuzz.main(["--inputs", "500", "--crashes", str(tmp_path)]) == 0
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
