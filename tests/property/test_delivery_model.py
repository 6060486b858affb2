"""Any order of everything: people come, processes die, messages are lost, repeated and overtaken, files are replaced.

Hypothesis drives the real outbox, uplink, session, collector and ledger; only the network between them and the time are
stand-ins. After faults end, what the panel would have shown green for is in the ledger, once.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from pytest import MonkeyPatch  # noqa: PT013  the machine makes its own

from central.intake.collector import Broker, Collector
from central.ledgers.sqlite import SqliteLedger
from kiosk import uplink
from kiosk.clock import SystemClock, uuid7
from kiosk.config import Config
from kiosk.delivery import wire
from kiosk.delivery.link import Acknowledged, Closed, Event, Ready, Received, Subscribed
from kiosk.model import Direction, Entry
from kiosk.outbox import Outbox
from kiosk.uplink import Uplink

ROUNDS = 3000
Sizes = st.integers(0, 6)


@dataclass(frozen=True, slots=True)
class Message:
    """A PUBLISH at the broker."""

    topic: str
    payload: bytes
    mid: int
    qos: int = 1


class Network:
    """The broker, and the one link that the uplink has at a time. It is also the collector's client."""

    def __init__(self) -> None:
        self.queue: list[Message] = []
        self.receipts: list[bytes] = []
        self.pubacks: list[int] = []
        self.events: list[Event] = []
        self.while_polling: Callable[[], None] = lambda: None
        self._mid = 0

    def open_link(self, *_arguments: object) -> Network:
        """The broker accepts at once."""
        self.events = [Ready(3)]
        self.receipts.clear()
        self.pubacks.clear()
        return self

    def subscribe(self, topic: str) -> None:
        """Granted at once."""
        self.events.append(Subscribed(topic))

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened since."""
        assert timeout_s >= 0
        self.while_polling()
        events, self.events = self.events, []
        return events

    def publish(self, topic: str, payload: bytes, _qos: int = 1, *, retain: bool = False) -> int:
        """Entries go into the queue, receipts on their way back."""
        self._mid += 1
        if topic.endswith("/entries"):
            self.queue.append(Message(topic, payload, self._mid))
        elif topic.endswith("/receipts"):
            self.receipts.append(payload)
        if not topic.endswith("/receipts"):
            self.pubacks.append(self._mid)
        assert retain == topic.endswith("/status")
        return self._mid

    def ack(self, mid: int, _qos: int) -> None:
        """The collector has done with it."""
        self.queue = [message for message in self.queue if message.mid != mid]

    def close(self) -> None:
        """What was on its way to the kiosk is gone."""
        self.events = []
        self.receipts.clear()
        self.pubacks.clear()


class Delivery(RuleBasedStateMachine):
    """One kiosk and its centre."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # noqa: S108  a folder with a random name of our own in it
        self.folder = Path(tempfile.mkdtemp(prefix="kiosk-model-", dir=memory if memory.is_dir() else None))
        self.config = Config.model_validate(
            {
                "kiosk": {"id": "test-1", "site": "office-1"},
                "state": {"dir": str(self.folder / "state"), "runtime_dir": str(self.folder / "run")},
                "uplink": {"batch_entries": 3, "window_batches": 4, "receipt_timeout_s": 2.0, "backoff_max_s": 1.0},
                "status": {"every_s": 5.0},
            }
        )
        self.path = self.config.state.dir / "outbox.db"
        self.now_s = 1000.0
        self.network = Network()
        self.patch = MonkeyPatch()
        self.patch.setattr(uplink, "open_link", self.network.open_link)
        self.patch.setattr(uplink, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=lambda _seconds: None))
        self.ledger = SqliteLedger(self.folder / "ledger.db")
        self.collector = Collector(Broker("mqtt://127.0.0.1"), self.ledger)
        self.expected: set[UUID] = set()
        self.made = 0
        self.restored = False
        self.copied: set[UUID] | None = None
        self._boot()

    def _boot(self) -> None:
        self.scan = Outbox.open(self.path, self.config.outbox)
        self.reader = Outbox.open(self.path, self.config.outbox)
        self.uplink = Uplink(self.config, self.reader, SystemClock())

    @rule(count=st.integers(1, 5))
    def people_come(self, count: int) -> None:
        """They are shown green when their entry is on the disk."""
        for _ in range(count):
            self.made += 1
            now = SystemClock().now()
            person = (("number", f"{self.made:012d}"),)
            entry = Entry(uuid7(now.wall_ns), "test-1", "office-1", "main", Direction.IN, now, "cccd", (), person)
            self.scan.append(entry)
            self.expected.add(entry.id)

    @rule(steps=Sizes)
    def uplink_works(self, steps: int) -> None:
        """Some rounds of its loop."""
        for _ in range(steps):
            self.now_s += 0.3
            self.uplink.step()

    @rule()
    def file_is_replaced_while_the_uplink_waits(self) -> None:
        """The scan process finds damage in the very moment in which receipts come in."""
        self.network.events += [Received("", payload) for payload in self.network.receipts]
        self.network.while_polling = lambda: self.scan.set_aside("a test")
        self.uplink.step()
        self.network.while_polling = lambda: None

    @rule(order=st.randoms(use_true_random=False), count=Sizes, again=st.booleans())
    def collector_works(self, order: Any, count: int, again: bool) -> None:  # noqa: FBT001
        """Some messages, in any order; the broker may hand them out once more."""
        queue = self.network.queue
        order.shuffle(queue)
        self.collector._gathered = list(queue[:count])  # type: ignore[arg-type]  # they stand in for paho's
        self.collector._commit(self.network)  # type: ignore[arg-type]  # it stands in for paho's client
        if again:
            self.network.queue = queue

    @precondition(lambda self: not self.restored)
    @rule(order=st.randoms(use_true_random=False), count=Sizes)
    def broker_loses(self, order: Any, count: int) -> None:
        """Messages are gone, acknowledged or not."""
        order.shuffle(self.network.queue)
        del self.network.queue[:count]

    @rule(order=st.randoms(use_true_random=False), count=Sizes, lost=Sizes)
    def receipts_come(self, order: Any, count: int, lost: int) -> None:
        """Some, in any order, others never."""
        receipts = self.network.receipts
        order.shuffle(receipts)
        self.network.events += [Received("", payload) for payload in receipts[:count]]
        del receipts[: count + lost]

    @rule(count=Sizes)
    def pubacks_come(self, count: int) -> None:
        """The broker says that it has taken them."""
        self.network.events += [Acknowledged(mid, "") for mid in self.network.pubacks[:count]]
        del self.network.pubacks[:count]

    @rule()
    def link_is_lost(self) -> None:
        """The connection ends."""
        self.network.events.append(Closed("lost", None))

    @rule()
    def uplink_is_killed(self) -> None:
        """A new process starts with nothing in its memory."""
        self.network.close()
        self.reader.close()
        self.reader = Outbox.open(self.path, self.config.outbox)
        self.uplink = Uplink(self.config, self.reader, SystemClock())

    @rule()
    def scan_is_killed(self) -> None:
        """A new process goes on with the numbers."""
        self.scan.close()
        self.scan = Outbox.open(self.path, self.config.outbox)

    @rule(first=st.integers(1, 40), count=st.integers(1, 10))
    def range_is_asked_for_again(self, first: int, count: int) -> None:
        """Somebody wants settled entries to be sent once more."""
        self.scan.resend(first, first + count - 1)

    @rule(share=st.floats(0, 1))
    def power_cut_takes_settlements_back(self, share: float) -> None:
        """A settlement is not flushed: it may be gone after a power cut."""
        settled = int(self.scan.settled * share)
        self.scan._file.live().execute("UPDATE outbox SET settled = ?", (settled,))

    @rule()
    def file_is_replaced(self) -> None:
        """A damaged file is set aside, and what waits goes on in a new one."""
        self.scan.set_aside("a test")

    @rule()
    def card_is_copied(self) -> None:
        """A technician makes an image of the card."""
        self._power_off()
        shutil.copy(self.path, self.folder / "copy.db")
        self._boot()
        self.copied = {wire.decode_entry(body).id for _, body in self.scan.head(0, 10**9)}

    @precondition(lambda self: self.copied is not None)
    @rule()
    def card_is_restored(self) -> None:
        """The image is written back: what only the card had is gone with it, and its numbers are given out again."""
        assert self.copied is not None
        self._power_off()
        shutil.copy(self.folder / "copy.db", self.path)
        self._boot()
        self.restored = True
        delivered = {row.entry.id for row in self.ledger.entries()}
        in_copy = {wire.decode_entry(body).id for _, body in self.scan.head(0, 10**9)}
        self.expected &= delivered | in_copy

    def _power_off(self) -> None:
        self.network.close()
        self.reader.close()
        self.scan.close()

    def teardown(self) -> None:
        """Faults end; everything arrives; the ledger has each entry once."""
        try:
            self._drain()
            with closing(SqliteLedger(self.folder / "ledger.db")) as ledger:
                rows = [row.entry for row in ledger.entries()]
            missing = self.expected - {entry.id for entry in rows}
            assert not missing, f"{len(missing)} of {len(self.expected)} entries are lost"
            doubled = [
                number for number, count in Counter(dict(entry.person)["number"] for entry in rows).items() if count > 1
            ]
            assert not doubled, f"{len(doubled)} entries are doubled"
        finally:
            self._power_off()
            self.ledger.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    def _drain(self) -> None:
        for _ in range(ROUNDS):
            self.now_s += 0.3
            self.uplink.step()
            self.collector._gathered = list(self.network.queue)  # type: ignore[arg-type]  # as above
            if self.network.queue:
                self.collector._commit(self.network)  # type: ignore[arg-type]  # as above
            self.receipts_come_all()
            if self.scan.depth() == 0 and not self.network.queue and self.scan.wanted() is None:
                return
        raise AssertionError(f"{self.scan.depth()} entries wait for ever: {json.dumps(self.uplink.session.state)}")

    def receipts_come_all(self) -> None:
        """Nothing is held back."""
        self.network.events += [Received("", payload) for payload in self.network.receipts]
        self.network.events += [Acknowledged(mid, "") for mid in self.network.pubacks]
        self.network.receipts.clear()
        self.network.pubacks.clear()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def _exchange(world: Delivery, rounds: int = 12) -> None:
    """Everything works for a while."""
    for _ in range(rounds):
        world.uplink_works(1)
        world.collector._gathered = list(world.network.queue)  # type: ignore[arg-type]  # as above
        world.collector._commit(world.network)  # type: ignore[arg-type]  # as above
        world.receipts_come_all()


def test_receipt_of_a_replaced_file_settles_nothing_in_the_new_one() -> None:
    """The file is replaced between a receipt's coming and its settling: its numbers mean other entries now."""
    world = Delivery()
    world.people_come(5)
    _exchange(world)
    world.people_come(3)
    world.uplink_works(2)
    world.collector._gathered = list(world.network.queue)  # type: ignore[arg-type]  # as above
    world.collector._commit(world.network)  # type: ignore[arg-type]  # as above
    world.people_come(5)
    world.file_is_replaced_while_the_uplink_waits()
    world.teardown()


def test_restored_card_settles_only_what_it_sent() -> None:
    """The centre has the numbers of the card's former life; new entries under them are sent before they are settled."""
    world = Delivery()
    world.people_come(5)
    _exchange(world)
    world.card_is_copied()
    for _ in range(4):
        world.people_come(5)
    _exchange(world, 30)
    world.card_is_restored()
    for _ in range(5):
        world.people_come(5)
    _exchange(world, 4)
    world.network.queue.clear()
    world.teardown()
