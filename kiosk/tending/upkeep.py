"""A lane between two people: the disk and the keys are tried before somebody stands there, the light and the marks follow.

Units: `_ns` nanoseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.errors import OutboxError, SealError

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.orders.errand import Errands
    from kiosk.outbox import Outbox
    from kiosk.sealer import Sealer
    from kiosk.tending.light import StandingLight
    from kiosk.tending.tally import Tally
    from kiosk.trust.issuers import TrustFolder

CHECK_EVERY_NS = 10_000_000_000


class Upkeep:
    """One lane's. One thread only."""

    def __init__(
        self,
        light: StandingLight,
        tally: Tally,
        errands: Errands,
        outbox: Outbox,
        sealer: Sealer,
        trust: TrustFolder | None,
        clock: Clock,
    ) -> None:
        self._light = light
        self._tally = tally
        self._errands = errands
        self._outbox = outbox
        self._sealer = sealer
        self._trust = trust
        self._clock = clock
        self._next_check_boot_ns = 0

    def tend(self) -> None:
        """Look after everything whose time has come.

        Raises:
            RestartRequestedError: The configuration is to be read anew.
        """
        now_boot_ns = self._clock.boot_ns()
        if now_boot_ns >= self._next_check_boot_ns:
            self.postpone(now_boot_ns)
            with self._light.waits():
                self.check()
                if self._trust is not None:
                    self._trust.look()
        if self._tally.due(now_boot_ns):
            trust_fault = "" if self._trust is None else self._trust.fault
            self._tally.write(self._clock.now(), self._light.fault, trust_fault)
            self._light.tend()
            self._errands.tend(self.check)

    def postpone(self, now_boot_ns: int) -> None:
        """Check no sooner than `CHECK_EVERY_NS` from now: a check that passes must not hide at once that a commit failed."""
        self._next_check_boot_ns = now_boot_ns + CHECK_EVERY_NS

    def check(self) -> str:
        """What keeps the station from recording; empty if nothing does. That a frame has come proves the camera."""
        try:
            self._outbox.check()
            self._sealer.check(self._clock.now())
        except (OutboxError, SealError) as error:
            self._light.set_fault(error)
        else:
            self._light.set_fault(None)
        return self._light.fault
