"""`shc:/`: SMART Health Cards. Signed.

    shc:/ → pairs of digits (value + 45 = character) → JWS: header.payload.signature, base64url
    payload: raw deflate of JSON: iss, nbf, exp, vc.credentialSubject.fhirBundle with a Patient in it

ES256 only. An issuer is believed by its own keys alone, whoever else's key it names. The JSON is read by pydantic's reader, which bounds its depth and takes no NaN. A card that is spread over
several codes (`shc:/2/3/…`) is put together in `kiosk.credential.chunks`. Of the bundle only the Patient is looked at.

Source: spec.smarthealth.cards, version 1.4.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from pydantic_core import from_json

from kiosk.credential import proof
from kiosk.model import Credential, Malformed, Unproven, UnprovenReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kiosk.credential.trust import Trust

SHC = "shc"
PREFIX = b"shc:/"

_DIGITS = re.compile(rb"shc:/(?:1/1/)?((?:[0-9][0-9])+)")
_PART = re.compile(rb"shc:/[0-9]{1,3}/[0-9]{1,3}/[0-9]+")
_LEAST_CHARACTER = 45
_USES = {"official": 0, "usual": 1, "nickname": 4, "anonymous": 5, "maiden": 6, "old": 7}
_OTHER_USE = 3
"""None at all, and whatever else a HumanName may be used for."""


def parse(code: bytes, trust: Trust, now_s: float | None) -> Credential | Unproven | Malformed:
    """The patient of a card, if the card is genuine.

    Args:
        code: From the prefix on.
        trust: Whom to believe.
        now_s: Now, in Unix seconds; None if the clock was never set.
    """
    match = _DIGITS.fullmatch(code)
    if match is None:
        return Malformed(SHC, "one-of-several" if _PART.fullmatch(code) else "digits")
    digits = match[1]
    jws = bytes(int(digits[at : at + 2]) + _LEAST_CHARACTER for at in range(0, len(digits), 2))
    parts = [_unbase64(part) for part in jws.split(b".")]
    if len(parts) != 3:
        return Malformed(SHC, "envelope")
    header_json, payload, signature = parts
    header = _json(header_json)
    text = proof.inflated(payload, proof.RAW) if payload else None
    claims = _json(text)
    if header is None or header.get("zip") != "DEF" or claims is None:
        return Malformed(SHC, "envelope")
    if trust.shc is None:
        return Unproven(SHC, UnprovenReason.NO_TRUST_LIST)
    known = trust.shc.get(str(header.get("kid")), ())
    keys = [key.key for key in known if key.issuer == claims.get("iss")]
    if not keys:
        return Unproven(SHC, UnprovenReason.UNKNOWN_ISSUER)
    if header.get("alg") != "ES256":
        return Malformed(SHC, "envelope")
    signed = jws[: jws.rindex(b".")]
    if not any(proof.is_es256(key, signature or b"", signed) for key in keys):
        return Unproven(SHC, UnprovenReason.NOT_GENUINE)
    return _holder(claims, now_s)


def _holder(claims: Mapping[object, object], now_s: float | None) -> Credential | Malformed:
    """What a card whose signature holds says of its patient."""
    try:
        result, flags = proof.result_at(now_s, proof.seconds_of(claims, "nbf"), proof.seconds_of(claims, "exp"))
    except ValueError:
        return Malformed(SHC, "time")
    match claims:
        case {"vc": {"credentialSubject": {"fhirBundle": {"entry": [*entries]}}}}:
            patients = [
                entry["resource"]
                for entry in entries
                if isinstance(entry, dict)
                and isinstance(entry.get("resource"), dict)
                and entry["resource"].get("resourceType") == "Patient"
            ]
        case _:
            patients = []
    name = _name(patients[0]) if len(patients) == 1 else None
    if name is None:
        return Malformed(SHC, "patient")
    birth = proof.birth_of(patients[0].get("birthDate"))
    return Credential(document=SHC, name=name, birth=birth, flags=flags, result=result)


def _name(patient: Mapping[object, object]) -> str | None:
    """The name that serves best of those a patient has: official before usual before any other, an old one last."""
    names = patient.get("name")
    listed = [each for each in (names if isinstance(names, list) else [names]) if isinstance(each, dict)]
    written = (_written(each) for each in sorted(listed, key=lambda each: _USES.get(str(each.get("use")), _OTHER_USE)))
    return next((name for name in written if name is not None), None)


def _written(name: Mapping[object, object]) -> str | None:
    """Family name before given names, as in Vietnam; or the text, where there are no parts. All of them are optional in FHIR."""
    given = name.get("given")
    parts = (name.get("family"), *(given if isinstance(given, list) else [given]))
    return proof.name_of(*parts) or proof.name_of(name.get("text"))


def _unbase64(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _json(text: bytes | None) -> dict[object, object] | None:
    try:
        value = from_json(text or b"", allow_inf_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
