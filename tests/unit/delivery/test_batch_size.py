"""A batch that does not come through becomes smaller until it does, and larger again, ever more carefully."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.delivery.batch_size import BatchSize


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50, 199, 200, 1000])
def test_size_settles_below_any_limit(limit: int) -> None:
    """Whatever a broker takes, most batches come through: a backlog drains, and a limit is run against ever less often."""
    size = BatchSize(200)
    sent = failures = 0
    for _ in range(2000):
        if size.now <= limit:
            sent += size.now
            size.came_through(size.now)
        else:
            failures += 1
            size.failed(size.now)
    assert failures <= 20
    assert sent >= 1900 * min(limit, 200) // 2


def test_one_loss_is_forgotten() -> None:
    """A network that was away once costs some smaller batches, and no more."""
    size = BatchSize(200)
    size.failed(200)
    assert size.now == 100
    for _ in range(20):
        size.came_through(size.now)
    assert size.now == 200


def test_small_batches_tell_nothing() -> None:
    """One entry that arrives is no proof that a hundred would."""
    size = BatchSize(200)
    size.failed(200)
    for _ in range(1000):
        size.came_through(1)
    assert size.now == 100


@given(st.integers(1, 500), st.lists(st.tuples(st.booleans(), st.integers(1, 500))))
def test_size_stays_within_its_bounds(most: int, events: list[tuple[bool, int]]) -> None:
    """Never none, never more than is wished for."""
    size = BatchSize(most)
    for well, entries in events:
        (size.came_through if well else size.failed)(min(entries, size.now))
        assert 1 <= size.now <= most


def test_entry_that_fails_alone_is_doubted() -> None:
    """Not before it has failed alone three times in a row, then every second time; what comes through ends the doubt."""
    size = BatchSize(200)
    size.failed(2)
    doubts = []
    for _ in range(6):
        doubts.append(size.is_doubted)
        size.failed(1)
    assert doubts == [False, False, False, True, False, True]
    size.failed(1)
    size.came_through(1)
    assert not size.is_doubted
