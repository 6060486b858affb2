"""Log lines for a service manager: stderr, one `key=value` line an event, never a code's content or a name.

journald adds the time; lines that go anywhere else get one. Libraries that write to stderr by themselves are silenced: what they would say,
our own sentence says with its remedy.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RECENT_LINES = 200
HUSHED = {"OPENCV_LOG_LEVEL": "OFF", "OPENCV_FFMPEG_LOGLEVEL": "-8", "LIBCAMERA_LOG_LEVELS": "*:ERROR"}
"""How OpenCV, the FFmpeg in it (-8 is AV_LOG_QUIET) and libcamera are told to be silent. Of libcamera errors are left: a camera that
fails at a door tells there what it lacks."""
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


def hush() -> None:
    """Silence the libraries beneath this process and its children, before they are loaded; whoever sets a variable hears them again."""
    for name, value in HUSHED.items():
        os.environ.setdefault(name, value)
    for name in ("picamera2", "PIL"):  # they tell each step of opening a camera, and each part of a picture
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def muted() -> Iterator[None]:
    """Let nothing reach stderr: for a call of libpng or libjpeg, which heed no setting. Not while other threads have something to say."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  a device, not a path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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
