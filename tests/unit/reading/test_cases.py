"""The learnt table is read as it is written, and the same pictures give the same table."""

from __future__ import annotations

from itertools import islice

import cv2
import pytest

from bench import learn
from kiosk.reading import cases, passes
from kiosk.reading.cases import Trait

TABLE = """# a comment
regions 0.7 0.2 0.1
passes first second
3 - x.
1 dim,soft xx
"""


def test_table_is_read_as_it_is_written() -> None:
    """Counts, ailments, passes and regions."""
    table = cases.read(TABLE)
    assert table.passes == ("first", "second")
    assert table.counts.tolist() == [3, 1]
    assert table.traits == (frozenset(), frozenset({Trait.DIM, Trait.SOFT}))
    assert table.reads.tolist() == [[1, 0], [1, 1]]
    assert table.regions == (0.7, 0.2, 0.1)


def test_case_counts_less_in_a_picture_that_ails_otherwise() -> None:
    """For each ailment that only one of the two has."""
    likeness = cases.read(TABLE).likeness(frozenset({Trait.DIM}))
    assert likeness.tolist() == pytest.approx([cases.DIFFERS, cases.DIFFERS])
    assert cases.read(TABLE).likeness(frozenset()).tolist() == pytest.approx([1, cases.DIFFERS**2])


def test_same_pictures_teach_the_same() -> None:
    """The learner is seeded, knows every pass, and its table can be read."""

    def taught() -> str:
        learner = learn.Learner()
        for shown in islice(learn.pictures(3, 1), 2, 7):
            learner.take(shown)
        return learner.table(3, 1)

    cv2.setNumThreads(1)
    table = taught()
    assert table == taught()
    assert cases.read(table).passes == tuple(plan.name for plan in passes.PLANS)
