"""`kiosk check`: the configuration read and judged, before anything moves. `kiosk doctor` tries the station itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk import settings

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Judge the file: 0 if it is right, 2 if it is not."""
    config = settings.load(arguments.config)
    lanes = ", ".join(f"{lane.name} ({lane.direction.value})" for lane in config.lanes)
    print(f"{arguments.config}: ok: kiosk {config.kiosk.id} at {config.kiosk.site}, lanes {lanes}")
    return 0
