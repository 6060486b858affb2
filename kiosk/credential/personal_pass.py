"""`KP1:`: the personal pass that an office issues itself. Signed, printed on a card or shown on a phone.

    static   KP1: base45(ENVELOPE)                       the signed envelope of `kiosk.envelopes.cose`, purpose kiosk-pass-1
    moving   KP1: base45(CBOR [ENVELOPE, STEP, SIGNATURE])

    claims   2 the holder's number · 4 expires · 5 not before · 7 number of the pass · own: [name, birth year, holder's key]

A pass that names a holder's key is good only as the moving form: its phone signs the number of the current ten seconds
(Unix time / 10), so that a picture of it is stale after half a minute. The station must know the time for that: if its
clock was never set, such a pass cannot be verified, and that is what it says. A static pass can be copied like any card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.credential import proof
from kiosk.credential.fields import is_plain
from kiosk.envelopes import base45, cbor, cose
from kiosk.errors import CborError, CoseError
from kiosk.model import BirthDate, Credential, Malformed, Unproven, UnprovenReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from kiosk.credential.trust import Trust

PASS = "pass"  # noqa: S105  a kind of document
PREFIX = b"KP1:"
PURPOSE = b"kiosk-pass-1"
HOLDER = -70_001
"""The claim of our own: [name or None, birth year or None, holder's key or None], shortened from its end."""
STEP_S = 10
STEPS_AROUND = 2
"""How many steps the phone's clock and the station's may differ."""
_STEP_PURPOSE = b"kiosk-pass-step-1"
_LARGEST_NUMBER = (1 << 63) - 1
_LONGEST_TEXT = 160
_LARGEST_STEP = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Holder:
    """What a pass says.

    Attributes:
        number: Number of the pass, which is what is revoked.
        expires_s: Unix seconds.
        begins_s: Unix seconds; None: valid at once.
        holder_number: The holder's number at the office; None if the pass has none.
        name: The holder's name; None if the pass has none.
        birth_year: None if the pass has none.
        key: The holder's public key, 32 bytes; None for a static pass.
    """

    number: int
    expires_s: int
    begins_s: int | None = None
    holder_number: str | None = None
    name: str | None = None
    birth_year: int | None = None
    key: bytes | None = None


def issued(holder: Holder, issuer: Ed25519PrivateKey) -> bytes:
    """The signed envelope of a pass."""
    own = [holder.name, holder.birth_year, holder.key]
    while own and own[-1] is None:
        own.pop()
    claims = {
        cose.SUB: holder.holder_number,
        cose.EXP: holder.expires_s,
        cose.NBF: holder.begins_s,
        cose.CTI: holder.number.to_bytes(max(1, (holder.number.bit_length() + 7) // 8), "big"),
        HOLDER: own or None,
    }
    return cose.sign({label: value for label, value in claims.items() if value is not None}, issuer, PURPOSE)


def code_of(envelope: bytes) -> str:
    """The static code of a pass."""
    return PREFIX.decode() + base45.encode(envelope)


def moving_code_of(envelope: bytes, holder: Ed25519PrivateKey, now_s: float) -> str:
    """The code of a bound pass in this ten seconds."""
    step = int(now_s // STEP_S)
    signature = holder.sign(_signed_step(envelope, step))
    return PREFIX.decode() + base45.encode(cbor2.dumps([envelope, step, signature]))


def parse(code: bytes, trust: Trust, now_s: float | None) -> Credential | Unproven | Malformed:
    """The holder of a pass, if the pass is genuine and, where it is bound, its phone is here.

    Args:
        code: From the prefix on.
        trust: Whom to believe.
        now_s: Now, in Unix seconds; None if the clock was never set.
    """
    parts = _parts(code)
    if parts is None:
        return Malformed(PASS, "envelope")
    envelope, step, step_signature = parts
    if trust.passes is None:
        return Unproven(PASS, UnprovenReason.NO_TRUST_LIST)
    try:
        issuer = cose.parse(envelope, cbor.OURS).headers.get(cose.KID)
        if not isinstance(issuer, bytes) or issuer not in trust.passes:
            return Unproven(PASS, UnprovenReason.UNKNOWN_ISSUER)
        claims = cose.verify(envelope, trust.passes, PURPOSE)
    except CoseError:
        return Unproven(PASS, UnprovenReason.NOT_GENUINE)
    holder = holder_of(claims)
    if holder is None:
        return Malformed(PASS, "claims")
    if holder.number in trust.revoked.passes.get(issuer, ()):
        return Unproven(PASS, UnprovenReason.REVOKED)
    doubt = _doubt(holder, envelope, step, step_signature, now_s)
    if doubt is not None:
        return Unproven(PASS, doubt)
    result, flags = proof.result_at(now_s, holder.begins_s, holder.expires_s)
    return Credential(
        document=PASS,
        number=holder.holder_number or f"P{holder.number}",
        name=proof.name_of(holder.name),
        birth=None if holder.birth_year is None else BirthDate(holder.birth_year),
        flags=flags,
        result=result,
        same_as=envelope,
    )


def holder_of(claims: Mapping[int, object]) -> Holder | None:
    """What these claims say; None if they are not those of a pass."""
    number, own = claims.get(cose.CTI), claims.get(HOLDER, [])
    expires_s, begins_s, holder_number = claims.get(cose.EXP), claims.get(cose.NBF), claims.get(cose.SUB)
    if not isinstance(own, list) or not isinstance(number, bytes) or len(own) > 3:
        return None
    name, birth_year, key = (*own, None, None, None)[:3]
    texts = all(text is None or _is_text(text) for text in (name, holder_number))
    numbers = all(
        each is None or (type(each) is int and 0 <= each <= _LARGEST_NUMBER) for each in (begins_s, birth_year)
    )
    keyed = key is None or (isinstance(key, bytes) and len(key) == 32)
    if not texts or not numbers or not keyed or type(expires_s) is not int or not 1 <= len(number) <= 8:
        return None
    return Holder(int.from_bytes(number, "big"), expires_s, begins_s, holder_number, name, birth_year, key)  # type: ignore[arg-type]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and is_plain(value, _LONGEST_TEXT)


def _parts(code: bytes) -> tuple[bytes, int, bytes] | None:
    """Envelope, step and its signature, the last two 0 and empty in a static code; None if it is neither form."""
    try:
        data = base45.decode(code.removeprefix(PREFIX).decode("ascii"))
        value = cbor.loads(cbor.without_tags(data, (cose.CWT_TAG, cose.SIGN1_TAG)), cbor.OURS)
    except (CborError, ValueError):
        return None
    match value:
        case [bytes(), dict(), bytes(), bytes()]:
            return data, 0, b""
        case [bytes() as envelope, int() as step, bytes() as signature] if 0 < step <= _LARGEST_STEP:
            return envelope, step, signature
    return None


def _doubt(holder: Holder, envelope: bytes, step: int, signature: bytes, now_s: float | None) -> UnprovenReason | None:
    """Why it is not shown to be the holder's phone; None if it is, or if the pass asks for none."""
    if holder.key is None:
        return None if not step else UnprovenReason.NOT_GENUINE
    if not step:
        return UnprovenReason.COPIED
    try:
        Ed25519PublicKey.from_public_bytes(holder.key).verify(signature, _signed_step(envelope, step))
    except InvalidSignature:
        return UnprovenReason.NOT_GENUINE
    if now_s is None:
        return UnprovenReason.CLOCK_UNSET
    return None if abs(int(now_s // STEP_S) - step) <= STEPS_AROUND else UnprovenReason.COPIED


def _signed_step(envelope: bytes, step: int) -> bytes:
    """What the phone signs: the purpose, the step as 8 bytes, the envelope."""
    return _STEP_PURPOSE + step.to_bytes(8, "big") + envelope
