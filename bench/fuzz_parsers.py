"""The parsers that strangers reach, each with valid examples, its layers, and the refusals that it documents."""

from __future__ import annotations

import base64
import json
import tempfile
import zlib
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.layers import ForgedError, Layer, Parser
from kiosk.config import LocalCard
from kiosk.credential import classify, compile_local, hc1, nzcp, personal_pass, shc
from kiosk.credential.chunks import Chunks
from kiosk.credential.trust import HC1_HASHES, PASS_NUMBERS, REVOKED, Revoked, revoked_of
from kiosk.delivery import packing, wire
from kiosk.delivery.poison import Poison
from kiosk.envelopes import base45, cbor, cose, provisioning_code, remote, seal
from kiosk.envelopes.cose import Sign1
from kiosk.errors import CborError, ConfigError, CoseError, ProvisionError, SealError, TrustError, WireError
from kiosk.model import (
    ClockQuality,
    Credential,
    Direction,
    Entry,
    Malformed,
    Moment,
    Sealed,
    Sighting,
    Unproven,
    WrongCode,
)
from kiosk.settings import loader
from kiosk.sim.issuers import (
    HOUR_S,
    NOW_S,
    CardIssuer,
    HealthAuthority,
    Office,
    es256,
    hc1_code,
    nzcp_code,
    shc_code,
)
from kiosk.trust import authority_keys, trust_list

if TYPE_CHECKING:
    from kiosk.model import Verdict


_AUTHORITY, _RSA = HealthAuthority(), HealthAuthority(rsa_bits=2048)
_CARDS, _OFFICE = CardIssuer(), Office()
_PHONE = Ed25519PrivateKey.generate()
_FLEET = Ed25519PrivateKey.generate()
_FLEET_KEYS = {cose.key_id(_FLEET.public_key()): _FLEET.public_key()}
_TRUST = replace(
    _CARDS.trust,
    hc1={**(_AUTHORITY.trust.hc1 or {}), **(_RSA.trust.hc1 or {})},
    passes=_OFFICE.trust.passes,
    revoked=Revoked(hashes={"UCI": frozenset({bytes(16)})}, passes={_OFFICE.kid: frozenset({99})}),
)
_LOCAL = compile_local([LocalCard(document="staff", pattern="NV|{number}|{name}|{any}")])
_CARDS_READ = (
    "046090000123|191234567|Nguyễn Văn A|01021990|Nam|Thôn Đông, Phong An, Phong Điền|15062021",
    "046090000123||Nguyễn Văn A|01021990|Nữ|Thôn Đông|15072024||||",
    "******029317|NGUYEN VAN A|1987-**-**|0|162979388586171100|<1<<",
    f"GD4010123456789|{'Nguyễn Văn A'.encode().hex()}|01/02/1990|1|-|46-001|x|$",
    "NV|123|Nguyễn Văn A|x",
    "00020101021138570010A00000072701270006970436",
    "https://example.org/a?b=c",
)


def _ours(payload: bytes, key: Ed25519PrivateKey, purpose: bytes) -> bytes:
    """Any payload in a sound envelope of this project."""
    head = cbor2.dumps({cose.ALG: cose.EDDSA, cose.KID: cose.key_id(key.public_key())}, canonical=True)
    signature = key.sign(Sign1(head, {}, {}, payload, b"").signed_bytes(purpose))
    return bytes(cbor2.dumps(cbor2.CBORTag(cose.SIGN1_TAG, [head, {}, payload, signature])))


def _fleets(envelope: bytes, purpose: bytes) -> tuple[Layer, Layer]:
    """An envelope under the fleet's key, and its claims."""
    claims = cose.parse(envelope, cbor.OURS).payload
    return Layer((envelope,)), Layer((claims,), lambda data: _ours(data, _FLEET, purpose), signed=True)


def _nzcp(payload: bytes) -> bytes:
    head = cbor2.dumps({4: b"key-1", 1: cose.ES256})
    signature = es256(_CARDS.key, cbor2.dumps(["Signature1", head, b"", payload]))
    return nzcp_code(cbor2.dumps(cbor2.CBORTag(18, [head, {}, payload, signature])))


def _jws(header: bytes) -> bytes:
    """A card with this header, which is looked at before the signature."""
    return shc_code(base64.urlsafe_b64encode(header).rstrip(b"=") + b"." + _JWS.split(b".", 1)[1])


def _digits_off(code: bytes) -> bytes:
    digits = code.removeprefix(shc.PREFIX)
    return bytes(int(digits[at : at + 2]) + 45 for at in range(0, len(digits), 2))


def _letters(jws: bytes) -> bytes:
    """The digits of a JWS, as far as it is of characters that have some."""
    return shc_code(bytes(45 + (each - 45) % 100 for each in jws))


def _pass(envelope: bytes) -> bytes:
    return personal_pass.code_of(envelope).encode()


def _setup(envelope: bytes) -> bytes:
    return (provisioning_code.PREFIX + base45.encode(envelope)).encode()


def _moving(envelope: bytes) -> bytes:
    return personal_pass.moving_code_of(envelope, _PHONE, NOW_S).encode()


_RAW = _PHONE.public_key().public_bytes_raw()
_PASS, _BOUND = _OFFICE.envelope(), _OFFICE.envelope(key=_RAW)
_HC1S = tuple(each.envelope(each.claims()) for each in (_AUTHORITY, _RSA))
_SHC, _NZCP = _CARDS.shc(_CARDS.shc_claims()), _CARDS.nzcp()
_JWS = _digits_off(_SHC)
_HEADER = base64.urlsafe_b64decode(_JWS.split(b".")[0] + b"==")
_NZCP_ENVELOPE = base64.b32decode(_NZCP[8:] + b"=" * (-len(_NZCP[8:]) % 8))
_PASS_CLAIMS = tuple(cose.parse(each, cbor.OURS).payload for each in (_PASS, _BOUND))


def _bare(verdict: Verdict) -> Verdict:
    """Without the envelope, which may have lost a tag."""
    return replace(verdict, same_as=b"") if isinstance(verdict, Credential) else verdict


_SOUND = {
    _bare(classify(code, (), _TRUST, NOW_S))
    for code in (*map(hc1_code, _HC1S), _SHC, _NZCP, _pass(_PASS), _moving(_BOUND))
}


def _classified(code: bytes, layer: Layer) -> bool:
    verdict = classify(code, _LOCAL, _TRUST, NOW_S)
    if not isinstance(verdict, Credential | Unproven | Malformed | WrongCode):
        raise TypeError(type(verdict).__name__)
    if not isinstance(verdict, Credential):
        return False
    if (
        verdict.document in {hc1.HC1, shc.SHC, nzcp.NZCP, personal_pass.PASS}
        and not layer.signed
        and _bare(verdict) not in _SOUND
    ):
        raise ForgedError(verdict.document)
    return True


def _in_parts(digits: bytes) -> bytes:
    """A card's digits in three codes, a line each."""
    third = len(digits) // 6 * 2
    parts = digits[:third], digits[third : 2 * third], digits[2 * third :]
    return b"\n".join(b"shc:/%d/3/%s" % (number, part) for number, part in enumerate(parts, 1))


def _put_together(lines: bytes, layer: Layer) -> bool:
    sightings = [Sighting(line, 0) for line in lines.split(b"\n")[:50]]
    verdicts = [_classified(each.payload, layer) for each in Chunks().join(sightings, 0)]
    return any(verdicts)


def _enveloped(message: bytes, layer: Layer) -> bool:
    claims = cose.verify(message, _FLEET_KEYS, remote.PURPOSE)
    if not layer.signed and claims != cbor2.loads(_COMMAND_CLAIMS):
        raise ForgedError("envelope")
    return True


def _commanded(message: bytes, layer: Layer) -> bool:
    judged = remote.judge(message, _FLEET_KEYS, "phong-01", 6, _NOW)
    if not layer.signed and isinstance(judged, remote.Command) and judged != _COMMAND:
        raise ForgedError("command")
    return isinstance(judged, remote.Command)


def _provisioned(text: bytes, layer: Layer) -> bool:
    code = provisioning_code.decode(text.decode("latin-1"), _FLEET_KEYS, NOW_S)
    if not layer.signed and code != _PROVISIONING:
        raise ForgedError("provisioning")
    return True


def _listed(message: bytes, layer: Layer) -> bool:
    keys = authority_keys.read(message, _FLEET.public_key())
    if not layer.signed and keys != _KEYS:
        raise ForgedError("keys")
    return True


def _trusted(message: bytes, layer: Layer) -> bool:
    found = trust_list.read(message, _FLEET_KEYS)
    if not layer.signed and found != _TRUSTED:
        raise ForgedError("trust list")
    return True


def _headed(claims: bytes) -> bytes:
    return cbor2.dumps([_ours(claims, _FLEET, trust_list.PURPOSE), trust_list.parts(_TRUST_LIST)[1]])


def _contained(content: bytes) -> bytes:
    claims = {cose.IAT: NOW_S, trust_list.DIGEST: sha256(content).digest()}
    return cbor2.dumps([cose.sign(claims, _FLEET, trust_list.PURPOSE), content])


def _revoked(message: bytes, _layer: Layer) -> bool:
    revoked_of(message, _FLEET_KEYS)
    return True


def _cbor(limits: cbor.Limits, data: bytes, _layer: Layer) -> bool:
    cbor.loads(data, limits)
    return True


def _base45(data: bytes, _layer: Layer) -> bool:
    text = data.decode("latin-1")
    if base45.encode(base45.decode(text)) != text:
        raise ForgedError("two texts for the same bytes")
    return True


def _batch(payload: bytes, _layer: Layer) -> bool:
    batch = wire.decode_batch(payload)
    return any(not isinstance(row, Poison) for row in batch.rows)


def _entry(body: bytes, _layer: Layer) -> bool:
    entry = wire.decode_entry(body)
    if wire.decode_entry(wire.encode_entry(entry)) != entry:
        raise ForgedError("another entry after a round")
    return True


def _receipt(payload: bytes, _layer: Layer) -> bool:
    wire.decode_receipt(payload)
    return True


def _configured(text: bytes, _layer: Layer) -> bool:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(text)
        file.flush()
        loader.load(Path(file.name))
    return True


_NOW = Moment(NOW_S * 1_000_000_000, "b" * 36, 1, ClockQuality.SYNCED)
_OUTBOX = UUID(int=9)
_PLAIN = Entry(UUID(int=7), "phong-01", "tru-so", "main", Direction.IN, _NOW, "cccd", ("a",), (("name", "Nguyễn"),))
_BOXED = replace(_PLAIN, person=(), sealed=(Sealed("0" * 16, "x25519", b"box"),))
_ENTRIES = tuple(wire.encode_entry(entry) for entry in (_PLAIN, _BOXED))
_BATCH = wire.encode_batch("phong-01", _OUTBOX, list(enumerate(_ENTRIES, 1)))
_FRAME = packing.packed(wire.encode_batch("phong-01", _OUTBOX, list(enumerate(_ENTRIES * 10, 1))))
_COMMAND = remote.Command(bytes(16), 7, remote.Verb.RESEND, (1, 9))
_ORDER = remote.signed(_COMMAND, "phong-01", _FLEET, NOW_S, HOUR_S)
_COMMAND_CLAIMS = cose.parse(_ORDER, cbor.OURS).payload
_PROVISIONING = provisioning_code.ProvisioningCode(
    "phong-01", "tru-so", (("main", Direction.IN),), "broker.example:8883", "centre.example:8443",
    bytes(32), bytes(16), NOW_S, NOW_S + HOUR_S, provisioning_code.Wifi("net", "password"),
)  # fmt: skip
_SETUP = provisioning_code.encode(_PROVISIONING, _FLEET).encode()
_SETUP_ENVELOPE = base45.decode(_SETUP[4:].decode())
_KEYS = authority_keys.KeyList(
    NOW_S, (authority_keys.DayKey("authority", seal.PrivateKey.make(seal.CLASSIC).public, NOW_S, NOW_S + HOUR_S),)
)
_KEY_LIST = authority_keys.sign(_KEYS, _FLEET)
_REVOCATIONS = cose.sign({PASS_NUMBERS: [1, 2], HC1_HASHES: {"UCI": bytes(32)}}, _FLEET, REVOKED)
_TRUST_LIST = trust_list.sign({"passes/office.pem": b"x" * 99, "revoked/a.cose": _REVOCATIONS}, NOW_S, _FLEET)
_TRUSTED = trust_list.read(_TRUST_LIST, _FLEET_KEYS)
_CONFIG = b"""\
kiosk: {id: phong-01, site: tru-so}
lanes:
  - {name: main, direction: in, panel: {}}
uplink: {brokers: ["mqtt://127.0.0.1:1883"], keepalive_s: 30}
sound: {quiet_from: "21:00", volume_percent: 80}
credentials:
  local:
    - {document: staff, pattern: "NV|{number}|{name}|{any}"}
"""

PARSERS = (
    Parser("cards", (Layer(tuple(card.encode() for card in _CARDS_READ)),), _classified),
    Parser(
        "hc1",
        (
            Layer(tuple(map(hc1_code, _HC1S))),
            Layer(tuple(map(zlib.compress, _HC1S)), lambda data: b"HC1:" + base45.encode(data).encode()),
            Layer(_HC1S, hc1_code),
            Layer((cbor2.dumps(_AUTHORITY.claims()),), lambda data: hc1_code(_AUTHORITY.envelope(data)), signed=True),
        ),
        _classified,
    ),
    Parser(
        "shc",
        (
            Layer((_SHC,)),
            Layer((_JWS,), _letters),
            Layer((_HEADER,), _jws),
            Layer((json.dumps(_CARDS.shc_claims()).encode(),), _CARDS.shc, signed=True),
        ),
        _classified,
    ),
    Parser(
        "shc in parts",
        (
            Layer((_in_parts(_SHC[5:]),)),
            Layer((_SHC[5:],), _in_parts),
            Layer(
                (json.dumps(_CARDS.shc_claims()).encode(),), lambda data: _in_parts(_CARDS.shc(data)[5:]), signed=True
            ),
        ),
        _put_together,
    ),
    Parser(
        "nzcp",
        (
            Layer((_NZCP,)),
            Layer((_NZCP_ENVELOPE,), nzcp_code),
            Layer((cose.parse(_NZCP_ENVELOPE).payload,), _nzcp, signed=True),
        ),
        _classified,
    ),
    Parser(
        "pass",
        (
            Layer((_pass(_PASS), _moving(_BOUND))),
            Layer((_PASS,), _pass),
            Layer((base45.decode(_moving(_BOUND)[4:].decode()),), _pass),
            Layer(_PASS_CLAIMS, lambda data: _pass(_ours(data, _OFFICE.key, personal_pass.PURPOSE)), signed=True),
            Layer(_PASS_CLAIMS, lambda data: _moving(_ours(data, _OFFICE.key, personal_pass.PURPOSE)), signed=True),
        ),
        _classified,
    ),
    Parser("cose", _fleets(_ORDER, remote.PURPOSE), _enveloped, (CoseError,)),
    Parser(
        "cbor ours", (Layer((_ORDER[1:], _COMMAND_CLAIMS, _KEY_LIST[1:])),), partial(_cbor, cbor.OURS), (CborError,)
    ),
    Parser(
        "cbor theirs",
        (Layer((*(each[1:] for each in _HC1S), cbor2.dumps(_AUTHORITY.claims()))),),
        partial(_cbor, cbor.THEIRS),
        (CborError,),
    ),
    Parser("base45", (Layer((_pass(_PASS)[4:], hc1_code(_HC1S[0])[4:])),), _base45, (ValueError,)),
    Parser("batch", (Layer((_BATCH, _FRAME)),), _batch, (WireError,)),
    Parser("entry", (Layer(_ENTRIES),), _entry, (WireError,)),
    Parser("receipt", (Layer((wire.encode_receipt(wire.Receipt(_OUTBOX, 7)),)),), _receipt, (WireError,)),
    Parser("command", _fleets(_ORDER, remote.PURPOSE), _commanded),
    Parser(
        "provisioning",
        (
            Layer((_SETUP,)),
            Layer((_SETUP_ENVELOPE,), _setup),
            Layer(
                (cose.parse(_SETUP_ENVELOPE, cbor.OURS).payload,),
                lambda data: _setup(_ours(data, _FLEET, provisioning_code.PURPOSE)),
                signed=True,
            ),
        ),
        _provisioned,
        (ProvisionError,),
    ),
    Parser("authority's keys", _fleets(_KEY_LIST, authority_keys.PURPOSE), _listed, (SealError,)),
    Parser(
        "trust list",
        (
            Layer((_TRUST_LIST,)),
            Layer((cose.parse(trust_list.parts(_TRUST_LIST)[0], cbor.OURS).payload,), _headed, signed=True),
            Layer((trust_list.parts(_TRUST_LIST)[1],), _contained, signed=True),
        ),
        _trusted,
        (TrustError,),
    ),
    Parser("revocations", _fleets(_REVOCATIONS, REVOKED), _revoked, (TrustError,)),
    Parser("configuration", (Layer((_CONFIG,)),), _configured, (ConfigError,), share=5),
)
