"""A network that delays, throttles, cuts in the middle of a packet, swallows and refuses, between kiosk and broker.

Denied publishes, wrong certificates and brokers that keep nothing are in tests/system/test_delivery.py.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from central.sqlite_ledger import SqliteLedger
from kiosk.outbox import Outbox
from tests.fault.door import person_in
from tests.fault.proxy import Proxy
from tests.fault.victims import Victims

LONGEST_S = 120.0


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


@pytest.mark.parametrize("fault", ["delays", "throttles", "cuts mid-packet", "swallows", "refuses"])
def test_network_loses_nothing(
    memory: Path, make_config: Any, broker: Any, proxy: Proxy, make_entry: Any, told: tuple[Any, Any], fault: str
) -> None:  # fmt: skip
    """Whatever the network does to the uplink: when it is well again, everything is in the ledger once."""
    scale, tell = told
    if not scale(fault == "cuts mid-packet", True):
        pytest.skip("in `make test-faults`")
    count = scale(100, 600)
    config = make_config(
        state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")},
        uplink={
            "brokers": [f"mqtt://127.0.0.1:{proxy.port}"], "receipt_timeout_s": 2.0, "backoff_max_s": 1.0,
            "keepalive_s": 5, "batch_entries": 20,
        },
    )  # fmt: skip
    victims = Victims()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        _misbehave(proxy, fault, now=fault != "swallows")
        victims.start("collector", broker=broker.url, ledger=str(memory / "ledger.db"))
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
        f"network {fault}", rounds=max(1, proxy.cuts), greens=count, kept=len(delivered), lost=lost, doubled=doubled,
        where="ledger",
    )  # fmt: skip
    assert (lost, doubled) == (0, 0)
    assert fault != "cuts mid-packet" or proxy.cuts
