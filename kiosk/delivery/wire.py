"""Entries and receipts as bytes, versioned: the one form that the outbox keeps, the broker carries and the centre reads.

An entry is kept in the outbox as the bytes of `encode_entry`; a batch puts those bytes, unread, beside their sequence
numbers. So what was committed is what is sent, and a row that has rotted on the card travels as it is and is set aside
by the centre under its number instead of blocking the rows behind it.

    batch    {"v":1,"kiosk":K,"outbox":O,"oldest":SEQ,"entries":[[SEQ,ENTRY],…]}    ENTRY, or a base64 string if rotten, or
                                                                                    {"oversized":BYTES} in the place of one that stays behind
    receipt  {"v":1,"outbox":O,"through":SEQ,"now_ns":T}                all of 1…SEQ are in the ledger or set aside
A batch without entries asks for a receipt, which tells the centre's time to a station whose clock was never set.

The person of an entry is in it as `sealed`, a list of boxes, one a recipient, or in the clear as `person`, which is empty
where people are only counted; never both. Entries that older software left in an outbox have `person` and drain as they are.

A batch that is worth it travels as one zstd frame of the same JSON. `oldest` is the lowest number that the file still
holds: what is below has had its receipt and is deleted, so a centre that was set back must not wait for it.

`outbox` is the random id of one outbox file. A replaced card starts a new file that counts from 1 again; without the id
the centre's old receipt would settle its new entries. The form is documented in docs/asyncapi.yaml, which the tests hold to it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeVar
from uuid import UUID  # noqa: TC003  pydantic reads it

from pydantic import AfterValidator, BeforeValidator, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from kiosk.delivery.packing import MAX_BATCH_BYTES, unpacked
from kiosk.delivery.poison import OVERSIZED, Poison, as_it_stands, is_notice, rotten
from kiosk.errors import WireError
from kiosk.forms import LONGEST_PART, PERSON_PARTS, PersonPart
from kiosk.model import ClockQuality, Direction, Entry, Moment, Sealed

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")

VERSION = 1
MAX_ENTRIES = 1000
MAX_ROW_BYTES = 20_000
"""More than any entry has; what is larger is not looked into."""
MAX_ALONE = 64
HEAD_BYTES = 512
"""More than a message has before its first row, its topic and what MQTT adds among it."""
MAX_SEQ = (1 << 53) - 1  # JSON's safe integers
MAX_NS = (1 << 63) - 1  # SQL's integers
MAX_BOX_CHARS = 4096
MAX_RECIPIENTS = 4

_DIRECTIONS = {direction.value: direction for direction in Direction}
_QUALITIES = {quality.value: quality for quality in ClockQuality}

_NO_NUL = r"^[^\x00]*$"  # JSON can say it, databases cannot keep it
_Name = Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_NUL)]
_Word = Annotated[str, Field(max_length=64, pattern=_NO_NUL)]
_Ns = Annotated[int, Field(ge=0, le=MAX_NS)]
_Seq = Annotated[int, Field(ge=1, le=MAX_SEQ)]


class _MomentForm(TypedDict):
    wall_ns: _Ns
    boot_id: Annotated[str, Field(min_length=1, max_length=36, pattern=_NO_NUL)]
    boot_ns: _Ns
    clock: Literal["synced", "estimated", "unset"]


class _SealedForm(TypedDict):
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    suite: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
    box: Annotated[
        str,
        Field(
            max_length=MAX_BOX_CHARS,
            pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$",
        ),
    ]


def _few(parts: object) -> object:
    if isinstance(parts, dict) and len(parts) > len(PERSON_PARTS):  # before each of them is complained of
        raise PydanticCustomError("few", "A person has fewer parts")
    return parts


_PersonForm = Annotated[
    dict[PersonPart, Annotated[str, Field(max_length=LONGEST_PART, pattern=_NO_NUL)]], BeforeValidator(_few)
]


class _EntryForm(TypedDict):
    id: UUID
    kiosk: _Name
    site: _Name
    lane: _Name
    direction: Literal["in", "out", "pass"]
    at: _MomentForm
    document: _Name
    flags: Annotated[list[_Word], FailFast(), Field(max_length=16)]
    person: NotRequired[_PersonForm]
    sealed: NotRequired[Annotated[list[_SealedForm], FailFast(), Field(min_length=1, max_length=MAX_RECIPIENTS)]]


def _one_way(form: _EntryForm) -> _EntryForm:
    if ("person" in form) is ("sealed" in form):
        raise PydanticCustomError("one_way", "Either `person` or `sealed` should be there")
    return form


_EntryOnce = Annotated[_EntryForm, AfterValidator(_one_way)]


class _Head(TypedDict):
    v: Literal[1]
    kiosk: _Name
    outbox: UUID


class _SoundBatch(_Head):
    oldest: _Seq
    entries: Annotated[list[tuple[_Seq, _EntryOnce]], FailFast(), Field(max_length=MAX_ENTRIES)]


class _AnyBatch(_Head):
    oldest: _Seq
    entries: Annotated[list[tuple[_Seq, Any]], FailFast(), Field(max_length=MAX_ENTRIES)]


class _ReceiptForm(TypedDict):
    v: Literal[1]
    outbox: UUID
    through: Annotated[int, Field(ge=0, le=MAX_SEQ)]
    now_ns: NotRequired[_Ns]
    alone: NotRequired[Annotated[list[_Seq], Field(max_length=MAX_ALONE)]]


_ENTRY: TypeAdapter[_EntryForm] = TypeAdapter(_EntryOnce)
_SOUND_BATCH = TypeAdapter(_SoundBatch)
_ANY_BATCH = TypeAdapter(_AnyBatch)
_RECEIPT = TypeAdapter(_ReceiptForm)

Row = tuple[int, bytes]
"""A sequence number and the entry's bytes as committed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one PUBLISH carries, in order of sequence.

    Attributes:
        kiosk: The station.
        outbox: The id of the outbox file.
        rows: Entries with their numbers, and what is none.
        oldest: The lowest number that the file still holds.
    """

    kiosk: str
    outbox: UUID
    rows: tuple[tuple[int, Entry] | Poison, ...]
    oldest: int = 1

    @property
    def numbers(self) -> list[int]:
        """Those that have come, notices left out."""
        rows = (row for row in self.rows if not (isinstance(row, Poison) and row.reason == OVERSIZED))
        return [row.seq if isinstance(row, Poison) else row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The centre has everything of this outbox up to and including `through`.

    Attributes:
        outbox: The id of the outbox file.
        through: The number.
        now_ns: The centre's wall time, if it tells.
        alone: Numbers that have just come alone in a message: of one that had stayed behind `through` says nothing.
    """

    outbox: UUID
    through: int
    now_ns: int | None = None
    alone: tuple[int, ...] = ()


def entries_topic(kiosk: str) -> str:
    """Where a kiosk's entries go."""
    return f"kiosks/{kiosk}/entries"


def receipts_topic(kiosk: str) -> str:
    """Where the centre's receipts for a kiosk go."""
    return f"kiosks/{kiosk}/receipts"


def status_topic(kiosk: str) -> str:
    """Where a kiosk's retained status is."""
    return f"kiosks/{kiosk}/status"


def keys_topic(kiosk: str) -> str:
    """Where the authority's list of keys is left for a kiosk, retained."""
    return f"kiosks/{kiosk}/keys"


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
            **({"sealed": boxes_of(entry.sealed)} if entry.sealed else {"person": dict(entry.person)}),
        }
    )


def boxes_of(sealed: tuple[Sealed, ...]) -> list[dict[str, str]]:
    """The boxes as JSON has them."""
    return [{"key": one.key, "suite": one.suite, "box": base64.b64encode(one.box).decode()} for one in sealed]


def sealed_of(boxes: list[Any]) -> tuple[Sealed, ...]:
    """The boxes that `boxes_of` made."""
    return tuple(Sealed(one["key"], one["suite"], base64.b64decode(one["box"])) for one in boxes)


def decode_entry(body: bytes) -> Entry:
    """The entry in these bytes.

    Raises:
        WireError: They are no entry of this version.
    """
    return _entry(_read(_ENTRY, body))


def with_moment(body: bytes, at: Moment) -> bytes:
    """The same entry with another moment, for a clock that was set after the entry was made."""
    return encode_entry(replace(decode_entry(body), at=at))


def encode_batch(kiosk: str, outbox: UUID, rows: list[Row], oldest: int = 1) -> bytes:
    """One PUBLISH of these rows, as they were committed.

    Args:
        kiosk: The station's id.
        outbox: The id of the outbox file.
        rows: Up to `MAX_ENTRIES` rows in order of sequence; none to ask for a receipt.
        oldest: The lowest number that the file still holds.
    """
    entries = b",".join(b"[%d,%s]" % (seq, as_it_stands(body)) for seq, body in rows)
    head = _dump({"v": VERSION, "kiosk": kiosk, "outbox": str(outbox), "oldest": oldest})
    return head[:-1] + b',"entries":[' + entries + b"]}"


def fitting(rows: list[Row], most_bytes: int = MAX_BATCH_BYTES // 2) -> list[Row]:
    """As many of the first rows as one PUBLISH of so many bytes may carry, before it is packed; at least one."""
    size_bytes = HEAD_BYTES
    for count, (_, body) in enumerate(rows):
        size_bytes += (len(body) if body.startswith(b"{") else 4 * len(body) // 3) + 32  # as base64, with its number
        if count and size_bytes > most_bytes:
            return rows[:count]
    return rows


def decode_batch(payload: bytes) -> Batch:
    """The rows of one PUBLISH; a row that is no entry becomes `Poison` and leaves the others whole.

    Raises:
        WireError: The message as a whole is no batch of this version.
    """
    payload = unpacked(payload)
    try:
        sound = _SOUND_BATCH.validate_json(payload, strict=True)
    except ValidationError:
        batch = _read(_ANY_BATCH, payload)
        rows = [_row(seq, body, batch["kiosk"]) for seq, body in batch["entries"]]
        return Batch(batch["kiosk"], batch["outbox"], tuple(rows), batch["oldest"])
    kiosk = sound["kiosk"]
    rows = [_own(seq, form, kiosk) for seq, form in sound["entries"]]
    return Batch(kiosk, sound["outbox"], tuple(rows), sound["oldest"])


def encode_receipt(receipt: Receipt) -> bytes:
    """The receipt as one JSON object."""
    form: dict[str, object] = {"v": VERSION, "outbox": str(receipt.outbox), "through": receipt.through}
    told = {"now_ns": receipt.now_ns} if receipt.now_ns is not None else {}
    return _dump({**form, **told, **({"alone": receipt.alone} if receipt.alone else {})})


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt in these bytes.

    Raises:
        WireError: They are no receipt of this version.
    """
    receipt = _read(_RECEIPT, payload)
    return Receipt(receipt["outbox"], receipt["through"], receipt.get("now_ns"), tuple(receipt.get("alone", ())))


def _row(seq: int, body: object, kiosk: str) -> tuple[int, Entry] | Poison:
    """A row of a batch that is not sound as a whole."""
    if isinstance(body, str):
        return rotten(seq, body)
    encoded = _dump(body)
    if len(encoded) > MAX_ROW_BYTES:
        return Poison(seq, encoded, "more bytes than an entry has")
    if is_notice(body):
        return Poison(seq, encoded, OVERSIZED)
    try:
        return _own(seq, _read(_ENTRY, encoded), kiosk)
    except WireError as error:
        return Poison(seq, encoded, str(error.args[0]))


def _own(seq: int, form: _EntryForm, kiosk: str) -> tuple[int, Entry] | Poison:
    if form["kiosk"] != kiosk:
        return Poison(seq, encode_entry(_entry(form)), "entry of another kiosk")
    return seq, _entry(form)


def _entry(form: _EntryForm) -> Entry:
    at = form["at"]
    return Entry(
        form["id"],
        form["kiosk"],
        form["site"],
        form["lane"],
        _DIRECTIONS[form["direction"]],
        Moment(at["wall_ns"], at["boot_id"], at["boot_ns"], _QUALITIES[at["clock"]]),
        form["document"],
        tuple(form["flags"]),
        tuple(form.get("person", {}).items()),
        sealed_of(form.get("sealed", [])),
    )


def _read(form: TypeAdapter[T], payload: bytes) -> T:
    """The JSON of this form in these bytes; keys that it does not name are let pass.

    Raises:
        WireError: They are something else; the first thing that is wrong is named, without its content.
    """
    try:
        return form.validate_json(payload, strict=True)
    except ValidationError as error:
        raise WireError(_said(error.errors(include_url=False, include_input=False)[0])) from None


def _said(detail: ErrorDetails) -> str:
    if detail["type"] == "json_invalid":
        return "not JSON"
    known = [str(part) for part in detail["loc"] if isinstance(part, int) or part in _KEYS]
    return f"`{'.'.join(known)}`: {detail['msg'][0].lower()}{detail['msg'][1:]}"


_KEYS = frozenset(
    key for form in (_SoundBatch, _EntryForm, _SealedForm, _MomentForm, _ReceiptForm) for key in form.__annotations__
)  # a key of somebody else's is content


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
