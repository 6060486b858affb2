"""Codes that are no personal credential. Of those nothing is kept but the class and the length.

Those that this project makes itself are told apart by their form alone: nothing in them is believed here.
"""

from __future__ import annotations

import base64
import re

from kiosk.envelopes import cbor, cose, provisioning_code
from kiosk.errors import CoseError
from kiosk.model import WrongCode

_KINDS = (
    (re.compile(b"000201"), "payment"),  # EMVCo's payload format indicator, as in VietQR
    (re.compile(b"(?i)wifi:"), "wifi"),
    (re.compile(b"(?i)(https?://[^#]*#)?shlink:/"), "shlink"),  # SMART Health Link, behind a viewer's address or not
    (re.compile(provisioning_code.PREFIX.encode()), "provisioning"),
    (re.compile(b"KL1:"), "label"),  # `central label`
    (re.compile(rb"1[0-9]{87}\Z"), "phone-number"),  # the key of a phone, as the page of moving passes shows it
    (re.compile(rb"KP1\Z"), "page-icon"),  # that page on a home screen
)
_LINKS = (b"http://", b"https://")


def kind_of(code: bytes) -> WrongCode:
    """Its kind, as `WrongCode` lists them."""
    kind = next((kind for form, kind in _KINDS if form.match(code)), "unknown")
    if kind == "unknown" and code[:8].lower().startswith(_LINKS):
        kind = "pass-link" if _brings_a_pass(code) else "link"
    return WrongCode(kind, len(code))


def _brings_a_pass(link: bytes) -> bool:
    """Whether a signed envelope stands behind the #, where no server sees it."""
    _, _, behind = link.partition(b"#")
    try:
        cose.parse(base64.b64decode(behind + b"=" * (-len(behind) % 4), altchars=b"-_", validate=True), cbor.OURS)
    except (ValueError, CoseError):
        return False
    return True
