"""The trust folder: every form of list is read, and what is wrong with a file is said with its name."""

from __future__ import annotations

import base64
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk.credential import Trust, classify
from kiosk.credential.trust import HC1_HASHES, PASS_NUMBERS, REVOKED, certified_key
from kiosk.envelopes import cose
from kiosk.errors import TrustError
from kiosk.model import Credential, Unproven, UnprovenReason
from kiosk.sim.issuers import NOW_S, CardIssuer, HealthAuthority, Office
from kiosk.trust import issuers
from kiosk.trust.issuers import TrustFolder

AUTHORITY = HealthAuthority("v")
CARDS = CardIssuer()
OFFICE = Office()
ISSUER: dict[str, Any] = {"issuer": {"iss": CARDS.iss}, "keys": [CARDS.jwk()]}
STRANGE_ISSUER: dict[str, Any] = {"issuer": {"iss": "https://other.example"}, "keys": [CARDS.jwk()]}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _spki(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _pem(office: Office) -> bytes:
    return office.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


CERTIFICATE = {"kid": _base64(AUTHORITY.kid), "country": "VN", "rawData": _base64(AUTHORITY.certificate)}


@pytest.mark.parametrize(
    "content",
    [
        [CERTIFICATE],
        {"certificates": [CERTIFICATE | {"certificateType": "DSC", "thumbprint": "x"}]},
        [{"rawData": CERTIFICATE["rawData"]}],
        {"eu_keys": {CERTIFICATE["kid"]: [{"subjectPk": _base64(_spki(AUTHORITY.key)), "keyUsage": ["v"]}]}},
        {"eu_keys": {CERTIFICATE["kid"]: [{"subjectPk": _base64(_spki(AUTHORITY.key))}]}},
    ],
)
def test_lists_of_certificates_are_read(tmp_path: Path, content: object) -> None:
    """The gateway's list, Germany's and the Netherlands' forms all verify the same code."""
    trust = issuers.load(_written(tmp_path, "hc1-keys.json", content))
    assert isinstance(classify(AUTHORITY.code(), (), trust, NOW_S), Credential)
    assert issuers.families(trust) == ["hc1=1"]


def test_uses_are_read(tmp_path: Path) -> None:
    """A key keeps the uses that its list gives it."""
    key = {"subjectPk": _base64(_spki(AUTHORITY.key)), "keyUsage": ["t"]}
    trust = issuers.load(_written(tmp_path, "hc1-keys.json", {"eu_keys": {CERTIFICATE["kid"]: [key]}}))
    assert classify(AUTHORITY.code(), (), trust, NOW_S) == Unproven("hc1", UnprovenReason.NOT_GENUINE)
    assert certified_key(HealthAuthority("tr").certificate).uses == {"t", "r"}
    assert certified_key(HealthAuthority().certificate).uses == {"t", "v", "r"}


@pytest.mark.parametrize(
    "content", [ISSUER | {"name": "A clinic"}, {"issuerInfo": [ISSUER]}, {"issuerInfo": [STRANGE_ISSUER, ISSUER]}]
)
def test_card_issuers_are_read(tmp_path: Path, content: object) -> None:
    """One issuer with its keys and a directory's snapshot verify the same card, whoever else is in it."""
    trust = issuers.load(_written(tmp_path, "shc-keys.json", content))
    assert isinstance(classify(CARDS.shc(CARDS.shc_claims()), (), trust, NOW_S), Credential)


@pytest.mark.parametrize("content", [{"keys": [CARDS.jwk()]}, {"keys": []}], ids=["a key", "none"])
def test_keys_of_nobody_are_refused_with_the_remedy(tmp_path: Path, content: object) -> None:
    """A JWK set does not say whose it is: it would vouch for cards of any issuer."""
    _written(tmp_path, "shc-keys.json", content)
    with pytest.raises(
        TrustError, match=re.escape('whose keys these are; write "issuer": {"iss": "https://…"} beside')
    ):
        issuers.load(tmp_path)


@pytest.mark.parametrize("content", [STRANGE_ISSUER, {"issuerInfo": [STRANGE_ISSUER]}, {"issuerInfo": [
    STRANGE_ISSUER, {"issuer": {"iss": CARDS.iss}, "keys": [CardIssuer().jwk() | {"kid": "k2"}]}]}])  # fmt: skip
def test_an_issuer_is_bound_to_its_keys(tmp_path: Path, content: object) -> None:
    """A key that belongs to one issuer verifies no card that says another, not even one who is known by other keys."""
    trust = issuers.load(_written(tmp_path, "shc-keys.json", content))
    own = classify(CARDS.shc(CARDS.shc_claims() | {"iss": STRANGE_ISSUER["issuer"]["iss"]}), (), trust, NOW_S)
    assert isinstance(own, Credential)
    for said in (CARDS.iss, f"{STRANGE_ISSUER['issuer']['iss']}/", None, [CARDS.iss]):
        verdict = classify(CARDS.shc(CARDS.shc_claims() | {"iss": said}), (), trust, NOW_S)
        assert verdict == Unproven("shc", UnprovenReason.UNKNOWN_ISSUER)


def test_did_documents_are_read(tmp_path: Path) -> None:
    """A DID document verifies its passes."""
    method = {"id": f"{CARDS.did}#key-1", "type": "JsonWebKey2020", "publicKeyJwk": CARDS.jwk()}
    trust = issuers.load(_written(tmp_path, "nzcp-keys.json", {"id": CARDS.did, "verificationMethod": [method]}))
    assert isinstance(classify(CARDS.nzcp(), (), trust, NOW_S), Credential)


def test_revocations_are_read(tmp_path: Path) -> None:
    """Several signed lists add up, each for its signer's passes, and for health certificates."""
    _written(tmp_path, "passes/office.pem", _pem(OFFICE))
    hashes = {"UCI": bytes(16) + b"x" * 16}
    listed: dict[str, dict[int, object]] = {"a": {PASS_NUMBERS: [1, 2]}, "b": {PASS_NUMBERS: [3], HC1_HASHES: hashes}}
    for name, claims in listed.items():
        _written(tmp_path, f"revoked/{name}.cose", cose.sign(claims, OFFICE.key, REVOKED))
    trust = issuers.load(tmp_path)
    assert trust.revoked.passes == {OFFICE.kid: {1, 2, 3}}
    assert trust.revoked.hashes == {"UCI": {bytes(16), b"x" * 16}}


def test_nothing_there_is_nothing_believed(tmp_path: Path) -> None:
    """A missing folder, and one without files, believe nobody; neither is an error."""
    assert issuers.load(tmp_path / "none") == Trust()
    assert issuers.load(tmp_path) == Trust()


STRANGER = Ed25519PrivateKey.generate()
SHORT = rsa.generate_private_key(65_537, 1024)  # noqa: S505  to be refused
POINTLESS = CARDS.jwk() | {"x": "AA"}
WRONG: dict[str, tuple[str, object]] = {
    "no JSON": ("hc1-keys.json", b"{"),
    "another form": ("hc1-keys.json", {"keys": []}),
    "no base64": ("hc1-keys.json", [{"rawData": "%"}]),
    "no certificate": ("hc1-keys.json", [{"rawData": "AAAA"}]),
    "no key": ("hc1-keys.json", {"eu_keys": {"AAAA": [{"subjectPk": "AAAA"}]}}),
    "another curve": ("hc1-keys.json", {"eu_keys": {"AAAA": [{"subjectPk": _base64(_spki(ec.generate_private_key(ec.SECP256K1())))}]}}),
    "a short key": ("hc1-keys.json", {"eu_keys": {"AAAA": [{"subjectPk": _base64(_spki(SHORT))}]}}),
    "an Ed25519 key": ("hc1-keys.json", {"eu_keys": {"AAAA": [{"subjectPk": _base64(_spki(STRANGER))}]}}),
    "no point": ("shc-keys.json", ISSUER | {"keys": [POINTLESS]}),
    "no base64 in a JWK": ("shc-keys.json", ISSUER | {"keys": [CARDS.jwk() | {"y": "A"}]}),
    "no methods": ("nzcp-keys.json", {"id": "did:web:x", "verificationMethod": []}),
    "no PEM": ("passes/x.pem", b"x"),
    "another key": ("passes/x.pem", CARDS.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    "a stranger's list": ("revoked/x.cose", cose.sign({PASS_NUMBERS: [1]}, STRANGER, REVOKED)),
    "a list for something else": ("revoked/x.cose", cose.sign({PASS_NUMBERS: [1]}, OFFICE.key, b"kiosk-pass-1")),
    "numbers no list": ("revoked/x.cose", cose.sign({PASS_NUMBERS: 1}, OFFICE.key, REVOKED)),
    "no numbers": ("revoked/x.cose", cose.sign({PASS_NUMBERS: ["1"]}, OFFICE.key, REVOKED)),
    "hashes no map": ("revoked/x.cose", cose.sign({HC1_HASHES: 1}, OFFICE.key, REVOKED)),
    "half a hash": ("revoked/x.cose", cose.sign({HC1_HASHES: {"UCI": b"x"}}, OFFICE.key, REVOKED)),
    "hash no bytes": ("revoked/x.cose", cose.sign({HC1_HASHES: {"UCI": 1}}, OFFICE.key, REVOKED)),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: object) -> None:
    """A file that cannot be used is never taken for an empty one."""
    _written(tmp_path, "passes/office.pem", _pem(OFFICE))
    _written(tmp_path, name, content)
    with pytest.raises(TrustError, match=name):
        issuers.load(tmp_path)


def test_sizes_and_numbers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond its measure, too many files, and a folder in a file's place are refused."""
    _written(tmp_path, "hc1-keys.json", b" " * 100)
    monkeypatch.setattr(issuers, "MAX_FILE_BYTES", 99)
    with pytest.raises(TrustError, match="larger"):
        issuers.load(tmp_path)
    (tmp_path / "hc1-keys.json").unlink()
    for number in range(3):
        _written(tmp_path, f"passes/{number}.pem", b"x")
    monkeypatch.setattr(issuers, "MAX_FILES", 2)
    with pytest.raises(TrustError, match="more than 2"):
        issuers.load(tmp_path)
    monkeypatch.setattr(issuers, "MAX_FILES", 3)
    (tmp_path / "shc-keys.json").mkdir()
    monkeypatch.setattr(issuers, "MAX_FILE_BYTES", 1 << 20)
    with pytest.raises(TrustError, match="cannot be read"):
        issuers.load(tmp_path)


def test_a_changed_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new list counts at the next look; a broken one is told and leaves the station with what it had."""
    caplog.set_level(logging.INFO)
    folder = TrustFolder(tmp_path)
    assert folder.trust.passes is None
    _written(tmp_path, "passes/office.pem", _pem(OFFICE))
    folder.look()
    read = folder.trust
    folder.look()
    _written(tmp_path, "revoked/x.cose", b"x")
    folder.look()
    assert list(read.passes or ()) == [OFFICE.kid]
    assert folder.trust is read
    assert [record.message.split()[0] for record in caplog.records] == ["trust-read", "trust-fault"]
