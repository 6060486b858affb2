"""An update as the centre offers it: what a signed command says of it, and which of two versions is newer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kiosk import forms

VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}\+\d{14}")
_PATH = re.compile(r"https://[^/]+/[A-Za-z0-9._~+/-]+")
LONGEST_URL = 200
LARGEST_BYTES = 2 << 30
SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Offer:
    """One update, as the centre has signed it.

    Attributes:
        version: Of the build, like 0.1.0+20261124213755.
        url: Where the bundle is, https.
        sha256: Of the bundle, 32 bytes.
        size_bytes: Of the bundle.
    """

    version: str
    url: str
    sha256: bytes
    size_bytes: int


def is_offer(offer: Offer) -> bool:
    """Whether an offer is of the form that a station takes."""
    return (
        VERSION.fullmatch(offer.version) is not None
        and len(offer.url) <= LONGEST_URL
        and _PATH.fullmatch(offer.url) is not None
        and forms.fault_of_https(offer.url) is None
        and len(offer.sha256) == SHA256_BYTES
        and 0 < offer.size_bytes <= LARGEST_BYTES
    )


def key_of(version: str) -> tuple[int, ...]:
    """By which versions are compared; empty for what is none."""
    return tuple(int(part) for part in re.split(r"[.+]", version)) if VERSION.fullmatch(version) else ()
