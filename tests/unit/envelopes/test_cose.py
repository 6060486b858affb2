"""The signed envelope: what is signed comes back, what is not is refused, whatever the bytes are."""

from __future__ import annotations

import tracemalloc

import cbor2
import cwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cwt.cose_key_interface import COSEKeyInterface

from bench import bombs
from kiosk.envelopes import cbor, cose
from kiosk.errors import CborError, CoseError

PURPOSE = b"kiosk-pass-1"
KEY = Ed25519PrivateKey.generate()
KEYS = {cose.key_id(KEY.public_key()): KEY.public_key()}
CLAIMS: dict[int, object] = {1: "office", 4: 1_900_000_000, 7: b"\x01\x02", -70_001: ["Nguyễn Văn A", 1990, True, None]}


def _foreign_key() -> COSEKeyInterface:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return cwt.COSEKey.from_pem(pem, kid=cose.key_id(KEY.public_key()))


def _signed(payload: bytes, protected: object, unprotected: object = None) -> bytes:
    """An envelope with a right signature over parts that this project would not put into one."""
    head = protected if isinstance(protected, bytes) else cbor2.dumps(protected)
    signature = KEY.sign(cbor2.dumps(["Signature1", head, PURPOSE, payload]))
    return cbor2.dumps(cbor2.CBORTag(18, [head, unprotected or {}, payload, signature]))


def test_claims_come_back() -> None:
    """What was signed is what is verified, with and without the tags that are allowed."""
    message = cose.sign(CLAIMS, KEY, PURPOSE)
    assert message[0] == 0xD2
    for tagged in (message, b"\xd8\x3d" + message, message[1:], b"\xd8\x3d" + message[1:]):
        assert cose.verify(tagged, KEYS, PURPOSE) == CLAIMS


def test_another_implementation_reads_ours() -> None:
    """The `cwt` package verifies what this project signs, under the same purpose only."""
    message = cose.sign(CLAIMS, KEY, PURPOSE)
    reader = cwt.COSE.new(verify_kid=True)
    assert cbor2.loads(reader.decode(message, _foreign_key(), external_aad=PURPOSE)) == CLAIMS
    with pytest.raises(cwt.VerifyError):
        reader.decode(message, _foreign_key(), external_aad=b"kiosk-command-1")


def test_ours_reads_another_implementation() -> None:
    """What the `cwt` package signs, this project verifies."""
    writer = cwt.COSE.new()
    kid = cose.key_id(KEY.public_key())
    message = writer.encode(
        cbor2.dumps(CLAIMS), _foreign_key(), protected={1: -8, 4: kid}, unprotected={}, external_aad=PURPOSE
    )
    assert cose.verify(message, KEYS, PURPOSE) == CLAIMS


def test_purpose_is_signed() -> None:
    """A message for one purpose is refused for every other."""
    with pytest.raises(CoseError, match="another purpose"):
        cose.verify(cose.sign(CLAIMS, KEY, b"kiosk-command-1"), KEYS, PURPOSE)


def test_any_flipped_bit_is_refused() -> None:
    """No bit of an envelope can be changed unnoticed, the tag's aside."""
    message = cose.sign(CLAIMS, KEY, PURPOSE)
    for place in range(8, 8 * len(message)):
        changed = bytearray(message)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(CoseError):
            cose.verify(bytes(changed), KEYS, PURPOSE)


def test_strangers_key_is_refused() -> None:
    """A sound envelope of another signer is refused, also if it names a trusted key."""
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(CoseError, match="not trusted"):
        cose.verify(cose.sign(CLAIMS, stranger, PURPOSE), KEYS, PURPOSE)
    with pytest.raises(CoseError, match="signature"):
        cose.verify(
            cose.sign(CLAIMS, stranger, PURPOSE), {cose.key_id(stranger.public_key()): KEY.public_key()}, PURPOSE
        )


@pytest.mark.parametrize(
    ("protected", "unprotected"),
    [
        ({1: -7, 4: cose.key_id(KEY.public_key())}, {}),
        ({1: -8}, {4: cose.key_id(KEY.public_key())}),
        ({1: -8, 4: "text"}, {}),
        ({1: -8, 4: cose.key_id(KEY.public_key()), 2: [99], 99: 1}, {}),
        ({1: -8, 4: cose.key_id(KEY.public_key())}, {33: b"certificate"}),
        (b"", {}),
        (b"\x80", {}),
        (b"\xff", {}),
    ],
)
def test_only_our_headers(protected: object, unprotected: dict[int, object]) -> None:
    """An envelope with other headers is refused although its signature is right: nothing in it is left to guess."""
    with pytest.raises(CoseError):
        cose.verify(_signed(cbor2.dumps(CLAIMS), protected, unprotected), KEYS, PURPOSE)


@pytest.mark.parametrize("payload", [b"\x01", b"\x80", b"", cbor2.dumps({"text": 1}), cbor2.dumps({1: 1.5})])
def test_claims_have_a_form(payload: bytes) -> None:
    """A right signature over something else than a map with numbers as keys is refused, too."""
    with pytest.raises(CoseError, match="claims"):
        cose.verify(_signed(payload, {1: -8, 4: cose.key_id(KEY.public_key())}), KEYS, PURPOSE)


def test_what_cannot_be_read_is_not_signed() -> None:
    """Nobody can sign claims that every receiver would refuse."""
    with pytest.raises(CoseError, match="float"):
        cose.sign({1: 1.5}, KEY, PURPOSE)


@pytest.mark.parametrize(
    "message", [b"", b"\xd2", b"\x84\x40\xa0\x40", b"\x83\x40\xa0\x40", b"\xd2\xd2\x84\x40\xa0\x40\x40"]
)
def test_other_bytes_are_no_envelope(message: bytes) -> None:
    """Anything else is refused by the one error."""
    with pytest.raises(CoseError):
        cose.verify(message, KEYS, PURPOSE)


def test_key_id_is_a_hash() -> None:
    """A key's id is the beginning of the hash of its raw bytes, as other implementations compute it."""
    import hashlib  # noqa: PLC0415

    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert cose.key_id(KEY.public_key()) == hashlib.sha256(raw).digest()[:8]


WANTED = [
    0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1, -1, -24, -25, -(2**64), b"", b"x" * 300, "", "ữ",
    [], [[1], {}], {}, {1: 2, "a": b"b", b"k": [None, True, False]},
]  # fmt: skip


@pytest.mark.parametrize("value", WANTED, ids=repr)
def test_wanted_values_pass(value: object) -> None:
    """Everything that codes are made of is let pass unchanged, by both measures."""
    assert cbor.loads(cbor2.dumps(value), cbor.OURS) == value
    assert cbor.loads(cbor2.dumps(value), cbor.THEIRS) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("fb3ff8000000000000", 1.5),
        ("f93e00", 1.5),
        ("9f01ff", [1]),
        ("bf0102ff", {1: 2}),
        ("5f41614162ff", b"ab"),
        ("7f61616162ff", "ab"),
        ("1800", 0),
        ("9f9fff7fffff", [[], ""]),
        ("82c0613080", ["0", []]),
        ("c07f6130ff", "0"),
    ],
)
def test_other_issuers_are_granted_more(data: str, value: object) -> None:
    """Floats, indefinite and long-written lengths and marked date-times pass where others write, and only there."""
    assert cbor.loads(bytes.fromhex(data), cbor.THEIRS) == value
    with pytest.raises(CborError):
        cbor.loads(bytes.fromhex(data), cbor.OURS)


BOMBS = {
    **{name: bomb.hex() for name, bomb in bombs.CBOR.items()},
    "short bignum": "c24a" + "ff" * 10,
    "negative bignum": "c34a" + "ff" * 10,
    "date of a number": "c11b7fffffffffffffff",
    "date of bytes": "c04161",
    "date of a date": "c0c06161",
    "tag written long": "d80061" + "61",
    "rational": "d81e820100",
    "pattern": "d8236128",
    "shared": "d81c81d81d00",
    "reference": "d81d00",
    "string reference": "d9010080",
    "network": "d9010444c0a80001",
    "self described": "d9d9f7a0",
    "pieces of another kind": "5f6161ff",
    "pieces in pieces": "5f5f4161ffff",
    "a number without end": "1f",
    "a tag without end": "df",
    "reserved": "1c",
    "break alone": "ff",
    "break in a map": "bf01ff",
    "array as key": "a18001",
    "map as key": "a1a001",
    "truth as key": "a1f501",
    "the same key": "a201020103",
    "undefined": "f7",
    "simple": "f820",
    "bad text": "61ff",
    "bytes behind": "0000",
    "cut number": "19ff",
    "cut map": "a101",
    "nothing": "",
}


@pytest.mark.parametrize("limits", [cbor.OURS, cbor.THEIRS], ids=["ours", "theirs"])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused(bomb: str, limits: cbor.Limits) -> None:
    """What makes cbor2 raise, tarry or fill the memory is refused by one error, and needs less than a megabyte."""
    data = bytes.fromhex(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(CborError):
            cbor.loads(data, limits)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_size_is_bounded() -> None:
    """A message beyond its measure is refused unread."""
    with pytest.raises(CborError, match="more than"):
        cbor.loads(bytes(cbor.THEIRS.size_bytes + 1), cbor.THEIRS)


@pytest.mark.parametrize("part", [0, 1])
def test_headers_are_few(part: int) -> None:
    """Ten thousand headers, which nobody has signed yet, are refused after the first two hundred."""
    parts: list[object] = [b"", {}, b"", bytes(64)]
    headers = dict.fromkeys(range(10_000), 0)
    parts[part] = headers if part else cbor2.dumps(headers)
    with pytest.raises(CoseError, match="more than 200 items"):
        cose.parse(cbor2.dumps(cbor2.CBORTag(18, parts)), cbor.OURS)
