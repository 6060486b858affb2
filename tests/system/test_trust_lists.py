"""Whom to believe reaches the stations by itself, over a real broker; nobody takes a revocation back, or adds an issuer."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from paho.mqtt import subscribe
from paho.mqtt.client import MQTTMessage

from central.__main__ import main as central
from central.fleet import retained
from central.intake.collector import Broker
from kiosk.config import Config
from kiosk.credential import classify
from kiosk.delivery import wire
from kiosk.model import Credential, Unproven, UnprovenReason
from kiosk.sim.render import code_picture
from kiosk.trust import fleet_keys, trust_list
from kiosk.trust.issuers import TrustFolder
from tests.running import delivering, until


class Centre:
    """An office that issues passes, and the fleet's key, by the commands that people type."""

    def __init__(self, folder: Path, broker: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.broker = broker
        self._capsys = capsys
        folder.mkdir()
        assert central(["pass", "key", "--out", str(folder / "office.key")]) == 0
        (folder / "trust/passes").mkdir(parents=True)
        (folder / "trust/revoked").mkdir()
        (folder / "office.pub.pem").rename(folder / "trust/passes/office.pem")
        assert central(["command", "key", "--fleet-key", str(folder / "fleet.key")]) == 0
        self.list = folder / "trust.list"

    def issue(self) -> tuple[str, bytes]:
        """Number and code of a new pass."""
        self._capsys.readouterr()
        common = ["--registry", str(self.folder / "passes.db"), "--key", str(self.folder / "office.key")]
        assert central(["pass", "issue", *common, "--number", "NV-1", "--days", "9"]) == 0
        first, code = self._capsys.readouterr().out.splitlines()
        return first.split()[1], code.encode()

    def revoke(self, *numbers: str) -> None:
        """Revoke these, and sign the office's list."""
        common = ["--registry", str(self.folder / "passes.db")]
        for number in numbers:
            assert central(["pass", "revoke", *common, number]) == 0
        out = ["--key", str(self.folder / "office.key"), "--out", str(self.folder / "trust/revoked/office.cose")]
        assert central(["pass", "revocations", *common, *out]) == 0

    def publish(self, *words: str) -> int:
        """Sign the folder and leave it at the broker."""
        return self.sign("--broker", self.broker.url, *words)

    def sign(self, *words: str) -> int:
        """Sign the folder."""
        own = ["--fleet-key", str(self.folder / "fleet.key"), "--list", str(self.list)]
        return central(["trust", "publish", str(self.folder / "trust"), *own, *words])

    def leave(self, message: bytes, content: bytes | None = None) -> None:
        """What somebody who holds the broker does: leave any list there, or any content under a list's head."""
        head, own = trust_list.parts(message)
        topic = trust_list.content_topic(hashlib.sha256(own).digest())
        self.leave_raw((topic, own if content is None else content), (trust_list.TOPIC, head))

    def leave_raw(self, *messages: tuple[str, bytes]) -> None:
        """Any retained messages."""
        retained.leave(Broker(self.broker.url, client_id="somebody"), messages)


@pytest.fixture
def centre(tmp_path: Path, broker: Any, capsys: pytest.CaptureFixture[str]) -> Centre:
    """An office with a broker."""
    return Centre(tmp_path / "centre", broker, capsys)


@pytest.fixture
def config(tmp_path: Path, make_config: Callable[..., Config], centre: Centre) -> Config:
    """A station that knows the fleet's key and, until it hears of them, no issuer."""
    return make_config(
        credentials={"trust_dir": str(tmp_path / "none")},
        trust={"fleet_key_file": str(centre.folder / "fleet.key.pub")},
        uplink={"brokers": [centre.broker.url], "backoff_max_s": 1.0},
    )


@contextmanager
def _uplink(config: Config) -> Iterator[None]:
    running = delivering(config)
    try:
        yield
    finally:
        running.stop()


def _scan(config: Config) -> TrustFolder:
    """What a scan process has of it."""
    return TrustFolder(config.credentials.trust_dir, trust_list.path_of(config), config.trust.fleet_key_file)


def _judged(trust: TrustFolder, code: bytes) -> Credential | UnprovenReason | None:
    """What a station says of a code after it has looked at its lists."""
    trust.look()
    verdict = classify(code, (), trust.trust, time.time())
    return verdict.reason if isinstance(verdict, Unproven) else verdict if isinstance(verdict, Credential) else None


def test_keys_and_revocations_reach_a_running_station(centre: Centre, config: Config, caplog: Any) -> None:
    """A station believes an office's pass after one command at the centre, and no longer after another; nobody touches it."""
    caplog.set_level("INFO")
    number, code = centre.issue()
    other = centre.issue()[1]
    trust = _scan(config)
    assert _judged(trust, code) is UnprovenReason.NO_TRUST_LIST
    with _uplink(config):
        assert centre.publish() == 0
        until(lambda: isinstance(_judged(trust, code), Credential))
        centre.revoke(number)
        assert centre.publish() == 0
        until(lambda: _judged(trust, code) is UnprovenReason.REVOKED)
    assert isinstance(_judged(trust, other), Credential)
    assert _judged(_scan(config), code) is UnprovenReason.REVOKED  # after a restart, too
    assert trust_list.path_of(config).read_bytes() == centre.list.read_bytes()

    before = [message.split()[0] for message in caplog.messages].count("trust-list")
    assert before == 2
    with _uplink(config):  # it comes again, and asks for nothing that it has
        until(lambda: [message.split()[0] for message in caplog.messages].count("online") == 2)
        time.sleep(0.5)
    assert [message.split()[0] for message in caplog.messages].count("trust-list") == before


def test_scan_process_at_a_door_learns_it(centre: Centre, config: Config, tmp_path: Path) -> None:
    """`kiosk scan` refuses a pass that is held up again and again, and records it some seconds after the list has come; no restart."""
    _, code = centre.issue()
    shown, empty = code_picture(code, 4), np.full((400, 400), 230, np.uint8)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(300):
        assert cv2.imwrite(str(frames / f"{number:03}.png"), empty if number % 10 else shown)
    door = {"panel": {"kind": "none"}, "camera": {"source": f"folder:{frames}", "fps": 8}}
    settings = json.loads(config.model_dump_json()) | {"lanes": [door], "repeat": {"gone_s": 0.5}}
    written = tmp_path / "kiosk.yaml"
    written.write_text(yaml.safe_dump(settings), "utf-8")
    log = tmp_path / "scan.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen([sys.executable, "-m", "kiosk", "scan", "--config", str(written)], stderr=errors) as scan,
    ):
        try:
            until(lambda: "reason=unverifiable" in log.read_text(), log.read_text)
            with _uplink(config):
                assert centre.publish() == 0
                until(lambda: "result=recorded" in log.read_text(), log.read_text)
        finally:
            scan.terminate()
    assert "trust-read families=pass=1" in log.read_text().replace('"', "")


def test_refused_list_is_seen_at_the_centre(centre: Centre, config: Config, tmp_path: Path) -> None:
    """The status of a station whose scan process refuses a rotten list, and an older one, warns and says why, until it is mended."""
    door = {"panel": {"kind": "none"}, "camera": {"source": "sim:seed=1", "width_px": 640, "height_px": 480, "fps": 5}}
    settings = json.loads(config.model_dump_json()) | {"lanes": [door], "status": {"every_s": 1.0}}
    written = tmp_path / "kiosk.yaml"
    written.write_text(yaml.safe_dump(settings), "utf-8")
    kept = trust_list.path_of(config)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"rotten")

    def refused() -> str:
        message = subscribe.simple(wire.status_topic("test-1"), port=centre.broker.port)  # type: ignore[no-untyped-call]
        assert isinstance(message, MQTTMessage)
        status = json.loads(message.payload)
        (lane,) = status["lanes"]
        assert ("trust-fault" in status["warnings"]) == bool(lane.get("trust_fault"))
        return str(lane.get("trust_fault", "no sign of life"))

    argv = [sys.executable, "-m", "kiosk", "scan", "--config", str(written)]
    with (
        _uplink(Config.model_validate(settings)),
        (tmp_path / "scan.log").open("wb") as log,
        subprocess.Popen(argv, stdout=log, stderr=log) as scan,
    ):
        try:
            until(lambda: "not a trust list" in refused(), refused)
            assert centre.publish() == 0
            old = centre.list.read_bytes()
            until(lambda: refused() == "", refused)
            assert centre.publish() == 0
            newer = trust_list.load(centre.list, fleet_keys.fleet_keys(config.trust.fleet_key_file)).head.issued_s
            until(lambda: f"list={newer}" in (tmp_path / "scan.log").read_text("utf-8"))
            kept.write_bytes(old)
            until(lambda: "older than the list in use" in refused(), refused)
        finally:
            scan.terminate()


def test_station_that_is_set_up_later_gets_it(centre: Centre, config: Config) -> None:
    """The list is left for all: whoever was not there when it was published believes the same."""
    number, code = centre.issue()
    centre.revoke(number)
    assert centre.publish() == 0
    trust = _scan(config)
    with _uplink(config):
        until(lambda: _judged(trust, code) is UnprovenReason.REVOKED)


def test_older_list_is_refused(centre: Centre, config: Config, caplog: Any) -> None:
    """Whoever holds the broker and an old list of the fleet cannot bring a revoked pass back, now or after a restart."""
    number, code = centre.issue()
    assert centre.publish() == 0
    old = centre.list.read_bytes()
    centre.revoke(number)
    assert centre.publish() == 0
    trust = _scan(config)
    with _uplink(config):
        until(lambda: _judged(trust, code) is UnprovenReason.REVOKED)
        centre.leave(old)
        until(lambda: any("no newer than" in message for message in caplog.messages))
        assert _judged(trust, code) is UnprovenReason.REVOKED
    caplog.clear()
    with _uplink(config):
        until(lambda: any("no newer than" in message for message in caplog.messages))
    assert _judged(_scan(config), code) is UnprovenReason.REVOKED

    trust_list.path_of(config).write_bytes(old)  # even if the uplink were broken, a scan process that runs takes none
    assert _judged(trust, code) is UnprovenReason.REVOKED
    assert any("older than the list in use" in message for message in caplog.messages)


def test_forged_list_is_refused(centre: Centre, config: Config, tmp_path: Path, capsys: Any, caplog: Any) -> None:
    """A stranger's key, another content under the fleet's head, and noise: the station goes on with what it has."""
    number, code = centre.issue()
    centre.revoke(number)
    assert centre.publish() == 0
    stranger = Centre(tmp_path / "stranger", centre.broker, capsys)
    foreign = stranger.issue()[1]
    trust = _scan(config)
    with _uplink(config):
        until(lambda: _judged(trust, code) is UnprovenReason.REVOKED)
        kept = trust_list.path_of(config).read_bytes()
        assert stranger.publish() == 0
        until(lambda: any("not the fleet's" in message for message in caplog.messages))
        assert centre.sign() == 0
        centre.leave(centre.list.read_bytes(), trust_list.parts(stranger.list.read_bytes())[1])
        until(lambda: any("not what the fleet has signed" in message for message in caplog.messages))
        centre.leave_raw((trust_list.TOPIC, b"noise"))
        until(lambda: sum("trust-not-taken" in message for message in caplog.messages) >= 3)
    assert trust_list.path_of(config).read_bytes() == kept
    assert _judged(trust, code) is UnprovenReason.REVOKED
    assert _judged(trust, foreign) is UnprovenReason.UNKNOWN_ISSUER


def test_centre_forgets_no_revocation(centre: Centre, capsys: pytest.CaptureFixture[str]) -> None:
    """An older or missing list of revocations is not signed again, as long as its signer is believed."""
    number, _ = centre.issue()
    centre.revoke()
    old = centre.folder / "old.cose"
    shutil.copy(centre.folder / "trust/revoked/office.cose", old)
    time.sleep(1.1)  # lists are told apart by the second
    centre.revoke(number)
    assert centre.publish() == 0
    kept = centre.list.read_bytes()
    shutil.copy(old, centre.folder / "trust/revoked/office.cose")
    assert centre.publish() == 2
    assert "are older than in the last list" in capsys.readouterr().err
    (centre.folder / "trust/revoked/office.cose").unlink()
    assert centre.publish() == 2
    assert centre.list.read_bytes() == kept
    (centre.folder / "trust/passes/office.pem").unlink()
    assert centre.publish() == 0
    assert "nobody is believed" in capsys.readouterr().out


def test_changed_fleet_key_is_explained(centre: Centre, capsys: pytest.CaptureFixture[str]) -> None:
    """The last list was signed with another key: the sentence says what to do, and done so a newer list is signed."""
    assert centre.sign() == 0
    (centre.folder / "fleet.key").rename(centre.folder / "old.key")
    (centre.folder / "fleet.key.pub").unlink()
    assert central(["command", "key", "--fleet-key", str(centre.folder / "fleet.key")]) == 0
    assert centre.sign() == 2
    assert "if the fleet's key was changed" in capsys.readouterr().err
    centre.list.unlink()
    assert centre.sign() == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "trust/hc1-keys.json").write_text("{"), "of no known form"),
        (lambda folder: (folder / "trust/revoked/x.cose").write_bytes(b"x"), "not to be believed"),
        (lambda folder: (folder / "trust.list").write_bytes(b"x"), "not a trust list"),
        (lambda folder: (folder / "fleet.key").unlink(), "--fleet-key"),
        (lambda folder: shutil.rmtree(folder / "trust"), "no folder"),
        (lambda folder: (folder / "trust.list").mkdir(), "cannot be read"),
    ],
)
def test_what_no_station_reads_is_not_published(
    centre: Centre, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], said: str
) -> None:
    """A wrong file in the folder, another file in the list's place, no key, no folder: one sentence, exit code 2."""
    spoil(centre.folder)
    assert centre.publish() == 2
    assert said in capsys.readouterr().err
