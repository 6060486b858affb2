"""What tests of running things share: waits that end, and loops on threads of their own that are seen to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from central.intake.collector import Broker, Collector
from central.ledgers.sqlite import SqliteLedger
from kiosk import uplink
from kiosk.config import Config

LONGEST_S = 90.0


def until(
    true: Callable[[], bool], what: Callable[[], object] = lambda: "not in time", *, longest_s: float = LONGEST_S
) -> None:
    """Wait for it; `what` says what was seen instead."""
    deadline_s = time.monotonic() + longest_s
    while not true():
        assert time.monotonic() < deadline_s, what()
        time.sleep(0.02)


class Running:
    """A loop on a thread of its own, with its own connections."""

    def __init__(self, loop: Callable[[Callable[[], bool]], None]) -> None:
        self._stop = Event()
        self._errors: list[BaseException] = []
        self._thread = Thread(target=self._run, args=(loop,), name="loop")
        self._thread.start()

    def _run(self, loop: Callable[[Callable[[], bool]], None]) -> None:
        try:
            loop(self._stop.is_set)
        except BaseException as error:  # noqa: BLE001  told by `stop`
            self._errors.append(error)

    def stop(self) -> None:
        """Ask it to end, and tell what ended it before."""
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        assert not self._errors, self._errors


def collecting(broker: Broker, path: Path) -> Running:
    """A centre with a ledger in SQLite."""

    def collect(stop: Callable[[], bool]) -> None:
        ledger = SqliteLedger(path)
        try:
            Collector(broker, ledger).run(stop)
        finally:
            ledger.close()

    return Running(collect)


def delivering(config: Config) -> Running:
    """A kiosk's uplink."""
    return Running(lambda stop: uplink.run(config, stop=stop))
