"""`kiosk uplink`: from the outbox to the centre."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kiosk import health, log, uplink
from kiosk.commands.options import add_config
from kiosk.commands.signals import until_signalled
from kiosk.commissioning import provision
from kiosk.errors import NotProvisionedError
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse

_log = logging.getLogger(__name__)


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Deliver until SIGTERM or Ctrl-C; before that, where nobody has set the station up, redeem its code."""
    stop = until_signalled()
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError as error:
        log.start(loader.load_board(arguments.config).log.level)
        _log.info(log.line("not-set-up", reason=error))
        provision.wait_for_identity(arguments.config, stop=stop)
        if stop():
            return 0
        config = loader.load(arguments.config)
    log.start(config.log.level)
    uplink.run(config, stop=stop, config_file=arguments.config)
    health.note_end(config.state.runtime_dir, "uplink")
    return 0
