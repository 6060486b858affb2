"""Signed messages left at the broker for stations, retained: they get them whenever they come.

MQTT 3.1.1, which every broker speaks. A message counts as left when the broker has acknowledged it.

Units: `_s` seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paho.mqtt.client import MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from central.intake.collector import Broker, check_url, password_of, tls_of
from central.intake.reaching import ReachingClient, not_connected, not_served

if TYPE_CHECKING:
    from collections.abc import Iterable

QOS = 1
KEEPALIVE_S = 20
LONGEST_S = 30.0


def leave(broker: Broker, messages: Iterable[tuple[str, bytes]]) -> int:
    """Leave each message at its topic, in this order; an empty one takes away what was there.

    Args:
        broker: Where and as whom.
        messages: Topics and what is left at them.

    Returns:
        At how many.

    Raises:
        LinkError: The broker cannot be reached, refuses, or has not acknowledged all of them in time.
        ConfigError: A certificate, a key or the password cannot be read.
    """
    parts = urlsplit(check_url(broker.url))
    refusals: list[str] = []
    acknowledged: set[int] = set()
    client = ReachingClient(
        CallbackAPIVersion.VERSION2, broker.client_id, protocol=MQTTv311, reconnect_on_failure=False
    )
    if broker.username is not None:
        client.username_pw_set(broker.username, password_of(broker))
    if parts.scheme == "mqtts":
        client.tls_set_context(tls_of(broker))
        client.take_place(broker)
    client.on_connect = lambda _client, _user, _flags, reason, _properties: (
        refusals.append(str(reason)) if reason.is_failure else None
    )
    client.on_publish = lambda _client, _user, mid, _reason, _properties: acknowledged.add(mid)
    try:
        client.connect(parts.hostname or "", parts.port or (8883 if parts.scheme == "mqtts" else 1883), KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise not_connected(broker.url, error) from error
    deadline_s = time.monotonic() + LONGEST_S
    mids: set[int] | None = None
    while mids is None or mids - acknowledged:
        code = client.loop(0.1)
        if refusals or code is not MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > deadline_s:
            reason = refusals[0] if refusals else "no acknowledgement in time" if not code else code.name
            client.disconnect()
            client.loop(0)
            raise not_served(broker, f"did not take it from {broker.client_id}", reason)
        if mids is None and client.is_connected():
            mids = {client.publish(topic, payload, QOS, retain=True).mid for topic, payload in messages}
    client.disconnect()
    client.loop(0)
    return len(mids)
