"""Rows of a batch that are no entries: what has rotted on a card, and what stands in the place of an entry that stays behind.

Whatever it is, it travels under its number, is set aside there, and breaks no row beside it. Pure.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from pydantic import TypeAdapter
from typing_extensions import TypedDict

OVERSIZED = "larger than the broker takes"
"""Why a row stands for an entry that waits at the station: it alone is more than the broker's largest message."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A row that is no entry, to be set aside under its number; `OVERSIZED` is the reason of one that has stayed behind."""

    seq: int
    body: bytes
    reason: str


class _Object(TypedDict):
    """Any JSON object; what is in it is read past, without making anything of it."""


_OBJECT = TypeAdapter(list[tuple[tuple[tuple[_Object]]]])


def oversized(size_bytes: int) -> bytes:
    """What stands in the place of an entry that the broker does not take, and says how large its message would be."""
    return b'{"oversized":%d}' % size_bytes


def is_notice(body: object) -> bool:
    """Whether a row that is no entry is what `oversized` makes."""
    return isinstance(body, dict) and [*body] == ["oversized"] and isinstance(body["oversized"], int)


def as_it_stands(body: bytes) -> bytes:
    """A row as it stands in a batch: whatever is one JSON object, deeper than there, so that it breaks no row beside it."""
    try:
        (_,) = _OBJECT.validate_json(b"[[[[%b]]]]" % body, strict=True)
    except ValueError:  # of pydantic, or two objects
        return b'"' + base64.b64encode(body) + b'"'
    return body


def rotten(seq: int, text: str) -> Poison:
    """The row whose bytes travelled as base64, as a station's card gave them."""
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        body = text.encode("utf-8", "surrogatepass")
    return Poison(seq, body, "rotten")
