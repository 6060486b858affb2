"""From the outbox to the ledger over a real broker, with everything in between killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from central.intake.collector import Broker
from central.ledgers.sqlite import SqliteLedger
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import mqtt, wire
from kiosk.demo import broker as demo_broker
from kiosk.errors import LinkError
from kiosk.model import ClockQuality, Entry, Moment
from kiosk.outbox import Outbox
from kiosk.process.supervise import Supervisor
from tests.running import collecting, delivering, until

Make = Callable[[int], Entry]


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    """Where the centre's ledger is."""
    return tmp_path / "ledger.db"


@pytest.fixture
def config(make_config: Callable[..., Config], broker: Any) -> Config:
    """A kiosk that knows the broker and is impatient."""
    return make_config(**_impatient(broker.url))


def _impatient(url: str, **changes: object) -> dict[str, object]:
    settings = {"brokers": [url], "receipt_timeout_s": 2.0, "backoff_max_s": 1.0, "keepalive_s": 5, "batch_entries": 10}
    return {"uplink": settings | changes, "status": {"every_s": 1.0}}


@pytest.fixture
def outbox(config: Config) -> Iterator[Outbox]:
    """The kiosk's outbox, as the scan process holds it."""
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    yield outbox
    outbox.close()


def _written(config: Config, tmp_path: Path) -> Path:
    path = tmp_path / "kiosk.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.model_dump_json())), "utf-8")
    return path


def _process(config: Config, tmp_path: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "kiosk", "uplink", "--config", str(_written(config, tmp_path))]
    return subprocess.Popen(argv, stderr=subprocess.DEVNULL)


def _fill(outbox: Outbox, make_entry: Make, first: int, last: int) -> None:
    for number in range(first, last):
        outbox.append(make_entry(number))


def _judge(path: Path, count: int) -> None:
    """Every number once, and the proof of it."""
    ledger = SqliteLedger(path)
    numbers = sorted(int(dict(row.entry.person)["number"]) for row in ledger.entries())
    (stream,) = ledger.streams()
    ledger.close()
    assert numbers == list(range(count))
    assert stream.complete
    assert stream.through == count


def test_every_entry_arrives_once(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path
) -> None:
    """A backlog and what is added while it drains are in the ledger once, and the outbox is settled."""
    _fill(outbox, make_entry, 0, 300)
    centre = collecting(Broker(broker.url), ledger_path)
    running = delivering(config)
    try:
        _fill(outbox, make_entry, 300, 400)
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    _judge(ledger_path, 400)


def test_broker_that_is_killed_loses_nothing(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path
) -> None:
    """kill -9 of a broker that keeps nothing, three times, in the middle of a drain."""
    centre = collecting(Broker(broker.url), ledger_path)
    running = delivering(config)
    try:
        for round_ in range(3):
            _fill(outbox, make_entry, round_ * 200, round_ * 200 + 200)
            settled = outbox.settled
            until(lambda settled=settled: outbox.settled > settled)  # type: ignore[misc]
            broker.kill()
            time.sleep(0.3)
            broker.start()
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    _judge(ledger_path, 600)


def test_uplink_that_is_killed_loses_nothing(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path, tmp_path: Path
) -> None:
    """SIGKILL of the uplink's process at any moment; the next one goes on behind the last receipt."""
    centre = collecting(Broker(broker.url), ledger_path)
    try:
        for round_ in range(4):
            _fill(outbox, make_entry, round_ * 250, round_ * 250 + 250)
            process = _process(config, tmp_path)
            settled = outbox.settled
            until(lambda settled=settled: outbox.settled > settled)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL if round_ < 3 else 0)
            if round_ < 3:
                process.wait(10)
        until(lambda: outbox.depth() == 0)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        centre.stop()
    _judge(ledger_path, 1000)


def test_centre_that_comes_late_gets_everything(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path
) -> None:
    """PUBACKs alone settle nothing; when the collector comes, everything arrives."""
    _fill(outbox, make_entry, 0, 100)
    running = delivering(config)
    time.sleep(1.5)
    assert outbox.settled == 0
    centre = collecting(Broker(broker.url), ledger_path)
    try:
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    _judge(ledger_path, 100)


def test_row_that_rotted_does_not_block_the_rest(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path
) -> None:
    """It is set aside by the centre under its number, and everything behind it arrives."""
    _fill(outbox, make_entry, 0, 30)
    outbox._file.live().execute("UPDATE entry SET body = x'ff00' WHERE seq = 7")
    outbox._file.live().execute("""UPDATE entry SET body = '{"id": 5}' WHERE seq = 12""")
    centre = collecting(Broker(broker.url), ledger_path)
    running = delivering(config)
    try:
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    ledger = SqliteLedger(ledger_path)
    (stream,) = ledger.streams()
    assert (ledger.count(), stream.through, stream.aside) == (28, 30, 2)
    ledger.close()


def test_poison_on_the_broker_does_not_stop_the_collector(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path
) -> None:
    """Garbage, other kiosks' names and huge messages are set aside, and entries go on arriving."""
    centre = collecting(Broker(broker.url), ledger_path)
    stranger = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    stranger.connect("127.0.0.1", broker.port)
    stranger.loop_start()
    entry = wire.encode_entry(make_entry(1))
    for payload in (b"", b"\xff", b"[]", wire.encode_batch("somebody-else", outbox.id, [(1, entry)])):
        stranger.publish("kiosks/test-1/entries", payload, 1).wait_for_publish(5)
    stranger.disconnect()
    stranger.loop_stop()
    _fill(outbox, make_entry, 0, 20)
    running = delivering(config)
    try:
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    _judge(ledger_path, 20)


def test_puback_settles_without_a_centre(
    make_config: Callable[..., Config], broker: Any, outbox: Outbox, make_entry: Make
) -> None:
    """With `settle_on: puback` the broker's word is enough, and batches arrive in order."""
    received: list[int] = []
    listener = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    listener.on_message = lambda _c, _u, message: received.extend(
        row[0] for row in wire.decode_batch(bytes(message.payload)).rows if isinstance(row, tuple)
    )
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe("kiosks/+/entries", 1)
    listener.loop_start()
    _fill(outbox, make_entry, 0, 100)
    running = delivering(make_config(**_impatient(broker.url, settle_on="puback")))
    try:
        until(lambda: outbox.depth() == 0 and len(received) >= 100)
    finally:
        running.stop()
        listener.disconnect()
        listener.loop_stop()
    assert received == list(range(1, 101))


def test_broker_that_speaks_only_the_older_protocol(
    make_config: Callable[..., Config],
    make_entry: Make,
    ledger_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both sides fall back to MQTT 3.1.1 by themselves; amqtt, the demo's second broker, speaks nothing else."""
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    own = demo_broker.own_broker(tmp_path)
    url = own.url
    assert (own.child.name, own.protocol) == ("amqtt", "3.1.1")
    own.child.output = tmp_path / "amqtt.log"
    supervisor = Supervisor([own.child])
    supervisor.tend()
    config = make_config(**_impatient(url))
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    _fill(outbox, make_entry, 0, 60)
    centre = collecting(Broker(url), ledger_path)
    running = delivering(config)
    try:
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
        supervisor.stop()
        outbox.close()
    _judge(ledger_path, 60)


def test_publish_that_is_denied_settles_nothing(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An ACL that refuses the kiosk's branch is said in the log, and the entries wait."""
    broker.kill()
    (tmp_path / "acl").write_text("topic read #\ntopic write kiosks/test-1/status\n")
    broker.extra = f"acl_file {tmp_path / 'acl'}"
    broker.start()
    _fill(outbox, make_entry, 0, 5)
    caplog.set_level("INFO")
    running = delivering(config)
    try:
        until(lambda: "the broker does not allow that to this kiosk" in caplog.text)
    finally:
        running.stop()
    assert outbox.depth() == 5


def test_restored_card_does_not_lose_new_entries(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path
) -> None:
    """A card put back from an old copy counts numbers again that the centre knows: a new file is begun instead."""
    _fill(outbox, make_entry, 0, 40)
    centre = collecting(Broker(broker.url), ledger_path)
    running = delivering(config)
    until(lambda: outbox.depth() == 0)
    running.stop()
    connection = outbox._file.live()
    connection.execute("DELETE FROM entry WHERE seq > 20")
    connection.execute("UPDATE outbox SET settled = 20")
    _fill(outbox, make_entry, 40, 50)
    running = delivering(config)
    try:
        until(lambda: outbox.quarantined() != [] and outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    ledger = SqliteLedger(ledger_path)
    numbers = sorted(int(dict(row.entry.person)["number"]) for row in ledger.entries())
    ledger.close()
    assert numbers == list(range(50))


def test_ledger_restored_from_a_copy_is_filled_again(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, tmp_path: Path
) -> None:
    """What the kiosk still holds comes again by itself; the audit names what it no longer holds."""
    _fill(outbox, make_entry, 0, 60)
    centre = collecting(Broker(broker.url), tmp_path / "first.db")
    running = delivering(config)
    try:
        until(lambda: outbox.depth() == 0)
        centre.stop()
        outbox._file.live().execute("DELETE FROM entry WHERE seq <= 20")  # as the sweeper does after a day
        centre = collecting(Broker(broker.url), tmp_path / "second.db")
        _fill(outbox, make_entry, 60, 65)
        until(lambda: outbox.depth() == 0)
        until(lambda: _through(tmp_path / "second.db") == 65)
    finally:
        running.stop()
        centre.stop()
    ledger = SqliteLedger(tmp_path / "second.db")
    (stream,) = ledger.streams()
    assert (ledger.count(), stream.gaps, ledger.doubled()) == (45, ((1, 20),), 0)
    ledger.close()


def _through(path: Path) -> int:
    ledger = SqliteLedger(path)
    try:
        return sum(stream.through for stream in ledger.streams())
    finally:
        ledger.close()


def test_time_is_corrected_before_sending(
    config: Config, broker: Any, outbox: Outbox, make_entry: Make, ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of this boot that was made before the clock was set arrives with the right time."""
    now = SystemClock().now()
    early = Moment(1_000_000, now.boot_id, now.boot_ns - 60_000_000_000, ClockQuality.UNSET)
    outbox.append(replace(make_entry(0), at=early))
    outbox.append(replace(make_entry(1), at=replace(early, boot_id="another boot")))
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.SYNCED)
    centre = collecting(Broker(broker.url), ledger_path)
    running = delivering(config)
    try:
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
    ledger = SqliteLedger(ledger_path)
    other_boot, corrected = [row.entry.at for row in ledger.entries()]
    ledger.close()
    assert other_boot.quality is ClockQuality.UNSET
    assert corrected.quality is ClockQuality.SYNCED
    assert abs(corrected.wall_ns - (now.wall_ns - 60_000_000_000)) < 5_000_000_000


class Listener:
    """Somebody who reads the retained status."""

    def __init__(self, port: int) -> None:
        self.states: list[dict[str, Any]] = []
        self.retained: list[bool] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("kiosks/+/status", 1)
        self._client.loop_start()

    def _on_message(self, _client: object, _user: object, message: Any) -> None:
        self.retained.append(message.retain)
        self.states.append(json.loads(message.payload))

    def last(self) -> str:
        return str(self.states[-1]["state"]) if self.states else ""

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_status_is_retained_and_the_last_will_speaks(config: Config, broker: Any, tmp_path: Path) -> None:
    """Online while it runs, lost when it is killed, stopped when it is asked to end; a late reader sees the last."""
    listener = Listener(broker.port)
    process = _process(config, tmp_path)
    until(lambda: listener.last() == "online")
    assert listener.states[-1]["outbox"]["waiting"] == 0
    late = Listener(broker.port)
    until(lambda: late.last() == "online")
    assert late.retained[0]
    process.kill()
    process.wait(10)
    until(lambda: listener.last() == "lost")
    process = _process(config, tmp_path)
    until(lambda: listener.last() == "online")
    process.terminate()
    assert process.wait(10) == 0
    until(lambda: listener.last() == "stopped")
    time.sleep(0.3)
    assert listener.last() == "stopped", "no Last Will after a goodbye"
    listener.close()
    late.close()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate authority, a broker's and a kiosk's certificate, made now."""
    folder = tmp_path / "tls"
    folder.mkdir()
    ours, foreign = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "ca.pem"))
    foreign.cert_pem.write_to_path(str(folder / "foreign-ca.pem"))
    for name, authority, host in (
        ("broker", ours, "127.0.0.1"), ("kiosk", ours, "test-1"), ("stranger", foreign, "test-1"),
    ):  # fmt: skip
        certificate = authority.issue_cert(host)
        certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    return folder


@pytest.fixture
def tls_broker(broker: Any, authority: Path) -> Any:
    """A broker that asks for certificates."""
    broker.kill()
    broker.extra = (
        f"cafile {authority}/ca.pem\ncertfile {authority}/broker.pem\nkeyfile {authority}/broker.key\n"
        "require_certificate true\ntls_version tlsv1.3"
    )
    broker.start()
    return broker


def test_entries_travel_over_mutual_tls(
    make_config: Callable[..., Config], tls_broker: Any, authority: Path, make_entry: Make, ledger_path: Path
) -> None:
    """With certificates on both sides everything arrives."""
    url = tls_broker.url.replace("mqtt:", "mqtts:")
    files = {
        f"{kind}_file": authority / name
        for kind, name in (("ca", "ca.pem"), ("cert", "kiosk.pem"), ("key", "kiosk.key"))
    }
    config = make_config(**_impatient(url, tls={name: str(path) for name, path in files.items()}))
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    _fill(outbox, make_entry, 0, 20)
    centre = collecting(
        Broker(url, ca_file=files["ca_file"], cert_file=files["cert_file"], key_file=files["key_file"]), ledger_path
    )
    running = delivering(config)
    try:
        until(lambda: outbox.depth() == 0)
    finally:
        running.stop()
        centre.stop()
        outbox.close()
    _judge(ledger_path, 20)
    assert mqtt.probe(config, url, 5.0) == "speaks MQTT 5"


@pytest.mark.parametrize(
    ("ca", "certificate", "host"),
    [
        ("foreign-ca.pem", "kiosk", "127.0.0.1"),
        ("ca.pem", "stranger", "127.0.0.1"),
        ("ca.pem", None, "127.0.0.1"),
        ("ca.pem", "kiosk", "localhost"),
    ],
)
def test_wrong_certificate_goes_nowhere(
    make_config: Callable[..., Config], tls_broker: Any, authority: Path, ca: str, certificate: str | None, host: str
) -> None:
    """A foreign authority, a foreign kiosk, none at all, another server's name: no link."""
    url = f"mqtts://{host}:{tls_broker.port}"
    tls = {"ca_file": str(authority / ca)}
    if certificate is not None:
        tls |= {"cert_file": str(authority / f"{certificate}.pem"), "key_file": str(authority / f"{certificate}.key")}
    with pytest.raises(LinkError):
        mqtt.probe(make_config(**_impatient(url, tls=tls)), url, 3.0)


def test_certificate_of_a_later_day_waits_for_the_clock(
    make_config: Callable[..., Config], broker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by default; let in where that is configured, while the clock is unset, and never another's certificate."""
    ours = trustme.CA()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    certificate = ours.issue_cert("127.0.0.1", not_before=tomorrow, not_after=tomorrow + timedelta(days=9))
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "foreign-ca.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "broker.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "broker.pem"))
    broker.kill()
    broker.extra = f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key"
    broker.start()
    url = broker.url.replace("mqtt:", "mqtts:")

    def tried(ca: str, rule: str) -> str:
        tls = {"ca_file": str(tmp_path / ca), "while_clock_unset": rule}
        return mqtt.probe(make_config(**_impatient(url, tls=tls)), url, 3.0)

    with pytest.raises(LinkError, match="not yet valid"):
        tried("ca.pem", "ignore-dates")
    monkeypatch.setattr(SystemClock, "_quality", lambda _self, _wall_ns: ClockQuality.UNSET)
    assert tried("ca.pem", "ignore-dates") == "speaks MQTT 5"
    with pytest.raises(LinkError, match="not yet valid"):
        tried("ca.pem", "refuse")
    with pytest.raises(LinkError, match="certificate verify failed"):
        tried("foreign-ca.pem", "ignore-dates")


def test_password_opens_the_door(make_config: Callable[..., Config], broker: Any, tmp_path: Path) -> None:
    """A right password is let in, a wrong one is refused in the broker's words, a missing file is named."""
    broker.kill()
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(tmp_path / "users"), "test-1", "sesame"], check=True, timeout=10
    )
    broker.extra = f"password_file {tmp_path / 'users'}\nallow_anonymous false"
    broker.start()
    (tmp_path / "password").write_text("sesame\n")
    known = {"username": "test-1", "password_file": str(tmp_path / "password")}
    config = make_config(**_impatient(broker.url, **known))
    assert mqtt.probe(config, broker.url, 5.0) == "speaks MQTT 5"
    (tmp_path / "password").write_text("open\n")
    with pytest.raises(
        LinkError, match=r"does not let this kiosk in: the broker (knows no such user|does not allow that)"
    ):
        mqtt.probe(config, broker.url, 5.0)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("limit", ["max_packet_size 2000", "message_size_limit 2000"])
def test_backlog_drains_below_a_brokers_limit(
    make_config: Callable[..., Config],
    make_entry: Callable[..., Entry],
    broker: Any,
    tmp_path: Path,
    judge_ledger: Callable[[str, int], None],
    protocol: str,
    limit: str,
) -> None:
    """A broker that hangs up on large messages, or drops them, gets smaller ones: what was gathered in an outage is delivered."""
    broker.kill()
    broker.extra = limit
    broker.start()
    config = make_config(
        uplink={
            "brokers": [broker.url], "protocol": protocol, "compress": False, "batch_entries": 100, "backoff_max_s": 1.0,
            "receipt_timeout_s": 1.0,
        }
    )  # fmt: skip
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    for number in range(40):
        outbox.append(make_entry(number))
    ledger = str(tmp_path / "ledger.db")
    centre = collecting(Broker(broker.url), Path(ledger))
    running = delivering(config)
    until(lambda: outbox.depth() == 0, longest_s=60)
    running.stop()
    centre.stop()
    outbox.close()
    judge_ledger(ledger, 40)


def test_broker_that_is_not_there_is_named(make_config: Callable[..., Config], broker: Any) -> None:
    """The address and the reason, and no waiting."""
    broker.kill()
    with pytest.raises(
        LinkError,
        match=rf"cannot connect to {broker.url}: nobody listens at the broker's port .*; see that the broker runs",
    ):
        mqtt.probe(make_config(**_impatient(broker.url)), broker.url, 5.0)


def test_half_open_connection_is_noticed(config: Config, broker: Any, outbox: Outbox, make_entry: Make) -> None:
    """A broker that stops answering without closing is left after one and a half keep-alive times."""
    running = delivering(config)
    marks = config.state.runtime_dir / "uplink.json"

    def state() -> str:
        with suppress(OSError, ValueError):
            return str(json.loads(marks.read_text())["state"])
        return ""

    until(lambda: state() == "online")
    broker._process.send_signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    try:
        _fill(outbox, make_entry, 0, 3)
        until(lambda: state() != "online")
        assert time.monotonic() - stopped_s < 3 * config.uplink.keepalive_s
    finally:
        broker._process.send_signal(signal.SIGCONT)
        running.stop()
