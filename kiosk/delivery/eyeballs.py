"""All addresses of a name, until TCP connects to one of them: RFC 8305, "happy eyeballs".

The addresses are tried one after the other, a moment apart, and none waits for the end of one before (aiohappyeyeballs). What one of the
two questions (`kiosk.delivery.names`) brings is tried before the other one is answered. The address that was good the last time comes
first, and after `STALE_S` even without an answer to either. No socket is bound; `SocketBindDeny=any` refuses that.

Units: `_s` seconds.

Sources:
    [1] RFC 8305: 3 (50 ms for the second answer), 5 (250 ms between two attempts, 10 ms at the least).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from aiohappyeyeballs import start_connection

from kiosk.delivery.names import AGAIN_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from aiohappyeyeballs import AddrInfoType

    from kiosk.delivery.names import Lookup

LOOKUP_S = 10.0
"""Longest wait for the first address."""
SECOND_ANSWER_S = 0.05
STALE_S = 2.0
CONNECT_S = 10.0
"""Longest time for TCP, from the first address."""
APART_S = 0.25
LEAST_APART_S = 0.01
ALL_BEGUN_S = 4.0
"""By then every address has been tried, however many there are: they are less far apart then."""
_NO_ANSWER = "no answer in time"
_NO_ADDRESS = "its address is not found in time"


class Attempt:
    """All addresses of a name, until TCP connects to one of them."""

    def __init__(self, lookups: Sequence[Lookup], good: AddrInfoType | None, without: Collection[AddrInfoType]) -> None:
        """Prepare it.

        Args:
            lookups: What is asked about the name.
            good: Tried first; None if nothing is known.
            without: Not tried.
        """
        self._lookups = lookups
        self._good = good
        self._without = without
        self._found: set[AddrInfoType] = set()
        self._made: dict[socket.socket, AddrInfoType] = {}
        self._lookup_error: OSError | None = None
        self._error: OSError | None = None

    @property
    def has_others(self) -> bool:
        """Whether there was another one."""
        return len(self._found) > 1

    def run(self, deadline_s: float) -> tuple[socket.socket, AddrInfoType]:
        """A connected socket, blocking, and its address.

        Raises:
            OSError: No address can be reached.
        """
        winner = asyncio.run(self._run(deadline_s))
        winner.setblocking(True)
        return winner, self._made[winner]

    async def _run(self, deadline_s: float) -> socket.socket:
        loop = asyncio.get_running_loop()
        loop.call_later(AGAIN_S, self._ask_again)
        order = [asyncio.wrap_future(lookup.answer) for lookup in self._lookups]
        answers: set[asyncio.Future[Any]] = set(order)
        races: set[asyncio.Task[socket.socket | None]] = (
            set() if self._good is None else {loop.create_task(self._remembered(self._good))}
        )
        lookup_until_s = min(deadline_s, time.monotonic() + LOOKUP_S)
        winner = None
        try:
            while winner is None and (answers or races):
                wait_s = (deadline_s if races else lookup_until_s) - time.monotonic()
                waited_for: set[asyncio.Future[Any]] = {*answers, *races}
                done, _ = await asyncio.wait(waited_for, timeout=max(0.0, wait_s), return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._error = self._error or TimeoutError(_NO_ANSWER if races else _NO_ADDRESS)
                    break
                if not answers.isdisjoint(done):
                    arrived, answers = await asyncio.wait(answers, timeout=SECOND_ANSWER_S)
                    fresh = self._fresh(answer for answer in order if answer in arrived)
                    if fresh:
                        races.add(loop.create_task(self._race(fresh)))
                for race in races & done:
                    races.remove(race)
                    winner = winner or self._result(race)
        finally:
            left: list[asyncio.Future[Any]] = [*answers, *races]
            for each in left:
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for made in self._made:
                if made is not winner:
                    made.close()  # once more does no harm
        if winner is None:
            raise self._error or self._lookup_error or OSError("it has no address")
        return winner

    async def _race(self, infos: Sequence[AddrInfoType]) -> socket.socket:
        apart_s = max(LEAST_APART_S, min(APART_S, ALL_BEGUN_S / len(infos)))
        async with asyncio.timeout(CONNECT_S):
            return await start_connection(infos, happy_eyeballs_delay=apart_s, interleave=1, socket_factory=self._make)

    async def _remembered(self, good: AddrInfoType) -> socket.socket | None:
        """The address of the last time, unless its name has brought others meanwhile."""
        await asyncio.sleep(STALE_S)
        return None if self._found else await self._race([good])

    def _make(self, info: AddrInfoType) -> socket.socket:
        made = socket.socket(*info[:3])
        self._made[made] = info
        return made

    def _ask_again(self) -> None:
        for lookup in self._lookups:
            lookup.ask()

    def _fresh(self, arrived: Iterable[asyncio.Future[list[AddrInfoType]]]) -> list[AddrInfoType]:
        """What these answers give to try, the good one first."""
        infos: list[AddrInfoType] = []
        for answer in arrived:
            error = answer.exception()
            if isinstance(error, OSError):
                self._lookup_error = error
            else:
                infos += answer.result()
        fresh = [info for info in dict.fromkeys(infos) if info not in self._found and info not in self._without]
        self._found.update(fresh)
        return sorted(fresh, key=lambda info: info != self._good)

    def _result(self, race: asyncio.Task[socket.socket | None]) -> socket.socket | None:
        error = race.exception()
        if not isinstance(error, OSError):
            return race.result()
        if error.errno is not None:  # the loop's words for it have the address, which nobody chose
            error = OSError(error.errno, os.strerror(error.errno))
        elif not error.args:
            error = TimeoutError(_NO_ANSWER)
        self._error = self._error or error
        return None
