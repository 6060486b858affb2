"""Processes that are there to be killed: `python -m tests.fault.victims`, told on stdin whom to start.

Python takes half a second to load what these need; a fork of a process that has loaded it takes milliseconds, so that
hundreds of processes can be killed in a minute. A line of JSON starts one, its pid is the answer, and `Victims` is the
other end. Whoever is still alive when stdin ends is killed here, by its pid.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from central.intake.collector import Broker, Collector
from central.ledgers.sqlite import SqliteLedger
from kiosk import uplink
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.outbox import Outbox
from tests.fault.door import Door

PAUSE_S = 0.004
ROOT = Path(__file__).resolve().parents[2]


def _never() -> bool:
    return False


def _scan(order: dict[str, Any]) -> None:
    """People come through the door, one after the other, until the process is killed."""
    config = Config.model_validate_json(order["config"])
    panel = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    door = Door(config, outbox, lambda line: os.write(panel, line.encode()), SystemClock())
    number = order["first"]
    while True:
        door.show(number)
        number += 1
        time.sleep(PAUSE_S)


def _uplink(order: dict[str, Any]) -> None:
    uplink.run(Config.model_validate_json(order["config"]), stop=_never)


def _collector(order: dict[str, Any]) -> None:
    Collector(Broker(order["broker"]), SqliteLedger(Path(order["ledger"]))).run(_never)


ROLES = {"scan": _scan, "uplink": _uplink, "collector": _collector}


def main() -> None:
    """Start whom stdin names."""
    logging.disable()
    alive: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            os.waitpid(order["reap"], 0)
            alive.discard(order["reap"])
            _answer("reaped")
            continue
        pid = os.fork()
        if pid == 0:
            try:
                ROLES[order["role"]](order)
            finally:
                os._exit(1)
        alive.add(pid)
        _answer(pid)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _answer(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Victims:
    """Starts and kills them."""

    def __init__(self) -> None:
        argv = [sys.executable, "-m", "tests.fault.victims"]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, role: str, **order: object) -> int:
        """The pid of a new one."""
        return int(self._ask({"role": role, **order}))

    def kill(self, pid: int) -> None:
        """kill -9, and wait for its end."""
        os.kill(pid, signal.SIGKILL)
        self._ask({"reap": pid})

    def close(self) -> None:
        """Kill whoever is left."""
        self._process.communicate(timeout=30)

    def _ask(self, order: dict[str, object]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


if __name__ == "__main__":
    main()
