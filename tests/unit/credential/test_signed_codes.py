"""Signed codes: genuine and current ones are believed, and everything else is refused for its own reason."""

from __future__ import annotations

import tracemalloc
import zlib
from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.bombs import CODES
from kiosk.credential import classify, personal_pass
from kiosk.credential.trust import Revoked, SigningKey, Trust
from kiosk.envelopes import base45, cose
from kiosk.model import BirthDate, Credential, Malformed, Result, Unproven, UnprovenReason, Verdict
from kiosk.sim.issuers import (
    HOUR_S,
    NAMES,
    NOW_S,
    VACCINATION,
    CardIssuer,
    HealthAuthority,
    Office,
    hc1_code,
    nzcp_code,
    shc_code,
)

AUTHORITY = HealthAuthority()
CARDS = CardIssuer()
OFFICE = Office()
PHONE = Ed25519PrivateKey.generate()
PHONE_KEY = PHONE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
BIRTH = BirthDate(1990, 2, 1)


def _hc1(code: bytes, trust: Trust | None = None, now_s: float | None = NOW_S) -> Verdict:
    return classify(code, (), AUTHORITY.trust if trust is None else trust, now_s)


def _unproven(document: str, reason: UnprovenReason) -> Unproven:
    return Unproven(document, reason)


NOT_GENUINE, UNKNOWN, REVOKED, NO_LIST, COPIED, UNSET = (
    UnprovenReason.NOT_GENUINE,
    UnprovenReason.UNKNOWN_ISSUER,
    UnprovenReason.REVOKED,
    UnprovenReason.NO_TRUST_LIST,
    UnprovenReason.COPIED,
    UnprovenReason.CLOCK_UNSET,
)


@pytest.mark.parametrize(
    "authority",
    [AUTHORITY, HealthAuthority(rsa_bits=2048), HealthAuthority(curve=ec.SECP384R1()), HealthAuthority("v")],
    ids=["ES256", "PS256", "P-384", "with its use"],
)
def test_genuine_certificate_is_verified(authority: HealthAuthority) -> None:
    """A health certificate of a trusted authority says who its holder is, and nothing of the vaccination."""
    assert _hc1(authority.code(), authority.trust) == Credential(
        document="hc1",
        number="URN:UVCI:01:VN:ABC123#S",
        name="Nguyễn Văn A",
        birth=BIRTH,
        flags=("verified",),
        result=Result.VERIFIED,
    )


@pytest.mark.parametrize(
    ("now_s", "result", "flags"),
    [
        (NOW_S + HOUR_S, Result.VERIFIED, ("verified",)),
        (NOW_S + HOUR_S + 1, Result.EXPIRED, ("expired",)),
        (NOW_S - HOUR_S - 1, Result.NOT_YET_VALID, ("not-yet-valid",)),
        (None, Result.VERIFIED, ("time-not-judged", "verified")),
    ],
)
def test_time_is_judged_where_it_is_known(now_s: float | None, result: Result, flags: tuple[str, ...]) -> None:
    """Expired and early certificates are called that; without a clock the flag says that nobody knows."""
    verdict = _hc1(AUTHORITY.code(), now_s=now_s)
    assert isinstance(verdict, Credential)
    assert (verdict.result, verdict.flags) == (result, flags)


@pytest.mark.parametrize("time_of", [float, lambda second: second + 0.5, int])
def test_times_may_be_fractions(time_of: type[float]) -> None:
    """Issuers write times as whole numbers and as floats."""
    claims = AUTHORITY.claims() | {4: time_of(NOW_S + HOUR_S)}
    verdict = _hc1(hc1_code(AUTHORITY.envelope(claims)))
    assert isinstance(verdict, Credential)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1e300, 1 << 63, "tomorrow", True])
def test_what_is_no_time_is_refused(time: object) -> None:
    """A certificate whose expiry is no time is damaged."""
    assert _hc1(hc1_code(AUTHORITY.envelope(AUTHORITY.claims() | {4: time}))) == Malformed("hc1", "time")


def test_key_is_found_in_either_header() -> None:
    """The id in the protected header wins; only without one the unprotected counts."""
    claims = AUTHORITY.claims()
    stranger = b"\x00" * 8
    unprotected = AUTHORITY.envelope(claims, {1: cose.ES256}, {4: AUTHORITY.kid})
    assert isinstance(_hc1(hc1_code(unprotected)), Credential)
    overruled = AUTHORITY.envelope(claims, {1: cose.ES256, 4: stranger}, {4: AUTHORITY.kid})
    assert _hc1(hc1_code(overruled)) == _unproven("hc1", UNKNOWN)
    ignored = AUTHORITY.envelope(claims, {1: cose.ES256, 4: AUTHORITY.kid}, {4: stranger})
    assert isinstance(_hc1(hc1_code(ignored)), Credential)
    headers: list[dict[object, object]] = [{1: cose.ES256}, {1: cose.ES256, 4: "text"}]
    for none in headers:
        assert _hc1(hc1_code(AUTHORITY.envelope(claims, none))) == _unproven("hc1", UNKNOWN)


def test_colliding_ids_try_every_key() -> None:
    """Two authorities with the same id are told apart by the signature."""
    other = HealthAuthority(rsa_bits=2048)
    (ours,), (others,) = AUTHORITY.trust.hc1[AUTHORITY.kid], other.trust.hc1[other.kid]  # type: ignore[index]
    assert isinstance(_hc1(AUTHORITY.code(), Trust(hc1={AUTHORITY.kid: (others, ours)})), Credential)
    assert _hc1(AUTHORITY.code(), Trust(hc1={AUTHORITY.kid: (others,)})) == _unproven("hc1", NOT_GENUINE)


def test_wrong_signatures_are_not_genuine() -> None:
    """A flipped bit, another key, another algorithm, half a signature: not genuine."""
    head, unprotected, payload, signature = cbor2.loads(AUTHORITY.envelope(AUTHORITY.claims())).value
    for wrong in (signature[:-1] + bytes((signature[-1] ^ 1,)), signature[:32], b"", bytes(64)):
        code = hc1_code(cbor2.dumps([head, unprotected, payload, wrong]))
        assert _hc1(code) == _unproven("hc1", NOT_GENUINE)
    for algorithm in (cose.PS256, cose.EDDSA, -257, None, "ES256"):
        code = hc1_code(AUTHORITY.envelope(AUTHORITY.claims(), {1: algorithm, 4: AUTHORITY.kid}))
        assert _hc1(code) == _unproven("hc1", NOT_GENUINE)
    rsa = HealthAuthority(rsa_bits=2048)
    broken = cbor2.loads(rsa.envelope(rsa.claims())).value
    assert _hc1(hc1_code(cbor2.dumps([*broken[:3], bytes(256)])), rsa.trust) == _unproven("hc1", NOT_GENUINE)


def test_a_key_signs_only_what_it_may() -> None:
    """A key for tests cannot vouch for a vaccination, unless another key of the same id can."""
    tests_only = HealthAuthority("t")
    assert _hc1(tests_only.code(), tests_only.trust) == _unproven("hc1", NOT_GENUINE)
    assert isinstance(_hc1(tests_only.code(v=None, t=[{"ci": "URN:UVCI:01:VN:T"}]), tests_only.trust), Credential)
    (kept,) = tests_only.trust.hc1[tests_only.kid]  # type: ignore[index]
    both = Trust(hc1={tests_only.kid: (kept, SigningKey(kept.key))})
    assert isinstance(_hc1(tests_only.code(), both), Credential)


def test_without_keys_nothing_is_believed() -> None:
    """No trust list, or none with this issuer: the station says so, and never green."""
    codes = {
        "hc1": AUTHORITY.code(),
        "shc": CARDS.shc(CARDS.shc_claims()),
        "nzcp": CARDS.nzcp(),
        "pass": personal_pass.code_of(OFFICE.envelope()).encode(),
    }
    for document, code in codes.items():
        assert classify(code, now_s=NOW_S) == _unproven(document, NO_LIST)
        nobody = Trust(hc1={}, shc={}, nzcp={}, passes={})
        assert classify(code, (), nobody, NOW_S) == _unproven(document, UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("UCI", b"URN:UVCI:01:VN:ABC123#S"),
        ("COUNTRYCODEUCI", b"VNURN:UVCI:01:VN:ABC123#S"),
        ("SIGNATURE", None),
    ],
)
@pytest.mark.parametrize("rsa_bits", [0, 2048])
def test_revoked_certificates_are_refused(kind: str, data: bytes | None, rsa_bits: int) -> None:
    """By the hash of the id, of country and id, or of the signature: of r alone where it is ECDSA."""
    authority = HealthAuthority(rsa_bits=rsa_bits)
    envelope = authority.envelope(authority.claims())
    signature = cbor2.loads(envelope).value[3]
    hashed = sha256((signature if rsa_bits else signature[:32]) if data is None else data).digest()[:16]
    trust = replace(authority.trust, revoked=Revoked(hashes={kind: frozenset((hashed,))}))
    assert _hc1(hc1_code(envelope), trust) == _unproven("hc1", REVOKED)
    other = replace(authority.trust, revoked=Revoked(hashes={kind: frozenset((bytes(16),))}))
    assert isinstance(_hc1(hc1_code(envelope), other), Credential)


ENVELOPE = AUTHORITY.envelope(AUTHORITY.claims())
BROKEN = {
    "no base45": (b"HC1:a", "base45"),
    "no ascii": ("HC1:ữ".encode(), "base45"),
    "not compressed": (b"HC1:" + base45.encode(ENVELOPE).encode(), "deflate"),
    "cut short": (b"HC1:" + base45.encode(zlib.compress(ENVELOPE)[:-9]).encode(), "deflate"),
    "bytes behind": (b"HC1:" + base45.encode(zlib.compress(ENVELOPE) + b"x").encode(), "deflate"),
    "a bomb": (b"HC1:" + base45.encode(zlib.compress(bytes(1 << 20))).encode(), "deflate"),
    "nothing": (b"HC1:", "deflate"),
    "another tag": (hc1_code(b"\xd1" + ENVELOPE[1:]), "envelope"),
    "the tag twice": (hc1_code(b"\xd2" + ENVELOPE), "envelope"),
    "no envelope": (hc1_code(cbor2.dumps([1, 2, 3])), "envelope"),
    "header no map": (hc1_code(cbor2.dumps([b"\x80", {}, b"", b""])), "envelope"),
    "a decimal": (hc1_code(bytes.fromhex("c4821b7fffffffffffffff01")), "envelope"),
    "claims no CBOR": (hc1_code(AUTHORITY.envelope(b"\xff")), "claims"),
    "no claims": (hc1_code(AUTHORITY.envelope({})), "claims"),
    "no certificate": (hc1_code(AUTHORITY.envelope({-260: {2: {}}})), "claims"),
    "no names": (AUTHORITY.code(nam=None), "name"),
    "empty names": (AUTHORITY.code(nam={"fn": " ", "gn": 7}), "name"),
    "control characters": (AUTHORITY.code(nam={"fn": "\x1b\u200b"}), "name"),
    "endless name": (AUTHORITY.code(nam={"fn": "A" * 161}), "name"),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_certificates_are_damaged(code: bytes, reason: str) -> None:
    """Every stage of unpacking refuses what is not of its form."""
    assert _hc1(code) == Malformed("hc1", reason)


@pytest.mark.parametrize(
    ("certificate", "number"),
    [
        ({"v": [{**VACCINATION, "ci": None}]}, None),
        ({"v": [{**VACCINATION, "ci": "x" * 101}]}, None),
        ({"v": [{**VACCINATION, "ci": "a\nb"}]}, None),
        ({"v": ["x"]}, None),
        ({"v": None}, None),
        ({"v": None, "r": [{"ci": "URN:R"}]}, "URN:R"),
    ],
)
def test_number_is_the_certificates_id(certificate: dict[str, object], number: str | None) -> None:
    """The id is kept where there is a sound one; a certificate without is still its holder's."""
    verdict = _hc1(AUTHORITY.code(**certificate))
    assert isinstance(verdict, Credential)
    assert verdict.number == number


@pytest.mark.parametrize(
    ("written", "birth"),
    [
        ("1990-02-01", BIRTH),
        ("1990-02", BirthDate(1990, 2)),
        ("1990", BirthDate(1990)),
        ("1990-02-01T00:00:00", BIRTH),
        ("", None),
        ("1990-13-01", BirthDate(1990)),
        ("1990-01-32", BirthDate(1990, 1)),
        ("1990-02-31", BirthDate(1990, 2)),
        ("1990-00-00", BirthDate(1990)),
        ("1990-00-20", BirthDate(1990)),
        ("1990-XX-XX", BirthDate(1990)),
        ("XX-XX-1990", BirthDate(1990)),
        ("1990-٣-01", BirthDate(1990)),
        ("01/02/1990", BirthDate(1990)),
        ("01.01.1990", BirthDate(1990, 1, 1)),
        ("31/12/1990", BirthDate(1990, 12, 31)),
        ("12/31/1990", BirthDate(1990, 12, 31)),
        ("31/31/1990", BirthDate(1990)),
        ("19900201", BIRTH),
        ("13021990", BirthDate(1990, 2, 13)),
        ("01 Feb 1990", BirthDate(1990)),
        ("1990-1991", BirthDate(1990)),
        ("1990 or 1991", None),
        ("0001-01-01", None),
        ("90", None),
        (1990, None),
        (None, None),
    ],
)
def test_birth_may_be_partly_known(written: object, birth: BirthDate | None) -> None:
    """Certificates give a whole day, a month, a year or nothing, in many ways; no day is kept that does not exist."""
    verdict = _hc1(AUTHORITY.code(dob=written))
    assert isinstance(verdict, Credential)
    assert verdict.birth == birth


def test_names_fall_back_to_latin() -> None:
    """Where only the transliterated names are there, they are taken, with spaces where ICAO 9303 has fillers."""
    verdict = _hc1(AUTHORITY.code(nam={"fnt": NAMES["fnt"]}))
    assert isinstance(verdict, Credential)
    assert verdict.name == "NGUYEN VAN"


def _shc(claims: object, header: object | None = None) -> Verdict:
    return classify(CARDS.shc(claims, header), (), CARDS.trust, NOW_S)


def test_genuine_health_card_is_verified() -> None:
    """A SMART Health Card of a trusted issuer says who its patient is; one numbered 1 of 1 is the same."""
    expected = Credential("shc", name="Nguyễn Văn A", birth=BIRTH, flags=("verified",), result=Result.VERIFIED)
    code = CARDS.shc(CARDS.shc_claims())
    assert classify(code, (), CARDS.trust, NOW_S) == expected
    assert classify(b"shc:/1/1/" + code.removeprefix(b"shc:/"), (), CARDS.trust, NOW_S) == expected


def test_health_card_of_another_issuer_is_unknown() -> None:
    """A key vouches for its own issuer only, and how a stranger signs makes its card no damaged one."""
    claims = CARDS.shc_claims() | {"iss": "https://evil.example"}
    assert _shc(claims) == _unproven("shc", UNKNOWN)
    foreign = CARDS.shc(claims, {"zip": "DEF", "alg": "ES384", "kid": "k1"})
    assert classify(foreign, (), CARDS.trust, NOW_S) == _unproven("shc", UNKNOWN)


def test_forged_health_card_is_not_genuine() -> None:
    """Another key's signature, or none, is not genuine."""
    assert classify(CardIssuer().shc(CARDS.shc_claims()), (), CARDS.trust, NOW_S) == _unproven("shc", NOT_GENUINE)
    whole = bytes(int(CARDS.shc(CARDS.shc_claims())[at : at + 2]) + 45 for at in range(5, 13, 2))
    assert whole == b"eyJ6"  # the digits are those of the standard


@pytest.mark.parametrize(
    ("patient", "name"),
    [
        ({"name": [{"text": "Nguyễn Văn A"}]}, "Nguyễn Văn A"),
        ({"name": [{"family": "Nguyễn"}]}, "Nguyễn"),
        ({"name": [{"family": "Nguyễn", "given": []}]}, "Nguyễn"),
        ({"name": [{"given": ["Văn", "A"]}]}, "Văn A"),
        ({"name": [{"family": "Nguyễn", "given": ["Văn A"], "text": "x"}]}, "Nguyễn Văn A"),
        ({"name": [{"family": " ", "given": [None, 5], "text": "A Văn"}]}, "A Văn"),
        (
            {"name": [{"use": "old", "text": "Cũ"}, {"use": "official", "text": "Mới"}, {"use": "usual", "text": "x"}]},
            "Mới",
        ),
        ({"name": [{"use": "maiden", "text": "Cũ"}, {"text": "Mới"}]}, "Mới"),
        ({"name": [{"use": "official", "_family": {}}, {"use": "nickname", "text": "Tí"}]}, "Tí"),
        ({"name": [{"period": {}, "use": ["official"]}, 7, {"text": "A"}]}, "A"),
        ({"name": {"text": "A"}}, "A"),
        ({"name": [{"family": "Nguyễn", "given": "A"}]}, "Nguyễn A"),
    ],
)
def test_patients_are_named_in_several_ways(patient: dict[str, object], name: str) -> None:
    """Names come in parts or whole, one or several, and every part of them may be left out (FHIR R4, HumanName)."""
    verdict = _shc(CARDS.shc_claims(**patient))
    assert isinstance(verdict, Credential)
    assert verdict.name == name


SHC_BROKEN = {
    "odd digits": (b"shc:/567", "digits"),
    "letters": (b"shc:/abcd", "digits"),
    "one of several": (b"shc:/1/2/5676", "one-of-several"),
    "no JWS": (shc_code(b"abcd"), "envelope"),
    "no base64": (shc_code(b"a.b.c"), "envelope"),
    "no JSON": (shc_code(b"aaaa.aaaa.aaaa"), "envelope"),
    "empty payload": (shc_code(b"e30..e30"), "envelope"),
    "another algorithm": (CARDS.shc(CARDS.shc_claims(), {"zip": "DEF", "alg": "none", "kid": "k1"}), "envelope"),
    "not compressed": (CARDS.shc(CARDS.shc_claims(), {"alg": "ES256", "kid": "k1"}), "envelope"),
    "claims no map": (CARDS.shc([1]), "envelope"),
    "endless depth": (CARDS.shc(b"[" * 9000), "envelope"),
    "a bomb": (CARDS.shc(b" " * (1 << 20)), "envelope"),
    "an endless time": (CARDS.shc(CARDS.shc_claims() | {"nbf": int("9" * 400)}), "time"),
    "no time": (CARDS.shc(CARDS.shc_claims() | {"nbf": "now"}), "time"),
    "no bundle": (CARDS.shc(CARDS.shc_claims() | {"vc": {}}), "patient"),
    "no name": (CARDS.shc(CARDS.shc_claims(name=[])), "patient"),
    "two patients": (CARDS.shc(CARDS.shc_claims() | {"vc": {"credentialSubject": {"fhirBundle": {"entry": [
        {"resource": {"resourceType": "Patient"}}, {"resource": {"resourceType": "Patient"}}, 7, {}]}}}}), "patient"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "reason"), SHC_BROKEN.values(), ids=SHC_BROKEN)
def test_broken_health_cards_are_damaged(code: bytes, reason: str) -> None:
    """Every stage of unpacking refuses what is not of its form."""
    assert classify(code, (), CARDS.trust, NOW_S) == Malformed("shc", reason)


def test_genuine_nzcp_is_verified() -> None:
    """A NZ COVID Pass says who its holder is, and is judged by time."""
    expected = Credential("nzcp", name="Nguyễn Văn A", birth=BIRTH, flags=("verified",), result=Result.VERIFIED)
    assert classify(CARDS.nzcp(), (), CARDS.trust, NOW_S) == expected
    late = classify(CARDS.nzcp(), (), CARDS.trust, NOW_S + 2 * HOUR_S)
    assert isinstance(late, Credential)
    assert late.result is Result.EXPIRED


def test_forged_nzcp_is_not_genuine() -> None:
    """Another key's signature is not genuine."""
    assert classify(CardIssuer().nzcp(), (), CARDS.trust, NOW_S) == _unproven("nzcp", NOT_GENUINE)


def _nzcp(said: object, head: dict[int, object], **claims: object) -> bytes:
    """A pass that says this issuer, with these headers; nobody signed it."""
    payload = cbor2.dumps({cose.ISS: said, "vc": {}} | claims)
    return nzcp_code(cbor2.dumps([cbor2.dumps(head), {}, payload, b"s" * 64]))


ELSEWHERE = "did:web:nzcp.elsewhere.example"
STRANGERS = {
    "another issuer": _nzcp(ELSEWHERE, {cose.ALG: cose.ES256, cose.KID: b"key-1"}),
    "our key's whole name": _nzcp(ELSEWHERE, {cose.ALG: cose.ES256, cose.KID: f"{CARDS.did}#key-1".encode()}),
    "no id of a key": _nzcp(ELSEWHERE, {cose.ALG: cose.ES256}),
    "an id that is a text": _nzcp(ELSEWHERE, {cose.ALG: cose.ES256, cose.KID: "key-1"}),
    "another algorithm": _nzcp(ELSEWHERE, {cose.ALG: cose.EDDSA, cose.KID: b"key-1"}),
    "none": _nzcp(ELSEWHERE, {}),
    "a time of another form": _nzcp(ELSEWHERE, {cose.ALG: cose.ES256, cose.KID: b"key-1"}, exp="never"),
    "a key that we do not know": _nzcp(CARDS.did, {cose.ALG: cose.ES256, cose.KID: b"key-2"}),
    "letters that are no UTF-8": _nzcp(CARDS.did, {cose.ALG: cose.ES256, cose.KID: b"\xff"}),
}


@pytest.mark.parametrize("code", STRANGERS.values(), ids=STRANGERS)
def test_nzcp_of_an_unknown_issuer_is_that_and_not_damaged(code: bytes) -> None:
    """Whose a pass is comes before how it is signed; whoever shows it is asked for another card, not to hold it still."""
    assert classify(code, (), CARDS.trust, NOW_S) == _unproven("nzcp", UNKNOWN)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (_nzcp(CARDS.did, {cose.ALG: cose.ES256}), "envelope"),
        (_nzcp(CARDS.did, {cose.ALG: cose.EDDSA, cose.KID: b"key-1"}), "envelope"),
        (_nzcp(7, {cose.ALG: cose.ES256, cose.KID: b"key-1"}), "envelope"),
        (b"NZCP:/1/!", "envelope"),
        (b"NZCP:/1/AAAA", "envelope"),
        (nzcp_code(AUTHORITY.envelope({}, {1: cose.ES256})), "envelope"),
        (CARDS.nzcp(exp="never"), "time"),
        (CARDS.nzcp(vc={}), "name"),
        (CARDS.nzcp(vc={"credentialSubject": {}}), "name"),
    ],
)
def test_broken_nzcp_is_damaged(code: bytes, reason: str) -> None:
    """What is not of the form is damaged."""
    assert classify(code, (), CARDS.trust, NOW_S) == Malformed("nzcp", reason)


def _pass(code: bytes | str, trust: Trust | None = None, now_s: float | None = NOW_S) -> Verdict:
    return classify(
        code.encode() if isinstance(code, str) else code, (), OFFICE.trust if trust is None else trust, now_s
    )


def test_genuine_pass_is_verified() -> None:
    """A pass of the office says who its holder is; its own number stands in where the holder has none."""
    envelope = OFFICE.envelope(holder_number="NV-0123")
    assert _pass(personal_pass.code_of(envelope)) == Credential(
        document="pass",
        number="NV-0123",
        name="Nguyễn Văn A",
        birth=BirthDate(1990),
        flags=("verified",),
        result=Result.VERIFIED,
        same_as=envelope,
    )
    bare = _pass(personal_pass.code_of(OFFICE.envelope(name=None, birth_year=None)))
    assert isinstance(bare, Credential)
    assert (bare.number, bare.name, bare.birth) == ("P7", None, None)


def test_pass_fits_a_small_code() -> None:
    """A static pass is short: about 160 characters without a name, and a QR code of version 8 at most with one."""
    import segno  # noqa: PLC0415

    bare = personal_pass.code_of(OFFICE.envelope(name=None, birth_year=None))
    named = personal_pass.code_of(OFFICE.envelope(holder_number="NV-0123"))
    assert len(bare) <= 165
    assert int(segno.make_qr(bare, error="m").version) <= 7
    assert int(segno.make_qr(named, error="m").version) <= 9


def test_pass_of_another_office_is_refused() -> None:
    """An office that is not trusted, a forged signature, a signature for something else: refused."""
    other = Office()
    code = personal_pass.code_of(other.envelope())
    assert _pass(code) == _unproven("pass", UNKNOWN)
    assert _pass(code, Trust(passes={other.kid: OFFICE.key.public_key()})) == _unproven("pass", NOT_GENUINE)
    command = cose.sign({4: NOW_S + HOUR_S, 7: b"\x07"}, OFFICE.key, b"kiosk-command-1")
    assert _pass(personal_pass.code_of(command)) == _unproven("pass", NOT_GENUINE)
    no_kid = cbor2.dumps([cbor2.dumps({1: -8}), {}, b"", bytes(64)])
    assert _pass(personal_pass.code_of(no_kid)) == _unproven("pass", UNKNOWN)
    bad_header = cbor2.dumps([b"\xff", {}, b"", bytes(64)])
    assert _pass(personal_pass.code_of(bad_header)) == _unproven("pass", NOT_GENUINE)


def test_revoked_pass_is_refused() -> None:
    """A number revoked by its own office is refused; another office cannot revoke it."""
    code = personal_pass.code_of(OFFICE.envelope())
    revoked = replace(OFFICE.trust, revoked=Revoked(passes={OFFICE.kid: frozenset((7,))}))
    assert _pass(code, revoked) == _unproven("pass", REVOKED)
    elsewhere = replace(OFFICE.trust, revoked=Revoked(passes={b"another!": frozenset((7,))}))
    assert isinstance(_pass(code, elsewhere), Credential)


def test_pass_is_judged_by_time() -> None:
    """A pass expires, and may begin later."""
    late = _pass(personal_pass.code_of(OFFICE.envelope()), now_s=NOW_S + HOUR_S + 1)
    early = _pass(personal_pass.code_of(OFFICE.envelope(begins_s=NOW_S + 60)))
    assert isinstance(late, Credential)
    assert isinstance(early, Credential)
    assert (late.result, early.result) == (Result.EXPIRED, Result.NOT_YET_VALID)


def test_moving_pass_lives_for_half_a_minute() -> None:
    """The phone's code is good around its ten seconds; a picture of it is not, nor is its static part."""
    envelope = OFFICE.envelope(key=PHONE_KEY)
    code = personal_pass.moving_code_of(envelope, PHONE, NOW_S)
    for apart_s in (-20, 0, 20):
        verdict = _pass(code, now_s=NOW_S + apart_s)
        assert isinstance(verdict, Credential)
        assert verdict.same_as == envelope
    for apart_s in (-30, 30, 3600):
        assert _pass(code, now_s=NOW_S + apart_s) == _unproven("pass", COPIED)
    assert _pass(personal_pass.code_of(envelope)) == _unproven("pass", COPIED)
    assert _pass(code, now_s=None) == _unproven("pass", UNSET)


def test_moving_pass_needs_its_phone() -> None:
    """Another phone cannot sign for it, a step cannot be changed, and a static pass cannot be made to move."""
    envelope = OFFICE.envelope(key=PHONE_KEY)
    stranger = Ed25519PrivateKey.generate()
    assert _pass(personal_pass.moving_code_of(envelope, stranger, NOW_S)) == _unproven("pass", NOT_GENUINE)
    old = cbor2.loads(base45.decode(personal_pass.moving_code_of(envelope, PHONE, NOW_S - 3600)[4:]))
    moved = cbor2.dumps([old[0], NOW_S // 10, old[2]])
    assert _pass("KP1:" + base45.encode(moved)) == _unproven("pass", NOT_GENUINE)
    static = OFFICE.envelope()
    assert _pass(personal_pass.moving_code_of(static, PHONE, NOW_S)) == _unproven("pass", NOT_GENUINE)


GOOD = {4: NOW_S + HOUR_S, 7: b"\x07"}


@pytest.mark.parametrize(
    "claims",
    [
        {4: GOOD[4]},
        {7: GOOD[7]},
        {**GOOD, 7: b""},
        {**GOOD, 7: bytes(9)},
        {**GOOD, 4: True},
        {**GOOD, 5: -1},
        {**GOOD, 5: "x"},
        {**GOOD, 2: 7},
        {**GOOD, 2: ""},
        {**GOOD, personal_pass.HOLDER: {}},
        {**GOOD, personal_pass.HOLDER: ["A\x00"]},
        {**GOOD, personal_pass.HOLDER: ["A", "1990"]},
        {**GOOD, personal_pass.HOLDER: ["A", 1990, b"short"]},
        {**GOOD, personal_pass.HOLDER: ["A", 1990, "text"]},
        {**GOOD, personal_pass.HOLDER: [None, None, None, None]},
    ],
)
def test_pass_has_a_form(claims: dict[int, object]) -> None:
    """A trusted office's signature over something else is damaged, not believed."""
    code = personal_pass.code_of(cose.sign(claims, OFFICE.key, personal_pass.PURPOSE))
    assert _pass(code) == Malformed("pass", "claims")


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x83\x41a\x00\x40", b"\x83\x41a\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x40", b"\x82\x40\x40"]
)
def test_other_bytes_are_no_pass(data: bytes) -> None:
    """What is neither a static nor a moving pass is damaged."""
    assert _pass("KP1:" + base45.encode(data)) == Malformed("pass", "envelope")


@pytest.mark.parametrize("bomb", CODES.values(), ids=CODES)
def test_bombs_take_little(bomb: bytes) -> None:
    """Whatever a code announces or swells to, refusing it takes less than a megabyte."""
    tracemalloc.start()
    try:
        assert isinstance(classify(bomb, (), CARDS.trust, NOW_S), Malformed | Unproven)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
