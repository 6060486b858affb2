"""Several processes as one command, for a laptop, a test and a demo; at a door systemd does this.

A process that ends by itself has failed and is started again after a pause that doubles from 0.5 s to 30 s, and starts
anew once the process has lived for a minute. Two ends are final: exit code 0 (it has finished) and 2 (its configuration
is wrong, which no restart mends). `stop` asks with SIGTERM and, after five seconds, does not ask.
"""

from __future__ import annotations

import logging
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LIVED_S = 60.0
STOP_S = 5.0
FINAL_CODES = frozenset({0, 2})


@dataclass
class Child:
    """One process under supervision.

    Attributes:
        name: What it is called in the log.
        argv: Its command line.
        output: File to which it writes what it says; None for our own stderr.
        process: The present process; None before the first start and between starts.
        code: The exit code with which it ended for good; None while it should live.
        restarts: How often it has been started again.
    """

    name: str
    argv: Sequence[str]
    output: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None
    restarts: int = 0
    _started_s: float = 0.0
    _pause_s: float = FIRST_PAUSE_S
    _next_start_s: float = field(default=0.0)

    def tend(self, now_s: float) -> None:
        """Start it if its time has come; notice if it has ended.

        Args:
            now_s: Monotonic time in seconds.
        """
        if self.code is not None:
            return
        if self.process is None:
            if now_s >= self._next_start_s:
                self._start(now_s)
            return
        code = self.process.poll()
        if code is None:
            return
        self.process = None
        if code in FINAL_CODES:
            self.code = code
            _log.info(line("ended", process=self.name, code=code))
            return
        if now_s - self._started_s >= LIVED_S:
            self._pause_s = FIRST_PAUSE_S
        _log.warning(line("ended", process=self.name, code=code, restart_in_s=self._pause_s))
        self._next_start_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.restarts += 1

    def _start(self, now_s: float) -> None:
        if self.output is None:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL)
        else:
            with self.output.open("ab") as output:
                self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._started_s = now_s
        _log.info(line("started", process=self.name, pid=self.process.pid))


class Supervisor:
    """Keeps its children alive until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = tuple(children)

    def tend(self) -> None:
        """One round over all children; call it a few times a second."""
        now_s = time.monotonic()
        for child in self.children:
            child.tend(now_s)

    def stop(self) -> None:
        """End all children: SIGTERM, and SIGKILL after `STOP_S`."""
        alive = [child.process for child in self.children if child.process is not None]
        for process in alive:
            process.terminate()
        deadline_s = time.monotonic() + STOP_S
        for process in alive:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self.children:
            child.process = None
