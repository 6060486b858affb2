"""The provisioning code: what a station is told when it is set up, in one QR code that the fleet has signed.

    KS1: + base45( COSE_Sign1, purpose "kiosk-provision-1" )

The claims are the times of a CWT and one array of the code's own, so that the code stays coarse enough for a station's
camera. It is shown once: the token in it buys one certificate, and whatever else it says is only an address.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk import forms
from kiosk.envelopes import base45, cose
from kiosk.errors import CoseError, ProvisionError
from kiosk.language.message import say
from kiosk.model import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from kiosk.language.message import Message

PREFIX = "KS1:"
PURPOSE = b"kiosk-provision-1"
LONGEST = 1500
"""Characters of a code."""
CONTENT = -65_600
"""The claim with everything but the times and the zone."""
ZONE = -65_601
"""A claim of its own and not one more in the array: a station that does not know it reads the code all the same."""
_DIRECTIONS = (Direction.IN, Direction.OUT, Direction.PASS)

NOT_A_CODE, FORGED, EXPIRED, USED, SET_UP_ALREADY, NO_WIFI, NO_CENTRE, REFUSED, NOT_KEPT, ENTRIES_WAIT = range(1, 11)
"""The numbers that the panel counts out and docs/provisioning.md explains."""
WHY = {
    NOT_A_CODE: say("not a provisioning code, damaged, or more doors than the board has pins for"),
    FORGED: say("not signed by this fleet"),
    EXPIRED: say("its time has run out"),
    USED: say("used already, by another station"),
    SET_UP_ALREADY: say("this station is set up already"),
    NO_WIFI: say("the wireless network cannot be joined"),
    NO_CENTRE: say("the centre does not answer"),
    REFUSED: say("the centre refuses, or is not the centre that made the sheet"),
    NOT_KEPT: say("the card cannot be written, or the fleet's key cannot be read"),
    ENTRIES_WAIT: say("entries of its old name wait"),
}
"""Why a station was not set up, by the number."""
MAY_PASS = frozenset({NO_WIFI, NO_CENTRE, ENTRIES_WAIT})
"""The numbers that may mend themselves: the same code is worth another try."""


@dataclass(frozen=True, slots=True)
class Wifi:
    """A wireless network.

    Attributes:
        name: Its SSID, 1 to 32 bytes of UTF-8.
        password: Its passphrase, 8 to 63 bytes of UTF-8; empty for an open network.
    """

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class ProvisioningCode:
    """What a code says.

    Attributes:
        kiosk: The station's id.
        site: Where it hangs.
        lanes: Its doors as (name, direction), 1 to 8.
        broker: host:port of the broker, which speaks MQTT over TLS.
        enrolment: host:port of `central enrol`, which speaks HTTPS.
        ca_sha256: SHA-256 of the authority's certificate, 32 bytes.
        token: What buys the certificate, 16 bytes.
        issued_s: When the code was made.
        expires_s: When it ends.
        wifi: The network to join; None for a cable, or for one that is set up already.
        again: Whether a station that is set up already may be set up anew with it.
        zone: Its time zone; a station of before this was said goes on by its own.
    """

    kiosk: str
    site: str
    lanes: tuple[tuple[str, Direction], ...]
    broker: str
    enrolment: str
    ca_sha256: bytes
    token: bytes
    issued_s: int
    expires_s: int
    wifi: Wifi | None = None
    again: bool = False
    zone: str = forms.DEFAULT_ZONE


def why_of(number: object) -> Message | None:
    """What a number means; None for what is none."""
    return WHY.get(number) if isinstance(number, int) else None


def encode(code: ProvisioningCode, key: Ed25519PrivateKey) -> str:
    """The code as text for a QR code's alphanumeric mode.

    Args:
        code: What it says.
        key: The fleet's.

    Raises:
        ProvisionError: A station would not understand it.
    """
    content: list[object] = [
        code.kiosk,
        code.site,
        [[name, _DIRECTIONS.index(direction)] for name, direction in code.lanes],
        code.broker,
        code.enrolment,
        code.ca_sha256,
        code.token,
        None if code.wifi is None else [code.wifi.name, code.wifi.password],
        code.again,
    ]
    claims: dict[int, object] = {cose.IAT: code.issued_s, cose.EXP: code.expires_s, CONTENT: content}
    if code.zone != forms.DEFAULT_ZONE:
        claims[ZONE] = code.zone
    if _read(content, code.issued_s, code.expires_s, claims.get(ZONE, forms.DEFAULT_ZONE)) != code:
        raise ProvisionError(
            NOT_A_CODE, say("a station would read it otherwise"), hint=say("report this as a mistake of ours")
        )
    text = PREFIX + base45.encode(cose.sign(claims, key, PURPOSE))
    if len(text) > LONGEST:
        what = say("{length} characters are more than {most}", length=len(text), most=LONGEST)
        raise ProvisionError(NOT_A_CODE, what, hint=say("use shorter names"))
    return text


def decode(text: str, fleet: Mapping[bytes, Ed25519PublicKey], now_s: int | None) -> ProvisioningCode:
    """What a text says, if the fleet has signed it and its time has not run out.

    Args:
        text: What was read from a QR code or a file.
        fleet: The fleet's public keys by their `cose.key_id`.
        now_s: The time; None while the station's clock has not been set, when the centre alone judges the end.

    Raises:
        ProvisionError: NOT_A_CODE, FORGED or EXPIRED.
    """
    if not text.startswith(PREFIX) or len(text) > LONGEST:
        raise ProvisionError(NOT_A_CODE, say("that is no provisioning code"))
    try:
        message = base45.decode(text.removeprefix(PREFIX))
        claims = cose.verify(message, fleet, PURPOSE)
    except CoseError as error:
        raise ProvisionError(FORGED, error.args[0]) from None
    except ValueError:
        raise ProvisionError(NOT_A_CODE, say("the code is damaged")) from None
    match claims:
        case {cose.IAT: int(issued_s), cose.EXP: int(expires_s), -65_600: list(content)}:
            code = _read(content, issued_s, expires_s, claims.get(ZONE, forms.DEFAULT_ZONE))
        case _:
            raise ProvisionError(NOT_A_CODE, say("the code is of another version of this software"))
    if now_s is not None and now_s >= code.expires_s:
        raise ProvisionError(EXPIRED, say("the code ended {ago_s} s ago", ago_s=now_s - code.expires_s))
    return code


def _read(content: list[object], issued_s: int, expires_s: int, zone: object) -> ProvisioningCode:
    match content:
        case [
            str(kiosk), str(site), list(lanes), str(broker), str(enrolment),
            bytes(ca_sha256), bytes(token), wifi, bool(again),
        ]:  # fmt: skip
            pass
        case _:
            raise ProvisionError(NOT_A_CODE, say("the code is of another version of this software"))
    if not all(forms.is_id(name) for name in (kiosk, site)):
        raise ProvisionError(NOT_A_CODE, say("a name in it has other signs than a-z, 0-9 and hyphens"))
    if any(forms.fault_of_address(address) for address in (broker, enrolment)):
        raise ProvisionError(NOT_A_CODE, say("an address in it is not host:port"))
    if len(ca_sha256) != 32 or len(token) != 16:
        raise ProvisionError(NOT_A_CODE, say("its fingerprint or its token has another length"))
    if not isinstance(zone, str) or forms.fault_of_zone(zone):
        raise ProvisionError(NOT_A_CODE, say("its time zone is none that this station knows"))
    return ProvisioningCode(
        kiosk, site, _lanes(lanes), broker, enrolment, ca_sha256, token, issued_s, expires_s, wifi_of(wifi), again, zone
    )


def _lanes(given: list[object]) -> tuple[tuple[str, Direction], ...]:
    lanes: list[tuple[str, Direction]] = []
    for lane in given:
        match lane:
            case [str(name), int(direction)] if forms.is_id(name) and 0 <= direction < len(_DIRECTIONS):
                lanes.append((name, _DIRECTIONS[direction]))
            case _:
                raise ProvisionError(NOT_A_CODE, say("a lane in it has no proper name or direction"))
    if not 1 <= len(lanes) <= 8 or len({name for name, _ in lanes}) != len(lanes):
        raise ProvisionError(NOT_A_CODE, say("a station has 1 to 8 lanes, each with a name of its own"))
    return tuple(lanes)


def wifi_of(given: object) -> Wifi | None:
    """A network by its name and its password; None where none is given.

    Raises:
        ProvisionError: They are not.
    """
    match given:
        case None:
            return None
        case [str(name), str(password)] if _fits(name, password):
            return Wifi(name, password)
        case _:
            raise ProvisionError(NOT_A_CODE, say("a network's name has 1 to 32 bytes, its password 8 to 63"))


def _fits(name: str, password: str) -> bool:
    try:
        return 1 <= len(name.encode()) <= 32 and (not password or 8 <= len(password.encode()) <= 63)
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        return False
