"""The demo's words: what was answered, what the ledger says of it, what to try next. A holder is told by marks and initials only."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.credential import masked
from kiosk.model import Credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kiosk.demo.judge import Judgement
    from kiosk.model import Entry
    from kiosk.scanner import Scan

KEPT = Path("kiosk-demo")
"""The folder that what to try next keeps, where none was named."""
WEBCAM = Path("/dev/video0")


def answer_of(scan: Scan) -> str:
    """The cue, and whose code it was."""
    what = getattr(scan.verdict, "document", getattr(scan.verdict, "kind", "-"))
    who = f" {masked(scan.verdict)}" if isinstance(scan.verdict, Credential) else ""
    return f"{scan.cue.name}: {what}{who}"


def times_of(scan: Scan, decode_ms: float, commit_ms: float) -> str:
    """How long it took until then.

    Args:
        scan: What was answered.
        decode_ms: What reading took.
        commit_ms: What the disk took, where something was recorded.
    """
    read = f"read by {scan.strategy or '-'} in {decode_ms:.0f} ms"
    return read if scan.entry is None else f"{read}, committed in {commit_ms:.1f} ms"


def ledger_columns(entry: Entry, zone: Callable[[float], time.struct_time] = time.localtime) -> tuple[str, ...]:
    """A row of the ledger, opened: time, way, document, holder.

    Args:
        entry: What it holds.
        zone: What makes a clock's time of Unix seconds.
    """
    seen = time.strftime("%H:%M:%S", zone(entry.at.wall_ns / 1e9))
    initials = "".join(f"{word[0]}." for word in dict(entry.person).get("name", "").split())
    return seen, entry.direction.value, entry.document, initials


def remarks(judgement: Judgement, kept: Path | None, why: str) -> Iterator[str]:
    """What the judgement's numbers need to be understood.

    Args:
        judgement: The numbers.
        kept: The folder that this demo leaves; None if it leaves none.
        why: Why entries still wait, ending in "before".
    """
    if judgement.unread:
        yield f"unread={judgement.unread}: so many gave up without an answer; nothing was recorded for them, no green was shown"
    if judgement.waiting:
        then = f"; the next demo with --state-dir {kept} delivers them" if kept else ""
        yield f"waiting={judgement.waiting}: on the kiosk's disk, {why} all was delivered{then}"


def next_steps(kept: Path | None) -> Iterator[str]:
    """What to try now: each a command that runs as it is written, from where the demo was called.

    Args:
        kept: The folder that this demo leaves; None if it leaves none.
    """
    kiosk, central, python = _programs()
    folder = shlex.quote(str(kept or KEPT))
    if kept is None:
        yield f"  again, and keep it all   {kiosk} demo --state-dir {folder}"
    yield f"  then the centre's list   {central} entries --ledger {folder}/ledger.db"
    yield f"  … with names, audited    {central} open --ledger {folder}/ledger.db --keys {folder}/authority --reason 'a look'"
    yield f"  read pictures of cards   {python} -m kiosk.sim.cards {folder}/cards 5 && {kiosk} read {folder}/cards"
    webcam = "your webcam             " if WEBCAM.exists() else "with a webcam plugged in"
    yield f"  {webcam} {kiosk} demo --camera v4l2:{WEBCAM} --people 3"


def _programs() -> tuple[str, str, str]:
    """`kiosk`, `central` and Python, as they were called."""
    called = Path(sys.argv[0])
    if called.name == "kiosk" and called.with_name("central").exists():
        return tuple(shlex.quote(str(called.with_name(name))) for name in ("kiosk", "central", "python"))  # type: ignore[return-value]
    python = shlex.quote(sys.executable)
    return f"{python} -m kiosk", f"{python} -m central", python
