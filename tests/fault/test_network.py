"""A network that delays, throttles, cuts in the middle of a packet, swallows and refuses, between kiosk and broker.

Denied publishes, wrong certificates and brokers that keep nothing are in tests/system/test_delivery.py.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, cast

import pytest
from paho.mqtt.client import Client

from central.intake.collector import Broker, Collector
from central.ledgers.sqlite import SqliteLedger
from kiosk import uplink
from kiosk.outbox import Outbox
from tests.fault.door import person_in
from tests.fault.proxy import Proxy
from tests.fault.victims import Victims

LONGEST_S = 120.0
FAULTS = ("delays", "throttles", "cuts mid-packet", "swallows", "refuses")


@pytest.fixture
def proxy(broker: Any) -> Iterator[Proxy]:
    """A network in front of the broker."""
    proxy = Proxy(broker.port)
    yield proxy
    proxy.close()


@pytest.fixture
def told(scale: Any, tell: Any) -> tuple[Any, Any]:
    """Both, for tests with many fixtures."""
    return scale, tell


def _misbehave(proxy: Proxy, fault: str, *, now: bool) -> None:
    match fault:
        case "delays":
            proxy.delay_s = 0.05 if now else 0.0
        case "throttles":
            proxy.bytes_a_second = 20_000 if now else 0
        case "cuts mid-packet":
            proxy.cut_after_bytes = 12_000 if now else 0
        case "swallows":
            proxy.swallows = now
        case _:
            proxy.refuses = now


@pytest.mark.parametrize("whose_fault", list(product(FAULTS, ("uplink", "collector"))), ids="-".join)
def test_network_loses_nothing(
    memory: Path, make_config: Any, broker: Any, proxy: Proxy, make_entry: Any, told: tuple[Any, Any],
    whose_fault: tuple[str, str],
) -> None:  # fmt: skip
    """Whatever the network does to the uplink or to the collector: when it is well again, everything is in the ledger once."""
    scale, tell = told
    fault, whose = whose_fault
    if not scale(fault == "cuts mid-packet", True):
        pytest.skip("in `make test-faults`")
    count = scale(100, 600)
    bad, good = f"mqtt://127.0.0.1:{proxy.port}", broker.url
    uplinks, collectors = (bad, good) if whose == "uplink" else (good, bad)
    config = make_config(
        state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")},
        uplink={
            "brokers": [uplinks], "receipt_timeout_s": 2.0, "backoff_max_s": 1.0,
            "keepalive_s": 5, "batch_entries": 20,
        },
    )  # fmt: skip
    victims = Victims()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        _misbehave(proxy, fault, now=fault != "swallows")
        victims.start("collector", broker=collectors, ledger=str(memory / "ledger.db"))
        victims.start("uplink", config=config.model_dump_json())
        for number in range(count):
            outbox.append(make_entry(number))
        time.sleep(1)
        _misbehave(proxy, fault, now=True)
        time.sleep(scale(2, 10))
        _misbehave(proxy, fault, now=False)
        deadline_s = time.monotonic() + LONGEST_S
        while outbox.depth():
            assert time.monotonic() < deadline_s, f"{outbox.depth()} entries wait for ever"
            time.sleep(0.05)
    victims.close()
    with closing(SqliteLedger(memory / "ledger.db")) as ledger:
        delivered = Counter(person_in(row.entry) for row in ledger.entries())
        (stream,) = ledger.streams()
        assert stream.complete
    lost, doubled = len(set(range(count)) - delivered.keys()), sum(delivered.values()) - len(delivered)
    tell(
        f"network of the {whose} {fault}", rounds=max(1, proxy.cuts), greens=count, kept=len(delivered), lost=lost, doubled=doubled,
        where="ledger",
    )  # fmt: skip
    assert (lost, doubled) == (0, 0)
    assert fault != "cuts mid-packet" or proxy.cuts


class _Forgetful(Collector):
    """Publishes one receipt in two."""

    random = Random(1)
    lost = 0

    @classmethod
    def work(cls, url: str, ledger: Path, stop: Event) -> None:
        """Collect, in a thread of its own."""
        cls.lost = 0
        with closing(SqliteLedger(ledger)) as opened:
            cls(Broker(url), opened).run(stop.is_set)

    def _commit(self, client: Client) -> None:
        super()._commit(cast("Client", _Losing(client)))


class _Losing:
    """Loses what the collector publishes, and acknowledges as it is told."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.ack = client.ack

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        if _Forgetful.random.random() < 0.5:
            _Forgetful.lost += 1
        else:
            self._client.publish(topic, payload, qos)


def test_lost_receipts_are_made_up_for(
    memory: Path, make_config: Any, broker: Any, make_entry: Any, told: tuple[Any, Any]
) -> None:
    """Receipts travel with QoS 0 and may be lost; the next one, or the answer to what is sent again, settles all the same."""
    scale, tell = told
    count = scale(40, 400)
    config = make_config(
        state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")},
        uplink={"brokers": [broker.url], "receipt_timeout_s": 1.0, "batch_entries": 5},
    )
    stop = Event()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        threads = [
            Thread(target=_Forgetful.work, args=(broker.url, memory / "ledger.db", stop), name="collector"),
            Thread(target=uplink.run, args=(config,), kwargs={"stop": stop.is_set}, name="uplink"),
        ]
        for thread in threads:
            thread.start()
        try:
            for number in range(count):
                outbox.append(make_entry(number))
                time.sleep(0.005)
            deadline_s = time.monotonic() + LONGEST_S
            while outbox.depth():
                assert time.monotonic() < deadline_s, f"{outbox.depth()} entries wait for ever"
                time.sleep(0.05)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    with closing(SqliteLedger(memory / "ledger.db")) as ledger:
        delivered = Counter(person_in(row.entry) for row in ledger.entries())
    lost, doubled = len(set(range(count)) - delivered.keys()), sum(delivered.values()) - len(delivered)
    tell(
        "receipts are lost", rounds=_Forgetful.lost, greens=count, kept=len(delivered), lost=lost, doubled=doubled,
        where="ledger",
    )  # fmt: skip
    assert (lost, doubled) == (0, 0)
    assert _Forgetful.lost
