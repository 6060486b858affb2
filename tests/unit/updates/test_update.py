"""An update on its way: ordered by signature alone, fetched piece by piece, installed once, told as it stands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk.__main__ import main
from kiosk.config import Config
from kiosk.envelopes import cose, remote
from kiosk.envelopes.offer import Offer, is_offer, key_of
from kiosk.envelopes.remote import Command, Verb
from kiosk.errors import UpdateError
from kiosk.model import ClockQuality, Moment
from kiosk.updates import fetch, install, updating
from kiosk.updates.rules import Found, Mark, State, is_night, standing, unfit
from tests.bundle_server import NEW, Server
from tests.net import V4, Net

KEY = Ed25519PrivateKey.generate()
KEYS = {cose.key_id(KEY.public_key()): KEY.public_key()}
ID = bytes(range(16))
OLD = "0.1.0+20261124213755"
OFFER = Offer(NEW, "https://updates.example:8443/kiosk-pi4.raucb", bytes(32), 1000)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0.1.0+20261124213755", "0.1.0+20261124213756"),
        ("0.9.0+20261124213755", "0.10.0+20250101000000"),
        ("9.9.9+20261124213755", "10.0.0+20250101000000"),
    ],
)
def test_versions_are_compared_number_by_number(older: str, newer: str) -> None:
    """The program's version first, then the time of its sources."""
    assert key_of(older) < key_of(newer)


@pytest.mark.parametrize("text", ["", "1", "0.1.0", "0.1.0+1", "0.1.0-20261124213755", "0.1.0+20261124213755 "])
def test_what_is_no_version_is_older_than_all(text: str) -> None:
    """A station without an image has no version and takes any."""
    assert key_of(text) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.0"},
        {"url": "http://updates.example/b.raucb"},
        {"url": "https://updates.example/b.raucb?x=1"},
        {"url": "https://user@updates.example/b.raucb"},
        {"url": "https://updates.example/" + "x" * 200},
        {"sha256": bytes(31)},
        {"size_bytes": 0},
        {"size_bytes": (2 << 30) + 1},
    ],
)
def test_offer_is_judged_strictly(change: dict[str, Any]) -> None:
    """An address that is not plain HTTPS, a size without bound, a wrong hash or version: no offer, though it is signed."""
    assert is_offer(OFFER)
    assert not is_offer(replace(OFFER, **change))
    bad = Command(ID, 7, Verb.UPDATE, update=replace(OFFER, **change))
    assert remote.ordered(remote.signed(bad, "test-1", KEY, 1_800_000_000, 60), KEYS) is None


def test_night_may_go_past_midnight() -> None:
    """The window holds its start and not its end, and one without length is all day."""
    assert [is_night(minute, 60, 240) for minute in (59, 60, 239, 240)] == [False, True, True, False]
    assert [is_night(minute, 1380, 120) for minute in (1379, 1380, 0, 119, 120)] == [False, True, True, True, False]
    assert is_night(700, 60, 60)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"wanted": ""}, State.NONE),
        ({}, State.WAITING),
        ({"fetched": Mark("aa", State.FETCHING)}, State.FETCHING),
        ({"fetched": Mark("bb", State.FETCHED)}, State.WAITING),
        ({"fetched": Mark("aa", State.FETCHED), "installed": Mark("aa", State.INSTALLING)}, State.INSTALLING),
        ({"installed": Mark("aa", State.INSTALLED), "pending": True}, State.INSTALLED),
        ({"installed": Mark("aa", State.INSTALLED)}, State.FAILED),
        ({"installed": Mark("aa", State.FAILED, "no room")}, State.FAILED),
        ({"installed": Mark("bb", State.FAILED, "no room")}, State.WAITING),
        ({"running": NEW, "pending": True}, State.ON_TRIAL),
        ({"running": NEW}, State.PROVED),
    ],
)
def test_update_stands_as_its_parts_say(change: dict[str, Any], state: State) -> None:
    """Marks of another order count for nothing; what runs counts most; a trial that was left has failed."""
    found = replace(Found(OLD, NEW, "aa", None, None, pending=False), **change)
    assert standing(found).state is state


def _order(offer: Offer = OFFER, key: Ed25519PrivateKey = KEY, identity: bytes = ID) -> bytes:
    return remote.signed(Command(identity, 7, Verb.UPDATE, update=offer), "test-1", key, 1_800_000_000, 60)


def test_order_is_believed_by_its_signature(tmp_path: Path) -> None:
    """A foreign key's order, another command, a link, a file without end: none is an order."""
    updating.keep_order(tmp_path, _order())
    inbox = updating.inbox_of(tmp_path)
    order = updating.order_in(inbox, KEYS)
    assert order is not None
    assert order.update == OFFER
    foreign = _order(key=Ed25519PrivateKey.generate())
    other = remote.signed(Command(ID, 7, Verb.REBOOT), "test-1", KEY, 1_800_000_000, 60)
    for message in (foreign, other, b"", b"\xff" * 100, bytes(600), bytes(100_000)):
        (inbox / updating.ORDER).write_bytes(message)
        assert updating.order_in(inbox, KEYS) is None
    (inbox / "elsewhere").write_bytes(_order())
    (inbox / updating.ORDER).unlink()
    (inbox / updating.ORDER).symlink_to(inbox / "elsewhere")
    assert updating.order_in(inbox, KEYS) is None
    (inbox / updating.ORDER).unlink()
    os.mkfifo(inbox / updating.ORDER)
    assert updating.order_in(inbox, KEYS) is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The centre's server of bundles."""
    one = Server(tmp_path)
    yield one
    one.close()


@pytest.fixture
def config(make_config: Callable[..., Config], tmp_path: Path) -> Config:
    """A station that takes updates at any time."""
    fleet = tmp_path / "fleet.pem"
    fleet.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "rauc").mkdir()
    (tmp_path / "version").write_text(f"{OLD}\n")
    return make_config(
        update={"window_from": "00:00", "window_to": "00:00", "dir": str(tmp_path / "rauc"),
                "version_file": str(tmp_path / "version")},
        trust={"fleet_key_file": str(fleet)},
        uplink={"tls": {"ca_file": str(tmp_path / "ca.pem")}},
    )  # fmt: skip


def _fetch(offer: Offer, config: Config, *, pieces: int = 10**6) -> bool:
    inbox = updating.inbox_of(config.state.dir)
    inbox.mkdir(parents=True, exist_ok=True)
    left = iter(range(pieces))
    part, bundle = inbox / updating.PART, inbox / updating.BUNDLE
    return fetch.fetch(offer, part, bundle, config, lambda: next(left, None) is not None)


def test_bundle_is_fetched_and_resumed(server: Server, config: Config) -> None:
    """Broken off by the server and by the end of the night, it goes on where it was, and is whole in the end."""
    server.cut_after = 200_000
    assert not _fetch(server.offer(), config)
    assert not _fetch(server.offer(), config, pieces=1)
    server.cut_after = None
    assert _fetch(server.offer(), config)
    assert (updating.inbox_of(config.state.dir) / updating.BUNDLE).read_bytes() == server.content
    assert server.asked[0] is None
    assert server.asked[1] == "bytes=200000-"
    assert 200_000 < int(str(server.asked[2])[6:-1]) < 300_000


def test_dead_first_address_of_the_server_is_passed_by(server: Server, config: Config) -> None:
    """A name with an address that swallows everything before the good one."""
    with ExitStack() as stack:
        net = Net(stack, "localhost")
        addresses = [net.hole(), ("127.0.0.1", server.port)]
        net.answers[V4] = lambda: addresses
        assert _fetch(server.offer(), config)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda server: setattr(server, "status", 404), "says 404"),
        (lambda server: setattr(server, "content", bytes(500_000)), "not the bundle that was ordered"),
        (lambda server: setattr(server, "content", os.urandom(900_000)), "not the bundle that was ordered"),
    ],
)
def test_server_is_not_trusted(server: Server, config: Config, spoil: Callable[[Server], None], reason: str) -> None:
    """Another file, a longer one, none: an error, and no byte more than was ordered is kept."""
    offer = server.offer()
    spoil(server)
    with pytest.raises(UpdateError, match=reason):
        _fetch(offer, config)
    inbox = updating.inbox_of(config.state.dir)
    assert not (inbox / updating.BUNDLE).exists()
    assert not (inbox / updating.PART).exists()


def test_server_that_cannot_resume_is_asked_from_the_start(server: Server, config: Config) -> None:
    """A server without ranges costs an attempt, not the update."""
    server.cut_after, server.ranges = 200_000, False
    assert not _fetch(server.offer(), config)
    server.cut_after = None
    with pytest.raises(UpdateError, match="cannot be resumed"):
        _fetch(server.offer(), config)
    assert _fetch(server.offer(), config)


def test_strange_server_is_not_spoken_to(server: Server, config: Config, tmp_path: Path) -> None:
    """A certificate of another authority, a port where nobody is: a sentence with the address."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    with pytest.raises(UpdateError, match=r"localhost.*certificate verify failed"):
        _fetch(server.offer(), config)
    with pytest.raises(UpdateError, match="cannot be fetched"):
        _fetch(server.offer(url="https://127.0.0.1:1/b.raucb"), config)
    assert server.asked == []


def test_entries_keep_their_room(server: Server, config: Config) -> None:
    """An update that would leave too little room for entries is not begun."""
    with pytest.raises(UpdateError, match="MB of room are needed"):
        _fetch(server.offer(size_bytes=2 << 50), config)
    assert server.asked == []


@pytest.fixture
def station(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `kiosk update …` of a station whose RAUC writes down what it was given, and does as it is told."""
    (tmp_path / "kiosk.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json())))
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "rauc").write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/rauc.log\n[ -e {tmp_path}/refuse ] || {{ echo B >{config.update.dir}/pending; exit 0; }}\n'
        "echo 'LastError: signature verification failed'; exit 1\n"
    )
    (tools / "rauc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    def run(what: str) -> int:
        options = {
            "config": tmp_path / "kiosk.yaml", "inbox": updating.inbox_of(config.state.dir), "data": config.update.dir,
            "version-file": config.update.version_file, "fleet-key": config.trust.fleet_key_file,
        }  # fmt: skip
        return main(["update", what, *(word for name, path in options.items() for word in (f"--{name}", str(path)))])

    return run


def _stands(config: Config) -> tuple[str, str]:
    report = updating.report(config, KEYS)
    return report["state"], report["reason"]


def test_update_goes_its_way_once(server: Server, config: Config, station: Callable[..., int], tmp_path: Path) -> None:
    """Ordered, fetched, installed, on trial, proved: the status says each, and nothing is done twice."""
    assert _stands(config)[0] == "none"
    assert station("fetch") == 0
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    assert _stands(config)[0] == "waiting"
    inbox = updating.inbox_of(config.state.dir)
    assert station("fetch") == 0
    assert _stands(config)[0] == "fetched"
    assert (inbox / updating.READY).exists()
    asked = len(server.asked)
    assert station("fetch") == 0
    assert len(server.asked) == asked
    assert station("install") == 0
    assert _stands(config)[0] == "installed"
    assert not (inbox / updating.READY).exists()
    assert station("install") == 1
    assert (tmp_path / "rauc.log").read_text().splitlines() == [f"install {inbox / updating.BUNDLE}"]
    assert station("fetch") == 0
    assert not (inbox / updating.BUNDLE).exists()
    (tmp_path / "version").write_text(f"{NEW}\n")
    assert _stands(config)[0] == "on-trial"
    (config.update.dir / updating.PENDING).unlink()
    assert _stands(config)[0] == "proved"
    assert station("status") == 0


def test_update_that_was_left_is_not_tried_again(server: Server, config: Config, station: Callable[..., int]) -> None:
    """After a failed trial the station says so and waits for another order."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    assert (station("fetch"), station("install")) == (0, 0)
    assert _stands(config)[0] == "installed"
    (config.update.dir / updating.PENDING).unlink()  # as `prove` does in the version before
    assert _stands(config) == ("failed", "it did not prove itself; the version before runs again")
    assert (station("fetch"), station("install")) == (0, 1)
    updating.keep_order(config.state.dir, _order(server.offer(), identity=bytes(16)))
    assert _stands(config)[0] == "waiting"
    assert (station("fetch"), station("install")) == (0, 0)


def test_trial_of_another_version_is_awaited(
    server: Server, config: Config, station: Callable[..., int], tmp_path: Path
) -> None:
    """An order that comes during a trial waits for its end; then it goes its way."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    assert station("fetch") == 0
    (config.update.dir / updating.PENDING).write_text("B\n")
    assert (station("install"), station("fetch")) == (1, 0)
    assert _stands(config) == ("waiting", "until the trial of another version is over")
    assert not (tmp_path / "rauc.log").exists()
    (config.update.dir / updating.PENDING).unlink()
    assert (station("fetch"), station("install")) == (0, 0)


def test_refusal_of_rauc_is_told(server: Server, config: Config, station: Callable[..., int], tmp_path: Path) -> None:
    """What RAUC refuses has failed, with its reason, and is not tried again."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    (tmp_path / "refuse").touch()
    assert station("fetch") == 0
    assert station("install") == UpdateError.exit_code
    state, reason = _stands(config)
    assert state == "failed"
    assert "signature verification failed" in reason
    assert station("install") == 1


def test_older_version_is_refused_before_rauc(
    server: Server, config: Config, station: Callable[..., int], tmp_path: Path
) -> None:
    """An order of an older version, though signed, fails; RAUC is not even asked."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer(version="0.0.9+20261124213755")))
    assert station("fetch") == 0
    assert station("install") == UpdateError.exit_code
    assert "is older than" in _stands(config)[1]
    assert not (tmp_path / "rauc.log").exists()


def test_root_compares_the_bundle_itself(
    server: Server, config: Config, station: Callable[..., int], tmp_path: Path
) -> None:
    """A bundle that was exchanged behind the fetching, or is a link, is not given to RAUC, and is fetched again."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    assert station("fetch") == 0
    bundle = updating.inbox_of(config.state.dir) / updating.BUNDLE
    bundle.write_bytes(bytes(len(server.content)))
    assert station("install") == UpdateError.exit_code
    bundle.rename(bundle.with_name("elsewhere"))
    bundle.symlink_to(bundle.with_name("elsewhere"))
    assert station("install") == UpdateError.exit_code
    bundle.unlink()
    bundle.touch()
    assert not (tmp_path / "rauc.log").exists()
    assert _stands(config)[0] == "installing"
    assert (station("fetch"), station("install")) == (0, 0)
    assert len((tmp_path / "rauc.log").read_text().splitlines()) == 1


def test_installation_that_never_ends_is_given_up(
    server: Server, config: Config, station: Callable[..., int], tmp_path: Path
) -> None:
    """Three power cuts in the middle of it, and the station asks for no fourth."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    assert station("fetch") == 0
    mark = Mark(ID.hex(), State.INSTALLING, "", install.TRIES)
    updating.write_mark(config.update.dir / updating.INSTALL, mark)
    assert station("install") == UpdateError.exit_code
    assert "never finished" in _stands(config)[1]
    assert not (tmp_path / "rauc.log").exists()


def test_root_obeys_the_fleet_alone(config: Config, station: Callable[..., int], tmp_path: Path) -> None:
    """Without an order that the fleet has signed nothing is installed, whatever lies there."""
    updating.inbox_of(config.state.dir).mkdir(parents=True)
    (updating.inbox_of(config.state.dir) / updating.BUNDLE).write_bytes(b"bundle")
    for message in (None, _order(key=Ed25519PrivateKey.generate()), b"rubbish"):
        if message is not None:
            updating.keep_order(config.state.dir, message)
        assert station("install") == UpdateError.exit_code
    assert not (tmp_path / "rauc.log").exists()


def test_station_without_time_waits(
    server: Server, config: Config, monkeypatch: pytest.MonkeyPatch, station: Callable[..., int]
) -> None:
    """While nobody has told the time no certificate can be judged, and it may be noon."""

    class Unset:
        def __init__(self, _: Path) -> None:
            pass

        def now(self) -> Moment:
            return Moment(0, "boot-1", 1, ClockQuality.UNSET)

    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    monkeypatch.setattr("kiosk.commands.update.SystemClock", Unset)
    assert station("fetch") == 0
    assert _stands(config) == ("waiting", "until the clock is set")
    assert server.asked == []


def test_by_day_nothing_is_fetched(
    server: Server, config: Config, monkeypatch: pytest.MonkeyPatch, station: Callable[..., int]
) -> None:
    """Outside the window the order waits, and the status says until when."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    monkeypatch.setattr("kiosk.commands.update._is_night", lambda _: False)
    assert station("fetch") == 0
    assert _stands(config) == ("waiting", "until 00:00")
    assert server.asked == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"id": 1, "state": "flying", "reason": "", "tries": 0}', b"[" * 4000]
)
def test_damaged_mark_says_nothing(tmp_path: Path, content: bytes) -> None:
    """A mark that cannot be read is no mark."""
    (tmp_path / "mark").write_bytes(content)
    assert updating.read_mark(tmp_path / "mark") is None


@pytest.mark.parametrize(
    ("board", "made", "reason"),
    [
        ("pi4", None, ""),
        ("pi4", "2022-10-18", ""),
        ("pi5", "2025-02-12", ""),
        ("", None, ""),
        ("pi4", "2022-10-17", "of 2022-10-17 and knows no trial"),
        ("pi4", "2020-09-03", "Raspberry Pi Imager"),
        ("zero2w", None, "write a new card instead"),
    ],
)
def test_board_that_boots_no_trial_is_named(board: str, made: str | None, reason: str) -> None:
    """By what it is and by how old its bootloader is; a board that tells nothing is not held back."""
    made_s = None if made is None else int(datetime.fromisoformat(f"{made}T12:00:00+00:00").timestamp())
    found = unfit(board, made_s)
    assert reason in found
    assert bool(found) is bool(reason)
    assert len(found) <= 200  # as much as a status tells


def test_age_of_the_bootloader_is_read(tmp_path: Path) -> None:
    """A cell of four bytes, the highest first, as the firmware writes it into the device tree; anything else tells nothing."""
    file = tmp_path / "proc/device-tree/chosen/bootloader/build-timestamp"
    assert updating.bootloader_s(tmp_path) is None
    file.parent.mkdir(parents=True)
    for content, age_s in ((b"\x63\x4d\xec\x80", 0x634DEC80), (b"", None), (b"\x63\x4d\xec\x80\x00", None)):
        file.write_bytes(content)
        assert updating.bootloader_s(tmp_path) == age_s


@pytest.mark.parametrize("step", ["fetch", "install"])
def test_board_that_boots_no_trial_takes_no_update(
    server: Server, config: Config, station: Callable[..., int], tmp_path: Path, step: str
) -> None:
    """Nothing is asked of the server and nothing of RAUC, and the status says why."""
    config.state.dir.mkdir(exist_ok=True)
    updating.keep_order(config.state.dir, _order(server.offer()))
    if step == "install":
        assert station("fetch") == 0
    asked = len(server.asked)
    config.update.version_file.with_name("board").write_text("zero2w\n")
    assert station(step) == (0 if step == "fetch" else 22)
    assert _stands(config) == ("failed", unfit("zero2w", None))
    assert len(server.asked) == asked
    assert not (tmp_path / "rauc.log").exists()
