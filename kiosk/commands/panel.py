"""`kiosk panel`: every light and sound, played and named, to test the wiring and to learn what they mean."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kiosk import settings, sim
from kiosk.commands.scan import lane_named
from kiosk.cues import CUES, MEANINGS, CueName
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    import argparse

PAUSE_S = 0.7
STANDING_S = 3.0


def run(arguments: argparse.Namespace) -> int:
    """Play the named cues, or all of them."""
    config = settings.load(arguments.config)
    lane = lane_named(config, arguments.lane)
    unknown = [name for name in arguments.cues if name not in CUES]
    if unknown:
        raise ConfigError(f"there is no cue {unknown[0]!r}", hint=f"use one of: {', '.join(CUES)}")
    panel = sim.open_panel(lane.panel, config.sound)
    try:
        for name in arguments.cues or CUES:
            cue = CUES[CueName(name)]
            print(f"{name:16} {MEANINGS[CueName(name)]}", flush=True)
            if cue.standing:
                panel.stand(cue)
                time.sleep(STANDING_S)
            else:
                panel.show(cue)
                time.sleep(sum(step.duration_ms for step in cue.steps) / 1000 + PAUSE_S)
    finally:
        panel.close()
    return 0
