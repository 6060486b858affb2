"""What the uplink tells: marks for the processes beside it, and the station's status for the centre.

The status is said when a connection stands, every `status.every_s`, and at once when a command is done; a flood of commands does not
become a flood of answers.

Units: `_s` seconds of a monotonic clock.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.commissioning import provision
from kiosk.delivery import wire
from kiosk.log import line

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.config import Config
    from kiosk.delivery.complaints import Complaints
    from kiosk.delivery.link import Link
    from kiosk.delivery.session import Session, State
    from kiosk.orders.inbox import Inbox
    from kiosk.outbox import Outbox

_log = logging.getLogger(__name__)

MARKS_EVERY_S = 2.0
COMMANDS_EVERY_S = 1.0
"""Between two status messages that only tell of commands, at least."""


class Teller:
    """One uplink's. One thread only."""

    def __init__(
        self, config: Config, outbox: Outbox, session: Session, inbox: Inbox, complaints: Complaints, clock: Clock
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._session = session
        self._inbox = inbox
        self._complaints = complaints
        self._clock = clock
        self._told_commands = inbox.commands()
        self._marked: State | None = None
        self._next_marks_s = self._next_status_s = 0.0
        self._last_status_s = -COMMANDS_EVERY_S
        self._taken_over_boot_ns: int | None = None
        self._taken_over_why = ""

    def hurry(self) -> None:
        """Say the status as soon as the link can carry it."""
        self._next_status_s = 0.0

    def taken_over(self, why: str) -> None:
        """Another connection under this station's name has taken its place at the broker, as this says or suspects."""
        self._taken_over_boot_ns, self._taken_over_why = self._clock.boot_ns(), why
        _log.warning(line("identity-shared", reason=why))

    def tend_marks(self, now_s: float, last_receipt_boot_ns: int | None) -> None:
        """Write the marks every `MARKS_EVERY_S`, and when the link has changed."""
        if now_s < self._next_marks_s and self._session.state is self._marked:
            return
        self._next_marks_s = now_s + MARKS_EVERY_S
        self._marked = self._session.state
        marks = {
            "written_boot_ns": self._clock.boot_ns(),
            "state": self._session.state.value,
            "broker": self._session.route.url,
            "protocol": self._session.route.protocol,
            "last_receipt_boot_ns": last_receipt_boot_ns,
            "taken_over_boot_ns": self._taken_over_boot_ns,
            "taken_over_why": self._taken_over_why,
            "complaints": self._complaints.marks(),
            "commands": self._inbox.commands(),
            "trust_issued_s": self._inbox.trust_issued_s,
        }
        health.write_marks(self._config.state.runtime_dir, "uplink", marks)

    def tend_status(self, link: Link, now_s: float) -> None:
        """Say the status over a link that stands, when it is due."""
        commands = self._inbox.commands()
        if commands != self._told_commands:
            self._told_commands = commands
            self._next_status_s = min(self._next_status_s, max(now_s, self._last_status_s + COMMANDS_EVERY_S))
        if now_s >= self._next_status_s:
            self._next_status_s = now_s + self._config.status.every_s
            self.say(link, self._session.state.value, now_s)

    def say(self, link: Link, state: str, now_s: float) -> int:
        """Publish the status.

        Args:
            link: Where.
            state: "online", or "stopped" as the last word.
            now_s: Now.

        Returns:
            The message id.
        """
        self._last_status_s = now_s
        now = self._clock.now()
        is_shared = health.shared_ago_s(self._taken_over_boot_ns, now.boot_ns) is not None
        message = health.status_message(
            self._config,
            self._outbox,
            now,
            state,
            self._inbox.commands(),
            [*provision.warnings(self._config, now), *[health.SHARED] * is_shared, *self._complaints.warnings],
            self._inbox.trust_issued_s,
            update=self._inbox.update(),
        )
        return link.publish(wire.status_topic(self._config.kiosk.id), message, retain=True)
