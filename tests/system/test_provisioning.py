"""From a code on a sheet of paper to entries in the ledger, and every way that is barred."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central import paper
from central.__main__ import main as central
from central.fleet import authority, invitation
from central.fleet.enrolment_server import LARGEST_BODY_BYTES
from central.fleet.registry import Fleet
from central.keys import signing_key
from central.ledgers.sqlite import SqliteLedger
from kiosk.__main__ import main as kiosk
from kiosk.clock import SystemClock
from kiosk.commissioning import enrolment, identity, provision, wifi
from kiosk.config import Config
from kiosk.delivery import mqtt
from kiosk.delivery.link import Acknowledged, Closed, Ready
from kiosk.delivery.mqtt import probe
from kiosk.delivery.routes import Route
from kiosk.envelopes import provisioning_code, remote
from kiosk.envelopes.provisioning_code import (
    ENTRIES_WAIT,
    EXPIRED,
    FORGED,
    NO_CENTRE,
    NO_WIFI,
    NOT_A_CODE,
    NOT_KEPT,
    REFUSED,
    SET_UP_ALREADY,
    USED,
    Wifi,
)
from kiosk.envelopes.remote import Command, Verb
from kiosk.errors import LinkError, NotProvisionedError, ProvisionError
from kiosk.model import ClockQuality, Direction, Entry, Moment
from kiosk.orders.executor import Executor
from kiosk.outbox import Outbox
from kiosk.settings import loader
from kiosk.sim.cards import write_cards
from tests.centres import Centre
from tests.net import V4, Net
from tests.running import until

# paho drops the socket of a link that is closed while it reads.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
HOUR_S = 3600
DAY_NS = 86_400_000_000_000


def _number(path: Path, text: str, **how: Any) -> int:
    with pytest.raises(ProvisionError) as caught:
        provision.set_up(path, text, **{"wait_s": 0.0, **how})
    return caught.value.number


def _authority(folder: Path, days: int = 3) -> Path:
    """The authority's keys and its list, for so many days."""
    assert central(["keys", "make", "--keys", str(folder), "--days", str(days)]) == 0
    assert central(["keys", "publish", "--keys", str(folder)]) == 0
    return folder


def test_list_of_keys_is_taken_by_its_signature_on_every_way(
    centre: Centre, board: Callable[..., Path], tmp_path: Path
) -> None:
    """Junk, another authority's list and an older one take nobody's place, at the set-up and with a new certificate; a newer one does."""
    keys = _authority(tmp_path / "authority")
    older = (keys / "authority-keys.cose").read_bytes()
    time.sleep(1.1)  # lists are told apart by their second
    newer = (_authority(keys, 5) / "authority-keys.cose").read_bytes()
    foreign = (_authority(tmp_path / "foreign", 9) / "authority-keys.cose").read_bytes()
    path, offered = board(seal={"authority_file": str(keys / "authority.pem")}), centre.fleet / "authority-keys.cose"
    offered.write_bytes(b"junk")
    provision.set_up(path, centre.code())
    config = loader.load(path)
    here = identity.folder_in(config.state.dir) / "authority-keys.cose"
    assert not here.exists()
    valid = identity.validity(config.state.dir)
    assert valid is not None
    due = Moment(round((valid.from_s + 0.7 * (valid.until_s - valid.from_s)) * 1e9), "b", 1, ClockQuality.SYNCED)
    for come, stays in ((older, older), (newer, newer), (older, newer), (b"junk", newer), (foreign, newer)):
        offered.write_bytes(come)
        assert provision.renew_if_due(config, due)
        assert here.read_bytes() == stays
        provision.set_up(path, centre.code(again=True))
        assert here.read_bytes() == stays


def test_board_gets_another_name_only_when_nothing_waits(
    centre: Centre, board: Callable[..., Path], make_entry: Callable[[int], Entry]
) -> None:
    """A maintenance code of another station is that one's; with the jumper, entries of the old name are delivered first."""
    path = board()
    provision.set_up(path, centre.code("door-a"))
    config = loader.load(path)
    other = centre.code("door-b", again=True)
    assert _number(path, other) == SET_UP_ALREADY
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        outbox.append(make_entry(1))
        for text in (other, centre.code("door-b")):
            with pytest.raises(ProvisionError, match="1 entries of door-a wait") as caught:
                provision.set_up(path, text, jumper=True)
            assert caught.value.number == ENTRIES_WAIT
        assert (loader.load(path).kiosk.id, outbox.depth()) == ("door-a", 1)
        provision.set_up(path, centre.code("door-a", again=True))  # its own name takes nothing from anybody
        outbox.settle(1)
        outbox.note_oversized(1, 9000)
        with pytest.raises(ProvisionError, match="1 entries of door-a wait"):
            provision.set_up(path, centre.code("door-b"), jumper=True)
        outbox.no_longer_oversized(1)
    provision.set_up(path, centre.code("door-b"), jumper=True)
    assert loader.load(path).kiosk.id == "door-b"
    (config.state.dir / "outbox.db").write_bytes(b"spoilt " * 1000)
    with pytest.raises(ProvisionError) as caught:
        provision.set_up(path, centre.code("door-c"), jumper=True)
    assert caught.value.number == NOT_KEPT


def test_code_becomes_an_identity(centre: Centre, board: Callable[..., Path], tmp_path: Path) -> None:
    """A key made here, a certificate for it, the code's words as configuration; and the broker lets it in."""
    path = board()
    with pytest.raises(NotProvisionedError):
        loader.load(path)
    keys = _authority(tmp_path / "authority")
    path = board(seal={"authority_file": str(keys / "authority.pem")})
    listed = (keys / "authority-keys.cose").read_bytes()
    (centre.fleet / "authority-keys.cose").write_bytes(listed)
    provision.set_up(path, centre.code())
    config = loader.load(path)
    assert (config.kiosk.id, config.kiosk.site, config.lanes[0].direction) == ("door-a", "office-1", Direction.IN)
    assert config.lanes[0].panel.kind == "none"
    folder = identity.folder_in(config.state.dir)
    modes = {item.name: stat.S_IMODE(item.stat().st_mode) for item in folder.iterdir()}
    assert modes == {
        "key.pem": 0o600, "cert.pem": 0o640, "ca.pem": 0o640, "kiosk.yaml": 0o640, "authority-keys.cose": 0o640,
    }  # fmt: skip
    assert (folder / "authority-keys.cose").read_bytes() == listed
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert probe(config, config.uplink.brokers[0], 5.0) == "speaks MQTT 5"
    assert [item.name for item in config.state.dir.iterdir()] == ["identity"]


def test_dead_first_address_of_the_centre_is_passed_by(centre: Centre, board: Callable[..., Path]) -> None:
    """A name with an address that swallows everything before the good one; the certificate is checked against the name, and the watchdog is told."""
    with ExitStack() as stack:
        net = Net(stack, "127.0.0.1")
        addresses = [net.hole(), ("127.0.0.1", centre.port)]
        net.answers[V4] = lambda: addresses
        path, signs = board(), list[str]()
        provision.set_up(path, centre.code(), alive=lambda: signs.append("alive"))
    assert loader.load(path).kiosk.id == "door-a"
    assert signs == ["alive"]  # between the two questions, each of which may take half a minute


def test_token_works_once(centre: Centre, board: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The same code on a second station is refused, and the registry shows the attempt."""
    code = centre.code()
    provision.set_up(board("first"), code)
    assert _number(board("second"), code) == USED
    assert central(["fleet", "list", "--fleet", str(centre.fleet)]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("door-a")]
    assert row.split()[:2] == ["door-a", "office-1"]
    assert row.split()[4] == "1"


def test_lost_answer_is_asked_for_again(
    centre: Centre, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the centre has answered: the same station, with the same code, gets the same certificate."""
    path, code = board(), centre.code()

    def cut(*_: object) -> None:
        raise ProvisionError(NOT_KEPT, "the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(identity, "replace", cut)
        assert _number(path, code) == NOT_KEPT
    with pytest.raises(NotProvisionedError):
        loader.load(path)
    provision.set_up(path, code)
    assert loader.load(path).kiosk.id == "door-a"
    with Fleet(centre.fleet / "fleet.db") as registry:
        assert [(station.state, station.reuses) for station in registry.stations()] == [("enrolled", 0)]


def test_power_cut_at_any_call_leaves_old_or_new(
    centre: Centre, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before any of the calls that change the disk, the station is unprovisioned or whole, first and anew."""
    path = board()
    for code in (centre.code("door-a"), centre.code("door-b", again=True)):
        before = loader.identity_mark(loader.load_board(path))
        for cut_at in range(1, 100):
            calls = 0

            def counted(call: Callable[..., Any], cut_at: int = cut_at) -> Callable[..., Any]:
                def run(*values: Any, **named: Any) -> Any:
                    nonlocal calls
                    calls += 1
                    if calls == cut_at:
                        raise KeyboardInterrupt
                    return call(*values, **named)

                return run

            with monkeypatch.context() as patch:
                for where, name in (
                    (os, "fsync"), (os, "open"), (os, "fchmod"), (Path, "replace"), (Path, "rename"), (Path, "mkdir"),
                    (identity, "_exchange"), (shutil, "rmtree"),
                ):  # fmt: skip
                    patch.setattr(where, name, counted(getattr(where, name)))
                try:
                    provision.set_up(path, code, jumper=True, wait_s=0.0)
                except KeyboardInterrupt:
                    pass
                else:
                    break
            folder = identity.folder_in(loader.load_board(path).state.dir)
            if loader.identity_mark(loader.load_board(path)) == before:
                continue
            config = loader.load(path)  # the new one: all of it
            assert probe(config, config.uplink.brokers[0], 5.0)
            assert sorted(item.name for item in folder.iterdir()) == ["ca.pem", "cert.pem", "key.pem", "kiosk.yaml"]
            break
        else:
            pytest.fail("never came through")
        assert cut_at > 10
        identity.tidy(loader.load_board(path).state.dir)


def test_codes_that_are_refused(centre: Centre, board: Callable[..., Path], tmp_path: Path) -> None:
    """No code, forged, expired by either clock, another authority's server, revoked: each with its number."""
    path = board()
    foreign = authority.create(tmp_path / "foreign", "another fleet")
    code = centre.code()
    assert _number(path, "https://centre.example") == NOT_A_CODE
    with Fleet(tmp_path / "foreign" / "fleet.db") as registry:
        assert _number(path, invitation.invite(registry, foreign, centre.wanted(), HOUR_S)) == FORGED
    wanted = centre.wanted(token=bytes(16), ca_sha256=centre.authority.fingerprint, expires_s=int(time.time()) - 1)
    assert _number(path, provisioning_code.encode(wanted, centre.authority.fleet_key())) == EXPIRED
    later = replace(wanted, expires_s=int(time.time()) + 60)
    assert _number(path, provisioning_code.encode(later, centre.authority.fleet_key())) == REFUSED  # no such token
    other_ca = replace(later, ca_sha256=foreign.fingerprint)
    assert _number(path, provisioning_code.encode(other_ca, centre.authority.fleet_key())) == REFUSED
    with Fleet(centre.fleet / "fleet.db") as registry:
        registry.revoke("door-a")
    assert _number(path, code) == REFUSED
    with pytest.raises(NotProvisionedError):
        loader.load(path)


def test_centre_that_is_away_or_silent(centre: Centre, board: Callable[..., Path]) -> None:
    """An address where nobody listens, and one that never answers, end with the number, and the code stays good."""
    path = board()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started_s = time.monotonic()
        assert _number(path, centre.code(enrolment=f"127.0.0.1:{silent.getsockname()[1]}")) == NO_CENTRE
        assert time.monotonic() - started_s < 3 * enrolment.STEP_S
    assert _number(path, centre.code(enrolment="127.0.0.1:1")) == NO_CENTRE
    provision.set_up(path, centre.code())


def test_expiry_is_the_centres_where_there_is_no_clock(
    centre: Centre, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station that believes it is 1970 is set up all the same; an expired code is refused by the centre."""
    now = SystemClock().now()
    unset = Moment(0, now.boot_id, now.boot_ns, type(now.quality).UNSET)
    monkeypatch.setattr(SystemClock, "now", lambda _self: unset)
    code = centre.code("door-b", valid_s=1)
    time.sleep(1.1)
    assert _number(board("late"), code) == EXPIRED
    provision.set_up(board("early"), centre.code())


def test_station_that_is_set_up_needs_permission(centre: Centre, board: Callable[..., Path]) -> None:
    """A plain code changes nothing; a maintenance code or the jumper does, keeps what others keep, and revokes the old key."""
    path = board()
    provision.set_up(path, centre.code())
    folder = identity.folder_in(loader.load(path).state.dir)
    (folder / "command-counter").write_text("7")
    old = authority.serial_of((folder / "cert.pem").read_bytes())
    plain = centre.code(site="office-2")
    assert _number(path, plain) == SET_UP_ALREADY
    assert loader.load(path).kiosk.site == "office-1"
    provision.set_up(path, plain, jumper=True)
    assert loader.load(path).kiosk.site == "office-2"
    provision.set_up(path, centre.code(site="office-3", again=True))
    assert loader.load(path).kiosk.site == "office-3"
    assert (folder / "command-counter").read_text() == "7"
    crl = x509.load_pem_x509_crl((centre.fleet / "crl.pem").read_bytes())
    assert old in [entry.serial_number for entry in crl]
    by_hand = board("by-hand", kiosk={"id": "door-x", "site": "office-1"})
    assert _number(by_hand, centre.code()) == SET_UP_ALREADY


def test_code_that_does_not_fit_the_board_spends_no_token(centre: Centre, board: Callable[..., Path]) -> None:
    """Two lanes on a board that has pins for one: refused before the centre is asked."""
    path = board(lanes=[{"panel": {"kind": "mock"}}])
    code = centre.code(lanes=(("main", Direction.IN), ("exit", Direction.OUT)))
    assert _number(path, code) == NOT_A_CODE
    provision.set_up(board("two-doors"), code)


def test_file_on_the_boot_partition(centre: Centre, board: Callable[..., Path], tmp_path: Path) -> None:
    """With a byte order mark and Windows' line ends; used once, and emptied; a failure leaves it as it was."""
    path, code = board(), centre.code()
    file = tmp_path / "kiosk-code.txt"
    argv = ["provision", "--config", str(path), "--file", str(file), "--wait-s", "0"]
    assert kiosk(argv) == 2
    file.write_bytes(b"\xff\xfe\x00")
    assert kiosk(argv) == 20
    wrong = code[:-4] + "0000"
    file.write_text(wrong)
    assert kiosk(argv) == 20
    assert file.read_text() == wrong
    file.write_bytes(b"\xef\xbb\xbf# code of door-a\r\n\r\n" + code.encode() + b"\r\n")
    assert kiosk(argv) == 0
    assert code.encode() not in file.read_bytes()
    assert loader.load(path).kiosk.id == "door-a"
    assert kiosk(argv) == 0
    for encoding in ("utf-16", "utf-8"):
        file.write_text(centre.code(again=True), encoding)
        assert kiosk(argv) == 0


def test_wireless_network_is_joined_first(
    centre: Centre, board: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's half joins it before the centre is asked; if it cannot, the panel says 6; the wish stays for the next boot."""
    program = tmp_path / "bin" / "nmcli"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done >{tmp_path}/said\n[ "$8" = "wifi-pass 1;x" ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr("kiosk.commissioning.wifi.os.geteuid", lambda: 1000)
    path = board()
    state = loader.load_board(path).state

    def root(over: Event) -> None:
        while not over.wait(0.05):
            if (identity.folder_in(state.dir) / wifi.WISH).exists():
                wifi.apply(state.dir, state.runtime_dir)

    state.runtime_dir.mkdir()
    over = Event()
    thread = Thread(target=root, args=(over,))
    thread.start()
    try:
        with pytest.raises(ProvisionError) as caught:
            provision.set_up(path, centre.code(wifi=Wifi("office", "wrong-password")), wait_s=0.0)
        assert caught.value.number == NO_WIFI
        assert not identity.is_there(state.dir)
        provision.set_up(path, centre.code(wifi=Wifi("Văn phòng $(id)", "wifi-pass 1;x")), wait_s=0.0)
    finally:
        over.set()
        thread.join(60)
    assert (tmp_path / "said").read_text().splitlines()[2:] == [
        "device", "wifi", "connect", "Văn phòng $(id)", "password", "wifi-pass 1;x",
    ]  # fmt: skip
    wish = identity.folder_in(state.dir) / wifi.WISH
    assert stat.S_IMODE(wish.stat().st_mode) == 0o600
    assert kiosk(["wipe", "--config", str(path), "--yes"]) == 0
    assert not wish.exists()


def _asked(
    centre: Centre, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    context = ssl.create_default_context(cadata=centre.authority.ca_pem.decode())
    connection = HTTPSConnection("127.0.0.1", centre.port, timeout=10, context=context)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_enrolment_is_bounded(centre: Centre) -> None:
    """Too large, no JSON, no certificate for a renewal, unknown paths: refused; after ten refusals the address waits."""
    token = os.urandom(16).hex()
    request = identity.request_for(identity.new_key(), "x").decode()
    for method, path, body, status in (
        ("GET", "/etc/passwd", b"", 404),
        ("POST", "/v1/enrol", b"", 400),  # which announces more than is taken: see below
        ("POST", "/v1/enrol", b"[" * 5000, 400),
        ("POST", "/v1/enrol", json.dumps({"token": token}).encode(), 400),
        ("POST", "/v1/enrol", json.dumps({"token": "zz", "request": request}).encode(), 400),
        ("POST", "/v1/enrol", json.dumps({"token": token, "request": "x" * 5000}).encode(), 400),
        ("POST", "/v1/renew", json.dumps({"request": request}).encode(), 400),
        ("POST", "/v1/other", b"{}", 400),
        ("POST", "/v1/enrol", json.dumps({"token": token, "request": request}).encode(), 403),
        ("POST", "/v1/enrol", json.dumps({"token": token, "request": request}).encode(), 403),
        ("POST", "/v1/enrol", json.dumps({"token": token, "request": request}).encode(), 403),
        ("POST", "/v1/enrol", json.dumps({"token": token, "request": request}).encode(), 429),
    ):
        headers = {} if body else {"Content-Length": str(LARGEST_BODY_BYTES + 1)}
        assert _asked(centre, method, path, body, headers)[0] == status, (path, body[:40])
    assert _asked(centre, "GET", "/v1/ca", b"")[0] == 200


def test_silent_clients_hold_nobody_up(centre: Centre, board: Callable[..., Path]) -> None:
    """Connections that say nothing keep their own places only."""
    silent = [socket.create_connection(("127.0.0.1", centre.port), 5) for _ in range(8)]
    try:
        started_s = time.monotonic()
        provision.set_up(board(), centre.code())
        assert time.monotonic() - started_s < 5
    finally:
        for connection in silent:
            connection.close()


def test_trickling_clients_hold_nobody_up(centre: Centre, board: Callable[..., Path]) -> None:
    """Twenty that have shaken hands and send a byte now and then: a station is set up and renews meanwhile, and they are ended in time."""
    context = ssl.create_default_context(cadata=centre.authority.ca_pem.decode())
    with ExitStack() as stack:
        slow = []
        for _ in range(20):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", centre.port), 5))
            with suppress(OSError):  # one that had to make room already
                slow.append(stack.enter_context(context.wrap_socket(raw, server_hostname="127.0.0.1")))
        for each in slow:
            with suppress(OSError):
                each.sendall(b"POST /v1/enrol HTTP/1.1\r\nX")
        path = board()
        provision.set_up(path, centre.code(), wait_s=10.0)
        assert loader.load(path).kiosk.id == "door-a"
        centre.server._places._longest_s = 0.0
        until(lambda: not centre.server._places._guests)


def test_odd_bytes_have_an_answer_and_neighbours_mistakes_stop_no_renewal(
    centre: Centre, board: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """No traceback; after ten bad questions from behind an address its stations still renew."""
    path = board()
    provision.set_up(path, centre.code())
    config = loader.load(path)
    context = ssl.create_default_context(cadata=centre.authority.ca_pem.decode())
    answers = []
    for body in (
        b'{"token":"00","request":"\\ud800"}',
        b'{"token":"' + b"0" * 32 + b'","request":"\\ud800"}',
        b"\xff",
        b"[]",
        b"{",
    ) * 3:
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", centre.port), 5), server_hostname="127.0.0.1"
        ) as asked:
            asked.sendall(b"POST /v1/enrol HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            answers.append(asked.recv(100).split()[1])
    assert answers == [b"400"] * 10 + [b"429"] * 5
    valid = identity.validity(config.state.dir)
    assert valid is not None
    due = Moment(round((valid.from_s + 0.7 * (valid.until_s - valid.from_s)) * 1e9), "b", 1, ClockQuality.SYNCED)
    assert provision.renew_if_due(config, due)
    assert "Traceback" not in capfd.readouterr().err


def test_hundred_kiosks(centre: Centre, board: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a key of its own; none of their codes works twice, no command either, and no branch is open to another one."""
    monkeypatch.setattr(
        "central.fleet.enrolment_server.REFUSALS", 1000
    )  # of one address; else it would be shut out after ten
    keys: set[bytes] = set()
    paths: list[Path] = []
    fleet = signing_key.load(centre.fleet / "fleet.key", "", "")
    for number in range(100):
        path, code = board(f"board-{number}"), centre.code(f"door-{number}")
        provision.set_up(path, code)
        paths.append(path)
        config = loader.load(path)
        certificate = x509.load_pem_x509_certificate((identity.folder_in(config.state.dir) / "cert.pem").read_bytes())
        keys.add(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        assert _number(board("thief"), code) == USED
        _obeys_once(config, f"door-{(number + 1) % 100}", fleet)
    assert len(keys) == 100
    with Fleet(centre.fleet / "fleet.db") as registry:
        stations = registry.stations()
    assert [station.state for station in stations] == ["enrolled"] * 100
    assert [station.reuses for station in stations] == [1] * 100
    configs = [loader.load(path) for path in paths]
    assert probe(configs[1], configs[1].uplink.brokers[0], 5.0)
    for config, other in zip(configs, [*configs[1:], configs[0]], strict=True):
        topics = [f"kiosks/{other.kiosk.id}/{what}" for what in ("entries", "status", "diagnostics", "commands")]
        assert _refused(config, topics) == [True] * 4
    assert _refused(configs[0], [f"kiosks/{configs[0].kiosk.id}/entries"]) == [False]


def _obeys_once(config: Config, other: str, fleet: Ed25519PrivateKey) -> None:
    """The fleet's command, repeated, repeated after a restart, and one for another station."""
    outbox, keys = Outbox.open(config.state.dir / "outbox.db", config.outbox), provision.fleet_keys(config)
    try:
        now_s = int(time.time())
        command = Command(os.urandom(16), 7, Verb.VOLUME, (40,))
        message = remote.signed(command, config.kiosk.id, fleet, now_s, 60)
        executor = Executor(config, keys, outbox, SystemClock())
        executor.take(remote.signed(command, other, fleet, now_s, 60))
        assert executor.counter == 0
        executor.take(message)
        assert executor.counter == 7
        for obeying in (executor, Executor(config, keys, outbox, SystemClock())):
            obeying.take(message)
            report = obeying.report()
            assert report is not None
            assert report["last_refused"]["reason"] == remote.Reason.REPLAYED
            assert obeying.counter == 7
    finally:
        outbox.close()


def _refused(config: Config, topics: list[str]) -> list[bool]:
    """What the broker says to each of these, of this station's own connection."""
    link = mqtt.open_link(config, Route(config.uplink.brokers[0], "5"), b"{}")
    said: dict[int, bool] = {}
    mids: list[int] = []
    deadline_s = time.monotonic() + 20
    try:
        while len(said) < len(topics) and time.monotonic() < deadline_s:
            for event in link.poll(0.1):
                if isinstance(event, Ready) and not mids:
                    mids = [link.publish(topic, b"forged") for topic in topics]
                if isinstance(event, Acknowledged):
                    said[event.mid] = bool(event.refusal)
                if isinstance(event, Closed):
                    raise LinkError(event.reason)
    finally:
        link.close()
    return [said[mid] for mid in mids]


@contextmanager
def _process(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", *argv])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_from_the_sheet_to_the_ledger(centre: Centre, board: Callable[..., Path], tmp_path: Path) -> None:
    """A board that nobody has touched sees its code, is set up within a minute, and its next visitor is in the ledger."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_cards(pictures, 1, seed=1)
    (pictures / "0.png").write_bytes(paper.png(centre.code(), scale=6))
    keys = _authority(tmp_path / "authority")
    shutil.copy(keys / "authority-keys.cose", centre.fleet)  # comes to the station with its certificate
    path = board(
        seal={"authority_file": str(keys / "authority.pem")},
        lanes=[{"panel": {"kind": "none"}, "camera": {"source": f"folder:{pictures}", "fps": 1}}],
        uplink={"receipt_timeout_s": 2.0, "backoff_max_s": 1.0},
    )
    files = centre.broker.files("central-collector")
    started_s = time.monotonic()
    with (
        _process(
            "central", "collect", "--broker", centre.broker.url, "--ledger", str(tmp_path / "ledger.db"),
            "--ca-file", files["ca_file"], "--cert-file", files["cert_file"], "--key-file", files["key_file"],
        ),
        _process("kiosk", "uplink", "--config", str(path)),
        _process("kiosk", "scan", "--config", str(path)),
    ):  # fmt: skip
        until(lambda: identity.is_there(tmp_path / "board" / "state"))
        assert time.monotonic() - started_s < 60
        until(lambda: (tmp_path / "ledger.db").exists() and bool(_entries(tmp_path / "ledger.db")))
    (entry,) = _entries(tmp_path / "ledger.db")
    assert (entry.kiosk, entry.site, entry.lane) == ("door-a", "office-1", "main")


def _entries(path: Path) -> list[Any]:
    ledger = SqliteLedger(path)
    try:
        return [row.entry for row in ledger.entries()]
    finally:
        ledger.close()


def test_wipe_leaves_nothing(
    centre: Centre, board: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for the id first; then identity, entries and notes are gone, and the station waits for a code again."""
    path = board()
    provision.set_up(path, centre.code())
    config = loader.load(path)
    (config.state.dir / "outbox.db").write_bytes(b"x" * 5000)
    provision.spool(config.state.runtime_dir, "code", jumper=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("door-b\n"))
    assert kiosk(["wipe", "--config", str(path)]) == 1
    assert loader.load(path).kiosk.id == "door-a"
    assert kiosk(["wipe", "--config", str(path), "--yes"]) == 0
    assert list(config.state.dir.iterdir()) == []
    assert list(config.state.runtime_dir.iterdir()) == []
    assert "memory card may keep old copies" in capsys.readouterr().out
    with pytest.raises(NotProvisionedError):
        loader.load(path)
    assert kiosk(["status", "--config", str(path)]) == 1
    assert "not set up" in capsys.readouterr().out


def test_damaged_identity_can_be_wiped(centre: Centre, board: Callable[..., Path]) -> None:
    """A station whose identity cannot be read says so and can be wiped; then it waits for a code, and its panel can be tried."""
    path = board()
    provision.set_up(path, centre.code())
    folder = identity.folder_in(loader.load(path).state.dir)
    (folder / "kiosk.yaml").write_text("kiosk: 5\n")
    assert kiosk(["uplink", "--config", str(path)]) == 2
    assert kiosk(["wipe", "--config", str(path), "--yes"]) == 0
    assert not folder.exists()
    assert kiosk(["panel", "ready", "--config", str(path)]) == 0


def test_command_line_makes_the_code(centre: Centre, board: Callable[..., Path], tmp_path: Path) -> None:
    """`central provision` prints a sheet, a picture and a file; `replace` revokes the board before it makes a new one."""
    place = ["--fleet", str(centre.fleet)]
    here = ["--broker", f"127.0.0.1:{centre.broker.port}", "--enrolment", f"127.0.0.1:{centre.port}", "--lane", "in:in"]
    files = {kind: tmp_path / f"code.{kind}" for kind in ("pdf", "png", "text")}
    outputs = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    assert central(["provision", "--kiosk", "door-a", *place]) == 21  # the first time it must be told where
    assert central(["provision", "--kiosk", "door-a", "--site", "office-1", *here, *outputs, *place]) == 0
    assert files["pdf"].read_bytes().startswith(b"%PDF")
    path = board()
    provision.set_up(path, files["text"].read_text().strip())
    old = authority.serial_of((identity.folder_in(loader.load(path).state.dir) / "cert.pem").read_bytes())
    assert central(["fleet", "replace", "door-a", "--text", str(files["text"]), *place]) == 0
    crl = x509.load_pem_x509_crl((centre.fleet / "crl.pem").read_bytes())
    assert [entry.serial_number for entry in crl] == [old]
    successor = board("successor")
    provision.set_up(successor, files["text"].read_text().strip())
    assert loader.load(successor).lanes[0].name == "in"


def test_doctor_looks_at_a_board_that_is_not_set_up(
    centre: Centre, board: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that needs no name is tried; "not yet" is no fault and says the remedy, a try that failed and no key are."""
    monkeypatch.setattr("kiosk.service.checkup.STEP_MS", 20)
    monkeypatch.setattr("kiosk.commands.doctor.ANSWER_S", 0.1)
    path = board(lanes=[{"camera": {"source": "sim:people=1"}, "panel": {"kind": "mock"}}])

    def found(code: int) -> dict[str, tuple[str, str]]:
        assert kiosk(["doctor", "--config", str(path), "--json"]) == code
        lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
        return {line["part"]: (line["health"], line["says"]) for line in lines}

    first = found(0)
    assert {"camera main", "panel main", "disk", "card", "board", "clock", "fleet's key", "set up"} == set(first)
    assert first["panel main"][0] == "ok"
    health, says = first["set up"]
    assert health == "warning"
    assert says.startswith("not yet; show it its provisioning code")
    assert not (loader.load_board(path).state.dir / "outbox.db").exists()
    provision.spool(loader.load_board(path).state.runtime_dir, "KS1:nonsense", jumper=False)
    assert not provision.tend(path, loader.load_board(path).state.runtime_dir)
    health, says = found(1)["set up"]
    assert health == "failed"
    assert "the last try failed with number 1: " in says
    (centre.fleet / "fleet.pem").unlink()
    assert "put the fleet's `fleet.pem` there" in found(1)["fleet's key"][1]


def test_doctor_leaves_a_board_that_waits_alone(
    centre: Centre, board: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it looks for its code the camera is its own."""
    monkeypatch.setattr("kiosk.commands.doctor.ANSWER_S", 0.1)
    path = board(lanes=[{"camera": {"source": "sim:people=1"}, "panel": {"kind": "none"}}])
    run = loader.load_board(path).state.runtime_dir
    assert (centre.fleet / "fleet.pem").exists()
    with _process("kiosk", "scan", "--config", str(path)):
        until((run / "scan-main.json").exists)
        assert kiosk(["doctor", "--config", str(path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"lane main +ok: at work: waits for its provisioning code", out)
    assert "camera main" not in out
