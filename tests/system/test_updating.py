"""An update from the centre's desk to a station that has proved it: a real broker, a real HTTPS server, real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from central.__main__ import main as central
from central.fleet import rollout
from central.keys import signing_key
from kiosk.config import Config
from kiosk.envelopes import remote
from kiosk.envelopes.remote import Command
from kiosk.model import ClockQuality, Moment
from kiosk.trust import fleet_keys
from tests.bundle_server import NEW, Server

LONGEST_S = 60.0
OLD = "0.1.0+20261124213755"
ROOT = Path(__file__).resolve().parents[2]


class Stations:
    """Stations that do nothing but obey, each by its own judgement of the signature; some of them fail."""

    def __init__(self, port: int, names: list[str], keys: dict[bytes, Ed25519PublicKey], failing: set[str]) -> None:
        self.told: list[str] = []
        self._keys = keys
        self._failing = failing
        self._client = Client(CallbackAPIVersion.VERSION2, "stations")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        for name in names:
            self._client.subscribe(remote.commands_topic(name), 1)
            self.say(name, OLD, None, "none")

    def say(self, name: str, version: str, order: str | None, state: str) -> None:
        update = {"version": version, "board": "pi4", "wanted": None, "order": order, "state": state, "reason": ""}
        message = json.dumps({"v": 1, "kiosk": name, "state": "online", "update": update})
        self._client.publish(f"kiosks/{name}/status", message, 1, retain=True).wait_for_publish(10)

    def _on_message(self, client: Client, _user: object, message: MQTTMessage) -> None:
        name = message.topic.split("/")[1]
        now = Moment(time.time_ns(), "boot-1", 1, ClockQuality.SYNCED)
        command = remote.judge(bytes(message.payload), self._keys, name, 0, now)
        assert isinstance(command, Command)
        assert command.update is not None
        self.told.append(name)
        failed = name in self._failing
        version, state = (OLD, "failed") if failed else (command.update.version, "proved")
        update = {"version": version, "board": "pi4", "order": command.id.hex(), "state": state, "reason": "a test"}
        text = json.dumps({"v": 1, "kiosk": name, "state": "online", "update": update})
        client.publish(message.topic.replace("commands", "status"), text, 1, retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def desk(tmp_path: Path, broker: Any) -> Callable[..., int]:
    """Runs `central update …` with the fleet's key; the bundle lies beside it."""
    signing_key.make(tmp_path / "fleet.key", tmp_path / "fleet.pem")
    bundle = tmp_path / f"kiosk-pi4-{NEW}.raucb"
    bundle.write_bytes(os.urandom(5000))

    def run(what: str, *words: str) -> int:
        shared = ["--rollout", str(tmp_path / "rollout.json")]
        if what == "publish":
            return central(["update", what, str(bundle), "--url", "https://localhost:1/bundles", *shared, *words])
        if what == "run":
            shared += ["--fleet-key", str(tmp_path / "fleet.key"), "--broker", broker.url]
            shared += ["--journal", str(tmp_path / "commands.jsonl")]
        return central(["update", what, *shared, *words])

    return run


@pytest.fixture
def stations(broker: Any, tmp_path: Path, desk: Callable[..., int]) -> Iterator[Callable[..., Stations]]:
    """Makes stations at the broker."""
    del desk  # which makes the key
    made: list[Stations] = []

    def make(count: int, failing: set[str]) -> Stations:
        names = [f"door-{number}" for number in range(count)]
        made.append(Stations(broker.port, names, fleet_keys.fleet_keys(tmp_path / "fleet.pem"), failing))
        return made[-1]

    yield make
    for some in made:
        some.close()


def test_fleet_is_told_ring_by_ring(
    desk: Callable[..., int], stations: Callable[..., Stations], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every station is told once, the first ring before the others, and the roll-out ends by itself."""
    fleet = stations(20, set())
    assert desk("publish", "--rings", "5,40,100") == 0
    assert desk("run") == 0
    assert sorted(fleet.told) == sorted(f"door-{number}" for number in range(20))
    stands = rollout.load(tmp_path / "rollout.json")
    rings = rollout.rings_of(stands, set(fleet.told))
    assert [rings[name] for name in fleet.told] == sorted(rings.values())
    assert desk("status") == 0
    assert "waiting for 0" in capsys.readouterr().out
    assert len((tmp_path / "commands.jsonl").read_text().splitlines()) == 20


def test_failures_halt_before_the_fleet_is_told(
    desk: Callable[..., int], stations: Callable[..., Stations], capsys: pytest.CaptureFixture[str]
) -> None:
    """When the first ring fails the others are never told, also when it is run again; by hand it goes on."""
    names = {f"door-{number}" for number in range(20)}
    fleet = stations(20, names)
    assert desk("publish", "--rings", "20,100", "--most-failed", "0") == 0
    assert desk("run") == 1
    told = len(fleet.told)
    assert 0 < told < 12
    assert desk("run") == 1
    assert desk("status") == 0
    said = capsys.readouterr().out
    assert "HALTED" in said
    assert "a test" in said
    assert len(fleet.told) == told
    assert (desk("resume"), desk("halt"), desk("run")) == (0, 0, 1)
    assert len(fleet.told) == told


@pytest.mark.parametrize(
    "words", [("--rollout", "/nowhere/at/all.json"), ("--url", "http://localhost/plain"), ("--url", "https://x/a b")]
)
def test_wrong_roll_out_is_not_published(desk: Callable[..., int], words: tuple[str, ...]) -> None:
    """An address that no station would take is refused at the desk."""
    assert desk("publish", *words) == 2


def test_roll_out_is_not_overwritten(desk: Callable[..., int]) -> None:
    """Each roll-out has a file of its own; running none is a sentence."""
    assert desk("run") == 2
    assert desk("publish") == 0
    assert desk("publish") == 2


def _status(port: int, name: str) -> Callable[[], dict[str, Any]]:
    last: list[dict[str, Any]] = [{}]
    client = Client(CallbackAPIVersion.VERSION2, "looker")

    def on_message(_client: Client, _user: object, message: MQTTMessage) -> None:
        last[0] = json.loads(message.payload).get("update") or {}

    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.subscribe(f"kiosks/{name}/status", 1)

    def look() -> dict[str, Any]:
        deadline_s = time.monotonic() + 0.3
        while time.monotonic() < deadline_s:
            client.loop(0.05)
        return last[0]

    return look


def test_station_goes_all_the_way(
    make_config: Callable[..., Config], broker: Any, desk: Callable[..., int], tmp_path: Path
) -> None:
    """Told by the centre, a real uplink takes the order, the bundle is fetched, installed, tried, and proved."""
    server = Server(tmp_path)
    (tmp_path / "rauc").mkdir()
    (tmp_path / "version").write_text(f"{OLD}\n")
    (tmp_path / "board").write_text("pi4\n")
    config = make_config(
        update={"window_from": "00:00", "window_to": "00:00", "dir": str(tmp_path / "rauc"),
                "version_file": str(tmp_path / "version")},
        trust={"fleet_key_file": str(tmp_path / "fleet.pem")},
        uplink={"brokers": [broker.url], "tls": {"ca_file": str(tmp_path / "ca.pem")}},
        status={"every_s": 1.0},
    )  # fmt: skip
    (tmp_path / "kiosk.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "rauc").write_text(f"#!/bin/sh\necho B >{tmp_path}/rauc/pending\n")
    (tools / "rauc").chmod(0o755)
    env = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    (tmp_path / f"kiosk-pi4-{NEW}.raucb").write_bytes(server.content)
    look = _status(broker.port, config.kiosk.id)

    def until(state: str) -> None:
        deadline_s = time.monotonic() + LONGEST_S
        while look().get("state") != state:
            assert time.monotonic() < deadline_s, look()

    def kiosk(*words: str) -> list[str]:
        return [sys.executable, "-m", "kiosk", *words, "--config", str(tmp_path / "kiosk.yaml")]

    def update(what: str) -> int:
        inbox = config.state.dir / "update"
        places = ["--inbox", str(inbox), "--data", str(tmp_path / "rauc"), "--version-file", str(tmp_path / "version")]
        places += ["--fleet-key", str(tmp_path / "fleet.pem")]
        return subprocess.run([*kiosk("update", what), *places], env=env, check=False, timeout=60, cwd=ROOT).returncode

    uplink = subprocess.Popen(kiosk("uplink"), cwd=ROOT)
    centre: subprocess.Popen[bytes] | None = None
    try:
        until("none")
        url = server.offer().url.rpartition("/")[0]
        assert desk("publish", "--url", url) == 0
        argv = [sys.executable, "-m", "central", "update", "run", "--rollout", str(tmp_path / "rollout.json")]
        argv += ["--fleet-key", str(tmp_path / "fleet.key"), "--broker", broker.url]
        centre = subprocess.Popen([*argv, "--journal", str(tmp_path / "commands.jsonl")], cwd=ROOT)
        until("waiting")
        assert update("fetch") == 0
        until("fetched")
        assert update("install") == 0
        until("installed")
        (tmp_path / "version").write_text(f"{NEW}\n")
        until("on-trial")
        assert centre.poll() is None
        (tmp_path / "rauc" / "pending").unlink()
        until("proved")
        assert centre.wait(LONGEST_S) == 0
    finally:
        for process in (uplink, centre):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(20)
        server.close()
