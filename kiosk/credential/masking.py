"""A holder in a form that a technician may see: enough to say "that was mine", too little to know anyone by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kiosk.model import Credential

_SHOWN = 3


def masked(credential: Credential) -> str:
    """The last three characters of the number, initials, year of birth: `*********123 N.V.A. 1990`."""
    key = credential.number or credential.qid or ""
    parts = [
        "*" * max(0, len(key) - _SHOWN) + key[-_SHOWN:] if len(key) > _SHOWN else "*" * len(key),
        "".join(f"{word[0]}." for word in (credential.name or "").split()),
        str(credential.birth.year) if credential.birth else "",
    ]
    return " ".join(part for part in parts if part) or "-"
