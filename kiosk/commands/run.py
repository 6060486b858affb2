"""`kiosk run`: every process of this kiosk under one command, for a laptop or a test; at a door systemd starts them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from kiosk import log
from kiosk.commands.options import add_config
from kiosk.commands.signals import until_signalled
from kiosk.errors import NotProvisionedError
from kiosk.process.notify import Notifier
from kiosk.process.supervise import Child, Supervisor
from kiosk.service.at_hand import refuse_without_pins
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from kiosk.config import Config

ROUND_S = 0.2
DRAIN_S = 30.0


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scan and deliver until SIGTERM, Ctrl-C, or every camera has shown its last frame."""
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError:
        board = loader.load_board(arguments.config)
        refuse_without_pins(arguments.config)  # no restart finds any on a laptop
        log.start(board.log.level)
        # One scan process: it reads the code, and then sees to the lanes that the code names.
        return _tend([Child("scan", kiosk_argv("scan", "--config", str(arguments.config)))], arguments.config)
    log.start(config.log.level)
    return supervise(config, arguments.config, with_uplink=True)


def supervise(config: Config, path: Path, *, with_uplink: bool) -> int:
    """Keep a process for each lane, and one for the uplink, alive.

    Args:
        config: The kiosk's configuration.
        path: Where it was read from; the processes read it themselves.
        with_uplink: False to scan only.

    Returns:
        2 if a process found its configuration wrong, else 0.
    """
    scans = [_scan_child(path, lane.name) for lane in config.lanes]
    return _tend(scans, path, with_uplink=with_uplink)


def _tend(scans: list[Child], path: Path, *, with_uplink: bool = True) -> int:
    stop = until_signalled()
    notifier = Notifier()
    uplinks = [Child("uplink", kiosk_argv("uplink", "--config", str(path)))] if with_uplink else []
    supervisor = Supervisor([*scans, *uplinks])
    try:
        while not stop() and any(child.code is None for child in scans):
            supervisor.tend()
            scanning = sum(child.is_ready for child in scans)
            if scanning:  # one door that opens must not wait for another one's camera
                notifier.ready(f"{scanning} of {len(scans)} lanes scanning")
            notifier.alive()
            if any(child.code == 2 for child in supervisor.children):
                return 2
            time.sleep(ROUND_S)
    finally:
        supervisor.stop()
    return 0


def _scan_child(path: Path, lane: str) -> Child:
    """One lane's process; whatever kills it, its panel does not stay green."""
    words = ("--config", str(path), "--lane", lane)
    return Child(f"scan-{lane}", kiosk_argv("scan", *words), epitaph=kiosk_argv("panel", "--ended", *words))


def kiosk_argv(*words: str) -> list[str]:
    """The command line of another process of this program."""
    return [sys.executable, "-m", "kiosk", *words]
