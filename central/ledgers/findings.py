"""What the ledger shows that should not be: each finding with its cause and its remedy, and whether an operator has closed it.

    missing          numbers that have not come, though later ones have
    set-aside        rows that were no entry: rotten on the card
    oversized        entries that wait at their station, because each alone is more than the broker takes
    restored-copy    numbers given out again after the machine that gave them first fell silent: an old copy of a card came back
    two-machines     two machines speak as one station: numbers given out twice side by side, or a start that goes on after the next one

A station starts (boots), delivers, and starts again: the entries of a start come after those of the one before, whatever its clock
says, because an outbox sends in order. So a start that is heard again after another has begun is another machine. That is measured by
the centre's own time of arrival; by the numbers, where both starts wrote one outbox file; and by the stations' time, where both knew it.
A card in another board, a card written anew under the same name and a clock that goes back are therefore no finding.

A finding that was closed is open again once there is evidence that was not there when it was closed. Pure: what the ledger knows comes in.

Units: `_ns` nanoseconds of Unix time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from central.ledgers.runs import runs_of
from kiosk.delivery.poison import OVERSIZED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from uuid import UUID

    from central.ledgers.ledger import Closing, Stream

    Time = Callable[[int], str]
    """Says a time of the ledger to people."""

TWICE = "number used twice"
"""Why the second entry of a number is among what was set aside; the entry itself is kept."""
BESIDE_NS = 300 * 1_000_000_000
"""A start that is heard again for less after the next has begun may be one whose last batches were overtaken."""
MOST_NAMED = 6
"""Of more runs of numbers, or starts, only the first are named."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What one start of a machine has brought into one stream.

    Attributes:
        kiosk: The station that it says it is.
        outbox: The outbox file's id.
        id: Of the start, random, from the kernel.
        first: Its lowest number.
        last: Its highest.
        first_received_ns: When its first entry came.
        last_received_ns: When its last one came.
        first_wall_ns: The earliest time of its own, where it knew one; None if it never did.
        last_wall_ns: The latest.
    """

    kiosk: str
    outbox: UUID
    id: str
    first: int
    last: int
    first_received_ns: int
    last_received_ns: int
    first_wall_ns: int | None = None
    last_wall_ns: int | None = None

    @property
    def walls_ns(self) -> tuple[int, int] | None:
        """Its own times, from the earliest to the latest, where it knew one."""
        return (
            None if self.first_wall_ns is None or self.last_wall_ns is None else (self.first_wall_ns, self.last_wall_ns)
        )


@dataclass(frozen=True, slots=True)
class Twice:
    """One of several entries under one number; in order of station, outbox, number and arrival."""

    kiosk: str
    outbox: UUID
    seq: int
    boot: str
    received_ns: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A row that was set aside."""

    kiosk: str
    outbox: UUID
    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be.

    Attributes:
        name: By which an operator closes it: `door-1/missing/0198c5e2`.
        cause: What was seen, and what it comes of.
        remedy: What to do.
        count: How much evidence there is; it never shrinks but by being mended.
        newest: The newest of it, a time or a number: more of the kind is greater.
        covers: What a closing covers; evidence up to there was known to whoever closed it.
    """

    name: str
    cause: str
    remedy: str
    count: int
    newest: int
    covers: int

    def is_closed_by(self, closing: Closing) -> bool:
        """Whether it was closed with all the evidence that there is now."""
        return closing.finding == self.name and self.count <= closing.count and self.newest <= closing.covers


def findings_of(
    streams: Iterable[Stream], boots: Sequence[Boot], twice: Iterable[Twice], troubles: Iterable[Trouble], time: Time
) -> Iterator[Finding]:
    """All of them, station by station.

    Args:
        streams: The deliveries of every outbox file.
        boots: Every start.
        twice: Every entry whose number has another one, too.
        troubles: Every row that was set aside.
        time: Says a time to people.
    """
    of_stream: dict[tuple[str, UUID], list[Trouble]] = defaultdict(list)
    for trouble in troubles:
        of_stream[trouble.kiosk, trouble.outbox].append(trouble)
    doubles: dict[str, dict[UUID, list[Twice]]] = defaultdict(lambda: defaultdict(list))
    for one in twice:
        doubles[one.kiosk][one.outbox].append(one)
    for stream in streams:
        yield from _of_stream(stream, of_stream[stream.kiosk, stream.outbox])
    stations: dict[str, list[Boot]] = defaultdict(list)
    for boot in boots:
        stations[boot.kiosk].append(boot)
    for kiosk, own in stations.items():
        yield from _of_station(kiosk, own, doubles[kiosk], time)


def _of_stream(stream: Stream, troubles: Sequence[Trouble]) -> Iterator[Finding]:
    if stream.gaps:
        count = sum(last - first + 1 for first, last in stream.gaps)
        yield Finding(
            f"{stream.kiosk}/missing/{_short(stream.outbox)}",
            f"{_named(stream.gaps)} of outbox {_short(stream.outbox)} have not come, though later ones have",
            f"on the station: `kiosk outbox --resend {stream.gaps[0][0]}..{stream.gaps[-1][1]}`; what it no longer holds is lost with its card",
            count,
            stream.gaps[-1][1],
            stream.gaps[-1][1],
        )
    oversized = sorted({trouble.seq for trouble in troubles if trouble.reason == OVERSIZED})
    if oversized:
        yield Finding(
            f"{stream.kiosk}/oversized/{_short(stream.outbox)}",
            f"{_named(list(runs_of(oversized)))} of outbox {_short(stream.outbox)} wait at the station: each alone is more than the broker's"
            " largest message",
            "raise that limit at the broker (mosquitto: max_packet_size); the station keeps them, and sends them by itself within an hour",
            len(oversized),
            oversized[-1],
            oversized[-1],
        )
    rotten = sorted({trouble.seq for trouble in troubles if trouble.reason not in {TWICE, OVERSIZED}})
    if rotten:
        yield Finding(
            f"{stream.kiosk}/set-aside/{_short(stream.outbox)}",
            f"{_named(list(runs_of(rotten)))} of outbox {_short(stream.outbox)} were no entries when they came: their rows have rotted on"
            " the card",
            "replace the card, and keep it: docs/replacing.md; the rows as they came are in the ledger's table `aside`",
            len(rotten),
            rotten[-1],
            rotten[-1],
        )


def _of_station(kiosk: str, boots: Sequence[Boot], doubles: dict[UUID, list[Twice]], time: Time) -> Iterator[Finding]:
    starts = _merged(boots)
    pairs = {frozenset((one.id, other.id)) for one, other in combinations(boots, 2) if _beside(one, other)}
    shared: dict[UUID, list[Twice]] = {}
    for outbox, rows in doubles.items():
        histories = _histories(rows)
        if all(_ended(starts[before], starts[after]) for before, after in histories):
            yield _restored(kiosk, outbox, rows, [(starts[before], starts[after]) for before, after in histories], time)
        else:
            shared[outbox] = rows
            pairs |= {frozenset(history) for history in histories}
    if shared or pairs:
        yield _two_machines(kiosk, shared, [[starts[each] for each in sorted(pair)] for pair in pairs], time)


def _histories(rows: Sequence[Twice]) -> list[tuple[str, str]]:
    """Which start gave a number out first, and which again; each pair once, in order."""
    found: dict[tuple[str, str], None] = {}
    first: Twice | None = None
    for row in rows:
        if first is None or row.seq != first.seq:
            first = row
        else:
            found[first.boot, row.boot] = None
    return list(found)


def _merged(boots: Sequence[Boot]) -> dict[str, Boot]:
    """Each start over all the files that it wrote."""
    merged: dict[str, Boot] = {}
    for boot in boots:
        known = merged.get(boot.id, boot)
        merged[boot.id] = Boot(
            boot.kiosk, known.outbox, boot.id, known.first, known.last,
            min(known.first_received_ns, boot.first_received_ns), max(known.last_received_ns, boot.last_received_ns),
        )  # fmt: skip
    return merged


def _ended(before: Boot, after: Boot) -> bool:
    """Whether one start was over when the other began to deliver."""
    return before.last_received_ns < after.first_received_ns


def _beside(one: Boot, other: Boot) -> bool:
    """Whether one start has gone on to deliver after the other had begun, as one machine's cannot."""
    if one.id == other.id:
        return False
    earlier, later = sorted((one, other), key=lambda boot: boot.first_received_ns)
    if earlier.last_received_ns - later.first_received_ns < BESIDE_NS:
        return False
    if one.outbox == other.outbox and (one.last < other.first or other.last < one.first):
        return False  # one after the other, whatever the centre's clock did meanwhile
    walls_ns, others_ns = one.walls_ns, other.walls_ns
    if walls_ns is None or others_ns is None:
        return True
    return max(walls_ns[0], others_ns[0]) <= min(walls_ns[1], others_ns[1])


def _restored(
    kiosk: str, outbox: UUID, rows: Sequence[Twice], pairs: Sequence[tuple[Boot, Boot]], time: Time
) -> Finding:
    numbers = sorted({row.seq for row in rows})
    before = max(pair[0].last_received_ns for pair in pairs)
    after = min(pair[1].first_received_ns for pair in pairs)
    return Finding(
        f"{kiosk}/restored-copy/{_short(outbox)}",
        f"{_named(list(runs_of(numbers)))} of outbox {_short(outbox)} were given out twice: by a start that was last heard at"
        f" {time(before)}, and again from {time(after)} on: an older copy of the card has come back",
        "nothing is lost, both entries of each number are kept; do not put an image of a used card back, set the station up anew:"
        " docs/replacing.md",
        len(numbers),
        max(row.received_ns for row in rows),
        max(row.received_ns for row in rows),
    )


def _two_machines(kiosk: str, shared: dict[UUID, list[Twice]], pairs: Sequence[list[Boot]], time: Time) -> Finding:
    """A pair is of one start only if its file was copied while it ran.

    New evidence is that both were heard again: the one that stays goes on by itself.
    """
    seen = []
    count = len(pairs)
    newest = [min(boot.last_received_ns for boot in pair) for pair in pairs if len(pair) > 1]
    for outbox, rows in shared.items():
        numbers = sorted({row.seq for row in rows})
        seen.append(f"{_named(list(runs_of(numbers)))} of outbox {_short(outbox)} were given out by both")
        count += len(numbers)
        newest.append(max(row.received_ns for row in rows))
    starts = sorted({boot for pair in pairs for boot in pair}, key=lambda boot: (boot.first_received_ns, boot.id))
    seen += [
        f"start {boot.id[:8]} was heard from {time(boot.first_received_ns)} to {time(boot.last_received_ns)} (outbox"
        f" {_short(boot.outbox)})"
        for boot in starts[:MOST_NAMED]
    ]
    more = "; …" if len(starts) > MOST_NAMED else ""
    return Finding(
        f"{kiosk}/two-machines",
        f"two machines speak as {kiosk}, as two cards written from one do: {'; '.join(seen)}{more}",
        f"nothing is lost, both entries of each number are kept; find both machines, and keep one as {kiosk} with a key of its own"
        f" (`central fleet replace {kiosk}`); set the other up under a name of its own (`central provision`), or wipe its card",
        count,
        max(newest),
        max(*newest, *(boot.last_received_ns for boot in starts)),
    )


def _named(runs: Sequence[tuple[int, int]]) -> str:
    """`number 7`, `numbers 3-5, 9`."""
    several = len(runs) > 1 or runs[0][0] != runs[0][1]
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:MOST_NAMED]]
    return f"number{'s' if several else ''} {', '.join(texts)}{', …' if len(runs) > MOST_NAMED else ''}"


def _short(outbox: UUID) -> str:
    return str(outbox)[:8]
