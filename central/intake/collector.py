"""From the broker into the ledger: gather → COMMIT → receipt → acknowledge, in this order and no other.

A message is acknowledged to the broker, and its receipt sent to the kiosk, only after the ledger's commit. A collector
that is killed between two of the steps is handed the message again, or the kiosk sends it again; both are harmless.
What cannot be understood is set aside in the same transaction and stops nothing.

Several messages share a commit: whatever comes within `Intake.gather_s` without a pause of `QUIET_S`. paho runs no thread.

Units: `_s` seconds.
"""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from central.intake.gathering import QUIET_S, Intake, Message, Pause
from central.intake.reaching import ReachingClient, not_connected
from kiosk import forms
from kiosk.delivery import wire
from kiosk.delivery.pem import Files, context_of
from kiosk.disk.text import secret_in
from kiosk.errors import ConfigError, LinkError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from paho.mqtt.client import ConnectFlags
    from paho.mqtt.reasoncodes import ReasonCode

    from central.ledgers.ledger import Ledger

_log = logging.getLogger(__name__)

QOS = 1
RECEIPTS_QOS = 0
"""The next receipt says all that a lost one said, and a PUBACK for each would be half of what a collector has to read."""
CONNECT_S = 10.0
KEEPALIVE_S = 20
SESSION_S = 7 * 86_400
"""How long the broker keeps what comes while no collector is there; kiosks send it again in any case."""
GC_THRESHOLD = 50_000
"""Python's own 700 has the garbage collector run every dozen entries: a fifth of the whole time, for no garbage."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to collect and as whom.

    Attributes:
        url: mqtt:// or mqtts:// address.
        client_id: Name of the session at the broker; each collector has its own.
        kiosk: Collect of this station only; "+" for all.
        group: Share the work with the other collectors of this name, which nobody else may guess, and MQTT 5 alone can do; None to get everything.
        protocol: "5", "3.1.1", or "auto" for the first and then the second.
        username: None for none.
        password_file: None for none.
        ca_file: The authority that the broker must be certified by, PEM; None for the system's.
        cert_file: The collector's certificate, PEM; None for none.
        key_file: Its key, PEM.
        least_tls: Oldest TLS that is spoken, "1.3" or "1.2".
    """

    url: str
    client_id: str = "central-collector"
    kiosk: str = "+"
    group: str | None = None
    protocol: str = "auto"
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    least_tls: str = "1.3"


class Collector:
    """One collector. One thread only."""

    def __init__(self, broker: Broker, ledger: Ledger) -> None:
        self._broker = broker
        self._intake = Intake(ledger)
        self._client: Client | None = None
        self._subscribed = False
        self._protocol = MQTTv311 if broker.protocol == "3.1.1" else MQTTv5
        if broker.group is not None and self._protocol != MQTTv5:
            raise ConfigError("--group needs MQTT 5", hint="leave --protocol out, or let one collector get everything")
        self._pause = Pause()
        self._gathered: list[MQTTMessage] = []

    def run(self, stop: Callable[[], bool]) -> None:
        """Collect until told to stop.

        Raises:
            LedgerError: The ledger failed; nothing that was not committed has been acknowledged.
            ConfigError: A certificate, a key or the password cannot be read.
        """
        gc.set_threshold(GC_THRESHOLD)
        while not stop():
            reason = self._collect(stop)
            if stop():
                break
            self._pause.keep(self._broker.url, reason, stop)

    def _collect(self, stop: Callable[[], bool]) -> str:
        """One connection, from its beginning to its end.

        Returns:
            Why it ended.
        """
        self._gathered.clear()
        self._subscribed = False
        self._client = client = self._opened()
        parts = urlsplit(self._broker.url)
        port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        try:
            if self._broker.group is not None:
                # A session that outlived its collector would keep back what another of the group should get.
                client.connect(parts.hostname or "", port, KEEPALIVE_S, clean_start=True)
            elif self._protocol == MQTTv5:
                lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                lasting.SessionExpiryInterval = SESSION_S
                client.connect(parts.hostname or "", port, KEEPALIVE_S, clean_start=False, properties=lasting)
            else:
                client.connect(parts.hostname or "", port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            client.leave_place()
            return str(not_connected(self._broker.url, error))
        deadline_s = time.monotonic() + CONNECT_S
        reason = ""
        while not stop() and not reason:
            reason = self._loop(client, 0.1)
            if not reason and self._gathered:
                reason = self._gather(client)
                self._commit(client)
            if not reason and not self._subscribed and time.monotonic() > deadline_s:
                reason = f"no answer within {CONNECT_S:.0f} s"
        if (
            not self._subscribed and self._broker.protocol == "auto" and self._broker.group is None
        ):  # perhaps it speaks the older protocol only
            self._protocol = MQTTv311 if self._protocol == MQTTv5 else MQTTv5
        client.disconnect()
        self._loop(client, 0.0)
        client.rate(good=self._subscribed)
        client.on_connect = client.on_subscribe = client.on_message = (
            None  # nothing refers to it in a circle: it is freed
        )
        self._client = None
        return reason

    def _gather(self, client: Client) -> str:
        """Wait for more that can share the commit, until nothing has come for a moment."""
        now_s = time.monotonic()
        until_s = now_s + self._intake.gather_s
        reason = ""
        while not reason and now_s < until_s:
            before, before_s = len(self._gathered), now_s
            reason = self._loop(client, QUIET_S)  # one packet, which may be another than a message
            now_s = time.monotonic()
            if len(self._gathered) == before and now_s - before_s >= QUIET_S:
                break
        return reason

    def _commit(self, client: Client) -> None:
        messages, self._gathered = self._gathered, []
        receipts = self._intake.commit(
            [Message(message.topic.split("/")[1], bytes(message.payload)) for message in messages]
        )
        for kiosk, receipt in receipts:
            client.publish(wire.receipts_topic(kiosk), receipt, RECEIPTS_QOS)
        for message in messages:
            client.ack(message.mid, message.qos)

    def _loop(self, client: Client, timeout_s: float) -> str:
        """Let paho work; why the connection is over, or nothing if it is not."""
        try:
            code = client.loop(timeout_s)
        except Exception as error:  # noqa: BLE001  whatever a broker sends: the collector outlives it
            return f"it sent what cannot be read ({type(error).__name__})"
        return "" if code is MQTTErrorCode.MQTT_ERR_SUCCESS else code.name

    def _opened(self) -> ReachingClient:
        broker = self._broker
        client = ReachingClient(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=self._protocol,
            reconnect_on_failure=False,
            manual_ack=True,
            clean_session=None if self._protocol == MQTTv5 else False,
        )
        client.max_inflight_messages = 65_535
        if broker.username is not None:
            client.username_pw_set(broker.username, password_of(broker))
        if urlsplit(broker.url).scheme == "mqtts":
            client.tls_set_context(tls_of(broker))
            client.take_place(broker)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, client: Client, _user: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            _log.warning("refused broker=%s reason=%r", self._broker.url, str(reason))
            client.disconnect()
            return
        topic = wire.entries_topic(self._broker.kiosk)
        client.subscribe(topic if self._broker.group is None else f"$share/{self._broker.group}/{topic}", QOS)

    def _on_subscribe(
        self, client: Client, _user: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _log.warning("refused broker=%s reason=%r", self._broker.url, f"subscription: {reasons[0]}")
            client.disconnect()
            return
        self._subscribed = True
        self._pause.stood()
        version = "5" if self._protocol == MQTTv5 else "3.1.1"
        _log.info("collecting broker=%s protocol=%s kiosk=%s", self._broker.url, version, self._broker.kiosk)

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        self._gathered.append(message)


def check_url(url: str) -> str:
    """The address, if it is one.

    Raises:
        LinkError: It is not.
    """
    if fault := forms.fault_of_broker(url):
        raise LinkError(f"the broker's address {fault[0]}", hint=fault[1])
    return url


def password_of(broker: Broker) -> str | None:
    """What opens the door, if a password does.

    Raises:
        ConfigError: Its file cannot be read.
    """
    if broker.password_file is None:
        return None
    try:
        return secret_in(broker.password_file)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--password-file: {broker.password_file}: {getattr(error, 'strerror', None) or error}"
        ) from error


def tls_of(broker: Broker) -> ssl.SSLContext:
    """How the broker is checked, and what the collector shows of itself.

    Raises:
        ConfigError: A file cannot be used.
    """
    return context_of(Files(broker.ca_file, broker.cert_file, broker.key_file, "--{}-file"), broker.least_tls)
