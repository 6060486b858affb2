"""The journal of signed commands: a counter is used once, whoever writes, and the file is read once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from central.fleet.dispatch import Journal
from kiosk.envelopes.remote import Verb
from kiosk.errors import ConfigError

NOW_NS = 1_800_000_000_000_000_000


def test_counters_grow_whoever_writes(tmp_path: Path) -> None:
    """Two programs with the same journal and a clock that stands still give each station growing counters, none twice."""
    path = tmp_path / "commands.jsonl"
    mine, other = Journal(path), Journal(path)
    counters = [
        journal.enter(kiosk, Verb.SELF_TEST, (), NOW_NS).counter
        for kiosk in ("one", "two")
        for journal in (mine, other, other, mine, mine)
    ]
    assert counters == [NOW_NS // 1_000_000 + n for n in range(5)] * 2
    assert [json.loads(line)["counter"] for line in path.read_text().splitlines()] == counters


def test_what_has_been_read_is_not_read_again(tmp_path: Path) -> None:
    """An order costs what was written since the last one, and not the whole past: a broken line of the past is not seen."""
    path = tmp_path / "commands.jsonl"
    journal = Journal(path)
    journal.enter("one", Verb.SELF_TEST, (), NOW_NS)
    before = journal.enter("one", Verb.SELF_TEST, (), NOW_NS)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"?" * (len(first) - 1) + b"\n" + second)
    assert journal.enter("one", Verb.SELF_TEST, (), NOW_NS).counter == before.counter + 1
    with pytest.raises(ConfigError, match="damaged"):
        Journal(path).enter("one", Verb.SELF_TEST, (), NOW_NS)


@pytest.mark.parametrize("how", ["another", "shorter"])
def test_another_file_is_read_anew(tmp_path: Path, how: str) -> None:
    """A journal that was put in the place of this one, or cut, counts as it stands; the clock keeps counters from going back."""
    path = tmp_path / "commands.jsonl"
    journal = Journal(path)
    for _ in range(3):
        journal.enter("one", Verb.SELF_TEST, (), NOW_NS)
    first = path.read_text().splitlines(keepends=True)[0]
    if how == "another":
        path.rename(tmp_path / "away")
    path.write_text(first)
    assert journal.enter("one", Verb.SELF_TEST, (), NOW_NS).counter == NOW_NS // 1_000_000 + 1
    assert len(path.read_text().splitlines()) == 2
