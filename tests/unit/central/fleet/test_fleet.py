"""The authority and the registry: who gets a certificate, who gets none, and what is kept of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from central.__main__ import main
from central.fleet import authority
from central.fleet.registry import RENEWALS_A_DAY, Fleet, Refusal, RefusedError
from kiosk.errors import FleetError

LANES = (("main", "in"),)
HOUR_S, DAY_S = 3600, 86_400


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """An empty registry."""
    with Fleet(tmp_path / "fleet.db") as registry:
        yield registry


def _invite(fleet: Fleet, kiosk: str = "door-a", valid_s: int = HOUR_S) -> bytes:
    return fleet.invite(kiosk, "office-1", LANES, "broker:8883", "centre:8443", valid_s)


def _request(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, name: str = "x") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    how = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, how)
    return request.public_bytes(serialization.Encoding.PEM)


def _refusal(fleet: Fleet, token: bytes, key: bytes) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        fleet.claim(token, key)
    return caught.value.refusal


def test_token_is_spent_once(fleet: Fleet) -> None:
    """The first key has it, and has it again if its answer was lost; another key is refused, counted and shown."""
    token = _invite(fleet)
    assert fleet.claim(token, b"key") == ("door-a", None)
    fleet.issued("door-a", 7, b"key", int(time.time()) + HOUR_S, b"pem", supersedes=True)
    assert fleet.claim(token, b"key") == ("door-a", b"pem")
    assert _refusal(fleet, token, b"another") is Refusal.USED
    assert _refusal(fleet, token, b"another") is Refusal.USED
    (station,) = fleet.stations()
    assert (station.state, station.serial, station.reuses) == ("enrolled", "7", 2)


def test_token_is_kept_as_a_hash(fleet: Fleet, tmp_path: Path) -> None:
    """Whoever reads the registry's files finds no token in them, and only its owner may read them."""
    token = _invite(fleet)
    for path in tmp_path.glob("fleet.db*"):
        content = path.read_bytes()
        assert token not in content
        assert token.hex().encode() not in content
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert hashlib.sha256(token).digest() in b"".join(path.read_bytes() for path in tmp_path.glob("fleet.db*"))


def test_tokens_that_are_no_good(fleet: Fleet) -> None:
    """Unknown, expired, replaced by a newer one, of a revoked kiosk."""
    assert _refusal(fleet, os.urandom(16), b"key") is Refusal.UNKNOWN
    assert _refusal(fleet, _invite(fleet, valid_s=0), b"key") is Refusal.EXPIRED
    older, newer = _invite(fleet), _invite(fleet)
    assert _refusal(fleet, older, b"key") is Refusal.UNKNOWN
    fleet.claim(newer, b"key")
    fleet.revoke("door-a")
    assert _refusal(fleet, newer, b"key") is Refusal.REVOKED


@pytest.mark.parametrize("way", ["revoke", "replace", "again"])
def test_spent_token_comes_to_life_by_nothing(fleet: Fleet, way: str) -> None:
    """Whoever redeemed a photographed sheet gets no second certificate for it, and takes none from the successor."""
    sheet = _invite(fleet)
    ends_s = int(time.time()) + HOUR_S
    fleet.claim(sheet, b"thief")
    fleet.issued("door-a", 7, b"thief", ends_s, b"pem", supersedes=True)
    if way != "again":
        fleet.revoke("door-a")
    if way != "revoke":
        successor = _invite(fleet)
        assert fleet.claim(successor, b"good") == ("door-a", None)
        fleet.issued("door-a", 8, b"good", ends_s, b"pem 8", supersedes=True)
    assert _refusal(fleet, sheet, b"thief") is (Refusal.REVOKED if way == "revoke" else Refusal.USED)
    assert _refusal(fleet, sheet, b"another") is (Refusal.REVOKED if way == "revoke" else Refusal.USED)
    if way != "revoke":
        assert fleet.holder(8) == "door-a"
        assert fleet.claim(successor, b"good") == ("door-a", b"pem 8")
        assert [station.reuses for station in fleet.stations()] == [2]


def test_answer_that_was_lost_before_the_certificate_is_given_again(fleet: Fleet) -> None:
    """A token that was spent, and bought nothing yet, buys for its own key; one whose certificate has run out buys no other."""
    token = _invite(fleet)
    assert [fleet.claim(token, b"key") for _ in range(2)] == [("door-a", None)] * 2
    fleet.issued("door-a", 7, b"key", int(time.time()) - 1, b"pem", supersedes=True)
    assert _refusal(fleet, token, b"key") is Refusal.USED


def test_new_invitation_brings_a_revoked_kiosk_back(fleet: Fleet) -> None:
    """With a new certificate only: the old one stays on the list."""
    expires_s = int(time.time()) + HOUR_S
    fleet.claim(_invite(fleet), b"old")
    fleet.issued("door-a", 7, b"old", expires_s, b"pem", supersedes=True)
    assert fleet.revoke("door-a") == 1
    assert [station.state for station in fleet.stations()] == ["revoked"]
    fleet.claim(_invite(fleet), b"new")
    fleet.issued("door-a", 8, b"new", expires_s, b"pem", supersedes=True)
    assert [serial for serial, _ in fleet.revoked()] == [7]
    assert fleet.holder(8) == "door-a"
    with pytest.raises(RefusedError, match="revoked"):
        fleet.holder(7)
    with pytest.raises(RefusedError, match="unknown"):
        fleet.holder(9)


def test_states_of_a_station(fleet: Fleet) -> None:
    """Invited, enrolled, lapsed; names of the centre's own are given to no kiosk."""
    _invite(fleet, "door-a")
    _invite(fleet, "door-b", valid_s=0)
    fleet.claim(_invite(fleet, "door-c"), b"key")
    fleet.issued("door-c", 1, b"key", int(time.time()) + HOUR_S, b"", supersedes=True)
    assert [station.state for station in fleet.stations()] == ["invited", "lapsed", "enrolled"]
    assert fleet.stations("door-c")[0].lanes == LANES
    with pytest.raises(FleetError, match="no name for a kiosk"):
        _invite(fleet, "central-collector")
    with pytest.raises(FleetError, match="no kiosk 'door-z'"):
        fleet.revoke("door-z")


def _enrolled(fleet: Fleet, kiosk: str = "door-a", serial: int = 7) -> None:
    fleet.claim(_invite(fleet, kiosk), b"key %d" % serial)
    fleet.issued(kiosk, serial, b"key %d" % serial, int(time.time()) + 300 * DAY_S, b"pem", supersedes=True)


def _issue(fleet: Fleet, serial: int, kiosk: str = "door-a") -> None:
    fleet.issued(
        kiosk, serial, b"key %d" % serial, int(time.time()) + 300 * DAY_S, b"pem %d" % serial, supersedes=False
    )


def _not_renewed(fleet: Fleet, serial: int, key: bytes) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        fleet.renewal(serial, key)
    return caught.value.refusal


def test_certificate_is_renewed_for_one_key(fleet: Fleet) -> None:
    """The same key gets the same answer again; another one is an alarm, for a while, and then nothing; a new set-up ends it."""
    _enrolled(fleet)
    assert [fleet.renewal(7, b"key 8") for _ in range(2)] == [("door-a", None)] * 2
    _issue(fleet, 8)
    assert fleet.renewal(7, b"key 8") == ("door-a", b"pem 8")
    assert [station.copies for station in fleet.stations()] == [0]
    for serial in range(9, 12):
        assert fleet.renewal(7, b"key %d" % serial) == ("door-a", None)
        _issue(fleet, serial)
    assert _not_renewed(fleet, 7, b"key 12") is Refusal.USED
    assert fleet.renewal(7, b"key 8") == ("door-a", b"pem 8"), "whoever came first is not shut out by the copy"
    assert [station.copies for station in fleet.stations()] == [4]
    _enrolled(fleet, serial=20)
    assert [station.copies for station in fleet.stations()] == [0]
    assert _not_renewed(fleet, 7, b"key 8") is Refusal.REVOKED


def test_renewed_certificate_ends_after_a_while(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its successor may be on its way; then it is on the list, renews for nobody else, and still hands the lost answer out."""
    _enrolled(fleet)
    fleet.renewal(7, b"key 8")
    _issue(fleet, 8)
    began_s = time.time()
    for days, listed in ((0, []), (6.9, []), (7.1, [7]), (299, [7]), (302, [])):
        monkeypatch.setattr("central.fleet.registry.time.time", lambda days=days: began_s + days * DAY_S)
        assert [serial for serial, _ in fleet.revoked()] == listed, days
    monkeypatch.setattr("central.fleet.registry.time.time", lambda: began_s + 8 * DAY_S)
    assert _not_renewed(fleet, 7, b"key 9") is Refusal.USED
    assert fleet.renewal(7, b"key 8") == ("door-a", b"pem 8")


def test_renewals_of_a_day_have_an_end(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many certificates a station asks for, one after another; its neighbours renew, and tomorrow it does."""
    _enrolled(fleet)
    _enrolled(fleet, "door-b", 1007)
    for serial in range(7, 7 + RENEWALS_A_DAY):
        assert fleet.renewal(serial, b"key %d" % (serial + 1)) == ("door-a", None)
        _issue(fleet, serial + 1)
    last = 7 + RENEWALS_A_DAY
    assert _not_renewed(fleet, last, b"one more") is Refusal.LATER
    assert fleet.renewal(1007, b"key 1008") == ("door-b", None)
    began_s = time.time()
    monkeypatch.setattr("central.fleet.registry.time.time", lambda: began_s + 1.1 * DAY_S)
    assert fleet.renewal(last, b"one more") == ("door-a", None)


_ENROLS = """
import sys, time
from pathlib import Path
from central.fleet import authority
from central.fleet.registry import Fleet
folder = Path(sys.argv[1])
ours = authority.open_authority(folder)
for number in range(10_000):
    with Fleet(folder / "fleet.db") as registry:
        registry.issued("door-x", 10**6 + number, b"", int(time.time()) + 3600, b"", supersedes=True)
        ours.publish(registry.revoked)
    if number == 0:
        print(flush=True)
"""


def test_no_revocation_is_lost_beside_enrolments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sixty of them, while another process certifies station after station: each succeeds, and is on the list when it is said to be."""
    folder = tmp_path / "fleet"
    authority.create(folder, "test fleet")
    with Fleet(folder / "fleet.db") as registry:
        _invite(registry, "door-x")
        for number in range(60):
            _enrolled(registry, f"door-{number}", number + 1)
    with subprocess.Popen([sys.executable, "-c", _ENROLS, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        try:
            for number in range(60):
                assert main(["fleet", "revoke", f"door-{number}", "--fleet", str(folder)]) == 0, capsys.readouterr().err
                crl = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
                assert {entry.serial_number for entry in crl} >= set(range(1, number + 2))
            assert other.poll() is None
        finally:
            other.kill()


def test_list_that_another_holds_for_ever_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has an end, and the list is as it was."""
    monkeypatch.setattr(authority, "TURN_S", 0.1)
    ours = authority.create(tmp_path / "fleet", "test fleet")
    before = (ours.folder / "crl.pem").read_bytes()
    with (ours.folder / "crl.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(FleetError, match="cannot lock"):
            ours.publish(lambda: [(7, 7)])
    assert (ours.folder / "crl.pem").read_bytes() == before
    ours.publish(lambda: [(7, 7)])


def test_certificate_says_what_the_registry_says(tmp_path: Path) -> None:
    """The subject of the request is ignored; the certificate is for this kiosk's key, as a client, for the asked days."""
    ours = authority.create(tmp_path / "fleet", "test fleet")
    key = ec.generate_private_key(ec.SECP256R1())
    made = ours.certify("door-a", authority.key_of(_request(key, "central-collector")), 30)
    assert made.subject.rfc4514_string() == "CN=door-a"
    assert made.public_key() == key.public_key()
    assert 29.9 < (made.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400 < 30.1
    made.verify_directly_issued_by(ours.certificate)


def test_requests_that_are_refused() -> None:
    """No request, another kind of key, a signature that is not of that key, one that is too large."""
    good = _request(ec.generate_private_key(ec.SECP256R1()))
    der = bytearray(x509.load_pem_x509_csr(good).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    for request in (
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        _request(ed25519.Ed25519PrivateKey.generate()),
        _request(ec.generate_private_key(ec.SECP384R1())),
        x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM),
        good + b" " * 5000,
    ):
        with pytest.raises(FleetError):
            authority.key_of(request)


def test_command_line_of_the_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Init once, certify a server and a client, list and revoke; keys are for their owner alone."""
    folder = tmp_path / "fleet"
    place = ["--fleet", str(folder)]
    assert main(["ca", "init", *place]) == 0
    assert main(["ca", "init", *place]) == 21
    assert "holds an authority already" in capsys.readouterr().err
    assert main(["ca", "server", "broker.example", "192.0.2.7", *place, "--as", "broker"]) == 0
    assert main(["ca", "client", "central-collector", *place]) == 0
    assert main(["ca", "client", "door-a", *place]) == 21
    for name in ("ca.key", "fleet.key", "broker.key", "central-collector.key", "fleet.db"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    names = x509.load_pem_x509_certificate((folder / "broker.pem").read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["broker.example"]
    with Fleet(folder / "fleet.db") as registry:
        registry.claim(_invite(registry), b"key")
        registry.issued("door-a", 7, b"key", int(time.time()) + HOUR_S, b"", supersedes=True)
    assert main(["fleet", "revoke", "door-a", *place]) == 0
    crl = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    assert [entry.serial_number for entry in crl] == [7]
    capsys.readouterr()
    assert main(["fleet", "list", *place]) == 0
    assert "door-a" in capsys.readouterr().out
    assert main(["fleet", "list", "--fleet", str(tmp_path / "none")]) == 21
