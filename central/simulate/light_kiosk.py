"""Many kiosks in one process, without a door, a card or a session of their own: the load of `central simulate`.

A light kiosk makes invented entries at the times of its plan, sends what waits in batches (one entry, when nothing else
does), keeps everything until the centre's receipt, and sends it again after a lost connection or a long silence. So the
broker and the collector see what they see of real ones: the same topics, the same bytes, MQTT 5 with QoS 1. What is not
simulated: TLS, status messages, commands.

Each process is one asyncio loop around paho clients that run no thread.

Units: `_s` seconds.
"""

from __future__ import annotations

import asyncio
import socket
import time
from array import array
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from kiosk.delivery import packing, wire
from kiosk.errors import WireError
from kiosk.model import ClockQuality, Direction, Entry, Moment

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from paho.mqtt.client import ConnectFlags, DisconnectFlags, SocketLike
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

WINDOW = 4
BATCH = 200
KEEPALIVE_S = 60
TEND_S = 2.0
SILENCE_S = 30.0
"""Wait for a receipt until the first batch that has none is sent again; it doubles, as with a real one."""
MOST_PATIENCE = 16
AT_ONCE = 32
"""Connections that one process opens at the same time."""
CONNECT_S = 20.0
PAUSE_S = 2.0
CONNECT_ALL_S = 180.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does.

    Attributes:
        host: The broker's.
        port: The broker's.
        first: Number of its first kiosk.
        kiosks: How many it is.
        entries: Of each kiosk.
        seconds: Length of the peak.
        away_share: How many of them lose their connection in the peak and come back, 0 to 1.
        patience_s: Longest wait, after the peak, for the last receipt.
        seed: For the times and the names.
    """

    host: str
    port: int
    first: int
    kiosks: int
    entries: int
    seconds: float
    away_share: float
    patience_s: float
    seed: int


@dataclass
class Tally:
    """What one process saw.

    Attributes:
        sent: Entries made and sent at least once.
        receipted: Entries under a receipt.
        messages: PUBLISHes.
        again: Entries sent once more.
        losses: Connections lost, wanted or not.
        ids: Of every entry, 16 bytes each.
        streams: Kiosk, outbox and entries sent, of every kiosk.
        connect_s: Of every first connection.
        receipt_s: From sent to receipt, of every entry.
        first_s: When the first entry was sent, on the machine's monotonic clock.
        last_s: When the last receipt came.
    """

    sent: int = 0
    receipted: int = 0
    messages: int = 0
    again: int = 0
    losses: int = 0
    ids: bytearray = field(default_factory=bytearray)
    streams: list[tuple[str, UUID, int]] = field(default_factory=list)
    connect_s: array[float] = field(default_factory=lambda: array("d"))
    receipt_s: array[float] = field(default_factory=lambda: array("d"))
    first_s: float = 0.0
    last_s: float = 0.0


class LightKiosk:
    """One of them. Everything happens on its process's loop."""

    def __init__(self, plan: Plan, number: int, tally: Tally) -> None:
        self._plan = plan
        self._tally = tally
        self._random = Random(plan.seed << 32 | number)
        self._number = number
        self.name = f"sim-{number:05d}"
        self.outbox = UUID(int=self._random.getrandbits(128), version=4)
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._began_s = self._start_s = 0.0
        self._stands: asyncio.Event = asyncio.Event()
        self._kept: dict[int, bytes] = {}
        self._sent_s: dict[int, float] = {}
        self.made = self.settled = self._position = 0
        self._flights: deque[int] = deque()
        self._progress_s = 0.0
        self._window = self._patience = 1
        self._away = False

    def connect(self) -> None:
        """Begin; `stands` tells when the subscription is there."""
        self._stands.clear()
        client = Client(CallbackAPIVersion.VERSION2, self.name, protocol=MQTTv5, reconnect_on_failure=False)
        client.connect_timeout = CONNECT_S
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message, client.on_disconnect = self._on_message, self._on_disconnect
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        self._client = client
        self._began_s = time.monotonic()
        try:
            client.connect(self._plan.host, self._plan.port, KEEPALIVE_S)
        except OSError:
            self._lost()

    async def stands(self, timeout_s: float) -> bool:
        """Whether it is connected and subscribed, waiting for that no longer than this."""
        try:
            await asyncio.wait_for(self._stands.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def begin(self) -> None:
        """The peak begins: people come as in a Poisson process whose rate rises to the middle and falls again."""
        plan = self._plan
        self._start_s = self._loop.time()
        for due_s in sorted(self._random.triangular(0, plan.seconds, plan.seconds / 2) for _ in range(plan.entries)):
            self._loop.call_at(self._start_s + due_s, self._person_comes)
        if self._random.random() < plan.away_share:
            goes_s = self._random.uniform(0.1, 0.6) * plan.seconds
            self._loop.call_at(self._start_s + goes_s, self._go_away)
            self._loop.call_at(self._start_s + goes_s + self._random.uniform(0.05, 0.3) * plan.seconds, self._come_back)

    def tend(self) -> None:
        """Every few seconds: keepalive, and again what has had no receipt for long."""
        if self._client is not None:
            self._client.loop_misc()
        if self._flights and time.monotonic() - self._progress_s > SILENCE_S * self._patience:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
            self._rewind()
            self._send()

    def close(self) -> None:
        """Say goodbye."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()

    def _person_comes(self) -> None:
        self.made += 1
        now_ns = time.time_ns()
        id_ = UUID(int=now_ns // 1_000_000 << 80 | 7 << 76 | 2 << 62 | self._random.getrandbits(62))
        self._tally.ids += id_.bytes
        self._kept[self.made] = wire.encode_entry(self._entry(id_, now_ns))
        self._send()

    def _entry(self, id_: UUID, now_ns: int) -> Entry:
        at = Moment(now_ns, self.name, time.monotonic_ns(), ClockQuality.SYNCED)
        person = (("number", f"{self._random.randrange(10**12):012d}"), ("name", "Nguyễn Thị Thử"))
        return Entry(id_, self.name, "sim", "main", Direction.IN, at, "cccd", (), person)

    def _send(self) -> None:
        while self._client is not None and self._stands.is_set() and self._position < self.made:
            if len(self._flights) >= self._window:
                return
            first, last = self._position + 1, min(self._position + BATCH, self.made)
            rows = [(seq, self._kept[seq]) for seq in range(first, last + 1)]
            payload = packing.packed(wire.encode_batch(self.name, self.outbox, rows, self.settled + 1))
            self._client.publish(wire.entries_topic(self.name), payload, 1)
            now_s = time.monotonic()
            self._tally.messages += 1
            self._tally.first_s = self._tally.first_s or now_s
            for seq in range(first, last + 1):
                if seq in self._sent_s:
                    self._tally.again += 1
                else:
                    self._sent_s[seq] = now_s
                    self._tally.sent += 1
            if not self._flights:
                self._progress_s = now_s
            self._flights.append(last)
            self._position = last

    def _rewind(self) -> None:
        self._position = self.settled
        self._flights.clear()
        self._window = 1

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        try:
            receipt = wire.decode_receipt(bytes(message.payload))
        except WireError:
            return
        if receipt.outbox != self.outbox:
            return
        now_s = time.monotonic()
        for seq in range(self.settled + 1, min(receipt.through, self.made) + 1):
            self._tally.receipt_s.append(now_s - self._sent_s.pop(seq))
            self._tally.receipted += 1
            self._tally.last_s = now_s
            del self._kept[seq]
            self.settled = seq
        while self._flights and self._flights[0] <= self.settled:
            self._flights.popleft()
            self._progress_s = now_s
            self._window, self._patience = WINDOW, 1
        self._position = max(self._position, self.settled)
        self._send()

    def _go_away(self) -> None:
        """The network is gone, without a goodbye."""
        self._away = True
        transport = None if self._client is None else self._client.socket()
        if isinstance(transport, socket.socket):
            with suppress(OSError):  # the broker was first
                transport.shutdown(socket.SHUT_RDWR)

    def _come_back(self) -> None:
        self._away = False
        self.connect()

    def _lost(self) -> None:
        self._client = None
        self._stands.clear()
        self._rewind()
        if not self._away:
            self._loop.call_later(PAUSE_S * (0.5 + self._random.random()), self._again)

    def _again(self) -> None:
        if self._client is None and not self._away:
            self.connect()

    def _on_connect(
        self, client: Client, _user: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if not reason.is_failure:
            client.subscribe(wire.receipts_topic(self.name), 0)

    def _on_subscribe(
        self, client: Client, _user: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if client is not self._client or any(reason.is_failure for reason in reasons):
            return
        if not self._start_s:
            self._tally.connect_s.append(time.monotonic() - self._began_s)
        self._stands.set()
        self._send()

    def _on_disconnect(
        self,
        client: Client,
        _user: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is self._client:
            self._tally.losses += self._stands.is_set()
            self._lost()

    def _on_socket_open(self, client: Client, _user: object, transport: SocketLike) -> None:
        self._loop.add_reader(transport, client.loop_read)

    def _on_socket_close(self, _client: Client, _user: object, transport: SocketLike) -> None:
        self._loop.remove_reader(transport)
        self._loop.remove_writer(transport)

    def _on_register_write(self, client: Client, _user: object, transport: SocketLike) -> None:
        self._loop.add_writer(transport, client.loop_write)

    def _on_unregister_write(self, _client: Client, _user: object, transport: SocketLike) -> None:
        self._loop.remove_writer(transport)


def work(plan: Plan, parent: Connection) -> None:
    """One process: connect all, say how many, wait for the word, deliver, and say what was seen."""
    asyncio.run(_work(plan, parent))


async def _work(plan: Plan, parent: Connection) -> None:
    tally = Tally()
    kiosks = [LightKiosk(plan, number, tally) for number in range(plan.first, plan.first + plan.kiosks)]
    loop = asyncio.get_running_loop()
    tending = loop.create_task(_tend(kiosks))
    gate = asyncio.Semaphore(AT_ONCE)
    deadline_s = loop.time() + CONNECT_ALL_S

    async def connect(kiosk: LightKiosk) -> bool:
        async with gate:
            kiosk.connect()
            return await kiosk.stands(max(0.1, deadline_s - loop.time()))

    stand = sum(await asyncio.gather(*(connect(kiosk) for kiosk in kiosks)))
    parent.send(stand)
    if await loop.run_in_executor(None, parent.recv):
        for kiosk in kiosks:
            kiosk.begin()
        until_s = loop.time() + plan.seconds + plan.patience_s
        while loop.time() < until_s and any(kiosk.settled < plan.entries for kiosk in kiosks):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    tending.cancel()
    for kiosk in kiosks:
        tally.streams.append((kiosk.name, kiosk.outbox, kiosk.made))
        kiosk.close()
    await asyncio.sleep(0.2)
    parent.send(tally)
    parent.close()


async def _tend(kiosks: list[LightKiosk]) -> None:
    while True:
        await asyncio.sleep(TEND_S)
        for kiosk in kiosks:
            kiosk.tend()
