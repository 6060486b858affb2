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
    [1] MQTT 5.0, 3.2.2.3.3 (Receive Maximum), 3.4.2.1 (PUBACK reason codes of 0x80 and above are refusals), 3.14.2.1 (DISCONNECT 0x8E:
        another connection with this client id has begun).
    [2] eclipse-paho/paho.mqtt.python, client.py: `_check_keepalive`; `reconnect_on_failure` also switches off the silent
        downgrade to MQTT 3.1.
    [3] mosquitto.conf(5), max_keepalive: MQTT 3.1.1 cannot tell a client of it, so such a client is refused with "identifier rejected".
"""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import paho.mqtt.client
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from kiosk.delivery import refusals, wire
from kiosk.delivery.dial import HERE
from kiosk.delivery.link import Acknowledged, Closed, Event, Link, Opened, Ready, Received, Subscribed
from kiosk.delivery.pem import Files, context_of
from kiosk.delivery.rival import CLOSED, TAKEN_OVER
from kiosk.delivery.routes import Failure, Route, routes_of
from kiosk.delivery.session import OPEN_S
from kiosk.delivery.tls import judge_dates
from kiosk.disk.text import secret_in
from kiosk.errors import ConfigError, LinkError
from kiosk.language.message import Message, say

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.client import ConnectFlags, DisconnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from kiosk.config import Config
    from kiosk.delivery.dial import Connection

QOS = 1
RECEIPTS_QOS = 0
UNLIMITED = 65_535
PLAIN_KEEPALIVE_S = 10
"""What a broker must allow that is asked for nothing special; the least that mosquitto can be set to [3]."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PROTOCOLS = {"5": MQTTv5, "3.1.1": MQTTv311}
_TAKEN_OVER = 0x8E
_FAILURES = {0x84: Failure.NOT_SPOKEN, 0x9A: Failure.NOT_KEPT, 0x9B: Failure.NOT_KEPT}
_NOBODY_HEARS = 0x10
_CLIENT_ID = 0x85


class PahoLink:
    """A link over paho."""

    def __init__(self, config: Config, route: Route, last_will: bytes) -> None:
        """Begin to open it.

        Args:
            config: The station's settings.
            route: Where and how.
            last_will: What the broker says in the station's name when the connection is lost.

        Raises:
            ConfigError: A certificate, a key or the password cannot be read.
        """
        self._events: deque[Event] = deque()
        self._stood = False
        self._receive_maximum = UNLIMITED
        self._largest_bytes: int | None = None
        self._sent: dict[int, str] = {}
        self._sending = ""
        self._receipts_topic = wire.receipts_topic(config.kiosk.id)
        self._asked: dict[int | None, str] = {}
        self._others_qos = QOS if route.protocol == "5" else RECEIPTS_QOS  # RabbitMQ before 3.13 speaks 3.1.1 only
        self._protocol = route.protocol
        keepalive_s = max(1, config.uplink.keepalive_s * 3 // 4)
        self._keepalive_s = min(keepalive_s, PLAIN_KEEPALIVE_S) if route.plain else keepalive_s
        self._client = _client(config, route)
        self._needs_receipts = config.uplink.settle_on == "receipt"
        # Of MQTT 3.1.1 nobody is told which quality it takes: one that was only reached plainly may take none, and receipts need none.
        takes_less = route.plain and route.protocol != "5" and self._needs_receipts
        self._qos, self._retains = RECEIPTS_QOS if takes_less else QOS, not route.plain
        will_qos = RECEIPTS_QOS if route.plain else QOS
        self._client.will_set(wire.status_topic(config.kiosk.id), last_will, will_qos, retain=not route.plain)
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
            self._events.append(Closed(_sentence(error), Failure.UNREACHABLE, refusals.by_error(error)))

    def _loop(self, timeout_s: float) -> None:
        try:
            code = self._client.loop(timeout_s)
        except Exception as error:  # noqa: BLE001  whatever a broker sends: the uplink outlives it
            self._close_with(f"it sent what cannot be read ({type(error).__name__})", None, refusals.UNREADABLE)
        else:
            if code is MQTTErrorCode.MQTT_ERR_CONN_LOST:
                self._close_with(CLOSED)
            elif code is MQTTErrorCode.MQTT_ERR_PROTOCOL and not self._stood:  # so paho says it in MQTT 3.1.1
                self._close_with(refusals.said("protocol"), Failure.NOT_SPOKEN, "protocol")
            elif code is MQTTErrorCode.MQTT_ERR_PROTOCOL:
                self._close_with(refusals.said(refusals.UNREADABLE), None, refusals.UNREADABLE)
            elif code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._close_with(code.name.removeprefix("MQTT_ERR_").lower().replace("_", " "))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send with QoS 1, and retained, as far as the broker goes along."""
        self._sending = topic  # what goes with QoS 0 is told to be gone before it has returned
        mid = self._client.publish(topic, payload, self._qos, retain=retain and self._retains).mid
        if self._qos:
            self._sent[mid] = topic
        return mid

    def subscribe(self, topic: str) -> None:
        """Ask for one more topic."""
        self._asked[self._client.subscribe(topic, self._others_qos)[1]] = topic

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
            name, failure = refusals.by_code(reason.value), _FAILURES.get(reason.value, Failure.REFUSED)
            if reason.value == _CLIENT_ID and self._protocol != "5":  # so mosquitto refuses a long keep alive [3]
                failure = Failure.NOT_KEPT
            self._events.append(Closed(refusals.said(name), failure, name))
            return
        self._receive_maximum = int(getattr(properties, "ReceiveMaximum", UNLIMITED))
        self._largest_bytes = getattr(properties, "MaximumPacketSize", None)
        self._qos = min(self._qos, int(getattr(properties, "MaximumQoS", QOS)))
        self._retains = self._retains and bool(getattr(properties, "RetainAvailable", 1))
        self._client.subscribe(self._receipts_topic, RECEIPTS_QOS)

    def _on_subscribe(
        self, _client: Client, _user: object, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        topic = self._asked.pop(mid, self._receipts_topic)
        name = refusals.by_code(reasons[0].value) if reasons[0].is_failure else ""
        if name and self._needs_receipts and not self._stood:
            self._events.append(Closed(refusals.said(name, topic), Failure.REFUSED, name))
            return
        if not self._stood:
            self._stood = True
            self._events.append(Ready(self._receive_maximum, self._largest_bytes))
        self._events.append(Subscribed(topic, name))

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        self._events.append(Received(message.topic, bytes(message.payload)))

    def _on_publish(
        self, _client: Client, _user: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        topic = self._sent.pop(mid, self._sending)
        if reason.is_failure:
            name = refusals.by_code(reason.value)
            self._events.append(Acknowledged(mid, refusals.said(name, topic), False, name, topic))
            return
        name = "no-qos" if self._qos < QOS else "nobody" if reason.value == _NOBODY_HEARS else ""
        self._events.append(Acknowledged(mid, "", not name, name, topic))

    def _on_disconnect(
        self,
        _client: Client,
        _user: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            name = refusals.by_code(reason.value)
            if self._stood and reason.value == _TAKEN_OVER:
                self._close_with(TAKEN_OVER, Failure.TAKEN_OVER, name)
            else:
                self._close_with(refusals.said(name), None, name)

    def _close_with(self, reason: str, failure: Failure | None = None, name: str = refusals.CLOSED) -> None:
        """One end, for whichever cause is seen first; an end before the answer may mean an unknown protocol."""
        if not any(isinstance(event, Closed) for event in self._events):
            self._events.append(Closed(reason, failure or (None if self._stood else Failure.NOT_SPOKEN), name))


def open_link(config: Config, route: Route, last_will: bytes) -> Link:
    """A link by this route, subscribed to the receipts; it begins to be opened.

    Raises:
        ConfigError: A certificate, a key or the password cannot be read.
    """
    return PahoLink(config, route, last_will)


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
    name = refusals.SILENT
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
                        name = event.name
                        if event.failure is Failure.UNREACHABLE:
                            said = {"cause": refusals.cause_of(name), "detail": event.reason}
                            what = say("cannot connect to {url}: {cause} ({detail})", url=url, **said)
                            raise LinkError(what, hint=refusals.remedy_of(name))
                        deadline_s = 0.0
        finally:
            link.close()
    reason = say("{url} does not let this kiosk in: {reason}", url=url, reason=refusals.cause_of(name))
    raise LinkError(reason, hint=refusals.remedy_of(name))


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
