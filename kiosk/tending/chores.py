"""What the uplink does beside delivering, once a minute or once an hour: settled rows are swept, the certificate is renewed.

Units: `_s` seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.commissioning import provision
from kiosk.disk.sweeper import SWEEP_ROWS

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.config import Config
    from kiosk.outbox import Outbox

SWEEP_EVERY_S = 60.0
SWEEP_ON_S = 0.1
"""While there is more than one transaction may sweep."""
FIRST_RENEWAL_S = 20.0
RENEWAL_EVERY_S = 3600.0
"""How often the certificate's age is looked at."""


class Chores:
    """One uplink's. One thread only."""

    def __init__(self, config: Config, outbox: Outbox, clock: Clock, now_s: float) -> None:
        self._config = config
        self._outbox = outbox
        self._clock = clock
        self._next_sweep_s = 0.0
        self._next_renewal_s = now_s + FIRST_RENEWAL_S

    def tend(self, now_s: float) -> None:
        """Do what is due."""
        if now_s >= self._next_sweep_s:
            more = self._outbox.sweep(self._clock.now()) >= SWEEP_ROWS
            self._next_sweep_s = now_s + (SWEEP_ON_S if more else SWEEP_EVERY_S)
        if now_s >= self._next_renewal_s:
            self._next_renewal_s = now_s + RENEWAL_EVERY_S
            provision.renew_if_due(self._config, self._clock.now())
