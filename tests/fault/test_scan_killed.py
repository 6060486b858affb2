"""SIGKILL of the scan process at random moments: every green that the panel showed is in the outbox.

A whole process from its command line, with pictures; `test_kills.py` kills the other parts, and far more often.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import yaml

from kiosk.config import Outbox as Settings
from kiosk.delivery import wire
from kiosk.outbox import Outbox
from kiosk.sim.cards import write_cards


def test_every_green_is_in_the_outbox(tmp_path: Path, scale: Any, tell: Any) -> None:
    """However often and whenever the process is killed: no green without an entry, and no number is missing."""
    kills = scale(3, 50)
    random = Random(kills)
    write_cards(tmp_path / "cards", scale(150, 400), seed=3)
    config = tmp_path / "kiosk.yaml"
    camera = {"source": f"folder:{tmp_path / 'cards'}", "fps": 100}
    values = {
        "kiosk": {"id": "test-1", "site": "office-1"},
        "state": {"dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run")},
        "lanes": [{"camera": camera, "panel": {"kind": "terminal"}}],
        "seal": {"mode": "off"},
    }
    config.write_text(yaml.safe_dump(values), "utf-8")
    greens = 0
    for round_ in range(kills):
        said = tmp_path / f"panel-{round_}.txt"
        before = _entries(tmp_path)
        with said.open("wb") as out:
            argv = [sys.executable, "-m", "kiosk", "scan", "--config", str(config)]
            process = subprocess.Popen(argv, stdout=out, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 30
        while b"recorded" not in said.read_bytes():
            assert time.monotonic() < deadline_s, "no green at all"
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.4))
        process.kill()
        process.wait(10)
        shown = said.read_bytes().count(b"panel: recorded")
        recorded = _entries(tmp_path) - before
        assert shown <= recorded, f"round {round_}: {shown} greens, {recorded} entries"
        greens += shown
    assert greens >= kills  # a receipt is shown whole, so that a second one may still wait for its turn
    outbox = Outbox.open_existing(tmp_path / "state" / "outbox.db", Settings())
    rows = outbox.head(0, 100_000)
    outbox.close()
    ids = {wire.decode_entry(body).id for _, body in rows}
    tell(
        "SIGKILL: kiosk scan, from pictures", rounds=kills, greens=greens, kept=min(greens, len(ids)),
        lost=max(0, greens - len(ids)), doubled=len(rows) - len(ids), where="outbox",
    )  # fmt: skip
    assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))
    assert len(ids) == len(rows)


def _entries(tmp_path: Path) -> int:
    path = tmp_path / "state" / "outbox.db"
    if not path.exists():
        return 0
    outbox = Outbox.open_existing(path, Settings())
    try:
        return outbox.last_seq
    finally:
        outbox.close()
