"""Which decoding pass comes next on a frame. Pure: it is told what was seen, tried and spent, and answers with a choice.

Every frame gets the cheap pass without asking. What may be spent beyond it is an allowance: each frame earns `SHARE` times
what a cheap pass counts, saved up to one frame's budget, and may take a part of what is saved. So a fresh face at the door finds
a full purse, and a long series of hopeless frames costs a small multiple of the cheap pass. The purse is counted, not timed: each
attempt costs what it should take, so that the same frames are tried alike on a busy machine. The budget of a frame is the
clock's: it bounds whatever is shown. The purse goes to the attempt with the most hope per millisecond:

    hope = the plan's chance  ×  what it won on this door  ×  what the evidence says  ×  RETRY for each failure in this sighting

An attempt is a plan on one target: a near miss (a code that was found and not read), a region with a code's texture, or the
whole picture. Within one frame none is tried twice; over the frames of a sighting the failures make the plans take turns.

Units: `_ms` milliseconds, `_px` pixels. `cost` is in units of the cheap pass on the same number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE = 5.5
"""So much a frame earns beyond the cheap pass, in units of the cheap pass. Counted: passes take 0.35 to 1.0 of it."""
DRIP = 0.3
"""One frame may take so much of the purse: the next frame may be the sharper one."""
RETRY = 0.45
"""A plan that has failed on this sighting is hoped for so much less, each time."""
FORGET = 0.85
"""What a pass has won fades so much with each code that any pass wins."""
WINNER = 6.0
"""A plan that won every code of late is hoped for this much more, and one."""
RANK = 0.5
"""Each further region of a frame holds a code this much less likely than the one before."""
FIXED_MS = 0.15
"""What calling a pass costs, however small its target."""
REST_FRAMES = 4
"""So long after a code was read no region is searched: the holder has been answered and need not be read in every frame."""
SIGHTING_FRAMES = 10
"""After so many frames without evidence the next evidence is somebody else."""


class Scope(Enum):
    """What a plan works on."""

    NEAR = "a code that was found and not read"
    REGION = "a part of the picture with the texture of a code"
    WHOLE = "the whole picture"


class Trait(Enum):
    """What may ail a picture."""

    DIM = "little light, so noise"
    SOFT = "no sharp edges"


@dataclass(frozen=True, slots=True)
class Plan:
    """A pass, as far as choosing it goes.

    Attributes:
        name: Its name, unique.
        scope: What it works on.
        chance: Share of pictures that it read, of those that the cheap pass did not; measured.
        cost: Time on a target, in units of the cheap pass on the same number of pixels; measured.
        fixed_ms: Time that it takes on top, however large the target.
        suits: What ails the pictures on which it does better than elsewhere.
    """

    name: str
    scope: Scope
    chance: float
    cost: float
    fixed_ms: float = 0.0
    suits: frozenset[Trait] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the cheap look at a frame says.

    Attributes:
        near: For each near miss, its share of the picture's pixels.
        regions: For each region with texture, the likeliest first, its share of the picture's pixels.
        traits: What ails the picture.
        has_read: Whether the cheap pass read a code.
    """

    near: tuple[float, ...] = ()
    regions: tuple[float, ...] = ()
    traits: frozenset[Trait] = frozenset()
    has_read: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan on a target.

    Attributes:
        plan: Which plan.
        target: Which of the near misses or regions, from 0; 0 for the whole picture.
        expected_ms: What it should take.
    """

    plan: Plan
    target: int
    expected_ms: float


@dataclass
class _Frame:
    """The frame in hand."""

    evidence: Evidence = Evidence()
    cheap_ms: float = 0.0
    spent_ms: float = 0.0
    counted_ms: float = 0.0
    allowed_ms: float = 0.0
    tried: set[tuple[str, int]] = field(default_factory=set)
    left: list[tuple[float, Attempt]] = field(default_factory=list)
    """What is not tried yet, each with its hope before history and failures."""


class Schedule:
    """The choices of one door. For each frame: `begin`, then `choose` and `settle` until there is no choice."""

    def __init__(
        self,
        plans: Sequence[Plan],
        budget_ms: float,
        share: float = SHARE,
        purse_ms: float | None = None,
        drip: float = DRIP,
    ) -> None:
        """Begin with a full purse and no history.

        Args:
            plans: What can be tried.
            budget_ms: After so long on one frame no attempt is begun on it.
            share: What a frame earns, in units of its cheap pass.
            purse_ms: What is in the purse at first, if not a whole budget.
            drip: What part of the purse one frame may take.
        """
        self._plans = tuple(plans)
        self._budget_ms = budget_ms
        self._share = share
        self._drip = drip
        self._purse_ms = budget_ms if purse_ms is None else purse_ms
        self._won = {plan.name: 0.0 for plan in plans}
        self._failures = {plan.name: 0 for plan in plans}
        self._idle_frames = 0
        self._rest_frames = 0
        self._frame = _Frame()

    def begin(self, evidence: Evidence, cheap_ms: float, spent_ms: float) -> None:
        """A new frame.

        Args:
            evidence: What its cheap look says.
            cheap_ms: What a cheap pass on so many pixels counts.
            spent_ms: What it took by the clock.
        """
        self._frame = _Frame(evidence, cheap_ms, spent_ms)
        self._purse_ms = min(self._budget_ms, self._purse_ms + self._share * cheap_ms)
        self._frame.allowed_ms = max(self._share * cheap_ms, self._drip * self._purse_ms)
        self._idle_frames = 0 if evidence.near or evidence.regions else self._idle_frames + 1
        self._rest_frames = REST_FRAMES if evidence.has_read else max(0, self._rest_frames - 1)
        if evidence.has_read or self._idle_frames == SIGHTING_FRAMES:
            self._begin_sighting()
        self._frame.left = self._attempts()

    def found(self, evidence: Evidence) -> None:
        """More is known of the frame in hand: a pass has found a code that it could not read, or has read one."""
        if evidence != self._frame.evidence:
            self._frame.evidence = evidence
            self._frame.left = self._attempts()

    def choose(self) -> Attempt | None:
        """The attempt with the most hope per millisecond; None if there is none left, or no time.

        A near miss may run into debt, which the next frames pay off: nothing is as hopeful.
        """
        frame = self._frame
        if frame.spent_ms >= self._budget_ms:
            return None
        may_search = self._purse_ms > 0 and frame.counted_ms < frame.allowed_ms
        may_follow = self._purse_ms > -self._budget_ms
        afforded = [each for each in frame.left if (may_follow if each[1].plan.scope is Scope.NEAR else may_search)]
        return max(afforded, key=self._hope_per_ms)[1] if afforded else None

    def settle(self, attempt: Attempt, cost_ms: float, *, read: bool) -> None:
        """An attempt is over.

        Args:
            attempt: As it was chosen.
            cost_ms: What it took.
            read: Whether it read a code.
        """
        name = attempt.plan.name
        self._frame.tried.add((name, attempt.target))
        self._frame.left = [each for each in self._frame.left if each[1] is not attempt]
        self._frame.spent_ms += cost_ms
        self._frame.counted_ms += attempt.expected_ms
        self._purse_ms -= attempt.expected_ms
        if read:
            self._won = {each: FORGET * won for each, won in self._won.items()}
            self._won[name] += 1 - FORGET
            self._rest_frames = REST_FRAMES
            self._begin_sighting()
        else:
            self._failures[name] += 1

    def _begin_sighting(self) -> None:
        self._failures = dict.fromkeys(self._failures, 0)

    def _attempts(self) -> list[tuple[float, Attempt]]:
        evidence, tried = self._frame.evidence, self._frame.tried
        regions = () if evidence.has_read or self._rest_frames else evidence.regions
        shares = {Scope.NEAR: evidence.near, Scope.REGION: regions, Scope.WHOLE: (1.0,) if regions else ()}
        attempts = []
        for plan in self._plans:
            fit = 1.0 + len(plan.suits & evidence.traits)
            for target, share in enumerate(shares[plan.scope]):
                if (plan.name, target) not in tried:
                    expected_ms = FIXED_MS + plan.fixed_ms + plan.cost * share * self._frame.cheap_ms
                    hope = plan.chance * fit * RANK**target / expected_ms
                    attempts.append((hope, Attempt(plan, target, expected_ms)))
        return attempts

    def _hope_per_ms(self, hoped: tuple[float, Attempt]) -> float:
        hope, attempt = hoped
        name = attempt.plan.name
        return float(hope * (1.0 + WINNER * self._won[name]) * RETRY ** self._failures[name])
