"""From the outbox to the ledger over a real broker, with everything in between killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from central.collector import Broker, Collector
from central.sqlite_ledger import SqliteLedger
from kiosk import uplink
from kiosk.config import Config
from kiosk.model import Entry
from kiosk.outbox import Outbox

LONGEST_S = 60.0


class Centre:
    """A collector on a thread of its own, with its own ledger connection."""

    def __init__(self, url: str, path: Path) -> None:
        self._url = url
        self._path = path
        self._stop = Event()
        self._thread = Thread(target=self._run, name="collector")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        ledger = SqliteLedger(self._path)
        try:
            Collector(Broker(self._url), ledger).run(self._stop.is_set)
        finally:
            ledger.close()


@pytest.fixture
def centre(broker: Any, tmp_path: Path) -> Iterator[Centre]:
    """A collector that collects into `ledger.db`."""
    centre = Centre(broker.url, tmp_path / "ledger.db")
    centre.start()
    yield centre
    centre.stop()


@pytest.fixture
def config(make_config: Callable[..., Config], broker: Any) -> Config:
    """A kiosk that knows the broker and is impatient."""
    return make_config(
        uplink={"brokers": [broker.url], "receipt_timeout_s": 2.0, "backoff_max_s": 1.0, "keepalive_s": 5},
        status={"every_s": 1.0},
    )


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.05)


class Uplink:
    """The uplink as a thread."""

    def __init__(self, config: Config) -> None:
        self._stop = Event()
        self._thread = Thread(target=uplink.run, args=(config,), kwargs={"stop": self._stop.is_set}, name="uplink")
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.usefixtures("centre")
def test_every_entry_arrives_once(config: Config, make_entry: Callable[[int], Entry], tmp_path: Path) -> None:
    """A backlog and what is added while it drains are in the ledger once, and the outbox is settled."""
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    for number in range(500):
        outbox.append(make_entry(number))
    running = Uplink(config)
    for number in range(500, 600):
        outbox.append(make_entry(number))
    try:
        _until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
    ledger = SqliteLedger(tmp_path / "ledger.db")
    numbers = [int(dict(row.entry.person)["number"]) for row in ledger.entries()]
    (stream,) = ledger.streams()
    ledger.close()
    outbox.close()
    assert sorted(numbers) == list(range(600))
    assert stream.through == 600
    assert stream.complete
