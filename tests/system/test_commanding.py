"""The centre commands a real station over a real broker; strangers do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from central.__main__ import main as central
from central.fleet import dispatch
from central.keys import signing_key
from kiosk.config import Config
from kiosk.envelopes import cose, remote
from kiosk.envelopes.remote import Command, Verb
from kiosk.orders.executor import REBOOT_FILE
from kiosk.outbox import Outbox
from tests.running import until


class Broker:
    """Whoever holds the broker: sees everything, can say anything."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, "attacker")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", 1)
        self._client.loop_start()

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def statuses(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for topic, payload in list(self.heard) if topic.endswith("/status")]

    def of(self, end: str) -> list[bytes]:
        return [payload for topic, payload in list(self.heard) if topic.endswith(end)]


class Station:
    """`kiosk run` with a simulated camera, a panel that prints, and the fleet's key."""

    def __init__(self, config: Config, folder: Path, url: str) -> None:
        self.config = config
        self.folder = folder
        self.url = url
        self.key = folder / "fleet.key"
        signing_key.make(self.key, self.key.with_name(f"{self.key.name}.pub"))
        self.write()
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, site: str = "office-1") -> None:
        values = json.loads(self.config.model_dump_json())
        values["kiosk"]["site"] = site
        values["trust"] = {"fleet_key_file": str(self.folder / "fleet.key.pub")}
        (self.folder / "kiosk.yaml").write_text(yaml.safe_dump(values), "utf-8")

    def start(self, verb: str = "run") -> None:
        argv = [sys.executable, "-u", "-m", "kiosk", verb, "--config", str(self.folder / "kiosk.yaml")]
        with (self.folder / "station.log").open("ab") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)

    @property
    def said(self) -> str:
        return (self.folder / "station.log").read_text("utf-8")

    def command(self, *words: str) -> int:
        options = ["--kiosk", "test-1", "--fleet-key", str(self.key), "--broker", self.url, "--timeout-s", "25"]
        return central(["command", *words, *options, "--journal", str(self.folder / "commands.jsonl")])


@pytest.fixture
def everyone(broker: Any) -> Iterator[Broker]:
    """Somebody who holds the broker."""
    attacker = Broker(broker.port)
    yield attacker
    attacker.close()


@pytest.fixture
def station(make_config: Callable[..., Config], broker: Any, tmp_path: Path) -> Iterator[Station]:
    """A station that is configured and not started."""
    camera = {"source": "sim:seed=1,people=5000", "width_px": 640, "height_px": 480, "fps": 5}
    config = make_config(
        lanes=[{"panel": {"kind": "terminal"}, "camera": camera}],
        uplink={"brokers": [broker.url], "backoff_max_s": 1.0, "keepalive_s": 5},
        status={"every_s": 600.0},
    )
    station = Station(config, tmp_path, broker.url)
    yield station
    station.stop()


def _online(station: Station, everyone: Broker, verb: str = "run") -> None:
    before = len(everyone.statuses())
    station.start(verb)
    until(lambda: any(each["state"] == "online" for each in everyone.statuses()[before:]), lambda: station.said)


def test_each_command_does_its_thing(station: Station, everyone: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb on one running station: light, sound, disk, restart, and the station's own word that it is done."""
    _online(station, everyone)
    marks = station.config.state.runtime_dir / "scan-main.json"
    until(marks.exists, lambda: station.said)

    assert station.command("identify") == 0
    until(
        lambda: "panel: identify" in station.said, lambda: station.said
    )  # a receipt that shines is shown whole before it
    assert station.command("self-test") == 0
    until(lambda: "panel: self-test" in station.said, lambda: station.said)
    assert station.command("volume", "15") == 0
    assert json.loads((station.config.state.dir / "volume.json").read_text()) == {"volume_percent": 15}
    assert station.command("volume", "configured") == 0
    assert not (station.config.state.dir / "volume.json").exists()

    outbox = Outbox.open_existing(station.config.state.dir / "outbox.db", station.config.outbox)
    try:
        until(lambda: outbox.last_seq >= 1, lambda: station.said)
        outbox.settle(1)
        assert station.command("resend", "1..1") == 0
        assert outbox.settled == 1
    finally:
        outbox.close()

    capsys.readouterr()
    assert station.command("diagnostics") == 0
    answer = capsys.readouterr().out
    told = json.loads(answer[answer.index("{") :])
    assert told["status"]["kiosk"] == "test-1"
    assert any("online" in each for each in told["log"])
    (letter,) = everyone.of("/diagnostics")
    assert zstandard.frame_content_size(letter) < dispatch.LARGEST_LETTER_BYTES

    station.write(site="office-2")
    assert station.command("reload") == 0
    until(lambda: everyone.statuses()[-1]["site"] == "office-2", lambda: everyone.statuses()[-1])
    until(lambda: station.said.count("scanning") == 2, lambda: station.said)

    assert station.command("reboot") == 0
    assert (station.config.state.runtime_dir / REBOOT_FILE).exists()
    journal = [json.loads(each) for each in (station.folder / "commands.jsonl").read_text().splitlines()]
    assert [each["verb"] for each in journal] == [
        "identify", "self-test", "volume", "volume", "resend", "diagnostics", "reload", "reboot",
    ]  # fmt: skip
    counters = [each["counter"] for each in journal]
    assert counters == sorted(set(counters))


def test_whoever_holds_the_broker_commands_nothing(station: Station, everyone: Broker) -> None:
    """Unsigned, foreign, expired, other station's, too large, replayed: each is counted, and answered by the status alone."""
    _online(station, everyone, "uplink")
    key, foreign = signing_key.load(station.key, ""), Ed25519PrivateKey.generate()
    now_s = int(time.time())
    reboot = Command(os.urandom(16), 1, Verb.REBOOT)
    topic = remote.commands_topic("test-1")
    messages = {
        "too-large": bytes(2_000_000),
        "not-genuine": b'{"verb": "reboot"}',
        "not-genuine ": remote.signed(reboot, "test-1", foreign, now_s, 300),
        "not-genuine  ": cose.sign({1: "x"}, key, b"kiosk-pass-1"),
        "other-kiosk": remote.signed(reboot, "test-2", key, now_s, 300),
        "other-kiosk ": remote.signed(reboot, "*", key, now_s, 300),
        "expired": remote.signed(reboot, "test-1", key, now_s - 600, 300),
        "not-a-command": remote.signed(reboot, "test-1", key, now_s, 90_000),
    }
    for message in messages.values():
        everyone.say(topic, message)
    total = {"too-large": 1, "not-genuine": 3, "other-kiosk": 2, "expired": 1, "not-a-command": 1}
    until(lambda: everyone.statuses()[-1]["commands"]["refused"] == total, lambda: everyone.statuses()[-1]["commands"])
    assert not (station.config.state.runtime_dir / REBOOT_FILE).exists()
    assert not (station.config.state.dir / "identity" / "commands.json").exists()
    from_station = {heard for heard, _ in everyone.heard} - {topic}
    assert from_station == {"kiosks/test-1/status"}


def test_replay_is_refused_after_restart_and_cut(station: Station, everyone: Broker) -> None:
    """A recorded command does nothing again: at once, after kill -9, and when the broker keeps it and hands it over itself."""
    _online(station, everyone, "uplink")
    reboot_file = station.config.state.runtime_dir / REBOOT_FILE
    assert station.command("reboot") == 0
    (recorded,) = everyone.of("/commands")
    reboot_file.unlink()
    topic = remote.commands_topic("test-1")

    everyone.say(topic, recorded, retain=True)
    until(lambda: everyone.statuses()[-1]["commands"]["refused"] == {"replayed": 1}, lambda: everyone.statuses()[-1])
    station.stop(signal.SIGKILL)
    _online(station, everyone, "uplink")  # the broker hands over what it kept
    until(
        lambda: everyone.statuses()[-1].get("commands", {}).get("refused") == {"replayed": 1},
        lambda: everyone.statuses()[-1],
    )
    everyone.say(topic, recorded)
    until(lambda: everyone.statuses()[-1]["commands"]["refused"] == {"replayed": 2}, lambda: everyone.statuses()[-1])
    assert not reboot_file.exists()


def test_centre_is_told_when_nothing_was_done(
    station: Station, everyone: Broker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A key that the station does not trust, a station that is away, and one that never was: exit code 1 and the reason."""
    _online(station, everyone, "uplink")
    trusted = station.key
    station.key = tmp_path / "other.key"
    signing_key.make(station.key, station.key.with_name(f"{station.key.name}.pub"))
    assert station.command("identify") == 1
    assert "state=refused not-genuine" in capsys.readouterr().out
    station.key = trusted
    assert station.command("identify") == 1, "no scan process runs"
    assert "state=failed main: no answer" in capsys.readouterr().out
    station.stop()
    assert station.command("identify") == 1
    assert "state=away" in capsys.readouterr().out


def test_wrong_command_line_is_explained(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong values, no station, a key that others can read, and a key that is there already: one sentence each, code 2."""
    for words in (["volume", "101"], ["volume"], ["resend", "5"], ["resend", "9..5"], ["reboot", "now"]):
        assert station.command(*words) == 2, words
    assert central(["command", "key", "--fleet-key", str(station.key)]) == 2
    assert central(["command", "reboot", "--fleet-key", str(station.key)]) == 2
    station.key.chmod(0o644)
    assert station.command("reboot") == 2
    station.key.chmod(0o600)
    station.key.write_text("x")
    assert station.command("reboot") == 2
    said = capsys.readouterr().err
    assert said.count("central: ") == 9
    assert "chmod 600" in said
    assert "there is no command to all of them" in said
