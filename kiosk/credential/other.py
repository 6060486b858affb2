"""Codes that are no personal credential. Of those nothing is kept but the class and the length."""

from __future__ import annotations

from kiosk.model import WrongCode

_PAYMENT = b"000201"  # EMVCo's payload format indicator, as in VietQR
_LINKS = (b"http://", b"https://")


def kind_of(code: bytes) -> WrongCode:
    """Its kind: "payment", "link" (a place's posted code, too) or "unknown"."""
    if code.startswith(_PAYMENT):
        return WrongCode("payment", len(code))
    if code[:8].lower().startswith(_LINKS):
        return WrongCode("link", len(code))
    return WrongCode("unknown", len(code))
