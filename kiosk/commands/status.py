"""`kiosk status`: how this kiosk is, from the marks that its processes leave; what the centre is told, in the same words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.commands.options import add_config, add_json
from kiosk.commissioning import provision
from kiosk.errors import NotProvisionedError, OutboxError
from kiosk.outbox import Outbox
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config

LAST_TRY_S = 7 * 86_400.0


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the status; 0 if the kiosk records and delivers, 1 if it does not."""
    try:
        config = loader.load(arguments.config)
    except NotProvisionedError as error:
        print(f"not set up: {_last_try(loader.load_board(arguments.config)) or error}")
        return 1
    uplink = health.read_marks(config.state.runtime_dir, "uplink", health.FRESH_S) or {}
    state = str(uplink.get("state", "uplink-not-running"))
    try:
        outbox = Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)
    except OutboxError as error:
        print(f"outbox: {error}")
        return 1
    try:
        now = SystemClock(config.state.runtime_dir).now()
        message = health.status_message(
            config,
            outbox,
            now,
            state,
            uplink.get("commands"),
            provision.warnings(config, now),
            uplink.get("trust_issued_s"),
        )
    finally:
        outbox.close()
    if arguments.json:
        print(message.decode())
    else:
        _print_tree(json.loads(message), "")
    status = json.loads(message)
    well = state == "online" and all(not lane["fault"] for lane in status["lanes"]) and bool(status["lanes"])
    return 0 if well else 1


def _last_try(board: Config) -> str:
    """How the last provisioning code fared."""
    marks = health.read_marks(board.state.runtime_dir, provision.MARKS, LAST_TRY_S) or {}
    return str(marks.get("reason") or marks.get("state") or "")


def _print_tree(values: dict[str, object], indent: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _print_tree(value, indent + "  ")
        elif isinstance(value, list) and not any(isinstance(item, dict) for item in value):
            print(f"{indent}{name:24} {', '.join(map(str, value)) or '-'}")
        elif isinstance(value, list):
            for item in value:
                print(f"{indent}{name}:")
                _print_tree(item, indent + "  ")
        else:
            print(f"{indent}{name:24} {'-' if value is None else value}")
