"""Whoever dawdles makes room for others, and neighbours do not push each other out."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from central.fleet.places import GRACE_S, Places


def _is_open(end: socket.socket) -> bool:
    end.setblocking(False)
    try:
        return end.recv(1) != b""
    except BlockingIOError:
        return True


def test_whoever_holds_most_gives_its_oldest_up() -> None:
    """A stranger with all places loses one to each who comes; a station's is never taken for the stranger's next."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(20)]
        for pair in pairs:
            for end in pair:
                stack.enter_context(end)
        clock_s = [0.0]
        places = Places(4, 15.0, lambda: clock_s[0])
        for pair in pairs:
            stack.callback(places.leave, pair[0])
        assert all(places.take(pair[0], "stranger") for pair in pairs[:4])
        assert not places.take(pairs[4][0], "stranger")  # within its grace
        assert places.take(pairs[5][0], "station")
        assert [_is_open(pair[1]) for pair in pairs[:4]] == [False, True, True, True]
        clock_s[0] = GRACE_S
        for pair in pairs[6:15]:
            assert places.take(pair[0], "stranger")
            clock_s[0] += GRACE_S
        assert _is_open(pairs[5][1])
        assert sum(_is_open(pair[1]) for pair in pairs[6:15]) == 3


def test_time_is_over_for_everybody() -> None:
    """However slowly bytes come; and who has left is not ended."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        for pair in pairs:
            for end in pair:
                stack.enter_context(end)
        clock_s = [0.0]
        places = Places(4, 15.0, lambda: clock_s[0])
        for pair in pairs:
            stack.callback(places.leave, pair[0])
        for pair in pairs[:2]:
            places.take(pair[0], "a")
        clock_s[0] = 10.0
        places.take(pairs[2][0], "b")
        for _ in range(2):
            places.leave(pairs[1][0])
        clock_s[0] = 15.5
        places.end_late()
        assert [_is_open(pair[1]) for pair in pairs] == [False, True, True]
