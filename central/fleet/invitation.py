"""Inviting a kiosk: an entry in the registry, a token, and the signed code that carries it to the door."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from central.fleet.registry import TOKEN_BYTES
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


def sheet(kiosk: str, site: str, ends: datetime) -> tuple[str, list[str]]:
    """Title and words of the technician's sheet, in Vietnamese first; `ends` is in the office's zone."""
    return (
        f"Cấp phát {kiosk}",
        [
            f"Trạm: {kiosk} · Nơi đặt: {site} · Hiệu lực đến: {ends:%d/%m/%Y %H:%M} · Dùng một lần",
            "",
            "1. Cắm điện và mạng. Đèn xanh dương nháy chậm: trạm chờ mã này.",
            "2. Đưa tờ giấy này trước camera, cách 15 đến 30 cm, đến khi nghe tiếng bíp.",
            "3. Đèn xanh lá trong vòng 60 giây: xong. Hủy tờ giấy này.",
            (
                "Đèn đỏ và số tiếng bíp: 1 không phải mã cấp phát · 2 mã giả · 3 hết hạn · 4 đã dùng · 5 trạm đã cấp phát · "
                "6 Wi-Fi · 7 không tới được trung tâm · 8 trung tâm từ chối · 9 không ghi được thẻ nhớ"
            ),
            "",
            (
                "Hold this sheet before the camera of a station that flashes blue. Green within 60 s: done, destroy the sheet. "
                "Red and a number of beeps: see docs/provisioning.md."
            ),
        ],
    )
