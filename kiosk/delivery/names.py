"""What a name's addresses are, asked so that no name server can hold anybody up.

`getaddrinfo` cannot be broken off, and takes as long as it likes: a dead name server costs 5 s a try, a router that swallows the questions
for IPv6 as much again. So each question, one a family [1], is asked on a thread of its own. One without an answer
after `AGAIN_S` is asked once more beside the first, which keeps to the name servers that it began with; and one that outlives the
attempt that asked it answers the next one.

Units: `_s` seconds.

Sources:
    [1] RFC 8305, 3.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

AGAIN_S = 5.0
MOST_THREADS = 3
"""How often one question may be under way at the same time."""
FAMILIES = (socket.AF_INET6, socket.AF_INET)

Place = tuple[str, int]


class Lookup:
    """One question and its answer: the first that any of its threads brings.

    Attributes:
        place: The name and the port.
        family: IPv4 or IPv6.
        answer: The addresses, as getaddrinfo gives them; or OSError, once no thread is left.
    """

    def __init__(self, place: Place, family: socket.AddressFamily) -> None:
        """Ask it."""
        self.place = place
        self.family = family
        self.answer: Future[list[AddrInfoType]] = Future()
        self.answer.set_running_or_notify_cancel()  # so that an attempt that is given up does not cancel it for the next one
        self._running = 0
        self._lock = Lock()
        self.ask()

    @property
    def is_of_use(self) -> bool:
        """Whether it has brought addresses, or still may."""
        return not self.answer.done() or self.answer.exception() is None

    def ask(self) -> None:
        """Once more, unless it is answered or often enough under way."""
        with self._lock:
            if self.answer.done() or self._running >= MOST_THREADS:
                return
            self._running += 1
        Thread(target=self._run, name="resolve", daemon=True).start()

    def _run(self) -> None:
        error = None
        found: list[AddrInfoType] = []
        try:
            found.extend(socket.getaddrinfo(*self.place, self.family, socket.SOCK_STREAM))
        except OSError as failed:
            error = failed
        except UnicodeError:  # a name that cannot be one, such as a..b
            error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        with self._lock:
            self._running -= 1
            if self.answer.done():
                return
            if error is None:
                self.answer.set_result(found)
            elif self._running == 0:
                self.answer.set_exception(error)


class Names:
    """The questions that are under way. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lookups: dict[tuple[Place, int], Lookup] = {}

    def ask(self, place: Place) -> list[Lookup]:
        """Both questions about a name; those that an earlier attempt left unanswered go on."""
        with self._lock:
            return [self._one(place, family) for family in FAMILIES]

    def forget(self, lookups: list[Lookup]) -> None:
        """What is answered has been used: the next attempt asks anew."""
        with self._lock:
            for lookup in lookups:
                if lookup.answer.done():
                    self._lookups.pop((lookup.place, lookup.family), None)

    def _one(self, place: Place, family: socket.AddressFamily) -> Lookup:
        known = self._lookups.get((place, family))
        if known is None or not known.is_of_use:
            known = self._lookups[place, family] = Lookup(place, family)
        else:
            known.ask()
        return known
