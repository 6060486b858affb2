"""Inviting a kiosk: an entry in the registry, a token, and the signed code that carries it to the door."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from central.fleet.registry import TOKEN_BYTES
from central.paper import Fact, Heading, Small
from kiosk.cues import IN_VIETNAMESE, MEANINGS, CueName
from kiosk.envelopes.provisioning_code import encode
from kiosk.errors import FleetError

if TYPE_CHECKING:
    from datetime import datetime

    from central.fleet.authority import Authority
    from central.fleet.registry import Fleet
    from kiosk.envelopes.provisioning_code import ProvisioningCode


def invite(registry: Fleet, authority: Authority, wanted: ProvisioningCode, valid_s: int) -> str:
    """A new code for a kiosk; a code that was made before and not used ends.

    Args:
        registry: Where it is entered.
        authority: Whose certificate it pins, and whose fleet's key signs it.
        wanted: What it shall say; fingerprint, token and times are put in here.
        valid_s: How long it can be used.

    Returns:
        The text for a QR code.

    Raises:
        FleetError: The name is the centre's, or the fleet's key cannot be read.
        ProvisionError: A station would not understand the code.
    """
    if valid_s <= 0:
        raise FleetError("the code would have ended already", hint="give --hours more than 0")
    now_s, key = int(time.time()), authority.fleet_key()
    code = replace(
        wanted, ca_sha256=authority.fingerprint, token=bytes(TOKEN_BYTES), issued_s=now_s, expires_s=now_s + valid_s
    )
    encode(code, key)  # what cannot be said is refused before the registry hears of it
    lanes = tuple((name, direction.value) for name, direction in code.lanes)
    return encode(
        replace(code, token=registry.invite(code.kiosk, code.site, lanes, code.broker, code.enrolment, valid_s)), key
    )


def sheet(kiosk: str, site: str, ends: datetime) -> tuple[str, list[str | Fact]]:
    """Title and words of the technician's sheet, in Vietnamese first.

    Args:
        kiosk: The station's name.
        site: Where it hangs.
        ends: When the code does, in the office's zone.
    """
    waits, taken, done, ready = (
        IN_VIETNAMESE[name] for name in (CueName.UNPROVISIONED, CueName.CODE_TAKEN, CueName.SET_UP, CueName.READY)
    )
    seen = {name: meaning.partition(": ")[0] for name, meaning in MEANINGS.items()}
    return (
        f"Cấp phát {kiosk}",
        [
            Fact("Trạm", kiosk),
            Fact("Nơi đặt", site),
            Fact(f"Hiệu lực đến ({_place(ends)})", f"{ends:%H:%M, %d/%m/%Y}"),
            Fact("Số lần dùng", "một lần"),
            Heading("Các bước"),
            f"1. Cắm mạng và điện, chờ khoảng một phút. Đèn {waits.light}: trạm chờ mã này.",
            f"2. Đưa tờ giấy này trước camera, cách 15 đến 30 cm, đến khi đèn {taken.light} và có {taken.sound}.",
            (
                f"3. Trong vòng 60 giây, đèn {done.light}, {done.sound}: xong. Sau đó đèn {ready.light}: sẵn sàng. "
                "Hủy tờ giấy này: mã có thể chứa mật khẩu Wi-Fi."
            ),
            Heading("Đèn đỏ, một tiếng dài rồi các tiếng ngắn: đếm các tiếng ngắn"),
            "1 không phải mã cấp phát · 2 mã giả · 3 hết hạn · 4 trạm khác đã dùng · 5 trạm đã được cấp phát",
            "6 không vào được Wi-Fi · 7 không tới được trung tâm · 8 trung tâm từ chối · 9 không ghi được thẻ nhớ",
            "",
            Small(
                f"For one station, once, until {ends:%Y-%m-%d %H:%M} ({_place(ends, in_english=True)}). Hold this sheet 15 to 30 cm before "
                f"the camera of a station that shines {seen[CueName.UNPROVISIONED]}; {seen[CueName.CODE_TAKEN]}: the code is taken. Within "
                f"60 s {seen[CueName.SET_UP]}: done, then {seen[CueName.READY]}; destroy the sheet. Red, one long tone, then short ones "
                "to count: see docs/provisioning.md."
            ),
        ],
    )


def _place(when: datetime, *, in_english: bool = False) -> str:
    """Whose time it is, for a person: Vietnam's by its name, any other by its zone's."""
    if when.utcoffset() == timedelta(hours=7):
        return "Vietnam" if in_english else "giờ Việt Nam"
    return str(when.tzinfo)
