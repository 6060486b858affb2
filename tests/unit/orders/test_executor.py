"""The station's obedience: once, with the counter on the disk before anything is done, and said in the status."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk import health, log
from kiosk.clock import SystemClock
from kiosk.config import Config, Sound
from kiosk.cues import Cue, CueName
from kiosk.disk import durable
from kiosk.envelopes import cose, remote
from kiosk.envelopes.offer import Offer
from kiosk.envelopes.remote import Command, Verb
from kiosk.errors import ConfigError, RestartRequestedError
from kiosk.model import Entry, Moment
from kiosk.orders import diagnostics, errand
from kiosk.orders.errand import Errands
from kiosk.orders.executor import ANSWER_S, REBOOT_FILE, Executor
from kiosk.outbox import Outbox
from kiosk.trust import fleet_keys
from kiosk.updates import updating
from kiosk.updates.rules import Mark, State

KEY = Ed25519PrivateKey.generate()
KEYS = {cose.key_id(KEY.public_key()): KEY.public_key()}


@dataclass
class Clock:
    """The machine's clocks, with a boot that the test begins anew."""

    boot_id: str = "boot-1"
    ahead_ns: int = 0

    def now(self) -> Moment:
        now = SystemClock().now()
        return Moment(now.wall_ns, self.boot_id, now.boot_ns + self.ahead_ns, now.quality)

    def boot_ns(self) -> int:
        return SystemClock().boot_ns() + self.ahead_ns


class Panel:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.shown: list[CueName] = []
        self.sound: Sound | None = None

    def show(self, *cues: Cue) -> None:
        self.shown += [cue.name for cue in cues]

    def expect(self) -> None:
        pass

    def stand(self, cue: Cue) -> None:
        pass

    def tune(self, sound: Sound) -> None:
        self.sound = sound

    def close(self) -> None:
        pass


class Station:
    """An executor, and one lane that does its errands."""

    def __init__(self, config: Config, outbox: Outbox, config_file: Path) -> None:
        self.config = config
        self.outbox = outbox
        self.clock = Clock()
        self.panel = Panel()
        self.fault = ""
        self.config_file = config_file
        self.counter = 0
        self.restart()

    def restart(self) -> None:
        """Both processes anew."""
        self.executor = Executor(self.config, KEYS, self.outbox, self.clock, self.config_file)
        self.errands = Errands(self.config, "main", self.panel, self.clock)

    def signed(self, verb: Verb, *numbers: int) -> bytes:
        self.counter += 1
        command = Command(os.urandom(16), self.counter, verb, numbers)
        return remote.signed(command, "test-1", KEY, self.clock.now().wall_ns // 10**9, 60)

    def tell(self, verb: Verb, *numbers: int) -> tuple[str, str]:
        """Command it, let the lane look, and read what became of it."""
        self.executor.take(self.signed(verb, *numbers))
        self.errands.tend(lambda: self.fault)
        self.executor.tend()
        return self.last

    @property
    def last(self) -> tuple[str, str]:
        last = self.report["last"]
        return last["state"], last["detail"]

    @property
    def report(self) -> dict[str, Any]:
        report = self.executor.report()
        assert report is not None
        return report


@pytest.fixture
def station(make_config: Callable[..., Config], tmp_path: Path) -> Iterator[Station]:
    """A station with a configuration file."""
    config = make_config(update={"dir": str(tmp_path / "rauc")})
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    path = tmp_path / "kiosk.yaml"
    path.write_text(yaml.safe_dump(json.loads(config.model_dump_json())), "utf-8")
    yield Station(config, outbox, path)
    outbox.close()


def test_identify_plays_its_pattern(station: Station) -> None:
    """The panel plays what nothing else plays, once for each command."""
    assert station.tell(Verb.IDENTIFY) == ("done", "")
    station.errands.tend(lambda: "")
    assert station.panel.shown == [CueName.IDENTIFY]
    station.tell(Verb.IDENTIFY)
    assert station.panel.shown == [CueName.IDENTIFY, CueName.IDENTIFY]


def test_self_test_tells_what_is_wrong(station: Station) -> None:
    """Lights and beeper are played; a lane that finds its disk full makes the result a failure that says so."""
    assert station.tell(Verb.SELF_TEST) == ("done", "")
    station.fault = "no room on the disk"
    assert station.tell(Verb.SELF_TEST) == ("failed", "main: no room on the disk")
    assert station.panel.shown == [CueName.SELF_TEST] * 2


def test_lane_that_is_silent_fails_the_command(station: Station) -> None:
    """A scan process that hangs does not leave the centre waiting for ever."""
    station.executor.take(station.signed(Verb.SELF_TEST))
    station.executor.tend()
    assert station.last == ("started", "")
    station.clock.ahead_ns = round((ANSWER_S + 1) * 1e9)
    station.executor.tend()
    assert station.last == ("failed", "main: no answer")


def test_volume_is_kept(station: Station) -> None:
    """The lane is as loud as commanded, also after a restart; quiet hours are never louder; `configured` ends it."""
    assert station.tell(Verb.VOLUME, 10) == ("done", "")
    assert station.panel.sound is not None
    assert (station.panel.sound.volume_percent, station.panel.sound.quiet_volume_percent) == (10, 10)
    assert errand.sound_of(station.config) == station.panel.sound
    station.tell(Verb.VOLUME)
    assert station.panel.sound == station.config.sound == errand.sound_of(station.config)


def test_update_is_laid_down_for_the_night(station: Station) -> None:
    """The signed order is kept as it came, so that whoever fetches and installs can judge it anew."""
    offer = Offer("0.2.0+20261201000000", "https://updates.example/kiosk.raucb", bytes(32), 1000)
    now_s = station.clock.now().wall_ns // 10**9
    message = remote.signed(Command(bytes(16), 1, Verb.UPDATE, update=offer), "test-1", KEY, now_s, 60)
    station.executor.take(message)
    assert station.last == ("done", "from 01:00 on")
    order = updating.order_in(updating.inbox_of(station.config.state.dir), KEYS)
    assert order is not None
    assert order.update == offer
    assert updating.report(station.config, KEYS)["state"] == "waiting"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"volume_percent": 101}', '{"volume_percent": true}', "[" * 5000])
def test_broken_volume_is_none(station: Station, content: str) -> None:
    """A volume file that has rotted leaves the station as loud as configured."""
    (station.config.state.dir / "volume.json").write_text(content)
    assert errand.sound_of(station.config) == station.config.sound


def test_resend_notes_the_range(station: Station, make_entry: Callable[[int], Entry]) -> None:
    """What the centre has lost is sent again."""
    for number in range(9):
        station.outbox.append(make_entry(number))
    station.outbox.settle(9)
    assert station.tell(Verb.RESEND, 4, 6) == ("done", "4..6")
    assert (station.outbox.wanted(), station.outbox.settled) == (range(4, 7), 9)
    assert station.tell(Verb.RESEND, 10, 12) == ("done", "nothing of that is settled and held")


def test_reload_restarts_both_processes(station: Station) -> None:
    """Lane and uplink end in order to start with the new configuration; the new uplink says that it is done."""
    station.executor.take(station.signed(Verb.RELOAD))
    with pytest.raises(RestartRequestedError):
        station.errands.tend(lambda: "")
    with pytest.raises(RestartRequestedError):
        station.executor.tend()
    station.restart()
    assert station.last == ("done", "")
    station.errands.tend(lambda: "")  # does not end again for an errand that is older than itself


def test_wrong_configuration_is_not_loaded(station: Station) -> None:
    """The station goes on with what it has, and says so."""
    station.config_file.write_text("kiosk: {id: UPPER}")
    state, detail = station.tell(Verb.RELOAD)
    assert state == "failed"
    assert "configuration" in detail
    assert "UPPER" not in detail


def test_reboot_leaves_a_file_for_the_service_manager(station: Station) -> None:
    """It is begun when the file is there, and done when the machine has another boot."""
    assert station.tell(Verb.REBOOT) == ("started", "")
    assert (station.config.state.runtime_dir / REBOOT_FILE).exists()
    station.restart()
    assert station.last == ("started", "")
    station.clock.boot_id = "boot-2"
    station.restart()
    assert station.last == ("done", "")


def test_diagnostics_tell_no_person(
    station: Station, make_entry: Callable[[int], Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions, status and log lines; no entry, and no number from a log line that should not have been written."""
    log.start("info")
    station.outbox.append(make_entry(46_090_000_123))
    logging.getLogger("kiosk").warning("slip number=046090000123 \x1b[31mred")
    assert station.tell(Verb.DIAGNOSTICS)[0] == "done"
    (letter,) = station.executor.letters()
    assert station.executor.letters() == []
    text = zstandard.ZstdDecompressor().decompress(letter).decode()
    assert "046090000123" not in text
    assert "Nguy" not in text
    assert "\x1b" not in text
    told = json.loads(text)
    assert told["status"]["outbox"]["waiting"] == 1
    assert told["versions"]["python"]
    assert any("slip number=#" in each for each in told["log"])
    monkeypatch.setattr(log, "recent", lambda: [os.urandom(200).hex() + "g" * k for k in range(900)])
    update = updating.report(station.config, KEYS)
    bounded = diagnostics.collect(station.config, station.outbox, station.clock.now(), "0" * 32, update)
    assert len(bounded) <= diagnostics.LARGEST_BYTES


def test_diagnostics_tell_why_an_update_failed(station: Station) -> None:
    """How it stands and why, as the status says it; a number in another program's word is blotted out."""
    offer = Offer("0.2.0+20261201000000", "https://updates.example/kiosk.raucb", bytes(32), 1000)
    order = Command(bytes(15) + b"\x01", 1, Verb.UPDATE, update=offer)
    station.executor.take(remote.signed(order, "test-1", KEY, station.clock.now().wall_ns // 10**9, 60))
    station.counter = 1
    station.config.update.dir.mkdir(parents=True)
    mark = Mark(order.id.hex(), State.FAILED, "rauc refuses the bundle: 046090000123 \x1b[31mno key", 1)
    updating.write_mark(station.config.update.dir / updating.INSTALL, mark)
    assert station.tell(Verb.DIAGNOSTICS)[0] == "done"
    (letter,) = station.executor.letters()
    told = json.loads(zstandard.ZstdDecompressor().decompress(letter))["status"]["update"]
    assert told == {
        **updating.report(station.config, KEYS),
        "reason": "rauc refuses the bundle: # ?[31mno key",
    }
    assert (told["state"], told["wanted"], told["order"]) == ("failed", offer.version, order.id.hex())


def test_command_is_obeyed_once_whatever_restarts(station: Station) -> None:
    """The same bytes again are refused and counted: at once, after a restart, and after a cut in the middle of it."""
    message = station.signed(Verb.IDENTIFY)
    station.executor.take(message)
    station.executor.take(message)
    assert station.report["refused"] == {"replayed": 1}
    station.restart()
    station.executor.take(message)
    assert station.report["refused"] == {"replayed": 1}
    assert station.report["last_refused"]["reason"] == "replayed"


def test_cut_before_the_deed_loses_the_command(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter is on the disk before anything is done: a power cut in between never makes a command work twice."""

    class PowerCutError(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCutError

    message = station.signed(Verb.REBOOT)
    monkeypatch.setattr(Executor, "_do", cut)
    with pytest.raises(PowerCutError):
        station.executor.take(message)
    monkeypatch.undo()
    station.restart()
    station.executor.take(message)
    assert station.report["refused"] == {"replayed": 1}
    assert not (station.config.state.runtime_dir / REBOOT_FILE).exists()


def test_counter_that_cannot_be_written_lets_nothing_be_done(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full or read-only card would forget the counter: the command is refused, not done unprotected."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "replace", full)
    station.executor.take(station.signed(Verb.REBOOT))
    assert station.report["refused"] == {"counter-not-kept": 1}
    assert not (station.config.state.runtime_dir / REBOOT_FILE).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"counter": "x"}', '{"v":1,"counter":4'])
def test_counter_that_has_rotted_lets_nothing_be_done(station: Station, content: str) -> None:
    """Nobody knows what was done already, so nothing is done until the station is set up anew."""
    folder = station.config.state.dir / "identity"
    folder.mkdir(parents=True)
    (folder / "commands.json").write_text(content)
    station.restart()
    station.executor.take(station.signed(Verb.IDENTIFY))
    assert station.report["refused"] == {"counter-not-kept": 1}


def test_command_that_was_under_way_at_a_restart_has_failed(station: Station) -> None:
    """A self-test whose uplink died is not called done."""
    station.executor.take(station.signed(Verb.SELF_TEST))
    station.restart()
    assert station.last == ("failed", "the uplink was restarted meanwhile")
    station.executor.take(station.signed(Verb.SELF_TEST))
    station.clock.boot_id = "boot-2"
    station.restart()
    assert station.last == ("failed", "the station was restarted meanwhile")


def test_command_that_fails_is_said_to_fail(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that breaks under a command ends the command, not the uplink."""
    monkeypatch.setattr(Outbox, "resend", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert station.tell(Verb.RESEND, 1, 2) == ("failed", "OSError: Input/output error")


def test_station_without_a_fleet_key_says_nothing_of_commands(station: Station) -> None:
    """There is nothing to tell where nobody can command."""
    executor = Executor(station.config, {}, station.outbox, station.clock)
    executor.take(station.signed(Verb.REBOOT))
    assert executor.report() is None
    assert not (station.config.state.runtime_dir / REBOOT_FILE).exists()


def test_errand_of_a_stranger_is_none(station: Station) -> None:
    """What else stands in the errand's file moves nothing: the scan process trusts the list and not the file."""
    folder = station.config.state.runtime_dir
    now_ns = station.clock.boot_ns()
    for marks in ({"id": "0" * 32, "verb": "reboot"}, {"id": "../x", "verb": "identify"}, {"verb": "identify"}):
        health.write_marks(folder, "errand", {"written_boot_ns": now_ns, **marks})
        station.errands.tend(lambda: "")
    assert station.panel.shown == []


def test_fleet_key_file_is_read_or_refused(tmp_path: Path) -> None:
    """No file is no key; two keys are for the time of a change; anything else stops the start with a sentence."""
    assert fleet_keys.fleet_keys(tmp_path / "none.pem") == {}
    halves = [key.public_key() for key in (KEY, Ed25519PrivateKey.generate())]
    pems = [half.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for half in halves]
    path = tmp_path / "fleet.pem"
    path.write_bytes(b"".join(pems))
    assert fleet_keys.fleet_keys(path).keys() == {cose.key_id(half) for half in halves}
    other = generate_private_key(SECP256R1()).public_key()
    for wrong in (
        b"",
        b"x",
        other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        pems[0][:60] + pems[0][70:],
    ):
        path.write_bytes(wrong)
        with pytest.raises(ConfigError, match="fleet_key_file"):
            fleet_keys.fleet_keys(path)
    with pytest.raises(ConfigError, match="directory"):
        fleet_keys.fleet_keys(tmp_path)
