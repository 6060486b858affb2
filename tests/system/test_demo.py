"""The demo is the whole system: it keeps its promise, and says so, whatever is killed while it runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kiosk.demo.judge import Tally, judge
from kiosk.demo.view import Scene, drawn
from kiosk.sim.door import visits_of

LAST_LINE = re.compile(r"demo shown=(\d+) recorded=(\d+) repeated=(\d+) refused=(\d+) ledger=(\d+) lost=0 doubled=0")


def _started(*words: str, log: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "kiosk", "demo", *words]
    with log.open("w") as errors:
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True)


def _judged(out: str, people: int, seed: int) -> None:
    match = LAST_LINE.fullmatch(out.splitlines()[-1])
    assert match, out
    shown, recorded, repeated, refused, ledger = map(int, match.groups())
    truth = visits_of(seed, people)
    good = {"cccd", "can-cuoc", "national-qr", "bhyt"}
    assert shown == people
    assert recorded == ledger == sum(visit.kind in good and not visit.comes_again for visit in truth)
    assert repeated == sum(visit.comes_again for visit in truth)
    assert refused == sum(visit.kind not in good for visit in truth)


def test_demo_reads_everybody_and_loses_nobody(tmp_path: Path) -> None:
    """With its own broker; what it counts is what the simulated door knows."""
    process = _started("--people", "8", "--seed", "6", log=tmp_path / "log")
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    _judged(out, 8, 6)
    assert "ledger: " in out


def test_demo_survives_its_broker_and_its_uplink(tmp_path: Path, broker: Any) -> None:
    """kill -9 of the broker, twice, and of the uplink, while people pass."""
    process = _started("--people", "8", "--seed", "2", "--broker", broker.url, log=tmp_path / "log")
    try:
        deadline_s = time.monotonic() + 60
        while "started process=uplink" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline_s, "not started"
            time.sleep(0.1)
        for moment in range(2):
            time.sleep(3)
            broker.kill()
            if moment == 0:
                pid = re.search(r"started process=uplink pid=(\d+)", (tmp_path / "log").read_text())
                assert pid is not None
                os.kill(int(pid[1]), signal.SIGKILL)
            time.sleep(1)
            broker.start()
        out, _ = process.communicate(timeout=180)
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    _judged(out, 8, 2)
    assert (tmp_path / "log").read_text().count("started process=uplink") == 2


def test_demo_without_a_broker_says_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that cannot be delivered are lost to the judge, and the exit code says so."""
    monkeypatch.setattr("kiosk.commands.demo.STILL_S", 3.0)
    from kiosk.__main__ import main  # noqa: PLC0415  patched before it runs

    words = ["demo", "--people", "1", "--seed", "6", "--plain", "--broker", "mqtt://127.0.0.1:1"]
    assert main([*words, "--state-dir", str(tmp_path / "demo")]) == 1


def test_judge_counts_what_is_lost_and_what_is_doubled() -> None:
    """A green without a row is lost; a row without a green, or a second one, is doubled."""
    from uuid import UUID  # noqa: PLC0415  for this test alone

    first, second, third = (UUID(int=number) for number in (1, 2, 3))
    tally = Tally(recorded=[first, second])
    assert judge(2, 2, tally, [first, second]).holds
    assert judge(2, 2, tally, [first]).lost == 1
    assert judge(2, 3, tally, [first, second]).lost == 1
    assert judge(2, 2, tally, [first, second, second]).doubled == 1
    assert judge(2, 2, tally, [first, second, third]).doubled == 1
    assert not judge(2, 2, tally, [first, third]).holds


def test_view_draws_any_scene() -> None:
    """Before the first frame there is something to see, too."""
    from rich.console import Console  # noqa: PLC0415  for this test alone

    console = Console(width=140, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115  closed below
    console.print(drawn(Scene(people="0 of 3", ledger_last=[("08:00:00", "in", "cccd", "N.V.A.")])))
    console.file.close()
    assert "N.V.A." in console.export_text()
