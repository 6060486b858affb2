"""What only somebody beside a real board can see: an hour's checklist, asked one by one by `kiosk doctor --acceptance`.

The answers are written as JSON, one line a step, as they are given: who stops in the middle has what was answered. Some steps
restart the board, and the dialogue with it; with the same report it goes on where it was.

    python -m kiosk.service.acceptance docs/acceptance.md
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from kiosk.clock import judging_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.clock import Clock


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do and what should come of it.

    Attributes:
        name: Stays the same for ever, so that reports can be compared.
        minutes: How long it keeps somebody who has everything at hand.
        do: What to do.
        see: What should be seen.
    """

    name: str
    minutes: int
    do: str
    see: str


STEPS = (
    Step(
        "first-boot",
        3,
        "flash a new card, put it in, give it power",
        "blue flashes; `df -h /state`: the card less 4 GB",
    ),
    Step(
        "card-refused",
        2,
        "put a code that another station has used onto the partition KIOSK as `kiosk-code.txt`, start",
        "red, a long tone and four beeps, then blue again",
    ),
    Step(
        "card-files",
        3,
        "the same with a good code, and with a file of config/boards/ as `kiosk.yaml`",
        "green and blue in turn; both files are gone, and `kiosk-says.txt` there tells of both",
    ),
    Step(
        "lights", 2, "run `kiosk panel` (systemctl stop kiosk-scan first)", "each light as named; dim white is steady"
    ),
    Step("sounds", 2, "the same, eyes closed", "tones are clean; every answer is told from every other"),
    Step("first-read", 1, "start it again, hold a test card up", "green and a beep within a second"),
    Step("screen", 2, "show a code on a telephone, dim and bright", "read at both, within two seconds"),
    Step("night", 1, "darken the room", "read with the lamp, or with the office's own light"),
    Step(
        "two-cameras",
        4,
        "on a Pi 5: two cameras and panels by config/boards/pi5-two-lanes.yaml, a code for two lanes, a card for each",
        "each answers at its own panel; `kiosk status`: fps above 10 in both lanes",
    ),
    Step(
        "killed",
        1,
        "`systemctl kill -s KILL kiosk-scan` while it shines green",
        "red within two seconds, ready again within ten",
    ),
    Step(
        "unplugged-camera",
        1,
        "pull the camera's USB cable, or `systemctl kill -s STOP kiosk-scan`",
        "red within 15 seconds",
    ),
    Step("offline", 6, "pull the network for five minutes, scan ten cards", "yellow flashes, every card green"),
    Step("online", 1, "plug the network in", "`kiosk outbox` says 0 waiting within a minute"),
    Step(
        "power",
        3,
        "pull the plug right after a green, plug it in",
        "at work within two minutes; the entry is at the centre",
    ),
    Step("cold-clock", 3, "start it without a network", "it scans; times are corrected once the network is there"),
    Step(
        "wifi-code",
        4,
        "pull the cable, show a code made with `central provision --wifi NAME --again`, scan; restart, scan",
        "joined within a minute; both entries are at the centre",
    ),
    Step(
        "watchdog",
        2,
        "echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger",
        "stands still, then restarts by itself within a minute: by the watchdog, for the kernel no longer does",
    ),
    Step(
        "update",
        9,
        "order a newer version with `central update run`, `systemctl start kiosk-fetch` within `update.window_from` and `_to`",
        "it restarts by itself, on trial; then `kiosk update status` says `proved`",
    ),
    Step(
        "update-cut",
        7,
        "the same with one newer still; pull the plug while `kiosk update status` says `installing`, again at `on-trial`",
        "each time the version from before is at work within two minutes; in the end `failed`",
    ),
    Step("sandbox", 1, "journalctl -b | grep -i denied", "nothing of kiosk-scan or kiosk-uplink"),
    Step("commit", 3, "`kiosk status` after fifty cards", "commit_ms_p99 below 300"),
    Step("decode", 1, "the same", "decode_ms_p50 below 60, fps above 10"),
    Step("memory", 1, "systemctl status kiosk-scan kiosk-uplink", "together below 300 MB"),
    Step("heat", 1, "look after half an hour in the sun or in its box", "`kiosk doctor` warns of nothing at the board"),
    Step("two-days", 1, "leave it at work, look again after two days", "no restart in `systemctl status`"),
)
_WORDS = {"y": "yes", "n": "no", "s": "skipped"}


def ask(steps: tuple[Step, ...], answer: Callable[[str], str], report: TextIO, clock: Clock) -> int:
    """Go through the list.

    Args:
        steps: The list.
        answer: Asks a question and returns what was typed.
        report: Where each answer is written at once.
        clock: When; a step that has pulled the plug may be answered before the time is known.

    Returns:
        How many were answered with no.
    """
    failed = 0
    for number, step in enumerate(steps, 1):
        print(f"\n[{number}/{len(steps)}] {step.name}, {step.minutes} min\n  do:  {step.do}\n  see: {step.see}")  # noqa: T201  a dialogue
        typed = ""
        while typed[:1].lower() not in _WORDS:
            typed = answer("  y(es), n(o) or s(kip), then a note if you like: ").strip()
        word = _WORDS[typed[0].lower()]
        failed += word == "no"
        note = typed.partition(" ")[2].strip()
        now_s = judging_s(clock.now())
        line = {**asdict(step), "answer": word, "note": note, "wall_s": None if now_s is None else int(now_s)}
        report.write(json.dumps(line, ensure_ascii=False) + "\n")
        report.flush()
        with suppress(OSError):  # the next step may pull the plug; a pipe cannot be flushed so far
            os.fsync(report.fileno())
    return failed


def remaining(path: Path) -> tuple[Step, ...]:
    """The steps that this report has no answer to; all of them if it is not there. Half a line of a power cut counts for none.

    Raises:
        OSError: It cannot be read.
    """
    answered = set()
    for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else ():
        with suppress(ValueError):
            found = json.loads(line)
            answered.add(found.get("name") if isinstance(found, dict) else None)
    return tuple(step for step in STEPS if step.name not in answered)


def page() -> str:
    """The list as a page, to read before the ladder is up."""
    rows = "".join(
        f"| {step.name} | {step.minutes} | {step.do.replace('|', chr(92) + '|')} | {step.see} |\n" for step in STEPS
    )
    return f"""# Acceptance

About an hour beside a real board, and a look two days later. `kiosk doctor --acceptance` asks step by step and writes the answers into a
report for the centre; first it runs `kiosk doctor` itself. Made by `make docs` from `kiosk/service/acceptance.py`; what lies behind it:
[untested-on-a-pi.md](untested-on-a-pi.md).

Have at hand: a computer with a card reader, a code that is used up and a good one, a code with a wireless network, two versions that are newer
than the card's, and your SSH key on the card as `authorized_keys` ([image.md](image.md#ssh)). Skip what your board has not got. Some steps restart the board: give the
report a place that lasts, `kiosk doctor --acceptance --report /var/lib/kiosk/acceptance.jsonl`, and run the same again; it goes on where it was.
The minutes are for whoever stands there, {sum(step.minutes for step in STEPS)} in all; nobody has measured them at a board yet.

| step | min | do | see |
|---|---|---|---|
{rows}"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
