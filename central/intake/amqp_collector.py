"""The collector behind a RabbitMQ cluster: from a quorum queue into the ledger, receipts back to the kiosks over MQTT.

Kiosks publish to any node over MQTT; the plugin puts that on the exchange `amq.topic`, with `.` where the topic has `/`. A
binding there leads into one quorum queue, of which most of the nodes have a copy on disk before RabbitMQ confirms it.
Collectors consume that queue, each its part: gather → COMMIT → receipt → acknowledge, as with every broker. What a
collector that died had not acknowledged goes to another one. A receipt is published to the same exchange and so reaches
the kiosk's subscription; a lost one is made up for by the next, or by the kiosk sending again.

When a node dies, the next address is tried. One thread; pika runs none.

Units: `_s` seconds.
"""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pika
from pika.exceptions import AMQPError

from central.intake.collector import GC_THRESHOLD, password_of, tls_of
from central.intake.gathering import QUIET_S, Intake, Message, Pause
from kiosk import forms
from kiosk.delivery import wire
from kiosk.delivery.packing import MAX_BATCH_BYTES
from kiosk.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from central.intake.collector import Broker
    from central.ledgers.ledger import Ledger

_log = logging.getLogger(__name__)

EXCHANGE = "amq.topic"
QUEUE = "kiosk-entries"
CONNECT_S = 10.0
HEARTBEAT_S = 20
WAIT_S = 0.2
PREFETCH = 500
"""Messages that a collector may hold at once; the bound of its memory and of what another one gets when it dies."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    tag: int
    message: Message


class AmqpCollector:
    """One collector of several. One thread only."""

    def __init__(self, broker: Broker, ledger: Ledger) -> None:
        """Prepare it.

        Args:
            broker: Whose `url` may name several nodes, with commas between them.
            ledger: Where entries end.

        Raises:
            LinkError: An address is none.
        """
        self._broker = broker
        self._addresses = [_checked(url) for url in broker.url.split(",")]
        self._turn = 0
        self._intake = Intake(ledger)
        self._pause = Pause()
        self._gathered: list[_Delivery] = []
        self._cancelled = False

    def run(self, stop: Callable[[], bool]) -> None:
        """Collect until told to stop.

        Raises:
            LedgerError: The ledger failed; nothing that was not committed has been acknowledged.
            ConfigError: A certificate, a key or the password cannot be read.
        """
        gc.set_threshold(GC_THRESHOLD)
        while not stop():
            url = self._addresses[self._turn % len(self._addresses)]
            reason = self._collect(url, stop)
            if stop():
                break
            self._turn += 1
            self._pause.keep(_shown(url), reason, stop)

    def _collect(self, url: str, stop: Callable[[], bool]) -> str:
        """One connection, from its beginning to its end.

        Returns:
            Why it ended.
        """
        self._gathered.clear()
        self._cancelled = False
        try:
            connection = pika.BlockingConnection(self._parameters(url))
        except (OSError, AMQPError) as error:
            return _sentence(error)
        try:
            channel = self._subscribed(connection)
            self._pause.stood()
            _log.info("collecting broker=%s queue=%s", _shown(url), QUEUE)
            while not stop() and not self._cancelled and channel.is_open:
                connection.process_data_events(WAIT_S)
                if self._gathered:
                    self._gather(connection)
                    self._commit(channel)
        except (OSError, AMQPError) as error:
            return _sentence(error)
        finally:
            _close(connection)
        return "the queue or the channel went away"

    def _subscribed(self, connection: Any) -> Any:  # noqa: ANN401  pika has no types
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(QUEUE, EXCHANGE, _key(wire.entries_topic("*")))
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.add_on_cancel_callback(self._on_cancel)
        channel.basic_consume(QUEUE, self._on_message)
        return channel

    def _gather(self, connection: Any) -> None:  # noqa: ANN401  pika has no types
        """Wait for more that can share the commit, until nothing has come for a moment."""
        until_s = time.monotonic() + self._intake.gather_s
        before = 0
        while before < len(self._gathered) < PREFETCH and time.monotonic() < until_s:
            before = len(self._gathered)
            connection.process_data_events(QUIET_S)

    def _commit(self, channel: Any) -> None:  # noqa: ANN401  pika has no types
        deliveries, self._gathered = self._gathered, []
        for kiosk, receipt in self._intake.commit([delivery.message for delivery in deliveries]):
            channel.basic_publish(EXCHANGE, _key(wire.receipts_topic(kiosk)), receipt)
        channel.basic_ack(deliveries[-1].tag, multiple=True)

    def _on_message(self, _channel: object, method: Any, _properties: object, body: bytes) -> None:  # noqa: ANN401
        kiosk = method.routing_key.split(".")[1]
        self._gathered.append(
            _Delivery(method.delivery_tag, Message(kiosk, body[: MAX_BATCH_BYTES + 1]))
        )  # more is none

    def _on_cancel(self, _frame: object) -> None:
        self._cancelled = True

    def _parameters(self, url: str) -> Any:  # noqa: ANN401  pika has no types
        parts = urlsplit(url)
        encrypted = parts.scheme == "amqps"
        name, password = parts.username or "guest", parts.password or "guest"
        if self._broker.username is not None:
            name, password = self._broker.username, password_of(self._broker) or ""
        return pika.ConnectionParameters(
            host=parts.hostname,
            port=parts.port or (5671 if encrypted else 5672),
            virtual_host=parts.path.strip("/") or "/",
            credentials=pika.PlainCredentials(name, password),
            heartbeat=HEARTBEAT_S,
            socket_timeout=CONNECT_S,
            stack_timeout=2 * CONNECT_S,
            blocked_connection_timeout=3 * HEARTBEAT_S,
            ssl_options=_encryption(self._broker, parts.hostname) if encrypted else None,
        )


def _encryption(broker: Broker, host: str | None) -> Any:  # noqa: ANN401  pika has no types
    return pika.SSLOptions(tls_of(broker), host)


def _checked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    fault = forms.fault_of_place(_shown(rest).partition("/")[0], needs_port=False)
    if scheme not in {"amqp", "amqps"} or fault:
        said = f": {fault[0]}" if fault else ""
        raise LinkError(
            f"{_shown(url)!r} is no node's address{said}", hint="write amqp://host:5672, commas between several"
        )
    return url


def _shown(url: str) -> str:
    """The address without what lets one in."""
    return url.rpartition("@")[2]


def _key(topic: str) -> str:
    """A topic as a routing key: the MQTT plugin's other notation."""
    return topic.replace("/", ".")


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _close(connection: Any) -> None:  # noqa: ANN401  pika has no types
    """Let go of it, whatever state it is in."""
    try:
        if connection.is_open:
            connection.close()
    except (OSError, AMQPError) as error:
        _log.info("closed reason=%r", _sentence(error))
