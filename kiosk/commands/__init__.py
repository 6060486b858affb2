"""What each word of the command line does: one module a command, each with `run(arguments) -> exit code`."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.config import Config, Lane


def until_signalled() -> Callable[[], bool]:
    """A question that turns true once the process has been asked to end (SIGTERM or Ctrl-C).

    A second Ctrl-C ends the process at once.
    """
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return lambda: bool(asked)


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
