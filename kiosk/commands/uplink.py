"""`kiosk uplink`: from the outbox to the centre."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk import log, settings, uplink
from kiosk.commands import until_signalled

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Deliver until SIGTERM or Ctrl-C."""
    config = settings.load(arguments.config)
    log.start(config.log.level)
    uplink.run(config, stop=until_signalled(), config_file=arguments.config)
    return 0
