"""CBOR from strangers: every head is looked at before the library sees a byte.

cbor2 builds whatever the bytes ask for: big numbers, decimals, dates, regular expressions, references, arrays of a
billion announced items. Asked by a stranger it answers with TypeError, OverflowError, RecursionError, MemoryError or
errors of `decimal`. So this module walks over the heads first, which costs about a microsecond each, and lets pass only
what the codes here are made of: integers of 64 bits, byte and text strings, arrays, maps with simple keys, true, false,
null, and where they are asked for floats and indefinite lengths. Tags are refused, but for those that the caller names
in front of everything (18 and 61 in `kiosk.envelopes.cose`).

Sizes are in bytes; depth counts arrays and maps around an item.
"""

from __future__ import annotations

from dataclasses import dataclass

import cbor2

from kiosk.errors import CborError

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE = 31
_BREAK = 0xFF
_DATE_TIME_TAG = 0xC0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is let pass.

    Attributes:
        size_bytes: Longest message.
        items: Most items, keys and values counted each.
        depth: Deepest nesting.
        lenient: Whether issuers other than us wrote it: floats, indefinite lengths, lengths that are written longer than
            needed, and date-times marked with tag 0, which is dropped and the text kept as it is.
    """

    size_bytes: int
    items: int
    depth: int
    lenient: bool = False


OURS = Limits(size_bytes=1 << 18, items=20_000, depth=6)
"""What this project writes itself, up to a list of keys for months."""

THEIRS = Limits(size_bytes=1 << 14, items=2_000, depth=10, lenient=True)
"""What other issuers write into a code."""


def loads(data: bytes, limits: Limits) -> object:
    """The one item that these bytes are.

    Raises:
        CborError: They are none, more than one, or something that is not let pass.
    """
    checked = _Walk(data, limits).checked()
    try:
        value: object = cbor2.loads(checked)
    except (cbor2.CBORError, ValueError) as error:  # text that is no UTF-8
        raise CborError("text that is no UTF-8") from error
    return value


def without_tags(data: bytes, tags: tuple[int, ...]) -> bytes:
    """The bytes behind the tags at their beginning, each of these at most once and in this order.

    Args:
        data: What may begin with tags.
        tags: Numbers from 0 to 255.
    """
    for tag in tags:
        head = bytes((_TAG << 5 | tag,)) if tag < 24 else bytes((_TAG << 5 | 24, tag))
        data = data.removeprefix(head)
    return data


class _Walk:
    """One pass over the heads."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._at = 0
        self._left = limits.items
        self._dropped: list[int] = []

    def checked(self) -> bytes:
        """The bytes for the library, without the tags that are dropped."""
        if len(self._data) > self._limits.size_bytes:
            raise CborError(f"{len(self._data)} bytes, more than {self._limits.size_bytes}")
        self._item(0)
        if self._at != len(self._data):
            raise CborError("bytes behind the end")
        kept = bytearray(self._data)
        for place in reversed(self._dropped):
            del kept[place]
        return bytes(kept)

    def _item(self, depth: int, *, majors: frozenset[int] = frozenset(range(8))) -> None:
        self._count()
        major, extra, value = self._head()
        if major not in majors:
            raise CborError("a key that is no number and no string")
        match major:
            case 0 | 1 if extra == _INDEFINITE:
                raise CborError("a number without end")
            case 0 | 1:
                return
            case 2 | 3:
                self._string(major, extra, value)
            case 4 | 5:
                self._container(major, extra, value, depth + 1)
            case 6:
                self._tagged(value)
            case _:
                self._simple(extra)

    def _head(self) -> tuple[int, int, int]:
        """Major type, additional information and value; the place is behind it."""
        first = self._take(1)[0]
        major, extra = first >> 5, first & 31
        if extra < 24:
            return major, extra, extra
        if extra == _INDEFINITE and self._limits.lenient:
            return major, extra, 0
        if extra > 27:
            raise CborError("a length that is reserved or without end")
        value = int.from_bytes(self._take(1 << (extra - 24)), "big")
        smallest = 24 if extra == 24 else 1 << (4 << (extra - 24))
        if major != _SIMPLE and value < smallest and not self._limits.lenient:
            raise CborError("a number that is written longer than needed")
        return major, extra, value

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise CborError("an end in the middle of an item")
        self._at += count
        return taken

    def _string(self, major: int, extra: int, size_bytes: int) -> None:
        if extra != _INDEFINITE:
            self._skip(size_bytes)
            return
        while not self._broken():
            chunk_major, chunk_extra, chunk_bytes = self._head()
            if chunk_major != major or chunk_extra == _INDEFINITE:
                raise CborError("a string in pieces of another kind")
            self._count()
            self._skip(chunk_bytes)

    def _count(self) -> None:
        """One item, or one piece of a string, more."""
        self._left -= 1
        if self._left < 0:
            raise CborError(f"more than {self._limits.items} items")

    def _skip(self, size_bytes: int) -> None:
        if size_bytes > len(self._data) - self._at:
            raise CborError("an end in the middle of an item")
        self._at += size_bytes

    def _container(self, major: int, extra: int, count: int, depth: int) -> None:
        if depth > self._limits.depth:
            raise CborError(f"deeper than {self._limits.depth}")
        if extra != _INDEFINITE and count > self._left:
            raise CborError(f"more than {self._limits.items} items")
        keys: set[bytes] = set()
        done = 0
        while not (self._broken() if extra == _INDEFINITE else done == count):
            if major == _MAP:
                self._key(keys, depth)
            self._item(depth)
            done += 1

    def _key(self, keys: set[bytes], depth: int) -> None:
        start = self._at
        self._item(depth, majors=frozenset((_UNSIGNED, _NEGATIVE, _BYTES, _TEXT)))
        key = self._data[start : self._at]
        if key in keys:
            raise CborError("a key that is there twice")
        keys.add(key)

    def _broken(self) -> bool:
        if self._data[self._at : self._at + 1] != bytes((_BREAK,)):
            return False
        self._at += 1
        return True

    def _tagged(self, tag: int) -> None:
        """Tag 0 in front of a text, where it is let pass; no tag may stand before another."""
        start = self._at - 1
        if not self._limits.lenient or tag != 0 or self._data[start] != _DATE_TIME_TAG:
            raise CborError(f"tag {tag}")
        self._dropped.append(start)
        major, extra, value = self._head()
        if major != _TEXT:
            raise CborError("tag 0 before something else than text")
        self._string(major, extra, value)

    def _simple(self, extra: int) -> None:
        is_float = 25 <= extra <= 27
        if not (20 <= extra <= 22 or (is_float and self._limits.lenient)):
            raise CborError("a float or a simple value that is not wanted")
