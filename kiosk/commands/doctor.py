"""`kiosk doctor`: every part tried once; a line each, with the remedy; the answer by light and beep, too.

Whoever stands at a door without a screen hears it: the green cue if all is well, two yellow ticks if something will need a hand, the
fault if something does not work.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.clock import SystemClock, stamp
from kiosk.commands.check import verdict
from kiosk.commands.options import add_config, add_json
from kiosk.cues import CUES, CueName
from kiosk.errors import ConfigError, KioskError, NotProvisionedError
from kiosk.language.message import say
from kiosk.language.terminal import told
from kiosk.service import acceptance
from kiosk.service.at_hand import note_defaults
from kiosk.service.checkup import Finding, Health, findings
from kiosk.settings import loader
from kiosk.sim import opening

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config

ANSWER_S = 1.5
COLUMN = 20
"""Letters of a part's name; a longer one has a line of its own, so that the answers stay below each other."""
_WORDS = {Health.OK: say("ok"), Health.WARNING: say("WARNING"), Health.FAILED: say("FAILED")}
_CUES = {Health.OK: CueName.RECORDED_PASS, Health.WARNING: CueName.REPEAT, Health.FAILED: CueName.FAULT}


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    add_json(parser)
    parser.add_argument("--acceptance", action="store_true", help="then ask for what only eyes can see; about an hour")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where the answers go, or went before (default: acceptance-….jsonl)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check everything. 0 if nothing has failed, 1 if something has, 2 if the configuration is wrong.

    Of a station that is not set up, all that needs neither its name nor the centre.
    """
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError:
        config = loader.load_board(arguments.config)
    note_defaults(arguments.config)
    if not arguments.json and not loader.is_absent(arguments.config):
        print(told(verdict(arguments.config, config)), flush=True)
    found = []
    for finding in findings(config):
        found.append(finding)
        _print(finding, as_json=arguments.json)
    worst = max((finding.health for finding in found), key=list(Health).index)
    _answer(config, worst)
    failed = worst is Health.FAILED
    if arguments.acceptance:
        failed |= _accept(config, arguments.report, found) > 0
    return int(failed)


def _who(config: Config) -> str:
    if config.kiosk.id == loader.NOBODY:
        return "a board without a name, which waits for its provisioning code"
    lanes = ", ".join(f"{lane.name} ({lane.direction.value})" for lane in config.lanes)
    return f"kiosk {config.kiosk.id} at {config.kiosk.site}, lanes {lanes}"


def _print(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(finding), ensure_ascii=False), flush=True)
    else:
        part = told(finding.part)
        head = f"{part}\n{'':{COLUMN}}" if len(part) > COLUMN else f"{part:{COLUMN}}"
        print(f"{head} {told(_WORDS[finding.health])}: {told(finding.says)}", flush=True)


def _answer(config: Config, worst: Health) -> None:
    """Play the answer on every panel that nobody else holds; a broken one has been told already."""
    for lane in config.lanes:
        if health.read_marks(config.state.runtime_dir, f"scan-{lane.name}", health.FRESH_S) is not None:
            continue
        with suppress(KioskError):
            panel = opening.open_panel(lane.panel, config.sound, zone=config.clock.zone)
            try:
                panel.show(CUES[_CUES[worst]])
                time.sleep(ANSWER_S)
            finally:
                panel.close()


def _accept(config: Config, path: Path | None, found: list[Finding]) -> int:
    """The hour's checklist, or what is left of it in a report that was begun; how many steps were answered with no."""
    clock = SystemClock(config.state.runtime_dir)
    path = path or Path(f"acceptance-{config.kiosk.id}-{stamp(clock.now())}.jsonl")
    try:
        steps = acceptance.remaining(path)
        is_whole = not path.exists() or path.read_bytes()[-1:] in {b"", b"\n"}
        with path.open("a", encoding="utf-8") as report:
            report.write("" if is_whole else "\n")  # the power has cut the last line
            for finding in found:
                report.write(json.dumps({"doctor": asdict(finding)}, ensure_ascii=False) + "\n")
            failed = acceptance.ask(steps, input, report, clock)
    except EOFError:
        failed = 1
    except OSError as error:
        raise ConfigError(
            say("cannot write {path}: {reason}", path=path, reason=error.strerror),
            hint=say("name another file with --report"),
        ) from error
    print()
    print(told(say("report: {path}", path=path)))
    return failed
