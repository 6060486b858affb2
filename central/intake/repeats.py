"""How much of what comes had come before: a fleet that is well repeats next to nothing.

Much is repeated where receipts do not reach the stations, or where a part of the entries goes to somebody who keeps none: a stranger in the collectors'
shared subscription takes his share of them. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.ledgers.ledger import Stream

LEAST_ROWS = 200
"""Of fewer nothing is said: a station that comes back repeats what it had on its way."""
TOO_MUCH = 0.3
"""Where half of the messages are lost, a third or more of the rows come twice: a station sends from the first one that is missing."""


class Repeats:
    """Compares the ledger's counts with those of the last time."""

    def __init__(self) -> None:
        self._before: tuple[int, int] | None = None

    def share(self, streams: Iterable[Stream]) -> float:
        """Which share of the rows since the last time had come before; 0 the first time, where few came, and where it is no matter.

        Args:
            streams: What the ledger says now, of all stations, whichever collector took it.
        """
        delivered = repeated = 0
        for stream in streams:
            delivered += stream.delivered
            repeated += stream.repeated
        before, self._before = self._before, (delivered, repeated)
        if before is None:
            return 0.0
        again = repeated - before[1]
        rows = delivered - before[0] + again
        share = again / rows if rows >= LEAST_ROWS else 0.0
        return share if share >= TOO_MUCH else 0.0
