"""The drain loop: from the outbox to the centre, one straight line around `Link.poll`.

    head(n) → correct times → PUBLISH → receipt → settle            and, beside it: status · marks · sweep

A station whose clock was never set first asks for the centre's time, with a batch without entries, and sends entries when the
receipt has told it. If the broker's certificate was let in without its dates, the connection begins anew with them.

The loop owns nothing that matters: positions come from the outbox and from receipts (`kiosk.delivery.session`), so it can be killed
at any moment. Its ends are SIGTERM, which says "stopped" to the centre, and an outbox that fails, which a new process may
open again.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.clock import Clock, SystemClock, corrected, keep_anchor
from kiosk.commissioning import provision
from kiosk.delivery import session, wire
from kiosk.delivery.mqtt import Acknowledged, Closed, Event, Link, Ready, Received, open_link
from kiosk.delivery.session import Connect, Drop, Failure, Publish, Session, State, Wait
from kiosk.envelopes import remote
from kiosk.errors import LinkError, RestartRequestedError, WireError
from kiosk.log import line
from kiosk.model import ClockQuality, Moment
from kiosk.orders.executor import Executor
from kiosk.orders.lists import SignedLists
from kiosk.outbox import SWEEP_ROWS, Outbox
from kiosk.process.notify import Notifier
from kiosk.trust import fleet_keys
from kiosk.updates import updating

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kiosk.config import Config

_log = logging.getLogger(__name__)

MARKS_EVERY_S = 2.0
SWEEP_EVERY_S = 60.0
COMMANDS_EVERY_S = 1.0
"""Between two status messages that only tell of commands, at least."""
FIRST_RENEWAL_S = 20.0
RENEWAL_EVERY_S = 3600.0
"""How often the certificate's age is looked at."""
GOODBYE_S = 1.0
ASK_EVERY_S = 2.0
"""How often a station without a clock asks the centre for its time, until `uplink.receipt_timeout_s` have passed."""
ASK_LATER_S = 60.0
"""How often after that."""
AGAIN_EVERY_S = 1.0
_GOOD_MARKS = {
    ClockQuality.SYNCED: (b'"clock":"synced"',),
    ClockQuality.ESTIMATED: (b'"clock":"synced"', b'"clock":"estimated"'),
}


@dataclass(frozen=True, slots=True)
class _Resent:
    """Settled entries that are on their way once more."""

    first: int
    through: int
    mid: int


class Uplink:
    """The loop's parts. One thread only."""

    def __init__(self, config: Config, outbox: Outbox, clock: Clock, config_file: Path | None = None) -> None:
        self._config = config
        self._outbox = outbox
        self._outbox_id = outbox.id
        self._clock = clock
        settings = config.uplink
        self.session = Session(
            session.Rules(
                routes=session.routes_of(settings.brokers, settings.protocol),
                window=settings.window_batches,
                batch=settings.batch_entries,
                receipt_timeout_s=settings.receipt_timeout_s,
                longest_pause_s=settings.backoff_max_s,
                by_receipt=settings.settle_on == "receipt",
            ),
            random.random,
        )
        self._link: Link | None = None
        self._said_state: State | None = None
        self._next_marks_s = self._next_status_s = self._next_sweep_s = 0.0
        self._last_status_s = -COMMANDS_EVERY_S
        self._next_renewal_s = time.monotonic() + FIRST_RENEWAL_S
        self._last_receipt_boot_ns: int | None = None
        keys = fleet_keys.fleet_keys(config.trust.fleet_key_file)
        self._fleet_keys = keys
        self._executor = Executor(config, keys, outbox, clock, config_file)
        self._lists = SignedLists(config, keys)
        self._topics = (*self._lists.topics, *((remote.commands_topic(config.kiosk.id),) if keys else ()))
        self._said_commands = self._executor.report()
        self._asks_until_s = self._next_question_s = 0.0
        self._resent: _Resent | None = None
        self._next_again_s = 0.0

    def step(self) -> None:
        """One round: do what the session says, take what the link brings, look after the rest.

        Raises:
            OutboxError: The outbox failed.
            ConfigError: A certificate, a key or the password cannot be read.
            RestartRequestedError: The configuration is to be read anew.
        """
        now_s = time.monotonic()
        settled, last_seq = self._outbox.settled, self._outbox.last_seq
        if self._outbox.id != self._outbox_id:  # a damaged file was replaced
            self._outbox_id = self._outbox.id
            self.session.renumbered(now_s, settled)
        match self.session.next(now_s, settled, last_seq):
            case Connect():
                self._connect(now_s)
            case Publish() if now_s < self._asks_until_s:
                self._take(session.IDLE_S)
            case Publish(after_seq, limit):
                self._publish(after_seq, limit)
                self._take(0.0)
            case Drop(reason):
                self._drop(reason)
            case Wait(seconds):
                self._take(min(seconds, session.IDLE_S))
        self._tend()

    def close(self) -> None:
        """Tell the centre that this is no fault, and let go."""
        if self._link is not None and self.session.state is State.ONLINE:
            mid = self._say_status("stopped")
            deadline_s = time.monotonic() + GOODBYE_S
            while time.monotonic() < deadline_s:
                events = self._link.poll(0.1)
                if any(isinstance(event, Closed) or event == Acknowledged(mid, "") for event in events):
                    break
        self._drop("stopped")

    def _connect(self, now_s: float) -> None:
        route = self.session.route
        try:
            self._link = open_link(self._config, route, health.last_will(self._config), self._topics)
        except LinkError as error:
            _log.warning(line("not-connected", broker=route.url, protocol=route.protocol, reason=error))
            self.session.failed(now_s, Failure.UNREACHABLE)

    def _publish(self, after_seq: int, limit: int) -> None:
        rows = wire.fitting(self._outbox.head(after_seq, limit))
        if not rows:
            self.session.nothing_held(self._outbox.last_seq)
        if self._link is None or not rows or self._outbox.id != self._outbox_id:
            return
        self.session.published(self._send(self._link, rows), rows[-1][0], time.monotonic())

    def _send(self, link: Link, rows: list[wire.Row]) -> int:
        now = self._clock.now()
        rows = [(seq, _corrected(body, now)) for seq, body in rows]
        payload = wire.encode_batch(self._config.kiosk.id, self._outbox.id, rows, self._outbox.oldest_seq)
        if self._config.uplink.compress:
            payload = wire.packed(payload)
        return link.publish(wire.entries_topic(self._config.kiosk.id), payload)

    def _resend(self, now_s: float) -> None:
        """What somebody wants to have sent once more: a batch at a time, until a receipt says that the centre has it."""
        if self._link is None or not self.session.idle or now_s < max(self._next_again_s, self._asks_until_s):
            return
        self._resent = None
        self._next_again_s = now_s + AGAIN_EVERY_S
        wanted = self._outbox.wanted()
        if wanted is None:
            return
        rows = self._outbox.head(wanted.start - 1, min(len(wanted), self._config.uplink.batch_entries))
        rows = wire.fitting([row for row in rows if row[0] in wanted])
        if not rows:  # swept meanwhile
            self._outbox.resent(wanted.start, wanted[-1])
        elif self._outbox.id == self._outbox_id:
            mid = self._send(self._link, rows)
            self.session.resent(mid)
            self._resent = _Resent(wanted.start, rows[-1][0], mid)
            self._next_again_s = now_s + self._config.uplink.receipt_timeout_s

    def _settle_resent(self, *, through: int = 0, mid: int = 0) -> None:
        resent = self._resent
        if resent is not None and (resent.through <= through or resent.mid == mid):
            self._outbox.resent(resent.first, resent.through)
            self._resent = None
            self._next_again_s = 0.0

    def _take(self, timeout_s: float) -> None:
        if self._link is None:
            time.sleep(timeout_s)
            return
        for event in self._link.poll(timeout_s):
            self._handle(event, time.monotonic())

    def _handle(self, event: Event, now_s: float) -> None:
        match event:
            case Ready(receive_maximum):
                route = self.session.route
                _log.info(line("online", broker=route.url, protocol=route.protocol, waiting=self._outbox.depth()))
                self.session.connected(now_s, self._outbox.settled, receive_maximum)
                self._next_status_s = 0.0
                self._wait_for_time(now_s)
            case Received(topic, payload) if self._lists.are_at(topic):
                more = self._lists.take(topic, payload)
                if more is not None and self._link is not None:
                    self._link.subscribe(more)
            case Received(topic, payload) if topic in self._topics:
                self._executor.take(payload)
            case Received(_, payload):
                self._receive(payload, now_s)
            case Acknowledged(mid, ""):
                self._acknowledge(mid, now_s)
            case Acknowledged(_, refusal):
                self.session.failed(now_s, Failure.REFUSED)
                self._drop(f"publish refused: {refusal}")
            case Closed(reason, None):
                self.session.lost(now_s)
                self._drop(reason)
            case Closed(reason, failure):
                self.session.failed(now_s, failure or Failure.UNREACHABLE)
                self._drop(reason)

    def _acknowledge(self, mid: int, now_s: float) -> None:
        through = self.session.acknowledged(mid, now_s)
        if self._config.uplink.settle_on == "puback":
            self._settle_resent(mid=mid)
        if through:
            self._settle(through)

    def _receive(self, payload: bytes, now_s: float) -> None:
        try:
            receipt = wire.decode_receipt(payload)
        except WireError as error:
            _log.warning(line("receipt-not-understood", reason=error))
            return
        last_seq = self._outbox.last_seq
        if not receipt.outbox == self._outbox_id == self._outbox.id:
            return  # of a file that has been replaced since
        if receipt.through > last_seq:
            # The centre has had numbers that this file has yet to give out: the card was restored from an old copy.
            self._outbox.set_aside("the centre knows later entries of it")
            return
        self._settle(self.session.receipt(receipt.through, now_s))
        self._settle_resent(through=receipt.through)
        self._asks_until_s = 0.0
        if receipt.now_ns is not None:
            self._take_time(receipt.now_ns, now_s)

    def _wait_for_time(self, now_s: float) -> None:
        """Before any entry, so that those of this boot leave with the right time; what answers no question gets them late."""
        settings = self._config.uplink
        self._asks_until_s = now_s + settings.receipt_timeout_s if self._lacks_time() else 0.0
        self._next_question_s = now_s

    def _ask_time(self, now_s: float) -> None:
        """Also when nothing waits: without the time a door may have to refuse whoever would make an entry."""
        if self._link is None or self.session.state is not State.ONLINE or now_s < self._next_question_s:
            return
        self._next_question_s = now_s + (ASK_EVERY_S if now_s < self._asks_until_s else ASK_LATER_S)
        if not self._lacks_time():
            return
        question = wire.encode_batch(self._config.kiosk.id, self._outbox.id, [], self._outbox.oldest_seq)
        self._link.publish(wire.entries_topic(self._config.kiosk.id), question)

    def _lacks_time(self) -> bool:
        return self._config.uplink.settle_on == "receipt" and self._clock.now().quality is ClockQuality.UNSET

    def _take_time(self, centre_ns: int, now_s: float) -> None:
        settings = self._config
        try:
            if not keep_anchor(settings.state.runtime_dir, self._clock.now(), centre_ns):
                return
        except OSError as error:
            _log.warning(line("centre-time-not-kept", path=settings.state.runtime_dir, reason=error.strerror))
            return
        _log.info(line("clock-set", by="centre"))
        if self.session.route.url.startswith("mqtts:") and settings.uplink.tls.while_clock_unset == "ignore-dates":
            self.session.lost(now_s)
            self._drop("the clock is set: certificates are judged by their dates again")

    def _settle(self, through: int) -> None:
        self._outbox.settle(through, self._outbox_id)
        self._last_receipt_boot_ns = self._clock.boot_ns()

    def _drop(self, reason: str) -> None:
        self._resent, self._next_again_s = None, 0.0
        if self._link is not None:
            _log.warning(line("offline", broker=self.session.route.url, reason=reason))
            self._link.close()
            self._link = None

    def _tend(self) -> None:
        now_s = time.monotonic()
        self._tend_commands(now_s)
        if now_s >= self._next_marks_s or self.session.state is not self._said_state:
            self._next_marks_s = now_s + MARKS_EVERY_S
            self._said_state = self.session.state
            self._write_marks()
        if self.session.state is State.ONLINE and now_s >= self._next_status_s:
            self._next_status_s = now_s + self._config.status.every_s
            self._say_status(self.session.state.value)
        self._ask_time(now_s)
        self._resend(now_s)
        if now_s >= self._next_sweep_s:
            more = self._outbox.sweep(self._clock.now()) >= SWEEP_ROWS
            self._next_sweep_s = now_s + (session.IDLE_S if more else SWEEP_EVERY_S)
        if now_s >= self._next_renewal_s:
            self._next_renewal_s = now_s + RENEWAL_EVERY_S
            provision.renew_if_due(self._config, self._clock.now())

    def _tend_commands(self, now_s: float) -> None:
        """What became of a command is said at once, but a flood of them does not become a flood of answers."""
        self._executor.tend()
        report = self._executor.report()
        if report != self._said_commands:
            self._said_commands = report
            self._next_status_s = min(self._next_status_s, max(now_s, self._last_status_s + COMMANDS_EVERY_S))
        if self._link is not None and self.session.state is State.ONLINE:
            for letter in self._executor.letters():
                self._link.publish(remote.diagnostics_topic(self._config.kiosk.id), letter)

    def _say_status(self, state: str) -> int:
        if self._link is None:
            return 0
        self._last_status_s = time.monotonic()
        now = self._clock.now()
        further = provision.warnings(self._config, now)
        report, issued_s = self._executor.report(), self._lists.trust_issued_s
        update = updating.report(self._config, self._fleet_keys)
        message = health.status_message(
            self._config, self._outbox, now, state, report, further, issued_s, update=update
        )
        return self._link.publish(wire.status_topic(self._config.kiosk.id), message, retain=True)

    def _write_marks(self) -> None:
        marks = {
            "written_boot_ns": self._clock.boot_ns(),
            "state": self.session.state.value,
            "broker": self.session.route.url,
            "protocol": self.session.route.protocol,
            "last_receipt_boot_ns": self._last_receipt_boot_ns,
            "commands": self._executor.report(),
            "trust_issued_s": self._lists.trust_issued_s,
        }
        health.write_marks(self._config.state.runtime_dir, "uplink", marks)


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


def _corrected(body: bytes, now: Moment) -> bytes:
    """The entry with the time that a clock set since then gives it; rotten rows travel as they are."""
    if any(mark in body for mark in _GOOD_MARKS.get(now.quality, (b"",))):
        return body
    try:
        at = wire.decode_entry(body).at
    except WireError:
        return body
    better = corrected(at, now)
    return body if better is at else wire.with_moment(body, better)
