"""The link to a broker, and the only file that knows paho.

One client a connection: a new attempt begins with nothing of the old one, so that paho's own resending cannot make
copies behind our back. `kiosk.delivery.dial` opens the connection, TLS included, on a thread of its own; `poll` gives it to paho once it
stands. paho runs no thread; everything else happens inside `poll`, and its callbacks only put events into a deque. A connection that is half open is noticed after one and a half times `uplink.keepalive_s`: the broker is told
three quarters of it, and paho gives up after two of those.

Receipts are subscribed to with QoS 0: the next one says all that a lost one said, and without a next one the entries are
sent again after `uplink.receipt_timeout_s`. A subscription with QoS 1 is, on a RabbitMQ cluster, a durable queue at home on
one node, and with that node's death the station could subscribe nowhere else (seen with RabbitMQ 3.10, docs/scaling.md).

Units: `_s` seconds.

Sources:
    [1] MQTT 5.0, 3.2.2.3.3 (Receive Maximum), 3.4.2.1 (PUBACK reason codes of 0x80 and above are refusals).
    [2] eclipse-paho/paho.mqtt.python, client.py: `_check_keepalive`; `reconnect_on_failure` also switches off the silent
        downgrade to MQTT 3.1.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import paho.mqtt.client
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from kiosk.delivery import wire
from kiosk.delivery.dial import HERE
from kiosk.delivery.pem import Files, context_of
from kiosk.delivery.routes import Failure, Route, routes_of
from kiosk.delivery.session import OPEN_S
from kiosk.delivery.tls import judge_dates
from kiosk.disk.text import secret_in
from kiosk.errors import ConfigError, LinkError
from kiosk.language.message import Message, say
from kiosk.log import line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from paho.mqtt.client import ConnectFlags, DisconnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from kiosk.config import Config
    from kiosk.delivery.dial import Connection

QOS = 1
RECEIPTS_QOS = 0
UNLIMITED = 65_535
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PROTOCOLS = {"5": MQTTv5, "3.1.1": MQTTv311}
_UNSUPPORTED_PROTOCOL = 132

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection stands; the broker has not said anything yet."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The broker has accepted the connection and the subscription.

    Attributes:
        receive_maximum: Unacknowledged PUBLISHes that it takes at a time.
    """

    receive_maximum: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message for this station."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A PUBLISH has been taken, or refused.

    Attributes:
        mid: Its message id.
        refusal: Why not, in the broker's words; empty if it was taken.
    """

    mid: int
    refusal: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over, or never came about.

    Attributes:
        reason: One sentence.
        failure: What kind of end; None for the end of a connection that stood.
    """

    reason: str
    failure: Failure | None


Event = Opened | Ready | Received | Acknowledged | Closed


class Link(Protocol):
    """One connection to one broker, from its beginning to its end. One thread at a time."""

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened, waiting for it no longer than this; `Closed` is the last event there is."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send with QoS 1.

        Returns:
            The message id, by which `Acknowledged` will name it.
        """

    def subscribe(self, topic: str) -> None:
        """Ask for one more topic; a refusal is a line in the log."""

    def close(self) -> None:
        """Say goodbye, so that the broker keeps the Last Will to itself; harmless when repeated."""


class PahoLink:
    """A link over paho."""

    def __init__(self, config: Config, route: Route, last_will: bytes, topics: Sequence[str] = ()) -> None:
        """Begin to open it.

        Args:
            config: The station's settings.
            route: Where and how.
            last_will: What the broker says in the station's name when the connection is lost.
            topics: Subscribed besides the receipts; a broker that refuses one of these is still delivered to.

        Raises:
            ConfigError: A certificate, a key or the password cannot be read.
        """
        self._events: deque[Event] = deque()
        self._stood = False
        self._receive_maximum = UNLIMITED
        self._topics = (wire.receipts_topic(config.kiosk.id), *topics)
        self._others_qos = QOS if route.protocol == "5" else RECEIPTS_QOS  # RabbitMQ before 3.13 speaks 3.1.1 only
        self._keepalive_s = max(1, config.uplink.keepalive_s * 3 // 4)
        self._client = _client(config, route)
        self._client.will_set(wire.status_topic(config.kiosk.id), last_will, QOS, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        parts = urlsplit(route.url)
        tls = _tls(config) if parts.scheme == "mqtts" else None
        self._connection: Connection | None = None
        self._opening = HERE.begin(parts.hostname or "", parts.port or _PORTS[parts.scheme], tls)

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened, waiting for it no longer than this."""
        if not self._events:
            if self._connection is None:
                self._open(timeout_s)
            else:
                self._loop(timeout_s)
        events = list(self._events)
        self._events.clear()
        return events

    def _open(self, timeout_s: float) -> None:
        try:
            connection = self._opening.poll(timeout_s)
            if connection is not None:
                self._connection = connection
                self._client.take(connection, self._keepalive_s)
                self._events.append(Opened())
        except (OSError, ValueError) as error:
            self._events.append(Closed(_sentence(error), Failure.UNREACHABLE))

    def _loop(self, timeout_s: float) -> None:
        try:
            code = self._client.loop(timeout_s)
        except Exception as error:  # noqa: BLE001  whatever a broker sends: the uplink outlives it
            self._close_with(f"it sent what cannot be read ({type(error).__name__})")
        else:
            if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._close_with(code.name.removeprefix("MQTT_ERR_").lower().replace("_", " "))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send with QoS 1."""
        return self._client.publish(topic, payload, QOS, retain=retain).mid

    def subscribe(self, topic: str) -> None:
        """Ask for one more topic."""
        self._client.subscribe(topic, self._others_qos)

    def close(self) -> None:
        """Say goodbye."""
        self._opening.give_up()
        if self._client.is_connected():
            self._client.disconnect()
            self._client.loop(0)
        if self._connection is not None:
            self._connection.socket.close()
            HERE.rate(self._connection, good=self._stood)
        # Without them nothing refers to the client in a circle, and its further sockets go with it.
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None
        self._client.on_publish = self._client.on_disconnect = None

    def _on_connect(
        self, _client: Client, _user: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            failure = Failure.NOT_SPOKEN if reason.value == _UNSUPPORTED_PROTOCOL else Failure.REFUSED
            self._events.append(Closed(f"refused: {reason}", failure))
            return
        self._receive_maximum = int(getattr(properties, "ReceiveMaximum", UNLIMITED))
        receipts, *others = self._topics
        self._client.subscribe([(receipts, RECEIPTS_QOS), *((topic, self._others_qos) for topic in others)])

    def _on_subscribe(
        self, _client: Client, _user: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if self._stood:
            if reasons[0].is_failure:
                _log.warning(line("subscription-refused", reason=reasons[0]))
            return
        if reasons[0].is_failure:
            self._events.append(Closed(f"subscription refused: {reasons[0]}", Failure.REFUSED))
            return
        for topic, reason in zip(self._topics, reasons, strict=False):
            if reason.is_failure:
                _log.warning(line("subscription-refused", topic=topic, reason=reason))
        self._stood = True
        self._events.append(Ready(self._receive_maximum))

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        self._events.append(Received(message.topic, bytes(message.payload)))

    def _on_publish(
        self, _client: Client, _user: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._events.append(Acknowledged(mid, str(reason) if reason.is_failure else ""))

    def _on_disconnect(
        self,
        _client: Client,
        _user: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._close_with(str(reason).lower())

    def _close_with(self, reason: str) -> None:
        """One end, for whichever cause is seen first; an end before the answer may mean an unknown protocol."""
        if not any(isinstance(event, Closed) for event in self._events):
            self._events.append(Closed(reason, None if self._stood else Failure.NOT_SPOKEN))


def open_link(config: Config, route: Route, last_will: bytes, topics: Sequence[str] = ()) -> Link:
    """A link by this route, subscribed to the receipts and to these topics; it begins to be opened.

    Raises:
        ConfigError: A certificate, a key or the password cannot be read.
    """
    return PahoLink(config, route, last_will, topics)


def probe(config: Config, url: str, timeout_s: float) -> Message:
    """Try one broker once, as a technician would.

    Args:
        config: The station's settings.
        url: The broker.
        timeout_s: Longest wait for its answer, from when the connection stands.

    Returns:
        What was found, in a few words.

    Raises:
        LinkError: It cannot be used.
    """
    reason: str = say("no answer")
    for route in routes_of([url], config.uplink.protocol):
        link = PahoLink(config, route, b"")
        deadline_s = time.monotonic() + OPEN_S  # it ends by itself, before that
        try:
            while time.monotonic() < deadline_s:
                for event in link.poll(0.2):
                    if isinstance(event, Opened):
                        deadline_s = time.monotonic() + timeout_s
                    if isinstance(event, Ready):
                        return say("speaks MQTT {protocol}", protocol=route.protocol)
                    if isinstance(event, Closed):
                        if event.failure is Failure.UNREACHABLE:
                            raise LinkError(say("cannot connect to {url}: {reason}", url=url, reason=event.reason))
                        reason = event.reason
                        deadline_s = 0.0
        finally:
            link.close()
    raise LinkError(say("{url} does not let this kiosk in: {reason}", url=url, reason=reason))


def _socketpair() -> tuple[socket.socket, socket.socket]:
    """What paho wakes its own loop with. Its own way is a listening port for a moment; a kiosk opens none, ever."""
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    return pair


paho.mqtt.client._socketpair_compat = _socketpair  # noqa: SLF001  there is no public way


class _Client(Client):
    """paho over a connection that stands already. Its own way looks names up, binds and waits, one address after the other."""

    _connection: Connection

    def take(self, connection: Connection, keepalive_s: int) -> None:
        """Say hello over it.

        Raises:
            OSError: It is over.
        """
        self._connection = connection
        self.connect(*connection.place, keepalive_s)

    def _create_socket(self) -> socket.socket:
        return self._connection.socket


def _client(config: Config, route: Route) -> _Client:
    settings = config.uplink
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"kiosk-{config.kiosk.id}",
        protocol=_PROTOCOLS[route.protocol],
        reconnect_on_failure=False,
    )
    client.max_inflight_messages = UNLIMITED  # the session keeps its own, smaller window
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(config))
    return client


def _password(config: Config) -> str | None:
    path = config.uplink.password_file
    if path is None:
        return None
    try:
        return secret_in(path)
    except OSError as error:
        raise ConfigError(
            f"uplink.password_file: {path}: {error.strerror}", hint="see that it exists and is readable"
        ) from error
    except ValueError as error:
        reason, _, remedy = str(error).partition("; ")
        raise ConfigError(f"uplink.password_file: {path}: {reason}", hint=remedy) from error


def _tls(config: Config) -> ssl.SSLContext:
    """Server name and certificate are always checked; nothing in the configuration switches that off.

    Dates are not, where that is wished for, while nobody has told the time: a station without a battery clock, whose network
    has no time server, would otherwise never come to the centre. Once the centre has told its time, they are judged by that.
    """
    tls = config.uplink.tls
    context = context_of(Files(tls.ca_file, tls.cert_file, tls.key_file, "uplink.tls.{}_file"), tls.least_version)
    judge_dates(context, config.state.runtime_dir, ignore_unknown=tls.while_clock_unset == "ignore-dates")
    return context


def _sentence(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
