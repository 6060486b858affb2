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
from kiosk.language.message import joined, say
from kiosk.language.terminal import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.clock import Clock
    from kiosk.language.message import Message


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
    do: Message
    see: Message


STEPS = (
    Step(
        "first-boot",
        3,
        say("flash a new card, put it in, give it power"),
        say("blue flashes; `df -h /state`: the card less 4 GB"),
    ),
    Step(
        "card-refused",
        2,
        say("put a code that another station has used onto the partition KIOSK as `kiosk-code.txt`, start"),
        say("red, a long tone and four beeps, then blue again"),
    ),
    Step(
        "card-files",
        3,
        say("the same with a good code, and with a file of config/boards/ as `kiosk.yaml`"),
        say("green and blue in turn; both files are gone, and `kiosk-says.txt` there tells of both"),
    ),
    Step(
        "lights",
        2,
        say("run `kiosk panel` (systemctl stop kiosk-scan first)"),
        say("each light as named; dim white is steady"),
    ),
    Step("sounds", 2, say("the same, eyes closed"), say("tones are clean; every answer is told from every other")),
    Step("first-read", 1, say("start it again, hold a test card up"), say("green and a beep within a second")),
    Step("screen", 2, say("show a code on a telephone, dim and bright"), say("read at both, within two seconds")),
    Step("night", 1, say("darken the room"), say("read with the lamp, or with the office's own light")),
    Step(
        "two-cameras",
        4,
        say(
            "on a Pi 5: two cameras and panels by config/boards/pi5-two-lanes.yaml, a code for two lanes, a card for each"
        ),
        say("each answers at its own panel; `kiosk status`: fps above 10 in both lanes"),
    ),
    Step(
        "killed",
        1,
        say("`systemctl kill -s KILL kiosk-scan` while it shines green"),
        say("red within two seconds, ready again within ten"),
    ),
    Step(
        "unplugged-camera",
        1,
        say("pull the camera's USB cable, or `systemctl kill -s STOP kiosk-scan`"),
        say("red within 15 seconds"),
    ),
    Step(
        "offline", 6, say("pull the network for five minutes, scan ten cards"), say("yellow flashes, every card green")
    ),
    Step("online", 1, say("plug the network in"), say("`kiosk outbox` says 0 waiting within a minute")),
    Step(
        "power",
        3,
        say("pull the plug right after a green, plug it in"),
        say("at work within two minutes; the entry is at the centre"),
    ),
    Step(
        "cold-clock",
        3,
        say("start it without a network"),
        say("it scans; times are corrected once the network is there"),
    ),
    Step(
        "wifi-code",
        4,
        say("pull the cable, show a code made with `central provision --wifi NAME --again`, scan; restart, scan"),
        say("joined within a minute; both entries are at the centre"),
    ),
    Step(
        "watchdog",
        2,
        say("echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger"),
        say("stands still, then restarts by itself within a minute: by the watchdog, for the kernel no longer does"),
    ),
    Step(
        "update",
        9,
        say(
            "order a newer version with `central update run`, `systemctl start kiosk-fetch` within `update.window_from` and `_to`"
        ),
        say("it restarts by itself, on trial; then `kiosk update status` says `proved`"),
    ),
    Step(
        "update-cut",
        7,
        say(
            "the same with one newer still; pull the plug while `kiosk update status` says `installing`, again at `on-trial`"
        ),
        say("each time the version from before is at work within two minutes; in the end `failed`"),
    ),
    Step("sandbox", 1, say("journalctl -b | grep -i denied"), say("nothing of kiosk-scan or kiosk-uplink")),
    Step("commit", 3, say("`kiosk status` after fifty cards"), say("commit_ms_p99 below 300")),
    Step("decode", 1, say("the same"), say("decode_ms_p50 below 60, fps above 10")),
    Step("memory", 1, say("systemctl status kiosk-scan kiosk-uplink"), say("together below 300 MB")),
    Step(
        "heat",
        1,
        say("look after half an hour in the sun or in its box"),
        say("`kiosk doctor` warns of nothing at the board"),
    ),
    Step("two-days", 1, say("leave it at work, look again after two days"), say("no restart in `systemctl status`")),
)
_QUESTION = say("y(es), n(o) or s(kip), then a note if you like")
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
        minutes = say("{minutes} min", minutes=step.minutes)
        print(told(joined("", [f"\n[{number}/{len(steps)}] {step.name}, ", minutes])))  # noqa: T201  a dialogue
        print(told(joined("", ["  ", say("do:  {do}", do=step.do)])))  # noqa: T201  the same
        print(told(joined("", ["  ", say("see: {see}", see=step.see)])))  # noqa: T201  the same
        typed = ""
        while typed[:1].lower() not in _WORDS:
            typed = answer(f"  {told(_QUESTION)}: ").strip()
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
