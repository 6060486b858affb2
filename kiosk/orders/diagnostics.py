"""What a station tells of itself when the centre asks: versions, health, marks, its last log lines. No entry, no person.

One zstd frame of one JSON object, `LARGEST_BYTES` at most. The log lines are this process's own, of which none holds a code's
content or a name (`kiosk.log`); digits in a row that could be a number of a person, and everything that does not print, are
blotted out all the same.
"""

from __future__ import annotations

import json
import os
import platform
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any

import zstandard

from kiosk import health, log

if TYPE_CHECKING:
    from kiosk.config import Config
    from kiosk.model import Moment
    from kiosk.outbox import Outbox

LARGEST_BYTES = 64 * 1024
LIBRARIES = (
    "cbor2",
    "cryptography",
    "gpiozero",
    "numpy",
    "opencv-python-headless",
    "paho-mqtt",
    "pydantic",
    "zxing-cpp",
)
_NUMBER_LIKE = re.compile(r"\d{9,}")


def collect(config: Config, outbox: Outbox, now: Moment, command_id: str, update: dict[str, Any]) -> bytes:
    """The message.

    Args:
        config: The station's settings.
        outbox: Its outbox; only how much waits in it is told.
        now: Now.
        command_id: The command that asked.
        update: How an update stands, as `updating.report` has it. Its reason is another program's word and is blotted out like a log line.
    """
    update = {**update, "reason": harmless(update["reason"])}
    lines = [harmless(text) for text in log.recent()]
    while True:
        message = {
            "v": 1,
            "kiosk": config.kiosk.id,
            "command": command_id,
            "versions": {"python": platform.python_version(), "kernel": os.uname().release, **_versions()},
            "status": json.loads(health.status_message(config, outbox, now, "diagnostics", update=update)),
            "log": lines,
        }
        frame = zstandard.ZstdCompressor(level=9).compress(json.dumps(message, ensure_ascii=False).encode("utf-8"))
        if len(frame) <= LARGEST_BYTES or not lines:
            return frame
        lines = lines[len(lines) // 2 + 1 :]


def harmless(text: str) -> str:
    """A log line without long numbers, and without what moves a cursor."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return _NUMBER_LIKE.sub("#", printable)[:400]


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
