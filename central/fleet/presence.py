"""When each station was last heard, by what the centre has: the status that the broker keeps of it, and its newest entry.

A status says the station's state and, by its own clock, when it said so; the broker's word after a lost connection ("lost") has
no time. What comes from the broker may have been written by anyone who holds it: only known words and sane times are taken.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from central.intake.collector import check_url, password_of, tls_of
from central.intake.reaching import ReachingClient, not_connected, not_served
from kiosk.delivery import wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from paho.mqtt.client import MQTTMessage

    from central.fleet.registry import Station
    from central.intake.collector import Broker

QOS = 1
KEEPALIVE_S = 20
CONNECT_S = 10.0
LONGEST_S = 30.0
QUIET_S = 1.0
"""What a broker keeps comes at once; after so long nothing more of it does."""
LARGEST_BYTES = 1 << 16
MOST = 100_000
STATES = ("online", "connecting", "offline", "stopped", "lost")
UNTIMED = "unset"
"""A clock whose time says nothing."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What is known of a station's being there.

    Attributes:
        link: "online", "stopped" or "lost" and the like; empty if nothing is known.
        seen_s: When it was last heard; 0 if never.
    """

    link: str = ""
    seen_s: int = 0


def statuses(broker: Broker) -> dict[str, Presence]:
    """What the broker keeps of every station's status.

    Raises:
        LinkError: It cannot be reached, or refuses.
        ConfigError: A certificate, a key or the password cannot be read.
    """
    ear = _Ear(broker)
    deadline_s = time.monotonic() + LONGEST_S
    try:
        while not ear.quiet() and time.monotonic() < deadline_s:
            ear.listen()
    finally:
        ear.close()
    return ear.found


class _Ear:
    """One connection that hears the statuses. One thread only; paho runs none."""

    def __init__(self, broker: Broker) -> None:
        self.found: dict[str, Presence] = {}
        self._broker = broker
        self._reason = ""
        self._heard_s: float | None = None
        name = f"{broker.client_id}-{secrets.token_hex(4)}"
        self._client = ReachingClient(CallbackAPIVersion.VERSION2, name, protocol=MQTTv311, reconnect_on_failure=False)
        if broker.username is not None:
            self._client.username_pw_set(broker.username, password_of(broker))
        parts = urlsplit(check_url(broker.url))
        if parts.scheme == "mqtts":
            self._client.tls_set_context(tls_of(broker))
            self._client.take_place(broker)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        try:
            self._client.connect(parts.hostname or "", port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise not_connected(broker.url, error) from error
        self._deadline_s = time.monotonic() + CONNECT_S

    def quiet(self) -> bool:
        """Whether it subscribed, and nothing more has come for a while."""
        return self._heard_s is not None and time.monotonic() > self._heard_s + QUIET_S

    def listen(self) -> None:
        """For a moment.

        Raises:
            LinkError: The connection is over, or refused, or slow to begin.
        """
        code = self._client.loop(0.1)
        late = self._heard_s is None and time.monotonic() > self._deadline_s
        if self._reason or late or code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise not_served(self._broker, "does not tell", self._reason or ("no answer" if late else code.name))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop(0)

    def _on_connect(self, client: Client, _user: object, _flags: object, reason: Any, _properties: object) -> None:  # noqa: ANN401
        if reason.is_failure:
            self._reason = str(reason)
        else:
            client.subscribe(wire.status_topic("+"), QOS)

    def _on_subscribe(self, _client: Client, _user: object, _mid: int, reasons: Any, _properties: object) -> None:  # noqa: ANN401
        if any(reason.is_failure for reason in reasons):
            self._reason = f"subscription: {reasons[0]}"
        self._heard_s = time.monotonic()

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        kiosk = message.topic.split("/")[1]
        if len(message.payload) <= LARGEST_BYTES and (kiosk in self.found or len(self.found) < MOST):
            self.found[kiosk] = presence_of(bytes(message.payload), time.time())
        self._heard_s = time.monotonic()


def presence_of(status: bytes, now_s: float) -> Presence:
    """What a status message says, as far as it can be believed.

    Args:
        status: The message.
        now_s: Now; what says that it is from later counts as now.
    """
    try:
        read = json.loads(status)
    except (ValueError, RecursionError):
        return Presence()
    if not isinstance(read, dict):
        return Presence()
    link = read.get("state")
    at = read.get("at")
    wall_ns = at.get("wall_ns") if isinstance(at, dict) and at.get("clock") != UNTIMED else None
    seen_s = wall_ns // 1_000_000_000 if type(wall_ns) is int and wall_ns > 0 else 0
    return Presence(link if link in STATES else "", min(seen_s, int(now_s)))


def joined(
    stations: Iterable[Station], told: Mapping[str, Presence], received_ns: Mapping[str, int]
) -> list[tuple[Station, Presence]]:
    """Each station with its presence, whoever has been silent for longest first.

    Args:
        stations: Of the registry.
        told: By the broker.
        received_ns: When the ledger got its newest entry.
    """
    both = []
    for station in stations:
        presence = told.get(station.kiosk, Presence())
        newest_s = received_ns.get(station.kiosk, 0) // 1_000_000_000
        both.append((station, Presence(presence.link, max(presence.seen_s, newest_s))))
    return sorted(both, key=lambda pair: (pair[1].seen_s, pair[0].kiosk))
