"""Several processes as one command, for a laptop, a test and a demo; at a door systemd does this.

A process that ends by itself has failed and is started again after a pause that doubles from 0.5 s to 30 s, and starts
anew once the process has lived for a minute. Two ends are final: exit code 0 (it has finished) and 2 (its configuration
is wrong, which no restart mends). `stop` asks with SIGTERM and, after five seconds, does not ask.

A process that has said that it is ready (`kiosk.process.notify`) and then finishes no work for `SILENT_S` hangs: it is killed and
started again like one that died. A process that never says so is not watched.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kiosk.log import line
from kiosk.process.notify import Listener

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LIVED_S = 60.0
STOP_S = 5.0
SILENT_S = 10.0
EPITAPH_S = 10.0
"""Longest time that is left to what is done after a process has died."""
FINAL_CODES = frozenset({0, 2})


@dataclass
class Child:
    """One process under supervision.

    Attributes:
        name: What it is called in the log.
        argv: Its command line.
        output: File to which it writes what it says; None for our own stderr.
        process: The present process; None before the first start and between starts.
        epitaph: What is run after it has died, before it is started again, such as to show a fault; empty for nothing.
        code: The exit code with which it ended for good; None while it should live.
        restarts: How often it has been started again.
    """

    name: str
    argv: Sequence[str]
    output: Path | None = None
    epitaph: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None
    restarts: int = 0
    _started_s: float = 0.0
    _ended_s: float = 0.0
    _pause_s: float = FIRST_PAUSE_S
    _next_start_s: float = field(default=0.0)
    _listener: Listener | None = None
    _mourner: subprocess.Popen[bytes] | None = None

    def tend(self, now_s: float) -> None:
        """Start it if its time has come; notice if it has ended.

        Args:
            now_s: Monotonic time in seconds.
        """
        if self.code is not None:
            return
        if self.process is None:
            if now_s >= self._next_start_s and not self._is_mourned(now_s):
                self._start(now_s)
            return
        self._refuse_silence(self.process, now_s)
        code = self.process.poll()
        if code is None:
            return
        self.process = None
        self.let_go()
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
        if self.epitaph:
            told = {"EXIT_STATUS": str(code)}  # as systemd tells its ExecStopPost
            self._mourner = subprocess.Popen(self.epitaph, stdin=subprocess.DEVNULL, env={**os.environ, **told})
            self._ended_s = now_s

    @property
    def is_ready(self) -> bool:
        """Whether the present process has said that it is ready."""
        return self._listener is not None and self._listener.is_ready

    def let_go(self) -> None:
        """Stop hearing a process that is gone, and end what was run after it."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._mourner is not None:
            self._mourner.kill()
            self._mourner.wait()
            self._mourner = None

    def _refuse_silence(self, process: subprocess.Popen[bytes], now_s: float) -> None:
        if self._listener is None:
            return
        self._listener.listen(now_s)
        silent_s = now_s - self._listener.heard_s
        if self._listener.is_ready and silent_s > SILENT_S:
            _log.error(line("hangs", process=self.name, silent_s=silent_s))
            process.kill()
            process.wait()

    def _is_mourned(self, now_s: float) -> bool:
        """Whether the epitaph still runs; it is not waited for longer than `EPITAPH_S`."""
        if self._mourner is not None and (self._mourner.poll() is not None or now_s - self._ended_s > EPITAPH_S):
            self._mourner.kill()
            self._mourner.wait()
            self._mourner = None
        return self._mourner is not None

    def _start(self, now_s: float) -> None:
        self._listener = Listener(now_s)
        environment = {**os.environ, "NOTIFY_SOCKET": self._listener.address}
        quiet = subprocess.DEVNULL
        if self.output is None:
            self.process = subprocess.Popen(self.argv, stdin=quiet, env=environment)
        else:
            with self.output.open("ab") as output:
                self.process = subprocess.Popen(self.argv, stdin=quiet, stdout=output, stderr=output, env=environment)
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
            child.let_go()
