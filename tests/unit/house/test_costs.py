"""What a run took: measured with its children, gathered by test, told in one line that can be compared."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from tests.costs import SHOWN, Costs, spent_s

BURN = "import time\nwhile time.process_time() < 0.3: pass"


class Screen:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def section(self, title: str) -> None:
        """A title."""
        self.lines.append(title)

    write_line = section


def _report(name: str, **more: Any) -> pytest.TestReport:
    words: dict[str, Any] = {
        "nodeid": name,
        "location": ("", 0, ""),
        "keywords": {},
        "outcome": "passed",
        "longrepr": None,
    }
    return pytest.TestReport(**words, when="call", **more)


def test_children_are_paid_for() -> None:
    """A process that a test started and waited for is part of what it cost."""
    before_s = spent_s()
    subprocess.run([sys.executable, "-c", BURN], check=True, timeout=60)
    assert spent_s() - before_s >= 0.25


def test_most_expensive_come_first_and_the_sum_last() -> None:
    """Set-up and test are one cost; so many are named; the last line has processor, budget, wall and load."""
    costs, screen = Costs(600), Screen()
    for number in range(SHOWN + 5):
        costs.pytest_runtest_logreport(_report(f"t{number}", processor_s=float(number), duration=1.0))
    costs.pytest_runtest_logreport(_report("t3", processor_s=90.0, duration=2.0))
    costs.pytest_runtest_logreport(_report("died", duration=5.0))
    costs.pytest_terminal_summary(screen)  # type: ignore[arg-type]
    title, first, second, *_, last = screen.lines
    assert title == "the 10 most expensive of 16 tests"
    assert re.fullmatch(r" +93\.0 processor s +3\.0 s  t3", first)
    assert second.endswith("t14")
    assert len(screen.lines) == 1 + SHOWN + 1
    assert re.fullmatch(r"took processor_s=\d+ budget_s=600 wall_s=\d+ load=[\d.]+ [\d.]+ [\d.]+ cores=\d+", last)
