"""What one station can fill of the broker that ships, and who still gets through.

The attacker is paho with a station's own certificate.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from central.intake.collector import Broker, tls_of
from kiosk.config import Config
from kiosk.model import Entry
from kiosk.outbox import Outbox
from tests.running import delivering, until
from tests.system.test_transport import Peer

MIB = 1 << 20
LARGEST = 64 * MIB
ENTRIES = 100_000


def _resident_bytes(broker: Any) -> int:
    status = Path(f"/proc/{broker._process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _stored_bytes(broker: Any) -> int:
    """Of its database, which is written anew each second."""
    sizes = []
    for path in broker._folder.iterdir():
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size if path.suffix in {".db", ".new"} else 0)
    return max(sizes)


def _leave_a_session(broker: Any) -> None:
    """As a collector that was here and is away: the broker keeps for it what comes."""
    ca, cert, key = (Path(path) for path in broker.files("central-collector").values())
    client = Client(CallbackAPIVersion.VERSION2, "central-collector", protocol=MQTTv5, reconnect_on_failure=False)
    client.tls_set_context(tls_of(Broker(broker.url, ca_file=ca, cert_file=cert, key_file=key)))
    lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    lasting.SessionExpiryInterval = 3600
    heard: list[object] = []
    client.on_subscribe = lambda *_: heard.append(1)
    client.connect("127.0.0.1", broker.port, 30, clean_start=False, properties=lasting)
    client.loop_start()
    until(client.is_connected)
    client.subscribe("kiosks/+/entries", 1)
    until(lambda: bool(heard))
    client.disconnect()
    client.loop_stop()


def test_station_that_floods_fills_little(fleet_broker: Any) -> None:
    """Messages as large as there may be, while the collector is away, and all that can be retained: less than 64 MiB of memory and of the disk."""
    _leave_a_session(fleet_broker)
    before = _resident_bytes(fleet_broker)
    fleet_broker.identity("bad-1")
    body = os.urandom(MIB)
    with closing(Peer(fleet_broker, "bad-1")) as bad:
        for topic in ("entries", "status", "diagnostics"):
            bad.publish(f"kiosks/bad-1/{topic}", body, retain=True)
        for _ in range(80):
            bad.publish("kiosks/bad-1/entries", body)
        time.sleep(1.2)  # the database is written once more
        assert 20 * MIB < _resident_bytes(fleet_broker) - before < LARGEST
        assert 20 * MIB < _stored_bytes(fleet_broker) < LARGEST


@pytest.mark.slow
def test_station_that_floods_with_little_fills_little(fleet_broker: Any) -> None:
    """Messages as small as there may be cost more than their bytes; some large ones before."""
    _leave_a_session(fleet_broker)
    before = _resident_bytes(fleet_broker)
    fleet_broker.identity("bad-1")
    with closing(Peer(fleet_broker, "bad-1")) as bad:
        for _ in range(24):
            bad.publish("kiosks/bad-1/entries", os.urandom(MIB))
        for lot in range(24 + 5000, 80_000, 5000):  # a client has 65,535 numbers for what is on its way
            for _ in range(5000):
                bad.client.publish("kiosks/bad-1/entries", b"", 1)
            until(lambda lot=lot: bad._acknowledged >= lot)  # type: ignore[misc]
        assert _resident_bytes(fleet_broker) - before < LARGEST
        assert _stored_bytes(fleet_broker) < LARGEST


@contextmanager
def _collecting(broker: Any, folder: Path) -> Iterator[Path]:
    """`central collect`, as it is started at a centre."""
    files = broker.files("central-collector")
    argv = [sys.executable, "-m", "central", "collect", "--broker", broker.url, "--ledger", str(folder / "ledger.db")]
    for option, name in (("--ca-file", "ca_file"), ("--cert-file", "cert_file"), ("--key-file", "key_file")):
        argv += [option, files[name]]
    with (folder / "collect.log").open("wb") as log:
        process = subprocess.Popen(argv, stderr=log)
        try:
            until(lambda: b" collecting " in (folder / "collect.log").read_bytes())
            yield folder / "ledger.db"
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _flooding(broker: Any, body: bytes) -> Iterator[list[int]]:
    """A station that sends this as fast as the broker takes it; how often it was taken."""
    broker.identity("bad-1")
    bad, over, counts = Peer(broker, "bad-1"), Event(), [0]

    def flood() -> None:
        while not over.is_set():
            bad.publish("kiosks/bad-1/entries", body)
            counts[0] += 1

    thread = Thread(target=flood)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join(60)
        bad.close()


@pytest.mark.slow
def test_backlog_drains_beside_a_flood(
    make_config: Callable[..., Config],
    fleet_broker: Any,
    make_entry: Callable[[int], Entry],
    judge_ledger: Callable[[str, int], None],
    tmp_path: Path,
) -> None:
    """An honest station with 100,000 waiting entries, and one that sends the largest messages as fast as they are taken: all are in the ledger."""
    tls = fleet_broker.identity("test-1")
    config = make_config(uplink={"brokers": [fleet_broker.url], "tls": tls})
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        for number in range(ENTRIES):
            outbox.append(make_entry(number))
        _leave_a_session(fleet_broker)
        with _flooding(fleet_broker, os.urandom(MIB)) as flood:
            until(lambda: flood[0] > 60)  # nothing more finds room
            with _collecting(fleet_broker, tmp_path) as ledger:
                delivery = delivering(config)
                try:
                    until(lambda: outbox.depth() == 0, outbox.depth, longest_s=500)
                finally:
                    delivery.stop()
    judge_ledger(str(ledger), ENTRIES)
