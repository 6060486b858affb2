"""`kiosk wiring`: the wiring of a configuration as a picture, and what to buy for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.commands.options import add_config
from kiosk.errors import ConfigError
from kiosk.service import wiring
from kiosk.service.at_hand import note_defaults
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where the picture goes, SVG (default: wires and parts only)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the picture, and print the wires and the parts."""
    config = loader.load_any(arguments.config)
    note_defaults(arguments.config)
    for wire in wiring.wires(config):
        between = f"  by {wire.between}" if wire.between else ""
        print(f"header pin {wire.header_pin:2}  {wire.part}{between}")
    for part in wiring.parts(config):
        print(f"{part.count} x {part.what}: {part.purpose}")
    if arguments.out is not None:
        named = config.kiosk.id != loader.NOBODY
        picture = wiring.diagram(config, f"{config.kiosk.id}, {config.kiosk.site}" if named else arguments.config.stem)
        try:
            Path(arguments.out).write_text(picture, "utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {arguments.out}: {error.strerror}", hint="name another file") from error
    return 0
