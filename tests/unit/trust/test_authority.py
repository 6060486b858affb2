"""Lists of keys: the authority's alone are taken, none is older than the one before, and each moment has its key."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.keys.keystore import KeyStore
from kiosk.config import Config
from kiosk.envelopes import cose
from kiosk.envelopes.seal import CLASSIC, HYBRID, PrivateKey, unseal
from kiosk.errors import SealError
from kiosk.model import ClockQuality, Moment
from kiosk.sealer import Sealer
from kiosk.trust import authority_keys
from kiosk.trust.authority_keys import DayKey, KeyList

S = 1_000_000_000
DAY_S = 86_400
FIRST = date(2026, 11, 24)
START_S = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())
PERSON = (("number", "046090000123"), ("name", "Nguyễn Thị Thử"))
ENTRY = UUID(int=9)


def _at(seconds: float, quality: ClockQuality = ClockQuality.SYNCED) -> Moment:
    return Moment(round(seconds * S), "boot", 1, quality)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """An authority with three days of keys, published."""
    store = KeyStore(tmp_path / "authority")
    assert store.make(FIRST, 3, suite=CLASSIC) == 3
    store.publish(now_s=START_S)
    return store


@pytest.fixture
def config(make_config: Callable[..., Config], store: KeyStore) -> Config:
    """A kiosk that trusts it; the list is where the uplink puts it."""
    config = make_config(seal={"authority_file": str(store.authority_path)})
    _deliver(config, store)
    return config


def _path(config: Config) -> Path:
    return config.state.dir / "identity" / "authority-keys.cose"


def _deliver(config: Config, store: KeyStore) -> KeyList:
    trusted = authority_keys.authority_key(store.authority_path)
    return authority_keys.take(store.list_path.read_bytes(), _path(config), trusted)


def test_each_day_has_its_key(config: Config, store: KeyStore) -> None:
    """From midnight to midnight; and a box of one day opens with that day's key alone."""
    sealer = Sealer(config)
    keys = [one.key for one in store.stored()]
    for day, key in enumerate(keys):
        for second in (0, DAY_S - 1):
            person, (box,) = sealer.protect(PERSON, ENTRY, _at(START_S + day * DAY_S + second))
            assert (person, box.key) == ((), key.public.id)
            assert unseal(box, key, "test-1", ENTRY) == PERSON
    for second in (START_S - 1, START_S + 3 * DAY_S):
        with pytest.raises(SealError, match="none of 'authority' for now"):
            sealer.protect(PERSON, ENTRY, _at(second))


def test_clock_that_was_never_set_takes_the_last_key(config: Config, store: KeyStore) -> None:
    """The one that is destroyed last, so that nothing is lost; an estimated clock names its day."""
    sealer = Sealer(config)
    (box,) = sealer.protect(PERSON, ENTRY, _at(12, ClockQuality.UNSET))[1]
    assert box.key == store.stored()[-1].key.public.id
    (box,) = sealer.protect(PERSON, ENTRY, _at(START_S, ClockQuality.ESTIMATED))[1]
    assert box.key == store.stored()[0].key.public.id


def test_second_recipient_gets_a_box_of_her_own(config: Config, store: KeyStore, tmp_path: Path) -> None:
    """Each opens her own, of her own suite; the list is refused where one of them has a day without a key."""
    second = KeyStore(tmp_path / "second")
    second.make(FIRST, 2, suite=HYBRID, recipient="auditor")
    store.publish([second.public_path], now_s=START_S)
    _deliver(config, store)
    boxes = Sealer(config).protect(PERSON, ENTRY, _at(START_S + 5))[1]
    assert [box.suite for box in boxes] == [CLASSIC, HYBRID]
    for box, one in zip(boxes, (store.stored()[0], second.stored()[0]), strict=True):
        assert unseal(box, one.key, "test-1", ENTRY) == PERSON
    with pytest.raises(SealError, match="none of 'auditor'"):
        Sealer(config).protect(PERSON, ENTRY, _at(START_S + 2 * DAY_S))
    third = KeyStore(tmp_path / "third")
    third.make(FIRST + timedelta(days=1), 1, suite=CLASSIC, recipient="late")
    with pytest.raises(SealError, match="'late' has no key from 2026-11-24"):
        store.publish([third.public_path], now_s=START_S)


def test_modes_say_what_becomes_of_a_person(make_config: Callable[..., Config]) -> None:
    """Off leaves it, count drops it, and required refuses without a list; each is told to the centre."""
    now = _at(START_S)
    off, count = (Sealer(make_config(seal={"mode": mode})) for mode in ("off", "count"))
    assert off.protect(PERSON, ENTRY, now) == (PERSON, ())
    assert count.protect(PERSON, ENTRY, now) == ((), ())
    required = Sealer(make_config(seal={"authority_file": "/nowhere/authority.pem"}))
    with pytest.raises(SealError, match=r"authority.pem cannot be read: No such file"):
        required.protect(PERSON, ENTRY, now)
    with pytest.raises(SealError):
        required.check(now)
    off.check(now)
    count.check(now)
    assert [sealer.warnings(now) for sealer in (off, count, required)] == [
        ["not-sealed"],
        ["only-counted"],
        ["no-authority-key"],
    ]
    assert Config.model_validate({"kiosk": {"id": "a", "site": "b"}}).seal.mode == "required"


def test_end_of_the_keys_is_told_a_week_ahead(config: Config, store: KeyStore) -> None:
    """While there is time to publish more."""
    assert Sealer(config).warnings(_at(START_S)) == ["authority-keys-ending"]
    store.make(FIRST, 30, suite=CLASSIC)
    store.publish(now_s=START_S)
    _deliver(config, store)
    assert Sealer(config).warnings(_at(START_S)) == []
    assert Sealer(config).warnings(_at(START_S + 23 * DAY_S + 1)) == ["authority-keys-ending"]
    assert Sealer(config).warnings(_at(START_S + 23 * DAY_S + 1, ClockQuality.UNSET)) == []
    assert Sealer(config).warnings(_at(START_S + 30 * DAY_S)) == ["no-authority-key"]


def test_new_list_is_taken_while_it_runs_and_an_older_one_never(
    config: Config, store: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Replaced behind the scan process's back: the newer is used at once, the older and the forged are not."""
    sealer = Sealer(config)
    old = store.list_path.read_bytes()
    sealer.check(_at(START_S))
    store.make(FIRST, 30, suite=CLASSIC)
    store.publish(now_s=START_S)
    _deliver(config, store)
    sealer.check(_at(START_S + 20 * DAY_S))
    new = _path(config).read_bytes()
    forged = authority_keys.sign(
        KeyList(START_S + 99, (DayKey("authority", PrivateKey.make(CLASSIC).public, 0, START_S * 2),)),
        Ed25519PrivateKey.generate(),
    )
    caplog.set_level(logging.WARNING)
    for bad in (old, forged, b"", new[:-1]):
        _path(config).write_bytes(bad)
        sealer.check(_at(START_S + 20 * DAY_S))
        assert "keys-not-taken" in caplog.messages.pop()
        if bad is not old:
            with pytest.raises(SealError):
                Sealer(config).check(_at(START_S))
    _path(config).unlink()
    sealer.check(_at(START_S + 20 * DAY_S))


def test_uplink_refuses_an_older_list(config: Config, store: KeyStore) -> None:
    """A key that was replaced or destroyed does not come back; the same list again changes nothing."""
    trusted = authority_keys.authority_key(store.authority_path)
    old = store.list_path.read_bytes()
    store.publish(now_s=START_S)  # in the same second: still newer
    new = store.list_path.read_bytes()
    assert authority_keys.read(new, trusted).issued_s == authority_keys.read(old, trusted).issued_s + 1
    _deliver(config, store)
    inode = _path(config).stat().st_ino
    with pytest.raises(SealError, match="older than the one that is here"):
        authority_keys.take(old, _path(config), trusted)
    authority_keys.take(new, _path(config), trusted)
    assert _path(config).read_bytes() == new
    assert _path(config).stat().st_ino == inode
    _path(config).write_bytes(b"rotten")
    authority_keys.take(new, _path(config), trusted)
    assert _path(config).read_bytes() == new


def test_list_that_cannot_be_written_is_said(config: Config, store: KeyStore, tmp_path: Path) -> None:
    """With the file and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(SealError, match="cannot be written to"):
        authority_keys.take(
            store.list_path.read_bytes(), tmp_path / "file" / "list", authority_keys.authority_key(store.authority_path)
        )
    assert config.seal.mode == "required"


@pytest.mark.parametrize(
    ("claims", "purpose", "reason"),
    [
        ({6: 1, -65_540: []}, authority_keys.PURPOSE, "not of the form"),
        ({6: "now", -65_540: [["a", "x25519", bytes(32), 1, 2]]}, authority_keys.PURPOSE, "not of the form"),
        ({-65_540: [["a", "x25519", bytes(32), 1, 2]]}, authority_keys.PURPOSE, "not of the form"),
        ({6: 1, -65_540: [["a", "x25519", bytes(32), 2, 2]]}, authority_keys.PURPOSE, "not of the form"),
        ({6: 1, -65_540: [["a", "x25519", bytes(32), 1]]}, authority_keys.PURPOSE, "not of the form"),
        ({6: 1, -65_540: [["a", "rsa", bytes(32), 1, 2]]}, authority_keys.PURPOSE, "no public key of a suite"),
        (
            {6: 1, -65_540: [[c, "x25519", bytes(32), 1, 2] for c in "abcde"]},
            authority_keys.PURPOSE,
            "more than 4 recip",
        ),
        ({6: 1, -65_540: [["a", "x25519", bytes(32), 1, 2]]}, b"kiosk-pass-1", "not the authority's"),
    ],
)
def test_list_of_another_form_is_refused(claims: dict[int, object], purpose: bytes, reason: str) -> None:
    """Also when the authority's own key has signed it: for another purpose, or by another version."""
    key = Ed25519PrivateKey.generate()
    with pytest.raises(SealError, match=reason):
        authority_keys.read(cose.sign(claims, key, purpose), key.public_key())


@pytest.mark.parametrize("message", [b"", bytes(1 << 19), cbor2.dumps([1, 2]), b"\xd2\x84" + bytes(20)])
def test_what_is_no_list_is_refused(message: bytes) -> None:
    """Whatever the broker brings."""
    with pytest.raises(SealError):
        authority_keys.read(message, Ed25519PrivateKey.generate().public_key())


def test_public_key_of_another_kind_is_refused(tmp_path: Path, store: KeyStore) -> None:
    """An empty file, and a private key that somebody put there by mistake."""
    for content in (b"", (store.folder / "authority.key").read_bytes()):
        (tmp_path / "key.pem").write_bytes(content)
        with pytest.raises(SealError, match="no public key"):
            authority_keys.authority_key(tmp_path / "key.pem")


def test_store_is_for_its_owner_alone(store: KeyStore) -> None:
    """Folders and private keys; what is public may be read by all."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (store.folder, *store.folder.rglob("*"))}
    assert modes["authority"] == modes["days"] == 0o700
    assert modes["authority.key"] == 0o600
    assert {mode for name, mode in modes.items() if name.startswith("2026-")} == {0o600}
    assert modes["authority.pem"] == modes["authority-keys.cose"] == 0o644


def test_keys_are_made_once_for_each_day(store: KeyStore) -> None:
    """Making them again adds the days that are missing and changes none; days begin at the place's midnight."""
    before = [one.key.public.id for one in store.stored()]
    assert store.make(FIRST, 5, suite=HYBRID, zone=timezone(timedelta(hours=7))) == 2
    stored = store.stored()
    assert [one.key.public.id for one in stored][:3] == before
    assert [one.day for one in stored] == [FIRST + timedelta(days=day) for day in range(5)]
    assert stored[-1].listed.from_s == START_S + 4 * DAY_S - 7 * 3600
    assert stored[-1].listed.until_s - stored[-1].listed.from_s == DAY_S
    with pytest.raises(SealError, match="make 1 to 400"):
        store.make(FIRST, 0, suite=CLASSIC)


def test_destroyed_key_is_gone_from_disk_and_list(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overwritten before it is removed, no longer published; and what is still sealed to is not destroyed."""
    first = store.stored()[0]
    with pytest.raises(SealError, match="stations still seal to it"):
        store.destroy(FIRST + timedelta(days=1), now_s=START_S + DAY_S - 1)
    written: list[bytes] = []
    real = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path == first.path:
            written.append(path.read_bytes())
        real(path, missing_ok=missing_ok)

    content = first.path.read_bytes()
    monkeypatch.setattr(Path, "unlink", unlink)
    assert [one.day for one in store.destroy(FIRST + timedelta(days=1), now_s=START_S + DAY_S)] == [FIRST]
    assert len(written[0]) == len(content)
    assert b"PRIVATE" not in written[0]
    assert not first.path.exists()
    assert first.key.public.raw.hex() not in store.public_path.read_text()
    store.publish(now_s=START_S + DAY_S)
    keys = authority_keys.load(store.list_path, authority_keys.authority_key(store.authority_path)).keys
    assert first.key.public not in {key.key for key in keys}


def test_store_that_was_tampered_with_is_named(store: KeyStore, tmp_path: Path) -> None:
    """A file with another key in it, one that is no key, and lists that are none: each with its name."""
    first, second, _ = (one.path for one in store.stored())
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(SealError, match="holds the key"):
        store.stored()
    first.write_bytes(b"x")
    with pytest.raises(SealError, match="not a key as `central keys` writes it"):
        store.stored()
    first.write_bytes(content)
    (tmp_path / "public.json").write_text("[{}]")
    with pytest.raises(SealError, match=r"no public\.json"):
        store.publish([tmp_path / "public.json"])
    with pytest.raises(SealError, match="no key for today"):
        store.publish(now_s=START_S - 5)
    for wrong in (b"x", PrivateKey.make(CLASSIC).to_pem().encode()):
        (store.folder / "authority.key").write_bytes(wrong)
        with pytest.raises(SealError, match="bring back the authority's own"):
            store.publish(now_s=START_S)
    (tmp_path / "file").touch()
    with pytest.raises(SealError, match="Not a directory"):
        KeyStore(tmp_path / "file" / "x").make(FIRST, 1, suite=CLASSIC)


def test_list_that_is_too_long_is_refused(store: KeyStore) -> None:
    """Before any station sees it."""
    store.make(FIRST, 400, suite=HYBRID)
    with pytest.raises(SealError, match="publish fewer days"):
        store.publish(now_s=START_S)
