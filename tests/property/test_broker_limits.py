"""What a station delivered while it was live it delivers after any outage: whatever the broker's limits, the backlog and the protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import wire
from kiosk.model import Entry, Sealed
from kiosk.outbox import Outbox
from kiosk.uplink import Uplink
from tests import stub_broker as stub
from tests.stub_broker import CLOSE, SWALLOW, Behaviour, StubBroker

FASTER = 60
"""The uplink's seconds pass so many times as quickly."""
LONGEST_S = 30.0
SEEDS = [pytest.param(seed, marks=() if seed < 6 else pytest.mark.slow) for seed in range(24)]


def _limited(random: Random, least_bytes: int) -> Behaviour:
    """A broker that lets one entry through, and little more."""
    largest = random.randint(least_bytes, 6 * least_bytes)
    announced = {
        name: value
        for name, value in (
            (stub.MAXIMUM_PACKET_SIZE, largest), (stub.RECEIVE_MAXIMUM, random.randint(1, 5)), (stub.RETAIN_AVAILABLE, 0),
            (stub.SERVER_KEEP_ALIVE, 10), (stub.SESSION_EXPIRY, 0), (stub.ALIAS_MAXIMUM, 0),
        )
        if random.random() < 0.5
    }  # fmt: skip
    return Behaviour(
        speaks=random.choice((("5", "3.1.1"), ("5",), ("3.1.1",))),
        otherwise=random.choice((0x84, CLOSE)),
        properties=announced,
        keeps=random.random() < 0.7,
        unkept=random.choice((0x9A, CLOSE)),
        largest_bytes=largest,
        too_large=random.choice((0x95, CLOSE, SWALLOW)),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_backlog_of_any_outage_is_delivered(
    seed: int,
    make_config: Callable[..., Config],
    make_entry: Callable[[int], Entry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One entry at a time while live, a backlog after the outage: each is there, and nothing waits."""
    random = Random(seed)
    hurried = SimpleNamespace(monotonic=lambda: time.monotonic() * FASTER, sleep=lambda s: time.sleep(s / FASTER))
    monkeypatch.setattr("kiosk.uplink.time", hurried)
    monkeypatch.setattr("kiosk.delivery.session.IDLE_S", 0.01)
    least_bytes = len(wire.encode_entry(make_entry(0))) + 300
    live, backlog = random.randint(1, 5), random.randint(20, 150)
    with StubBroker(_limited(random, least_bytes)) as broker:
        config = make_config(
            uplink={
                "brokers": [broker.url], "receipt_timeout_s": 5.0, "backoff_max_s": 2.0,
                "batch_entries": random.choice((10, 50, 200)), "window_batches": random.choice((1, 5, 40)),
                "compress": random.random() < 0.5,
            }
        )  # fmt: skip
        with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
            for number in range(live):
                outbox.append(make_entry(number))
                _until_empty(config, outbox, broker)
            for number in range(backlog):
                outbox.append(make_entry(live + number))
            _until_empty(config, outbox, broker)
    assert broker.count == live + backlog


@pytest.mark.parametrize("seed", SEEDS)
def test_entry_that_is_too_large_blocks_nobody(
    seed: int,
    make_config: Callable[..., Config],
    make_entry: Callable[[int], Entry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those behind it are delivered and settled; it is told, kept past its time, and delivered once a broker takes it."""
    random = Random(f"large/{seed}")
    hurried = SimpleNamespace(monotonic=lambda: time.monotonic() * FASTER, sleep=lambda s: time.sleep(s / FASTER))
    monkeypatch.setattr("kiosk.uplink.time", hurried)
    monkeypatch.setattr("kiosk.delivery.session.IDLE_S", 0.01)
    least_bytes = len(wire.encode_entry(make_entry(0))) + 300
    behaviour = replace(_limited(random, least_bytes), largest_bytes=2 * least_bytes)
    if stub.MAXIMUM_PACKET_SIZE in behaviour.properties:
        behaviour = replace(behaviour, properties={**behaviour.properties, stub.MAXIMUM_PACKET_SIZE: 2 * least_bytes})
    count = random.randint(3, 30)
    large = set(random.sample(range(1, count + 1), random.randint(1, 2)))
    settings = {"receipt_timeout_s": 5.0, "backoff_max_s": 2.0, "compress": random.random() < 0.5}
    with StubBroker(behaviour) as broker:
        config = make_config(uplink={"brokers": [broker.url], **settings})
        with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
            for number in range(1, count + 1):
                entry = make_entry(number)
                box = Sealed("5be1c6f0a37d9248", "x25519", random.randbytes(3000))
                outbox.append(replace(entry, person=(), sealed=(box,)) if number in large else entry)
            _until_empty(config, outbox, broker)
            assert set(*broker.delivered.values()) == {*range(1, count + 1)} - large
            assert broker.noticed == {seq for seq, _ in outbox.oversized()} == large
            later = SystemClock(config.state.runtime_dir).now()
            outbox.sweep(replace(later, wall_ns=later.wall_ns + 10 * 86_400 * 10**9))
            assert [seq for seq, _ in outbox.head(0, 100)] == sorted(large)
            assert outbox.oldest_seq == count + 1
            assert "entries-oversized" in json.loads(health.status_message(config, outbox, later, "online"))["warnings"]
            broker.behaviour = Behaviour()
            _until(config, outbox, broker, lambda: not outbox.oversized())
            outbox.sweep(replace(later, wall_ns=later.wall_ns + 20 * 86_400 * 10**9))
            assert not outbox.head(0, 100)
    assert broker.count == count


@pytest.mark.parametrize("settle_on", ["receipt", "puback"])
@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(properties={stub.MAXIMUM_PACKET_SIZE: 1500}, largest_bytes=1500),
        Behaviour(largest_bytes=1500),
        Behaviour(largest_bytes=1500, too_large=0x95),
    ],
    ids=["announced", "hangs up", "says so"],
)
def test_entry_that_is_too_large_to_be_sent_again_blocks_nobody(
    behaviour: Behaviour,
    settle_on: str,
    make_config: Callable[..., Config],
    make_entry: Callable[[int], Entry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of those that somebody wants once more, the others come; so do new ones, for all of which no notice goes; it comes when it can."""
    hurried = SimpleNamespace(monotonic=lambda: time.monotonic() * FASTER, sleep=lambda s: time.sleep(s / FASTER))
    monkeypatch.setattr("kiosk.uplink.time", hurried)
    monkeypatch.setattr("kiosk.delivery.session.IDLE_S", 0.01)
    settings = {"receipt_timeout_s": 5.0, "backoff_max_s": 2.0, "batch_entries": 20, "settle_on": settle_on}
    with StubBroker(Behaviour()) as broker:
        config = make_config(uplink={"brokers": [broker.url], **settings})
        with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
            for number in range(1, 11):
                entry = make_entry(number)
                box = Sealed("5be1c6f0a37d9248", "x25519", Random(5).randbytes(3000))
                outbox.append(replace(entry, person=(), sealed=(box,)) if number == 5 else entry)
            _until_empty(config, outbox, broker)
            unheard = (
                {"receipts": 0x87} if settle_on == "puback" else {}
            )  # a receipt would say that the centre has them all
            broker.behaviour = replace(behaviour, subacks=unheard)
            broker.heard.clear()
            assert outbox.resend(1, None) == range(1, 11)
            for number in range(11, 15):
                outbox.append(make_entry(number))
            _until(config, outbox, broker, lambda: not outbox.depth() and outbox.wanted() is None)
            assert [seq for seq, _ in outbox.oversized()] == [5]
            assert {*broker.heard} == {*range(1, 15)} - {5}
            assert not broker.noticed
            assert broker.connections < 20
            broker.behaviour = Behaviour()
            _until(config, outbox, broker, lambda: not outbox.oversized())
    assert broker.heard.count(5) == 1


def _until_empty(config: Config, outbox: Outbox, broker: StubBroker) -> None:
    _until(config, outbox, broker, lambda: not outbox.depth())


def _until(config: Config, outbox: Outbox, broker: StubBroker, done: Callable[[], bool]) -> None:
    uplink = Uplink(config, outbox, SystemClock(config.state.runtime_dir))
    deadline_s = time.monotonic() + LONGEST_S
    try:
        while not done():
            uplink.step()
            assert time.monotonic() < deadline_s, f"{outbox.depth()} wait; {broker.behaviour}"
    finally:
        uplink.close()
