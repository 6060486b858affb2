"""Commands from the centre: what one may say, and whether this station obeys it.

A command is a signed envelope (`kiosk.envelopes.cose`) under the fleet's key, so that whoever holds the broker can command nothing.
Its claims name one station, a time at which it ends, and a counter that only grows:

    3 aud station   4 exp   6 iat   7 cti 16 bytes   -65537 counter   -65538 verb   -65539 numbers
    -65540 update: [version, url, sha256, size], of the verb `update` alone

The counter stops replays and is judged always. The end stops a broker that holds a command back; it is not judged while the
station's clock has not been set, because a station without time must still be repairable. There is no command to all
stations: a counter belongs to one of them, and one signature must not darken a fleet (docs/adr/0015-commands.md).

Units: `_s` seconds of Unix time, `_ns` nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeGuard

from kiosk.envelopes import cose
from kiosk.envelopes.offer import Offer, is_offer
from kiosk.errors import CoseError
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from kiosk.model import Moment

PURPOSE = b"kiosk-command-1"
LARGEST_BYTES = 512
LONGEST_S = 86_400
"""The longest time for which a command may hold, from its making to its end."""
ID_BYTES = 16
MAX_NUMBER = (1 << 53) - 1

AUD, EXP, IAT, CTI = 3, 4, 6, 7
COUNTER, VERB, NUMBERS, UPDATE = -65537, -65538, -65539, -65540


class Verb(StrEnum):
    """What a station can be told to do. None of it opens anything or tells of a person."""

    IDENTIFY = "identify"
    SELF_TEST = "self-test"
    VOLUME = "volume"
    RESEND = "resend"
    RELOAD = "reload"
    REBOOT = "reboot"
    DIAGNOSTICS = "diagnostics"
    UPDATE = "update"


class Reason(StrEnum):
    """Why a message is not obeyed; the word that the status says."""

    TOO_LARGE = "too-large"
    NOT_GENUINE = "not-genuine"
    NOT_A_COMMAND = "not-a-command"
    OTHER_KIOSK = "other-kiosk"
    REPLAYED = "replayed"
    EXPIRED = "expired"
    NOT_KEPT = "counter-not-kept"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do.

    Attributes:
        id: 16 random bytes, by which the station's status names it.
        counter: Greater than that of every command before it to this station.
        verb: What.
        numbers: volume: percent, or none for the configured one; resend: the first and the last sequence number; others: none.
        update: update: what is to be installed; others: None.
    """

    id: bytes
    counter: int
    verb: Verb
    numbers: tuple[int, ...] = ()
    update: Offer | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing is done, for this reason."""

    reason: Reason


def commands_topic(kiosk: str) -> str:
    """Where a kiosk's commands come from."""
    return f"kiosks/{kiosk}/commands"


def diagnostics_topic(kiosk: str) -> str:
    """Where a kiosk's diagnostics go."""
    return f"kiosks/{kiosk}/diagnostics"


def signed(command: Command, kiosk: str, key: Ed25519PrivateKey, now_s: int, valid_s: int) -> bytes:
    """The command as it travels.

    Args:
        command: What to do.
        kiosk: The station.
        key: The fleet's.
        now_s: Now.
        valid_s: How long it holds, 1 to `LONGEST_S`.
    """
    claims: dict[int, object] = {
        AUD: kiosk,
        EXP: now_s + valid_s,
        IAT: now_s,
        CTI: command.id,
        COUNTER: command.counter,
        VERB: command.verb.value,
        NUMBERS: list(command.numbers),
    }
    if (offer := command.update) is not None:
        claims[UPDATE] = [offer.version, offer.url, offer.sha256, offer.size_bytes]
    return cose.sign(claims, key, PURPOSE)


def judge(
    message: bytes, keys: Mapping[bytes, Ed25519PublicKey], kiosk: str, counter: int, now: Moment
) -> Command | Refusal:
    """What this message asks for, if it may.

    Args:
        message: Whatever came.
        keys: The fleet's, by their ids.
        kiosk: This station.
        counter: That of the last command that was taken; 0 before the first.
        now: Now.
    """
    claims = _genuine(message, keys)
    if isinstance(claims, Refusal):
        return claims
    command = _command(claims)
    issued_s, end_s = claims.get(IAT), claims.get(EXP)
    if command is None or not (_is_number(issued_s) and _is_number(end_s) and 0 < end_s - issued_s <= LONGEST_S):
        return Refusal(Reason.NOT_A_COMMAND)
    if claims.get(AUD) != kiosk:
        return Refusal(Reason.OTHER_KIOSK)
    if command.counter <= counter:
        return Refusal(Reason.REPLAYED)
    if now.quality is not ClockQuality.UNSET and now.wall_ns >= end_s * 1_000_000_000:
        return Refusal(Reason.EXPIRED)
    return command


def ordered(message: bytes, keys: Mapping[bytes, Ed25519PublicKey]) -> Command | None:
    """The update that this message once ordered, judged anew by its signature alone; None if it is no such order.

    The uplink has judged the rest when it took it. Whoever installs believes the uplink nothing, and needs no more than that
    the fleet has signed this bundle: an older version is refused by what it installs.

    Args:
        message: What the uplink has kept.
        keys: The fleet's, by their ids.
    """
    claims = _genuine(message, keys)
    command = None if isinstance(claims, Refusal) else _command(claims)
    return command if command is not None and command.verb is Verb.UPDATE else None


def _genuine(message: bytes, keys: Mapping[bytes, Ed25519PublicKey]) -> dict[int, object] | Refusal:
    if len(message) > LARGEST_BYTES:
        return Refusal(Reason.TOO_LARGE)
    try:
        return cose.verify(message, keys, PURPOSE)
    except CoseError:
        return Refusal(Reason.NOT_GENUINE)


def _command(claims: Mapping[int, object]) -> Command | None:
    """The command in genuine claims; None for one that this version does not know."""
    identity, counter, numbers = claims.get(CTI), claims.get(COUNTER), claims.get(NUMBERS)
    if not (isinstance(identity, bytes) and len(identity) == ID_BYTES and _is_number(counter)):
        return None
    verb = next((verb for verb in Verb if verb.value == claims.get(VERB)), None)
    if verb is None or not isinstance(numbers, list) or len(numbers) > 2:
        return None
    kept = tuple(number for number in numbers if _is_number(number))
    offer = _offer(claims.get(UPDATE))
    if len(kept) != len(numbers) or not _fits(verb, kept) or (verb is Verb.UPDATE) is (offer is None):
        return None
    return Command(identity, counter, verb, kept, offer)


def _offer(claim: object) -> Offer | None:
    match claim:
        case [str(version), str(url), bytes(sha256), size] if _is_number(size):
            offer = Offer(version, url, sha256, size)
            return offer if is_offer(offer) else None
        case _:
            return None


def _fits(verb: Verb, numbers: tuple[int, ...]) -> bool:
    match verb, numbers:
        case Verb.VOLUME, (percent,):
            return percent <= 100
        case Verb.VOLUME, ():
            return True
        case Verb.RESEND, (first, last):
            return 1 <= first <= last
        case _:
            return not numbers and verb is not Verb.RESEND


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER
