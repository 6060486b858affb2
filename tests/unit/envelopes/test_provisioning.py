"""The provisioning code: what it says, what it is refused for, and that a station's camera can read it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kiosk.envelopes import base45, cose
from kiosk.envelopes.provisioning_code import (
    CONTENT,
    EXPIRED,
    FORGED,
    NOT_A_CODE,
    PREFIX,
    PURPOSE,
    ZONE,
    ProvisioningCode,
    Wifi,
    decode,
    encode,
)
from kiosk.errors import ProvisionError
from kiosk.model import Direction

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FLEET = {cose.key_id(KEY.public_key()): KEY.public_key()}
NOW_S = 1_795_000_000
CODE = ProvisioningCode(
    kiosk="so-y-te-cua-1",
    site="ubnd-phuong-1",
    lanes=(("main", Direction.IN), ("exit", Direction.OUT)),
    broker="mqtt.centre.example:8883",
    enrolment="enrol.centre.example:8443",
    ca_sha256=bytes(range(32)),
    token=bytes(range(16)),
    issued_s=NOW_S,
    expires_s=NOW_S + 259_200,
    wifi=Wifi("Văn phòng UBND", "mat-khau-rat-dai-123"),
    again=True,
)
CONTENT_OF = [
    "door-1", "office-1", [["main", 0]], "broker:8883", "centre:8443", bytes(32), bytes(16), None, False,
]  # fmt: skip


def _number(text: str, now_s: int | None = NOW_S) -> int:
    with pytest.raises(ProvisionError) as caught:
        decode(text, FLEET, now_s)
    return caught.value.number


def _signed(content: object, expires: object = NOW_S + 60) -> str:
    claims = {cose.IAT: NOW_S, cose.EXP: expires, CONTENT: content}
    return PREFIX + base45.encode(cose.sign(claims, KEY, PURPOSE))


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        replace(CODE, wifi=None, again=False),
        replace(CODE, wifi=Wifi("open", "")),
        replace(CODE, zone="Europe/Berlin"),
    ],
)
def test_code_says_what_was_put_in(code: ProvisioningCode) -> None:
    """All of it comes back, with the clock set or not."""
    text = encode(code, KEY)
    assert decode(text, FLEET, NOW_S) == code
    assert decode(text, FLEET, None) == code


def test_code_is_coarse_enough_for_the_door() -> None:
    """With Wi-Fi and two lanes it is a version 15 at error correction M, and a station's camera reads a version 20."""
    code = segno.make_qr(encode(CODE, KEY), error="m")
    assert code.mode == "alphanumeric"
    assert int(code.version) <= 15


def test_time_runs_out() -> None:
    """At its end and after it; without a clock the centre judges alone."""
    text = encode(CODE, KEY)
    assert decode(text, FLEET, CODE.expires_s - 1)
    assert _number(text, CODE.expires_s) == EXPIRED
    assert decode(text, FLEET, None)


def test_forged_codes_are_told_from_damaged_ones() -> None:
    """Another key, another purpose, a changed byte: forged; what is no such code at all is said to be none."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert _number(encode(CODE, other)) == FORGED
    claims = {cose.IAT: NOW_S, cose.EXP: NOW_S + 60, CONTENT: CONTENT_OF}
    assert _number(PREFIX + base45.encode(cose.sign(claims, KEY, b"kiosk-command-1"))) == FORGED
    message = bytearray(base45.decode(encode(CODE, KEY).removeprefix(PREFIX)))
    message[40] ^= 1
    assert _number(PREFIX + base45.encode(bytes(message))) == FORGED
    for text in ("", "KP1:ABC", "KS1:", "KS1:abc", "KS1:::::", PREFIX + "0" * 2000, "https://centre.example"):
        assert _number(text) in {NOT_A_CODE, FORGED}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "Door 1"), (0, 5), (0, "../etc"), (0, "x" * 65), (1, "#"), (2, []), (2, [["a", 3]]), (2, [["a"]]), (2, [["+", 0]]),
        (2, [["a", 0], ["a", 1]]), (2, [["a" + str(n), 0] for n in range(9)]), (3, "broker"), (3, "mqtt://b:1"),
        (3, "b:1\n"), (4, "h:123456"), (3, "b:99999"), (4, "h:65536"), (3, "b:0"), (4, "h:-1"), (3, ":8883"), (4, "h:"), (3, "u:p@b:1"), (4, "h:1/x"),
        (3, "b b:1"), (4, "[fd00::g]:1"), (3, "fd00::5:8883"), (4, "10.0.0.256:1"), (3, "b:01"), (5, bytes(31)), (6, bytes(15)), (7, "wifi"), (7, ["", "12345678"]),
        (7, ["name", "short"]), (7, ["n" * 33, ""]), (7, ["name", "x" * 64]), (8, 1),
    ],
)  # fmt: skip
def test_signed_nonsense_is_refused(place: int, value: object) -> None:
    """Whatever a faulty centre signs, nothing but proper names, addresses and lengths reaches the station's files."""
    content: list[object] = list(CONTENT_OF)
    assert decode(_signed(content), FLEET, NOW_S).kiosk == "door-1"
    content[place] = value
    assert _number(_signed(content)) == NOT_A_CODE


def test_other_versions_are_refused() -> None:
    """More or fewer parts, or other claims, are of another version."""
    assert _number(_signed([*CONTENT_OF, 1])) == NOT_A_CODE
    assert _number(_signed("x")) == NOT_A_CODE
    assert _number(_signed(CONTENT_OF, "tomorrow")) == NOT_A_CODE


def test_centre_signs_nothing_that_a_station_refuses() -> None:
    """A wrong name, and a code that would be too long, are refused while it is made."""
    with pytest.raises(ProvisionError):
        encode(replace(CODE, kiosk="Door 1"), KEY)
    with pytest.raises(ProvisionError, match="read it otherwise"):
        encode(replace(CODE, lanes=list(CODE.lanes)), KEY)  # type: ignore[arg-type]
    with pytest.raises(ProvisionError, match="more than 1500"):
        long = ".".join(["b" * 62] * 4)
        encode(replace(CODE, broker=f"{long}:1", enrolment=f"{long}:1", lanes=_long_lanes()), KEY)


def _long_lanes() -> tuple[tuple[str, Direction], ...]:
    return tuple((f"{n}" + "x" * 60, Direction.IN) for n in range(8))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: PREFIX + base45.encode(data)))
def test_any_text_is_refused_cleanly(text: str) -> None:
    """No text leads to anything but a number."""
    assert _number(text) in {NOT_A_CODE, FORGED}


_PARTS = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5) | st.binary(max_size=5)


@given(st.lists(_PARTS | st.lists(_PARTS, max_size=3), min_size=9, max_size=9))
def test_any_signed_content_is_refused_cleanly(content: list[object]) -> None:
    """The same for what the fleet's key has signed."""
    assert _number(_signed(content)) == NOT_A_CODE


@pytest.mark.parametrize("zone", ["Asia/Saigonn", "/etc/passwd", "", "../UTC", 7, None])
def test_zone_that_is_none_is_refused(zone: object) -> None:
    """A station would tell its hours by no clock at all."""
    claims = {cose.IAT: NOW_S, cose.EXP: NOW_S + 60, CONTENT: CONTENT_OF, ZONE: zone}
    assert _number(PREFIX + base45.encode(cose.sign(claims, KEY, PURPOSE))) == NOT_A_CODE


def test_zone_is_no_part_of_what_older_stations_read() -> None:
    """The usual one makes the code no longer, and another is a claim beside the array that they take apart."""
    message = base45.decode(encode(replace(CODE, zone="Asia/Tokyo"), KEY).removeprefix(PREFIX))
    claims = cose.verify(message, FLEET, PURPOSE)
    assert claims.pop(ZONE) == "Asia/Tokyo"
    assert claims == cose.verify(base45.decode(encode(CODE, KEY).removeprefix(PREFIX)), FLEET, PURPOSE)
