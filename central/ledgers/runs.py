"""Numbers as runs without a gap: what has come of a stream, usually a single run, so that the proof costs little to keep.

Both ledgers keep runs (first, last) with first ≤ last that neither overlap nor touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk.delivery.poison import Poison

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kiosk.model import Entry

Run = tuple[int, int]


def runs_of(numbers: Iterable[int]) -> Iterator[Run]:
    """Numbers in any order and with any repeats, as runs."""
    ordered = sorted(set(numbers))
    first = ordered[0] if ordered else 0
    for number, following in zip(ordered, [*ordered[1:], -1][: len(ordered)], strict=True):
        if following != number + 1:
            yield first, number
            first = following


def gaps_of(runs: Sequence[Run]) -> tuple[Run, ...]:
    """What is missing from 1 up to the end of the last run; `runs` are in order."""
    befores = [0, *(last for _, last in runs)]
    return tuple(
        (before + 1, first - 1) for before, (first, _) in zip(befores, runs, strict=False) if first > before + 1
    )


def through_of(runs: Iterable[Run], oldest: int) -> int:
    """Up to where everything has come that is not below `oldest`, which is held nowhere any more."""
    return next((last for first, last in runs if first <= oldest and last >= oldest - 1), oldest - 1)


def covered(runs: dict[int, int], numbers: Iterable[int]) -> set[int]:
    """Add numbers to runs.

    Args:
        runs: First to last number of each run that they may touch; is changed.
        numbers: At least one.

    Returns:
        Those of the numbers that were in the runs before.
    """
    repeated: set[int] = set()
    for first, last in runs_of(numbers):
        touching = [run for run in runs.items() if run[0] <= last + 1 and run[1] >= first - 1]
        for run_first, run_last in touching:
            repeated.update(range(max(first, run_first), min(last, run_last) + 1))
            del runs[run_first]
        bounds = [first, last, *(bound for run in touching for bound in run)]
        runs[min(bounds)] = max(bounds)
    return repeated


def seqs_of(rows: Iterable[tuple[int, Entry] | Poison]) -> list[int]:
    """The numbers of a batch's rows, of what is an entry and what is none."""
    return [row.seq if isinstance(row, Poison) else row[0] for row in rows]
