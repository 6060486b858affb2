"""Several processes as one command, for a laptop, a test and a demo; at a door systemd does this.

A process that ends by itself has failed and is started again after a pause that doubles from 0.5 s to 30 s, and starts
anew once the process has lived for a minute. Two ends are final: exit code 0 (it has finished) and 2 (its configuration
is wrong, which no restart mends). `stop` asks with SIGTERM and, after five seconds, does not ask.

A process that has given a sign of life (`kiosk.process.notify`) and then finishes no work for `SILENT_S` hangs: it is killed and
started again like one that died. One that never gives any is not watched, though it may say that it is ready: mosquitto does.

Each process has a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then asks the others in
its own way. Whatever ends the supervisor, SIGKILL included, ends them (`kiosk.process.leash`). Start them from the main thread:
what the kernel waits for is the end of the thread that started them.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kiosk.log import line
from kiosk.process import leash
from kiosk.process.notify import Listener

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LIVED_S = 60.0
STOP_S = 5.0
SILENT_S = 30.0
"""As `WatchdogSec` of kiosk-scan.service: a card may stall a commit for 12 s without being broken."""
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
        orphaned: The signal that it gets when we are gone: SIGTERM for what should let go of lights and links in its own way, SIGKILL
            for what must be gone for certain.
        epitaph: What is run after it has died, before it is started again, such as to show a fault; empty for nothing.
        code: The exit code with which it ended for good; None while it should live.
        restarts: How often it has been started again.
    """

    name: str
    argv: Sequence[str]
    output: Path | None = None
    orphaned: signal.Signals = signal.SIGTERM
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
        self._rest(now_s)
        if self.epitaph:
            told = {"EXIT_STATUS": str(code)}  # as systemd tells its ExecStopPost
            self._mourner = subprocess.Popen(
                _leashed(self.epitaph, self.orphaned),
                stdin=subprocess.DEVNULL,
                env={**os.environ, **told},
                start_new_session=True,
            )
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
        if self._listener.is_watched and silent_s > SILENT_S:
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

    def _rest(self, now_s: float) -> None:
        """Wait before the next start, longer each time."""
        self._next_start_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.restarts += 1

    def _start(self, now_s: float) -> None:
        self._listener = Listener(now_s)
        try:
            with ExitStack() as stack:
                output = None if self.output is None else stack.enter_context(self.output.open("ab"))
                self.process = subprocess.Popen(
                    _leashed(self.argv, self.orphaned),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, "NOTIFY_SOCKET": self._listener.address},
                    start_new_session=True,
                )
        except OSError as error:
            self.let_go()
            _log.error(line("not-started", process=self.name, reason=error, restart_in_s=self._pause_s))
            self._rest(now_s)
            return
        self._started_s = now_s
        _log.info(line("started", process=self.name, pid=self.process.pid))


def _leashed(argv: Sequence[str], orphaned: signal.Signals) -> list[str]:
    """This command line as one that ends with us."""
    return [sys.executable, "-I", "-S", leash.__file__, str(int(orphaned)), str(os.getpid()), *argv]


class Supervisor:
    """Keeps its children alive until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = tuple(children)

    def tend(self) -> None:
        """One round over all children; call it a few times a second."""
        now_s = time.monotonic()
        for child in self.children:
            child.tend(now_s)

    def stop(self, within_s: float = STOP_S) -> None:
        """End all children: SIGTERM, and SIGKILL after so long."""
        alive = [child.process for child in self.children if child.process is not None]
        for process in alive:
            process.terminate()
        deadline_s = time.monotonic() + within_s
        for process in alive:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self.children:
            child.process = None
            child.let_go()
