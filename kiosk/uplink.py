"""The drain loop: from the outbox to the centre, one straight line around `Link.poll`.

    head(n) → correct times → PUBLISH → receipt → settle            and, beside it: status · marks · sweep

Each of these is another one's: `kiosk.delivery.session` decides what is done next, `kiosk.delivery.drain` sends rows and settles them,
`resends` repeats what somebody wants once more, `centre_time` asks for the time where there is none, `kiosk.orders.inbox` takes
commands and lists, and `kiosk.tending` tells how the station is. Here is only the link, and who is told what it brings.

The loop owns nothing that matters: positions come from the outbox and from receipts (`kiosk.delivery.session`), so it can be killed
at any moment. Its ends are SIGTERM, which says "stopped" to the centre, and an outbox that fails, which a new process may
open again.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.commissioning import provision
from kiosk.delivery import refusals, rival, session, wire
from kiosk.delivery.batches import Batches
from kiosk.delivery.centre_time import CentreTime
from kiosk.delivery.complaints import Complaints
from kiosk.delivery.drain import Drain
from kiosk.delivery.link import Acknowledged, Closed, Event, Link, Opened, Ready, Received, Subscribed
from kiosk.delivery.mqtt import open_link
from kiosk.delivery.resends import Resends
from kiosk.delivery.rival import Rival
from kiosk.delivery.routes import Failure
from kiosk.delivery.session import Connect, Drop, Publish, Session, State, Wait
from kiosk.delivery.subscriptions import Subscriptions
from kiosk.errors import RestartRequestedError, WireError
from kiosk.log import line
from kiosk.orders.inbox import Inbox
from kiosk.outbox import Outbox
from kiosk.process.notify import Notifier
from kiosk.tending.chores import Chores
from kiosk.tending.mender import Mender
from kiosk.tending.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kiosk.clock import Clock
    from kiosk.config import Config

_log = logging.getLogger(__name__)

GOODBYE_S = 1.0


class Uplink:
    """The loop around one link at a time. One thread only."""

    def __init__(self, config: Config, outbox: Outbox, clock: Clock, config_file: Path | None = None) -> None:
        self._config = config
        self._outbox = outbox
        self._link: Link | None = None
        self.session = Session(session.rules_of(config.uplink), random.random)
        self._complaints = Complaints()
        self._route = self.session.route
        self._batches = batches = Batches(config, outbox, clock)
        self._drain = Drain(outbox, self.session, batches, clock, config.state.runtime_dir)
        self._resends = Resends(config, outbox, self.session, batches)
        self._time = CentreTime(config, batches, clock)
        self._inbox = Inbox(config, outbox, clock, config_file)
        self._subscriptions = Subscriptions(self._inbox.topics, self._complaints)
        self._teller = Teller(config, outbox, self.session, self._inbox, self._complaints, clock)
        self._chores = Chores(config, outbox, clock, time.monotonic())
        self._mender = Mender(config, clock)
        self._rival = Rival()

    def step(self) -> None:
        """One round: do what the session says, take what the link brings, look after the rest.

        Raises:
            OutboxError: The outbox failed.
            ConfigError: A certificate, a key or the password cannot be read.
            RestartRequestedError: The configuration is to be read anew.
        """
        now_s = time.monotonic()
        match self._drain.next(now_s):
            case Connect():
                self._route = self.session.route
                self._link = open_link(self._config, self._route, health.last_will(self._config))
            case Publish() as wanted if self._link is not None and not self._is_held(now_s):
                self._drain.publish(self._link, wanted, now_s)
                self._take(0.0)
            case Publish():
                self._take(session.IDLE_S)
            case Drop(reason):
                self._complaints.link = refusals.SILENT
                self._drop(reason)
            case Wait(seconds):
                self._take(min(seconds, session.IDLE_S))
        self._tend()

    def close(self) -> None:
        """Tell the centre that this is no fault, and let go."""
        if self._link is not None and self.session.state is State.ONLINE:
            now_s = time.monotonic()
            mid = self._teller.say(self._link, "stopped", now_s)
            while time.monotonic() < now_s + GOODBYE_S:
                events = self._link.poll(0.1)
                if any(
                    isinstance(event, Closed) or (isinstance(event, Acknowledged) and event.mid == mid)
                    for event in events
                ):
                    break
        self._drop("stopped")

    def _is_held(self, now_s: float) -> bool:
        """Whether entries wait for an answer: about the centre's time, or by which topic a connection ends."""
        return self._time.awaited(now_s) or self._subscriptions.is_awaited(now_s)

    def _take(self, timeout_s: float) -> None:
        if self._link is None:
            time.sleep(timeout_s)
            return
        for event in self._link.poll(timeout_s):
            self._handle(event, time.monotonic())

    def _handle(self, event: Event, now_s: float) -> None:
        match event:
            case Opened():
                self.session.opened(now_s)
            case Ready():
                self._ready(event, now_s)
            case Subscribed(topic, name):
                self._subscriptions.answered(topic, name)
            case Received(topic, payload):
                further = self._inbox.take(topic, payload)
                if further is None:
                    self._receive(payload, now_s)
                elif further and self._link is not None:
                    self._subscriptions.ask(self._link, further, now_s)
            case Acknowledged():
                self._acknowledged(event, now_s)
            case Closed():
                self._closed(event, now_s)

    def _ready(self, event: Ready, now_s: float) -> None:
        route = self.session.route
        _log.info(line("online", broker=route.url, protocol=route.protocol, waiting=self._outbox.depth()))
        self._rival.let_in(now_s)
        self.session.connected(now_s, self._outbox.settled, event.receive_maximum)
        self._batches.begin(event.largest_bytes)
        self._complaints.link = ""
        self._complaints.topics.clear()
        self._teller.begin(now_s)
        self._time.begin(now_s)
        if self._link is not None:
            self._subscriptions.begin(self._link, now_s)

    def _closed(self, event: Closed, now_s: float) -> None:
        self._complaints.link = event.name
        if event.failure is None:
            is_idle = self.session.idle and not self._subscriptions.is_awaited(now_s)
            if event.reason == rival.CLOSED and self._rival.has_thrown_out(now_s, idle=is_idle):
                self._teller.taken_over(rival.SUSPECTED)
                self.session.failed(now_s, Failure.TAKEN_OVER)
            else:
                self.session.lost(now_s)
            self._drop(event.reason)
            return
        if event.failure is Failure.TAKEN_OVER:
            self._teller.taken_over(rival.TAKEN_OVER)
        else:
            self._rival.kept_out()
        self.session.failed(now_s, event.failure)
        self._drop(event.reason, "not-connected" if event.failure is Failure.UNREACHABLE else "offline")

    def _acknowledged(self, event: Acknowledged, now_s: float) -> None:
        """Entries that the broker refuses end the connection, for another broker may take them; another topic does not."""
        are_entries = event.topic == wire.entries_topic(self._config.kiosk.id)
        self._teller.acknowledged(event.mid, refused=bool(event.refusal))
        if event.refusal and not are_entries:
            if self._complaints.topics.get(event.topic) != event.name:
                _log.warning(line("publish-refused", topic=event.topic, reason=event.name))
            self._complaints.topics[event.topic] = event.name
            self.session.acknowledged(event.mid, now_s)
        elif event.refusal:
            self._complaints.entries = event.name
            self.session.failed(now_s, Failure.REFUSED)
            self._drop(f"publish refused: {event.refusal}")
        elif event.heard or not are_entries or self.session.rules.by_receipt:
            self._complaints.topics.pop(event.topic, None)
            if are_entries:
                self._complaints.entries = ""
            self._drain.acknowledged(event.mid, now_s)
            self._resends.acknowledged(event.mid)
        else:
            if self._complaints.entries != event.name:
                _log.warning(line("entries-not-settled", reason=event.name))
            self._complaints.entries = event.name
            self.session.unheard(event.mid, now_s)

    def _receive(self, payload: bytes, now_s: float) -> None:
        try:
            receipt = wire.decode_receipt(payload)
        except WireError as error:
            _log.warning(line("receipt-not-understood", reason=error))
            return
        if not self._drain.received(receipt, now_s):
            return
        self._resends.received(receipt)
        settings, is_encrypted = self._config.uplink, self.session.route.url.startswith("mqtts:")
        if self._time.answered(receipt.now_ns) and is_encrypted and settings.tls.while_clock_unset == "ignore-dates":
            self.session.lost(now_s)
            self._drop("the clock is set: certificates are judged by their dates again")

    def _drop(self, reason: str, what: str = "offline") -> None:
        now_s = time.monotonic()
        self._resends.forget()
        self._teller.lost(now_s)
        self._subscriptions.lost(now_s)
        if self._link is not None:
            _log.warning(line(what, broker=self._route.url, protocol=self._route.protocol, reason=reason))
            self._link.close()
            self._link = None

    def _tend(self) -> None:
        now_s = time.monotonic()
        self._inbox.tend()
        self._teller.tend_marks(now_s, self._drain.last_receipt_boot_ns)
        if self._link is not None and self.session.state is State.ONLINE:
            self._subscriptions.tend(self._link, now_s)
            self._time.tend(self._link, now_s)
            if not self._subscriptions.is_awaited(now_s):
                self._inbox.answer(self._link)
                self._teller.tend_status(self._link, now_s)
            if not self._is_held(now_s):
                self._resends.tend(self._link, now_s)
        self._chores.tend(now_s)
        self._mender.tend(now_s, online=self.session.state is State.ONLINE)


def run(config: Config, *, stop: Callable[[], bool], config_file: Path | None = None) -> None:
    """Deliver until told to stop.

    Args:
        config: The station's settings.
        stop: True once it shall end.
        config_file: Where they were read from, for a command or a provisioning code that has them read anew.

    Raises:
        OutboxError: The outbox cannot be opened, or failed.
        ConfigError: A certificate, a key or the password cannot be read.
        RestartRequestedError: The configuration is to be read anew.
    """
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    try:
        uplink = Uplink(config, outbox, SystemClock(config.state.runtime_dir), config_file)
        notifier = Notifier()
        try:
            while not stop():
                uplink.step()
                notifier.ready(uplink.session.state.value)
                notifier.alive()
                if config_file is not None and provision.tend(config_file, config.state.runtime_dir, notifier.alive):
                    raise RestartRequestedError
        except RestartRequestedError:
            uplink.close()
            raise
        notifier.stopping()
        uplink.close()
    finally:
        outbox.close()
