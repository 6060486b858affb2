"""Rows of people at the door: approaches, hard single frames, cases that are promised, a slow clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.decoding.intervals import ratio, wilson
from bench.decoding.row import Row, Wanted, never
from bench.decoding.run import OURS, ZXING, Judge, at_the_door, door_decoder
from bench.engines import engines
from bench.hard import approaches, hard_frames, special_frames

if TYPE_CHECKING:
    from bench.decoding.run import Faults, Run

APPROACH_FRAMES = 12
Person = tuple[int | None, int | None, float, float]
"""First frame in which ours and zxing-cpp read, and what both took in all, seconds."""


def rows_of_approaches(run: Run) -> list[Row]:
    """People come nearer: who is read, at what cost, and when first."""
    tasks = [(f"{run.seed}/{part}", run.count(100, 12)) for part in range(10)]
    people = [person for part in run.map(_approached, tasks) for person in part]
    ours, theirs = ([float(person[which] is not None) for person in people] for which in (0, 1))
    late = sum(1 for first, plain, *_ in people if first is not None and plain is not None and first > plain)
    lost = sum(1 for first, plain, *_ in people if first is None and plain is not None)
    return [
        Row(
            "approaches: codes read",
            ratio(ours, theirs),
            Wanted(1.40),
            " × zxing-cpp",
            f"{sum(ours):.0f} v {sum(theirs):.0f}",
        ),
        Row(
            "approaches: cost of a frame",
            ratio([p[2] for p in people], [p[3] for p in people]),
            Wanted(2.5, at_least=False),
            " × zxing-cpp",
        ),
        never("approaches: people read later than by zxing-cpp", late, len(people)),
        never("approaches: people read by zxing-cpp only", lost, len(people)),
    ]


def rows_of_hard_frames(run: Run) -> list[Row]:
    """Single frames as people hold things up when they do not think of a camera."""
    tasks = [(f"{run.seed}/hard/{part}", run.count(40, 12)) for part in range(10)]
    frames = [frame for part in run.map(_hard, tasks) for frame in part]
    rows = []
    for rival, bound in ((ZXING, Wanted(1.6)), ("six calls", None), ("pyzbar", Wanted(1.8)), ("WeChat", None)):
        if all(rival in frame for frame in frames):
            ours, theirs = ([float(frame[name]) for frame in frames] for name in (OURS, rival))
            rows.append(Row("hard frames", ratio(ours, theirs), bound, f" × {rival}"))
    return rows


def rows_of_promises(run: Run) -> list[Row]:
    """What docs/decoding.md promises of small, blurred, tilted and inverted codes."""
    tasks = [(f"{run.seed}/{part}", run.count(20, 10)) for part in range(2)]
    parts = run.map(_promised, tasks)
    return [
        Row(
            title,
            wilson(sum(sum(part[title]) for part in parts), sum(len(part[title]) for part in parts)).times(100),
            Wanted(90),
            " %",
        )
        for title in parts[0]
    ]


def rows_of_a_slow_clock(run: Run) -> list[Row]:
    """The same people where the clock runs four times faster than the work."""
    tasks = [(f"{run.seed}/slow/{part}", run.count(25, 6)) for part in range(10)]
    people = [person for part in run.map(_slowed, tasks) for person in part]
    slow, quick = ([float(person[which]) for person in people] for which in (1, 0))
    told = f"{sum(slow):.0f} v {sum(quick):.0f}"
    return [Row("a clock four times slower: codes read", ratio(slow, quick), Wanted(0.95), " × the usual", told)]


def _approached(task: tuple[str, int]) -> tuple[list[Person], Faults]:
    judge, people = Judge(), []
    readers = {OURS: at_the_door(door_decoder()), **engines(only=(ZXING,))}
    for payload, frames in approaches(*task, APPROACH_FRAMES):
        first: dict[str, int | None] = dict.fromkeys(readers)
        spent_s = dict.fromkeys(readers, 0.0)
        for number, luma in enumerate(frames):
            for name, (read, took_s) in judge.compare(readers, luma, [payload]).items():
                spent_s[name] += took_s
                if read and first[name] is None:
                    first[name] = number
        people.append((first[OURS], first[ZXING], spent_s[OURS], spent_s[ZXING]))
    return people, judge.faults


def _hard(task: tuple[str, int]) -> tuple[list[dict[str, bool]], Faults]:
    known, judge, frames = engines(only=(OURS, ZXING, "six calls", "pyzbar", "WeChat")), Judge(), []
    for luma, payload in hard_frames(*task):
        told = judge.compare(known, luma, [payload])
        frames.append({name: bool(read) for name, (read, _) in told.items()})
    return frames, judge.faults


def _promised(task: tuple[str, int]) -> tuple[dict[str, list[bool]], Faults]:
    judge, ours = Judge(), engines(only=(OURS,))
    read = {
        title: [bool(judge.compare(ours, luma, [payload])[OURS][0]) for luma, payload in frames]
        for title, frames in special_frames(*task).items()
    }
    return read, judge.faults


def _slowed(task: tuple[str, int]) -> tuple[list[tuple[bool, bool]], Faults]:
    judge, people = Judge(), []
    readers = {OURS: at_the_door(door_decoder()), "slow": at_the_door(door_decoder(slower=4.0))}
    for payload, frames in approaches(*task, APPROACH_FRAMES):
        told = [judge.compare(readers, luma, [payload]) for luma in frames]
        people.append((any(each[OURS][0] for each in told), any(each["slow"][0] for each in told)))
    return people, judge.faults
