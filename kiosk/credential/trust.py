"""Whom the signed codes are believed: keys of issuers, and what they have revoked, read from the files of a trust folder.

    hc1-keys.json      the gateway's list of certificates ([{"kid", "country", "rawData"}] or {"certificates": […]}), or keys
                       by their id ({"eu_keys": {KID: [{"subjectPk", "keyUsage"}]}})
    shc-keys.json      a directory's snapshot ({"issuerInfo": [{"issuer": {"iss"}, "keys": […]}]}), or one issuer of it
    nzcp-keys.json     a DID document with its verification methods
    passes/*.pem       public keys (Ed25519) of the offices whose passes and lists of revocations are believed
    revoked/*.cose     signed lists of what is revoked

A family whose file is missing cannot be verified and is refused. A file that is there and wrong is an error: a list of
revocations that cannot be read must not turn into a list without any.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kiosk.envelopes import cbor, cose
from kiosk.errors import CoseError, TrustError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

Use = Literal["t", "v", "r"]
"""Test, vaccination, recovery."""
EVERY_USE: frozenset[str] = frozenset(get_args(Use))
_USES_BY_OID = {
    bytes.fromhex(f"06{len(root) // 2 + 1:02x}{root}{number:02x}"): use
    for root in ("2b060104018e378f6501", "2b06010401008e378f6501")
    for number, use in enumerate("tvr", 1)
}
"""1.3.6.1.4.1.1847.2021.1.N, and the same with a 0 before 1847, as DER."""

REVOKED = b"kiosk-revoked-1"
"""The purpose of a signed list of revocations."""
PASS_NUMBERS, HC1_HASHES = -70_101, -70_102
"""Its claims: numbers of the signer's own passes; hashes by their kind."""
HASH_BYTES = 16
HashKind = Literal["SIGNATURE", "UCI", "COUNTRYCODEUCI"]

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs health certificates.

    Attributes:
        key: P-256, P-384 or RSA.
        uses: Which kinds of certificate it may sign.
        country: As the list has it; empty if it has none.
    """

    key: EllipticCurvePublicKey | RSAPublicKey
    uses: frozenset[str] = EVERY_USE
    country: str = ""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A P-256 key that only this issuer's codes are verified with."""

    key: EllipticCurvePublicKey
    issuer: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """What is revoked.

    Attributes:
        hashes: Of health certificates, by their kind, each the first 16 bytes of SHA-256.
        passes: Numbers of passes, by the key id of their issuer.
    """

    hashes: Mapping[str, frozenset[bytes]] = field(default_factory=dict)
    passes: Mapping[bytes, frozenset[int]] = field(default_factory=dict)

    def __or__(self, other: Revoked) -> Revoked:
        return Revoked(_joined(self.hashes, other.hashes), _joined(self.passes, other.passes))


@dataclass(frozen=True, slots=True)
class Trust:
    """All of it. None for a family whose file is missing: nothing of it can be verified."""

    hc1: Mapping[bytes, tuple[SigningKey, ...]] | None = None
    shc: Mapping[str, tuple[IssuerKey, ...]] | None = None
    nzcp: Mapping[str, IssuerKey] | None = None
    passes: Mapping[bytes, Ed25519PublicKey] | None = None
    revoked: Revoked = field(default_factory=Revoked)


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Certificate(_Form):
    rawData: str
    kid: str | None = None
    country: str = ""


class _Certificates(_Form):
    certificates: list[_Certificate]


class _DutchKey(_Form):
    subjectPk: str
    keyUsage: list[Use] = []


class _DutchKeys(_Form):
    eu_keys: dict[str, list[_DutchKey]]


class _Jwk(_Form):
    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str = ""


class _JwkSet(_Form):
    keys: list[_Jwk]


class _Issuer(_Form):
    iss: str


class _IssuerInfo(_JwkSet):
    issuer: _Issuer


class _Directory(_Form):
    issuerInfo: list[_IssuerInfo]


class _Method(_Form):
    id: str
    publicKeyJwk: _Jwk


class _Did(_Form):
    id: str
    verificationMethod: list[_Method] = Field(min_length=1)


_HC1_FORM: TypeAdapter[list[_Certificate] | _Certificates | _DutchKeys] = TypeAdapter(
    list[_Certificate] | _Certificates | _DutchKeys
)
_SHC_FORM: TypeAdapter[_Directory | _IssuerInfo | _JwkSet] = TypeAdapter(_Directory | _IssuerInfo | _JwkSet)
_NZCP_FORM: TypeAdapter[_Did] = TypeAdapter(_Did)


def certificate_kid(der: bytes) -> bytes:
    """The id under which a health certificate names its signer: the first 8 bytes of SHA-256 of the certificate."""
    return sha256(der).digest()[:8]


def certified_key(der: bytes, country: str = "") -> SigningKey:
    """The key in a certificate, with the uses that the certificate allows; all of them if it names none.

    Raises:
        TrustError: It is no certificate, or one for another kind of key.
    """
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError("a certificate cannot be read") from error
    return SigningKey(_usable(key), _uses_of(der) or EVERY_USE, country)


def _uses_of(der: bytes) -> frozenset[str]:
    """The uses whose object identifiers are in the certificate.

    They are looked for as bytes, not through its extensions: health authorities have issued certificates whose other
    extensions no strict reader takes.
    """
    return frozenset(use for oid, use in _USES_BY_OID.items() if oid in der)


def hc1_keys(text: bytes) -> dict[bytes, tuple[SigningKey, ...]]:
    """The keys in `hc1-keys.json`, by their ids, which may collide.

    Raises:
        TrustError: It is of no known form, or a key in it cannot be used.
    """
    listed = _read(_HC1_FORM, text, "hc1-keys.json")
    if isinstance(listed, _DutchKeys):
        return _grouped(
            (_unbase64(kid), SigningKey(_public(_unbase64(key.subjectPk)), frozenset(key.keyUsage) or EVERY_USE))
            for kid, keys in listed.eu_keys.items()
            for key in keys
        )
    certificates = listed.certificates if isinstance(listed, _Certificates) else listed
    return _grouped(
        (_unbase64(each.kid) if each.kid else certificate_kid(der), certified_key(der, each.country))
        for each in certificates
        for der in (_unbase64(each.rawData),)
    )


def shc_keys(text: bytes) -> dict[str, tuple[IssuerKey, ...]]:
    """The keys in `shc-keys.json`, by their ids.

    Raises:
        TrustError: It is of no known form, says of no keys whose they are, or a key in it cannot be used.
    """
    listed = _read(_SHC_FORM, text, "shc-keys.json")
    issuers = listed.issuerInfo if isinstance(listed, _Directory) else [listed]
    named = [info for info in issuers if isinstance(info, _IssuerInfo)]
    if len(named) < len(issuers):
        raise TrustError(
            'shc-keys.json does not say whose keys these are; write "issuer": {"iss": "https://…"} beside "keys", with the'
            " address under which the issuer publishes them"
        )
    return _grouped((key.kid, IssuerKey(_point(key), info.issuer.iss)) for info in named for key in info.keys)


def nzcp_keys(text: bytes) -> dict[str, IssuerKey]:
    """The keys in `nzcp-keys.json`, by their whole ids (`did:web:…#key-1`).

    Raises:
        TrustError: It is no DID document, or a key in it cannot be used.
    """
    document = _read(_NZCP_FORM, text, "nzcp-keys.json")
    return {method.id: IssuerKey(_point(method.publicKeyJwk), document.id) for method in document.verificationMethod}


def pass_key(pem: bytes) -> Ed25519PublicKey:
    """The key in a file of `passes/`.

    Raises:
        TrustError: It is no public Ed25519 key.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError("not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise TrustError("not an Ed25519 key")
    return key


def revoked_of(message: bytes, keys: Mapping[bytes, Ed25519PublicKey]) -> Revoked:
    """What this signed list revokes: passes of its signer, and health certificates.

    Raises:
        TrustError: It is not signed by one of the keys, or is of another form.
    """
    try:
        claims = cose.verify(message, keys, REVOKED)
    except CoseError as error:
        raise TrustError(f"a list of revocations is not to be believed: {error.args[0]}") from error
    signer = cast("bytes", cose.parse(message, cbor.OURS).headers[cose.KID])
    numbers, kinds = claims.get(PASS_NUMBERS, []), claims.get(HC1_HASHES, {})
    if not isinstance(numbers, list) or not isinstance(kinds, dict) or not all(type(each) is int for each in numbers):
        raise TrustError("a list of revocations is of another form")
    return Revoked({kind: _hashes(joined) for kind, joined in kinds.items()}, {signer: frozenset(numbers)})


def _hashes(joined: object) -> frozenset[bytes]:
    if not isinstance(joined, bytes) or len(joined) % HASH_BYTES:
        raise TrustError("a list of revocations is of another form")
    return frozenset(joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES))


def _read(form: TypeAdapter[T], text: bytes, name: str) -> T:
    try:
        return form.validate_json(text)
    except ValidationError as error:
        raise TrustError(f"{name} is of no known form") from error


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TrustError("a key is no base64") from error


def _public(der: bytes) -> EllipticCurvePublicKey | RSAPublicKey:
    try:
        return _usable(load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError("a key cannot be read") from error


def _usable(key: PublicKeyTypes) -> EllipticCurvePublicKey | RSAPublicKey:
    if isinstance(key, RSAPublicKey) and 2048 <= key.key_size <= 8192:
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1 | SECP384R1):
        return key
    raise TrustError("a key is neither P-256 or P-384 nor RSA of 2048 to 8192 bits")


def _point(key: _Jwk) -> EllipticCurvePublicKey:
    try:
        x, y = (int.from_bytes(base64.urlsafe_b64decode(part + "=="), "big") for part in (key.x, key.y))
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except (binascii.Error, ValueError) as error:
        raise TrustError("a key is no point of P-256") from error


def _grouped(pairs: Iterable[tuple[K, T]]) -> dict[K, tuple[T, ...]]:
    """All values of each key."""
    found: dict[K, tuple[T, ...]] = {}
    for key, value in pairs:
        found[key] = (*found.get(key, ()), value)
    return found


def _joined(some: Mapping[K, frozenset[T]], more: Mapping[K, frozenset[T]]) -> dict[K, frozenset[T]]:
    return {key: some.get(key, frozenset()) | more.get(key, frozenset()) for key in {**some, **more}}
