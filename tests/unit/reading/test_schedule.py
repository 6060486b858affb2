"""The schedule spends a frame's time where there is most hope, and never more than it may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.reading.schedule import REST_FRAMES, SIGHTING_FRAMES, Attempt, Evidence, Plan, Schedule, Scope, Trait

QUICK = Plan("quick", Scope.REGION, chance=0.1, cost=1.0)
SLOW = Plan("slow", Scope.REGION, chance=0.1, cost=10.0)
DARK = Plan("dark", Scope.REGION, chance=0.06, cost=1.0, suits=frozenset({Trait.DIM}))
WHOLE = Plan("whole", Scope.WHOLE, chance=0.01, cost=1.0)
NEAR = Plan("near", Scope.NEAR, chance=0.5, cost=0.0, fixed_ms=4.0)
REGION = Evidence(regions=(0.1,))


def _tried(
    schedule: Schedule, evidence: Evidence, cheap_ms: float = 1.0, cost_ms: float = 0.5
) -> list[tuple[str, int]]:
    """Everything that is chosen on one frame, when nothing is read."""
    schedule.begin(evidence, cheap_ms, cheap_ms)
    chosen = []
    while (attempt := schedule.choose()) is not None:
        chosen.append((attempt.plan.name, attempt.target))
        schedule.settle(attempt, cost_ms, read=False)
    return chosen


def _win(schedule: Schedule, plan: Plan) -> None:
    schedule.begin(REGION, 1.0, 1.0)
    schedule.settle(Attempt(plan, 0, 1.0), 0.1, read=True)
    for _ in range(REST_FRAMES):
        schedule.begin(Evidence(), 1.0, 1.0)


def test_empty_frame_costs_nothing() -> None:
    """Without evidence there is no attempt."""
    assert _tried(Schedule([QUICK, WHOLE, NEAR], 60), Evidence()) == []


def test_most_hope_per_millisecond_comes_first() -> None:
    """Of two plans that read as much, the quicker one; and each once on a frame."""
    assert _tried(Schedule([SLOW, WHOLE, QUICK], 1000), REGION) == [("quick", 0), ("slow", 0), ("whole", 0)]


def test_likelier_region_comes_first() -> None:
    """The regions in their order."""
    assert _tried(Schedule([QUICK], 1000), Evidence(regions=(0.1, 0.1))) == [("quick", 0), ("quick", 1)]


def test_plan_that_suits_the_picture_comes_earlier() -> None:
    """In a dark frame the pass against noise overtakes."""
    names = [_tried(Schedule([QUICK, DARK], 1000), Evidence(regions=(0.1,), traits=traits))[0][0]
             for traits in (frozenset[Trait](), frozenset({Trait.DIM}))]  # fmt: skip
    assert names == ["quick", "dark"]


def test_what_worked_last_on_this_door_comes_earlier() -> None:
    """A win moves a plan to the front, and another's wins move it back again."""
    schedule = Schedule([QUICK, SLOW, DARK], 1000)
    assert _tried(schedule, REGION)[0] == ("quick", 0)
    for _ in range(3):
        _win(schedule, DARK)
    assert _tried(schedule, REGION)[0] == ("dark", 0)
    for _ in range(12):
        _win(schedule, QUICK)
    assert _tried(schedule, REGION)[0] == ("quick", 0)


def test_plans_take_turns_over_the_frames_of_a_sighting() -> None:
    """With time for one attempt a frame, what failed on the last frame is not first on the next."""
    schedule = Schedule([QUICK, DARK], 1000, share=0.2, purse_ms=0.1, drip=0.0)
    names = [_tried(schedule, REGION, cost_ms=0.2)[0][0] for _ in range(4)]
    assert names == ["quick", "dark", "quick", "dark"]


def test_another_sighting_begins_afresh() -> None:
    """After a while without evidence the failures are forgotten: it is somebody else."""
    schedule = Schedule([QUICK, DARK], 1000, share=0.2, purse_ms=0.1, drip=0.0)
    assert _tried(schedule, REGION, cost_ms=0.2) == [("quick", 0)]
    for _ in range(SIGHTING_FRAMES):
        assert _tried(schedule, Evidence()) == []
    assert _tried(schedule, REGION, cost_ms=0.2)[0] == ("quick", 0)


def test_near_miss_is_followed_at_once() -> None:
    """A code that was found and not read goes before any search, though it takes longer."""
    schedule = Schedule([QUICK, NEAR], 1000)
    assert _tried(schedule, Evidence(near=(0.1,), regions=(0.9,)), cheap_ms=10.0)[0] == ("near", 0)


def test_near_miss_may_run_into_debt_that_is_paid_off() -> None:
    """With an empty purse a near miss is still followed, a region is not; and debt has an end."""
    schedule = Schedule([QUICK, NEAR], 10, share=1.0, purse_ms=-0.5)
    both = Evidence(near=(0.1,), regions=(0.1,))
    frames = [_tried(schedule, both, cheap_ms=0.1) for _ in range(4)]
    assert frames == [[("near", 0)]] * 3 + [[]]


def test_second_code_is_followed_after_the_first_was_read() -> None:
    """Once a code is read only near misses are left to do: the search is over."""
    evidence = Evidence(near=(0.1,), regions=(0.1,), has_read=True)
    assert _tried(Schedule([QUICK, WHOLE, NEAR], 1000), evidence) == [("near", 0)]


def test_near_miss_found_on_the_way_is_followed() -> None:
    """What a pass finds changes what comes next on the same frame."""
    schedule = Schedule([QUICK, SLOW, NEAR], 1000)
    schedule.begin(REGION, 1.0, 1.0)
    first = schedule.choose()
    assert first is not None
    schedule.settle(first, 0.5, read=False)
    schedule.found(Evidence(near=(0.1,), regions=(0.1,)))
    second = schedule.choose()
    assert second is not None
    assert (first.plan.name, second.plan.name) == ("quick", "near")


@pytest.mark.parametrize("by_cheap_pass", [True, False])
def test_answered_holder_is_left_in_peace(by_cheap_pass: bool) -> None:  # noqa: FBT001
    """For some frames after a code was read regions are not searched; then they are again."""
    schedule = Schedule([QUICK], 1000)
    schedule.begin(Evidence(has_read=True) if by_cheap_pass else REGION, 1.0, 1.0)
    if not by_cheap_pass:
        schedule.settle(Attempt(QUICK, 0, 1.0), 0.5, read=True)
    searched = [bool(_tried(schedule, REGION)) for _ in range(REST_FRAMES + 1)]
    assert searched == [False] * (REST_FRAMES - 1) + [True] * 2


def test_one_frame_does_not_take_the_whole_purse() -> None:
    """The sharper frame may be the next one: a part of what is saved is kept for it."""
    plans = [Plan(f"plan {number}", Scope.REGION, 0.1, 1.0) for number in range(100)]
    schedule = Schedule(plans, 40, share=0.0, drip=0.25)
    counts = [len(_tried(schedule, REGION, cheap_ms=1.0, cost_ms=0.1)) for _ in range(3)]
    assert counts == [40, 30, 23]


def test_same_frames_are_tried_alike_on_a_busy_machine() -> None:
    """The purse counts what passes should take: while the budget lasts, the clock does not change what is tried."""
    quiet, busy = (Schedule([QUICK, SLOW, DARK, WHOLE, NEAR], 1000, purse_ms=2.0) for _ in range(2))
    evidence = Evidence(near=(0.1,), regions=(0.1, 0.2))
    for _ in range(20):
        assert _tried(quiet, evidence, cost_ms=0.1) == _tried(busy, evidence, cost_ms=3.0)


@given(
    budget_ms=st.floats(1, 100),
    frames=st.lists(
        st.tuples(st.floats(0.1, 30), st.floats(0.0, 50), st.integers(0, 3), st.integers(0, 4), st.booleans()),
        max_size=30,
    ),
)
def test_budget_is_exceeded_by_one_pass_at_most(
    budget_ms: float, frames: list[tuple[float, float, int, int, bool]]
) -> None:
    """Whatever is shown: no attempt is begun after the budget, none twice on a frame, and every frame ends."""
    schedule = Schedule([QUICK, SLOW, DARK, WHOLE, NEAR], budget_ms)
    for cheap_ms, cost_ms, near, regions, read in frames:
        schedule.begin(Evidence((0.1,) * near, (0.1,) * regions), cheap_ms, cheap_ms)
        spent_ms, seen = cheap_ms, set()
        while (attempt := schedule.choose()) is not None:
            assert spent_ms < budget_ms
            assert (attempt.plan.name, attempt.target) not in seen
            seen.add((attempt.plan.name, attempt.target))
            spent_ms += cost_ms
            schedule.settle(attempt, cost_ms, read=read)


@given(st.lists(st.floats(0.5, 8.0), min_size=50, max_size=120))
def test_hopeless_frames_cost_a_small_multiple_of_the_cheap_pass(cheaps_ms: list[float]) -> None:
    """Over many frames what is counted beyond the cheap pass is the share, the purse at the start, and one pass."""
    share, budget_ms = 2.0, 60.0
    schedule = Schedule([QUICK, SLOW, DARK, WHOLE], budget_ms, share=share)
    counted_ms, dearest_ms = 0.0, 0.0
    for cheap_ms in cheaps_ms:
        schedule.begin(REGION, cheap_ms, cheap_ms)
        while (attempt := schedule.choose()) is not None:
            counted_ms += attempt.expected_ms
            dearest_ms = max(dearest_ms, attempt.expected_ms)
            schedule.settle(attempt, 0.01, read=False)
    assert counted_ms <= budget_ms + share * sum(cheaps_ms) + dearest_ms
