"""Two stations of one name do not throw each other out by the second, and a network that flickers is met as before."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kiosk.delivery.rival import Rival
from kiosk.delivery.routes import (
    BRIEF_S,
    FIRST_PAUSE_S,
    FIRST_TAKEN_PAUSE_S,
    LONGEST_TAKEN_PAUSE_S,
    PEACE_S,
    Attempts,
    Failure,
    routes_of,
)
from kiosk.delivery.session import Connect, Publish, Rules, Session, State, Wait

ROUTES = routes_of(["mqtt://a", "mqtt://b"], "auto")


def _attempts(random: float = 0.999) -> Attempts:
    return Attempts(ROUTES, 8.0, lambda: random)


def test_whoever_is_thrown_out_waits_longer_each_time_and_stays_with_its_broker() -> None:
    """From some seconds to minutes, however well it was served in between; after an hour of peace from the beginning."""
    attempts, now_s, pauses = _attempts(), 0.0, []
    for _ in range(9):
        attempts.proven()
        attempts.failed(now_s, Failure.TAKEN_OVER)
        assert attempts.route == ROUTES[0]
        pauses.append(attempts.pause_until_s - now_s)
        now_s = attempts.pause_until_s + 20
    assert pauses[0] == pytest.approx(FIRST_TAKEN_PAUSE_S, rel=0.01)
    assert all(later == pytest.approx(2 * earlier) for earlier, later in pairwise(pauses[:4]))
    assert pauses[-1] == pytest.approx(LONGEST_TAKEN_PAUSE_S, rel=0.01)
    attempts.failed(now_s + PEACE_S, Failure.TAKEN_OVER)
    assert attempts.pause_until_s - now_s - PEACE_S == pytest.approx(FIRST_TAKEN_PAUSE_S, rel=0.01)


def test_two_of_a_name_meet_seldom() -> None:
    """Each comes back as soon as it may, for a day: they throw each other out every half minute at most, and neither is shut out."""
    clones = [_attempts(0.3), _attempts(0.8)]
    served_s, takeovers, now_s, holder = [0.0, 0.0], 0, 0.0, 0
    while now_s < 86_400:
        rival = 1 - holder
        then_s = max(now_s, clones[rival].pause_until_s)
        served_s[holder] += then_s - now_s
        clones[holder].proven()
        clones[holder].failed(then_s, Failure.TAKEN_OVER)
        now_s, holder, takeovers = then_s, rival, takeovers + 1
    assert takeovers < 86_400 / 30
    assert min(served_s) > 86_400 / 4


def test_brief_connections_are_tried_ever_more_seldom() -> None:
    """MQTT 3.1.1 says no reason: what ends within seconds has pauses that double, though entries came through."""
    attempts, pauses = _attempts(), []
    for number in range(8):
        attempts.proven()
        attempts.lost(100.0 * number, BRIEF_S / 5)
        pauses.append(attempts.pause_until_s - 100 * number)
    assert pauses[0] == pytest.approx(FIRST_PAUSE_S, rel=0.01)
    assert pauses[-1] == pytest.approx(8.0, rel=0.01)
    assert pauses == sorted(pauses)
    attempts.proven()
    attempts.lost(1000, BRIEF_S)
    assert attempts.pause_until_s - 1000 == pytest.approx(FIRST_PAUSE_S, rel=0.01)


def test_a_batch_that_was_under_way_says_nothing_of_its_size() -> None:
    """Whoever was thrown out in the middle of a batch sends the same batch again, not a smaller one."""
    session = Session(Rules(ROUTES, 4, 10, 5.0, 8.0), lambda: 0.0)
    assert isinstance(session.next(0, 0, 0), Connect)
    session.connected(0, 0, 100)
    session.published(1, 10, 0)
    session.failed(1, Failure.TAKEN_OVER)
    assert session.state is State.OFFLINE
    assert session.next(1, 0, 50) == Wait(FIRST_TAKEN_PAUSE_S / 2)
    assert isinstance(session.next(9, 0, 50), Connect)
    session.connected(9, 0, 100)
    assert session.next(9, 0, 50) == Publish(0, 10)


def _seen(ends: list[tuple[float, float, bool]], *, kept_out_at: int | None = None) -> list[bool]:
    """What a rival is taken for, of connections (let in, ended, idle)."""
    rival, answers = Rival(), []
    for number, (let_in_s, ended_s, idle) in enumerate(ends):
        if number == kept_out_at:
            rival.kept_out()
        rival.let_in(let_in_s)
        answers.append(rival.has_thrown_out(ended_s, idle=idle))
    return answers


TABLE = {
    "a fight": ([(20.0 * at, 20.0 * at + 8, True) for at in range(6)], None, [False] * 3 + [True] * 3),
    "each once an hour": ([(3600.0 * at, 3600.0 * at + 8, True) for at in range(6)], None, [False] * 6),
    "connections that stand long": ([(600.0 * at, 600.0 * at + 599, True) for at in range(6)], None, [False] * 6),
    "refused at once": ([(at, at + 0.2, True) for at in range(6)], None, [False] * 6),
    "batches that are too large": ([(20.0 * at, 20.0 * at + 8, False) for at in range(6)], None, [False] * 6),
    "a broker that goes down": ([(20.0 * at, 20.0 * at + 8, True) for at in range(6)], 3, [False] * 6),
    "a fight, then long stands in its hour": (
        [*((20.0 * at, 20.0 * at + 8, True) for at in range(4)), (200.0, 900.0, True)], None, [False] * 3 + [True] * 2,
    ),
    "a fight, then peace": (
        [*((20.0 * at, 20.0 * at + 8, True) for at in range(4)), (200.0, 9000.0, True)], None, [False] * 3 + [True, False],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("ends", "kept_out_at", "answers"), TABLE.values(), ids=TABLE)
def test_a_silent_broker_leaves_a_suspicion_only(
    ends: list[tuple[float, float, bool]], kept_out_at: int | None, answers: list[bool]
) -> None:
    """Many idle connections closed without a word within minutes and no door shut in between; nothing else is called a rival."""
    assert _seen(ends, kept_out_at=kept_out_at) == answers
