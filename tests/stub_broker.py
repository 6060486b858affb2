"""A broker that misbehaves as it is told: raw MQTT over a real socket of the loopback, with a centre behind it that sends receipts.

What a real broker can be set to do is tried with real ones; this one also does what some broker somewhere does: hangs up, swallows,
refuses one topic, announces limits and enforces others, answers nonsense.

Sources:
    [1] MQTT 5.0 and MQTT 3.1.1: the packets.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from uuid import UUID

from kiosk.delivery import wire
from kiosk.delivery.poison import OVERSIZED, Poison
from kiosk.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
RECEIVE_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET_SIZE = 0x21, 0x24, 0x25, 0x27
SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEP_ALIVE, ALIAS_MAXIMUM = 0x11, 0x12, 0x13, 0x22
WILDCARDS, IDS_AVAILABLE, SHARED_AVAILABLE, REASON = 0x28, 0x29, 0x2A, 0x1F
_FORMS = {
    RECEIVE_MAXIMUM: ">H", MAXIMUM_QOS: ">B", RETAIN_AVAILABLE: ">B", MAXIMUM_PACKET_SIZE: ">I", SESSION_EXPIRY: ">I",
    SERVER_KEEP_ALIVE: ">H", ALIAS_MAXIMUM: ">H", WILDCARDS: ">B", IDS_AVAILABLE: ">B", SHARED_AVAILABLE: ">B",
}  # fmt: skip
CLOSE = -1
"""Instead of a reason code: hang up without a word."""
SWALLOW = -2
"""Instead of a reason code: say nothing at all."""


@dataclass(frozen=True)
class Behaviour:
    """How it differs from a broker that does everything.

    Attributes:
        speaks: Versions of MQTT; to others it answers as `otherwise` says.
        otherwise: A reason code, or CLOSE or SWALLOW.
        connack: A reason code for each CONNECT, or CLOSE or SWALLOW.
        properties: What it announces; only in MQTT 5.
        keeps: Whether it keeps retained messages; if not, each CONNECT or PUBLISH that asks for it meets `unkept`.
        unkept: A reason code, or CLOSE.
        most_qos: Of a will; a greater one meets 0x9B, or CLOSE in MQTT 3.1.1.
        most_silent_s: Of a keep alive, in MQTT 3.1.1; a longer one meets "identifier rejected".
        largest_bytes: Of a packet, enforced.
        too_large: A reason code of DISCONNECT, CLOSE, or SWALLOW: acknowledge and drop.
        subacks: Reason codes by the last word of the topic.
        pubacks: The same for PUBLISH, MQTT 5 only; CLOSE hangs up, SWALLOW takes it and says nothing.
        ends: DISCONNECT with this code, or CLOSE, after so many PUBLISHes of entries.
        ends_after: So many.
        hears: Whether a centre listens: entries are kept and receipts sent.
        nonsense: Bytes sent after the CONNACK.
        acks_twice: Each PUBACK comes twice.
        acks_others: A PUBACK for what was never sent comes before each.
        mends_after: Connections after which it behaves well.
    """

    speaks: tuple[str, ...] = ("5", "3.1.1")
    otherwise: int = 0x84
    connack: int = 0
    properties: Mapping[int, int] = field(default_factory=dict)
    keeps: bool = True
    unkept: int = 0x9A
    most_qos: int = 1
    most_silent_s: int = 65_535
    largest_bytes: int | None = None
    too_large: int = CLOSE
    subacks: Mapping[str, int] = field(default_factory=dict)
    pubacks: Mapping[str, int] = field(default_factory=dict)
    ends: int | None = None
    ends_after: int = 0
    hears: bool = True
    nonsense: bytes = b""
    acks_twice: bool = False
    acks_others: bool = False
    mends_after: int | None = None


WELL = Behaviour()


@dataclass
class _Peer:
    socket: socket.socket
    behaviour: Behaviour
    buffer: bytearray = field(default_factory=bytearray)
    version: str = ""
    kiosk: str = ""
    entries: int = 0
    hears_receipts: bool = False


class StubBroker:
    """Runs on a thread of its own between `with` and its end.

    Attributes:
        delivered: The numbers of the entries that reached the centre, by outbox.
        heard: The same numbers as they came, repeats among them.
        noticed: The numbers in whose place a notice has come, because the entry is too large.
        statuses: The status messages, in order.
        connections: How many CONNECTs came.
        largest: The largest PUBLISH that came, bytes.
        retained: How many messages asked to be kept.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.delivered: dict[UUID, set[int]] = {}
        self.heard: list[int] = []
        self.noticed: set[int] = set()
        self.statuses: list[dict[str, object]] = []
        self.connections = self.largest = self.retained = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        self._wake, self._woken = socket.socketpair()
        self._peers: dict[socket.socket, _Peer] = {}
        self._thread = threading.Thread(target=self._run, name="stub", daemon=True)

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread and every connection."""
        self._wake.send(b".")
        self._thread.join(10)
        assert not self._thread.is_alive()
        for end in (self._wake, self._woken, self._listener, *self._peers):
            end.close()

    @property
    def count(self) -> int:
        """How many entries reached the centre."""
        return sum(map(len, self.delivered.values()))

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(0.2):
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._listener:
                        peer, _ = self._listener.accept()
                        self._peers[peer] = _Peer(peer, self.behaviour)
                        selector.register(peer, selectors.EVENT_READ)
                        continue
                    assert isinstance(key.fileobj, socket.socket)
                    if not self._served(self._peers[key.fileobj]):
                        selector.unregister(key.fileobj)
                        del self._peers[key.fileobj]
                        key.fileobj.close()

    def _served(self, peer: _Peer) -> bool:
        """Read what has come and answer; False once the connection is over."""
        try:
            read = peer.socket.recv(1 << 16)
            peer.buffer += read
            return bool(read) and all(self._answered(peer, *packet) for packet in _packets(peer.buffer))
        except OSError:
            return False

    def _answered(self, peer: _Peer, kind: int, flags: int, body: bytes) -> bool:
        match kind:
            case 1:
                return self._connect(peer, body)
            case 3:
                return self._publish(peer, flags, body)
            case 8:
                return self._subscribe(peer, body)
            case 12:
                peer.socket.sendall(bytes((PINGRESP << 4, 0)))
                return True
            case _:
                return bool(kind == PUBACK)

    def _connect(self, peer: _Peer, body: bytes) -> bool:
        self.connections += 1
        wanted = self.behaviour
        peer.behaviour = WELL if wanted.mends_after is not None and self.connections > wanted.mends_after else wanted
        peer.version = {5: "5", 4: "3.1.1"}.get(body[6], "?")
        flags, is_5 = body[7], peer.version == "5"
        at = 10
        if is_5:
            at += 1 + body[10]
        size = struct.unpack_from(">H", body, at)[0]
        peer.kiosk = body[at + 2 : at + 2 + size].decode().removeprefix("kiosk-")
        behaviour = peer.behaviour
        code = behaviour.connack
        if peer.version not in behaviour.speaks:
            code = behaviour.otherwise
        elif not behaviour.keeps and flags & 0x20:
            code = behaviour.unkept if is_5 else CLOSE
        elif flags >> 3 & 3 > behaviour.most_qos:
            code = 0x9B if is_5 else CLOSE
        elif not is_5 and struct.unpack_from(">H", body, 8)[0] > behaviour.most_silent_s:
            code = 0x85
        if code in {CLOSE, SWALLOW}:
            return code == SWALLOW
        properties = b"".join(
            bytes((name,)) + struct.pack(_FORMS[name], value) for name, value in behaviour.properties.items()
        )
        reply = bytes((0, code if is_5 else _OLD.get(code, code))) + (_sized(properties) if is_5 else b"")
        peer.socket.sendall(bytes((CONNACK << 4,)) + _sized(reply) + behaviour.nonsense)
        return not code

    def _subscribe(self, peer: _Peer, body: bytes) -> bool:
        at = 2 + (1 + body[2] if peer.version == "5" else 0)
        codes = []
        while at < len(body):
            size = struct.unpack_from(">H", body, at)[0]
            topic, qos = body[at + 2 : at + 2 + size].decode(), body[at + 2 + size] & 3
            at += size + 3
            code = int(peer.behaviour.subacks.get(topic.rpartition("/")[2], qos))
            if code in {CLOSE, SWALLOW}:
                return code == SWALLOW
            codes.append(code if peer.version == "5" or code < 0x80 else 0x80)
            peer.hears_receipts = peer.hears_receipts or (topic.endswith("/receipts") and code < 0x80)
        reply = body[:2] + (b"\0" if peer.version == "5" else b"") + bytes(codes)
        peer.socket.sendall(bytes((SUBACK << 4,)) + _sized(reply))
        return True

    def _publish(self, peer: _Peer, flags: int, body: bytes) -> bool:
        behaviour, is_5 = peer.behaviour, peer.version == "5"
        size = struct.unpack_from(">H", body)[0]
        topic, at = body[2 : 2 + size].decode(), 2 + size
        qos, mid = flags >> 1 & 3, b""
        if qos:
            mid, at = body[at : at + 2], at + 2
        if is_5:
            at += 1 + body[at]
        payload, word = body[at:], topic.rpartition("/")[2]
        packet_bytes = len(body) + 1 + len(_sized(b"")) + (len(body) > 127) + (len(body) > 16383)
        self.largest = max(self.largest, packet_bytes)
        self.retained += flags & 1
        peer.entries += word == "entries"
        is_large = behaviour.largest_bytes is not None and packet_bytes > behaviour.largest_bytes
        code = behaviour.pubacks.get(word, 0)
        end = _end_of(peer, word, code, asks_to_keep=bool(flags & 1), is_large=is_large)
        if end is not None:
            return self._ended(peer, end)
        if word == "status":
            self.statuses.append(json.loads(payload))
        if qos and code != SWALLOW:
            _acknowledge(peer, mid, code)
        if word == "entries" and code < 0x80 and code != 0x10 and behaviour.hears and not is_large:
            self._heard(peer, payload)
        return True

    def _heard(self, peer: _Peer, payload: bytes) -> None:
        """The centre has a batch: keep it, and say how far everything has come."""
        try:
            batch = wire.decode_batch(payload)
        except WireError:
            return
        kept = self.delivered.setdefault(batch.outbox, set())
        numbers = [row[0] for row in batch.rows if isinstance(row, tuple)]
        self.heard += numbers
        kept.update(numbers)
        self.noticed.update(row.seq for row in batch.rows if isinstance(row, Poison) and row.reason == OVERSIZED)
        through = batch.oldest - 1
        while through + 1 in kept | self.noticed:
            through += 1
        if peer.hears_receipts:
            topic = wire.receipts_topic(batch.kiosk).encode()
            alone = tuple(batch.numbers) if len(batch.rows) == 1 else ()
            receipt = wire.encode_receipt(wire.Receipt(batch.outbox, through, 1_800_000_000_000_000_000, alone))
            properties = b"\0" if peer.version == "5" else b""
            body = struct.pack(">H", len(topic)) + topic + properties + receipt
            peer.socket.sendall(bytes((PUBLISH << 4,)) + _sized(body))

    def _ended(self, peer: _Peer, code: int) -> bool:
        if code != CLOSE and peer.version == "5":
            peer.socket.sendall(bytes((DISCONNECT << 4,)) + _sized(bytes((code, 0))))
        return False


def _end_of(peer: _Peer, word: str, code: int, *, asks_to_keep: bool, is_large: bool) -> int | None:
    """By what code a connection ends because of a message; None if it does not."""
    behaviour = peer.behaviour
    if asks_to_keep and not behaviour.keeps:
        return behaviour.unkept
    if is_large and behaviour.too_large != SWALLOW:
        return behaviour.too_large
    if code == CLOSE or (code >= 0x80 and peer.version != "5"):
        return CLOSE
    if word == "entries" and behaviour.ends is not None and peer.entries > behaviour.ends_after:
        return behaviour.ends
    return None


def _acknowledge(peer: _Peer, mid: bytes, code: int) -> None:
    ack = bytes((PUBACK << 4,)) + _sized(mid + (bytes((code,)) if peer.version == "5" and code else b""))
    other = bytes((PUBACK << 4,)) + _sized(bytes(((mid[0] + 100) % 256 or 1, mid[1])))
    peer.socket.sendall(other * peer.behaviour.acks_others + ack * (1 + peer.behaviour.acks_twice))


_OLD = {0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5, 0x80: 3, 0x89: 3, 0x8A: 5, 0x97: 3, 0x9C: 3, 0x9F: 3}


def _sized(body: bytes) -> bytes:
    """With its length in front, as the standard writes numbers."""
    size, head = len(body), bytearray()
    while True:
        size, part = divmod(size, 128)
        head.append(part | 128 * bool(size))
        if not size:
            return bytes(head) + body


def _packets(buffer: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Whole packets at the buffer's beginning, taken out of it: kind, flags, the rest."""
    while len(buffer) >= 2:
        size, shift, at = 0, 0, 1
        while at < len(buffer):
            size |= (buffer[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 128:
                break
        else:
            return
        if len(buffer) < at + size:
            return
        kind, flags, body = buffer[0] >> 4, buffer[0] & 15, bytes(buffer[at : at + size])
        del buffer[: at + size]
        yield kind, flags, body
