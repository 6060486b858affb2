"""Log lines for a service manager: stderr, one `key=value` line an event, never a code's content or a name.

journald adds the time; lines that go anywhere else get one.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import deque

RECENT_LINES = 200
_NEEDS_QUOTES = re.compile(r'[\s"=]')


def start(level: str) -> None:
    """Send the log to stderr.

    Args:
        level: Least level that is written: "debug", "info", "warning" or "error".
    """
    by_journald = "JOURNAL_STREAM" in os.environ
    form = "%(levelname)s %(message)s" if by_journald else "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=level.upper(), format=form, stream=sys.stderr, force=True)
    logging.getLogger().addHandler(_Recent())


_recent: deque[str] = deque(maxlen=RECENT_LINES)


class _Recent(logging.Handler):
    """Keeps the last lines in memory, for diagnostics."""

    def emit(self, record: logging.LogRecord) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        _recent.append(f"{when} {record.levelname} {record.getMessage()}")


def recent() -> list[str]:
    """The last lines of this process, the oldest first."""
    return list(_recent)


def line(event: str, **values: object) -> str:
    """One event as `event key=value key="a value with spaces"`, in the order given.

    Args:
        event: What happened, one word.
        values: Numbers, words and sentences of our own; never a payload.
    """
    return " ".join([event, *(f"{key}={_value(value)}" for key, value in values.items())])


def _value(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    if _NEEDS_QUOTES.search(text) or not text:
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def printable(text: str) -> str:
    """Nothing that moves a terminal's cursor or begins a new line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
