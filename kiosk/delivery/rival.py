"""Whether another machine comes to the broker under this station's name. No I/O, no clock.

A broker serves one connection of a name and ends the one before. In MQTT 5 it may say so (DISCONNECT 0x8E); mosquitto 2.0.11 does not, and
in MQTT 3.1.1 none can. Then it is only suspected: the broker has closed connections without a word, several within minutes, each after
it had stood for a while with nothing under way, and has let the station in again every time. What is refused for its size or its
topic ends a connection at once, or with something under way; a broker that goes down lets nobody in.

Time is a parameter: seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque

from kiosk.delivery.routes import PEACE_S
from kiosk.language.message import say

TAKEN_OVER = say("another station uses this identity: the broker gave its session to a connection of the same name")
SUSPECTED = say("another station seems to use this identity: the broker closes each connection without a reason")
CLOSED = say("the broker has closed the connection without a reason")

TIMES = 4
WITHIN_S = 600.0
STOOD_S = (2.0, 90.0)


class Rival:
    """What one uplink has seen of another."""

    def __init__(self) -> None:
        self._let_in_s = 0.0
        self._ends_s: deque[float] = deque(maxlen=TIMES)
        self._suspected_s: float | None = None

    def let_in(self, now_s: float) -> None:
        """The broker has accepted a connection."""
        self._let_in_s = now_s

    def kept_out(self) -> None:
        """It could not be reached, or has refused: what it ended before, it may have ended for the same reason."""
        self._ends_s.clear()

    def has_thrown_out(self, now_s: float, *, idle: bool) -> bool:
        """The broker has closed a connection that stood, without a word: whether that is taken for another machine's doing.

        Args:
            now_s: Now.
            idle: Whether nothing was under way.
        """
        least_s, most_s = STOOD_S
        if self._suspected_s is not None and now_s - self._suspected_s > PEACE_S:
            self._suspected_s = None
        if idle and (self._suspected_s is not None or least_s <= now_s - self._let_in_s <= most_s):
            self._ends_s.append(now_s)
            if self._suspected_s is not None or (len(self._ends_s) == TIMES and now_s - self._ends_s[0] <= WITHIN_S):
                self._suspected_s = now_s
                return True
        return False
