"""Three RabbitMQ nodes as the broker: kiosks over MQTT, collectors over AMQP, and a node that is killed under load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.postgres import Postgres
from bench.rabbit import RabbitCluster
from kiosk.config import Config
from kiosk.model import Entry
from kiosk.outbox import Outbox
from tests.running import delivering, until

ENTRIES = 3000
Make = Callable[[int], Entry]


@pytest.fixture
def cluster() -> Iterator[RabbitCluster]:
    """The three nodes."""
    with ExitStack() as stack:
        yield RabbitCluster(stack)


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


@pytest.mark.parametrize("victim", [0, 1], ids=["the kiosk's node", "a collector's node"])
def test_node_that_is_killed_under_load_loses_and_doubles_nothing(
    cluster: RabbitCluster,
    postgres: Postgres,
    make_config: Callable[..., Config],
    make_entry: Make,
    judge_ledger: Callable[[str, int], None],
    tmp_path: Path,
    victim: int,
) -> None:
    """A node that the kiosk or a collector is connected to dies by kill -9, and later a collector; the node stays dead."""
    place = postgres.database()
    log = tmp_path / "collectors.log"
    with ExitStack() as stack:

        def collect(first: int) -> subprocess.Popen[bytes]:
            urls = ",".join(cluster.nodes[(first + step) % 3].amqp_url for step in range(3))
            argv = [sys.executable, "-m", "central", "collect", "--broker", urls, "--ledger", place]
            process = subprocess.Popen(argv, stderr=stack.enter_context(log.open("ab")))
            stack.callback(_ended, process)
            return process

        collect(1)
        other = collect(2)
        until(lambda: log.read_text().count(" collecting ") == 2, longest_s=180)
        urls = [node.mqtt_url for node in cluster.nodes]
        config = make_config(
            uplink={"brokers": urls, "receipt_timeout_s": 3.0, "backoff_max_s": 2.0, "batch_entries": 10}
        )
        outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
        delivery = delivering(config)
        try:
            for number in range(ENTRIES):
                outbox.append(make_entry(number))
                if number == ENTRIES // 3:
                    until(lambda: outbox.settled > 0, longest_s=180)
                    cluster.nodes[victim].kill()
                elif number == 2 * ENTRIES // 3:
                    other.kill()
                    other.wait(10)
                    collect(0)
            until(lambda: outbox.depth() == 0, longest_s=180)
        finally:
            delivery.stop()
            outbox.close()
    judge_ledger(place, ENTRIES)
