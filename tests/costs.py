"""What a run of the tests took, told at its end where `--budget-s` asks for it.

Processor seconds are user and system of the whole tree: of pytest, its workers and every process that a test started and
waited for. They hardly depend on what else the machine does, so that they can be watched from change to change; the wall
clock cannot. The cost of a fixture that many tests share is told with the first of them.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Generator
from typing import Any

import pytest

SHOWN = 10
_STARTED_S = time.monotonic()


def spent_s() -> float:
    """Processor seconds of this process and of all that it has waited for."""
    took = os.times()
    return took.user + took.system + took.children_user + took.children_system


class Costs:
    """Of each test, its processor and its wall seconds. Workers measure; the process that started them gathers and tells."""

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._last_s = spent_s()
        self._tests: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def pytest_runtest_logstart(self) -> None:
        """From here on it is this test's."""
        self._last_s = spent_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Set-up, the test itself, and taking down each bring a report; it carries the cost to whoever gathers."""
        report = yield
        before_s, self._last_s = self._last_s, spent_s()
        report.__dict__["processor_s"] = (
            self._last_s - before_s
        )  # a report carries what it is given, also between workers
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add it up."""
        row = self._tests[report.nodeid]
        row[0] += getattr(report, "processor_s", 0.0)  # a worker that died measured nothing
        row[1] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The most expensive tests, and one line that can be compared with the last run's."""
        costly = sorted(self._tests.items(), key=lambda item: -item[1][0])[:SHOWN]
        terminalreporter.section(f"the {len(costly)} most expensive of {len(self._tests)} tests")
        for name, (processor_s, wall_s) in costly:
            terminalreporter.write_line(f"{processor_s:6.1f} processor s {wall_s:6.1f} s  {name}")
        load = " ".join(f"{each:.1f}" for each in os.getloadavg())
        terminalreporter.write_line(
            f"took processor_s={spent_s():.0f} budget_s={self._budget_s:.0f} wall_s={time.monotonic() - _STARTED_S:.0f} "
            f"load={load} cores={os.cpu_count()}"
        )
