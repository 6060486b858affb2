"""Options that several words share, and what they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config, Lane

DEFAULT_CONFIG = Path("/etc/kiosk/kiosk.yaml")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Which configuration."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path(os.environ.get("KIOSK_CONFIG", DEFAULT_CONFIG)),
        metavar="FILE",
        help=f"configuration (default: $KIOSK_CONFIG or {DEFAULT_CONFIG})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """For programs."""
    parser.add_argument("--json", action="store_true", help="for programs: JSON, one object a line")


def add_lane(parser: argparse.ArgumentParser) -> None:
    """Which lane."""
    parser.add_argument("--lane", metavar="NAME", help="which lane; may be left out where there is only one")


def lane_named(config: Config, name: str | None) -> Lane:
    """The lane of this name, or the only one.

    Raises:
        ConfigError: There is no such lane, or several and none was named.
    """
    names = ", ".join(lane.name for lane in config.lanes)
    if name is None and len(config.lanes) > 1:
        raise ConfigError("this kiosk has several lanes", hint=f"name one with --lane: {names}")
    for lane in config.lanes:
        if name in (None, lane.name):
            return lane
    raise ConfigError(f"there is no lane {name!r}", hint=f"use one of: {names}")
