"""What was learnt of codes that the cheap pass does not read: which passes read which of them. `cases.txt` is the table.

A row is a *case*: so many codes, what ailed their pictures, and the passes that read them. Passes that fail together stand in the same rows,
and that is what is used: after a pass has failed, the codes that it would have read are hardly those that are held up now.
`bench.learn` makes the table from generated pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TABLE = Path(__file__).with_name("cases.txt")
DIFFERS = 0.3
"""A case whose picture ailed otherwise counts so much, for each ailment that one of the two has and the other has not."""


class Trait(Enum):
    """What may ail a picture."""

    DIM = "little light, so noise"
    SOFT = "no sharp edges"


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The table.

    Attributes:
        passes: Names of the passes, in the order of the columns.
        counts: How many codes each case is of, shape (cases,).
        traits: What ailed their pictures, one set a case.
        reads: Whether a pass reads a case, 0 or 1, shape (cases, passes).
        regions: Chance that a code lies in the first, second, … region of the look; the last is that of all others.
    """

    passes: tuple[str, ...]
    counts: NDArray[np.float64]
    traits: tuple[frozenset[Trait], ...]
    reads: NDArray[np.float64]
    regions: tuple[float, ...]

    def likeness(self, traits: frozenset[Trait]) -> NDArray[np.float64]:
        """How much each case counts in a picture with these ailments, shape (cases,)."""
        return np.array([DIFFERS ** len(each ^ traits) for each in self.traits])


@cache
def learnt() -> Cases:
    """The table of `cases.txt`."""
    return read(_TABLE.read_text("utf-8"))


def read(text: str) -> Cases:
    """A table from its text.

    Args:
        text: As `bench.learn` writes it.
    """
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    (_, *regions), (_, *passes), *rows = lines
    return Cases(
        passes=tuple(passes),
        counts=np.array([float(count) for count, _, _ in rows]),
        traits=tuple(
            frozenset(Trait[name.upper()] for name in traits.split(",") if name != "-") for _, traits, _ in rows
        ),
        reads=np.array([[float(mark == "x") for mark in marks] for _, _, marks in rows]),
        regions=tuple(map(float, regions)),
    )
