"""What is subscribed to beside the receipts keeps no entry from its way, however a broker answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kiosk.delivery.complaints import Complaints
from kiosk.delivery.link import Event
from kiosk.delivery.refusals import UNANSWERED
from kiosk.delivery.subscriptions import ANSWER_S, FIRST_WAIT_S, LONGEST_WAIT_S, Subscriptions

KEYS, TRUST = "kiosks/k/keys", "fleet/trust"


class _Link:
    """It remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def poll(self, timeout_s: float) -> list[Event]:
        raise NotImplementedError

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        raise NotImplementedError

    def subscribe(self, topic: str) -> None:
        self.asked.append(topic)

    def close(self) -> None:
        raise NotImplementedError


def _subscriptions(topics: Sequence[str] = (KEYS, TRUST)) -> tuple[Subscriptions, Complaints, _Link]:
    complaints = Complaints()
    return Subscriptions(topics, complaints), complaints, _Link()


def _began(subscriptions: Subscriptions, now_s: float) -> list[str]:
    """What a new connection asks for."""
    link = _Link()
    subscriptions.begin(link, now_s)
    return link.asked


def test_all_are_asked_for_at_once_and_waited_for() -> None:
    """Entries wait for the last answer, and no longer than a broker may think."""
    subscriptions, complaints, link = _subscriptions()
    assert not subscriptions.is_awaited(0.0)
    subscriptions.begin(link, 0.0)
    assert link.asked == [KEYS, TRUST]
    subscriptions.answered(KEYS, "")
    assert subscriptions.is_awaited(0.0)
    assert not subscriptions.is_awaited(ANSWER_S)
    subscriptions.answered(TRUST, "not-allowed")
    assert not subscriptions.is_awaited(0.0)
    assert complaints.topics == {TRUST: "not-allowed"}
    assert _began(subscriptions, 1.0) == [KEYS, TRUST]


@pytest.mark.parametrize("ended", [True, False], ids=["hung up", "silent"])
def test_topic_without_an_answer_is_left_alone_for_longer_each_time(ended: bool) -> None:  # noqa: FBT001  both are the same to it
    """It is told, the others are asked for, and it has its turn again after a minute, two, … and at last each hour."""
    subscriptions, complaints, link = _subscriptions()
    now_s, wait_s = 0.0, FIRST_WAIT_S
    subscriptions.begin(link, now_s)
    for _ in range(9):
        subscriptions.answered(TRUST, "")
        if ended:
            subscriptions.lost(now_s)
        else:
            now_s += ANSWER_S
            subscriptions.tend(link, now_s)
        complaints.topics.clear()
        assert _began(subscriptions, now_s + wait_s - 1) == [TRUST]
        assert complaints.topics == {KEYS: UNANSWERED}
        subscriptions.answered(TRUST, "")
        now_s += wait_s
        link.asked.clear()
        subscriptions.tend(link, now_s)
        subscriptions.tend(link, now_s)
        assert link.asked == [KEYS]
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
    subscriptions.answered(KEYS, "")
    assert not complaints.topics
    subscriptions.lost(now_s)
    assert _began(subscriptions, now_s) == [KEYS, TRUST]


def test_connection_ends_by_the_first_that_was_not_answered() -> None:
    """A broker answers in order: what comes behind is not to blame, and neither is anything once all is answered."""
    subscriptions, complaints, link = _subscriptions()
    subscriptions.begin(link, 0.0)
    subscriptions.answered(KEYS, "")
    subscriptions.lost(0.1)
    assert complaints.topics == {TRUST: UNANSWERED}
    complaints.topics.clear()
    assert _began(subscriptions, 1.0) == [KEYS]
    subscriptions.answered(KEYS, "")
    subscriptions.lost(1.1)
    assert _began(subscriptions, 2.0) == [KEYS]


def test_answer_that_comes_late_counts() -> None:
    """A broker that was only slow is complained of no more."""
    subscriptions, complaints, link = _subscriptions([KEYS])
    subscriptions.begin(link, 0.0)
    subscriptions.tend(link, ANSWER_S)
    assert complaints.topics == {KEYS: UNANSWERED}
    subscriptions.answered(KEYS, "")
    assert not complaints.topics
    assert _began(subscriptions, ANSWER_S) == [KEYS]


def test_further_topic_is_left_alone_too() -> None:
    """What a list leads to is asked for again when the list leads there again, and by nobody else."""
    subscriptions, complaints, link = _subscriptions([KEYS])
    subscriptions.ask(link, "fleet/trust/9f", 0.0)
    subscriptions.lost(0.0)
    subscriptions.tend(link, FIRST_WAIT_S)
    subscriptions.ask(link, "fleet/trust/9f", FIRST_WAIT_S - 1)
    assert link.asked == ["fleet/trust/9f"]
    subscriptions.ask(link, "fleet/trust/9f", FIRST_WAIT_S)
    assert link.asked == ["fleet/trust/9f"] * 2
    assert complaints.topics == {"fleet/trust/9f": UNANSWERED}
