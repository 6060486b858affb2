"""The authority's list of public keys: who may open persons, and from when to when each key is sealed to.

The authority signs one list, weeks ahead, in the envelope of `kiosk.envelopes.cose` under a purpose of its own. A list is newer
than another by the time it was issued at, which the authority makes grow with every list; a station that has a list takes
no older one, so nobody can bring back a key that is destroyed or known.

Each recipient in the list has a key for each day, and every box is made for every recipient of the list.

Units: `_s` seconds of Unix time, UTC.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kiosk.delivery.wire import MAX_RECIPIENTS
from kiosk.disk import durable
from kiosk.disk.text import text_of
from kiosk.envelopes import cose
from kiosk.envelopes.seal import PublicKey
from kiosk.errors import CoseError, SealError
from kiosk.language.message import say
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.model import Moment

PURPOSE = b"kiosk-authority-keys-1"
LARGEST_BYTES = 1 << 18
MOST_KEYS = 1000
_KEYS = -65_540
"""The claim with the keys: [recipient, suite, key, from_s, until_s], …"""


@dataclass(frozen=True, slots=True)
class DayKey:
    """A recipient's key for one day.

    Attributes:
        recipient: Whose; "authority" unless it was named otherwise.
        key: What is sealed to.
        from_s: From when on.
        until_s: Until when, exclusive.
    """

    recipient: str
    key: PublicKey
    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class KeyList:
    """What the authority has signed.

    Attributes:
        issued_s: When; grows with every list.
        keys: In order of time for each recipient.
    """

    issued_s: int
    keys: tuple[DayKey, ...]

    def current(self, now: Moment) -> tuple[PublicKey, ...]:
        """The key of each recipient for this moment.

        A clock that has never been set names no day. Then it is each recipient's last key of the list: its other half is
        the last to be destroyed, so nothing is lost.

        Raises:
            SealError: A recipient of the list has no key for this moment.
        """
        now_s = now.wall_ns // 1_000_000_000
        found = []
        for recipient in dict.fromkeys(key.recipient for key in self.keys):
            own = [key for key in self.keys if key.recipient == recipient]
            if now.quality is not ClockQuality.UNSET:
                own = [key for key in own if key.from_s <= now_s < key.until_s]
            if not own:
                raise SealError(say("the list of keys has none of {recipient!r} for now", recipient=recipient))
            found.append(max(own, key=lambda key: key.until_s).key)
        return tuple(found)

    @property
    def until_s(self) -> int:
        """Until when every recipient has a key, if there is no day without one."""
        ends: dict[str, int] = {}
        for key in self.keys:
            ends[key.recipient] = max(ends.get(key.recipient, 0), key.until_s)
        return min(ends.values())


def sign(keys: KeyList, signer: Ed25519PrivateKey) -> bytes:
    """The list in its envelope.

    Raises:
        SealError: It is too long.
    """
    rows = [[key.recipient, key.key.suite, key.key.raw, key.from_s, key.until_s] for key in keys.keys]
    try:
        message = cose.sign({cose.IAT: keys.issued_s, _KEYS: rows}, signer, PURPOSE)
    except CoseError as error:
        raise SealError(f"the list cannot be signed: {error.args[0]}", hint="publish fewer days") from error
    if len(message) > LARGEST_BYTES or len(rows) > MOST_KEYS:
        raise SealError(f"a list of {len(message)} bytes, more than {LARGEST_BYTES}", hint="publish fewer days")
    return message


def read(message: bytes, authority: Ed25519PublicKey) -> KeyList:
    """The list in this envelope.

    Args:
        message: The envelope.
        authority: Whose signature counts.

    Raises:
        SealError: It is none, or not the authority's.
    """
    if len(message) > LARGEST_BYTES:
        raise SealError(f"a list of {len(message)} bytes, more than {LARGEST_BYTES}")
    try:
        claims = cose.verify(message, {cose.key_id(authority): authority}, PURPOSE)
    except CoseError as error:
        raise SealError(f"the list of keys is not the authority's: {error.args[0]}") from error
    rows = claims.get(_KEYS)
    issued_s = claims.get(cose.IAT)
    if not isinstance(rows, list) or not isinstance(issued_s, int) or not 1 <= len(rows) <= MOST_KEYS:
        raise SealError("the list of keys is not of the form that is known here")
    keys = KeyList(issued_s, tuple(_day_key(row) for row in rows))
    if len({key.recipient for key in keys.keys}) > MAX_RECIPIENTS:
        raise SealError(f"the list of keys has more than {MAX_RECIPIENTS} recipients")
    return keys


def _day_key(row: object) -> DayKey:
    match row:
        case [str() as recipient, str() as suite, bytes() as raw, int() as from_s, int() as until_s] if (
            from_s < until_s
        ):
            return DayKey(recipient, PublicKey(suite, raw), from_s, until_s)
    raise SealError("the list of keys is not of the form that is known here")


def authority_key(path: Path) -> Ed25519PublicKey:
    """The public key by which the authority's lists are known.

    Raises:
        SealError: There is none.
    """
    try:
        key = load_pem_public_key(text_of(path.read_bytes()).encode())
    except OSError as error:
        raise SealError(
            say("the authority's public key {path} cannot be read: {reason}", path=path, reason=error.strerror)
        ) from error
    except ValueError as error:
        raise SealError(
            say("{path} is no public key", path=path),
            hint=say("bring authority.pem here, which `central keys` made"),
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SealError(
            say("{path} is no Ed25519 key", path=path), hint=say("bring authority.pem here, which `central keys` made")
        )
    return key


def load(path: Path, authority: Ed25519PublicKey) -> KeyList:
    """The list in this file.

    Raises:
        SealError: It cannot be read, or is not the authority's.
    """
    try:
        with path.open("rb") as file:
            message = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise SealError(
            say("the authority's list of keys {path} cannot be read: {reason}", path=path, reason=error.strerror)
        ) from error
    return read(message, authority)


def newest(message: bytes | None, path: Path, authority: Ed25519PublicKey) -> bytes | None:
    """Which list is in force where one comes by another way than the broker: an older one, or junk, takes no good one's place.

    Args:
        message: What has come; None for nothing.
        path: Where the present one is, if there is one.
        authority: Whose signature counts.

    Returns:
        The envelope; None where neither is the authority's.
    """
    found: dict[bytes, int] = {}
    for envelope in (_content(path), message):
        if envelope is not None:
            with suppress(SealError):
                found[envelope] = read(envelope, authority).issued_s
    return max(reversed(found), key=found.__getitem__, default=None)


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except OSError:
        return None


def take(message: bytes, path: Path, authority: Ed25519PublicKey) -> KeyList:
    """Put a list that has come in the place of the one that is there; an older one is refused.

    Args:
        message: The envelope.
        path: Where it goes; its folder is made.
        authority: Whose signature counts.

    Raises:
        SealError: It is not the authority's, is older than the one that is there, or cannot be written.
    """
    fresh = read(message, authority)
    try:
        here = load(path, authority)
    except SealError:
        here = None
    if here is not None and here.issued_s > fresh.issued_s:
        raise SealError("the list of keys is older than the one that is here")
    if here == fresh:
        return fresh
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        durable.replace(path, message, 0o640)
    except OSError as error:
        raise SealError(f"the list of keys cannot be written to {path}: {error.strerror}") from error
    return fresh
