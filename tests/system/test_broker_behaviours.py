"""Whatever a broker refuses, limits or does wrong: what can be delivered is, nothing is settled that nobody has, and it is said what is wrong.

A row is a behaviour, its columns whether entries are delivered, what the status says, and what `kiosk doctor` says. The table in
docs/transport.md is made of these rows.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from kiosk.clock import SystemClock
from kiosk.delivery import refusals
from kiosk.model import Sealed
from kiosk.outbox import Outbox
from kiosk.service import checkup
from kiosk.uplink import Uplink
from tests import stub_broker as stub
from tests.stub_broker import CLOSE, SWALLOW, Behaviour, StubBroker

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.config import Config
    from kiosk.model import Entry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transport.md"
ENTRIES = 40
FASTER = 40
"""The uplink's seconds pass so many times as quickly."""
LONGEST_S = 20.0
LARGE, LARGE_BYTES = 7, 3_000
OVERSIZED = "entries-oversized"
BOTH = ("5", "3.1.1")


@dataclass(frozen=True)
class Row:
    """A behaviour, and what is to come of it.

    Attributes:
        does: What the broker does, for people.
        behaviour: The same for the stub.
        delivered: Whether all entries reach the centre and are settled; else none is settled.
        status: A warning in the status; empty for none.
        doctor: The name of what `kiosk doctor` says; empty if it finds the link good.
        spoken: The versions of MQTT in which it is tried.
        settle_on: As in `uplink.settle_on`.
        large: Whether one entry alone is more than its largest packet: that one waits, and is told.
    """

    does: str
    behaviour: Behaviour
    delivered: bool = True
    status: str = ""
    doctor: str = ""
    spoken: tuple[str, ...] = BOTH
    settle_on: str = "receipt"
    large: bool = False


def _announces(**values: int) -> Behaviour:
    return Behaviour(properties={getattr(stub, name): value for name, value in values.items()})


def _connack(code: int, doctor: str, does: str, spoken: tuple[str, ...] = BOTH) -> Row:
    return Row(does, Behaviour(connack=code), delivered=False, doctor=doctor, spoken=spoken)


def _puback(code: int, name: str, does: str, settle_on: str = "receipt") -> Row:
    return Row(
        does, Behaviour(pubacks={"entries": code}, hears=False), delivered=False, status=f"entries-{name}", doctor=name,
        spoken=("5",), settle_on=settle_on,
    )  # fmt: skip


ROWS = (
    Row("does all", Behaviour()),
    Row("does all, and its word settles", Behaviour(), settle_on="puback"),
    Row("speaks MQTT 3.1.1 alone, and says so", Behaviour(speaks=("3.1.1",)), spoken=("auto",)),
    Row("speaks MQTT 3.1.1 alone, and hangs up", Behaviour(speaks=("3.1.1",), otherwise=CLOSE), spoken=("auto",)),
    Row("speaks MQTT 3.1.1 alone, and is silent else", Behaviour(speaks=("3.1.1",), otherwise=SWALLOW), spoken=("auto",)),
    Row("speaks MQTT 5 alone", Behaviour(speaks=("5",), otherwise=CLOSE), spoken=("auto",)),
    Row("speaks another version", Behaviour(speaks=("5",)), delivered=False, doctor="protocol", spoken=("3.1.1",)),
    Row("keeps no retained messages, and says so", Behaviour(keeps=False), spoken=("5", "auto")),
    Row("keeps no retained messages, and hangs up", Behaviour(keeps=False, unkept=CLOSE), spoken=(*BOTH, "auto")),
    Row("announces that it keeps none", _announces(RETAIN_AVAILABLE=0), spoken=("5",)),
    Row("takes QoS 0 alone, and says so", Behaviour(most_qos=0, properties={stub.MAXIMUM_QOS: 0}), spoken=("5", "auto")),
    Row("takes wills of QoS 0 alone, and hangs up", Behaviour(most_qos=0), spoken=("3.1.1",)),
    Row(
        "takes QoS 0 alone, and its word should settle", Behaviour(most_qos=0, properties={stub.MAXIMUM_QOS: 0}, hears=False),
        delivered=False, status="entries-no-qos", doctor="no-qos", spoken=("5",), settle_on="puback",
    ),
    Row("announces a largest packet", _announces(MAXIMUM_PACKET_SIZE=2_000), spoken=("5",)),
    Row(
        "announces a largest packet, and enforces it",
        Behaviour(properties={stub.MAXIMUM_PACKET_SIZE: 1_500}, largest_bytes=1_500), spoken=("5",),
    ),
    Row("hangs up at a large packet", Behaviour(largest_bytes=1_500), settle_on="receipt"),
    Row("says that a packet is too large", Behaviour(largest_bytes=1_500, too_large=0x95), spoken=("5",)),
    Row("acknowledges and drops a large packet", Behaviour(largest_bytes=1_500, too_large=SWALLOW)),
    Row("hangs up at a large packet, and its word settles", Behaviour(largest_bytes=1_500), settle_on="puback"),
    Row(
        "announces a largest packet that one entry exceeds", Behaviour(properties={stub.MAXIMUM_PACKET_SIZE: 1_500}, largest_bytes=1_500),
        status=OVERSIZED, spoken=("5",), large=True,
    ),
    Row("hangs up at an entry that alone is too large", Behaviour(largest_bytes=1_500), status=OVERSIZED, large=True),
    Row(
        "hangs up at an entry that alone is too large, and its word settles", Behaviour(largest_bytes=1_500), status=OVERSIZED,
        settle_on="puback", large=True,
    ),
    Row(
        "says that an entry alone is too large", Behaviour(largest_bytes=1_500, too_large=0x95), status=OVERSIZED, spoken=("5",), large=True,
    ),
    Row("takes one message at a time", _announces(RECEIVE_MAXIMUM=1), spoken=("5",)),
    Row("tells how long to keep alive", _announces(SERVER_KEEP_ALIVE=5), spoken=("5",)),
    Row("takes no long keep alive, and refuses the client id", Behaviour(most_silent_s=10), spoken=("3.1.1",)),
    Row("ends sessions at once", _announces(SESSION_EXPIRY=0), spoken=("5",)),
    Row("takes no topic aliases", _announces(ALIAS_MAXIMUM=0), spoken=("5",)),
    Row("takes no wildcards and no shared subscriptions", _announces(WILDCARDS=0, SHARED_AVAILABLE=0), spoken=("5",)),
    Row("knows no subscription ids", _announces(IDS_AVAILABLE=0), spoken=("5",)),
    _connack(0x85, "client-id", "does not take the client id"),
    _connack(0x86, "password", "knows another password"),
    _connack(0x87, "not-allowed", "does not let this kiosk in"),
    _connack(0x88, "unavailable", "serves nobody now"),
    _connack(0x89, "busy", "is busy", ("5",)),
    _connack(0x8A, "banned", "has banned this kiosk", ("5",)),
    _connack(0x97, "quota", "has used up this kiosk's share", ("5",)),
    _connack(0x9D, "moved", "has moved", ("5",)),
    _connack(0x9F, "rate", "is called too often", ("5",)),
    _connack(0x80, "unspecified", "refuses without a reason", ("5",)),
    _connack(CLOSE, refusals.CLOSED, "hangs up before it answers"),
    _connack(SWALLOW, refusals.SILENT, "never answers"),
    Row("is busy for a while", Behaviour(connack=0x89, mends_after=2)),
    Row("hangs up for a while", Behaviour(connack=CLOSE, mends_after=4)),
    Row("refuses the subscription to receipts", Behaviour(subacks={"receipts": 0x87}), delivered=False, doctor="not-allowed", spoken=("5",)),
    Row(
        "refuses the subscription to receipts, and its word settles", Behaviour(subacks={"receipts": 0x87}),
        status="refused-receipts", doctor="not-allowed", spoken=("5",), settle_on="puback",
    ),
    Row("refuses the subscription to keys", Behaviour(subacks={"keys": 0x87}), status="refused-keys", doctor="not-allowed", spoken=("5",)),
    Row("refuses the subscription to keys", Behaviour(subacks={"keys": 0x80}), status="refused-keys", doctor="unspecified", spoken=("3.1.1",)),
    Row(
        "hangs up at the subscription to keys", Behaviour(subacks={"keys": CLOSE}), status="refused-keys", doctor=refusals.UNANSWERED,
        spoken=(*BOTH, "auto"),
    ),
    Row(
        "never answers the subscription to keys", Behaviour(subacks={"keys": SWALLOW}), status="refused-keys", doctor=refusals.UNANSWERED,
    ),
    Row("refuses the status", Behaviour(pubacks={"status": 0x87}), status="refused-status", doctor="not-allowed", spoken=("5",)),
    Row("swallows the status", Behaviour(pubacks={"status": SWALLOW})),
    Row("knows nobody who gets the status", Behaviour(pubacks={"status": 0x10}), spoken=("5",)),
    _puback(0x80, "unspecified", "refuses entries without a reason"),
    _puback(0x83, "own-rules", "refuses entries by rules of its own"),
    _puback(0x87, "not-allowed", "does not allow entries"),
    _puback(0x90, "topic", "takes no such topic"),
    _puback(0x97, "quota", "has no room left for entries"),
    _puback(0x99, "format", "takes no such content"),
    _puback(0x87, "not-allowed", "does not allow entries, and its word settles", "puback"),
    _puback(0x97, "quota", "has no room left for entries, and its word settles", "puback"),
    _puback(0x10, "nobody", "knows nobody who gets entries, and its word settles", "puback"),
    Row("knows nobody who gets entries", Behaviour(pubacks={"entries": 0x10}, hears=False), delivered=False, spoken=("5",)),
    Row("swallows entries", Behaviour(pubacks={"entries": SWALLOW}, hears=False), delivered=False),
    Row("swallows entries, and its word settles", Behaviour(pubacks={"entries": SWALLOW}, hears=False), delivered=False, settle_on="puback"),
    Row("hangs up at every entry", Behaviour(pubacks={"entries": CLOSE}), delivered=False, doctor=refusals.CLOSED),
    Row("is stopped in between", Behaviour(ends=0x8B, ends_after=1, mends_after=2), spoken=("5",)),
    Row("ends a connection after each message", Behaviour(ends=CLOSE, ends_after=1)),
    Row("throws out too quick a sender", Behaviour(ends=0x96, ends_after=1, mends_after=3), spoken=("5",)),
    Row("is ended by its operator", Behaviour(ends=0x98, ends_after=0, mends_after=2), spoken=("5",)),
    Row("sends nonsense", Behaviour(nonsense=b"\xf0\xff\xff\xff\xff\xff", mends_after=2)),
    Row("acknowledges twice", Behaviour(acks_twice=True)),
    Row("acknowledges what was not sent", Behaviour(acks_others=True)),
    Row("has nobody behind it", Behaviour(hears=False), delivered=False),
    Row("acknowledges by a number that there is not", Behaviour(pubacks={"entries": 0x92}, hears=False), delivered=False, doctor=refusals.UNREADABLE, spoken=("5",)),
)  # fmt: skip


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uplink's time, and nobody else's, passes more quickly."""
    hurried = SimpleNamespace(monotonic=lambda: time.monotonic() * FASTER, sleep=lambda s: time.sleep(s / FASTER))
    monkeypatch.setattr("kiosk.uplink.time", hurried)
    monkeypatch.setattr("kiosk.delivery.session.IDLE_S", 0.01)


def _named(row: Row, spoken: str) -> str:
    return f"{row.does}: {spoken}"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("row", "spoken"),
    [
        pytest.param(row, spoken, id=_named(row, spoken), marks=() if spoken == row.spoken[0] else pytest.mark.slow)
        for row in ROWS
        for spoken in row.spoken
    ],
)
def test_behaviour(
    row: Row, spoken: str, make_config: Callable[..., Config], make_entry: Callable[[int], Entry]
) -> None:
    """What can be delivered is, nothing else is settled; status and doctor say what is wrong, or nothing."""
    with StubBroker(row.behaviour) as broker:
        config = make_config(
            uplink={
                "brokers": [broker.url], "protocol": spoken, "receipt_timeout_s": 5.0, "backoff_max_s": 2.0,
                "settle_on": row.settle_on, "batch_entries": 20,
            },
            status={"every_s": 3.0},
        )  # fmt: skip
        with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
            for number in range(ENTRIES):
                entry = make_entry(number)
                box = Sealed("5be1c6f0a37d9248", "x25519", Random(number).randbytes(LARGE_BYTES))
                is_large = row.large and number == LARGE
                outbox.append(replace(entry, person=(), sealed=(box,)) if is_large else entry)
            uplink = Uplink(config, outbox, SystemClock(config.state.runtime_dir))
            try:
                _worked(uplink, outbox, broker, row)
                uplink._teller.tend_marks(float("inf"), None)
                warnings, found = _told(uplink, outbox), _doctor(config, f"broker {broker.url}")
                kept = _doctor(config, "outbox")
            finally:
                uplink.close()
            assert outbox.depth() == (0 if row.delivered else ENTRIES)
            assert [seq for seq, _ in outbox.oversized()] == [LARGE + 1] * row.large
            if row.large:
                assert str(refusals.oversized(outbox.oversized())) in kept.says
    if row.delivered:
        assert broker.count == ENTRIES - row.large
    assert warnings == ([row.status] if row.status else [])
    assert (kept.health is checkup.Health.OK) is not row.large
    if row.doctor:
        assert str(refusals.remedy_of(row.doctor)) in found.says
        assert found.health is not checkup.Health.OK
    assert "cable" not in found.says


def _worked(uplink: Uplink, outbox: Outbox, broker: StubBroker, row: Row) -> None:
    """Step until all is delivered and told, or it is clear that nothing will be."""
    began_s = time.monotonic()
    while time.monotonic() < began_s + LONGEST_S:
        uplink.step()
        complaints = uplink._complaints
        names = {complaints.link, complaints.entries, *complaints.topics.values()}
        is_told = (not row.doctor or row.doctor in names) and (not row.status or row.status in _told(uplink, outbox))
        if row.delivered and is_told and not outbox.depth() and not uplink.session._flights:
            return
        if not row.delivered and is_told and time.monotonic() > began_s + 0.2 and broker.connections:
            return
    pytest.fail(f"{outbox.depth()} wait, {broker.count} there, {uplink._complaints}, {broker.connections} connections")


def _told(uplink: Uplink, outbox: Outbox) -> list[str]:
    """The warnings that are about delivery."""
    return [*uplink._complaints.warnings, *[OVERSIZED] * bool(outbox.oversized())]


def _doctor(config: Config, part: str) -> checkup.Finding:
    return next(each for each in checkup.findings(config, Path("/nowhere")) if each.part == part)


def test_table_is_on_the_page() -> None:
    """docs/transport.md shows these rows and no others."""
    text = PAGE.read_text("utf-8")
    shown = text[text.index("| a broker that") :].partition("\n\n")[0].rstrip()
    assert shown == table()


def _entries(row: Row) -> str:
    if row.large:
        return "delivered but that one, which is kept"
    return "delivered" if row.delivered else "kept"


def table() -> str:
    """The rows for people, Markdown."""
    lines = ["| a broker that | over MQTT | entries | the status warns | `kiosk doctor` |", "|---|---|---|---|---|"]
    for row in ROWS:
        says = (
            str(refusals.cause_of(row.doctor))
            if row.doctor
            else "one is too large, and how large"
            if row.large
            else "—"
        )
        lines.append(
            f"| {row.does} | {', '.join(row.spoken)} | {_entries(row)} | "
            f"{f'`{row.status}`' if row.status else '—'} | {says} |"
        )
    return "\n".join(lines)
