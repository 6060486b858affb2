"""The schedule spends a frame's work where there is most hope, and never more than it may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.reading import cases
from kiosk.reading.cases import Trait
from kiosk.reading.evidence import Box
from kiosk.reading.schedule import (
    EARNS,
    MOST,
    PURSE,
    SIGHTING_FRAMES,
    Evidence,
    Plan,
    Schedule,
    Scope,
)

QUICK = Plan("quick", Scope.REGION, 5.0)
SLOW = Plan("slow", Scope.REGION, 20.0)
TWIN = Plan("twin", Scope.REGION, 6.0)
DARK = Plan("dark", Scope.REGION, 7.0)
WHOLE = Plan("whole", Scope.WHOLE, 2.0)
NEAR = Plan("near", Scope.NEAR, 0.0, fixed_mpx=2.0)
PLANS = (QUICK, SLOW, TWIN, DARK, WHOLE, NEAR)
TABLE = cases.read("""# twin reads what quick reads; whole reads everything a little
regions 0.6 0.3 0.1
passes quick slow twin dark whole near
40 - x.x.xx
10 - .x..x.
20 - ...xx.
30 dim ...xx.
20 - .....x
""")
FIRST_BOX, SECOND_BOX, NEAR_BOX = (100, 100, 300, 300), (500, 100, 700, 300), (800, 400, 1000, 600)
LARGE = ((0, 0, 400, 400), (500, 0, 900, 400), (0, 500, 400, 900))
REGION = Evidence(1.0, regions=(FIRST_BOX,))


def _schedule(budget_ms: float = 1000, plans: tuple[Plan, ...] = PLANS) -> Schedule:
    return Schedule(plans, budget_ms, TABLE)


def _tried(
    schedule: Schedule, evidence: Evidence, cost_ms: float = 0.5, gift_mpx: float | None = None
) -> list[tuple[str, Box | None]]:
    """Everything that is chosen on one frame, when nothing is read."""
    schedule.begin(evidence, 1.0, (), gift_mpx)
    chosen = []
    while (attempt := schedule.choose()) is not None:
        chosen.append((attempt.plan.name, attempt.target))
        schedule.settle(attempt, cost_ms, read=False)
    return chosen


def test_shipped_table_knows_every_pass() -> None:
    """Each plan is a column of the learnt table, and each column a plan; the chances of the regions sum up to one."""
    from kiosk.reading.passes import PLANS as SHIPPED  # noqa: PLC0415  the engines are not needed elsewhere here

    table = cases.learnt()
    assert set(table.passes) == {plan.name for plan in SHIPPED}
    assert sum(table.regions) == pytest.approx(1, abs=0.01)
    assert table.reads.any(axis=1).all()


def test_empty_frame_costs_nothing() -> None:
    """Without evidence there is no attempt."""
    assert _tried(_schedule(), Evidence(1.0)) == []


def test_most_hope_for_its_work_comes_first() -> None:
    """What reads most for its cost is first, and what fails with it is not second."""
    names = [name for name, _ in _tried(_schedule(), REGION, gift_mpx=100.0)]
    assert names[0] == "quick"
    assert names.index("twin") > names.index("dark")
    assert len(set(names)) == len(names)


def test_likelier_region_comes_first() -> None:
    """The regions in their order."""
    tried = _tried(_schedule(), Evidence(1.0, regions=(FIRST_BOX, SECOND_BOX)))
    assert [box for name, box in tried if name == "quick"] == [FIRST_BOX, SECOND_BOX]


def test_what_ails_the_picture_is_heeded() -> None:
    """In a dark frame the pass that reads dark cases overtakes."""
    names = [
        _tried(_schedule(), Evidence(1.0, regions=(FIRST_BOX,), traits=traits))[0][0]
        for traits in (frozenset[Trait](), frozenset({Trait.DIM}))
    ]
    assert names == ["quick", "dark"]


def test_what_worked_last_on_this_door_comes_earlier() -> None:
    """A win moves what is like it to the front, and another's wins move it back again."""
    schedule = _schedule()

    def win(name: str, times: int) -> str:
        for _ in range(times):
            schedule.begin(REGION, 1.0)
            while (attempt := schedule.choose()) is not None and attempt.plan.name != name:
                schedule.settle(attempt, 0.1, read=False)
            if attempt is not None:
                schedule.settle(attempt, 0.1, read=True)
            for _ in range(SIGHTING_FRAMES + 4):
                schedule.begin(Evidence(1.0), 1.0)
        return _tried(schedule, REGION)[0][0]

    assert [win("dark", 12), win("quick", 20)] == ["dark", "quick"]


def test_plans_take_turns_over_the_frames_of_a_sighting() -> None:
    """What failed on the last frame of this code is not first on the next; after a while without evidence it is somebody else."""
    schedule = _schedule()
    schedule.begin(REGION, 1.0)
    first = schedule.choose()
    assert first is not None
    schedule.settle(first, 0.5, read=False)
    assert _tried(schedule, REGION)[0][0] != first.plan.name
    for _ in range(SIGHTING_FRAMES):
        assert _tried(schedule, Evidence(1.0)) == []
    assert _tried(schedule, REGION)[0][0] == first.plan.name


def test_failures_stay_with_their_place() -> None:
    """Where a code has failed is remembered by the place: a region that is new is tried as if nothing had failed."""
    schedule = _schedule(plans=(QUICK, SLOW, DARK))
    for _ in range(4):
        _tried(schedule, REGION)
    tried = _tried(schedule, Evidence(1.0, regions=(FIRST_BOX, SECOND_BOX)))
    assert tried[0] == ("quick", SECOND_BOX)


def test_code_elsewhere_is_somebody_else() -> None:
    """Where nothing is at the place of before, what failed before says nothing."""
    schedule = _schedule()
    first = _tried(schedule, REGION)
    for _ in range(3):
        _tried(schedule, REGION)
    assert [name for name, _ in _tried(schedule, Evidence(1.0, regions=(NEAR_BOX,)))] == [name for name, _ in first]


def test_near_miss_is_followed_before_regions() -> None:
    """A code that was found and not read goes before any texture."""
    assert _tried(_schedule(), Evidence(1.0, near=(NEAR_BOX,), regions=(FIRST_BOX,)))[0][1] == NEAR_BOX


def test_near_miss_found_on_the_way_is_followed() -> None:
    """What a pass finds changes what comes next on the same frame."""
    schedule = _schedule()
    schedule.begin(REGION, 1.0)
    first = schedule.choose()
    assert first is not None
    schedule.settle(first, 0.5, read=False)
    schedule.found(Evidence(1.0, near=(NEAR_BOX,), regions=(FIRST_BOX,)))
    second = schedule.choose()
    assert second is not None
    assert (first.target, second.target) == (FIRST_BOX, NEAR_BOX)


def test_further_codes_are_searched_after_one_was_read() -> None:
    """A code that is read costs the others a part of the work and not their turn."""
    few, many = (_tried(_schedule(), Evidence(1.0, regions=LARGE, has_read=has_read)) for has_read in (True, False))
    assert 0 < len(few) < len(many)


def test_patience_grows() -> None:
    """The first frame of a sighting is left early, for the next one may be easy; what stays unread is worth more."""
    schedule = _schedule()
    counts = [len(_tried(schedule, Evidence(1.0, regions=LARGE))) for _ in range(4)]
    assert counts[0] < max(counts[1:])


def test_same_frames_are_tried_alike_on_a_busy_machine() -> None:
    """Work is counted: while the budget lasts, the clock does not change what is tried."""
    quiet, busy = _schedule(), _schedule()
    evidence = Evidence(1.0, near=(NEAR_BOX,), regions=(FIRST_BOX, SECOND_BOX))
    for _ in range(20):
        assert _tried(quiet, evidence, cost_ms=0.1) == _tried(busy, evidence, cost_ms=3.0)


BOXES = st.lists(st.sampled_from([FIRST_BOX, SECOND_BOX, NEAR_BOX]), unique=True, max_size=3).map(tuple)


@given(st.floats(1, 100), st.lists(st.tuples(st.floats(0, 50), BOXES, BOXES, st.booleans()), max_size=20))
def test_budget_is_exceeded_by_one_pass_at_most(
    budget_ms: float, frames: list[tuple[float, tuple[Box, ...], tuple[Box, ...], bool]]
) -> None:
    """Whatever is shown: no attempt is begun after the budget, none twice on a frame, and every frame ends."""
    schedule = _schedule(budget_ms)
    for cost_ms, near, regions, read in frames:
        schedule.begin(Evidence(1.0, near, tuple(box for box in regions if box not in near)), 0.5)
        spent_ms, seen = 0.5, set()
        while (attempt := schedule.choose()) is not None:
            assert spent_ms < budget_ms
            assert (attempt.plan.name, attempt.target) not in seen
            seen.add((attempt.plan.name, attempt.target))
            spent_ms += cost_ms
            schedule.settle(attempt, cost_ms, read=read)
        assert np.isfinite(schedule._frame.left).all()


@given(st.integers(20, 60))
def test_hopeless_frames_cost_a_small_multiple_of_the_cheap_pass(count: int) -> None:
    """Over many frames the work beyond the cheap pass is what they earn, the purse at the start, and one attempt; on one it is bounded, too."""
    schedule = _schedule()
    spent = []
    for _ in range(count):
        schedule.begin(Evidence(1.0, regions=LARGE), 1.0)
        spent.append(0.0)
        while (attempt := schedule.choose()) is not None:
            spent[-1] += attempt.cost_mpx
            schedule.settle(attempt, 0.01, read=False)
    assert max(spent) <= MOST
    assert sum(spent) <= PURSE + EARNS * count + MOST
