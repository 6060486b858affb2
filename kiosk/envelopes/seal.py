"""Persons sealed to the authority's public keys: HPKE (RFC 9180), and the only file that imports it.

A seal can be opened with the private key alone, which no station, broker or ledger holds. Each box is bound to its
purpose, suite, key, kiosk and entry by HPKE's `info`: a box that is put into another entry does not open. The parts of
the person are JSON, filled up with spaces to one of `SIZES_BYTES`, so that its length tells nothing of the name.

HPKE's base mode proves nothing about the sender: whoever has the public key can make boxes. That an entry comes from its
kiosk is proved by the transport.

Suites:
    x25519            DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305
    mlkem768-x25519   the same with ML-KEM-768 beside X25519 [2]: stays shut if either of the two is broken one day

Sources:
    [1] RFC 9180, 5 (`info`), 6.1 (single-shot encryption).
    [2] draft-ietf-hpke-pq, MLKEM768-X25519; FIPS 203.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from kiosk.errors import SealError
from kiosk.forms import LONGEST_PART, PERSON_PARTS
from kiosk.model import Sealed

if TYPE_CHECKING:
    from uuid import UUID

CLASSIC, HYBRID = "x25519", "mlkem768-x25519"
SUITES = {
    CLASSIC: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305),
    HYBRID: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305),
}
PUBLIC_BYTES = {CLASSIC: 32, HYBRID: 1184 + 32}
"""The hybrid's are ML-KEM's encapsulation key, then X25519's public key."""
SIZES_BYTES = (256, 512, 1024)
PURPOSE = "kiosk-person-1"
_END = "-----END PRIVATE KEY-----"

Person = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What is sealed to.

    Attributes:
        suite: One of `SUITES`.
        raw: The key.
    """

    suite: str
    raw: bytes

    def __post_init__(self) -> None:
        """Nothing that is no key is taken for one.

        Raises:
            SealError: The suite is unknown here, or the key has another length.
        """
        if len(self.raw) != PUBLIC_BYTES.get(self.suite, -1):
            raise SealError(f"no public key of a suite that is known here: {self.suite!r:.40}, {len(self.raw)} bytes")

    @property
    def id(self) -> str:
        """The first 8 bytes of its SHA-256, as 16 hex digits."""
        return sha256(self.raw).digest()[:8].hex()


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What opens.

    Attributes:
        suite: One of `SUITES`.
        public: The other half.
    """

    suite: str
    public: PublicKey
    _x25519: X25519PrivateKey = field(repr=False)
    _mlkem: MLKEM768PrivateKey | None = field(default=None, repr=False)

    @classmethod
    def make(cls, suite: str) -> PrivateKey:
        """A new one.

        Raises:
            SealError: The suite is unknown here.
        """
        if suite not in SUITES:
            raise SealError(f"there is no suite {suite!r}", hint=f"use one of {', '.join(SUITES)}")
        try:
            return cls._of(X25519PrivateKey.generate(), MLKEM768PrivateKey.generate() if suite == HYBRID else None)
        except UnsupportedAlgorithm as error:
            raise SealError(f"the cryptography that is installed cannot do {suite}") from error

    @classmethod
    def _of(cls, x25519: X25519PrivateKey, mlkem: MLKEM768PrivateKey | None) -> PrivateKey:
        suite = CLASSIC if mlkem is None else HYBRID
        first = b"" if mlkem is None else mlkem.public_key().public_bytes_raw()
        return cls(suite, PublicKey(suite, first + x25519.public_key().public_bytes_raw()), x25519, mlkem)

    @classmethod
    def from_pem(cls, text: str) -> PrivateKey:
        """The key in this text: PKCS #8 of X25519, with ML-KEM-768's before it for the hybrid.

        Raises:
            SealError: There is none.
        """
        blocks = [part + _END for part in text.split(_END)[:-1]]
        try:
            keys = [load_pem_private_key(block[block.index("-----BEGIN") :].encode(), None) for block in blocks]
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SealError("no private key of a suite that is known here") from error
        match keys:
            case [X25519PrivateKey() as x25519]:
                return cls._of(x25519, None)
            case [MLKEM768PrivateKey() as mlkem, X25519PrivateKey() as x25519]:
                return cls._of(x25519, mlkem)
        raise SealError("no private key of a suite that is known here")

    def to_pem(self) -> str:
        """As `from_pem` reads it."""
        keys = [key for key in (self._mlkem, self._x25519) if key is not None]
        return "".join(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii") for key in keys
        )

    def hpke(self) -> Any:  # noqa: ANN401  as HPKE takes it
        """The key as HPKE takes it."""
        return self._x25519 if self._mlkem is None else MLKEM768X25519PrivateKey(self._mlkem, self._x25519)


def seal(person: Person, key: PublicKey, kiosk: str, entry: UUID) -> Sealed:
    """The person in a box for the holder of this key's other half.

    Args:
        person: What `record.keep` keeps.
        key: The recipient's.
        kiosk: The station's id.
        entry: The entry's id.

    Raises:
        SealError: The person is larger than any box, or the key is none.
    """
    text = json.dumps(dict(person), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    size_bytes = next((size for size in SIZES_BYTES if len(text) <= size), 0)
    if not size_bytes:
        raise SealError(
            f"a person of {len(text)} bytes, more than {SIZES_BYTES[-1]}", hint="keep fewer parts in `record.keep`"
        )
    try:
        box = SUITES[key.suite].encrypt(text.ljust(size_bytes), _hpke(key), _info(key, kiosk, entry))
    except ValueError as error:  # a point that no honest key is
        raise SealError(f"the public key {key.id} cannot be used") from error
    return Sealed(key.id, key.suite, box)


def unseal(sealed: Sealed, key: PrivateKey, kiosk: str, entry: UUID) -> Person:
    """The person in this box.

    Args:
        sealed: The box.
        key: The recipient's.
        kiosk: The station's id.
        entry: The entry's id.

    Raises:
        SealError: The box is for another key, of another entry, or damaged.
    """
    public = key.public
    if (sealed.key, sealed.suite) != (public.id, public.suite):
        raise SealError(f"sealed to {sealed.key}, not to {public.id}")
    try:
        text = SUITES[key.suite].decrypt(sealed.box, key.hpke(), _info(public, kiosk, entry))
        person = json.loads(text)
    except (InvalidTag, ValueError, RecursionError):
        raise SealError("the box does not open: damaged, or made for another entry") from None
    if not isinstance(person, dict) or not all(name in PERSON_PARTS and _is_part(person[name]) for name in person):
        raise SealError("the box holds no person: made by somebody else")
    return tuple(person.items())


def _is_part(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_PART


def _info(key: PublicKey, kiosk: str, entry: UUID) -> bytes:
    return "\0".join((PURPOSE, key.suite, key.id, kiosk, str(entry))).encode()


@lru_cache(maxsize=16)
def _hpke(key: PublicKey) -> Any:  # noqa: ANN401  as HPKE takes it
    try:
        x25519 = X25519PublicKey.from_public_bytes(key.raw[-32:])
        if key.suite == CLASSIC:
            return x25519
        return MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(key.raw[:-32]), x25519)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SealError(f"the public key {key.id} cannot be used: {error}") from error
