"""A station whose clock was never set asks the centre for the time, and keeps the answer for every process of the station.

It asks with a batch without entries, and its own entries wait for the answer, so that those of this boot leave with the right time; from a
centre that answers no question they leave late. It goes on asking also when nothing waits: without the time a door may have to
refuse whoever would make an entry.

Units: `_s` seconds of a monotonic clock, `_ns` nanoseconds.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kiosk.clock import keep_anchor
from kiosk.log import line
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.config import Config
    from kiosk.delivery.batches import Batches
    from kiosk.delivery.link import Link

_log = logging.getLogger(__name__)

ASK_EVERY_S = 2.0
"""How often the centre is asked, until `uplink.receipt_timeout_s` have passed."""
ASK_LATER_S = 60.0
"""How often after that."""


class CentreTime:
    """One uplink's questions. One thread only."""

    def __init__(self, config: Config, batches: Batches, clock: Clock) -> None:
        self._config = config
        self._batches = batches
        self._clock = clock
        self._until_s = self._next_s = 0.0

    def awaited(self, now_s: float) -> bool:
        """Whether entries shall wait for the answer."""
        return now_s < self._until_s

    def begin(self, now_s: float) -> None:
        """A connection stands: what is to be asked is asked before any entry leaves."""
        self._until_s = now_s + self._config.uplink.receipt_timeout_s if self._is_lacking() else 0.0
        self._next_s = now_s

    def tend(self, link: Link, now_s: float) -> None:
        """Ask, if it is time to."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + (ASK_EVERY_S if self.awaited(now_s) else ASK_LATER_S)
        if self._is_lacking():
            self._batches.ask(link)

    def answered(self, centre_ns: int | None) -> bool:
        """A receipt has come, with the centre's time or without one: entries wait no longer.

        Returns:
            Whether the station has a time now that it had not.
        """
        self._until_s = 0.0
        if centre_ns is None:
            return False
        folder = self._config.state.runtime_dir
        try:
            if not keep_anchor(folder, self._clock.now(), centre_ns):
                return False
        except OSError as error:
            _log.warning(line("centre-time-not-kept", path=folder, reason=error.strerror))
            return False
        _log.info(line("clock-set", by="centre"))
        return True

    def _is_lacking(self) -> bool:
        return self._config.uplink.settle_on == "receipt" and self._clock.now().quality is ClockQuality.UNSET
