"""`kiosk scan`: one lane, from the camera to the outbox.

Opens the hands in the order in which a failure is cheapest, lets go of them in the reverse order, and leaves the panel
dark or, after a fault, in the fault's colour until the process is gone.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from kiosk import health, log, scanner
from kiosk.clock import SystemClock
from kiosk.commands.options import add_config, add_lane, lane_named
from kiosk.commands.signals import until_signalled
from kiosk.commissioning import first_start
from kiosk.commissioning.first_start import FirstStart
from kiosk.commissioning.jumper import Jumper
from kiosk.credential import compile_local
from kiosk.cues import CUES, CueName
from kiosk.decoder import Decoder
from kiosk.errors import CameraError, NotProvisionedError, OutboxError, RestartRequestedError
from kiosk.lens.frame import warnings_of
from kiosk.orders import errand
from kiosk.outbox import Outbox
from kiosk.policy import Policy, Rules
from kiosk.process import held
from kiosk.process.notify import Notifier
from kiosk.scanner import Parts, Scanner
from kiosk.sealer import Sealer
from kiosk.service.at_hand import refuse_without_pins
from kiosk.settings import loader
from kiosk.sightings import Sightings
from kiosk.sim import opening
from kiosk.trust import trust_list
from kiosk.trust.issuers import TrustFolder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kiosk.config import Config, Lane
    from kiosk.lens.frame import Camera
    from kiosk.panel import Panel

_log = logging.getLogger(__name__)


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    add_lane(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scan until SIGTERM, Ctrl-C or a fault."""
    stop = until_signalled()
    try:
        config = loader.load(arguments.config, for_link=False)
    except NotProvisionedError:
        refuse_without_pins(arguments.config)
        if not _set_up(arguments.config, arguments.lane, stop):
            return 0
        config = loader.load(arguments.config, for_link=False)
    log.start(config.log.level)
    if arguments.lane is None and len(config.lanes) > 1:
        from kiosk.commands import run as run_command  # noqa: PLC0415  one lane needs no supervisor

        return run_command.supervise(config, arguments.config, with_uplink=False)
    lane = lane_named(config, arguments.lane)
    identified = loader.identity_mark(config)
    with ExitStack() as stack:
        panel = stack.enter_context(_closing_panel(lane, config, arguments.config))
        jumper = Jumper(lane.panel.kind, config.provision.jumper_pin)
        stack.callback(jumper.close)
        try:
            parts = stack.enter_context(open_parts(config, lane, panel))
            _log.info(log.line("scanning", lane=lane.name, direction=lane.direction.value, outbox=parts.outbox.id))
            for warning in parts.sealer.warnings(parts.clock.now()):
                _log.warning(log.line("seal", lane=lane.name, warning=warning, mode=config.seal.mode))
            for warning in warnings_of(parts.camera):
                _log.warning(log.line("camera-fault", lane=lane.name, warning=warning))
            parts = replace(parts, set_up=first_start.again(config, jumper.closed))
            scanner.run(
                Scanner(config, lane, parts),
                stop=lambda: stop() or loader.identity_mark(config) != identified,
                notifier=Notifier(),
            )
        except (CameraError, OutboxError):
            panel.stand(CUES[CueName.FAULT_STANDING])
            panel.show(CUES[CueName.FAULT])
            raise
    if loader.identity_mark(config) != identified:
        raise RestartRequestedError
    return 0


def _set_up(path: Path, name: str | None, stop: Callable[[], bool]) -> bool:
    """Read the provisioning code; whether the station is set up now."""
    board = loader.load_board(path)
    log.start(board.log.level)
    lane = next((lane for lane in board.lanes if lane.name == name), board.lanes[0])
    with ExitStack() as stack:
        panel = stack.enter_context(_closing_panel(lane, board, path))
        camera = opening.open_lit_camera(lane)
        stack.callback(camera.close)
        return FirstStart(board, camera, Decoder(board.decode.budget_ms), panel).run(stop)


@contextmanager
def open_parts(config: Config, lane: Lane, panel: Panel, camera: Camera | None = None) -> Iterator[Parts]:
    """The hands of one lane's loop, closed at the end; the panel stays its opener's.

    Args:
        config: The kiosk's configuration.
        lane: Which lane of it.
        panel: Where cues are shown.
        camera: Where frames come from; None opens the lane's own.

    Raises:
        CameraError: The camera cannot be opened.
        OutboxError: The outbox cannot be opened.
        TrustError: A file in the trust folder is wrong.
    """
    local = compile_local(config.credentials.local)
    accept = frozenset(config.credentials.accept) | {card.document for card in config.credentials.local}
    rules = Rules(accept, round(config.repeat.window_s * 1e9), frozenset(config.credentials.accept_expired))
    with ExitStack() as stack:
        outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
        stack.callback(outbox.close)
        clock = SystemClock(config.state.runtime_dir)
        if camera is None:
            health.mark_camera_start(config.state.runtime_dir, lane.name, clock.boot_ns())
            camera = opening.open_lit_camera(lane)
            stack.callback(camera.close)
        yield Parts(
            camera=camera,
            decoder=Decoder(config.decode.budget_ms),
            sightings=Sightings(round(config.repeat.gone_s * 1e9)),
            policy=Policy(rules, key=os.urandom(32)),
            sealer=Sealer(config),
            local=local,
            trust=TrustFolder(config.credentials.trust_dir, trust_list.path_of(config), config.trust.fleet_key_file),
            outbox=outbox,
            panel=panel,
            clock=clock,
        )


@contextmanager
def _closing_panel(lane: Lane, config: Config, path: Path) -> Iterator[Panel]:
    panel = opening.open_panel(
        lane.panel, errand.sound_of(config), SystemClock(config.state.runtime_dir), config.clock.zone
    )
    held.write(config.state.runtime_dir, lane.name, [one.name for one in config.lanes], lane.panel, path)
    try:
        yield panel
    finally:
        panel.close()
