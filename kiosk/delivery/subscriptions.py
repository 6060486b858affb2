"""What is subscribed to beside the receipts, for lists and commands; entries are delivered without it, too.

Some brokers do not refuse a subscription that they do not allow: they hang up, or never answer. So each topic is asked for by itself once
the connection stands. Entries wait until all have been answered, for `ANSWER_S` at most, so that it is clear by what a connection has
ended; that topic is asked for again only after a while, which doubles.

Time is a parameter: seconds of a monotonic clock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.delivery import refusals
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kiosk.delivery.complaints import Complaints
    from kiosk.delivery.link import Link

_log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""So long may a broker think about them."""
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3600.0
"""How long a topic is left alone that was answered by hanging up, or not at all."""


@dataclass(frozen=True, slots=True)
class _PutOff:
    until_s: float
    wait_s: float


class Subscriptions:
    """One uplink's. One thread only."""

    def __init__(self, topics: Sequence[str], complaints: Complaints) -> None:
        self._topics = topics
        self._complaints = complaints
        self._asked: list[str] = []
        self._asked_s = 0.0
        self._put_off: dict[str, _PutOff] = {}

    def begin(self, link: Link, now_s: float) -> None:
        """A connection stands: ask for each topic."""
        self._asked.clear()
        for topic in self._topics:
            self.ask(link, topic, now_s)

    def ask(self, link: Link, topic: str, now_s: float) -> None:
        """Ask for a topic, unless it is to be left alone."""
        put_off = self._put_off.get(topic)
        if put_off is not None and now_s < put_off.until_s:
            self._complaints.topics[topic] = refusals.UNANSWERED
            return
        link.subscribe(topic)
        self._asked.append(topic)
        self._asked_s = now_s

    def is_awaited(self, now_s: float) -> bool:
        """Whether a topic that was asked for has yet to be answered, and may still be."""
        return bool(self._asked) and now_s < self._asked_s + ANSWER_S

    def answered(self, topic: str, name: str) -> None:
        """The broker has answered.

        Args:
            topic: What was asked for.
            name: What `kiosk.delivery.refusals` calls its refusal; empty if it has granted it.
        """
        self._asked = [each for each in self._asked if each != topic]
        self._put_off.pop(topic, None)
        self._complaints.topics.pop(topic, None)
        if name:
            _log.warning(line("subscription-refused", topic=topic, reason=name))
            self._complaints.topics[topic] = name

    def lost(self, now_s: float) -> None:
        """The connection is gone: by the first topic that was not answered, as far as anybody can tell."""
        if self.is_awaited(now_s):
            self._leave_alone(self._asked[0], now_s)
        self._asked.clear()

    def tend(self, link: Link, now_s: float) -> None:
        """Give up what is not answered; ask again for what has been left alone long enough."""
        if self._asked and not self.is_awaited(now_s):
            for topic in self._asked:
                self._leave_alone(topic, now_s)
            self._asked.clear()
        for topic, put_off in self._put_off.items():
            if not self._asked and topic in self._topics and now_s >= put_off.until_s:
                self.ask(link, topic, now_s)

    def _leave_alone(self, topic: str, now_s: float) -> None:
        before = self._put_off.get(topic)
        wait_s = FIRST_WAIT_S if before is None else min(2 * before.wait_s, LONGEST_WAIT_S)
        self._put_off[topic] = _PutOff(now_s + wait_s, wait_s)
        self._complaints.topics[topic] = refusals.UNANSWERED
        _log.warning(line("subscription-unanswered", topic=topic, again_s=wait_s))
