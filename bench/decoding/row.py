"""A row of the table: what is wanted, what was measured, how sure that is, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass

from bench.decoding.intervals import Estimate

HEAD = ("| what | wanted | measured | 95 % | n | |", "|---|---|---|---|---|---|")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the figure should be.

    Attributes:
        limit: The bound.
        at_least: Whether the figure may not be below it; otherwise it may not be above.
        surely: Whether the whole interval must be above 0, too.
    """

    limit: float
    at_least: bool = True
    surely: bool = False

    def is_met(self, estimate: Estimate) -> bool:
        """Whether the figure keeps it."""
        within = estimate.value >= self.limit if self.at_least else estimate.value <= self.limit
        return within and (estimate.low > 0 or not self.surely)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: What it is of.
        estimate: The figure; None where it could not be measured.
        wanted: What it should be; None where it is told beside the others.
        unit: Written behind it.
        note: What else is to be known.
    """

    what: str
    estimate: Estimate | None
    wanted: Wanted | None = None
    unit: str = ""
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it was measured and is not what it should be."""
        return self.estimate is not None and self.wanted is not None and not self.wanted.is_met(self.estimate)

    def line(self) -> str:
        """For the table."""
        note = f" ({self.note})" if self.note else ""
        wanted = "" if self.wanted is None else self._bound(self.wanted)
        if self.estimate is None:
            return f"| {self.what}{note} | {wanted} | | | | not measured |"
        each = self.estimate
        verdict = "" if self.wanted is None else "**missed**" if self.is_missed else "met"
        interval = f"{_told(each.low)} to {_told(each.high)}"
        return f"| {self.what}{note} | {wanted} | {_told(each.value)}{self.unit} | {interval} | {each.n} | {verdict} |"

    def _bound(self, wanted: Wanted) -> str:
        sure = ", interval above 0" if wanted.surely else ""
        return f"{'≥' if wanted.at_least else '≤'} {_told(wanted.limit)}{self.unit}{sure}"


def never(what: str, count: int, of: int) -> Row:
    """Something that must not happen.

    Args:
        what: What it is.
        count: How often it did.
        of: Out of so many.
    """
    return Row(what, Estimate(count, count, count, of), Wanted(0, at_least=False))


def _told(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"
