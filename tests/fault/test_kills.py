"""SIGKILL of every process at random moments, judged by three logs that do not know of each other.

The whole chain runs: a door that never stops, uplink, a real broker, collector. One part, or any of them, is killed again
and again. At the end faults end, the outbox drains, and the panel's log, the outbox and the ledger are laid side by side.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.outbox import Outbox
from tests.fault.door import people_in, person_in
from tests.fault.victims import Victims

LONGEST_S = 120.0
KEEPS = "persistence true\npersistence_location {folder}/\nautosave_interval 1\n"


class Chain:
    """Door, uplink, broker and collector, each a process that may be killed and started again."""

    def __init__(self, folder: Path, config: Config, broker: Any) -> None:
        self._folder = folder
        self._config = config
        self._broker = broker
        self._victims = Victims()
        self._pids: dict[str, int] = {}
        self._first = 0
        self.panel_log = folder / "panel.log"
        self.ledger_path = folder / "ledger.db"
        self.store = folder / "broker-store"

    def start(self, role: str) -> None:
        """Start one of them."""
        match role:
            case "scan":
                order: dict[str, object] = {"log": str(self.panel_log), "first": self._first}
                self._first += 2000
            case "collector":
                order = {"broker": self._broker.url, "ledger": str(self.ledger_path)}
            case _:
                order = {}
        self._pids[role] = self._victims.start(role, config=self._config.model_dump_json(), **order)

    def kill(self, role: str) -> None:
        """kill -9 of one of them, and start it again."""
        if role.startswith("broker"):
            self._broker.kill()
            if role == "broker and its store":
                shutil.rmtree(self.store)
                self.store.mkdir()
            self._broker.start()
            return
        self._victims.kill(self._pids[role])
        self.start(role)

    def end_faults(self) -> None:
        """Nobody comes any more, and everything that waits arrives."""
        self._victims.kill(self._pids.pop("scan"))
        outbox = Outbox.open_existing(self._config.state.dir / "outbox.db", self._config.outbox)
        deadline_s = time.monotonic() + LONGEST_S
        with closing(outbox):
            while outbox.depth():
                assert time.monotonic() < deadline_s, f"{outbox.depth()} entries wait for ever"
                time.sleep(0.05)

    def close(self) -> None:
        """Nothing is left running."""
        self._victims.close()

    def greens(self) -> list[int]:
        """Who was shown green."""
        lines = self.panel_log.read_text().splitlines() if self.panel_log.exists() else []
        return [int(line.split()[1]) for line in lines]

    def recorded(self) -> list[int]:
        """Who is in the outbox."""
        with closing(Outbox.open_existing(self._config.state.dir / "outbox.db", self._config.outbox)) as outbox:
            return people_in(outbox)

    def delivered(self) -> list[int]:
        """Who is in the ledger; the proof must say that it is complete."""
        with closing(SqliteLedger(self.ledger_path)) as ledger:
            (stream,) = ledger.streams()
            assert stream.complete
            assert ledger.doubled() == 0
            return [person_in(row.entry) for row in ledger.entries()]


@pytest.fixture
def chain(memory: Path, make_config: Callable[..., Config], broker: Any) -> Iterator[Chain]:
    """It runs; the broker keeps what it has every second."""
    config = make_config(
        state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")},
        uplink={
            "brokers": [broker.url], "receipt_timeout_s": 2.0, "backoff_max_s": 1.0, "keepalive_s": 5,
            "batch_entries": 20,
        },
        status={"every_s": 1.0},
    )  # fmt: skip
    chain = Chain(memory, config, broker)
    chain.store.mkdir()
    chain.store.chmod(0o777)
    broker.kill()
    broker.extra = KEEPS.format(folder=chain.store)
    broker.start()
    for role in ("scan", "uplink", "collector"):
        chain.start(role)
    yield chain
    chain.close()


@pytest.mark.parametrize(
    ("victims", "quick", "full", "longest_s"),
    [
        (("scan",), 12, 180, 0.15),
        (("uplink",), 8, 120, 0.2),
        (("collector",), 8, 120, 0.2),
        (("broker",), 2, 30, 1.2),
        (("broker and its store",), 0, 20, 1.2),
        (("scan", "uplink", "collector", "broker", "broker and its store"), 0, 80, 0.5),
    ],
    ids=lambda value: "-".join(value).replace(" ", "-") if isinstance(value, tuple) else None,
)
def test_killing_loses_nothing(
    chain: Chain, scale: Any, tell: Any, victims: tuple[str, ...], quick: int, full: int, longest_s: float
) -> None:
    """Whoever was shown green is in the ledger once, and nobody is there twice, however often and whatever is killed."""
    kills = scale(quick, full)
    if not kills:
        pytest.skip("in `make test-faults`")
    random = Random(len(victims))
    for _ in range(kills):
        time.sleep(random.uniform(0.01, longest_s))
        chain.kill(random.choice(victims))
    time.sleep(0.3)
    chain.end_faults()
    greens, recorded, delivered = chain.greens(), chain.recorded(), Counter(chain.delivered())
    lost = len(set(greens) - delivered.keys()) + len(set(greens) - set(recorded))
    doubled = sum(count - 1 for count in delivered.values())
    name = victims[0] if len(victims) == 1 else "any of them"
    tell(
        f"SIGKILL: {name}", rounds=kills, greens=len(greens), kept=len(set(greens) & delivered.keys()), lost=lost,
        doubled=doubled, where="ledger",
    )  # fmt: skip
    assert (lost, doubled) == (0, 0)
    assert set(recorded) == delivered.keys()
    assert len(greens) > 2 * kills


def test_judge_sees_what_is_lost_and_what_is_doubled(chain: Chain, tell: Any) -> None:
    """The same chain, with an entry taken out of the outbox before it is sent and one sent under a second id."""
    chain._victims.kill(chain._pids.pop("uplink"))
    deadline_s = time.monotonic() + LONGEST_S
    while len(chain.greens()) < 20:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    with closing(sqlite3.connect(chain._config.state.dir / "outbox.db", isolation_level=None, timeout=30)) as outbox:
        outbox.execute("UPDATE entry SET body = replace(CAST(body AS TEXT), '046090', '046091') WHERE seq = 5")
        outbox.execute("UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 6) WHERE seq = 7")
        outbox.execute(
            "UPDATE entry SET body = (SELECT replace(CAST(body AS TEXT), '-7', '-9') FROM entry WHERE seq = 8) WHERE seq = 9"
        )
    chain.start("uplink")
    chain.end_faults()
    greens, delivered = chain.greens(), Counter(chain.delivered())
    lost = len(set(greens) - delivered.keys())
    doubled = sum(count - 1 for count in delivered.values())
    tell(
        "an outbox that is tampered with", rounds=1, greens=len(greens), kept=len(set(greens) & delivered.keys()),
        lost=lost, doubled=doubled, where="ledger", weak=True,
    )  # fmt: skip
    assert lost == 2
    assert doubled >= 1
