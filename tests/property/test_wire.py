"""Entries, batches and receipts survive the wire; what is not one of them is refused by name, row by row."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kiosk.delivery import packing, wire
from kiosk.delivery.poison import Poison
from kiosk.errors import WireError
from kiosk.model import ClockQuality, Direction, Entry, Moment, Sealed

OUTBOX = UUID(int=1)
STORABLE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=36)
MOMENTS = st.builds(
    Moment, st.integers(0, wire.MAX_NS), STORABLE, st.integers(0, wire.MAX_NS), st.sampled_from(ClockQuality)
)
PEOPLE = st.dictionaries(st.sampled_from(["number", "name", "qid"]), STORABLE).map(lambda kept: tuple(kept.items()))
BOXES = st.builds(
    Sealed,
    st.binary(min_size=8, max_size=8).map(bytes.hex),
    st.sampled_from(["x25519", "mlkem768-x25519"]),
    st.binary(min_size=1, max_size=400),
)
HOLDERS = st.tuples(PEOPLE, st.just(())) | st.tuples(st.just(()), st.lists(BOXES, min_size=1, max_size=3).map(tuple))
ENTRIES = st.builds(
    lambda holder, **rest: Entry(person=holder[0], sealed=holder[1], **rest),
    HOLDERS,
    id=st.uuids(),
    kiosk=st.just("k-1"),
    site=STORABLE,
    lane=STORABLE,
    direction=st.sampled_from(Direction),
    at=MOMENTS,
    document=STORABLE,
    flags=st.lists(STORABLE, max_size=4).map(tuple),
)
ENTRY = Entry(
    UUID(int=2), "k-1", "s", "main", Direction.IN, Moment(1, "b", 2, ClockQuality.SYNCED), "cccd", (), (("name", "Ừ"),)
)


@given(ENTRIES)
def test_entry_survives(entry: Entry) -> None:
    """What is encoded is decoded to the same entry."""
    assert wire.decode_entry(wire.encode_entry(entry)) == entry


SEALED = replace(ENTRY, person=(), sealed=(Sealed("00" * 8, "x25519", b"box"),))


def test_person_is_in_an_entry_one_way() -> None:
    """Sealed or in the clear, never both and never neither: no bytes and no code can say otherwise."""
    with pytest.raises(ValueError, match="not both"):
        replace(SEALED, person=ENTRY.person)
    message = json.loads(wire.encode_entry(SEALED))
    assert "person" not in message
    del message["sealed"]
    with pytest.raises(WireError, match="either `person` or `sealed`"):
        wire.decode_entry(json.dumps(message).encode())


@pytest.mark.parametrize(
    "wrong",
    [{"key": "A" * 16}, {"key": "00"}, {"suite": "RSA!"}, {"box": ""}, {"box": "AAA"}, {"box": "A" * 4100}, {"box": 1}],
)
def test_box_of_another_form_is_poison(wrong: dict[str, object]) -> None:
    """A box that could not be stored or opened is set aside."""
    body = json.loads(wire.encode_entry(SEALED))
    body["sealed"][0] |= wrong
    (row,) = wire.decode_batch(_batch(entries=[[1, body]])).rows
    assert isinstance(row, Poison)
    assert "sealed" in row.reason


def test_clock_set_later_leaves_the_seal_alone() -> None:
    """What a box is bound to does not change when the time is corrected."""
    at = Moment(9, "b", 2, ClockQuality.SYNCED)
    assert wire.decode_entry(wire.with_moment(wire.encode_entry(SEALED), at)) == replace(SEALED, at=at)


@given(st.lists(ENTRIES, min_size=1, max_size=5))
def test_batch_survives(entries: list[Entry]) -> None:
    """Rows keep their numbers and their order."""
    rows = [(seq, wire.encode_entry(entry)) for seq, entry in enumerate(entries, 7)]
    batch = wire.decode_batch(wire.encode_batch("k-1", OUTBOX, rows))
    assert (batch.kiosk, batch.outbox) == ("k-1", OUTBOX)
    assert list(batch.rows) == list(enumerate(entries, 7))


@given(st.integers(0, wire.MAX_SEQ), st.uuids())
def test_receipt_survives(through: int, outbox: UUID) -> None:
    """A receipt names the file and the number."""
    receipt = wire.Receipt(outbox, through)
    assert wire.decode_receipt(wire.encode_receipt(receipt)) == receipt


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_refused_cleanly(payload: bytes) -> None:
    """No bytes make a decoder raise anything but WireError."""
    for decode in (wire.decode_entry, wire.decode_batch, wire.decode_receipt):
        with pytest.raises(WireError):
            decode(payload)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*json.loads(wire.encode_entry(ENTRY))]), JSON)
def test_entry_with_any_value_anywhere(key: str, value: object) -> None:
    """Any JSON value in any place is an entry or a WireError."""
    message = json.loads(wire.encode_entry(ENTRY)) | {key: value}
    with suppress(WireError):
        assert isinstance(wire.decode_entry(json.dumps(message).encode()), Entry)


@given(st.binary(max_size=80))
def test_rotten_row_travels_and_is_set_aside(body: bytes) -> None:
    """A row that rotted on the card keeps its number and its bytes, and the rows beside it stay whole."""
    good = wire.encode_entry(ENTRY)
    rows = wire.decode_batch(wire.encode_batch("k-1", OUTBOX, [(1, good), (2, body), (3, good)])).rows
    assert rows[0] == (1, ENTRY)
    assert rows[2] == (3, ENTRY)
    assert isinstance(rows[1], Poison)
    assert rows[1].seq == 2
    assert rows[1].body == body or json.loads(rows[1].body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{}],[{}", b"{},{}", b"{}]]]],[[[[{}", b"{}]", b"[{}]", b"{", b"", b"1", b"null", b'{"a":NaN}', b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 196 + b"]" * 196 + b"}", b'{"a":' + b"9" * 5000 + b"}", b'{"a":1e999}', b'{"a":"\xff"}',
        b'{"id":1}', b'{"kiosk":"k-1","id":"x","id":"y"}',
    ],
)  # fmt: skip
def test_no_row_breaks_the_rows_beside_it(body: bytes) -> None:
    """Brackets that would end the batch, depth that nobody reads, numbers and letters that are none: one row is set aside."""
    good = wire.encode_entry(ENTRY)
    rows = wire.decode_batch(wire.encode_batch("k-1", OUTBOX, [(1, good), (2, body), (3, good)])).rows
    assert [row if isinstance(row, tuple) else row.seq for row in rows] == [(1, ENTRY), 2, (3, ENTRY)]


def _batch(**changes: object) -> bytes:
    message = json.loads(wire.encode_batch("k-1", OUTBOX, [(1, wire.encode_entry(ENTRY))]))
    return json.dumps(message | changes).encode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"v": 2}, "`v`: input should be 1"),
        ({"kiosk": ""}, "kiosk"),
        ({"outbox": "x"}, "UUID"),
        ({"entries": {}}, "entries"),
        ({"entries": [[0, {}]]}, r"`entries\.0\.0`: .* greater than or equal to 1"),
        ({"entries": [[1]]}, r"`entries\.0\.1`: field required"),
        ({"entries": [[True, {}]]}, r"`entries\.0\.0`: input should be a valid integer"),
    ],
)
def test_batch_of_another_form_is_refused(changes: dict[str, object], problem: str) -> None:
    """The error names what is wrong with the whole."""
    with pytest.raises(WireError, match=problem):
        wire.decode_batch(_batch(**changes))


@given(st.lists(ENTRIES, min_size=1, max_size=30))
def test_packed_batch_is_the_same_batch(entries: list[Entry]) -> None:
    """A frame carries what the JSON says, and is never larger than a little more."""
    payload = wire.encode_batch("k-1", OUTBOX, [(seq, wire.encode_entry(e)) for seq, e in enumerate(entries, 7)], 5)
    packed = packing.packed(payload)
    assert wire.decode_batch(packed) == wire.decode_batch(payload)
    assert wire.decode_batch(packed).oldest == 5
    assert len(packed) <= len(payload) + 32


def test_backlog_takes_a_fifth_of_the_bytes() -> None:
    """Fifty entries packed against fifty messages of one."""
    entry = wire.encode_entry(ENTRY)
    rows = [(seq, entry.replace(b"0002", b"%04d" % seq)) for seq in range(1000, 1050)]
    singles = sum(len(wire.encode_batch("k-1", OUTBOX, [row])) for row in rows)
    assert 5 * len(packing.packed(wire.encode_batch("k-1", OUTBOX, rows))) < singles
    one = wire.encode_batch("k-1", OUTBOX, rows[:1])
    assert packing.packed(one) == one


def test_bomb_is_not_opened() -> None:
    """A frame that says it is huge, one that does not say, one that is cut: refused without being unpacked."""
    bomb = zstandard.ZstdCompressor().compress(bytes(200 << 20))
    assert len(bomb) < 30_000
    with pytest.raises(WireError, match="batch of 209715200 bytes, more than"):
        wire.decode_batch(bomb)
    small = zstandard.ZstdCompressor().compress(b'{"v":1,"entries":[' + b"{}," * 300_000 + b"{}]}")
    with pytest.raises(WireError, match="batch of 900022 bytes, more than 65536"):
        wire.decode_batch(small)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(_batch())
    with pytest.raises(WireError, match="batch of -1 bytes"):
        wire.decode_batch(unsized)
    with pytest.raises(WireError, match="not a whole zstd frame"):
        wire.decode_batch(zstandard.ZstdCompressor().compress(_batch())[:-5])


@given(st.binary(max_size=60))
def test_any_frame_is_refused_cleanly(rest: bytes) -> None:
    """What only begins like a frame is a WireError."""
    with pytest.raises(WireError):
        wire.decode_batch(zstandard.FRAME_HEADER + rest)


def test_huge_batch_is_not_even_parsed() -> None:
    """A message beyond the limit is refused by its size."""
    with pytest.raises(WireError, match="more than"):
        wire.decode_batch(b" " * (packing.MAX_BATCH_BYTES + 1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kiosk": "k-2"}, "another kiosk"),
        ({"direction": "up"}, "direction"),
        ({"flags": "x"}, "flags"),
        ({"person": {"name": "a\0b"}}, "person"),
        ({"sealed": [{"key": "00" * 8, "suite": "x25519", "box": "AAAA"}]}, "either `person` or `sealed`"),
        ({"person": {"name": 5}}, "input should be a valid string"),
        ({"person": {"kiosk": "cong-an-1"}}, "input should be 'number', 'qid'"),
        ({"person": {"flags": "verified", "name": "N"}}, "input should be 'number', 'qid'"),
        ({"person": {f"{number}": "x" for number in range(9)}}, "a person has fewer parts"),
        ({"flags": ["x"] * 17}, "`flags`"),
        ({"document": "x" * 30_000}, "more bytes than an entry has"),
        ({"at": 1}, "`at`: input should be an object"),
        ({"at": {"wall_ns": -1, "boot_ns": 1, "boot_id": "b", "clock": "synced"}}, "`at.wall_ns`"),
        ({"id": None}, "`id`"),
    ],
)
def test_row_that_is_no_entry_is_poison(changes: dict[str, object], reason: str) -> None:
    """It is set aside with its reason; what cannot be stored is not an entry."""
    body = json.loads(wire.encode_entry(ENTRY)) | changes
    good = json.loads(wire.encode_entry(ENTRY))
    row, beside = wire.decode_batch(_batch(entries=[[1, body], [2, good]])).rows
    assert isinstance(row, Poison)
    assert json.loads(row.body) == body
    assert reason in row.reason
    assert beside == (2, ENTRY)


def test_text_where_an_entry_should_be_is_poison() -> None:
    """A text that is no base64 is kept as it is."""
    (row,) = wire.decode_batch(_batch(entries=[[1, "não"]])).rows
    assert row == Poison(1, "não".encode(), "rotten")
    (row,) = wire.decode_batch(_batch(entries=[[1, 5]])).rows
    assert isinstance(row, Poison)


@pytest.mark.parametrize("message", [{"v": 1, "outbox": str(OUTBOX)}, {"v": 1, "outbox": str(OUTBOX), "through": -1}])
def test_receipt_without_a_number_is_refused(message: dict[str, object]) -> None:
    """A receipt must say how far."""
    with pytest.raises(WireError, match="through"):
        wire.decode_receipt(json.dumps(message).encode())


def test_moment_can_be_replaced_before_sending() -> None:
    """A clock that was set later corrects an entry without touching anything else."""
    at = Moment(9, "b", 2, ClockQuality.SYNCED)
    body = wire.with_moment(wire.encode_entry(ENTRY), at)
    assert wire.decode_entry(body).at == at
    assert wire.decode_entry(body).person == ENTRY.person


def test_publish_stays_below_the_limit() -> None:
    """As many rows as fit, and always one."""
    large = [(seq, b"x" * 100_000) for seq in range(1, 20)]
    assert 1 <= len(wire.fitting(large)) < 6
    assert wire.fitting([(1, b"x" * 900_000)]) == [(1, b"x" * 900_000)]
    assert len(wire.fitting([(1, b"x"), (2, b"y")])) == 2


def test_topics_are_the_documented_ones() -> None:
    """A kiosk's branch is its own."""
    assert wire.entries_topic("a") == "kiosks/a/entries"
    assert wire.receipts_topic("a") == "kiosks/a/receipts"
    assert wire.status_topic("a") == "kiosks/a/status"
