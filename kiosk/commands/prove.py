"""`kiosk prove`: wait until this version has proved itself; an updated station is kept or left by the answer."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from kiosk import health, log
from kiosk.commands.options import add_config
from kiosk.commands.signals import until_signalled
from kiosk.settings import loader
from kiosk.updates.prove import Seen, Trial, judge

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config

LOOK_EVERY_S = 2.0
_log = logging.getLogger(__name__)


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 once it has proved itself, 1 if it has not in twenty minutes; a wrong configuration is no proof either."""
    config = loader.load(arguments.config)
    log.start(config.log.level)
    stop = until_signalled()
    started_s = time.monotonic()
    well_since_s: float | None = None
    while not stop():
        now_s = time.monotonic() - started_s
        seen = look(config)
        well_since_s = (now_s if well_since_s is None else well_since_s) if seen.well else None
        trial = judge(seen, now_s, well_since_s)
        if trial is not Trial.GOES_ON:
            _log.info(log.line("trial", result=trial.value, receipt=seen.receipt, after_s=round(now_s)))
            return 0 if trial is Trial.PROVED else 1
        time.sleep(LOOK_EVERY_S)
    return 1


def look(config: Config) -> Seen:
    """What the station's processes have left of their work."""
    lanes = [health.read_marks(config.state.runtime_dir, f"scan-{lane.name}", health.FRESH_S) for lane in config.lanes]
    uplink = health.read_marks(config.state.runtime_dir, "uplink", health.FRESH_S)
    return Seen(
        frames=tuple(None if marks is None else int(marks.get("frames", 0)) for marks in lanes),
        faults=any(bool(marks.get("fault")) for marks in lanes if marks is not None),
        receipt=uplink is not None and uplink.get("last_receipt_boot_ns") is not None,
        uplink=uplink is not None,
    )
