"""One connection to one broker, as the uplink sees it: what it can be asked for, and what it tells.

`kiosk.delivery.mqtt` makes them of paho; a test may make them of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kiosk.delivery.routes import Failure


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection stands; the broker has not said anything yet."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The broker has accepted the connection, and the subscription where receipts settle.

    Attributes:
        receive_maximum: Unacknowledged PUBLISHes that it takes at a time.
        largest_bytes: Its largest packet; None if it does not tell.
    """

    receive_maximum: int
    largest_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription has been granted, or refused.

    Attributes:
        topic: What was asked for.
        name: What `kiosk.delivery.refusals` calls the refusal; empty if it was granted.
    """

    topic: str
    name: str = ""


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
        heard: False if nobody got it, or nobody can tell: a broker that knows no subscriber, or that takes no QoS 1.
        name: What `kiosk.delivery.refusals` calls the refusal, or why nobody has heard it; empty if neither.
        topic: Where it went.
    """

    mid: int
    refusal: str
    heard: bool = True
    name: str = ""
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over, or never came about.

    Attributes:
        reason: One sentence.
        failure: What kind of end; None for the end of a connection that stood.
        name: What `kiosk.delivery.refusals` calls the reason; empty if it has no name.
    """

    reason: str
    failure: Failure | None
    name: str = ""


Event = Opened | Ready | Subscribed | Received | Acknowledged | Closed


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
        """Ask for one more topic; `Subscribed` will be the answer."""

    def close(self) -> None:
        """Say goodbye, so that the broker keeps the Last Will to itself; harmless when repeated."""
