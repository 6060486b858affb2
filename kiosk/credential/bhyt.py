"""The health-insurance card (BHYT, paper). Unsigned.

    number|hex(name)|birth|1 = male, 2 = female|hex(address) or -|facility|…|$

Name and address are UTF-8 written as hex digits; the birth may be a year alone. What follows the facility differs from
issue to issue and is not looked at. Names decoded from such cards were wrong in practice: never signal by name.
"""

from __future__ import annotations

import re

from kiosk.credential.fields import day_first_birth_of, name_of
from kiosk.model import Credential, Malformed, Sex

BHYT = "bhyt"

_LONG_NUMBER = re.compile(r"[A-Z]{2}[0-9]{13}")
_SHORT_NUMBER = re.compile(r"[0-9]{10}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_SEXES = {"1": Sex.MALE, "2": Sex.FEMALE}
_FEWEST_FIELDS = 6


def parse(fields: list[str]) -> Credential | Malformed | None:
    """The card in these fields; None if it does not begin like one.

    Args:
        fields: The text between the bars.
    """
    if not _begins_like_one(fields):
        return None
    if len(fields) < _FEWEST_FIELDS or fields[-1] != "$":
        return Malformed(BHYT, "field-count")
    number, name_hex, birth_text, sex_text, address_hex = fields[:5]
    name = name_of(_unhex(name_hex) or "")
    birth = day_first_birth_of(birth_text)
    if name is None:
        return Malformed(BHYT, "name")
    if birth is None:
        return Malformed(BHYT, "birth-date")
    if sex_text not in _SEXES:
        return Malformed(BHYT, "sex")
    if address_hex not in {"", "-"} and _unhex(address_hex) is None:
        return Malformed(BHYT, "address")
    return Credential(document=BHYT, number=number, name=name, birth=birth, sex=_SEXES[sex_text])


def _begins_like_one(fields: list[str]) -> bool:
    """By the long number alone; ten digits are too common to be enough."""
    if len(fields) < 2:
        return False
    if _LONG_NUMBER.fullmatch(fields[0]):
        return True
    looks = len(fields) > 3 and _HEX.fullmatch(fields[1]) is not None and fields[3] in _SEXES
    return looks and _SHORT_NUMBER.fullmatch(fields[0]) is not None


def _unhex(text: str) -> str | None:
    if _HEX.fullmatch(text) is None:
        return None
    try:
        return bytes.fromhex(text).decode("utf-8")
    except UnicodeDecodeError:
        return None
