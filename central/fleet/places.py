"""Who is served at a time, and who makes room: a place for each connection, given up by whoever has most of them and for longest.

Connections that dawdle are ended when their time is over, and before that where others wait: sixteen sockets and two bytes a second used to keep every
station out.

Units: `_s` seconds of a monotonic clock.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_S = 1.0
"""Neighbours behind one address do not push each other out within this time: each needs some hundredths of it."""


@dataclass(frozen=True, slots=True)
class _Guest:
    host: str
    since_s: float
    handle: socket.socket
    """The same connection once more: TLS takes the first handle away from whoever accepted it."""


class Places:
    """Any thread may take one or leave."""

    def __init__(self, count: int, longest_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            count: How many there are.
            longest_s: How long one may be kept.
            now_s: The clock.
        """
        self._count, self._longest_s, self._now_s = count, longest_s, now_s
        self._lock = Lock()
        self._guests: dict[socket.socket, _Guest] = {}

    def take(self, connection: socket.socket, host: str) -> bool:
        """A place for a connection; where there is none, somebody else's is ended.

        Args:
            connection: As it was accepted.
            host: Its address.

        Returns:
            Whether it has one.
        """
        with self._lock:
            if len(self._guests) >= self._count and not self._has_shed(host):
                return False
            self._guests[connection] = _Guest(host, self._now_s(), connection.dup())
            return True

    def leave(self, connection: socket.socket) -> None:
        """It is over; harmless when repeated."""
        with self._lock:
            if (guest := self._guests.pop(connection, None)) is not None:
                guest.handle.close()

    def end_late(self) -> None:
        """End those whose time is over."""
        with self._lock:
            for connection, guest in [*self._guests.items()]:
                if self._now_s() - guest.since_s > self._longest_s:
                    self._end(connection)

    def _has_shed(self, host: str) -> bool:
        most, _ = Counter(guest.host for guest in self._guests.values()).most_common(1)[0]
        connection, guest = next(
            (each, guest) for each, guest in self._guests.items() if guest.host == most
        )  # in order of time
        if most == host and self._now_s() - guest.since_s < GRACE_S:
            return False
        self._end(connection)
        return True

    def _end(self, connection: socket.socket) -> None:
        """Its thread wakes with an error, and leaves."""
        with self._guests.pop(connection).handle as handle, suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)
