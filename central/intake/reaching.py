"""How the centre reaches a broker, and why it did not, in words that say what to do: mostly it is a certificate, and then no cable helps.

Sources:
    [1] docs.openssl.org, X509_STORE_CTX_get_error: the numbers of what is wrong with a certificate.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, TextIO

from paho.mqtt.client import Client

from kiosk.delivery.dial import HERE
from kiosk.errors import LinkError

if TYPE_CHECKING:
    from paho.mqtt.enums import MQTTErrorCode

    from central.intake.collector import Broker
    from kiosk.delivery.dial import Connection

OPEN_S = 20.0
"""Longest time for a connection: looking the name up, TCP and TLS."""
PLACE_S = 5.0
"""Longest wait for a command that is at the broker with the same certificate: most are done sooner, a roll-out is not."""
_NAME_DIFFERS = frozenset({62, 64})
_NOT_ITS_TIME = frozenset({9, 10})


class ReachingClient(Client):
    """paho's client, by whichever of the broker's addresses is good: its own way is one after the other, `connect_timeout` for each."""

    _connection: Connection | None = None
    _place: TextIO | None = None

    def take_place(self, broker: Broker) -> None:
        """Have the certificate's place at the broker for this connection alone: the broker gives each one, and who comes second throws the first out.

        Raises:
            LinkError: Another command of this machine has it, and has not given it up within `PLACE_S`.
        """
        if broker.cert_file is None:
            return
        self._place = broker.cert_file.open()  # it was read a moment ago
        deadline_s = time.monotonic() + PLACE_S
        while not _is_locked(self._place):
            if time.monotonic() > deadline_s:
                self.leave_place()
                raise LinkError(
                    f"another command is at the broker with {broker.cert_file}, which has one place there", hint=_OWN
                )
            time.sleep(0.05)

    def leave_place(self) -> None:
        """Give it up."""
        if self._place is not None:
            self._place.close()
            self._place = None

    def disconnect(self, *args: Any, **named: Any) -> MQTTErrorCode:  # noqa: ANN401  as paho has them
        """Say goodbye, and give the certificate's place up."""
        self.leave_place()
        return super().disconnect(*args, **named)

    def rate(self, *, good: bool) -> None:
        """Remember for this process's next connection whether the address brought what was wanted of it."""
        if self._connection is not None:
            HERE.rate(self._connection, good=good)

    def _create_socket(self) -> socket.socket:
        tls = self._ssl_context if self._ssl else None
        self._connection = HERE.open(self.host, self.port, tls, longest_s=OPEN_S)
        return self._connection.socket


def _is_locked(file: TextIO) -> bool:
    """Whether it is this process's now; a file system that knows no locks keeps nobody out."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def not_connected(url: str, error: Exception) -> LinkError:
    """What to raise where no connection came about.

    Args:
        url: The broker's address.
        error: Why, as the library has it.
    """
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is not believed, {error.verify_message}"
    return LinkError(f"cannot connect to {url}: {reason}", hint=hint_for(error))


def hint_for(error: Exception) -> str:
    """The remedy."""
    match error:
        case ssl.SSLCertVerificationError() if error.verify_code in _NAME_DIFFERS:
            return "call the broker by a name that its certificate has, or make it another with `central ca server`"
        case ssl.SSLCertVerificationError() if error.verify_code in _NOT_ITS_TIME:
            return "look at this machine's clock; if that is right, make a new one with `central ca server`"
        case ssl.SSLCertVerificationError():
            return "name the authority that certified it with --ca-file; of a fleet's broker it is the fleet's ca.pem"
        case ssl.SSLError() if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
            return "see whether this port speaks TLS: mqtts:// does, mqtt:// does not"
        case ssl.SSLError() if "PROTOCOL" in (error.reason or ""):
            return "if the broker is old, --least-tls 1.2"
        case ssl.SSLError():
            return _SHOW
        case socket.gaierror():
            return "see that the broker's name is written right, and that this machine can look it up"
        case ConnectionRefusedError():
            return "see that the broker runs, and listens at this port"
    return "see that the broker's address is right, and that this machine has a way there: a cable, and a route past any firewall"


def not_served(broker: Broker, what: str, reason: str) -> LinkError:
    """What to raise where the broker ended a connection or refused what was asked.

    Args:
        broker: Which, and what it was shown.
        what: What it does not do, as in "does not tell".
        reason: What it said; a library's name of a lost connection is told in words.
    """
    is_lost = reason.startswith("MQTT_ERR_")
    said = "it ended the connection" if is_lost else reason
    return LinkError(
        f"{broker.url} {what}: {said}", hint=_SHOW if broker.cert_file is None and broker.username is None else _ALLOW
    )


_OWN = (
    "wait until it is done, or give this one a certificate of its own: `central ca client central-operator-2` (2 to 4 are in the broker's list of rights;"
    " collectors have theirs)"
)
_SHOW = "show it who you are: --cert-file and --key-file, as `central ca client` makes them, or --username"
_ALLOW = "see that the broker believes this certificate or user, and that its list of rights has this name"
