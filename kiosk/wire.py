"""Entries and receipts as bytes, versioned: the one form that the outbox keeps, the broker carries and the centre reads.

An entry is kept in the outbox as the bytes of `encode_entry`; a batch puts those bytes, unread, beside their sequence
numbers. So what was committed is what is sent, and a row that has rotted on the card travels as it is and is set aside
by the centre under its number instead of blocking the rows behind it.

    batch    {"v":1,"kiosk":K,"outbox":O,"entries":[[SEQ,ENTRY],…]}       ENTRY an object, or a base64 string if rotten
    receipt  {"v":1,"outbox":O,"through":SEQ}                           all of 1…SEQ are in the ledger or set aside

`outbox` is the random id of one outbox file. A replaced card starts a new file that counts from 1 again; without the id
the centre's old receipt would settle its new entries.

The form is documented in docs/asyncapi.yaml; the tests hold both to it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from typing import Any, TypeGuard
from uuid import UUID

from kiosk.errors import WireError
from kiosk.model import ClockQuality, Direction, Entry, Moment

VERSION = 1
MAX_BATCH_BYTES = 1 << 20
MAX_ENTRIES = 1000
MAX_SEQ = (1 << 53) - 1  # JSON's safe integers
MAX_NS = (1 << 63) - 1  # SQL's integers

_UNSTORABLE = re.compile(
    "[\x00\ud800-\udfff]"
)  # NUL and lone surrogates: JSON can say them, databases cannot keep them

_DIRECTIONS = {direction.value: direction for direction in Direction}
_QUALITIES = {quality.value: quality for quality in ClockQuality}

Row = tuple[int, bytes]
"""A sequence number and the entry's bytes as committed."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A row that is no entry, to be set aside under its number."""

    seq: int
    body: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one PUBLISH carries, in order of sequence."""

    kiosk: str
    outbox: UUID
    rows: tuple[tuple[int, Entry] | Poison, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The centre has everything of this outbox up to and including `through`."""

    outbox: UUID
    through: int


def entries_topic(kiosk: str) -> str:
    """Where a kiosk's entries go."""
    return f"kiosks/{kiosk}/entries"


def receipts_topic(kiosk: str) -> str:
    """Where the centre's receipts for a kiosk go."""
    return f"kiosks/{kiosk}/receipts"


def status_topic(kiosk: str) -> str:
    """Where a kiosk's retained status is."""
    return f"kiosks/{kiosk}/status"


def encode_entry(entry: Entry) -> bytes:
    """The entry as one JSON object, UTF-8, without spaces."""
    at = entry.at
    return _dump(
        {
            "id": str(entry.id),
            "kiosk": entry.kiosk,
            "site": entry.site,
            "lane": entry.lane,
            "direction": entry.direction.value,
            "at": {"wall_ns": at.wall_ns, "boot_id": at.boot_id, "boot_ns": at.boot_ns, "clock": at.quality.value},
            "document": entry.document,
            "flags": list(entry.flags),
            "person": dict(entry.person),
        }
    )


def decode_entry(body: bytes) -> Entry:
    """The entry in these bytes.

    Raises:
        WireError: They are no entry of this version.
    """
    return _entry(_load(body))


def with_moment(body: bytes, at: Moment) -> bytes:
    """The same entry with another moment, for a clock that was set after the entry was made."""
    return encode_entry(replace(decode_entry(body), at=at))


def encode_batch(kiosk: str, outbox: UUID, rows: list[Row]) -> bytes:
    """One PUBLISH of these rows, as they were committed.

    Args:
        kiosk: The station's id.
        outbox: The id of the outbox file.
        rows: 1 to `MAX_ENTRIES` rows in order of sequence.
    """
    entries = b",".join(b"[%d,%s]" % (seq, _json_or_base64(body)) for seq, body in rows)
    head = _dump({"v": VERSION, "kiosk": kiosk, "outbox": str(outbox)})
    return head[:-1] + b',"entries":[' + entries + b"]}"


def fitting(rows: list[Row]) -> list[Row]:
    """As many of the first rows as one PUBLISH may carry; at least one."""
    size_bytes = 0
    for count, (_, body) in enumerate(rows):
        size_bytes += 4 * len(body) // 3 + 32  # as base64, with its number
        if count and size_bytes > MAX_BATCH_BYTES // 2:
            return rows[:count]
    return rows


def decode_batch(payload: bytes) -> Batch:
    """The rows of one PUBLISH; a row that is no entry becomes `Poison` and leaves the others whole.

    Raises:
        WireError: The message as a whole is no batch of this version.
    """
    if len(payload) > MAX_BATCH_BYTES:
        raise WireError(f"batch of {len(payload)} bytes, more than {MAX_BATCH_BYTES}")
    message = _load(payload)
    _check_version(message)
    kiosk = _text(message, "kiosk", 64)
    items = message.get("entries")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ENTRIES:
        raise WireError(f"`entries` is not a list of 1 to {MAX_ENTRIES}")
    return Batch(kiosk, _uuid(message, "outbox"), tuple(_row(item, kiosk) for item in items))


def encode_receipt(receipt: Receipt) -> bytes:
    """The receipt as one JSON object."""
    return _dump({"v": VERSION, "outbox": str(receipt.outbox), "through": receipt.through})


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt in these bytes.

    Raises:
        WireError: They are no receipt of this version.
    """
    message = _load(payload)
    _check_version(message)
    if not _is_int(message.get("through"), 0, MAX_SEQ):
        raise WireError("`through` is not a sequence number")
    return Receipt(_uuid(message, "outbox"), int(message["through"]))


def _row(item: object, kiosk: str) -> tuple[int, Entry] | Poison:
    if not isinstance(item, list) or len(item) != 2 or not _is_int(item[0], 1, MAX_SEQ):
        raise WireError("an item of `entries` is not [sequence number, entry]")
    seq, body = item
    if isinstance(body, str):
        return Poison(seq, _unbase64(body), "rotten")
    try:
        entry = _entry(body)
    except WireError as error:
        return Poison(seq, _dump(body), str(error.args[0]))
    if entry.kiosk != kiosk:
        return Poison(seq, _dump(body), "entry of another kiosk")
    return seq, entry


def _entry(message: object) -> Entry:
    """The entry in a JSON value; the collector's hot path, so each field is looked at once."""
    if not isinstance(message, dict):
        raise WireError("an entry is not an object")
    at, flags, person = message.get("at"), message.get("flags"), message.get("person")
    if not isinstance(at, dict):
        raise WireError("`at` is not an object")
    if not isinstance(flags, list) or len(flags) > 16 or not all(_is_text(flag, 64) for flag in flags):
        raise WireError("`flags` is not a list of words")
    if not isinstance(person, dict) or len(person) > 16 or not all(_is_text(value, 400) for value in person.values()):
        raise WireError("`person` is not an object of texts")
    wall_ns, boot_ns = at.get("wall_ns"), at.get("boot_ns")
    if not _is_int(wall_ns, 0, MAX_NS) or not _is_int(boot_ns, 0, MAX_NS):
        raise WireError("`at` has no times")
    direction = _DIRECTIONS.get(_text(message, "direction", 16))
    quality = _QUALITIES.get(_text(at, "clock", 16))
    if direction is None or quality is None:
        raise WireError("`direction` or `clock` is an unknown word")
    return Entry(
        _uuid(message, "id"),
        _text(message, "kiosk", 64),
        _text(message, "site", 64),
        _text(message, "lane", 64),
        direction,
        Moment(wall_ns, _text(at, "boot_id", 36), boot_ns, quality),
        _text(message, "document", 64),
        tuple(flags),
        tuple(person.items()),
    )


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _load(payload: bytes) -> dict[str, Any]:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise WireError("not JSON") from None
    if not isinstance(message, dict):
        raise WireError("not a JSON object")
    return message


def _json_or_base64(body: bytes) -> bytes:
    try:
        _load(body)
    except WireError:
        return b'"' + base64.b64encode(body) + b'"'
    return body


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "surrogatepass")


def _check_version(message: dict[str, Any]) -> None:
    if message.get("v") != VERSION:
        raise WireError(f"version is not {VERSION}")


def _is_int(value: Any, low: int, high: int) -> TypeGuard[int]:  # noqa: ANN401  any JSON value
    return type(value) is int and low <= value <= high


def _is_text(value: Any, longest: int) -> bool:  # noqa: ANN401  any JSON value
    # What is printable, as most texts are, has neither; asking so is quicker than searching.
    return type(value) is str and len(value) <= longest and (value.isprintable() or _UNSTORABLE.search(value) is None)


def _text(message: dict[str, Any], key: str, longest: int) -> str:
    value = message.get(key)
    if not value or not _is_text(value, longest):
        raise WireError(f"`{key}` is not a text of 1 to {longest} characters")
    return str(value)


def _uuid(message: dict[str, Any], key: str) -> UUID:
    try:
        return UUID(_text(message, key, 36))
    except ValueError:
        raise WireError(f"`{key}` is not a UUID") from None
