"""A name's addresses may be dead, slow, silent or many: one that is good is enough."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from threading import Event, Thread

import pytest
import trustme

from kiosk.delivery import dial, eyeballs, names
from kiosk.delivery.dial import Connection, Dialer
from tests.net import NAME, V4, V6, Address, Net
from tests.running import until


@pytest.fixture
def net() -> Iterator[Net]:
    """A net of the test's own."""
    with ExitStack() as stack:
        yield Net(stack)


@pytest.fixture
def never() -> Iterator[Callable[[], list[Address]]]:
    """A question without an answer, until the test is over."""
    over = Event()

    def ask() -> list[Address]:
        over.wait(60)
        return []

    yield ask
    over.set()


@pytest.fixture
def held_back(net: Net) -> tuple[Event, Address]:
    """A good address, and what has the resolver tell it."""
    release, good = Event(), net.good()

    def late() -> list[Address]:
        release.wait(60)
        return [good]

    net.answers[V4] = late
    return release, good


def _peer(connection: Connection) -> Address:
    with connection.socket:
        host, port, *_ = connection.socket.getpeername()
        return host, port


@pytest.mark.parametrize(
    "dead",
    [
        ["hole"],
        ["refused"],
        ["unreachable"],
        ["hole", "refused", "unreachable", "hole"],
        ["hole"] * 60,
    ],
    ids=["one that swallows", "one that refuses", "one without a way", "all kinds", "sixty"],
)
def test_dead_first_addresses_keep_nobody_from_the_good_one(net: Net, dead: list[str]) -> None:
    """Whatever comes before it, and however many."""
    addresses = [getattr(net, kind)() for kind in dead]
    good = net.good()
    net.answers[V4] = lambda: [*addresses, good]
    assert _peer(Dialer().open(NAME, 8883)) == good


def test_ipv6_that_goes_nowhere_leaves_ipv4(net: Net) -> None:
    """Every IPv6 address swallows; the connection is one of IPv4. And the other way round."""
    hole, good = net.hole("::1"), net.good()
    net.answers |= {V6: lambda: [hole], V4: lambda: [good]}
    assert _peer(Dialer().open(NAME, 8883)) == good
    hole, good = net.hole(), net.good("::1")
    net.answers |= {V6: lambda: [good], V4: lambda: [hole]}
    assert _peer(Dialer().open(NAME, 8883)) == good


@pytest.mark.parametrize("family", [V4, V6])
def test_question_that_is_swallowed_leaves_the_other(
    net: Net, never: Callable[[], list[Address]], family: socket.AddressFamily
) -> None:
    """A router that drops what is asked for one family does not hold up the other."""
    good = net.good("::1" if family == V4 else "127.0.0.1")
    net.answers |= {V4: lambda: [good], V6: lambda: [good]}
    net.answers[family] = never
    assert _peer(Dialer().open(NAME, 8883)) == good


def test_question_without_an_answer_is_asked_again(
    net: Net, never: Callable[[], list[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one keeps to the name servers it began with; a second one may find others."""
    monkeypatch.setattr(eyeballs, "AGAIN_S", 0.01)
    good = net.good()
    net.answers |= {V6: never, V4: lambda: never() if net.asked.count(V4) == 1 else [good]}
    assert _peer(Dialer().open(NAME, 8883)) == good


def test_questions_do_not_pile_up(
    net: Net, never: Callable[[], list[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried, no more threads wait for a resolver that hangs than were allowed."""
    monkeypatch.setattr(eyeballs, "LOOKUP_S", 0.01)
    net.answers |= {V4: never, V6: never}
    dialer = Dialer()
    for _ in range(2 * names.MOST_THREADS):
        with pytest.raises(TimeoutError, match="its address is not found in time"):
            dialer.open(NAME, 8883)
    assert sorted(net.asked) == sorted([V4, V6] * names.MOST_THREADS)


def test_answer_that_comes_too_late_is_for_the_next_attempt(
    held_back: tuple[Event, Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that needs longer than one attempt has, every time, is no obstacle for ever."""
    monkeypatch.setattr(eyeballs, "LOOKUP_S", 0.01)
    release, good = held_back
    dialer = Dialer()
    with pytest.raises(TimeoutError):
        dialer.open(NAME, 8883)
    monkeypatch.setattr(eyeballs, "LOOKUP_S", 60.0)
    opening = dialer.begin(NAME, 8883)
    assert opening.poll(0) is None
    release.set()
    connection = opening.poll(60)
    assert connection is not None
    assert _peer(connection) == good


def test_address_of_the_last_time_does_without_a_resolver(
    net: Net, never: Callable[[], list[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was good is tried although nobody says any more that it is the name's; what the name has instead goes first."""
    monkeypatch.setattr(eyeballs, "STALE_S", 0.01)
    dialer, good, other = Dialer(), net.good(), net.good()
    net.answers[V4] = lambda: [good]
    first = dialer.open(NAME, 8883)
    dialer.rate(first, good=True)
    first.socket.close()
    net.answers |= {V4: list, V6: list}
    assert _peer(dialer.open(NAME, 8883)) == good
    net.answers |= {V4: never, V6: never}
    assert _peer(dialer.open(NAME, 8883)) == good
    fresh = Dialer()
    fresh.rate(first, good=True)
    monkeypatch.setattr(eyeballs, "STALE_S", 60.0)
    net.answers[V4] = lambda: [other]
    assert _peer(fresh.open(NAME, 8883)) == other


def test_address_that_was_good_comes_first_and_one_that_brought_nothing_last(net: Net) -> None:
    """The dead ones before it cost nothing the next time; one that takes connections and never says a word is left aside."""
    dialer, silent, good = Dialer(), net.good(), net.good()
    net.answers[V4] = lambda: [silent, good]
    first = dialer.open(NAME, 8883)
    dialer.rate(first, good=False)
    assert _peer(first) == silent
    second = dialer.open(NAME, 8883)
    dialer.rate(second, good=True)
    assert _peer(second) == good
    assert _peer(dialer.open(NAME, 8883)) == good
    dialer.rate(second, good=False)
    assert _peer(dialer.open(NAME, 8883)) in {silent, good}  # there is no better one left


def test_address_that_does_not_come_through_tls_is_left_for_the_others(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that accepts and says nothing, one with another's certificate, then the broker; its name is checked."""
    monkeypatch.setattr(dial, "TLS_WITH_OTHERS_S", 0.2)
    ours, theirs = trustme.CA(), trustme.CA()
    with ExitStack() as stack:
        stranger = _serve(stack, theirs.issue_cert(NAME))
        misnamed = _serve(stack, ours.issue_cert("another.example"))
        broker = _serve(stack, ours.issue_cert(NAME))
        silent = net.good()
        context = ssl.create_default_context()
        ours.configure_trust(context)
        net.answers[V4] = lambda: [silent, stranger, misnamed, broker]
        dialer = Dialer()
        connection = dialer.open(NAME, 8883, context)
        assert isinstance(connection.socket, ssl.SSLSocket)
        assert _peer(connection) == broker
        monkeypatch.setattr(dial, "TLS_WITH_OTHERS_S", 60.0)
        net.answers[V4] = lambda: [stranger, misnamed]
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer certificate"):
            Dialer().open(NAME, 8883, context)


def test_dead_name_is_said(net: Net) -> None:
    """Nobody listens, no way, no such name, a name that can be none: each in the system's words."""
    for address, said in ((net.refused(), "Connection refused"), (net.unreachable(), "Network is unreachable")):
        net.answers[V4] = partial(list, [address])
        with pytest.raises(OSError, match=said):
            Dialer().open(NAME, 8883)
    net.answers[V4] = list
    with pytest.raises(socket.gaierror, match="Name or service not known"):
        Dialer().open(NAME, 8883)


def test_name_that_cannot_be_one_is_said() -> None:
    """Python's own complaint about it is none that anybody catches."""
    with pytest.raises(socket.gaierror, match="Name or service not known"):
        Dialer().open("a..b", 8883)


def test_whole_attempt_has_an_end(net: Net) -> None:
    """Where every address swallows, it is over when it was said to be."""
    hole = net.hole()
    net.answers[V4] = lambda: [hole, hole]
    with pytest.raises(TimeoutError, match="no answer in time"):
        Dialer().open(NAME, 8883, longest_s=0.3)


def test_opening_is_given_up_at_once(held_back: tuple[Event, Address]) -> None:
    """Whoever stops waits for no resolver; a connection that comes too late is closed, and so is one that nobody fetched."""
    release, good = held_back
    dialer = Dialer()
    opening = dialer.begin(NAME, 8883)
    assert opening.poll(0) is None
    opening.give_up()
    release.set()
    fetched = dialer.begin(NAME, 8883).poll(60)
    assert fetched is not None
    assert _peer(fetched) == good
    unfetched = dialer.begin(NAME, 8883)
    until(lambda: not unfetched._outcome.empty())
    unfetched.give_up()
    unfetched.give_up()
    assert unfetched.poll(0) is None


def test_fault_of_the_dialer_is_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of reaches whoever waits, as a connection that does not come about."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no memory for a thread")

    monkeypatch.setattr(dial, "Attempt", broken)
    with pytest.raises(OSError, match="RuntimeError: no memory for a thread"):
        Dialer().begin("127.0.0.1", 1).poll(60)


def _serve(stack: ExitStack, certificate: trustme.LeafCert) -> Address:
    """A server that shows this certificate to everybody, until the stack ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def serve() -> None:
        with suppress(OSError):
            while True:
                raw, _ = listener.accept()
                with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as secured:
                    secured.recv(1)

    thread = Thread(target=serve)
    thread.start()

    def end() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)

    stack.callback(end)
    address: Address = listener.getsockname()
    return address
