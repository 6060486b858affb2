"""Which decoding pass comes next on a frame. Pure: it is told what was seen, tried and spent, and answers with a choice.

What may be held up is a belief: which of the learnt cases (`kiosk.reading.cases`), and in which region of the picture. A pass that fails takes the
belief from the cases that it would have read; what is left says which pass has the most hope for what it costs. So the passes that
fail together do not follow each other, on this frame and on the next ones of the same code. What a pass reads is more likely to be
read by it at the next person, too: a door has its light and its people have their phones.

An attempt is a plan on one target: a near miss (a code that was found and not read), a region with a code's texture, or the whole
picture. Within one frame none is tried twice.

Work is counted in megapixels: what the cheap pass takes for a million pixels of an empty frame. It is counted and not timed, so that the same
frames are tried alike on a busy machine. Each frame earns `EARNS` times its own size, saved up to `PURSE`; of that a frame may take
more the longer a code stays unread, because a cheap pass on the next frame is better than an expensive one on this. The budget of a
frame is the clock's: it bounds whatever is shown.

Units: `_ms` milliseconds, `_mpx` megapixels of work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from kiosk.reading.cases import learnt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kiosk.reading.cases import Cases, Trait
    from kiosk.reading.evidence import Box

    Weights = NDArray[np.float64]

EARNS, PURSE = 3.5, 14.0
"""What a frame earns beyond the cheap pass, and how much of that is saved at most, in sizes of the frame."""
LATE_FRAMES, LATE_EARNS = 10, 0.4
"""After so many frames of a sighting without a code a frame earns less: what was not read by then is damaged, or no code."""
FIRST, STEP, MOST = 5.5, 1.0, 7.5
"""What the first frame of a sighting may take, how much more each further one, and at most; in sizes of the frame. The first suffices for what
a moving hand has smeared: `bench.motion` holds its floor in one frame."""
SMALL_MPX = 0.9
"""A frame counts as of this size at least: the fixed work of a pass does not shrink with it."""
TEXTURED = 6.0
"""A pass on the whole takes so much more on the part of it that has texture."""
OTHERS = 0.5
"""So much of that is for further codes after one was read: its holder has been answered."""
SURE, SURE_NEAR = 0.9, 0.5
"""A failure takes so much from a case that the pass would have read; less on a near miss, of which every frame adds to the sum."""
KEPT = 0.9
"""And so much of that is kept for the next frame of the same code."""
RETRY = 0.6
"""And a pass itself is hoped for so much less on the next frames of the sighting, each time it fails: dear passes get their turn, too."""
NEAR_SHARE = 0.85
"""Where there are near misses, a code is among them with this chance."""
NOTHING = 0.5
"""The chance that a texture is no code."""
HOPE_MIN = 0.001
"""Less hope than this for a megapixel of work is not followed: it is kept for a better frame."""
FORGET = 0.9
"""What a door has learnt of its cases fades so much with each code that a pass reads."""
FIXED_MPX = 0.04
"""What calling a pass costs, however small its target."""
SIGHTING_FRAMES = 10
"""After so many frames without evidence the next evidence is somebody else."""


class Scope(Enum):
    """What a plan works on."""

    NEAR = "a code that was found and not read"
    REGION = "a part of the picture with the texture of a code"
    WHOLE = "the whole picture"


@dataclass(frozen=True, slots=True)
class Plan:
    """A pass, as far as choosing it goes.

    Attributes:
        name: Its name, unique; a column of the cases.
        scope: What it works on.
        cost: Work for each megapixel of its target.
        fixed_mpx: Work on top, however large the target.
        most_mpx: More of a target than this costs no more: it is made smaller.
    """

    name: str
    scope: Scope
    cost: float
    fixed_mpx: float = FIXED_MPX
    most_mpx: float = 10.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a frame.

    Attributes:
        size_mpx: Its size.
        near: Boxes around near misses, in the order of their being found.
        regions: Boxes with texture, the likeliest first.
        traits: What ails the picture.
        has_read: Whether a code was read in it.
    """

    size_mpx: float = 0.0
    near: tuple[Box, ...] = ()
    regions: tuple[Box, ...] = ()
    traits: frozenset[Trait] = frozenset()
    has_read: bool = False

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every place, near misses first."""
        return self.near + self.regions


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan on a target.

    Attributes:
        plan: Which plan.
        target: The box; None for the whole picture.
        cost_mpx: What it should take.
    """

    plan: Plan
    target: Box | None
    cost_mpx: float


@dataclass
class _Frame:
    """The frame in hand. Columns are places: the boxes of the evidence, and the last for anywhere else."""

    evidence: Evidence = Evidence()
    left: Weights = field(default_factory=lambda: np.ones((0, 1)))
    """What failures have left of each case at each place, 0 to 1."""
    likely: Weights = field(default_factory=lambda: np.ones((0, 1)))
    """How likely each case was at each place, before any failure."""
    spent_ms: float = 0.0
    spent_mpx: float = 0.0
    allowed_mpx: float = 0.0
    """After so much nothing more is begun."""
    most_mpx: float = 0.0
    """Nothing is begun that would take more than this in all."""
    tried: set[tuple[str, Box | None]] = field(default_factory=set)


class Schedule:
    """The choices of one door. For each frame: `begin`, then `choose` and `settle` until there is no choice."""

    def __init__(self, plans: Sequence[Plan], budget_ms: float, cases: Cases | None = None) -> None:
        """Begin with a full purse and what was learnt elsewhere.

        Args:
            plans: What can be tried.
            budget_ms: After so long on one frame no attempt is begun on it.
            cases: What was learnt; that of `kiosk.reading.cases` if None.
        """
        self._cases = learnt() if cases is None else cases
        self._plans = tuple(plans)
        self._near_plans = {plan.name for plan in plans if plan.scope is Scope.NEAR}
        self._budget_ms = budget_ms
        columns = {name: number for number, name in enumerate(self._cases.passes)}
        self._reads = {plan.name: self._cases.reads[:, columns[plan.name]] for plan in plans}
        self._matrix = np.array([self._reads[plan.name] for plan in plans])
        self._prior = self._cases.counts / self._cases.counts.sum()
        self._purse = PURSE
        self._age = 0
        self._idle_frames = 0
        self._failures = dict.fromkeys(self._reads, 0)
        self._failed: set[str] = set()
        self._frame = _Frame()

    def begin(
        self, evidence: Evidence, spent_ms: float, failed: Sequence[str] = (), gift_mpx: float | None = None
    ) -> None:
        """A new frame.

        Args:
            evidence: What is known of it.
            spent_ms: What it took by the clock.
            failed: Plans that have been tried on the whole of it, and have read less than all.
            gift_mpx: What may be spent on it, if it is a single picture and not one of many.
        """
        earlier = self._frame
        self._idle_frames = 0 if evidence.boxes else self._idle_frames + 1
        for name in self._failed - self._near_plans:
            self._failures[name] += 1
        self._failed = set()
        is_elsewhere = bool(evidence.boxes and earlier.evidence.boxes) and not any(
            _is_same(box, other) for box in evidence.boxes for other in earlier.evidence.boxes
        )
        if self._idle_frames >= SIGHTING_FRAMES or is_elsewhere:
            self.begin_sighting()
            earlier = _Frame()
        if evidence.boxes:
            self._age += 1
        self._frame = _Frame(evidence, spent_ms=spent_ms)
        self._purse = min(PURSE, self._purse + (EARNS if self._age <= LATE_FRAMES else LATE_EARNS))
        patience = min(MOST, FIRST + STEP * max(0, self._age - 1)) * (OTHERS if evidence.has_read else 1.0)
        self._frame.most_mpx = patience * self._size_mpx if gift_mpx is None else 2 * gift_mpx
        self._frame.allowed_mpx = (
            min(patience, max(0.0, self._purse)) * self._size_mpx if gift_mpx is None else gift_mpx
        )
        if evidence.boxes:
            self._place(earlier, KEPT)
            for name in failed:
                self._frame.tried.add((name, None))
                self._fail(name, None)

    def found(self, evidence: Evidence) -> None:
        """More is known of the frame in hand: a pass has found a code that it could not read, or has read one."""
        if evidence.boxes != self._frame.evidence.boxes:
            earlier = _Frame(self._frame.evidence, self._frame.left, self._frame.likely)
            self._frame.evidence = evidence
            self._place(earlier, 1.0)

    def choose(self, scopes: frozenset[Scope] = frozenset(Scope)) -> Attempt | None:
        """The attempt with the most hope for its work; None if there is none, no time, or nothing left to be spent.

        Args:
            scopes: Which plans are wanted.
        """
        frame = self._frame
        if not frame.evidence.boxes or frame.spent_ms >= self._budget_ms or frame.spent_mpx >= frame.allowed_mpx:
            return None
        weights = frame.left * frame.likely
        turns = np.array([RETRY ** self._failures[plan.name] for plan in self._plans])
        hopes = turns[:, None] * (self._matrix @ weights) / (weights.sum() + NOTHING)
        best, choice = HOPE_MIN, None
        whole_mpx = frame.evidence.size_mpx + TEXTURED * sum(map(area_mpx, frame.evidence.boxes))
        for plan, hope in zip(self._plans, hopes, strict=True):
            for target, chance in self._targets(plan, hope) if plan.scope in scopes else ():
                if chance > 0 and (plan.name, target) not in frame.tried:
                    area = whole_mpx if target is None else area_mpx(target)
                    cost_mpx = plan.fixed_mpx + plan.cost * min(area, plan.most_mpx)
                    if chance / cost_mpx > best and frame.spent_mpx + cost_mpx <= frame.most_mpx:
                        best, choice = chance / cost_mpx, Attempt(plan, target, cost_mpx)
        return choice

    def settle(self, attempt: Attempt, cost_ms: float, *, read: bool) -> None:
        """An attempt is over.

        Args:
            attempt: As it was chosen.
            cost_ms: What it took.
            read: Whether it read a code.
        """
        frame, name = self._frame, attempt.plan.name
        frame.tried.add((name, attempt.target))
        frame.spent_ms += cost_ms
        frame.spent_mpx += attempt.cost_mpx
        self._purse = max(-PURSE, self._purse - attempt.cost_mpx / self._size_mpx)
        if read:
            won = self._prior * self._reads[name]
            self._prior = FORGET * self._prior + (1 - FORGET) * won / max(won.sum(), 1e-9)
            self.begin_sighting()
            frame.left[:, self._columns(attempt.target)] = 1.0
        else:
            self._failed.add(name)
            self._fail(name, attempt.target)

    def begin_sighting(self) -> None:
        """What is seen next is somebody else: what has failed so far says nothing of that."""
        self._age = 0
        self._failures = dict.fromkeys(self._failures, 0)

    @property
    def _size_mpx(self) -> float:
        return max(SMALL_MPX, self._frame.evidence.size_mpx)

    def _targets(self, plan: Plan, hope: Weights) -> list[tuple[Box | None, float]]:
        evidence = self._frame.evidence
        if plan.scope is Scope.WHOLE:
            return [(None, float(hope.sum()))]
        if plan.scope is Scope.NEAR:
            return list(zip(evidence.near, hope.tolist(), strict=False))
        return list(zip(evidence.boxes, hope.tolist(), strict=False))

    def _place(self, earlier: _Frame, kept: float) -> None:
        """Lay the belief over the places of this frame; what has failed at the same place before counts as far as it is kept."""
        evidence, old = self._frame.evidence, earlier.evidence.boxes
        regions = [*self._cases.regions[:-1], *[self._cases.regions[-2]] * len(evidence.regions)][
            : len(evidence.regions)
        ]
        chances = np.array([*regions, self._cases.regions[-1] + 1e-3])
        near = NEAR_SHARE if evidence.near else 0.0
        places = np.concatenate(
            [[near / max(1, len(evidence.near))] * len(evidence.near), (1 - near) * chances / chances.sum()]
        )
        prior = self._prior * self._cases.likeness(evidence.traits)
        self._frame.likely = np.outer(prior / prior.sum(), places)
        left = np.ones_like(self._frame.likely)
        if len(earlier.left):
            for number, box in enumerate(evidence.boxes):
                same = next((index for index, each in enumerate(old) if _is_same(box, each)), len(old))
                left[:, number] = earlier.left[:, same]
            left[:, -1] = earlier.left[:, -1]
        self._frame.left = 1 - kept * (1 - left)

    def _fail(self, name: str, target: Box | None) -> None:
        sure = SURE_NEAR if name in self._near_plans else SURE
        self._frame.left[:, self._columns(target)] *= (1 - sure * self._reads[name])[:, None]

    def _columns(self, target: Box | None) -> list[int]:
        boxes = self._frame.evidence.boxes
        return [number for number, box in enumerate(boxes) if box == target] if target else [*range(len(boxes) + 1)]


def area_mpx(box: Box) -> float:
    """Of a box, in megapixels."""
    left, top, right, bottom = box
    return (right - left) * (bottom - top) / 1e6


def _is_same(box: Box, other: Box) -> bool:
    """Whether the middle of each lies in the other, and neither is more than twice the other."""
    is_alike = 0.5 < area_mpx(box) / area_mpx(other) < 2
    return is_alike and _holds(box, other) and _holds(other, box)


def _holds(box: Box, other: Box) -> bool:
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]
