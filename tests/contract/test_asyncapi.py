"""docs/asyncapi.yaml and the code say the same: whoever writes a receiver by the document understands this kiosk."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft202012Validator

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import wire
from kiosk.delivery.poison import Poison
from kiosk.envelopes import cose, remote
from kiosk.envelopes.remote import Command, Reason, Verb
from kiosk.errors import WireError
from kiosk.health import ScanMarks
from kiosk.model import ClockQuality, Direction, Entry, Sealed
from kiosk.orders.executor import Executor
from kiosk.outbox import Outbox
from kiosk.trust import trust_list
from kiosk.updates import updating

DOCUMENT = yaml.safe_load((Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml").read_text("utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
OUTBOX = UUID(int=7)


def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def _batch(entry: Entry) -> bytes:
    return wire.encode_batch(entry.kiosk, OUTBOX, [(1, wire.encode_entry(entry)), (2, b"\xff\x00")])


def _sealed(entry: Entry) -> Entry:
    return replace(entry, person=(), sealed=(Sealed("0123456789abcdef", "x25519", bytes(304)),))


def test_messages_fit_their_schemas(make_entry: Callable[[int], Entry]) -> None:
    """What the kiosk and the centre really send is what the document promises, rotten rows included."""
    _validator("batch").validate(json.loads(_batch(_sealed(make_entry(1)))))
    _validator("batch").validate(json.loads(_batch(make_entry(1))))
    _validator("receipt").validate(json.loads(wire.encode_receipt(wire.Receipt(OUTBOX, 41))))


def test_status_fits_its_schema(make_config: Callable[..., Config], make_entry: Callable[[int], Entry]) -> None:
    """With every key of a lane that works, with a lane that is silent, and as a Last Will."""
    config: Config = make_config(lanes=[{"name": name, "panel": {"kind": "none"}} for name in ("main", "side")])
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    outbox.append(make_entry(1))
    marks = ScanMarks(
        "main", time.clock_gettime_ns(time.CLOCK_BOOTTIME), 10, 29.5, 1.0, 2.0, 3.0, 4.0, 5, 6, 7, 1_764_000_000_000, ""
    )
    health.write_marks(config.state.runtime_dir, "scan-main", marks.to_dict())
    update = updating.report(config, {})
    message = json.loads(health.status_message(config, outbox, SystemClock().now(), "online", update=update))
    outbox.close()
    _validator("status").validate(message)
    _validator("status").validate(json.loads(health.last_will(config)))
    assert message.keys() == SCHEMAS["status"]["properties"].keys()
    assert message["lanes"][0].keys() == SCHEMAS["status"]["properties"]["lanes"]["items"]["properties"].keys()


def test_keys_are_the_same_on_both_sides(make_entry: Callable[[int], Entry]) -> None:
    """No key is sent that the document does not name, and none is named that is not sent."""
    batch = json.loads(_batch(make_entry(1)))
    entry = batch["entries"][0][1]
    receipt = json.loads(wire.encode_receipt(wire.Receipt(OUTBOX, 1, 2, (1,))))
    optional = {"now_ns", "alone"}
    sealed = json.loads(wire.encode_entry(_sealed(make_entry(1))))
    assert entry.keys() - sealed.keys() == {"person"}
    assert sealed.keys() | entry.keys() == SCHEMAS["entry"]["properties"].keys()
    assert sealed.keys() & entry.keys() == set(SCHEMAS["entry"]["required"])
    (box,) = sealed["sealed"]
    for name, message in {"batch": batch, "moment": entry["at"], "receipt": receipt, "box": box}.items():
        assert message.keys() == SCHEMAS[name]["properties"].keys(), name
        assert message.keys() - optional == set(SCHEMAS[name]["required"]), name
    assert SCHEMAS["entry"]["properties"]["direction"]["enum"] == [direction.value for direction in Direction]
    assert SCHEMAS["moment"]["properties"]["clock"]["enum"] == [quality.value for quality in ClockQuality]


def test_examples_are_understood() -> None:
    """Every example fits its schema, and the code takes it."""
    for name, message in DOCUMENT["components"]["messages"].items():
        for example in message["examples"]:
            _validator(name).validate(example["payload"])
            if name == "batch":
                first, second, third = wire.decode_batch(json.dumps(example["payload"]).encode()).rows
                assert isinstance(first, tuple)
                assert second == Poison(42, b"\xff\x00\xff", "rotten")
                assert isinstance(third, tuple)
                assert third[1].sealed[0].box == b"sealed"
            elif name == "receipt":
                assert wire.decode_receipt(json.dumps(example["payload"]).encode()).through == 42


def _spoilt(message: Any) -> Iterator[tuple[str, Any]]:
    """The same message with one thing wrong, for every key of the entry and of its moment."""
    entry = message["entries"][0][1]
    for part, keys in ((entry, list(entry)), (entry["at"], list(entry["at"]))):
        for key in keys:
            kept = part[key]
            for wrong in (None, -1, [1], "", "x" * 500):
                part[key] = wrong
                yield f"{key}={wrong!r:.10}", copy.deepcopy(message)
            del part[key]
            yield f"{key} missing", copy.deepcopy(message)
            part[key] = kept


@pytest.mark.parametrize("sealed", [False, True], ids=["in the clear", "sealed"])
def test_code_refuses_what_the_schema_refuses(make_entry: Callable[[int], Entry], *, sealed: bool) -> None:
    """An entry outside the schema is set aside, not stored; only ids are judged more strictly by the code."""
    entry = make_entry(1)
    good = json.loads(_batch(_sealed(entry) if sealed else entry))
    schema = _validator("batch")
    refused = 0
    for what, message in _spoilt(good):
        row = wire.decode_batch(json.dumps(message).encode()).rows[0]
        if not schema.is_valid(message):
            refused += 1
            assert isinstance(row, Poison), what
        elif isinstance(row, Poison):
            assert what.startswith(("id=", "kiosk=")), what
    assert refused > 50


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"v": 2}', b'{"v": 1}'])
def test_other_versions_are_refused(payload: bytes) -> None:
    """A message of another version is refused as a whole, not half understood."""
    with pytest.raises(WireError):
        wire.decode_batch(payload)
    with pytest.raises(WireError):
        wire.decode_receipt(payload)


def test_topics_are_those_of_the_document() -> None:
    """The addresses, with the kiosk's id in its place."""
    addresses = {
        name: channel["address"].format(kiosk="k-1", digest="ff01") for name, channel in DOCUMENT["channels"].items()
    }
    assert addresses == {
        "entries": wire.entries_topic("k-1"),
        "receipts": wire.receipts_topic("k-1"),
        "status": wire.status_topic("k-1"),
        "commands": remote.commands_topic("k-1"),
        "diagnostics": remote.diagnostics_topic("k-1"),
        "keys": wire.keys_topic("k-1"),
        "trust": trust_list.TOPIC,
        "trustContent": trust_list.content_topic(b"\xff\x01"),
    }


def test_commands_fit_their_schemas(make_config: Callable[..., Config]) -> None:
    """What the status says of commands, taken and refused, and the diagnostics are what the document promises."""
    config = make_config()
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    key = Ed25519PrivateKey.generate()
    executor = Executor(config, {cose.key_id(key.public_key()): key.public_key()}, outbox, SystemClock())
    reports = [executor.report()]
    now_s = int(time.time())
    executor.take(remote.signed(Command(bytes(16), 5, Verb.DIAGNOSTICS), config.kiosk.id, key, now_s, 60))
    executor.take(b"x")
    reports.append(executor.report())
    for report in reports:
        message = health.status_message(config, outbox, SystemClock().now(), "online", report)
        _validator("status").validate(json.loads(message))
    (letter,) = executor.letters()
    outbox.close()
    told = json.loads(zstandard.ZstdDecompressor().decompress(letter))
    _validator("diagnostics").validate(told)
    assert told.keys() == SCHEMAS["diagnostics"]["properties"].keys()
    assert told["status"]["update"] == updating.report(config, {})
    assert SCHEMAS["command"]["properties"]["verb"]["enum"] == list(Verb)
    refused = SCHEMAS["status"]["properties"]["commands"]["oneOf"][1]["properties"]["refused"]
    assert refused["propertyNames"]["enum"] == list(Reason)
