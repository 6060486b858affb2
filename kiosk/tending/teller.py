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
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3600.0
"""How long the status waits where a connection has ended by it: some brokers refuse a topic by hanging up, and entries shall go on."""
ENDS_WITHIN_S = 5.0
"""So soon after it."""


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
        self._said_mid: int | None = None
        self._wait_s = 0.0
        self._taken_over_boot_ns: int | None = None
        self._taken_over_why = ""

    def begin(self, now_s: float) -> None:
        """A connection stands: say the status at once, unless it has ended a connection before."""
        self._said_mid = None
        self._next_status_s = now_s + self._wait_s

    def acknowledged(self, mid: int, *, refused: bool) -> None:
        """The broker has answered a message; of MQTT 3.1.1 it does so to what it denies, too, which proves nothing."""
        if mid == self._said_mid and not refused and self._session.route.protocol == "5":
            self._said_mid, self._wait_s = None, 0.0

    def lost(self, now_s: float) -> None:
        """The connection is gone: by the status, as far as anybody can tell, if that had no good answer and was just said."""
        if self._said_mid is not None and now_s - self._last_status_s < ENDS_WITHIN_S:
            self._wait_s = min(max(FIRST_WAIT_S, 2 * self._wait_s), LONGEST_WAIT_S)
        self._said_mid = None

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
        if self._said_mid is not None and now_s - self._last_status_s >= ENDS_WITHIN_S:
            self._said_mid, self._wait_s = None, 0.0
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
        of_delivery = health.of_delivery(self._taken_over_boot_ns, now.boot_ns, self._complaints)
        message = health.status_message(
            self._config,
            self._outbox,
            now,
            state,
            self._inbox.commands(),
            [*provision.warnings(self._config, now), *of_delivery],
            self._inbox.trust_issued_s,
            update=self._inbox.update(),
        )
        self._said_mid = link.publish(wire.status_topic(self._config.kiosk.id), message, retain=True)
        return self._said_mid
