"""What only somebody beside a real board can see: an hour's checklist, asked one by one by `kiosk doctor --acceptance`.

The answers are written as JSON, one line a step, as they are given: who stops in the middle has what was answered.

    python -m kiosk.acceptance docs/acceptance.md
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do and what should come of it.

    Attributes:
        name: Stays the same for ever, so that reports can be compared.
        do: What to do.
        see: What should be seen.
    """

    name: str
    do: str
    see: str


STEPS = (
    Step("lights", "run `kiosk panel` (systemctl stop kiosk-scan first)", "each light as named; dim white is steady"),
    Step("sounds", "the same, eyes closed", "tones are clean; every answer is told from every other"),
    Step("first-read", "start it again, hold a test card up", "green and a beep within a second"),
    Step("screen", "show a code on a telephone, dim and bright", "read at both, within two seconds"),
    Step("night", "darken the room", "read with the lamp, or with the office's own light"),
    Step("killed", "kill -9 the scan process while it shines green", "red within two seconds, ready again within ten"),
    Step(
        "unplugged-camera",
        "pull the camera's USB cable, or stop the scan process with SIGSTOP",
        "red within 15 seconds",
    ),
    Step("offline", "pull the network for five minutes, scan ten cards", "yellow flashes, every card green"),
    Step("online", "plug the network in", "`kiosk outbox` says 0 waiting within a minute"),
    Step(
        "power",
        "pull the plug right after a green, plug it in",
        "at work within two minutes; the entry is at the centre",
    ),
    Step("cold-clock", "start it without a network", "it scans; times are corrected once the network is there"),
    Step("watchdog", "echo c > /proc/sysrq-trigger", "the board restarts by itself within a minute"),
    Step("sandbox", "journalctl -b | grep -i denied", "nothing of kiosk-scan or kiosk-uplink"),
    Step("commit", "`kiosk status` after fifty cards", "commit_ms_p99 below 300"),
    Step("decode", "the same", "decode_ms_p50 below 60, fps above 10"),
    Step("memory", "systemctl status kiosk-scan kiosk-uplink", "together below 300 MB"),
    Step("heat", "leave it in the sun or in its box for half an hour", "`kiosk doctor` warns of nothing at the board"),
    Step("two-days", "leave it at work, look again after two days", "no restart in `systemctl status`"),
)
_WORDS = {"y": "yes", "n": "no", "s": "skipped"}


def ask(steps: tuple[Step, ...], answer: Callable[[str], str], report: TextIO) -> int:
    """Go through the list.

    Args:
        steps: The list.
        answer: Asks a question and returns what was typed.
        report: Where each answer is written at once.

    Returns:
        How many were answered with no.
    """
    failed = 0
    for number, step in enumerate(steps, 1):
        print(f"\n[{number}/{len(steps)}] {step.name}\n  do:  {step.do}\n  see: {step.see}")  # noqa: T201  a dialogue
        typed = ""
        while typed[:1].lower() not in _WORDS:
            typed = answer("  y(es), n(o) or s(kip), then a note if you like: ").strip()
        word = _WORDS[typed[0].lower()]
        failed += word == "no"
        note = typed.partition(" ")[2].strip()
        line = {**asdict(step), "answer": word, "note": note, "wall_s": int(time.time())}
        report.write(json.dumps(line, ensure_ascii=False) + "\n")
        report.flush()
    return failed


def page() -> str:
    """The list as a page, to read before the ladder is up."""
    rows = "".join(f"| {step.name} | {step.do.replace('|', chr(92) + '|')} | {step.see} |\n" for step in STEPS)
    return f"""# Acceptance

About an hour beside a real board, and a look two days later. `kiosk doctor --acceptance` asks step by step and writes the answers into a
report for the centre; first it runs `kiosk doctor` itself. Made by `make docs` from `kiosk/acceptance.py`; what lies behind it:
[untested-on-a-pi.md](untested-on-a-pi.md).

| step | do | see |
|---|---|---|
{rows}"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
