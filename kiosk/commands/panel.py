"""`kiosk panel`: every light and sound, played and named, to test the wiring and to learn what they mean.

With `--ended` it is what a service manager runs after a scan process has gone, however it went: a light that was green when
its process was killed must not go on inviting people. Dark after an end that was asked for, else the fault's colour.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from kiosk import gpio, health
from kiosk.commands.options import add_config, add_lane, lane_named
from kiosk.cues import CUES, DARK, MEANINGS, CueName
from kiosk.errors import ConfigError, PanelError
from kiosk.forms import RUNTIME_DIR
from kiosk.language.terminal import told
from kiosk.process import held
from kiosk.process.held import HeldPins

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

PAUSE_S = 0.7
STANDING_S = 3.0


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("cues", nargs="*", metavar="CUE", help="names of cues (default: all, in turn)")
    add_config(parser)
    add_lane(parser)
    parser.add_argument(
        "--terminal",
        action="store_true",
        help="show them here, whatever pins there are: each light as a colour, each beep as the terminal's bell",
    )
    parser.add_argument(
        "--ended",
        action="store_true",
        help="play nothing: leave the light as it should be after a scan process has gone",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play the named cues, or all of them."""
    if arguments.ended:
        return _ended(arguments.config, arguments.lane)
    # A door is closed until `--ended` is done, and that needs neither settings nor pictures.
    from kiosk.service.at_hand import panel_at_hand  # noqa: PLC0415
    from kiosk.settings import loader  # noqa: PLC0415
    from kiosk.sim import opening  # noqa: PLC0415

    config = loader.load_any(arguments.config)
    lane = panel_at_hand(lane_named(config, arguments.lane), arguments.config, terminal=arguments.terminal)
    unknown = [name for name in arguments.cues if name not in CUES]
    if unknown:
        raise ConfigError(f"there is no cue {unknown[0]!r}", hint=f"use one of: {', '.join(CUES)}")
    panel = opening.open_panel(lane.panel, config.sound, zone=config.clock.zone)
    try:
        for name in arguments.cues or CUES:
            cue = CUES[CueName(name)]
            if lane.panel.kind != "terminal":  # which says it by itself
                print(f"{name:16} {told(MEANINGS[CueName(name)])}", flush=True)
            if cue.standing:
                panel.stand(cue)
                time.sleep(STANDING_S)
            else:
                panel.show(cue)
                time.sleep(sum(step.duration_ms for step in cue.steps) / 1000 + PAUSE_S)
    finally:
        panel.close()
    return 0


def _ended(path: Path, name: str | None) -> int:
    """Leave the light of this lane, or of all, as it should be while no process drives it."""
    asked = os.environ.get("SERVICE_RESULT") == "success"
    rgb = DARK if asked else CUES[CueName.FAULT_STANDING].steps[0].rgb
    runtime_dir, lanes = _held(path, name)
    for lane, pins in lanes.items():
        if pins.kind in {"gpio", "mock"}:
            try:
                gpio.leave(pins, rgb)
            except PanelError as error:
                if os.environ.get("EXIT_STATUS") == str(error.exit_code):
                    return error.exit_code  # the scan process has said so
                raise
        marks = {"written_boot_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME), "left": "dark" if asked else "fault"}
        health.write_marks(runtime_dir, f"panel-{lane}", marks)
        print(f"panel of {lane} left {marks['left']}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(0)  # an orderly exit would let gpiozero reset the pins


def _held(path: Path, name: str | None) -> tuple[Path, dict[str, HeldPins]]:
    """The folder of marks, and the pins of this lane, or of all: as their processes have told, else as the configuration says."""
    if found := held.read(RUNTIME_DIR, name, path):
        return RUNTIME_DIR, found
    from kiosk.settings import loader  # noqa: PLC0415  seconds on a small board

    config = loader.load_any(path)
    lanes = config.lanes if name is None else (lane_named(config, name),)
    return config.state.runtime_dir, {lane.name: HeldPins.of(lane.panel) for lane in lanes}
