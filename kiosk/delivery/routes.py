"""Where the uplink connects next, and when: brokers in order of preference, each with the protocols it may speak. No I/O, no clock.

A broker that cannot be reached is left for the next one; one that does not speak the protocol is tried with the next protocol, and one
that keeps no retained messages, whether it says so or hangs up, without asking it to. Pauses double, with jitter, up to a limit: a fleet that
lost its broker does not come back in one second.

A broker serves one connection of a name. Two stations with one card throw each other out, and would do so every second, because each is
served well in between. So a station that was thrown out waits for longer each time, until it was left in peace for `PEACE_S`; where the
broker does not say why (MQTT 3.1.1), connections that end within `BRIEF_S` have pauses that double, whatever was delivered in them.

Time is a parameter: seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIRST_PAUSE_S = 0.5
FIRST_TAKEN_PAUSE_S = 5.0
LONGEST_TAKEN_PAUSE_S = 60.0
PEACE_S = 3600.0
BRIEF_S = 10.0


class Failure(StrEnum):
    """Why a connection did not come about."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NOT_SPOKEN = "not-spoken"
    TAKEN_OVER = "taken-over"
    """It stood, and another connection under this station's name has taken its place."""
    NOT_KEPT = "not-kept"
    """It keeps no retained messages, takes none of QoS 1 or no such silence, and says so."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where to connect and how.

    Attributes:
        url: mqtt:// or mqtts:// address of the broker.
        protocol: "5" or "3.1.1".
        plain: Ask for nothing that a broker may lack: no retained messages, no last will of QoS 1, no long silence.
    """

    url: str
    protocol: str
    plain: bool = False


class Attempts:
    """One uplink's attempts at its routes.

    Attributes:
        pause_until_s: When the next one may begin.
    """

    def __init__(self, routes: Sequence[Route], longest_pause_s: float, random: Callable[[], float]) -> None:
        """Begin with the first route, at once.

        Args:
            routes: Tried in turn; at least one. Those of one broker stand together, the preferred protocol first, and once
                more behind all brokers as plain ones.
            longest_pause_s: Upper limit of the pause between attempts.
            random: Uniform in [0, 1), for the jitter.
        """
        self._routes = routes
        self._longest_pause_s = longest_pause_s
        self._random = random
        self._present = 0
        self._pause_s = FIRST_PAUSE_S
        self._taken_pause_s = FIRST_TAKEN_PAUSE_S
        self._taken_s = 0.0
        self._brief = 0
        self.pause_until_s = 0.0

    @property
    def route(self) -> Route:
        """Where the present or the next attempt goes."""
        return self._routes[self._present]

    def failed(self, now_s: float, why: Failure) -> None:
        """The connection did not come about, the broker refuses what it should carry, or has given its place away."""
        if why is Failure.TAKEN_OVER:
            self._taken_over(now_s)
            return
        following = (self._present + 1) % len(self._routes)
        if why is Failure.NOT_KEPT and not self.route.plain:
            following = self._routes.index(Route(self.route.url, self.route.protocol, plain=True))
        elif why is not Failure.NOT_SPOKEN:
            while following != self._present and self._routes[following].url == self.route.url:
                following = (following + 1) % len(self._routes)
            following = self._first_of(self._routes[following].url)
        self._leave(now_s, following)

    def lost(self, now_s: float, stood_s: float) -> None:
        """A connection that stood is gone: the same broker first, with the protocol it speaks best.

        Args:
            now_s: Now.
            stood_s: For how long it stood.
        """
        self._brief = self._brief + 1 if stood_s < BRIEF_S else 0
        doubled_s = FIRST_PAUSE_S * 2 ** min(max(0, self._brief - 1), 20)
        self._pause_s = max(self._pause_s, min(doubled_s, self._longest_pause_s))
        self._leave(now_s, self._first_of(self.route.url))

    def proven(self) -> None:
        """The far side answers: the next pause is the first one again."""
        self._pause_s = FIRST_PAUSE_S

    def _taken_over(self, now_s: float) -> None:
        if now_s - self._taken_s > PEACE_S:
            self._taken_pause_s = FIRST_TAKEN_PAUSE_S
        self._taken_s = now_s
        self.pause_until_s = now_s + self._taken_pause_s * (0.5 + 0.5 * self._random())
        self._taken_pause_s = min(2 * self._taken_pause_s, LONGEST_TAKEN_PAUSE_S)

    def _leave(self, now_s: float, following: int) -> None:
        self._present = following
        self.pause_until_s = now_s + self._pause_s * (0.5 + 0.5 * self._random())
        self._pause_s = min(2 * self._pause_s, self._longest_pause_s)

    def _first_of(self, url: str) -> int:
        return next(index for index, route in enumerate(self._routes) if route.url == url)


def routes_of(urls: Sequence[str], protocol: str) -> tuple[Route, ...]:
    """The routes to these brokers.

    Args:
        urls: Brokers in order of preference.
        protocol: "5", "3.1.1", or "auto" for the first and then the second.
    """
    protocols = ("5", "3.1.1") if protocol == "auto" else (protocol,)
    asking = [Route(url, each) for url in urls for each in protocols]
    return (*asking, *(Route(url, each, plain=True) for url in urls for each in reversed(protocols)))
