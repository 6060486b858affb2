"""What all signed families share: signatures of P-256 and RSA, a bounded inflate, and whether a code is current.

Times are Unix seconds. A station whose clock was never set since power-on cannot say what is expired: it judges the
signature, and the flag `time-not-judged` says so; whether that is enough is the policy's to say.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kiosk.credential import fields
from kiosk.model import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kiosk.model import BirthDate

INFLATED_BYTES = 1 << 14
ZLIB, RAW = zlib.MAX_WBITS, -zlib.MAX_WBITS
LARGEST_TIME_S = 1 << 53
"""What a float holds exactly; JSON can write whole numbers that no float holds at all."""
TIME_NOT_JUDGED = "time-not-judged"
_SALT_BYTES = 32
_LONGEST_NAME = 160


def is_es256(key: object, signature: bytes, data: bytes) -> bool:
    """Whether this is the key's signature: r and s, each as long as the key, over SHA-256."""
    if not isinstance(key, EllipticCurvePublicKey):
        return False
    part_bytes = key.key_size // 8
    if len(signature) != 2 * part_bytes:
        return False
    r, s = (int.from_bytes(part, "big") for part in (signature[:part_bytes], signature[part_bytes:]))
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def is_ps256(key: object, signature: bytes, data: bytes) -> bool:
    """Whether this is the key's signature: RSA-PSS with a salt of 32 bytes, over SHA-256."""
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, data, padding.PSS(padding.MGF1(hashes.SHA256()), _SALT_BYTES), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def inflated(data: bytes, window_bits: int) -> bytes | None:
    """What was compressed, at most 16 KiB of it; None if it is more, broken or followed by something.

    Args:
        data: The compressed bytes.
        window_bits: `ZLIB` or `RAW`.
    """
    inflater = zlib.decompressobj(window_bits)
    try:
        text = inflater.decompress(data, INFLATED_BYTES)
    except zlib.error:
        return None
    return text if inflater.eof and not inflater.unused_data else None


def seconds_of(claims: Mapping[object, object], label: object) -> float | None:
    """The time under this label, whole or not; None if there is none.

    Raises:
        ValueError: It is no time.
    """
    value = claims.get(label)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_TIME_S:  # nor NaN
        raise ValueError("not a time")
    return value


def result_at(now_s: float | None, begins_s: float | None, ends_s: float | None) -> tuple[Result, tuple[str, ...]]:
    """Whether a genuine code is current, with the flags that say so.

    Args:
        now_s: Now; None if the clock was never set.
        begins_s: From when it is valid; None for always.
        ends_s: Until when; None for ever.
    """
    if now_s is None:
        return Result.VERIFIED, (TIME_NOT_JUDGED, Result.VERIFIED.value)
    if ends_s is not None and now_s > ends_s:
        return Result.EXPIRED, (Result.EXPIRED.value,)
    if begins_s is not None and now_s < begins_s:
        return Result.NOT_YET_VALID, (Result.NOT_YET_VALID.value,)
    return Result.VERIFIED, (Result.VERIFIED.value,)


def name_of(*parts: object) -> str | None:
    """The parts of a name that are there, joined, as `fields.name_of` tidies them; None if nobody could be called so."""
    return fields.name_of(" ".join(part for part in parts if isinstance(part, str)), _LONGEST_NAME)


def birth_of(text: object) -> BirthDate | None:
    """What is known of a birth, however it is written; None if not even its year is."""
    return fields.known_birth_of(text) if isinstance(text, str) else None
