"""One signed envelope for everything that this project signs: COSE_Sign1 (RFC 9052) around claims of a CWT (RFC 8392).

Passes, provisioning codes, commands and lists of keys are claims in a CBOR map, signed with Ed25519 under a purpose,
which is the signature's external data: a pass can never be taken for a command. The key's id stands in the protected
header. A message may carry COSE_Sign1's tag 18, inside or without CWT's tag 61; no other tag is let pass anywhere.

The signature is judged before the claims are looked at. Whether they are current is for the caller: what counts as
expired depends on the clock, and on what is asked.

`parse` also opens the COSE_Sign1 of other issuers, which `kiosk.credential` judges by their own rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk.envelopes import cbor
from kiosk.errors import CborError, CoseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CWT_TAG = 61
SIGN1_TAG = 18
ALG, KID = 1, 4
"""Labels of headers."""
EDDSA, ES256, PS256 = -8, -7, -37
"""Algorithms."""
ISS, SUB, EXP, NBF, IAT, CTI = 1, 2, 4, 5, 6, 7
"""Claims of a CWT."""

MOST_ITEMS = 200
"""In what nobody's signature vouches for yet: an envelope's four parts and its headers."""
KID_BYTES = 8
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Sign1:
    """An opened COSE_Sign1 whose signature has not been judged.

    Attributes:
        protected: The protected header as signed.
        headers: The same, read.
        unprotected: Headers that anyone could have changed.
        payload: What is signed.
        signature: The signature.
    """

    protected: bytes
    headers: Mapping[object, object]
    unprotected: Mapping[object, object]
    payload: bytes
    signature: bytes

    def signed_bytes(self, external: bytes = b"") -> bytes:
        """What the signature is over: the Sig_structure of RFC 9052, section 4.4."""
        return cbor2.dumps(["Signature1", self.protected, external, self.payload])


def key_id(key: Ed25519PublicKey) -> bytes:
    """The first 8 bytes of SHA-256 of the raw public key."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()[:KID_BYTES]


def sign(claims: Mapping[int, object], key: Ed25519PrivateKey, purpose: bytes) -> bytes:
    """The claims in a signed envelope with tag 18.

    Args:
        claims: Integers, strings, bytes, truth values, None, and arrays and maps of them; no floats.
        key: The signer's key.
        purpose: What the message is for, ASCII, as in b"kiosk-pass-1".

    Raises:
        CoseError: The claims are more or deeper than `verify` lets pass.
    """
    payload = cbor2.dumps(dict(claims), canonical=True)
    protected = cbor2.dumps({ALG: EDDSA, KID: key_id(key.public_key())}, canonical=True)
    unsigned = Sign1(protected, {}, {}, payload, b"")
    signature = key.sign(unsigned.signed_bytes(purpose))
    message: bytes = cbor2.dumps(cbor2.CBORTag(SIGN1_TAG, [protected, {}, payload, signature]))
    _claims(payload)
    return message


def verify(message: bytes, keys: Mapping[bytes, Ed25519PublicKey], purpose: bytes) -> dict[int, object]:
    """The claims of an envelope that one of these keys signed for this purpose; whether they are current is not judged.

    Args:
        message: The envelope.
        keys: Trusted keys by their `key_id`.
        purpose: What the message must have been signed for.

    Raises:
        CoseError: It is no such envelope, its key is not trusted, or its signature is wrong.
    """
    opened = parse(message, cbor.OURS)
    kid = opened.headers.get(KID)
    if opened.headers.get(ALG) != EDDSA or set(opened.headers) != {ALG, KID} or opened.unprotected:
        raise CoseError("headers are not those of this project's envelopes")
    key = keys.get(kid) if isinstance(kid, bytes) else None
    if key is None:
        raise CoseError("signed by a key that is not trusted")
    try:
        key.verify(opened.signature, opened.signed_bytes(purpose))
    except InvalidSignature:
        raise CoseError("the signature is wrong, or made for another purpose") from None
    return _claims(opened.payload)


def parse(message: bytes, limits: cbor.Limits = cbor.THEIRS) -> Sign1:
    """Open a COSE_Sign1; nothing is verified.

    Args:
        message: With tag 18, inside tag 61 or not, or without either.
        limits: How much is let pass in it and in its protected header; of items no more than `MOST_ITEMS` each.

    Raises:
        CoseError: It is none.
    """
    limits = replace(limits, items=MOST_ITEMS)
    try:
        parts = cbor.loads(cbor.without_tags(message, (CWT_TAG, SIGN1_TAG)), limits)
        match parts:
            case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as signature]:
                headers = cbor.loads(protected, limits) if protected else {}
            case _:
                raise CoseError("not a COSE_Sign1")
    except CborError as error:
        raise CoseError(f"not the CBOR of a signed code: {error.args[0]}") from None
    if not isinstance(headers, dict):
        raise CoseError("the protected header is no map")
    return Sign1(protected, headers, unprotected, payload, signature)


def _claims(payload: bytes) -> dict[int, object]:
    try:
        claims = cbor.loads(payload, cbor.OURS)
    except CborError as error:
        raise CoseError(f"the claims are not let pass: {error.args[0]}") from None
    if not isinstance(claims, dict) or not all(type(key) is int for key in claims):
        raise CoseError("the claims are no map with numbers as keys")
    return cast("dict[int, object]", claims)
