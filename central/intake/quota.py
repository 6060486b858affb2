"""What one station may cost the ledger in a day: an honest one never comes near it, and no other one costs more.

What is beyond it is neither kept nor receipted: a station that was set right has it still, and sends it the next day. Days are UTC, counted in
memory: a collector that is started again begins anew.

Units: `_ns` nanoseconds of Unix time.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from central.ledgers.ledger import KEPT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

_log = logging.getLogger(__name__)

DAY_NS = 86_400 * 10**9
MOST_ROWS = 3_000_000
"""Entries: a whole outbox of two million that waited, and a door's busiest day."""
MOST_ASIDE, MOST_ASIDE_BYTES = 2_000, 2_000_000
"""Rows and whole messages that are set aside, and what is kept of them."""
MOST_STREAMS = 50
"""Outbox files: a card that is replaced begins one."""
MOST_STATIONS = 100_000
"""Of more than so many the longest silent is forgotten."""


@dataclass
class _Spent:
    day: int
    rows: int = 0
    aside: int = 0
    aside_bytes: int = 0
    streams: set[UUID] = field(default_factory=set)
    is_told: bool = False


class Quota:
    """One collector's counts. One thread only."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, _Spent] = OrderedDict()

    def admits(self, kiosk: str, outbox: UUID | None, rows: int, aside: Iterable[bytes], now_ns: int) -> bool:
        """Whether a message may be kept; it counts if it may.

        Args:
            kiosk: The branch of topics that it came by.
            outbox: Its stream; None for a message that is no batch.
            rows: How many entries are in it.
            aside: What would be set aside.
            now_ns: Now.
        """
        spent = self._of(kiosk, now_ns // DAY_NS)
        sizes = [min(len(body), KEPT_BYTES) for body in aside]
        streams = spent.streams if outbox is None else spent.streams | {outbox}
        if (
            spent.rows + rows > MOST_ROWS
            or spent.aside + len(sizes) > MOST_ASIDE
            or spent.aside_bytes + sum(sizes) > MOST_ASIDE_BYTES
            or len(streams) > MOST_STREAMS
        ):
            if not spent.is_told:
                spent.is_told = True
                _log.warning(
                    "over-quota kiosk=%s rows=%d aside=%d streams=%d", kiosk, spent.rows, spent.aside, len(streams)
                )
            return False
        spent.rows, spent.aside, spent.aside_bytes = (
            spent.rows + rows,
            spent.aside + len(sizes),
            spent.aside_bytes + sum(sizes),
        )
        spent.streams = streams
        return True

    def _of(self, kiosk: str, day: int) -> _Spent:
        spent = self._spent.get(kiosk)
        if spent is None or spent.day != day:
            spent = self._spent[kiosk] = _Spent(day)
        self._spent.move_to_end(kiosk)
        if len(self._spent) > MOST_STATIONS:
            self._spent.popitem(last=False)
        return spent
