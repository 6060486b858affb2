"""`central simulate`: a fleet's morning peak over a real broker into a real ledger, and an audit at the end.

The kiosks are light ones (`central.simulate.light_kiosk`) in a few processes; broker and collector are those that run already. The
judge compares the id of every entry that was sent with what is in the ledger, so it does not believe the receipts that it
measures.

Units: `_s` seconds, `_ms` milliseconds.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
from array import array
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from central.commands import options as shared
from central.intake.collector import check_url
from central.ledgers.choice import open_ledger
from central.simulate.light_kiosk import CONNECT_ALL_S, Plan, Tally, work
from kiosk.cli import values
from kiosk.errors import ConfigError, LinkError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from central.ledgers.ledger import Ledger

FILES_A_KIOSK = 3
"""A socket, and the pair that paho wakes its thread with, had it one."""
FILES_BESIDE = 100
GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit found.

    Attributes:
        sent: Entries that the kiosks sent.
        in_ledger: Of those, how many the ledger holds.
        doubled: Rows that are there twice, or that nobody sent.
        incomplete: Kiosks whose numbers have a gap.
    """

    sent: int
    in_ledger: int
    doubled: int
    incomplete: int

    @property
    def lost(self) -> int:
        """Entries that are nowhere."""
        return self.sent - self.in_ledger


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--broker", default=shared.DEFAULT_BROKER, metavar="URL", help="default: %(default)s")
    parser.add_argument(
        "--ledger", required=True, metavar="FILE|URL", help="that `central collect` fills, new and empty"
    )
    parser.add_argument("--kiosks", type=values.whole(1), default=10_000, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--entries", type=values.whole(1), default=100, metavar="N", help="of each kiosk (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=values.number(), default=300.0, metavar="S", help="length of the peak (default: %(default)s)"
    )
    parser.add_argument(
        "--away-share",
        type=values.number(0, 1),
        default=0.1,
        metavar="P",
        help="part that loses its network and comes back (default: 0.1)",
    )
    parser.add_argument("--processes", type=values.whole(1), default=4, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--patience",
        type=values.number(),
        default=120.0,
        metavar="S",
        help="longest wait for the last receipt (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=values.whole(), default=1, metavar="N", help="of the times and names (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Simulate, audit, print; 1 if anything was lost or doubled, or a kiosk never connected.

    Raises:
        LinkError: The broker's address is none.
        ConfigError: The ledger holds something already, or the system allows too few open files.
        LedgerError: There is no ledger.
    """
    with closing(open_ledger(arguments.ledger, existing=True)) as ledger:
        if ledger.streams():
            raise ConfigError(
                f"the ledger {arguments.ledger} holds entries",
                hint="invented people belong into a ledger of their own: start `central collect` with a new one",
            )
    plans = _plans(arguments)
    _allow_files(FILES_A_KIOSK * max(plan.kiosks for plan in plans) + FILES_BESIDE)
    stand, tallies = _run(plans)
    with closing(open_ledger(arguments.ledger, existing=True)) as ledger:
        verdict = audit(ledger, tallies)
    _print(arguments, stand, tallies, verdict)
    complete = stand == arguments.kiosks and len(tallies) == len(plans)
    return 0 if complete and verdict.sent and not (verdict.lost or verdict.doubled or verdict.incomplete) else 1


def audit(ledger: Ledger, tallies: Sequence[Tally]) -> Verdict:
    """Lay what was sent beside what is there.

    Args:
        ledger: Where everything should be.
        tallies: What the processes sent.
    """
    sent = {bytes(tally.ids[at : at + 16]) for tally in tallies for at in range(0, len(tally.ids), 16)}
    found: set[bytes] = set()
    rows = strangers = 0
    for row in ledger.entries():
        rows += 1
        strangers += row.entry.id.bytes not in sent
        found.add(row.entry.id.bytes)
    streams = {(stream.kiosk, stream.outbox): stream for stream in ledger.streams()}
    incomplete = 0
    for tally in tallies:
        for kiosk, outbox, made in tally.streams:
            stream = streams.get((kiosk, outbox))
            incomplete += made > 0 and (stream is None or not stream.complete or stream.through != made)
    doubled = ledger.doubled() + rows - len(found) + strangers
    return Verdict(len(sent), len(sent & found), doubled, incomplete)


def _plans(arguments: argparse.Namespace) -> list[Plan]:
    parts = urlsplit(check_url(arguments.broker))
    if parts.scheme != "mqtt":
        raise LinkError(f"{arguments.broker} is encrypted", hint="write mqtt://host:1883; TLS is not simulated")
    port = parts.port or 1883
    processes = min(arguments.processes, arguments.kiosks)
    plans = []
    for number in range(processes):
        first = number * arguments.kiosks // processes
        count = (number + 1) * arguments.kiosks // processes - first
        plans.append(
            Plan(
                parts.hostname or "", port, first + 1, count, arguments.entries, arguments.seconds, arguments.away_share,
                arguments.patience, arguments.seed,
            )
        )  # fmt: skip
    return plans


def _allow_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(f"{hard} open files are allowed, {needed} needed", hint="raise `ulimit -Hn`, or --processes")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _run(plans: Sequence[Plan]) -> tuple[int, list[Tally]]:
    """All processes, from the first connection to the last receipt.

    Returns:
        How many kiosks connected, and what each process that came to its end saw.
    """
    context = multiprocessing.get_context("spawn")
    workers: list[tuple[SpawnProcess, Connection]] = []
    try:
        for plan in plans:
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(plan, theirs), name=f"kiosks-{plan.first}")
            process.start()
            theirs.close()
            workers.append((process, ours))
        _say(f"connecting {sum(plan.kiosks for plan in plans)} kiosks")
        stand = sum(int(_heard(pipe, CONNECT_ALL_S + GRACE_S) or 0) for _, pipe in workers)  # type: ignore[call-overload]
        _say(f"{stand} stand; the peak begins, {plans[0].seconds:.0f} s")
        for _, pipe in workers:
            pipe.send(True)
        longest_s = plans[0].seconds + plans[0].patience_s + GRACE_S
        tallies = [tally for _, pipe in workers if isinstance(tally := _heard(pipe, longest_s), Tally)]
        _say("audit")
        return stand, tallies
    finally:
        for process, pipe in workers:
            pipe.close()
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join(10)


def _heard(pipe: Connection, timeout_s: float) -> object:
    try:
        return pipe.recv() if pipe.poll(timeout_s) else None
    except (EOFError, OSError):
        return None


def _say(text: str) -> None:
    print(f"simulate: {text}", file=sys.stderr, flush=True)


def _print(arguments: argparse.Namespace, stand: int, tallies: Sequence[Tally], verdict: Verdict) -> None:
    connect, receipt = array("d"), array("d")
    for tally in tallies:
        connect += tally.connect_s
        receipt += tally.receipt_s
    began_s = min((tally.first_s for tally in tallies if tally.first_s), default=0.0)
    took_s = max(1e-9, max((tally.last_s for tally in tallies), default=0.0) - began_s)
    receipted = sum(tally.receipted for tally in tallies)
    print(
        f"simulate kiosks={arguments.kiosks} connected={stand} connect_p50_ms={_ms(connect, 0.5)} "
        f"connect_p99_ms={_ms(connect, 0.99)} lost_connections={sum(tally.losses for tally in tallies)}"
    )
    print(
        f"delivered entries={receipted} messages={sum(tally.messages for tally in tallies)} "
        f"sent_again={sum(tally.again for tally in tallies)} took_s={took_s:.1f} rate={receipted / took_s:.0f}/s "
        f"receipt_p50_ms={_ms(receipt, 0.5)} receipt_p99_ms={_ms(receipt, 0.99)} receipt_max_ms={_ms(receipt, 1.0)}"
    )
    print(
        f"audit sent={verdict.sent} in_ledger={verdict.in_ledger} lost={verdict.lost} doubled={verdict.doubled} "
        f"incomplete={verdict.incomplete}"
    )


def _ms(values: array[float], share: float) -> str:
    """A percentile in milliseconds; a dash if there is none."""
    if not values:
        return "-"
    ordered = sorted(values)
    return f"{1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.0f}"
