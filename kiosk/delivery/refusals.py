"""Why a broker is not reached, or does not take what it should: what each reason means at a door, and what to do about it.

A broker says a reason's number (MQTT 5; of MQTT 3.1.1 the few that it has), the system an error, and TLS another one. Each becomes a
name here, which is what the marks of a process hold, and a name becomes two sentences. Whoever stands before the door reads the
second one; it names the cable only where no cable and no Wi-Fi carries anything.

Sources:
    [1] MQTT 5.0, 2.4 (reason codes); MQTT 3.1.1, 3.2.2.3, which paho turns into those of MQTT 5.
    [2] docs.openssl.org, X509_STORE_CTX_get_error: the numbers of what is wrong with a certificate.
"""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.delivery.rival import TAKEN_OVER
from kiosk.language.message import Message, joined, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLOSED = "closed"
"""It hung up before it answered."""
SILENT = "silent"
OTHER = "other"
UNANSWERED = "unanswered"
"""It answers what is asked about one topic by hanging up, or not at all."""
UNREADABLE = "unreadable"
PERHAPS_NO_CABLE = frozenset({"name", "timeout", "no-way"})
_FALLBACK = "refused"

_CODES = {
    0x80: "unspecified", 0x81: "malformed", 0x82: "malformed", 0x83: "own-rules", 0x84: "protocol", 0x85: "client-id",
    0x86: "password", 0x87: "not-allowed", 0x88: "unavailable", 0x89: "busy", 0x8A: "banned", 0x8B: "stopping",
    0x8C: "password", 0x8D: "keep-alive", 0x8E: "taken-over", 0x8F: "filter", 0x90: "topic", 0x91: "own-rules",
    0x93: "receive-maximum", 0x94: "alias", 0x95: "too-large", 0x96: "rate", 0x97: "quota", 0x98: "operator", 0x99: "format",
    0x9A: "retain", 0x9B: "qos", 0x9C: "moved", 0x9D: "moved", 0x9E: "filter", 0x9F: "rate", 0xA0: "rate", 0xA1: "filter",
    0xA2: "filter",
}  # fmt: skip
_VERIFY = {62: "tls-name", 64: "tls-name", 9: "tls-dates", 10: "tls-dates"}
_ERRNO = {
    errno.ECONNREFUSED: "port", errno.ETIMEDOUT: "timeout", errno.EHOSTUNREACH: "no-way", errno.ENETUNREACH: "no-way",
    errno.ENETDOWN: "no-way", errno.ECONNRESET: CLOSED, errno.EPIPE: CLOSED,
}  # fmt: skip

_SHOWN = say("see that the broker believes this kiosk's certificate or user, and that its lists have this kiosk's id")
_RIGHTS = say("give this kiosk its rights at the broker, as in config/broker/acl")
_LIMITS = say("raise that limit at the broker; entries wait here meanwhile")
_WAIT = say("nothing is to be done here: the kiosk tries again by itself; look at the broker if it lasts")
_WORDS: Mapping[str, tuple[Message, Message]] = {
    "unspecified": (say("the broker refuses without a reason"), say("look into the broker's log")),
    "malformed": (
        say("the broker does not understand what it gets"),
        say("see that it is an MQTT broker, and its version"),
    ),
    "own-rules": (say("the broker refuses by rules of its own"), say("look into the broker's log")),
    "protocol": (
        say("the broker does not speak this version of MQTT"),
        say("set `uplink.protocol` to auto, or to what the broker speaks"),
    ),
    "client-id": (
        say("the broker does not take this client id"),
        say("let the broker take ids that begin with kiosk-, and a keep alive as long as `uplink.keepalive_s`"),
    ),
    "password": (
        say("the broker knows no such user, or the password is another one"),
        say("compare `uplink.username` and `uplink.password_file` with the broker's"),
    ),
    "not-allowed": (say("the broker does not allow that to this kiosk"), _RIGHTS),
    "unavailable": (say("the broker is there, but serves nobody now"), _WAIT),
    "busy": (say("the broker is too busy"), _WAIT),
    "banned": (
        say("the broker has banned this kiosk"),
        say("ask whoever runs the broker, and why; its certificate may be revoked"),
    ),
    "stopping": (say("the broker is being stopped"), _WAIT),
    "keep-alive": (
        say("the broker missed this kiosk's signs of life"),
        say("look for a slow or broken way to the broker"),
    ),
    "taken-over": (TAKEN_OVER, say("set one of the two up again, see docs/replacing.md")),
    "filter": (
        say("the broker does not take such a subscription"),
        say("let it allow subscriptions without wildcards"),
    ),
    "topic": (say("the broker does not take such a topic"), say("let the broker take topics that begin with kiosks/")),
    "receive-maximum": (say("the broker got more at once than it takes"), _WAIT),
    "alias": (
        say("the broker complains of a topic alias, which this kiosk never uses"),
        say("look into the broker's log"),
    ),
    "too-large": (say("the broker takes no message of this size"), _LIMITS),
    "rate": (say("the broker finds that this kiosk comes or sends too often"), _LIMITS),
    "quota": (say("this kiosk's share at the broker is used up"), _LIMITS),
    "operator": (say("the broker's operator has ended the connection"), say("ask whoever runs the broker")),
    "format": (say("the broker takes no such content"), say("switch off that the broker looks into the messages")),
    "retain": (
        say("the broker keeps no retained messages"),
        say("let it keep them, or the centre hears no status of a silent kiosk"),
    ),
    "qos": (
        say("the broker takes no messages of QoS 1"),
        say("let it take them; by QoS 0 the centre's receipts alone settle"),
    ),
    "moved": (say("the broker has moved"), say("write its new address into `uplink.brokers`")),
    "nobody": (
        say("the broker takes the entries, but nobody is there who gets them"),
        say("see that whoever takes the entries is connected to the broker and has subscribed"),
    ),
    "no-qos": (
        say("the broker acknowledges nothing, so its word settles nothing"),
        say("let it take messages of QoS 1, or set `uplink.settle_on` to receipt"),
    ),
    "refused": (say("the broker refuses"), say("look into the broker's log")),
    UNANSWERED: (say("the broker answers that by hanging up, or not at all"), _RIGHTS),
    UNREADABLE: (
        say("the broker sends what cannot be read"),
        say("see that it is an MQTT broker, and its version"),
    ),
    "cable": (
        say("there is no network: no cable and no Wi-Fi carries anything"),
        say("check the network cable or Wi-Fi"),
    ),
    "name": (
        say("the broker's name is not known"),
        say("see that its name in `uplink.brokers` is written right, and that the network has a name server"),
    ),
    "port": (
        say("nobody listens at the broker's port"),
        say("see that the broker runs, and that the port in `uplink.brokers` is its own"),
    ),
    "timeout": (
        say("the broker does not answer"),
        say("see that its address in `uplink.brokers` is right, and that no firewall is in the way"),
    ),
    "no-way": (
        say("the network knows no way to the broker"),
        say("see that its address in `uplink.brokers` is right, and that the router has a way there"),
    ),
    CLOSED: (say("the broker hangs up before it answers"), _SHOWN),
    SILENT: (
        say("the broker does not answer"),
        say("see that this port is MQTT's, and whether TLS is spoken there: mqtts:// does, mqtt:// does not"),
    ),
    "tls-name": (
        say("the broker's certificate has another name"),
        say("write the broker's name into `uplink.brokers` as its certificate has it"),
    ),
    "tls-dates": (
        say("the broker's certificate is not valid at this kiosk's time"),
        say("look at the line of the clock; if it is right, the broker needs a new certificate"),
    ),
    "tls-authority": (
        say("the broker's certificate is of another authority"),
        say("see that `uplink.tls.ca_file` is the authority that certified the broker"),
    ),
    "tls-not-spoken": (
        say("this port does not speak TLS"),
        say("write the broker's port of TLS into `uplink.brokers`, or mqtt:// where there is none"),
    ),
    "tls-version": (
        say("the broker speaks no TLS that this kiosk takes"),
        say('renew the broker, or set `uplink.tls.least_version` to "1.2"'),
    ),
    "tls-shown": (say("the broker does not take this kiosk's certificate"), _SHOWN),
    OTHER: (say("the broker cannot be reached"), say("look at the lines above, and into the broker's log")),
}
NAMES = tuple(_WORDS)


def by_code(value: int) -> str:
    """The name of what a broker said by a number.

    Args:
        value: A reason code of MQTT 5, 0x80 or greater.
    """
    return _CODES.get(value, _FALLBACK)


def by_error(error: Exception, root: Path = Path("/")) -> str:
    """The name of what the system or TLS said when a connection did not come about.

    Args:
        error: It.
        root: Where /sys is.
    """
    match error:
        case ssl.SSLCertVerificationError():
            return _VERIFY.get(error.verify_code, "tls-authority")
        case ssl.SSLError():
            return _of_tls(error)
        case socket.gaierror():
            name = "name"
        case TimeoutError():
            name = "timeout"
        case OSError():
            name = _ERRNO.get(error.errno or 0, OTHER)
        case _:
            return OTHER
    return seen_from_here(name, root)


def oversized(waiting: Sequence[tuple[int, int]]) -> Message:
    """What to do for entries that the broker does not take.

    Args:
        waiting: Their numbers and the bytes of their messages.
    """
    return say(
        "{count} more are too large for the broker: let it take messages of {bytes} bytes, then they are sent by themselves",
        count=len(waiting),
        bytes=max(size_bytes for _, size_bytes in waiting),
    )


def seen_from_here(name: str, root: Path) -> str:
    """The name, or "cable" where nothing carries anything and that explains it.

    Args:
        name: Of the reason.
        root: Where /sys is.
    """
    return "cable" if name in PERHAPS_NO_CABLE and not _is_carried(root) else name


def _is_carried(root: Path) -> bool:
    """Whether a network interface has a carrier: a cable with somebody at its other end, or a Wi-Fi that was joined.

    Args:
        root: Where /sys is.
    """
    for interface in sorted((root / "sys/class/net").glob("*")):
        try:
            if interface.name != "lo" and (interface / "carrier").read_text("ascii").strip() == "1":
                return True
        except OSError:  # one that is down does not tell
            continue
    return False


def cause_of(name: str) -> Message:
    """What a name means, one sentence."""
    return _WORDS.get(name, _WORDS[OTHER])[0]


def remedy_of(name: str) -> Message:
    """What to do about it, one sentence."""
    return _WORDS.get(name, _WORDS[OTHER])[1]


def said(name: str, topic: str = "") -> Message:
    """Both, and where it is about one topic alone, which."""
    cause = cause_of(name) if not topic else say("{topic}: {cause}", topic=topic, cause=cause_of(name))
    return joined("; ", [cause, remedy_of(name)])


def _of_tls(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}:
        return "tls-not-spoken"
    if "PROTOCOL" in reason or "VERSION" in reason:
        return "tls-version"
    return "tls-shown" if "ALERT" in reason else CLOSED if "EOF" in reason else OTHER
