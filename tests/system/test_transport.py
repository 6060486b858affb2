"""Mutual TLS with the broker's files that ship: who comes in, and that everybody stays in his own branch."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from central.__main__ import main as central
from central.fleet import authority
from central.fleet.registry import Fleet
from kiosk.config import Config
from kiosk.delivery import mqtt
from kiosk.delivery.link import Acknowledged, Event, Ready
from kiosk.delivery.routes import routes_of
from kiosk.delivery.wire import encode_batch, encode_entry
from kiosk.errors import LinkError
from kiosk.model import Entry
from tests.running import until

WAIT_S = 10.0


def test_brokers_log_tells_what_matters(fleet_broker: Any) -> None:
    """A message a second, kept each second, is no line a second: what is left is who came, who went, and what is wrong."""
    peer = Peer(fleet_broker, "central-collector")
    station = fleet_broker.identity("door-a")
    assert station
    sender = Peer(fleet_broker, "door-a")
    for number in range(25):
        sender.client.publish("kiosks/door-a/status", f"{number}", 1, retain=True)
        time.sleep(0.1)
    sender.close()
    peer.close()
    log = (fleet_broker._folder / "mosquitto.log").read_text()
    assert "door-a" in log
    assert "Saving in-memory database" not in log
    assert "Error" not in log.partition("New client connected")[2]  # before, somebody saw whether it listens


class Peer:
    """A client at the broker with somebody's certificate, which notes what it is told."""

    def __init__(self, broker: Any, name: str, client_id: str | None = None) -> None:
        files = broker.files(name)
        context = ssl.create_default_context(cafile=files["ca_file"])
        context.load_cert_chain(files["cert_file"], files["key_file"])
        self.got: list[tuple[str, bytes]] = []
        self.refusals: list[str] = []
        self.lost: list[str] = []
        self._acknowledged = 0
        self._subscribed = 0
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id or name, protocol=MQTTv5, reconnect_on_failure=False
        )
        self.client.tls_set_context(context)
        self.client.on_message = lambda _c, _u, message: self.got.append((message.topic, bytes(message.payload)))
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = self._on_subscribe
        self.client.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.append(str(reason))
        self.client.connect("127.0.0.1", broker.port, 30)
        self.client.loop_start()
        until(self.client.is_connected)

    def _on_publish(self, _client: object, _user: object, _mid: int, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            self.refusals.append(str(reason))
        self._acknowledged += 1

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed += 1

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """Send, and wait for the answer."""
        before = self._acknowledged
        self.client.publish(topic, payload, 1, retain=retain)
        until(lambda: self._acknowledged > before or bool(self.lost))
        assert self.lost == []

    def subscribe(self, *topics: str) -> None:
        """Ask for topics, and wait for the answer; the broker may say yes and still deliver nothing."""
        before = self._subscribed
        self.client.subscribe([(topic, 1) for topic in topics])
        until(lambda: self._subscribed > before)

    def close(self) -> None:
        """Say goodbye."""
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def _peers(broker: Any, *names: str) -> Iterator[list[Peer]]:
    peers = [Peer(broker, name) for name in names]
    try:
        yield peers
    finally:
        for peer in peers:
            peer.close()


def _tried(make_config: Callable[..., Config], url: str, tls: dict[str, str]) -> str:
    return mqtt.probe(make_config(uplink={"brokers": [url], "tls": tls}), url, 3.0)


def test_kiosk_writes_only_its_own_branch(fleet_broker: Any) -> None:
    """Entries and status of its own arrive; whatever it says in another's name, or as the centre, is refused by name."""
    for name in ("door-a", "door-b"):
        fleet_broker.identity(name)
    with _peers(fleet_broker, "door-a", "central-collector") as (kiosk, centre):
        centre.subscribe("kiosks/+/entries", "kiosks/+/status")
        kiosk.publish("kiosks/door-a/entries", b"mine")
        kiosk.publish("kiosks/door-a/status", b"well")
        until(lambda: len(centre.got) == 2)
        assert kiosk.refusals == []
        for topic in (
            "kiosks/door-b/entries",
            "kiosks/door-b/status",
            "kiosks/door-b/diagnostics",
            "kiosks/door-a/receipts",
            "kiosks/door-a/commands",
            "kiosks/door-a/keys",
            "fleet/trust",
            "fleet/trust/ff",
            "kiosks/door-a/entries/more",
            "anything",
        ):
            kiosk.refusals.clear()
            kiosk.publish(topic, b"forged")
            assert kiosk.refusals == ["Not authorized"], topic
        kiosk.publish("kiosks/door-a/entries", b"last")
        until(lambda: ("kiosks/door-a/entries", b"last") in centre.got)
        assert b"forged" not in [payload for _, payload in centre.got]


def test_kiosk_hears_only_its_own_branch(fleet_broker: Any) -> None:
    """Receipts and commands for others, others' entries, and what the broker says of itself: it hears none of it."""
    for name in ("door-a", "door-b", "central-operator"):
        fleet_broker.identity(name)
    with _peers(fleet_broker, "door-a", "door-b", "central-collector", "central-operator") as peers:
        spy, other, centre, operator = peers
        spy.subscribe("#", "kiosks/#", "kiosks/+/entries", "kiosks/door-b/receipts", "kiosks/door-b/commands", "$SYS/#")
        other.publish("kiosks/door-b/entries", b"secret")
        other.publish("kiosks/door-b/status", b"secret", retain=True)
        centre.publish("kiosks/door-b/receipts", b"secret")
        operator.publish("kiosks/door-b/commands", b"secret")
        operator.publish("kiosks/door-b/keys", b"secret", retain=True)
        assert [peer.refusals for peer in peers] == [[], [], [], []]
        centre.publish("kiosks/door-a/receipts", b"mine")
        operator.publish("kiosks/door-a/commands", b"mine")
        operator.publish("kiosks/door-a/keys", b"mine")
        other.subscribe("fleet/trust", "fleet/trust/ff")
        for topic in ("fleet/trust", "fleet/trust/ff"):
            operator.publish(topic, b"mine")
        assert operator.refusals == []
        mine = {"receipts", "commands", "keys", "trust", "ff"}
        until(lambda: {topic.rpartition("/")[2] for topic, _ in spy.got} >= mine)
        until(lambda: {topic for topic, _ in other.got} == {"fleet/trust", "fleet/trust/ff"})
        assert {payload for _, payload in spy.got} == {b"mine"}


def test_centre_has_no_more_than_its_tasks(fleet_broker: Any) -> None:
    """The collector cannot command, and the operator cannot read entries."""
    for name in ("door-a", "central-operator"):
        fleet_broker.identity(name)
    with _peers(fleet_broker, "door-a", "central-collector", "central-operator") as (kiosk, centre, operator):
        centre.publish("kiosks/door-a/commands")
        assert centre.refusals == ["Not authorized"]
        operator.subscribe("kiosks/#")
        kiosk.publish("kiosks/door-a/entries", b"secret")
        kiosk.publish("kiosks/door-a/status", b"well")
        kiosk.publish("kiosks/door-a/diagnostics", b"facts")
        until(lambda: len(operator.got) == 2)
        assert set(operator.got) == {("kiosks/door-a/status", b"well"), ("kiosks/door-a/diagnostics", b"facts")}


def test_collectors_share_the_work_over_the_shipped_files(fleet_broker: Any) -> None:
    """Two collectors with certificates of their own, in one group, get each message once between them."""
    for name in ("door-a", "central-collector-2"):
        fleet_broker.identity(name)
    with _peers(fleet_broker, "door-a", "central-collector", "central-collector-2") as (kiosk, first, second):
        for collector in (first, second):
            collector.subscribe("$share/group/kiosks/+/entries")
        for number in range(20):
            kiosk.publish("kiosks/door-a/entries", str(number).encode())
        until(lambda: len(first.got) + len(second.got) >= 20)
        assert sorted(int(payload) for _, payload in first.got + second.got) == list(range(20))
        assert first.got
        assert second.got


def test_station_takes_nothing_of_what_collectors_share(
    fleet_broker: Any, tmp_path: Path, make_entry: Callable[[int], Entry]
) -> None:
    """It may subscribe to any group, which the broker does not judge, but the collectors' has a name that it cannot guess: every message has its receipt."""
    fleet_broker.identity("door-a")
    fleet_broker.identity("bad-1")
    files = fleet_broker.files("central-collector")
    argv = [sys.executable, "-m", "central", "collect", "--group", "centre", "--broker", fleet_broker.url]
    argv += ["--ledger", str(tmp_path / "ledger.db"), "--ca-file", files["ca_file"], "--cert-file", files["cert_file"]]
    with (
        (tmp_path / "log").open("wb") as log,
        _peers(fleet_broker, "door-a", "bad-1") as (kiosk, thief),
        subprocess.Popen([*argv, "--key-file", files["key_file"]], stderr=log) as collector,
    ):
        try:
            until(lambda: b" collecting " in (tmp_path / "log").read_bytes())
            for group in ("centre", "centre-", "", "#", "+"):
                with suppress(AssertionError, ValueError):
                    thief.subscribe(f"$share/{group}/kiosks/+/entries")
            kiosk.subscribe("kiosks/door-a/receipts")
            outbox = uuid4()
            for number in range(1, 21):
                entry = replace(make_entry(number), kiosk="door-a")
                kiosk.publish("kiosks/door-a/entries", encode_batch("door-a", outbox, [(number, encode_entry(entry))]))
                until(lambda number=number: len(kiosk.got) >= number, longest_s=20)  # type: ignore[misc]
            assert json.loads(kiosk.got[-1][1])["through"] == 20
        finally:
            collector.terminate()


def test_one_tool_never_throws_another_out(
    fleet_broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command beside another with the same certificate waits, and says whose place is taken; with one of its own it goes on."""
    for name in ("central-operator", "central-operator-2"):
        fleet_broker.identity(name)
    Fleet(fleet_broker.fleet / "fleet.db").close()

    def listed(name: str) -> int:
        files = fleet_broker.files(name)
        words = [
            "fleet",
            "list",
            "--fleet",
            str(fleet_broker.fleet),
            "--at-broker",
            fleet_broker.url,
            "--ca-file",
            files["ca_file"],
        ]
        return central([*words, "--cert-file", files["cert_file"], "--key-file", files["key_file"]])

    held = tmp_path / "held"
    script = "import fcntl, pathlib, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); pathlib.Path(sys.argv[2]).touch(); time.sleep(60)"
    argv = [sys.executable, "-c", script, fleet_broker.files("central-operator")["cert_file"], str(held)]
    with subprocess.Popen(argv) as other:
        try:
            until(held.exists)
            assert listed("central-operator") == 13
            said = capsys.readouterr().err
            assert "which has one place there" in said
            assert "central ca client central-operator-2" in said
            assert listed("central-operator-2") == 0
        finally:
            other.kill()
    assert [listed("central-operator") for _ in range(3)] == [0, 0, 0]


def test_nobody_takes_anothers_session(fleet_broker: Any) -> None:
    """A kiosk that calls itself by another's client id throws nobody out."""
    for name in ("door-a", "door-b"):
        fleet_broker.identity(name)
    with _peers(fleet_broker, "door-a") as (victim,):
        thief = Peer(fleet_broker, "door-b", client_id="door-a")
        thief.publish("kiosks/door-b/entries")
        victim.publish("kiosks/door-a/entries")
        thief.close()
        assert victim.lost == []
        assert victim.refusals == []


def test_right_certificate_comes_in(make_config: Callable[..., Config], fleet_broker: Any) -> None:
    """The kiosk's own link gets in with a certificate of the authority's."""
    assert _tried(make_config, fleet_broker.url, fleet_broker.identity("test-1")) == "speaks MQTT 5"


def test_another_kiosks_certificate_is_no_help(make_config: Callable[..., Config], fleet_broker: Any) -> None:
    """A configuration that calls the station `test-1` gets nothing settled with the certificate of another one."""
    files = fleet_broker.identity("door-b")
    config = make_config(uplink={"brokers": [fleet_broker.url], "tls": files})
    link = mqtt.open_link(config, routes_of([fleet_broker.url], "5")[0], b"{}")
    deadline_s = time.monotonic() + WAIT_S
    events: list[Event] = []
    mid = 0
    try:
        while not any(isinstance(event, Acknowledged) for event in events) and time.monotonic() < deadline_s:
            events += link.poll(0.1)
            if not mid and any(isinstance(event, Ready) for event in events):
                mid = link.publish("kiosks/test-1/entries", b"forged")
    finally:
        link.close()
    assert isinstance(events[-1], Acknowledged)
    assert (events[-1].mid, events[-1].name) == (mid, "not-allowed")


def test_certificates_that_are_refused(make_config: Callable[..., Config], fleet_broker: Any, tmp_path: Path) -> None:
    """None at all, a foreign authority's, an expired one, a server's used as a client's: no link."""
    foreign = authority.create(tmp_path / "foreign", "another fleet")
    ca = {"ca_file": str(fleet_broker.fleet / "ca.pem")}

    def saved(name: str, pair: tuple[bytes, bytes]) -> dict[str, str]:
        for suffix, content in zip(("pem", "key"), pair, strict=True):
            (tmp_path / f"{name}.{suffix}").write_bytes(content)
        return ca | {"cert_file": str(tmp_path / f"{name}.pem"), "key_file": str(tmp_path / f"{name}.key")}

    expired = saved("expired", fleet_broker.authority.issue_client("test-1", days=-0.01))
    assert _tried(make_config, fleet_broker.url, saved("right", fleet_broker.authority.issue_client("test-1")))
    for tls in (
        ca,
        saved("foreign", foreign.issue_client("test-1")),
        expired,
        saved("server", fleet_broker.authority.issue_server(["test-1"])),
    ):
        with pytest.raises(LinkError):
            _tried(make_config, fleet_broker.url, tls)


def test_revoked_certificate_is_refused(make_config: Callable[..., Config], fleet_broker: Any) -> None:
    """Once the list names it and the broker has read the list again, and no other certificate with it."""
    tls, other = fleet_broker.identity("test-1"), fleet_broker.identity("door-b")
    assert _tried(make_config, fleet_broker.url, tls)
    serial = authority.serial_of(Path(tls["cert_file"]).read_bytes())
    fleet_broker.authority.write_revoked([(serial, int(time.time()))])
    fleet_broker.reload()
    time.sleep(0.5)
    with pytest.raises(LinkError):
        _tried(make_config, fleet_broker.url, tls)
    assert _tried(make_config, fleet_broker.url, other)


def test_centres_own_certificate_is_taken_back(make_config: Callable[..., Config], fleet_broker: Any) -> None:
    """A stolen one of the operator comes in until it is revoked; its successor, of the same name, does after."""
    place = ["--fleet", str(fleet_broker.fleet)]
    for stem in ("stolen", "central-operator"):
        assert central(["ca", "client", "central-operator", *place, "--as", stem]) == 0
    assert _tried(make_config, fleet_broker.url, fleet_broker.files("stolen"))
    serial = authority.serial_of((fleet_broker.fleet / "stolen.pem").read_bytes())
    assert central(["ca", "revoke", f"{serial:x}", *place]) == 0
    fleet_broker.reload()
    time.sleep(0.5)
    with pytest.raises(LinkError):
        _tried(make_config, fleet_broker.url, fleet_broker.files("stolen"))
    assert _tried(make_config, fleet_broker.url, fleet_broker.files("central-operator"))


def test_connection_of_a_revoked_kiosk_is_cut(
    make_config: Callable[..., Config], fleet_broker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A connection outlives its certificate's revocation and the broker's reading of the list; `central fleet cut` ends it.

    While the broker has not read the list the station comes back, and that is told; no other station is disturbed.
    """
    place = ["--fleet", str(fleet_broker.fleet), "--at-broker", fleet_broker.url, "--watch-s", "3"]
    for name in ("door-a", "door-b"):
        fleet_broker.identity(name)
    with Fleet(fleet_broker.fleet / "fleet.db") as registry:
        for name in ("door-a", "door-b"):
            token = registry.invite(name, "office", (("main", "in"),), "b:1", "b:2", 3600)
            registry.claim(token, name.encode())
            pem = Path(fleet_broker.files(name)["cert_file"]).read_bytes()
            registry.issued(
                name, authority.serial_of(pem), name.encode(), int(time.time()) + 86_400, pem, supersedes=True
            )
    assert central(["fleet", "cut", "door-a", *place]) == 21
    assert "would come right back" in capsys.readouterr().err
    with _peers(fleet_broker, "door-a", "door-b") as (thief, other):
        assert central(["fleet", "revoke", "door-a", *place[:2]]) == 0
        assert "central fleet cut door-a" in capsys.readouterr().out
        returned = Thread(target=_return, args=(fleet_broker, thief))
        returned.start()
        assert central(["fleet", "cut", "door-a", *place]) == 1
        returned.join(WAIT_S)
        assert "it came back; the broker has not read the list" in capsys.readouterr().err
    with _peers(fleet_broker, "door-a", "door-b") as (thief, other):
        fleet_broker.reload()
        time.sleep(0.5)
        thief.publish("kiosks/door-a/entries")
        assert thief.refusals == [], "the list cuts no connection that stands"
        assert central(["fleet", "cut", "door-a", *place]) == 0
        until(lambda: bool(thief.lost))
        other.publish("kiosks/door-b/entries")
        assert other.refusals == []
    with pytest.raises(LinkError):
        _tried(make_config, fleet_broker.url, fleet_broker.files("door-a"))


def _return(broker: Any, peer: Peer) -> None:
    """As a station does: come back when it is thrown out."""
    until(lambda: bool(peer.lost))
    Peer(broker, "door-a").close()


def test_kiosk_checks_the_brokers_name_and_authority(
    make_config: Callable[..., Config], fleet_broker: Any, tmp_path: Path
) -> None:
    """The right certificate under another name, and another authority's, are refused by the kiosk before it says a word."""
    authority.create(tmp_path / "foreign", "another fleet")
    tls = fleet_broker.identity("test-1")
    with pytest.raises(LinkError, match=r"Hostname mismatch|certificate verify failed"):
        _tried(make_config, f"mqtts://localhost:{fleet_broker.port}", tls)
    with pytest.raises(LinkError, match="certificate verify failed"):
        _tried(make_config, fleet_broker.url, tls | {"ca_file": str(tmp_path / "foreign" / "ca.pem")})


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_broker_speaks_no_older_tls(fleet_broker: Any, version: str) -> None:
    """A client that would speak TLS 1.1 or 1.2 is refused, with a certificate that TLS 1.3 lets in."""
    files = fleet_broker.identity("test-1")

    def greeted(minimum: ssl.TLSVersion, maximum: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context(cafile=files["ca_file"])
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL refuses by itself, and nothing is tested
        context.minimum_version, context.maximum_version = minimum, maximum
        context.load_cert_chain(files["cert_file"], files["key_file"])
        with (
            socket.create_connection(("127.0.0.1", fleet_broker.port), WAIT_S) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
        ):
            return secured.version()

    assert greeted(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    older = ssl.TLSVersion[version]
    with pytest.raises(ssl.SSLError, match=r"alert protocol version"):
        greeted(older, older)


@pytest.mark.parametrize("least", ["1.3", "1.2"])
def test_kiosk_speaks_older_tls_only_where_it_is_told_to(
    make_config: Callable[..., Config], fleet_broker: Any, least: str
) -> None:
    """A broker that can do no more than TLS 1.2 is refused, unless the configuration says that it may."""
    tls = fleet_broker.identity("test-1") | {"least_version": least}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(str(fleet_broker.fleet / "broker.pem"), str(fleet_broker.fleet / "broker.key"))
    versions: list[str | None] = []

    def greet(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            versions.append(secured.version())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT_S)
        thread = Thread(target=greet, args=(listener,))
        thread.start()
        with pytest.raises(LinkError):
            _tried(make_config, f"mqtts://127.0.0.1:{listener.getsockname()[1]}", tls)
        thread.join(WAIT_S)
    assert versions == (["TLSv1.2"] if least == "1.2" else [])
