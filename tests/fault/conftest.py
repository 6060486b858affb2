"""What the fault tests share: how much is done, and the table of what was found.

`KIOSK_FAULTS=full` (`make test-faults`) takes the full numbers of rounds; without it each test takes a few, so that
`make test` stays quick. Each test tells its row; the rows are printed at the end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FULL = os.environ.get("KIOSK_FAULTS") == "full"
COLUMNS = ("fault", "rounds", "greens", "kept", "lost", "doubled", "kept where")
REAL, WEAK, ROW = "real", "weak", "row"


@pytest.fixture
def scale() -> Callable[[int, int], int]:
    """How many rounds: the first number in the quick run, the second in the full one."""
    return lambda quick, full: full if FULL else quick


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where syncing costs nothing; on the disk where there is no such place."""
    shm = Path("/dev/shm")  # noqa: S108  a folder with a random name of our own in it
    if not os.access(shm, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="kiosk-faults-", dir=shm))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Adds a row to the table; with `weak`, a row of settings that are there to be caught."""

    def told(
        fault: str, *, rounds: int, greens: int, kept: int, lost: int, doubled: int, where: str, **more: Any
    ) -> None:
        group = WEAK if more.get("weak") else REAL
        record_property(ROW, (group, fault, rounds, greens, kept, lost, doubled, where))

    return told


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table: every row of real settings says 0 lost and 0 doubled, every weak one shows a loss."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    told = [value for report in reports for name, value in getattr(report, "user_properties", []) if name == ROW]
    for group, title in ((REAL, "faults"), (WEAK, "deliberately weak settings: each must lose, or the suite is blind")):
        rows = [tuple(str(value) for value in row[1:]) for row in told if row[0] == group]
        if not rows:
            continue
        widths = [max(len(row[column]) for row in (COLUMNS, *rows)) for column in range(len(COLUMNS))]
        terminalreporter.section(title)
        for row in (COLUMNS, *rows):
            cells = (
                value.ljust(width) if column in {0, 6} else value.rjust(width)
                for column, (value, width) in enumerate(zip(row, widths, strict=True))
            )
            terminalreporter.write_line("  ".join(cells).rstrip())
