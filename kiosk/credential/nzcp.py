"""`NZCP:/1/`: the New Zealand COVID Pass. Signed.

    NZCP:/1/ → base32 → COSE_Sign1 (ES256) → CWT: 1 issuer (did:web:…), 4 expires, 5 not before, "vc" → credentialSubject

The key is that of the issuer's DID document whose id is the issuer, `#` and the key's id. Whose a pass is comes first: how an issuer
signs that is not believed here, and by which key, makes its pass no damaged one.

Source: nzcp.covid19.health.nz, version 1.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from kiosk.credential import proof
from kiosk.envelopes import cbor, cose
from kiosk.errors import CborError, CoseError
from kiosk.model import Credential, Malformed, Unproven, UnprovenReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kiosk.credential.trust import Trust

NZCP = "nzcp"
PREFIX = b"NZCP:/1/"


def parse(code: bytes, trust: Trust, now_s: float | None) -> Credential | Unproven | Malformed:
    """The holder of a pass, if the pass is genuine.

    Args:
        code: From the prefix on.
        trust: Whom to believe.
        now_s: Now, in Unix seconds; None if the clock was never set.
    """
    text = code.removeprefix(PREFIX)
    try:
        opened = cose.parse(base64.b32decode(text + b"=" * (-len(text) % 8)))
        claims = cbor.loads(opened.payload, cbor.THEIRS)
    except (binascii.Error, CoseError, CborError):
        return Malformed(NZCP, "envelope")
    if not isinstance(claims, dict) or not isinstance(claims.get(cose.ISS), str):
        return Malformed(NZCP, "envelope")
    if trust.nzcp is None:
        return Unproven(NZCP, UnprovenReason.NO_TRUST_LIST)
    kid = opened.headers.get(cose.KID)
    if claims[cose.ISS] not in {each.issuer for each in trust.nzcp.values()}:
        return Unproven(NZCP, UnprovenReason.UNKNOWN_ISSUER)
    if not isinstance(kid, bytes) or opened.headers.get(cose.ALG) != cose.ES256:
        return Malformed(NZCP, "envelope")
    key = trust.nzcp.get(f"{claims[cose.ISS]}#{kid.decode('utf-8', 'replace')}")
    if key is None:
        return Unproven(NZCP, UnprovenReason.UNKNOWN_ISSUER)
    if not proof.is_es256(key.key, opened.signature, opened.signed_bytes()):
        return Unproven(NZCP, UnprovenReason.NOT_GENUINE)
    return _holder(claims, now_s)


def _holder(claims: Mapping[object, object], now_s: float | None) -> Credential | Malformed:
    """What a pass whose signature holds says of its holder."""
    try:
        result, flags = proof.result_at(now_s, proof.seconds_of(claims, cose.NBF), proof.seconds_of(claims, cose.EXP))
    except ValueError:
        return Malformed(NZCP, "time")
    match claims:
        case {"vc": {"credentialSubject": dict() as subject}}:
            name = proof.name_of(subject.get("familyName"), subject.get("givenName"))
            birth = proof.birth_of(subject.get("dob"))
        case _:
            name = birth = None
    if name is None:
        return Malformed(NZCP, "name")
    return Credential(document=NZCP, name=name, birth=birth, flags=flags, result=result)
