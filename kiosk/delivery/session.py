"""The uplink's automaton: when to connect and where, what to send next, when to give a connection up. No I/O, no clock.

               begin                opened, connected
    OFFLINE ───────────▶ CONNECTING ─────────────────▶ ONLINE
       ▲  pause over          │ failed · too late         │ lost · publish refused · taken over
       └──────────────────────┴───────────────────────────┘

Positions are derived, never kept: a new connection starts behind what the outbox says is settled. It starts with one
batch, because the centre's receipt for it says how far the centre really is; then the window opens. If that receipt says
less than is settled, the centre was set back (a ledger restored from a copy), and what it lacks is sent again. If no receipt comes
in time, it is back to one batch with a patience that doubles, so that a centre that is away does not have its broker
filled with copies.

Which broker it is, by which protocol, and how long the pauses are is another one's to decide: `kiosk.delivery.routes`.

Time is a parameter: seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kiosk.delivery.batch_size import BatchSize
from kiosk.delivery.routes import Attempts, Failure, routes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.config import Uplink
    from kiosk.delivery.routes import Route

OPEN_S = 45.0
"""Longest time until the connection stands. The link tells of its failure before that; this is for one that tells nothing."""
CONNECT_S = 10.0
"""Longest time from there to the subscription's acknowledgement."""
MOST_PATIENCE = 16
IDLE_S = 0.1
"""How often the outbox is asked for new entries while nothing else happens."""


class State(StrEnum):
    """How the link is."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the automaton.

    Attributes:
        routes: Tried in turn; at least one. Those of one broker stand together, the preferred protocol first.
        window: Batches without a receipt, at most.
        batch: Entries in a batch, at most.
        receipt_timeout_s: Seconds without progress until the first unsettled batch is sent again.
        longest_pause_s: Upper limit of the pause between attempts.
        by_receipt: False if a PUBACK settles.
    """

    routes: tuple[Route, ...]
    window: int
    batch: int
    receipt_timeout_s: float
    longest_pause_s: float
    by_receipt: bool = True


@dataclass(frozen=True, slots=True)
class Connect:
    """Open this route."""

    route: Route


@dataclass(frozen=True, slots=True)
class Publish:
    """Send the next entries behind this one, then say `published`; where the first is doubted, a notice in its place."""

    after_seq: int
    limit: int
    is_doubted: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection, which has been given up for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for the link, or for time to pass, no longer than this."""

    seconds: float


Action = Connect | Publish | Drop | Wait


@dataclass(slots=True)
class _Flight:
    mid: int
    through: int
    entries: int
    acknowledged: bool = False


@dataclass
class Session:
    """One uplink. Ask `next`, do what it says, report what happened.

    Attributes:
        rules: Its settings.
        random: Uniform in [0, 1), for the jitter.
        state: How the link is.
    """

    rules: Rules
    random: Callable[[], float]
    state: State = State.OFFLINE
    _connect_until_s: float = 0.0
    _connected_s: float = 0.0
    _is_open: bool = False
    _settled: int = 0
    _start: int = 0
    _position: int = 0
    _sent: int = 0
    _window: int = 1
    _broker_window: int = 1
    _patience: int = 1
    _progress_s: float = 0.0
    _hold_until_s: float = 0.0
    _resent: int = 0
    _flights: deque[_Flight] = field(default_factory=deque)
    _unacknowledged: set[int] = field(default_factory=set)
    _attempts: Attempts = field(init=False)
    _size: BatchSize = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the first route, and with batches of the size that is wished for."""
        self._size = BatchSize(self.rules.batch)
        self._attempts = Attempts(self.rules.routes, self.rules.longest_pause_s, self.random)

    @property
    def route(self) -> Route:
        """Where the present or the next attempt goes."""
        return self._attempts.route

    @property
    def idle(self) -> bool:
        """Whether it is online, and nothing that was sent waits for its receipt."""
        return self.state is State.ONLINE and not self._flights and len(self._unacknowledged) < self._broker_window

    def next(self, now_s: float, settled: int, last_seq: int) -> Action:
        """What to do now.

        Args:
            now_s: Now.
            settled: Everything up to this sequence number is settled in the outbox.
            last_seq: The newest sequence number in the outbox.
        """
        match self.state:
            case State.OFFLINE:
                if now_s < self._attempts.pause_until_s:
                    return Wait(self._attempts.pause_until_s - now_s)
                self.state = State.CONNECTING
                self._connect_until_s = now_s + OPEN_S
                self._is_open = False
                return Connect(self.route)
            case State.CONNECTING:
                if now_s < self._connect_until_s:
                    return Wait(min(IDLE_S, self._connect_until_s - now_s))
                if not self._is_open:
                    self.failed(now_s, Failure.UNREACHABLE)
                    return Drop(f"no connection within {OPEN_S:.0f} s")
                self.failed(now_s, Failure.NOT_SPOKEN)  # some brokers answer an unknown protocol with silence
                return Drop(f"no answer within {CONNECT_S:.0f} s")
            case _:
                return self._send(now_s, settled, last_seq)

    def opened(self, now_s: float) -> None:
        """The connection stands: from now on the broker has its time to answer, however long it took to find it."""
        self._is_open = True
        self._connect_until_s = now_s + CONNECT_S

    def connected(self, now_s: float, settled: int, receive_maximum: int) -> None:
        """The broker has accepted the connection and the subscription.

        Args:
            now_s: Now.
            settled: As in `next`.
            receive_maximum: Unacknowledged PUBLISHes that the broker takes, 1 or greater.
        """
        self.state = State.ONLINE
        self._connected_s = now_s
        self._patience = 1
        self._broker_window = max(1, receive_maximum)
        self.rewind(now_s, settled)
        if not self.rules.by_receipt:
            self._proven()

    def published(self, mid: int, through: int, now_s: float) -> None:
        """A batch is on its way.

        Args:
            mid: The PUBLISH's message id.
            through: Its last sequence number.
            now_s: Now.
        """
        if not self._flights:
            self._progress_s = now_s
        entries = max(1, through - self._position)
        self._position = through
        self._sent = max(self._sent, through)
        self._flights.append(_Flight(mid, through, entries))
        self._unacknowledged.add(mid)

    @property
    def batch(self) -> int:
        """Entries in the next message, at most."""
        return self._size.now

    def resent(self, mid: int, entries: int) -> None:
        """So many settled entries are on their way once more; they count for the broker's window and its largest message."""
        self._unacknowledged.add(mid)
        self._resent = entries

    def resend_ended(self, *, arrived: bool) -> None:
        """What was sent once more has arrived, or was waited for in vain; of one entry alone that says nothing of others."""
        if self._resent and arrived:
            self._size.came_through(self._resent)
        elif self._resent > 1:
            self._size.failed(self._resent)
        self._resent = 0

    def nothing_held(self, through: int) -> None:
        """There is nothing to be sent up to here: it is settled and deleted."""
        self._position = max(self._position, through)

    def acknowledged(self, mid: int, now_s: float) -> int:
        """A PUBACK has come.

        Returns:
            The sequence number up to which it settles; 0 if it settles nothing.
        """
        self._unacknowledged.discard(mid)
        for flight in self._flights:
            flight.acknowledged = flight.acknowledged or flight.mid == mid
        if self.rules.by_receipt:
            return 0
        through = 0
        while self._flights and self._flights[0].acknowledged:
            through = self._landed()
            self._progress_s = now_s
            self._proven()
        return through

    def unheard(self, mid: int, now_s: float) -> None:
        """The broker has taken a batch that nobody gets, or that it vouches for in no way: where its word settles, this settles nothing."""
        self._unacknowledged.discard(mid)
        if self.rules.by_receipt or all(flight.mid != mid for flight in self._flights):
            return
        self._hold_until_s = now_s + self.rules.receipt_timeout_s * self._patience
        self._patience = min(2 * self._patience, MOST_PATIENCE)
        self.rewind(now_s, self._settled)

    def receipt(self, through: int, now_s: float) -> int:
        """The centre has everything up to this sequence number.

        Returns:
            The sequence number up to which that settles: none that was not sent from here. A card that was restored from
            an old copy gives out numbers again that the centre knows; its new entries under them must be sent.
        """
        if self._flights and self._window == 1 and through < self._start:  # the centre was set back
            self.rewind(now_s, through)
            return through
        through = min(through, self._sent)
        while self._flights and self._flights[0].through <= through:
            self._landed()
            self._progress_s = now_s
            self._proven()
        if through > self._position:
            self._position = through
            self._flights.clear()
            self._proven()
        return through

    def renumbered(self, now_s: float, settled: int) -> None:
        """Another outbox file has taken the place of the last one: its numbers mean other entries."""
        self._sent = 0
        self.rewind(now_s, settled)

    def rewind(self, now_s: float, settled: int) -> None:
        """Begin again behind what is settled, with one batch."""
        self._start = self._position = settled
        self._window = 1
        self._flights.clear()
        self._progress_s = now_s

    def failed(self, now_s: float, why: Failure) -> None:
        """The connection did not come about, or the broker refuses what it should carry, or serves another of this name."""
        self._attempts.failed(now_s, why)
        if why is Failure.TAKEN_OVER:
            self._flights.clear()  # which says nothing of their size
        self._leave()

    def lost(self, now_s: float) -> None:
        """A connection that stood is gone: the same broker first, with the protocol it speaks best."""
        self._attempts.lost(now_s, now_s - self._connected_s)
        self._leave()

    def _send(self, now_s: float, settled: int, last_seq: int) -> Action:
        timeout_s = self.rules.receipt_timeout_s * self._patience
        if settled < self._settled:  # somebody wants it sent again
            self.rewind(now_s, settled)
        self._settled = settled
        if self._flights and now_s - self._progress_s >= timeout_s:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
            self._size.failed(self._flights[0].entries)  # some brokers acknowledge what is too large, and drop it
            self.rewind(now_s, settled)
        if now_s < self._hold_until_s:
            return Wait(min(IDLE_S, self._hold_until_s - now_s))
        window = 1 if self._size.is_doubted else self._window  # of the next entry alone it is known
        has_room = len(self._flights) < window and len(self._unacknowledged) < self._broker_window
        if self._position < last_seq and has_room:
            return Publish(self._position, self._size.now, self._size.is_doubted)
        return Wait(IDLE_S)

    def _proven(self) -> None:
        """The far side answers: open the window and forget the failures."""
        self._window = self.rules.window
        self._patience = 1
        self._attempts.proven()

    def _landed(self) -> int:
        """The oldest batch has arrived; its last number."""
        flight = self._flights.popleft()
        self._size.came_through(flight.entries)
        return flight.through

    def _leave(self) -> None:
        resent = self._resent if self._resent > 1 else 0
        under_way = max((*(flight.entries for flight in self._flights), resent), default=0)
        if under_way:  # it may have been more than the broker takes
            self._size.failed(under_way)
        self._resent, self._hold_until_s = 0, 0.0
        self.state = State.OFFLINE
        self._flights.clear()
        self._unacknowledged.clear()


def rules_of(settings: Uplink) -> Rules:
    """The automaton's settings, from the station's."""
    return Rules(
        routes=routes_of(settings.brokers, settings.protocol),
        window=settings.window_batches,
        batch=settings.batch_entries,
        receipt_timeout_s=settings.receipt_timeout_s,
        longest_pause_s=settings.backoff_max_s,
        by_receipt=settings.settle_on == "receipt",
    )
