"""`central audit`: is every entry of every kiosk there, once? What is not as it should be, why, and what to do; closed by an operator's word."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from central.commands import options as shared
from central.keys import opening
from central.ledgers.choice import open_ledger
from central.ledgers.export import printable
from central.ledgers.findings import TWICE, findings_of
from central.ledgers.ledger import Closing
from kiosk.errors import LedgerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import tzinfo

    from central.ledgers.findings import Finding, Trouble
    from central.ledgers.ledger import Ledger, Stream


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    shared.add_ledger(parser)
    shared.add_kiosk(parser)
    parser.add_argument(
        "--close",
        metavar="FINDING",
        help="close this finding, named as the audit names it; it is open again once there is more evidence of it",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why it is closed, for --close; it stays in the ledger")
    shared.add_zone(parser)


def run(arguments: argparse.Namespace) -> int:
    """A line for each outbox file and each finding, and a sum; 1 if a finding is open, or nothing is there."""
    ledger = open_ledger(arguments.ledger, existing=True)
    try:
        streams, troubles = ledger.streams(arguments.kiosk), ledger.troubles(arguments.kiosk)
        entries, doubled = ledger.count(arguments.kiosk), ledger.doubled(arguments.kiosk)
        twice = ledger.twice(arguments.kiosk) if doubled else []
        said = partial(_minute, arguments.zone)
        found = list(findings_of(streams, ledger.boots(arguments.kiosk), twice, troubles, said))
        if arguments.close is not None or arguments.reason is not None:
            _close(ledger, found, arguments)
        closings = ledger.closings()
    finally:
        ledger.close()
    for stream in streams:
        print(_verdict(stream, troubles))
    open_ = 0
    for finding in found:
        closing = next((each for each in reversed(closings) if finding.is_closed_by(each)), None)
        open_ += closing is None
        for line in _told(finding, closing, closings, arguments.zone):
            print(printable(line))
    missing = sum(last - first + 1 for stream in streams for first, last in stream.gaps)
    aside = sum(stream.aside for stream in streams)
    print(
        f"audit streams={len(streams)} entries={entries} missing={missing} doubled={doubled} set_aside={aside}"
        f" open={open_} closed={len(found) - open_}"
    )
    return 0 if streams and not open_ else 1


def _close(ledger: Ledger, found: Sequence[Finding], arguments: argparse.Namespace) -> None:
    """Write the operator's word down, with the evidence that there is.

    Raises:
        LedgerError: There is no such finding, or it could not be written.
        SealError: There is no reason.
    """
    if arguments.close is None:
        raise LedgerError("which finding is closed?", hint="name it with --close, as `central audit` names it")
    finding = next((each for each in found if each.name == arguments.close), None)
    if finding is None:
        names = ", ".join(each.name for each in found) or "nothing"
        raise LedgerError(f"there is no finding {arguments.close!r}", hint=f"the audit finds {names}")
    reason = opening.reason_of(arguments.reason or "")
    ledger.note_closing(Closing(time.time_ns(), opening.user(), reason, finding.name, finding.count, finding.covers))


def _told(finding: Finding, closing: Closing | None, closings: Sequence[Closing], office: tzinfo) -> list[str]:
    """What it is; of an open one the remedy, too, and of a closed one whose word that is."""
    if closing is not None:
        return [f"finding {finding.name} closed {_word(closing, office)}: {finding.cause}"]
    lines = [f"finding {finding.name} OPEN: {finding.cause}", f"  remedy: {finding.remedy}"]
    before = next((each for each in reversed(closings) if each.finding == finding.name), None)
    if before is not None:
        lines.append(f"  it was closed {_word(before, office)}; more of it has come since then")
    return [*lines, f"  once that is done: central audit --close {finding.name} --reason TEXT"]


def _word(closing: Closing, office: tzinfo) -> str:
    return f"{_minute(office, closing.at_ns)} by {closing.who} ({closing.reason})"


def _minute(office: tzinfo, at_ns: int) -> str:
    return shared.minute_at(at_ns // 10**9, office)


def _verdict(stream: Stream, troubles: Sequence[Trouble]) -> str:
    gaps = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in stream.gaps[:10])
    more = "…" if len(stream.gaps) > 10 else ""
    own = [trouble for trouble in troubles if (trouble.kiosk, trouble.outbox) == (stream.kiosk, stream.outbox)]
    is_whole = not stream.gaps and all(trouble.reason == TWICE for trouble in own)
    return (
        f"kiosk={stream.kiosk} outbox={stream.outbox} {'complete' if is_whole else 'INCOMPLETE'} "
        f"through={stream.through} highest={stream.highest} delivered={stream.delivered} gaps={gaps or 'none'}{more} "
        f"repeated={stream.repeated} elsewhere={stream.elsewhere} set_aside={stream.aside}"
    )
