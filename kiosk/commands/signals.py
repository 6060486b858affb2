"""Ending when asked: a word that goes on until it is told to stop asks here."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
