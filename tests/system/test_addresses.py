"""A broker's name of which only one address is good: the station and the centre come through by that one, and nobody stands still meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from central.intake.collector import Broker
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import mqtt, session
from kiosk.delivery.session import State
from kiosk.model import Entry
from kiosk.outbox import Outbox
from kiosk.uplink import Uplink
from tests.net import NAME, V4, Address, Net
from tests.running import collecting, until

Make = Callable[..., Entry]
URL = f"mqtt://{NAME}:1883"


@pytest.fixture
def net() -> Iterator[Net]:
    """A net of the test's own."""
    with ExitStack() as stack:
        yield Net(stack)


@pytest.fixture
def config(make_config: Callable[..., Config]) -> Config:
    """A station whose broker has a name."""
    return make_config(uplink={"brokers": [URL], "backoff_max_s": 1.0})


@pytest.fixture
def outbox(config: Config) -> Iterator[Outbox]:
    """Its outbox."""
    opened = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    yield opened
    opened.close()


def _uplink(config: Config, outbox: Outbox) -> Uplink:
    return Uplink(config, outbox, SystemClock(config.state.runtime_dir))


def _turn(uplink: Uplink, true: Callable[[], bool]) -> None:
    """Go round until it is true."""

    def turned() -> bool:
        uplink.step()
        return true()

    until(turned)


def test_entries_come_through_by_the_good_address(
    net: Net,
    broker: Any,
    config: Config,
    outbox: Outbox,
    make_entry: Make,
    judge_ledger: Callable[[str, int], None],
    tmp_path: Path,
) -> None:
    """One address swallows, one refuses, one has no way, one takes connections and never says a word; the last one is the broker's."""
    addresses = [net.hole(), net.refused(), net.unreachable(), ("127.0.0.1", broker.port)]
    net.answers[V4] = lambda: addresses
    for number in range(5):
        outbox.append(make_entry(number))
    ledger = tmp_path / "ledger.db"
    centre = collecting(Broker(URL), ledger)
    uplink = _uplink(config, outbox)
    try:
        _turn(uplink, lambda: outbox.depth() == 0)
    finally:
        uplink.close()
        centre.stop()
    judge_ledger(str(ledger), 5)


def test_address_that_never_says_a_word_is_left_for_the_next_one(
    net: Net, broker: Any, config: Config, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that takes connections and is dead behind them holds nobody: the next attempt goes to another address."""
    monkeypatch.setattr(session, "CONNECT_S", 0.2)
    silent = net.good()
    net.answers[V4] = lambda: [silent]
    uplink = _uplink(config, outbox)
    _turn(uplink, lambda: uplink.session.state is State.CONNECTING)
    _turn(uplink, lambda: uplink.session.state is State.OFFLINE)
    monkeypatch.setattr(session, "CONNECT_S", 60.0)
    net.answers[V4] = lambda: [silent, ("127.0.0.1", broker.port)]
    try:
        _turn(uplink, lambda: uplink.session.state is State.ONLINE)
    finally:
        uplink.close()


def test_slow_resolver_holds_nobody_up(net: Net, broker: Any, config: Config, outbox: Outbox) -> None:
    """While a name is looked up the loop goes round, a stop is obeyed, and the broker's own time to answer has not begun."""
    release, rounds = Event(), 0

    def late() -> list[Address]:
        release.wait(60)
        return [("127.0.0.1", broker.port)]

    net.answers[V4] = late
    stopped = _uplink(config, outbox)
    stopped.step()
    stopped.close()
    uplink = _uplink(config, outbox)
    try:
        for rounds in range(1, 6):
            uplink.step()
            assert uplink.session.state is State.CONNECTING, rounds
        release.set()
        _turn(uplink, lambda: uplink.session.state is State.ONLINE)
    finally:
        uplink.close()


def test_doctor_finds_the_good_address(net: Net, broker: Any, config: Config) -> None:
    """What a technician is told is what the uplink will find."""
    addresses = [net.hole(), ("127.0.0.1", broker.port)]
    net.answers[V4] = lambda: addresses
    assert mqtt.probe(config, URL, 60.0) == "speaks MQTT 5"
