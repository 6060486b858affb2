"""Families of signed credentials, known by their prefix. They are named here; their signatures are not checked."""

from __future__ import annotations

from kiosk.model import Signed

_PREFIXES = ((b"HC1:", "hc1"), (b"shc:/", "shc"), (b"NZCP:/1/", "nzcp"))


def family_of(code: bytes) -> Signed | None:
    """The family: "hc1" (EU DCC and Vietnam's vaccine passport), "shc" (SMART Health Card), "nzcp"; None if none."""
    return next((Signed(family) for prefix, family in _PREFIXES if code.startswith(prefix)), None)
