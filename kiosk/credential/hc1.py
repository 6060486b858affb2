"""`HC1:`: health certificates of the EU's family, among them Vietnam's vaccine passport (Decision 5772/QĐ-BYT). Signed.

    HC1: → base45 → zlib → COSE_Sign1 (ES256, PS256) → CWT (1 issuer, 4 expires, 6 issued, -260 → {1: certificate})

The signer's key is looked up by the id in the protected header; only if there is none, by that in the unprotected one.
Ids are 8 bytes and may collide: then every key is tried. A key may be kept to some kinds of certificate. Of the
certificate itself only the holder is looked at, and its id (UVCI), which is kept as the document's number: nothing of the
vaccination, test or illness is.

Sources:
    [1] Electronic Health Certificate Specification 1.2, github.com/ehn-dcc-development/eu-dcc-hcert-spec.
    [2] Interoperability of revocation, eHealth Network 2022: SIGNATURE is of r alone where the signature is ECDSA.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, cast

from kiosk.credential import proof
from kiosk.credential.trust import EVERY_USE, HASH_BYTES
from kiosk.envelopes import base45, cbor, cose
from kiosk.errors import CborError, CoseError
from kiosk.model import Credential, Malformed, Unproven, UnprovenReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kiosk.credential.trust import SigningKey, Trust
    from kiosk.envelopes.cose import Sign1

HC1 = "hc1"
PREFIX = b"HC1:"

_CERTIFICATE = -260
_LONGEST_UVCI = 100
_IS_SIGNED = {cose.ES256: proof.is_es256, cose.PS256: proof.is_ps256}


def parse(code: bytes, trust: Trust, now_s: float | None) -> Credential | Unproven | Malformed:
    """The holder of a certificate, if the certificate is genuine.

    Args:
        code: From the prefix on.
        trust: Whom to believe.
        now_s: Now, in Unix seconds; None if the clock was never set.
    """
    opened = opened_code(code)
    if isinstance(opened, Malformed):
        return opened
    if trust.hc1 is None:
        return Unproven(HC1, UnprovenReason.NO_TRUST_LIST)
    keys = trust.hc1.get(kid_of(opened), ())
    if not keys:
        return Unproven(HC1, UnprovenReason.UNKNOWN_ISSUER)
    signers = [key for key in keys if is_signed(opened, key)]
    if not signers:
        return Unproven(HC1, UnprovenReason.NOT_GENUINE)
    return _judged(opened, signers, trust, now_s)


def opened_code(code: bytes) -> Sign1 | Malformed:
    """The envelope in a code; nothing is verified."""
    try:
        compressed = base45.decode(code.removeprefix(PREFIX).decode("ascii"))
    except ValueError:
        return Malformed(HC1, "base45")
    message = proof.inflated(compressed, proof.ZLIB)
    if message is None:
        return Malformed(HC1, "deflate")
    try:
        return cose.parse(message)
    except CoseError:
        return Malformed(HC1, "envelope")


def kid_of(opened: Sign1) -> bytes:
    """The id of the signer's key; empty if there is none. The protected header wins."""
    kid = opened.headers.get(cose.KID, opened.unprotected.get(cose.KID))
    return kid if isinstance(kid, bytes) else b""


def is_signed(opened: Sign1, by: SigningKey) -> bool:
    """Whether this key signed it, by the algorithm that the envelope names."""
    algorithm = opened.headers.get(cose.ALG, opened.unprotected.get(cose.ALG))
    is_signed_by = _IS_SIGNED.get(algorithm) if isinstance(algorithm, int) else None
    return is_signed_by is not None and is_signed_by(by.key, opened.signature, opened.signed_bytes())


def claims_of(opened: Sign1) -> tuple[Mapping[object, object], Mapping[object, object]] | None:
    """The claims and the certificate in them; None if they are of another form."""
    try:
        claims = cbor.loads(opened.payload, cbor.THEIRS)
    except CborError:
        return None
    match claims:
        case {-260: {1: dict() as certificate}}:
            return cast("Mapping[object, object]", claims), certificate
    return None


def uses_of(certificate: Mapping[object, object]) -> frozenset[str]:
    """Which kinds of certificate it is."""
    return frozenset(use for use in EVERY_USE if certificate.get(use))


def _judged(
    opened: Sign1, signers: Sequence[SigningKey], trust: Trust, now_s: float | None
) -> Credential | Unproven | Malformed:
    """A certificate whose signature holds."""
    found = claims_of(opened)
    if found is None:
        return Malformed(HC1, "claims")
    claims, certificate = found
    try:
        result, flags = proof.result_at(now_s, proof.seconds_of(claims, cose.IAT), proof.seconds_of(claims, cose.EXP))
    except ValueError:
        return Malformed(HC1, "time")
    if not any(uses_of(certificate) <= key.uses for key in signers):
        return Unproven(HC1, UnprovenReason.NOT_GENUINE)
    statement = _statement(certificate)
    uvci = statement.get("ci")
    if not isinstance(uvci, str) or not 1 <= len(uvci) <= _LONGEST_UVCI or not uvci.isprintable():
        uvci = None
    if _is_revoked(opened, (claims.get(cose.ISS), statement.get("co")), uvci, trust):
        return Unproven(HC1, UnprovenReason.REVOKED)
    names = certificate.get("nam")
    name = _name(names) if isinstance(names, dict) else None
    if name is None:
        return Malformed(HC1, "name")
    birth = proof.birth_of(certificate.get("dob"))
    return Credential(document=HC1, number=uvci, name=name, birth=birth, flags=flags, result=result)


def _statement(certificate: Mapping[object, object]) -> Mapping[object, object]:
    """The first vaccination, test or recovery; empty if there is none."""
    for use in sorted(uses_of(certificate)):
        match certificate[use]:
            case [dict() as statement, *_]:
                return statement
    return {}


def _name(names: Mapping[object, object]) -> str | None:
    """Family name before given names, as in Vietnam; the transliterated form where there is no other."""
    return proof.name_of(*(_written(names.get(name), names.get(f"{name}t")) for name in ("fn", "gn")))


def _written(original: object, transliterated: object) -> object:
    """A part of the name; where ICAO 9303's form is all there is, its fillers are the spaces that they stand for."""
    if isinstance(original, str) and proof.name_of(original) is not None:
        return original
    return transliterated.replace("<", " ") if isinstance(transliterated, str) else None


def _is_revoked(opened: Sign1, countries: tuple[object, object], uvci: str | None, trust: Trust) -> bool:
    signature = opened.signature
    part = signature[: len(signature) // 2] if opened.headers.get(cose.ALG) == cose.ES256 else signature
    hashed: list[tuple[str, bytes]] = [("SIGNATURE", part)]
    if uvci is not None:
        hashed.append(("UCI", uvci.encode()))
        hashed += [("COUNTRYCODEUCI", f"{country}{uvci}".encode()) for country in countries]
    hashes = trust.revoked.hashes
    return any(sha256(data).digest()[:HASH_BYTES] in hashes.get(kind, ()) for kind, data in hashed)
