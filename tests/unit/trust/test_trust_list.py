"""The delivered trust list: whose it is, what may be in it, how large it may be, and what a station does with a broken one."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import cbor2
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk.__main__ import main
from kiosk.credential.trust import PASS_NUMBERS, REVOKED, Trust
from kiosk.envelopes import cose
from kiosk.errors import TrustError
from kiosk.trust import issuers, trust_list
from kiosk.trust.issuers import TrustFolder
from kiosk.trust.trust_list import Arrivals

FLEET, OFFICE = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
FLEET_KEYS = {cose.key_id(FLEET.public_key()): FLEET.public_key()}
OFFICE_ID = cose.key_id(OFFICE.public_key())


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _files(*revoked: int) -> dict[str, bytes]:
    message = cose.sign({PASS_NUMBERS: list(revoked)}, OFFICE, REVOKED)
    return {"passes/office.pem": _pem(OFFICE), "revoked/office.cose": message}


def _list(issued_s: int, *revoked: int) -> bytes:
    return trust_list.sign(_files(*revoked), issued_s, FLEET)


@pytest.fixture
def fleet_pem(tmp_path: Path) -> Path:
    """The fleet's public key, as it is in the image."""
    path = tmp_path / "fleet.pem"
    path.write_bytes(_pem(FLEET))
    return path


def _arrive(arrivals: Arrivals, message: bytes) -> None:
    head, content = trust_list.parts(message)
    topic = arrivals.head(head)
    assert topic is not None
    assert arrivals.content(topic, content) is not None


def test_list_is_what_was_signed() -> None:
    """The files come back as they were; another fleet's key, and another purpose, make no list."""
    message = _list(7, 1, 2)
    assert trust_list.read(message, FLEET_KEYS).files == _files(1, 2)
    assert trust_list.read(message, FLEET_KEYS).head.issued_s == 7
    with pytest.raises(TrustError, match="not the fleet's"):
        trust_list.read(message, {OFFICE_ID: OFFICE.public_key()})
    content = trust_list.parts(message)[1]
    claims = {cose.IAT: 7, trust_list.DIGEST: hashlib.sha256(content).digest()}
    with pytest.raises(TrustError, match="not the fleet's"):
        trust_list.head_of(cose.sign(claims, FLEET, b"kiosk-command-1"), FLEET_KEYS)


@pytest.mark.parametrize(
    "claims",
    [{}, {cose.IAT: 7}, {cose.IAT: "7", trust_list.DIGEST: bytes(32)}, {cose.IAT: 7, trust_list.DIGEST: bytes(31)}],
)
def test_head_of_another_form_is_refused(claims: dict[int, object]) -> None:
    """Even one that the fleet has signed."""
    with pytest.raises(TrustError, match="another form"):
        trust_list.head_of(cose.sign(claims, FLEET, trust_list.PURPOSE), FLEET_KEYS)


@pytest.mark.parametrize(
    "name",
    ["passes/../office.pem", "/etc/passwd", "other-keys.json", "passes/a/b.pem", "revoked/x.pem", "passes/\n.pem", ""],
)
def test_files_have_known_names_only(name: str) -> None:
    """Nothing in a list can mean another place on the disk."""
    with pytest.raises(TrustError, match="no station reads"):
        trust_list.sign({name: b"x"}, 7, FLEET)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        zstandard.compress(b"\xff"),
        zstandard.compress(cbor2.dumps([1])),
        zstandard.compress(cbor2.dumps({"passes/x.pem": "text"})),
        zstandard.compress(cbor2.dumps({f"passes/{number}.pem": b"" for number in range(trust_list.MOST_FILES + 1)})),
        zstandard.compress(bytes(trust_list.LARGEST_FILES_BYTES + 1)),
        zstandard.ZstdCompressor(write_content_size=False).compress(cbor2.dumps({})),
    ],
    ids=["nothing", "noise", "no CBOR", "no map", "text", "many files", "a bomb", "no size"],
)
def test_content_is_bounded_and_of_one_form(content: bytes) -> None:
    """A genuine head does not make what it speaks of sane."""
    claims = {cose.IAT: 7, trust_list.DIGEST: hashlib.sha256(content).digest()}
    with pytest.raises(TrustError):
        trust_list.read(cbor2.dumps([cose.sign(claims, FLEET, trust_list.PURPOSE), content]), FLEET_KEYS)


def test_sizes_are_bounded() -> None:
    """Beyond what one message takes there is no list, on either side."""
    noise = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(40_000))
    with pytest.raises(TrustError, match="more than 1048576"):
        trust_list.sign({"hc1-keys.json": noise}, 7, FLEET)
    with pytest.raises(TrustError, match="more than 512"):
        trust_list.head_of(bytes(513), FLEET_KEYS)
    with pytest.raises(TrustError, match="not a trust list"):
        trust_list.parts(bytes(trust_list.LARGEST_CONTENT_BYTES * 2))
    with pytest.raises(TrustError, match="not a trust list"):
        trust_list.parts(cbor2.dumps([b"", b"", b""]))


def test_newer_list_takes_the_place(tmp_path: Path) -> None:
    """A list that is here is not asked for again; an older one, and another of the same second, are refused; so after a restart."""
    path = tmp_path / "identity/trust.list"
    arrivals = Arrivals(path, FLEET_KEYS)
    assert arrivals.issued_s is None
    _arrive(arrivals, _list(7, 1))
    assert path.stat().st_mode & 0o777 == 0o640
    for each in (arrivals, Arrivals(path, FLEET_KEYS)):
        assert each.issued_s == 7
        assert each.head(trust_list.parts(_list(7, 1))[0]) is None
        for old in (_list(6), _list(7, 2)):
            with pytest.raises(TrustError, match="no newer"):
                each.head(trust_list.parts(old)[0])
    _arrive(arrivals, _list(8))
    assert trust_list.load(path, FLEET_KEYS).files == _files()
    path.write_bytes(b"rotten")
    with pytest.raises(TrustError, match="no newer"):  # what was here is remembered while the process runs
        arrivals.head(trust_list.parts(_list(7, 1))[0])
    _arrive(arrivals, _list(9))
    assert trust_list.load(path, FLEET_KEYS).head.issued_s == 9


def test_content_that_nobody_waits_for_is_nothing(tmp_path: Path) -> None:
    """Without its head, or at another topic, content is not even looked at; a wrong one is refused, the right one is taken later."""
    arrivals = Arrivals(tmp_path / "trust.list", FLEET_KEYS)
    head, content = trust_list.parts(_list(7))
    topic = trust_list.head_of(head, FLEET_KEYS).content_topic
    assert arrivals.content(topic, content) is None
    assert arrivals.head(head) == topic
    assert arrivals.content("fleet/trust/ff", content) is None
    for wrong in (b"x", content + b"x", bytes(trust_list.LARGEST_CONTENT_BYTES + 1)):
        with pytest.raises(TrustError):
            arrivals.content(topic, wrong)
    assert not (tmp_path / "trust.list").exists()
    assert arrivals.content(topic, content) is not None


def test_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """A list that cannot be written is not held."""
    (tmp_path / "file").touch()
    arrivals = Arrivals(tmp_path / "file/trust.list", FLEET_KEYS)
    head, content = trust_list.parts(_list(7))
    topic = arrivals.head(head)
    assert topic is not None
    with pytest.raises(TrustError, match="cannot be written"):
        arrivals.content(topic, content)
    assert arrivals.issued_s is None


def test_delivered_list_replaces_the_folder(tmp_path: Path, fleet_pem: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As soon as a list is there the folder says nothing any more, and a list that vanishes or rots does not bring it back."""
    caplog.set_level(logging.INFO)
    other = Ed25519PrivateKey.generate()
    (tmp_path / "trust/passes").mkdir(parents=True)
    (tmp_path / "trust/passes/other.pem").write_bytes(_pem(other))
    path = tmp_path / "trust.list"
    folder = TrustFolder(tmp_path / "trust", path, fleet_pem)
    assert list(folder.trust.passes or ()) == [cose.key_id(other.public_key())]
    _arrive(Arrivals(path, FLEET_KEYS), _list(7, 5))
    folder.look()
    listed = folder.trust
    assert list(listed.passes or ()) == [OFFICE_ID]
    assert listed.revoked.passes == {OFFICE_ID: {5}}
    assert "list=7" in caplog.messages[-1]
    for spoil in (lambda: path.write_bytes(_list(6)), lambda: path.write_bytes(b"rotten"), path.unlink):
        spoil()
        folder.look()
        assert folder.trust is listed
        assert "trust-fault" in caplog.messages[-1]


@pytest.mark.parametrize("spoil", ["list", "key", "no key"])
def test_list_that_cannot_be_used_leaves_nobody(tmp_path: Path, fleet_pem: Path, spoil: str) -> None:
    """A station that starts with a rotten list, or another fleet's key, starts, believes nobody, and mends with the next list."""
    path = tmp_path / "trust.list"
    path.write_bytes(b"rotten" if spoil == "list" else _list(7))
    if spoil == "key":
        fleet_pem.write_bytes(b"no key")
    elif spoil == "no key":
        fleet_pem.unlink()
    folder = TrustFolder(tmp_path / "none", path, fleet_pem)
    assert folder.trust == Trust()
    fleet_pem.write_bytes(_pem(FLEET))
    path.unlink()
    _arrive(Arrivals(path, FLEET_KEYS), _list(8))
    folder.look()
    assert list(folder.trust.passes or ()) == [OFFICE_ID]


def test_check_says_what_is_in_force(tmp_path: Path, fleet_pem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kiosk check` names the delivered list and counts what it says; a rotten one is exit code 2."""
    config = tmp_path / "kiosk.yaml"
    config.write_text(
        f"kiosk: {{id: a-1, site: b}}\nlanes: [{{panel: {{kind: none}}}}]\nseal: {{mode: count}}\n"
        f"state: {{dir: {tmp_path}/state}}\ntrust: {{fleet_key_file: {fleet_pem}}}\n"
        f"credentials: {{trust_dir: {tmp_path}/none}}\n"
    )
    assert main(["check", "--config", str(config)]) == 0
    assert f"{tmp_path}/none: no keys" in capsys.readouterr().out
    path = tmp_path / "state/identity/trust.list"
    _arrive(Arrivals(path, FLEET_KEYS), _list(7))
    assert main(["check", "--config", str(config)]) == 0
    assert f"{path}: pass=1 keys" in capsys.readouterr().out
    path.write_bytes(b"rotten")
    assert main(["check", "--config", str(config)]) == 2
    assert str(path) in capsys.readouterr().err


def test_unreadable_list_is_not_a_missing_one(tmp_path: Path) -> None:
    """What cannot be looked at is there; only what is certainly missing is missing."""
    assert not trust_list.is_there(tmp_path / "none")
    (tmp_path / "file").touch()
    assert not trust_list.is_there(tmp_path / "file/none")
    assert trust_list.is_there(tmp_path / ("x" * 300))
    assert issuers.in_force(tmp_path, tmp_path / "none", tmp_path / "none")[0] == tmp_path
