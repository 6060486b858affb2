"""The real gpiozero and lgpio on a GPIO chip that is not there: what a child process does to each line, and when.

`gpiochip.c` stands before the C library in that process alone. The log outlives it, as the levels of a Pi's outputs do.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PI_4, PI_5 = 0xB03115, 0xC04170
OUTPUT, INPUT, RELEASED = 16, 32, 48
_RECORD = struct.Struct("QII")
_AS_A_PI = """
from gpiozero.pins.local import LocalPiFactory
LocalPiFactory._get_revision = lambda self: {revision}
import os, sys, time
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing done to a line: 0 and 1 are levels that were written, the rest as in gpiochip.c."""

    at_ns: int
    line: int
    what: int


@cache
def library() -> Path:
    """The chip, compiled once a test process."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    if importlib.util.find_spec("lgpio") is None:
        pytest.skip("lgpio is not installed")
    path = Path(tempfile.mkdtemp(prefix="kiosk-chip-")) / "gpiochip.so"
    source = Path(__file__).with_name("gpiochip.c")
    argv = [
        "gcc",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(path),
        str(source),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(argv, check=True, timeout=120)
    return path


class Board:
    """A Pi of this revision, and what was done to its lines."""

    def __init__(self, folder: Path, revision: int = PI_4) -> None:
        self.folder = folder
        self._log = folder / "gpio.log"
        self._revision = revision

    def run(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A Python program on this board, to its end."""
        text = _AS_A_PI.format(revision=self._revision) + code
        argv = [sys.executable, "-c", text]
        return subprocess.run(
            argv, env=self._env(env), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def begin(self, code: str, **env: str) -> subprocess.Popen[str]:
        """The same, left running; it says a line when it is ready."""
        text = _AS_A_PI.format(revision=self._revision) + code
        argv = [sys.executable, "-c", text]
        return subprocess.Popen(argv, env=self._env(env), cwd=self.folder, stdout=subprocess.PIPE, text=True)

    def _env(self, more: dict[str, str]) -> dict[str, str]:
        ours = {
            "LD_PRELOAD": str(library()),
            "GPIO_LOG": str(self._log),
            "PYTHONPATH": str(ROOT),
            "LG_WD": str(self.folder),
        }
        return os.environ | ours | more

    def events(self, line: int | None = None) -> list[Event]:
        """What the last program did, to this line or to all."""
        data = self._log.read_bytes()
        (count,) = struct.unpack_from("I", data)
        found = [Event(*_RECORD.unpack_from(data, 64 + index * _RECORD.size)) for index in range(count)]
        return [event for event in found if line is None or event.line == line]

    def levels(self) -> dict[int, int | None]:
        """The level of each line at the end; None for one that is an input, or was let go of in order."""
        seen: dict[int, int | None] = {}
        for event in self.events():
            seen[event.line] = event.what & 1 if event.what < INPUT else None
        return seen
