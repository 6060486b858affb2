"""Several collectors share the kiosks' entries and one ledger; one of them may die at any moment."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode

from bench.postgres import Postgres
from central.intake.collector import Broker, Collector
from central.ledgers.choice import open_ledger
from kiosk.config import Config
from kiosk.errors import ConfigError
from kiosk.model import Entry
from kiosk.outbox import Outbox
from tests.running import delivering, until

ENTRIES = 1500
Make = Callable[[int], Entry]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger that several processes can hold."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def collectors(broker: Any, ledger_place: str, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts collectors of one group, and ends them."""
    with ExitStack() as stack:

        def start(name: str) -> subprocess.Popen[bytes]:
            argv = [sys.executable, "-m", "central", "collect", "--broker", broker.url, "--ledger", ledger_place]
            argv += ["--group", "centre", "--client-id", name]
            log = stack.enter_context((tmp_path / f"{name}.log").open("ab"))
            process = subprocess.Popen(argv, stderr=log)
            stack.callback(_ended, process)
            until(lambda: " collecting " in (tmp_path / f"{name}.log").read_text())
            return process

        yield start


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def _messages(log: Path) -> int:
    found = [line.partition("messages=")[2].split()[0] for line in log.read_text().splitlines() if "messages=" in line]
    return int(found[-1]) if found else 0


def test_collector_that_is_killed_loses_and_doubles_nothing(
    make_config: Callable[..., Config],
    broker: Any,
    collectors: Callable[[str], subprocess.Popen[bytes]],
    ledger_place: str,
    make_entry: Make,
    judge_ledger: Callable[[str, int], None],
    tmp_path: Path,
) -> None:
    """Two take turns on one kiosk's messages; kill -9 of one in the middle, of the other later, and a new one comes."""
    settings = {"brokers": [broker.url], "receipt_timeout_s": 1.0, "backoff_max_s": 1.0, "batch_entries": 5}
    config = make_config(uplink=settings)
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    first, second = collectors("first"), collectors("second")
    delivery = delivering(config)
    try:
        for number in range(ENTRIES):
            outbox.append(make_entry(number))
            if number == ENTRIES // 3:
                until(lambda: _messages(tmp_path / "first.log") > 0 and _messages(tmp_path / "second.log") > 0)
                first.kill()
                first.wait(10)
            elif number == 2 * ENTRIES // 3:
                collectors("third")
                second.kill()
                second.wait(10)
        until(lambda: outbox.depth() == 0)
    finally:
        delivery.stop()
        outbox.close()
    judge_ledger(ledger_place, ENTRIES)


def test_packet_of_another_kind_does_not_end_a_commit(tmp_path: Path) -> None:
    """What comes between messages, such as the answer to a ping, costs no commit of its own; a real pause ends the gathering."""
    arrivals = ["message", "another", "message", "another", "another", "message", "pause", "message"]

    class Connection:
        def loop(self, timeout_s: float) -> MQTTErrorCode:
            match arrivals.pop(0):
                case "message":
                    collector._gathered.append(MQTTMessage())
                case "pause":
                    time.sleep(timeout_s)
            return MQTTErrorCode.MQTT_ERR_SUCCESS

    with closing(open_ledger(str(tmp_path / "ledger.db"))) as ledger:
        collector = Collector(Broker("mqtt://127.0.0.1"), ledger)
        assert collector._gather(cast("Client", Connection())) == ""
    assert len(collector._gathered) == 3
    assert arrivals == ["message"]


def test_group_needs_the_newer_protocol(tmp_path: Path) -> None:
    """MQTT 3.1.1 has no shared subscriptions: said at once, not found out by entries that come twice."""
    ledger = open_ledger(str(tmp_path / "ledger.db"))
    with pytest.raises(ConfigError, match="--group needs MQTT 5"):
        Collector(Broker("mqtt://127.0.0.1", group="centre", protocol="3.1.1"), ledger)
    ledger.close()
