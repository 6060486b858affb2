"""`kiosk check`: the configuration read and judged; with `--probe`, each hand tried once.

One line a part: `ok`, or what is wrong and its remedy.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from kiosk import mqtt, settings, sim
from kiosk.camera import PiCamera
from kiosk.cues import CUES, CueName
from kiosk.errors import KioskError
from kiosk.outbox import Outbox

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from kiosk.config import Config, Lane

FLASH_S = 1.0
CONNECT_S = 10.0


def run(arguments: argparse.Namespace) -> int:
    """Judge the file; with `--probe` also the hands. 0 if all is well, 1 if a hand is not, 2 if the file is wrong."""
    config = settings.load(arguments.config)
    lanes = ", ".join(f"{lane.name} ({lane.direction.value})" for lane in config.lanes)
    print(f"{arguments.config}: ok: kiosk {config.kiosk.id} at {config.kiosk.site}, lanes {lanes}")
    if not arguments.probe:
        return 0
    well = True
    for name, probe in _probes(config):
        try:
            print(f"{name:20} ok: {probe()}", flush=True)
        except KioskError as error:
            well = False
            print(f"{name:20} FAILED: {error}", flush=True)
    return 0 if well else 1


def _probes(config: Config) -> Iterator[tuple[str, Callable[[], str]]]:
    for lane in config.lanes:
        yield f"camera {lane.name}", partial(_camera, lane)
        yield f"panel {lane.name}", partial(_panel, config, lane)
        if lane.lamp.when != "never" and lane.panel.kind != "none":
            yield f"lamp {lane.name}", partial(_lamp, lane)
    yield "outbox", partial(_outbox, config)
    for url in config.uplink.brokers:
        yield f"broker {url}", partial(mqtt.probe, config, url, CONNECT_S)


def _camera(lane: Lane) -> str:
    camera = sim.open_camera(lane.camera)
    try:
        frame = camera.next_frame(lane.camera.timeout_s)
    finally:
        camera.close()
    height_px, width_px = frame.luma.shape
    small = "" if frame.small is None else ", small {1} x {0} px".format(*frame.small.shape)
    warnings = camera.warnings if isinstance(camera, PiCamera) else ()
    return "\n".join(
        [
            f"{width_px} x {height_px} px{small}, mean brightness {frame.luma.mean():.0f} of 255",
            *(f"{'':20} WARNING: {warning}" for warning in warnings),
        ]
    )


def _lamp(lane: Lane) -> str:
    lamp = sim.open_lamp(lane)
    try:
        lamp.light(lit=True)
        time.sleep(FLASH_S)
    finally:
        lamp.close()
    return "it should have been lit"


def _panel(config: Config, lane: Lane) -> str:
    panel = sim.open_panel(lane.panel, config.sound)
    try:
        panel.show(CUES[CueName.RECORDED_IN])
        time.sleep(FLASH_S)
    finally:
        panel.close()
    return "it should have shone green and beeped"


def _outbox(config: Config) -> str:
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    try:
        outbox.check()
        return f"{outbox.depth()} entries wait"
    finally:
        outbox.close()
