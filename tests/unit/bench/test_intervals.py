"""The statistics of the measure agree with what is known in closed form."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from bench.decoding.intervals import bootstrap, difference, quantile, ratio, share_of_groups, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (0, 0, 0.0, 1.0)],
)
def test_wilson_agrees_with_tables(hits: int, n: int, low: float, high: float) -> None:
    """Wilson's interval is that of the books, also at none, at all and of nothing."""
    found = wilson(hits, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)
    assert found.n == n


def test_bootstrap_of_a_mean_agrees_with_the_normal_one() -> None:
    """Of 400 independent values the interval is the mean ± 1.96 standard errors, within a tenth of that."""
    values = np.random.default_rng(3).normal(5, 2, 400)
    found = bootstrap(np.column_stack([values, np.ones(400)]), lambda sums: float(sums[0] / sums[1]))
    half = 1.96 * values.std() / sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_bootstrap_is_the_same_each_time() -> None:
    """The same measurements give the same interval, so that a table can be made again."""
    ours, theirs = [1, 0, 1, 1, 0, 1, 1, 0], [1, 0, 0, 1, 0, 0, 1, 0]
    assert ratio(ours, theirs) == ratio(ours, theirs)


def test_pairs_are_kept_together() -> None:
    """Two readers that differ by a factor on each picture differ by it without any doubt, however the pictures vary."""
    costs = list(np.random.default_rng(1).exponential(10, 50))
    found = ratio([3 * each for each in costs], costs)
    assert (found.value, found.low, found.high) == pytest.approx((3, 3, 3))
    plus = difference([each + 2 for each in costs], costs)
    assert (plus.value, plus.low, plus.high) == pytest.approx((2, 2, 2))


def test_groups_that_hang_together_make_the_interval_wider() -> None:
    """Ten sets that are read whole or not at all say less than a hundred pictures each for itself."""
    hits = [number < 70 for number in range(100)]
    apart = share_of_groups(hits, [str(number) for number in range(100)])
    together = share_of_groups(hits, [str(number // 10) for number in range(100)])
    assert apart.value == together.value == pytest.approx(0.7)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert (apart.n, together.n) == (100, 100)


def test_nothing_measured_says_nothing() -> None:
    """No unit, no bound; two readers that read nothing are equal, and nothing read by the rival alone is no bound from above."""
    assert ratio([], []).high == float("inf")
    assert quantile([], 0.5).high == float("inf")
    assert ratio([0, 0], [0, 0]).value == 1.0
    assert ratio([1, 0], [0, 0]).value == float("inf")


def test_quantile_lies_within_its_interval() -> None:
    """The median of 1 to 1001 is 501, and its interval holds it, some 31 on each side."""
    found = quantile(list(range(1, 1002)), 0.5)
    assert found.value == 501
    assert found.low == pytest.approx(501 - 31, abs=8)
    assert found.high == pytest.approx(501 + 31, abs=8)
