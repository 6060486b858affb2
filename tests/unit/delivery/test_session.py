"""The uplink's automaton: connects, sends within its window, believes receipts, and comes back from every loss."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.delivery.routes import FIRST_PAUSE_S, Failure, Route, routes_of
from kiosk.delivery.session import CONNECT_S, OPEN_S, Connect, Drop, Publish, Rules, Session, State, Wait

ROUTES = routes_of(["mqtt://a", "mqtt://b"], "auto")


def _session(**changes: object) -> Session:
    values: dict[str, object] = {
        "routes": ROUTES, "window": 4, "batch": 10, "receipt_timeout_s": 5.0, "longest_pause_s": 8.0,
    }  # fmt: skip
    return Session(Rules(**(values | changes)), random=lambda: 0.999)  # type: ignore[arg-type]


def _online(settled: int = 0, receive_maximum: int = 100, **changes: object) -> Session:
    session = _session(**changes)
    assert isinstance(session.next(0, settled, 0), Connect)
    session.connected(0, settled, receive_maximum)
    return session


def _send(session: Session, settled: int, last_seq: int, now_s: float = 0, mid: int = 1) -> list[int]:
    """Publish until the session wants to wait; the last numbers of the batches."""
    through = []
    for number in range(1000):
        match session.next(now_s, settled, last_seq):
            case Publish(after_seq, limit):
                through.append(min(last_seq, after_seq + limit))
                session.published(mid + number, through[-1], now_s)
            case _:
                return through
    pytest.fail("sends without an end")


def test_protocols_are_tried_in_order() -> None:
    """`auto` is MQTT 5, then 3.1.1, broker by broker; only then the same without asking for what a broker may lack."""
    assert (
        Route("mqtt://a", "5"), Route("mqtt://a", "3.1.1"), Route("mqtt://b", "5"), Route("mqtt://b", "3.1.1"),
        Route("mqtt://a", "3.1.1", plain=True), Route("mqtt://a", "5", plain=True),
        Route("mqtt://b", "3.1.1", plain=True), Route("mqtt://b", "5", plain=True),
    ) == ROUTES  # fmt: skip
    assert routes_of(["mqtt://a"], "5") == (Route("mqtt://a", "5"), Route("mqtt://a", "5", plain=True))


def test_first_batch_proves_the_far_side_before_the_window_opens() -> None:
    """One batch at first; after its receipt as many as the window allows."""
    session = _online()
    assert _send(session, 0, 100) == [10]
    session.receipt(10, 0)
    assert _send(session, 10, 100) == [20, 30, 40, 50]


def test_receipt_that_is_ahead_settles_only_what_was_sent() -> None:
    """If the centre has more than was sent from here, a restored card may have given its numbers to others: all are sent."""
    session = _online(settled=5)
    assert _send(session, 5, 100) == [15]
    assert session.receipt(60, 0) == 15
    assert _send(session, 15, 100) == [25, 35, 45, 55]
    assert session.receipt(60, 0) == 55
    session.renumbered(0, 0)
    assert session.receipt(60, 0) == 0


def test_receipt_that_overtakes_a_rewind_saves_sending_again() -> None:
    """What was sent before the patience ended counts when its receipt comes late."""
    session = _online()
    assert _send(session, 0, 10) == [10]
    assert _send(session, 0, 10, now_s=6) == [5]
    session.receipt(10, 6)
    assert _send(session, 10, 50, now_s=6) == [15, 20, 25, 30]
    session.rewind(7, 10)
    assert session.receipt(30, 7) == 30
    assert _send(session, 30, 50, now_s=7) == [35, 40, 45, 50]


def test_window_is_kept_below_the_brokers_receive_maximum() -> None:
    """Neither batches without a receipt nor PUBLISHes without a PUBACK exceed what the broker takes."""
    session = _online(receive_maximum=2)
    assert _send(session, 0, 100) == [10]
    session.receipt(10, 0)
    assert _send(session, 10, 100, mid=50) == [20]  # the first PUBLISH is not acknowledged yet
    session.acknowledged(1, 0)
    assert _send(session, 10, 100, mid=60) == [30]


def test_silence_sends_one_batch_again_with_growing_patience() -> None:
    """Without receipts the first unsettled batch alone is repeated, ever more rarely."""
    session = _online()
    sent_at = [0.0]
    _send(session, 0, 100)
    now_s = 0.0
    while len(sent_at) < 4:
        now_s += 1
        if _send(session, 0, 100, now_s, mid=int(now_s) * 10):
            sent_at.append(now_s)
    assert [later - earlier for earlier, later in pairwise(sent_at)] == [5, 10, 20]
    session.receipt(10, now_s)
    assert len(_send(session, 10, 100, now_s, mid=5000)) == 4


def test_puback_settles_where_there_is_no_centre() -> None:
    """Acknowledged batches settle in order, up to the first that is not."""
    session = _online(by_receipt=False)
    assert _send(session, 0, 100) == [10, 20, 30, 40]
    assert session.acknowledged(2, 0) == 0
    assert session.acknowledged(1, 0) == 20
    assert session.acknowledged(99, 0) == 0


def test_puback_of_what_nobody_got_settles_nothing() -> None:
    """Where the broker's word settles: what it took for nobody is sent again, later each time; what is behind it waits."""
    session = _online(by_receipt=False)
    assert _send(session, 0, 100) == [10, 20, 30, 40]
    assert session.acknowledged(2, 0) == 0
    session.unheard(1, 0)
    assert _send(session, 0, 100, now_s=4.9, mid=10) == []
    assert _send(session, 0, 100, now_s=5, mid=20) == [10]
    session.unheard(20, 5)
    assert _send(session, 0, 100, now_s=14.9, mid=30) == []
    assert _send(session, 0, 100, now_s=15, mid=40) == [10]
    assert session.acknowledged(40, 15) == 10
    assert _send(session, 10, 100, now_s=15, mid=50) == [20, 30, 40, 50]


def test_broker_that_does_not_keep_is_asked_plainly_at_once() -> None:
    """By the protocol in which it said so; where it only hangs up, after every protocol of every broker."""
    session = _session()
    assert isinstance(session.next(0, 0, 0), Connect)
    session.failed(0, Failure.NOT_KEPT)
    assert session.route == Route("mqtt://a", "5", plain=True)
    for _ in range(4):
        session.failed(0, Failure.NOT_SPOKEN)
    seen = []
    for _ in range(5):
        seen.append(session.route)
        session.failed(0, Failure.NOT_SPOKEN)
    assert Route("mqtt://a", "3.1.1", plain=True) in seen


def test_resends_learn_the_brokers_largest_message() -> None:
    """What was sent once more and did not arrive is halved like any batch, also when the connection ended by it."""
    session = _online()
    session.resent(1, 10)
    session.resend_ended(arrived=False)
    assert session.batch == 5
    session.resent(2, 5)
    session.lost(0)
    assert session.batch == 2
    session.resend_ended(arrived=False)
    assert session.batch == 2
    session.resent(3, 2)
    session.resend_ended(arrived=True)
    assert session.batch == 2  # until as much has come through often enough


def test_what_nobody_got_matters_where_the_brokers_word_settles() -> None:
    """Where receipts settle it is the centre's to say; and a message that was no batch holds up none."""
    for session in (_online(), _online(by_receipt=False)):
        _send(session, 0, 10)
        session.unheard(99, 0)
        assert session.idle is False
    by_receipt = _online()
    _send(by_receipt, 0, 10)
    by_receipt.unheard(1, 0)
    assert by_receipt.receipt(10, 0) == 10


def test_notice_goes_alone() -> None:
    """Of one entry it is doubted that the broker takes it, and not of those behind: they wait until its notice has come through."""
    session = _online(by_receipt=False, batch=1)
    for now_s in (10, 20, 30):
        assert len(_send(session, 0, 9, now_s=now_s)) == 4
        session.lost(now_s)
        assert isinstance(session.next(now_s + 9, 0, 9), Connect)
        session.connected(now_s + 9, 0, 100)
    assert session.next(40, 0, 9) == Publish(0, 1, is_doubted=True)
    session.published(5, 1, 40)
    assert isinstance(session.next(40, 0, 9), Wait)
    assert session.acknowledged(5, 40) == 1
    assert session.next(40, 1, 9) == Publish(1, 1)


def test_entry_that_is_sent_again_alone_says_nothing_of_the_others() -> None:
    """However often it does not arrive: the next batch is as large as before, and no notice is sent."""
    session = _online()
    for now_s in range(0, 60, 10):
        session.resent(99, 1)
        session.resend_ended(arrived=False)
        session.resent(99, 1)
        session.lost(now_s)
        assert isinstance(session.next(now_s + 9, 0, 9), Connect)
        session.connected(now_s + 9, 0, 100)
    assert session.next(60, 0, 9) == Publish(0, 10)


def test_puback_settles_nothing_where_receipts_do() -> None:
    """A broker's word is not the centre's."""
    session = _online()
    _send(session, 0, 10)
    assert session.acknowledged(1, 0) == 0


def test_new_connection_begins_behind_what_is_settled() -> None:
    """What was in flight when the link was lost is sent again."""
    session = _online()
    _send(session, 0, 100)
    session.receipt(10, 0)
    _send(session, 10, 100, mid=10)
    session.lost(1)
    assert session.state is State.OFFLINE
    assert isinstance(session.next(100, 10, 100), Connect)
    session.connected(100, 10, 100)
    assert _send(session, 10, 100, 100) == [15]  # half as much: it may have been too large for the broker


def test_unreachable_broker_is_left_for_the_next_one() -> None:
    """Its other protocol is not tried: it did not answer at all."""
    session = _session()
    seen = []
    now_s = 0.0
    for _ in range(3):
        now_s += 100
        action = session.next(now_s, 0, 0)
        assert isinstance(action, Connect)
        seen.append(action.route)
        session.failed(now_s, Failure.UNREACHABLE)
    assert seen == [ROUTES[0], ROUTES[2], ROUTES[0]]


def test_single_broker_is_tried_again() -> None:
    """With one broker there is no next one; it begins with its best protocol."""
    session = _session(routes=routes_of(["mqtt://a"], "auto"))
    session.failed(0, Failure.NOT_SPOKEN)
    assert session.route.protocol == "3.1.1"
    session.failed(0, Failure.UNREACHABLE)
    assert session.route.protocol == "5"


def test_older_protocol_is_tried_where_the_newer_is_not_spoken() -> None:
    """The same broker with 3.1.1; after a loss its best protocol comes first again."""
    session = _session()
    session.failed(0, Failure.NOT_SPOKEN)
    assert session.route == ROUTES[1]
    session.lost(0)
    assert session.route == ROUTES[0]
    session.failed(0, Failure.NOT_SPOKEN)
    session.failed(0, Failure.NOT_SPOKEN)
    assert session.route == ROUTES[2]


def test_pauses_double_up_to_their_limit_and_end_with_a_receipt() -> None:
    """Failures are followed by longer and longer pauses; a receipt begins anew."""
    session = _session()
    pauses = []
    for _ in range(6):
        session.failed(0, Failure.UNREACHABLE)
        action = session.next(0, 0, 0)
        assert isinstance(action, Wait)
        pauses.append(action.seconds)
        session.next(100, 0, 0)
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 8], rel=0.01)
    session.connected(100, 0, 10)
    session.published(1, 5, 100)
    session.receipt(5, 100)
    session.lost(100)
    assert session.next(100 + FIRST_PAUSE_S, 5, 5) == Connect(session.route)


def test_jitter_takes_up_to_half_of_a_pause() -> None:
    """A fleet that lost its broker comes back spread out."""
    session = Session(_session().rules, random=lambda: 0.0)
    session.failed(0, Failure.UNREACHABLE)
    assert session.next(0, 0, 0) == Wait(FIRST_PAUSE_S / 2)


def test_answer_that_does_not_come_is_not_waited_for() -> None:
    """The broker has its time from when the connection stands, however long it took to find it; then the next protocol is tried."""
    session = _session()
    session.next(0, 0, 0)
    session.opened(OPEN_S - 1)
    assert isinstance(session.next(OPEN_S + CONNECT_S - 2, 0, 0), Wait)
    assert session.next(OPEN_S + CONNECT_S - 1, 0, 0) == Drop("no answer within 10 s")
    assert session.route.protocol == "3.1.1"
    assert session.state.value == "offline"


def test_connection_that_does_not_come_about_is_dropped() -> None:
    """A link that tells of no end is left, for the next broker and not for the next protocol."""
    session = _session()
    session.next(0, 0, 0)
    assert isinstance(session.next(OPEN_S - 1, 0, 0), Wait)
    assert session.next(OPEN_S, 0, 0) == Drop("no connection within 45 s")
    assert session.route.protocol == "5"
    assert session.state.value == "offline"


def test_centre_that_was_set_back_gets_what_it_lacks() -> None:
    """The first receipt of a connection says less than is settled: everything behind it is sent again."""
    session = _online(settled=50)
    assert _send(session, 50, 60) == [60]
    session.receipt(20, 0)
    assert _send(session, 50, 60) == [30]
    session.receipt(30, 0)
    assert _send(session, 50, 60) == [40, 50, 60]
    session.receipt(25, 0)
    assert isinstance(session.next(0, 50, 60), Wait), "a late receipt of a window that is open changes nothing"


def test_what_is_no_longer_held_is_passed_over() -> None:
    """A stretch that was settled and deleted does not keep the loop busy."""
    session = _online(settled=50)
    assert _send(session, 50, 60) == [60]
    session.receipt(20, 0)
    assert session.next(0, 50, 60) == Publish(20, 10)
    session.nothing_held(60)
    assert isinstance(session.next(0, 50, 60), Wait)
    assert session.next(0, 50, 61) == Publish(60, 10)


def test_settlement_that_is_taken_back_is_sent_again() -> None:
    """Somebody wants entries sent again: they are, at once."""
    session = _online(settled=50)
    assert isinstance(session.next(0, 50, 50), Wait)
    assert session.next(0, 30, 50) == Publish(30, 10)


def test_idle_is_online_with_nothing_under_way() -> None:
    """What is sent once more counts for the broker's window until its PUBACK."""
    session = _online(receive_maximum=2)
    seen = [session.idle]
    session.published(1, 5, 0.0)
    seen.append(session.idle)
    session.receipt(5, 0.0)
    session.acknowledged(1, 0.0)
    seen.append(session.idle)
    session.resent(2, 1)
    session.resent(3, 1)
    seen.append(session.idle)
    session.acknowledged(2, 0.0)
    seen.append(session.idle)
    session.lost(0.0)
    assert [*seen, session.idle] == [True, False, True, False, True, False]


def test_nothing_to_send_is_a_wait() -> None:
    """An empty outbox and an old receipt change nothing."""
    session = _online(settled=7)
    assert isinstance(session.next(0, 7, 7), Wait)
    session.receipt(3, 0)
    assert isinstance(session.next(0, 7, 7), Wait)


@given(st.integers(0, 2**32))
def test_everything_is_delivered_whatever_is_lost(seed: int) -> None:
    """Against a far side that loses, delays and repeats, all entries are settled in the end, and only delivered ones."""
    random = Random(seed)
    session = _session()
    now_s, settled, last_seq, delivered, mid = 0.0, 0, 37, 0, 0
    wire: list[tuple[int, int]] = []
    for _ in range(12_000):
        now_s += random.random() / 4
        match session.next(now_s, settled, last_seq):
            case Connect():
                if random.random() < 0.5:
                    session.failed(now_s, random.choice(list(Failure)))
                else:
                    session.connected(now_s, settled, random.choice((1, 3, 100)))
            case Publish(after_seq, limit):
                mid += 1
                session.published(mid, min(last_seq, after_seq + limit), now_s)
                if after_seq <= delivered and random.random() < 0.8:
                    delivered = max(delivered, min(last_seq, after_seq + limit))
                    wire.append((mid, delivered))
            case _:
                pass
        if wire and session.state is State.ONLINE and random.random() < 0.5:
            acknowledged, through = wire.pop(random.randrange(len(wire)))
            session.acknowledged(acknowledged, now_s)
            if random.random() < 0.7:
                session.receipt(through, now_s)
                settled = max(settled, through)
        if random.random() < 0.01:
            session.lost(now_s)
            wire.clear()
        assert settled <= delivered <= last_seq
        if settled == last_seq:
            return
    pytest.fail(f"settled {settled} of {last_seq}")
