"""Ending the connection of a station whose certificate is revoked.

A broker looks at the list of revoked certificates when a connection begins; one that stands goes on, mosquitto's for as long as it
likes. But a client id belongs to one connection at a time, and the id is the name in the certificate (config/broker): whoever
comes with a certificate of that name throws the other one out. So the authority makes itself one that lasts for minutes, comes
as the station, and stays for a while. If it is thrown out in its turn, the station came back: the broker has not read the list.

Units: `_s` seconds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from central.fleet.authority import write_file
from central.intake.collector import check_url, tls_of
from central.intake.reaching import ReachingClient, not_connected
from kiosk.errors import LinkError

if TYPE_CHECKING:
    from central.fleet.authority import Authority
    from central.intake.collector import Broker

DAYS = 10 / 1440
"""Of the certificate: it never leaves this process and cannot be revoked."""
KEEPALIVE_S = 20
CONNECT_S = 10.0


def cut(broker: Broker, authority: Authority, kiosk: str, watch_s: float) -> bool:
    """Take the station's place at the broker, and stay there for a while.

    Args:
        broker: Where.
        authority: The fleet's.
        kiosk: Whose connection ends.
        watch_s: For how long.

    Returns:
        Whether the station stayed away.

    Raises:
        LinkError: The broker cannot be reached, or refuses the certificate of this authority.
        ConfigError: The authority's certificate cannot be read.
    """
    certificate, key = authority.issue_client(kiosk, days=DAYS)
    with TemporaryDirectory(prefix="kiosk-cut-") as folder:
        cert_file, key_file = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        write_file(cert_file, certificate, 0o600)
        write_file(key_file, key, 0o600)
        tls = tls_of(replace(broker, cert_file=cert_file, key_file=key_file))
    refused: list[str] = []
    client = ReachingClient(CallbackAPIVersion.VERSION2, kiosk, protocol=MQTTv311, reconnect_on_failure=False)
    client.tls_set_context(tls)

    def on_connect(_client: Client, _user: object, _flags: object, reason: Any, _properties: object) -> None:  # noqa: ANN401
        if reason.is_failure:
            refused.append(str(reason))

    client.on_connect = on_connect
    parts = urlsplit(check_url(broker.url))
    try:
        client.connect(parts.hostname or "", parts.port or 8883, KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise not_connected(broker.url, error) from error
    try:
        if not _loops(client, CONNECT_S, until_connected=True):
            reason = refused[0] if refused else "no answer, or the certificate was refused"
            hint = "see that the broker believes this fleet's ca.pem, and that this machine's clock is right"
            raise LinkError(f"{broker.url} does not let {kiosk} in: {reason}", hint=hint)
        return _loops(client, watch_s)
    finally:
        client.disconnect()
        client.loop(0)


def _loops(client: Client, seconds: float, *, until_connected: bool = False) -> bool:
    """Let paho work; False if the connection ended, or did not come about in time."""
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        if client.loop(0.1) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        if until_connected and client.is_connected():
            return True
    return not until_connected
