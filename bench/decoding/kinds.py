"""Rows of the kinds of trouble: single pictures and sightings, all kinds and each part of them.

Of the held kinds only sums are told.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from bench.decoding.intervals import Estimate, ratio
from bench.decoding.row import Row, Wanted
from bench.decoding.run import OURS, ZXING, Judge, at_the_door, door_decoder
from bench.engines import engines
from bench.troubles import KINDS
from bench.troubles.kind import Part
from bench.troubles.sighting import sightings

if TYPE_CHECKING:
    from bench.decoding.run import Faults, Run

WECHAT = "WeChat"
SINGLE, VIDEO = "single", "video"
FRAMES = 8
SINGLE_OF = (1, 5)
"""These frames of a sighting are read as single pictures, too."""
HARD_SHARE = 0.10
Read = dict[str, float]
"""Of one person: how many single pictures each reader read, and whether it read the sighting, by `single/name` and `video/name`."""


def rows_of_kinds(run: Run) -> list[Row]:
    """Every kind, several people each."""
    tasks = [(name, f"{run.seed}/kinds", run.count(10, 2)) for name in KINDS]
    told = dict(zip(KINDS, run.map(_shown, tasks), strict=True))
    people = [person for part in told.values() for person in part]
    hard = sum(1 for part in told.values() if _rate(part, ZXING) < HARD_SHARE)
    held = sum(1 for kind in KINDS.values() if kind.part is Part.HELD)
    rows = [
        Row("kinds of trouble", _counted(len(KINDS)), Wanted(40)),
        Row("of these never tuned on", _counted(held), Wanted(10)),
        Row("of these read by zxing-cpp in under 10 % of the pictures", _counted(hard), Wanted(10)),
        Row("all kinds, single pictures", _ratio(people, SINGLE, ZXING), Wanted(1.48), " × zxing-cpp"),
        Row(f"all kinds, {FRAMES} frames at the door", _ratio(people, VIDEO, ZXING), Wanted(1.30), " × zxing-cpp"),
        Row("all kinds, single pictures", _ratio(people, SINGLE, "six calls"), None, " × six calls"),
    ]
    if f"{SINGLE}/{WECHAT}" in people[0]:
        rows.append(Row("all kinds, single pictures", _ratio(people, SINGLE, WECHAT), Wanted(1.34), " × WeChat"))
    for part in Part:
        some = [person for name, each in told.items() if KINDS[name].part is part for person in each]
        rows += [
            Row(f"kinds {part.name.lower()}, single pictures", _ratio(some, SINGLE, ZXING), None, " × zxing-cpp"),
            Row(f"kinds {part.name.lower()}, {FRAMES} frames", _ratio(some, VIDEO, ZXING), None, " × zxing-cpp"),
        ]
    run.sections.append(_each(told))
    return rows


def _ratio(people: list[Read], way: str, rival: str) -> Estimate:
    return ratio([person[f"{way}/kiosk"] for person in people], [person[f"{way}/{rival}"] for person in people])


def _counted(count: int) -> Estimate:
    return Estimate(count, count, count, len(KINDS))


def _rate(people: list[Read], name: str, way: str = SINGLE) -> float:
    return sum(person[f"{way}/{name}"] for person in people) / (len(people) * (len(SINGLE_OF) if way == SINGLE else 1))


def _each(told: dict[str, list[Read]]) -> list[str]:
    """A table of the kinds; the held ones as one."""
    merged: dict[str, list[Read]] = defaultdict(list)
    for name, people in told.items():
        kind = KINDS[name]
        merged["all held kinds" if kind.part is Part.HELD else f"{name} ({kind.part.name.lower()}): {kind.says}"] += (
            people
        )
    first = next(iter(told.values()))[0]
    ways = [key for key in first if key.startswith(SINGLE)] + [key for key in first if key.startswith(VIDEO)]
    lines = ["", "## Kinds of trouble", "", f"| kind | people | {' | '.join(key.replace('/', ', ') for key in ways)} |"]
    lines.append("|---|---|" + "---|" * len(ways))
    for title, people in merged.items():
        rates = (f"{100 * _rate(people, *key.split('/')[::-1]):.0f} %" for key in ways)
        lines.append(f"| {title} | {len(people)} | {' | '.join(rates)} |")
    return lines


def _shown(task: tuple[str, str, int]) -> tuple[list[Read], Faults]:
    name, seed, count = task
    known, judge, people = engines(only=(OURS, ZXING, "six calls", WECHAT)), Judge(), []
    for sighting in sightings(KINDS[name], seed, count):
        person = defaultdict[str, float](float)
        door = {OURS: at_the_door(door_decoder()), ZXING: known[ZXING]}
        for number, luma in enumerate(sighting.frames(FRAMES)):
            if number in SINGLE_OF:
                for each, (read, _) in judge.compare(known, luma, [sighting.payload]).items():
                    person[f"{SINGLE}/{each}"] += bool(read)
            for each, (read, _) in judge.compare(door, luma, [sighting.payload]).items():
                key = f"{VIDEO}/{each}"
                person[key] = max(person[key], float(bool(read)))
        people.append(dict(person))
    return people, judge.faults
