"""The scan loop: green only after the commit, one answer a sighting, a fault said at once and mended by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zxingcpp

from central.keys.keystore import KeyStore
from kiosk.config import Config, Sound
from kiosk.credential import compile_local, personal_pass
from kiosk.cues import Cue, CueName
from kiosk.decoder import Decoder
from kiosk.delivery import wire
from kiosk.envelopes.seal import unseal
from kiosk.errors import CameraEndedError, OutboxError
from kiosk.health import read_marks, write_marks
from kiosk.lens.frame import Frame
from kiosk.model import ClockQuality, Entry, Moment
from kiosk.outbox import Outbox
from kiosk.policy import Policy, Rules
from kiosk.scanner import Parts, Scanner, run
from kiosk.sealer import Sealer
from kiosk.sightings import Sightings
from kiosk.sim.issuers import CardIssuer, Office
from kiosk.sim.render import code_picture

S = 1_000_000_000
CARD = b"046090000123||Nguyen Van A|01021990|Nam|Hue|15062021"
SECOND = b"046090000124||Nguyen Van B|01021990|Nam|Hue|15062021"
DAMAGED = CARD[:-9]
LINK = b"https://office.example/place/1"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.boot = 100 * S
        self.quality = ClockQuality.SYNCED

    def now(self) -> Moment:
        return Moment(1_800_000_000 * S + self.boot, "boot-1", self.boot, self.quality)

    def boot_ns(self) -> int:
        return self.boot


class Camera:
    """Shows what the test holds up, a frame each tenth of a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.held_up: tuple[bytes, ...] = ()
        self.beside: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        self.frames_left = 10**9

    def next_frame(self, timeout_s: float) -> Frame:
        assert timeout_s > 0
        if self.frames_left <= 0:
            raise CameraEndedError("over")
        self.frames_left -= 1
        self._clock.boot += S // 10
        canvas = np.full((320, 760), 230, np.uint8)
        for place, payload in enumerate(self.held_up):
            picture = code_picture(payload, 4)
            canvas[10 : 10 + picture.shape[0], 10 + place * 360 : 10 + place * 360 + picture.shape[1]] = picture
        if self.beside is not None:
            canvas[-self.beside.shape[0] :, -self.beside.shape[1] :] = self.beside
        return Frame(canvas, self._clock.boot)

    def close(self) -> None:
        pass


class Panel:
    """Remembers what it was told, and what the outbox held at that moment."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.shown: list[CueName] = []
        self.standing: list[CueName] = []
        self.committed_at_green: list[int] = []

    def show(self, *cues: Cue) -> None:
        for cue in cues:
            self.shown.append(cue.name)
            if cue.name.startswith("recorded"):
                self.committed_at_green.append(self._outbox.last_seq)

    def expect(self) -> None:
        pass

    def stand(self, cue: Cue) -> None:
        self.standing.append(cue.name)

    def tune(self, sound: Sound) -> None:
        self.sound = sound

    def last_standing(self) -> CueName:
        return self.standing[-1]

    def close(self) -> None:
        pass


class Door:
    """One lane on stand-ins, with a real outbox."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = Clock()
        self.camera = Camera(self.clock)
        self.outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
        self.panel = Panel(self.outbox)
        rules = Rules(frozenset(config.credentials.accept), round(config.repeat.window_s * S))
        self.parts = Parts(
            camera=self.camera,
            decoder=Decoder(60_000),
            sightings=Sightings(round(config.repeat.gone_s * S)),
            policy=Policy(rules, bytes(32)),
            sealer=Sealer(config),
            local=compile_local(config.credentials.local),
            outbox=self.outbox,
            panel=self.panel,
            clock=self.clock,
        )
        self.scanner = Scanner(config, config.lanes[0], self.parts)

    def show(self, *payloads: bytes, frames: int = 1) -> list[CueName]:
        """Hold codes up for some frames; the cues that it brought."""
        before = len(self.panel.shown)
        self.camera.held_up = payloads
        for _ in range(frames):
            self.scanner.step()
        return self.panel.shown[before:]

    def leave(self) -> None:
        self.show(frames=20)

    @property
    def entries(self) -> list[Entry]:
        return [wire.decode_entry(body) for _, body in self.outbox.head(0, 100)]


def _sealing(make_config: Callable[..., Config], tmp_path: Path, mode: str = "required") -> tuple[Door, KeyStore]:
    """A door that seals to an authority which has made no keys yet."""
    store = KeyStore(tmp_path / "authority")
    seal = {
        "mode": mode, "authority_file": str(store.authority_path), "authority_keys_file": str(store.list_path),
    }  # fmt: skip
    return Door(make_config(seal=seal)), store


def _publish(store: KeyStore, clock: Clock) -> None:
    now_s = clock.now().wall_ns // S
    store.make(datetime.fromtimestamp(now_s, UTC).date(), 2, suite="x25519")
    store.publish(now_s=now_s)


def test_person_is_on_the_disk_sealed(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """Green as ever; and the entry opens with the private key of its day alone."""
    door, store = _sealing(make_config, tmp_path)
    _publish(store, door.clock)
    assert door.show(CARD) == [CueName.RECORDED_PASS]
    (entry,) = door.entries
    door.outbox.close()
    (box,) = entry.sealed
    assert entry.person == ()
    assert b"Nguyen Van A" not in (tmp_path / "state" / "outbox.db").read_bytes()
    key = next(one.key for one in store.stored() if one.key.public.id == box.key)
    person = unseal(box, key, entry.kiosk, entry.id)
    assert person == (("number", "046090000123"), ("name", "Nguyen Van A"), ("birth_year", "1990"))


def test_nobody_is_recorded_without_a_key(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """The fault is shown, also before anybody comes; once the list is there, the code held up is recorded."""
    door, store = _sealing(make_config, tmp_path)
    assert door.show(CARD) == [CueName.FAULT]
    assert door.panel.last_standing() is CueName.FAULT_STANDING
    assert door.entries == []
    assert door.show(CARD, frames=9) == []
    _publish(store, door.clock)
    assert door.show(CARD, frames=15) == [CueName.RECORDED_PASS]
    assert door.panel.last_standing() is CueName.OFFLINE
    door.outbox.close()


def test_missing_key_is_seen_before_anybody_comes(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """The standing light tells, and the marks say why, in a sentence without a person."""
    door, _ = _sealing(make_config, tmp_path)
    door.show(frames=25)
    assert door.panel.last_standing() is CueName.FAULT_STANDING
    marks = json.loads((tmp_path / "run" / "scan-main.json").read_text())
    assert "authority" in marks["fault"]
    door.outbox.close()


def test_people_can_be_counted_without_being_recorded(make_config: Callable[..., Config], tmp_path: Path) -> None:
    """The counting mode needs no key, and keeps neither a name nor a number in any form."""
    door, _ = _sealing(make_config, tmp_path, "count")
    assert door.show(CARD) == [CueName.RECORDED_PASS]
    door.leave()
    assert door.show(CARD) == [CueName.REPEAT]
    (entry,) = door.entries
    door.outbox.close()
    assert (entry.person, entry.sealed, entry.document) == ((), (), "cccd")


@pytest.fixture
def door(make_config: Callable[..., Config]) -> Iterator[Door]:
    """A door for entering."""
    door = Door(make_config(lanes=[{"name": "north", "direction": "in", "panel": {"kind": "none"}}]))
    yield door
    door.outbox.close()


def test_code_held_up_is_one_entry_and_one_green(door: Door) -> None:
    """However many frames show it; and the entry says who, where, which way and when."""
    assert door.show(CARD, frames=10) == [CueName.RECORDED_IN]
    (entry,) = door.entries
    assert (entry.kiosk, entry.site, entry.lane, entry.direction.value) == ("test-1", "office-1", "north", "in")
    assert entry.person == (("number", "046090000123"), ("name", "Nguyen Van A"), ("birth_year", "1990"))
    assert entry.at == Moment(1_800_000_000 * S + 100 * S + S // 10, "boot-1", 100 * S + S // 10, ClockQuality.SYNCED)


@pytest.mark.parametrize("kind", ["Aztec", "RMQRCode"])
def test_a_symbol_that_is_no_qr_code_is_a_wrong_code(
    make_config: Callable[..., Config], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With a card's text or a provisioning code in it: one answer while it is held up, no entry; a card beside it is recorded."""
    caplog.set_level(logging.INFO)
    door = Door(make_config())
    set_up: list[bytes] = []
    door.scanner = Scanner(door.config, door.config.lanes[0], replace(door.parts, set_up=set_up.append))
    text = CARD.decode() if kind == "Aztec" else "KS1:AAAA"
    symbol = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind)).to_image(scale=4)
    door.camera.beside = np.asarray(symbol)
    assert door.show(frames=40) == [CueName.WRONG_CODE]
    assert "result=refused reason=wrong-code document=" + {"Aztec": "aztec", "RMQRCode": "rmqr"}[kind] in caplog.text
    assert (door.entries, set_up) == ([], [])
    assert door.show(CARD, frames=20) == [CueName.RECORDED_PASS]
    assert set_up == [CARD]
    door.outbox.close()


def test_green_comes_after_the_commit(door: Door) -> None:
    """When the panel is told, the entry is in the outbox."""
    door.show(CARD, frames=2)
    door.show(SECOND, frames=2)
    assert door.panel.committed_at_green == [1, 2]


def test_repeat_has_its_own_cue_and_no_entry(door: Door) -> None:
    """Within the window a second sighting is answered otherwise; after it the code counts again."""
    door.show(CARD)
    door.leave()
    assert door.show(CARD) == [CueName.REPEAT]
    door.leave()
    door.clock.boot += 60 * S
    assert door.show(CARD) == [CueName.RECORDED_IN]
    assert len(door.entries) == 2


def test_two_people_on_one_picture_get_two_answers(door: Door) -> None:
    """Repeats are judged per code, not by something being in view."""
    assert sorted(door.show(CARD, SECOND)) == [CueName.RECORDED_IN, CueName.RECORDED_IN]
    door.leave()
    assert door.show(SECOND, LINK)[0] in {CueName.REPEAT, CueName.WRONG_CODE}
    assert len(door.entries) == 2


def test_card_in_several_codes_is_one_entry(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each code asks for the next, the last one opens; all at once again are a repeat; no sooner committed than green."""
    issuer = CardIssuer()
    believed = SimpleNamespace(trust=issuer.trust, fault="", look=lambda: None)
    policy = Policy(Rules(frozenset({"shc"}), 60 * S), bytes(32))
    parts = replace(door.parts, trust=believed, policy=policy)  # type: ignore[arg-type]
    monkeypatch.setattr(door, "scanner", Scanner(door.config, door.config.lanes[0], parts))
    digits = issuer.shc(issuer.shc_claims()).removeprefix(b"shc:/")
    size = 2 * -(-len(digits) // 8)
    codes = [b"shc:/%d/4/%s" % (n + 1, digits[n * size : (n + 1) * size]) for n in range(4)]
    cues = [cue for code in codes for cue in door.show(code)]
    assert cues == [CueName.DAMAGED] * 3 + [CueName.RECORDED_IN]
    (entry,) = door.entries
    assert entry.document == "shc"
    assert dict(entry.person)["name"] == "Nguyễn Văn A"
    door.leave()
    cues = [cue for code in codes for cue in door.show(code)]
    assert cues == [CueName.DAMAGED] * 3 + [CueName.REPEAT]
    assert len(door.entries) == 1


def test_wrong_and_damaged_codes_differ_and_make_no_entry(door: Door) -> None:
    """Bring another code, or show this one again: the two are told apart."""
    assert door.show(LINK) == [CueName.WRONG_CODE]
    assert door.show(DAMAGED) == [CueName.DAMAGED]
    assert door.entries == []


def test_failed_commit_is_a_fault_and_is_tried_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never green without a commit: the fault is shown, and once the disk is back the same code is recorded."""

    def fails(_entry: Entry) -> int:
        raise OutboxError("disk gone")

    monkeypatch.setattr(door.outbox, "append", fails)
    assert door.show(CARD) == [CueName.FAULT]
    assert door.panel.last_standing() is CueName.FAULT_STANDING
    assert door.show(CARD, frames=9) == []
    assert door.show(CARD, frames=3) == [CueName.FAULT]
    monkeypatch.undo()
    assert door.show(CARD, frames=15) == [CueName.RECORDED_IN]
    assert len(door.entries) == 1
    assert door.panel.last_standing() is CueName.OFFLINE
    door.leave()
    assert door.show(CARD) == [CueName.REPEAT]


def test_disk_that_fails_is_seen_before_anybody_comes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standing light tells of the fault while nobody is there, and of its end."""

    def fails() -> None:
        raise OutboxError("card is read-only")

    monkeypatch.setattr(door.outbox, "check", fails)
    door.show(frames=120)
    assert door.panel.last_standing() is CueName.FAULT_STANDING
    monkeypatch.undo()
    door.show(frames=120)
    assert door.panel.last_standing() is CueName.OFFLINE


def test_standing_light_follows_the_uplink(door: Door) -> None:
    """Online is ready, anything else is offline; the uplink's marks tell."""
    door.show(frames=1)
    assert door.panel.standing == [CueName.OFFLINE]
    real_clock_ns = __import__("time").clock_gettime_ns(7)
    write_marks(door.config.state.runtime_dir, "uplink", {"state": "online", "written_boot_ns": real_clock_ns})
    door.show(frames=25)
    assert door.panel.standing == [CueName.OFFLINE, CueName.READY]
    write_marks(door.config.state.runtime_dir, "uplink", {"state": "connecting", "written_boot_ns": real_clock_ns})
    door.show(frames=25)
    assert door.panel.last_standing() is CueName.OFFLINE


def test_marks_tell_of_finished_work(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames, results, times: what the status message is made of."""
    door.show(CARD, frames=30)
    door.show(LINK, frames=30)
    monkeypatch.setattr("time.clock_gettime_ns", lambda _clock: door.clock.boot)
    marks = read_marks(door.config.state.runtime_dir, "scan-north", 15.0)
    assert marks is not None
    assert (marks["recorded"], marks["refused"], marks["fault"]) == (1, 1, "")
    assert marks["fps"] == pytest.approx(10, abs=1)
    assert marks["decode_ms_p50"] > 0
    assert 0 < door.clock.now().wall_ns - marks["last_scan_wall_ns"] < 10 * S


def test_marks_tell_no_day_that_was_guessed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the clock is set, and then that of the last code, mended."""
    monkeypatch.setattr("time.clock_gettime_ns", lambda _clock: door.clock.boot)
    door.clock.quality = ClockQuality.UNSET
    told: list[Any] = []
    for quality in (ClockQuality.UNSET, ClockQuality.SYNCED):
        door.clock.quality = quality
        door.show(*([] if told else [CARD]), frames=30)
        told.append((read_marks(door.config.state.runtime_dir, "scan-north", 15.0) or {})["last_scan_wall_ns"])
    assert told[0] is None
    assert abs(told[1] - door.entries[0].at.wall_ns) < S


def test_log_has_one_line_a_scan_and_no_person(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """What was decided and how long it took; never a name, a number or a code."""
    caplog.set_level(logging.DEBUG)
    door.show(CARD, frames=3)
    door.show(LINK, frames=3)
    door.show(DAMAGED, frames=3)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("scan ")]
    assert len(lines) == 3
    assert "result=recorded" in lines[0]
    assert "document=cccd" in lines[0]
    assert "result=refused reason=damaged" in lines[2]
    for record in caplog.records:
        for secret in ("Nguyen", "046090", "office.example"):
            assert secret not in record.getMessage()


def test_nothing_of_a_frame_reaches_the_disk(door: Door, tmp_path: Path) -> None:
    """The outbox and the marks are all that is written."""
    door.show(CARD, frames=25)
    names = {path.name.split(".")[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"outbox", "scan-north"}
    assert json.loads((tmp_path / "run" / "scan-north.json").read_text())["lane"] == "north"


def test_loop_ends_with_a_recorded_source_or_when_asked(door: Door) -> None:
    """A source that has shown its last frame is no fault, and a stop is obeyed at the next frame."""
    door.camera.frames_left = 3
    run(door.scanner, stop=lambda: False)
    assert door.camera.frames_left == 0
    run(door.scanner, stop=lambda: True)


def test_code_seen_before_the_clock_began_has_a_time(door: Door) -> None:
    """A wall clock near 1970 gives no negative time."""
    door.scanner = Scanner(door.config, door.config.lanes[0], replace(door.parts, clock=_Early()))
    door.show(CARD)
    assert door.entries[0].at.wall_ns >= 0


def test_pass_waits_for_the_time_and_a_card_does_not(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Seconds after power nobody knows whether a pass has expired: it is refused, and the log says so; cards are read."""
    caplog.set_level(logging.INFO)
    office = Office()
    code = personal_pass.code_of(office.envelope(expires_s=1_900_000_000)).encode()
    believed = SimpleNamespace(trust=office.trust, fault="", look=lambda: None)
    door.scanner = Scanner(door.config, door.config.lanes[0], replace(door.parts, trust=believed))  # type: ignore[arg-type]
    door.clock.quality = ClockQuality.UNSET
    assert door.show(code) == [CueName.WRONG_CODE]
    assert "reason=unverifiable document=pass flags=time-not-judged" in caplog.text
    assert door.show(CARD) == [CueName.RECORDED_IN]
    door.leave()
    door.clock.quality = ClockQuality.ESTIMATED
    assert door.show(code) == [CueName.RECORDED_IN]
    assert [(entry.document, entry.at.quality) for entry in door.entries] == [
        ("cccd", ClockQuality.UNSET),
        ("pass", ClockQuality.ESTIMATED),
    ]


class _Early(Clock):
    def now(self) -> Moment:
        return Moment(5, "boot-1", self.boot, ClockQuality.UNSET)
