"""How sure a figure is: Wilson's interval for shares, the bootstrap for everything else; 95 % of both.

A bootstrap draws whole units again, with everything that was measured on each: a person with both readers' answers, a set of photos
with all its pictures. So a ratio of two readers is paired, and what hangs together stays together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Z = 1.959964
DRAWS = 2000
SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and where the truth may lie.

    Attributes:
        value: The figure.
        low: Lower end of the interval.
        high: Upper end.
        n: How many units it is of.
    """

    value: float
    low: float
    high: float
    n: int

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.n)


def wilson(hits: int, n: int) -> Estimate:
    """A share of independent trials, 0 to 1.

    Args:
        hits: So many went well.
        n: Of so many; with none the interval is all that there is.
    """
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0)
    share = hits / n
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def bootstrap(units: NDArray[np.float64], figure: Callable[[NDArray[np.float64]], float], seed: int = 1) -> Estimate:
    """A figure of sums over units.

    Args:
        units: What was measured, one row a unit.
        figure: The sums of the columns → the figure.
        seed: Of the draws.
    """
    n = len(units)
    if n == 0:
        return Estimate(0.0, 0.0, float("inf"), 0)
    generator = np.random.default_rng(seed)
    drawn = [figure(units[generator.integers(0, n, n)].sum(0)) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, ((1 - SHARE) / 2, (1 + SHARE) / 2), method="nearest")
    return Estimate(figure(units.sum(0)), float(low), float(high), n)


def ratio(ours: Sequence[float], theirs: Sequence[float], seed: int = 1) -> Estimate:
    """Ours by theirs, paired: each place of the two sequences is one unit."""
    return bootstrap(np.column_stack([ours, theirs]).astype(np.float64), _divided, seed)


def difference(ours: Sequence[float], theirs: Sequence[float], seed: int = 1) -> Estimate:
    """The mean of ours less that of theirs, paired."""
    units = np.column_stack([ours, theirs, np.ones(len(ours))]).astype(np.float64)
    return bootstrap(units, lambda sums: float((sums[0] - sums[1]) / sums[2]), seed)


def share_of_groups(hits: Sequence[bool], groups: Sequence[str], seed: int = 1) -> Estimate:
    """A share, where trials of one group hang together; n counts the trials.

    Args:
        hits: Which trials went well.
        groups: To which group each belongs.
        seed: Of the draws.
    """
    sums = {group: np.zeros(2) for group in groups}
    for hit, group in zip(hits, groups, strict=True):
        sums[group] += (hit, 1)
    found = bootstrap(np.array(list(sums.values())).reshape(-1, 2), _divided, seed)
    return Estimate(found.value, found.low, found.high, len(hits))


def quantile(values: Sequence[float], share: float, seed: int = 1) -> Estimate:
    """The value below which so large a share lies.

    Args:
        values: What was measured.
        share: 0 to 1.
        seed: Of the draws.
    """
    if not len(values):
        return Estimate(0.0, 0.0, float("inf"), 0)
    known, generator = np.array(values, np.float64), np.random.default_rng(seed)
    drawn = np.quantile(known[generator.integers(0, len(known), (DRAWS, len(known)))], share, axis=1)
    low, high = np.quantile(drawn, ((1 - SHARE) / 2, (1 + SHARE) / 2), method="nearest")
    return Estimate(float(np.quantile(known, share)), float(low), float(high), len(known))


def _divided(sums: NDArray[np.float64]) -> float:
    return float(sums[0] / sums[1]) if sums[1] else float("inf") if sums[0] else 1.0
