"""`kiosk support-bundle`: one file for whoever helps from afar; without entries, names and secrets."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.clock import SystemClock, stamp
from kiosk.commands.options import add_config
from kiosk.errors import ConfigError, OutboxError
from kiosk.outbox import Outbox
from kiosk.service import bundle
from kiosk.service.at_hand import note_defaults
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where it goes, zip (default: kiosk-….zip)")


def run(arguments: argparse.Namespace) -> int:
    """Write it and say what is in it; of a station that is not set up, too."""
    config = loader.load_any(arguments.config)
    note_defaults(arguments.config)
    now = SystemClock(config.state.runtime_dir).now()
    path = arguments.out or Path(f"kiosk-{config.kiosk.id}-{stamp(now)}.zip")
    with ExitStack() as stack:
        outbox: Outbox | None = None
        try:
            outbox = Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)
            stack.callback(outbox.close)
        except OutboxError as error:
            print(f"without the outbox: {error}")
        try:
            names = bundle.write(path, config, outbox, now)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}", hint="name another file with --out") from error
    print(f"{path}: {', '.join(names)}")
    return 0
