"""Real brokers, as people run them: what the station promises with each, and what of that the broker itself does not give.

`docs/transport.md` has the table that this makes; `build/brokers/table.md` is the newest run's.
"""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from central.intake.collector import Broker, Collector
from central.ledgers.sqlite import SqliteLedger
from kiosk import health
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import mqtt, wire
from kiosk.model import Entry
from kiosk.outbox import Outbox
from kiosk.uplink import Uplink
from tests.brokers.servers import WORK, Mosquitto, MosquittoOf13, Server, servers
from tests.running import Running, delivering, until

ENTRIES = 500
ANSWER_S = 60.0
PROMISES = ("connects", "backlog by receipt", "backlog by PUBACK", "restart under load", "status kept", "last will")
Append = Callable[[int], object]
Tell = Callable[[str, str], None]


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, dict[str, str]]]:
    """What was found; written when all has been tried."""
    found: dict[str, dict[str, str]] = {}
    yield found
    lines = [f"| broker | {' | '.join(PROMISES)} |", "|---" * (len(PROMISES) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(row.get(each, '**no**') for each in PROMISES)} |" for name, row in found.items()]
    text = "\n".join([f"paho-mqtt {version('paho-mqtt')}", "", *lines, ""])
    (WORK / "table.md").write_text(text)
    print(f"\n{text}")  # noqa: T201  the table is what the verb is for


@pytest.fixture(scope="module", params=servers(), ids=lambda kind: kind.__name__)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One broker that runs; it may be killed and started again."""
    with ExitStack() as stack:
        made: Server = request.param(tmp_path_factory.mktemp("broker"), stack)
        made.start()
        yield made


@pytest.fixture
def kiosk_id(request: pytest.FixtureRequest) -> str:
    """A name for each test: what a broker keeps of one is nothing to the next."""
    return f"test-{zlib.crc32(request.node.nodeid.encode())}"


@pytest.fixture
def config(make_config: Callable[..., Config], server: Server, kiosk_id: str) -> Config:
    """A station at this broker."""
    return make_config(
        kiosk={"id": kiosk_id, "site": "office-1"},
        uplink={
            "brokers": [server.url],
            "receipt_timeout_s": 5.0,
            "backoff_max_s": 1.0,
            "batch_entries": 20,
            "keepalive_s": 10,
        },
        status={"every_s": 1.0},
    )


@pytest.fixture
def outbox(config: Config) -> Iterator[Outbox]:
    """Its outbox."""
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as opened:
        yield opened


@pytest.fixture
def told(server: Server, table: dict[str, dict[str, str]]) -> Tell:
    """Says what was found of a promise; one of which nothing was said was not kept."""
    row = table.setdefault(f"{server.name} {server.version}", {})

    def tell(promise: str, what: str) -> None:
        assert promise in PROMISES
        row[promise] = what

    return tell


class Ear:
    """Somebody else at the broker."""

    def __init__(self, server: Server, topic: str) -> None:
        self.heard: list[tuple[bytes, bool]] = []
        self.subscribed = False
        protocol = MQTTv5 if server.protocol == "5" else MQTTv311
        self._client = Client(
            CallbackAPIVersion.VERSION2, f"ear-{uuid4()}", protocol=protocol, reconnect_on_failure=False
        )
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", server.port)

    def __enter__(self) -> Self:
        self.until(lambda: self.subscribed)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop(0)

    def _on_subscribe(self, *_: object) -> None:
        self.subscribed = True

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        self.heard.append((bytes(message.payload), message.retain))

    def until(self, true: Callable[[], bool], longest_s: float = ANSWER_S) -> None:
        """Listen until it is true."""
        deadline_s = time.monotonic() + longest_s
        while not true():
            assert time.monotonic() < deadline_s, self.heard
            self._client.loop(0.05)

    def quiet(self, seconds: float) -> None:
        """Listen that long."""
        until_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > until_s, 2 * seconds)


@pytest.fixture
def append(outbox: Outbox, config: Config, make_entry: Callable[..., Entry]) -> Callable[[int], object]:
    """Somebody comes to the door."""
    return lambda number: outbox.append(replace(make_entry(number), kiosk=config.kiosk.id))


def _centre(config: Config, server: Server, path: Path) -> Running:
    """A centre that has subscribed: where a PUBACK settles, nothing is for one that has not."""
    made: list[Collector] = []

    def collect(stop: Callable[[], bool]) -> None:
        name = f"{config.kiosk.id}-centre"
        with closing(SqliteLedger(path)) as ledger:
            made.append(Collector(Broker(server.url, client_id=name, kiosk=config.kiosk.id), ledger))
            made[0].run(stop)

    running = Running(collect)
    until(lambda: bool(made) and made[0]._subscribed)
    return running


def _count(ledger: Path) -> int:
    with closing(SqliteLedger(ledger)) as opened:
        return sum(1 for _ in opened.entries())


def test_connects(config: Config, server: Server, told: Tell) -> None:
    """By the newest protocol that it speaks, found without being told."""
    assert mqtt.probe(config, server.url, ANSWER_S) == f"speaks MQTT {server.protocol}"
    told("connects", f"MQTT {server.protocol}")


@pytest.mark.parametrize(
    "kind", [("receipt", "backlog by receipt"), ("puback", "backlog by PUBACK")], ids=["receipt", "PUBACK"]
)
def test_backlog_is_delivered(
    config: Config, server: Server, outbox: Outbox, append: Append, told: Tell, tmp_path: Path, kind: tuple[str, str]
) -> None:  # fmt: skip
    """What an outage has gathered is in the centre's ledger, each once, whichever way it is settled."""
    for number in range(ENTRIES):
        append(number)
    settle_on, promise = kind
    uplink = config.uplink.model_copy(update={"settle_on": settle_on})
    ledger = tmp_path / "ledger.db"
    centre = _centre(config, server, ledger)
    station = delivering(config.model_copy(update={"uplink": uplink}))
    try:
        until(lambda: outbox.depth() == 0, outbox.depth)
        until(lambda: _count(ledger) == ENTRIES, lambda: _count(ledger))
    finally:
        station.stop()
        centre.stop()
    _judge(ledger)
    told(promise, "yes")


def test_restart_under_load_loses_nothing(
    config: Config, server: Server, outbox: Outbox, append: Append, told: Tell, tmp_path: Path
) -> None:
    """kill -9 of the broker with entries on their way, and a new one that knows nothing: each is there once, by receipt."""
    ledger = tmp_path / "ledger.db"
    centre, station = _centre(config, server, ledger), delivering(config)
    try:
        for number in range(ENTRIES):
            append(number)
            if number == ENTRIES // 2:
                until(lambda: outbox.settled > 0, outbox.depth)
                server.kill()
        server.start()
        until(lambda: outbox.depth() == 0, outbox.depth, longest_s=180)
    finally:
        station.stop()
        centre.stop()
    _judge(ledger)
    told("restart under load", "yes")


def test_status_is_kept_and_the_last_will_is_said(config: Config, server: Server, outbox: Outbox, told: Tell) -> None:
    """Whoever comes later finds how the station is; and that it went without a word, as soon as the broker sees it."""
    topic = wire.status_topic(config.kiosk.id)
    station = Uplink(config, outbox, SystemClock(config.state.runtime_dir))

    def turned(true: Callable[[], bool]) -> Callable[[], bool]:
        def turn() -> bool:
            station.step()
            return true()

        return turn

    with Ear(server, topic) as first:
        first.until(turned(lambda: bool(first.heard)))
        with Ear(server, topic) as second:
            second.until(turned(lambda: bool(second.heard)))
            assert second.heard[0] == (first.heard[-1][0], True) or second.heard[0][1]
        told("status kept", "yes")
        link = station._link
        assert isinstance(link, mqtt.PahoLink)
        assert link._connection is not None
        link._connection.socket.shutdown(socket.SHUT_RDWR)
        will = health.last_will(config)
        first.until(lambda: any(payload == will for payload, _ in first.heard))
        with Ear(server, topic) as third:
            third.until(lambda: bool(third.heard))
            assert third.heard[0] == (will, True)
    told("last will", "yes")
    station.close()


def _judge(ledger: Path) -> None:
    """Each entry once, without a gap."""
    with closing(SqliteLedger(ledger)) as opened:
        numbers = sorted(int(dict(row.entry.person)["number"]) for row in opened.entries())
        (stream,) = opened.streams()
        assert numbers == list(range(ENTRIES))
        assert (stream.complete, stream.through, opened.doubled()) == (True, ENTRIES, 0)


def test_keep_alive_that_a_broker_wants_is_kept(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """A station with nothing to send stays connected where the broker allows ten seconds of silence, and the station has more in mind."""
    with ExitStack() as stack:
        server = Mosquitto(tmp_path, stack)
        settings = tmp_path / "mosquitto.conf"
        settings.write_text(f"max_keepalive 10\n{settings.read_text()}")
        server.start()
        config = make_config(uplink={"brokers": [server.url], "keepalive_s": 60}, status={"every_s": 600.0})
        station = delivering(config)
        try:
            with Ear(server, wire.status_topic(config.kiosk.id)) as ear:
                ear.until(lambda: bool(ear.heard))
                ear.quiet(25.0)
        finally:
            station.stop()
    assert "exceeded timeout" not in (tmp_path / "log").read_text()


def test_keep_alive_that_cannot_be_told_is_found(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """Over MQTT 3.1.1 mosquitto of Debian 13 refuses the client id where the keep alive is longer than it allows; the station gets in.

    That it stays is not asked: this one throws anybody out at random where `max_keepalive` is set [mosquitto, issue 3226].
    """
    with ExitStack() as stack:
        server = MosquittoOf13(tmp_path, stack)
        settings = tmp_path / "mosquitto.conf"
        settings.write_text(f"max_keepalive 10\n{settings.read_text()}")
        server.start()
        config = make_config(uplink={"brokers": [server.url], "protocol": "3.1.1", "keepalive_s": 60})
        with Ear(server, wire.status_topic(config.kiosk.id)) as ear:
            station = delivering(config)
            try:
                ear.until(lambda: bool(ear.heard))
            finally:
                station.stop()
