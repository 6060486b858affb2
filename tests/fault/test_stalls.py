"""A card that stalls for seconds in the middle of a commit, as cheap ones do: nobody is left without a word, and nothing starts anew."""

from __future__ import annotations

import io
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from central.intake.collector import Broker
from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.outbox import Outbox
from kiosk.panel import CuePlayer
from kiosk.process.supervise import Child, Supervisor
from kiosk.scanner import Scanner
from kiosk.sim.cards import write_cards
from kiosk.sim.terminal import TerminalOutputs
from tests.fault.door import Door, people_in
from tests.running import collecting, delivering, until

ANSWERS = ("recorded-pass", "wait", "fault", "repeat")


def _answers(said: str) -> list[str]:
    """What the panel has shown to people, in order."""
    names = [line.split(": ")[1] for line in said.splitlines() if line.startswith("panel: ")]
    return [name for name in names if name in ANSWERS]


def _are_waited_for(answers: list[str], people: int) -> bool:
    """Whether so many people were asked to wait, then shown green, and told nothing else; a busy machine may wait more often."""
    kept = [
        name
        for place, name in enumerate(answers)
        if name != "wait" or answers[place + 1 : place + 2] == ["recorded-pass"]
    ]
    return kept == ["wait", "recorded-pass"] * people


def _scan(config: Config, tmp_path: Path, *stalls_s: float) -> None:
    """As many people pass as there are stalls, before a scan process under our own watchdog, and then nobody."""
    cards = tmp_path / "cards"
    write_cards(cards, len(stalls_s), seed=3)
    nobody = cards / "nobody-0000.png"
    cv2.imwrite(str(nobody), np.full((240, 320), 200, np.uint8))
    for number in range(1, 4000):
        nobody.with_name(f"nobody-{number:04d}.png").hardlink_to(nobody)
    file, said = tmp_path / "kiosk.yaml", tmp_path / "said.txt"
    lanes = {"lanes": [{"camera": {"source": f"folder:{cards}", "fps": 20}, "panel": {"kind": "terminal"}}]}
    file.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude={"lanes"}) | lanes), "utf-8")
    words = ",".join(map(str, stalls_s)), str(config.state.dir), "scan", "--config", str(file)
    child = Child("scan", [sys.executable, "-m", "tests.fault.stalling", *words], output=said)
    supervisor = Supervisor([child])

    def answered() -> bool:
        supervisor.tend()
        return said.exists() and _are_waited_for(_answers(said.read_text("utf-8")), len(stalls_s))

    try:
        until(answered, lambda: said.read_text("utf-8"))
        assert (child.code, child.restarts) == (None, 0), said.read_text("utf-8")
    finally:
        supervisor.stop()


def test_whoever_waits_for_the_card_is_told(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """A flush that takes a second: the panel asks for patience meanwhile, then shows green, and the entry is there once."""
    config = make_config()
    _scan(config, tmp_path, 1.0)
    with closing(Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)) as outbox:
        assert outbox.last_seq == 1


@pytest.mark.slow
def test_card_that_stalls_for_twelve_seconds_restarts_nothing(
    make_config: Callable[..., Config], broker: Any, tmp_path: Path
) -> None:
    """Stalls of 4, 7 and 12 s under the watchdog of a door: three people wait and see green, and the centre has each once."""
    config = make_config(uplink={"brokers": [broker.url], "backoff_max_s": 1.0}, status={"every_s": 1.0})
    ledger = tmp_path / "ledger.db"
    centre, uplink = collecting(Broker(broker.url), ledger), delivering(config)
    try:
        _scan(config, tmp_path, 4.0, 7.0, 12.0)
        with closing(Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)) as outbox:
            until(lambda: outbox.depth() == 0)
    finally:
        uplink.stop()
        centre.stop()
    with closing(SqliteLedger(ledger)) as kept:
        (stream,) = kept.streams()
        assert (len(list(kept.entries())), stream.through, stream.complete, kept.doubled()) == (3, 3, True, 0)


@pytest.mark.parametrize(
    "stall_s", [0.8, pytest.param(7.0, marks=pytest.mark.slow), pytest.param(12.0, marks=pytest.mark.slow)]
)
def test_stall_in_the_other_process_is_waited_for(make_config: Callable[..., Config], stall_s: float) -> None:
    """The uplink's write holds the file while the card stalls: that is no fault, and nobody is told to fetch the staff."""
    config = make_config()
    path = config.state.dir / "outbox.db"
    said = io.StringIO()
    with closing(Outbox.open(path, config.outbox)) as outbox:
        door = Door(config, outbox)
        parts = replace(door.parts, panel=CuePlayer(TerminalOutputs(said)))
        door.scanner = Scanner(config, config.lanes[0], parts)
        door.show(None)
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")

            def end_of_stall() -> None:
                time.sleep(stall_s)
                other.execute("COMMIT")

            stalling = Thread(target=end_of_stall)
            stalling.start()
            door.show(7)
            stalling.join()
        until(lambda: _are_waited_for(_answers(said.getvalue()), 1), said.getvalue)
        assert people_in(outbox) == [7]
        parts.panel.close()
