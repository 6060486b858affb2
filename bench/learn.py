"""What the schedule knows of codes that the cheap pass does not read: which passes read which of them. Learnt here, from generated data alone.

    python -m bench.learn [--people N] [--seed N] [--costs]

Every code is a *case*: a row of the passes that read it. Cases that are alike are one row with its count; so the table is small enough to be
read, and the same seed gives it again. `--costs` measures what each pass takes and prints it beside what `kiosk.reading.passes` says.

The pictures are those of `bench.troubles.tuned` and of `bench.hard`, whole at 1280×720 and cut out at the size of a photograph, larger
and smaller. Nothing is learnt from the kinds that choose or are held, and nothing from photographs.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench import hard
from bench.troubles import sighting
from bench.troubles.tuned import TUNED
from kiosk.reading import passes
from kiosk.reading.evidence import Watch
from kiosk.reading.schedule import Scope
from kiosk.reading.zbar import ZbarScanner
from kiosk.sim.render import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from kiosk.reading.evidence import Box
    from kiosk.reading.passes import Found
    from kiosk.reading.schedule import Plan

    Luma = NDArray[np.uint8]

TABLE = Path(__file__).parents[1] / "kiosk" / "reading" / "cases.txt"
AROUND = 0.62
"""A code's box reaches so many of its sides from its middle: turned by 15°, with its quiet zone."""
CUT_EVERY = 3
"""Every so many codes are cut out of their frame, as a photograph shows them."""


@dataclass(frozen=True)
class Shown:
    """A picture, what its code says, and where the code is."""

    luma: Luma
    payload: bytes
    box: Box


def main() -> None:
    """Learn, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--people", type=int, default=14, help="of each kind of trouble; hard frames are twenty-five times as many"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--costs", action="store_true", help="measure what each pass takes, and write nothing")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    learner = Learner()
    for shown in pictures(arguments.seed, arguments.people):
        learner.take(shown)
    if arguments.costs:
        learner.print_costs()
    else:
        TABLE.write_text(learner.table(arguments.seed, arguments.people), "utf-8")


def pictures(seed: int, people: int) -> Iterator[Shown]:
    """What is learnt from.

    Args:
        seed: Which.
        people: Of each kind of trouble.
    """
    for number, shown in enumerate(_wholes(seed, people)):
        yield _cut(shown, Random(f"{seed}/cut/{number}")) if number % CUT_EVERY == 0 else shown


def _wholes(seed: int, people: int) -> Iterator[Shown]:
    for kind in TUNED.kinds.values():
        for number in range(people):
            who = sighting.Sighting((kind,), f"learn/{seed}/{number}")
            payload, _, random = who._person()  # noqa: SLF001  where it is
            random.uniform(*sighting.STRENGTHS)
            pose = sighting._pose(random)  # noqa: SLF001
            module_px = min(pose.module_px, 2.2) if kind.name == "small_dense" else pose.module_px
            yield Shown(next(iter(who.frames(1))), payload, _box(pose.x_px, pose.y_px, module_px * _modules(payload)))
    for number, (luma, payload) in enumerate(hard.hard_frames(f"learn/{seed}", 25 * people)):
        random = Random(f"learn/{seed}/{number}")
        hard._carried(random)  # noqa: SLF001
        pose = hard._pose(random)  # noqa: SLF001
        yield Shown(luma, payload, _box(pose.x_px, pose.y_px, pose.module_px * _modules(payload)))


def _modules(payload: bytes) -> int:
    """About as many as a code of so many bytes has."""
    return 17 + 4 * next(version for version in range(1, 41) if 1.4 * version**2 + 12 * version > len(payload))


def _box(x_px: float, y_px: float, side_px: float) -> Box:
    reach = AROUND * side_px + 6
    return (
        max(0, round(x_px - reach)),
        max(0, round(y_px - reach)),
        min(hard.WIDTH_PX, round(x_px + reach)),
        min(hard.HEIGHT_PX, round(y_px + reach)),
    )


def _cut(shown: Shown, random: Random) -> Shown:
    """What is around the code, larger or smaller than it was."""
    left, top, right, bottom = shown.box
    margin = round(random.uniform(0.05, 0.7) * (right - left))
    height_px, width_px = shown.luma.shape
    from_x, from_y = max(0, left - margin), max(0, top - margin)
    part = shown.luma[from_y : min(height_px, bottom + margin), from_x : min(width_px, right + margin)]
    scale = random.uniform(0.7, 1.8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    luma = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=way), np.uint8)
    box = tuple(round(scale * each) for each in (left - from_x, top - from_y, right - from_x, bottom - from_y))
    return replace(shown, luma=luma, box=(box[0], box[1], min(box[2], luma.shape[1]), min(box[3], luma.shape[0])))


def _cluttered(luma: Luma, box: Box, random: Random) -> Luma:
    """The frame with what else has texture, beside the code: a page of text, keys, leaves."""
    shown = luma.copy()
    generator = np.random.default_rng(random.getrandbits(32))
    for _ in range(random.randint(0, 3)):
        width, height = random.randint(120, 420), random.randint(100, 350)
        x, y = random.randint(0, hard.WIDTH_PX - width), random.randint(0, hard.HEIGHT_PX - height)
        patch = np.full((height, width), 220, np.uint8)
        match random.randrange(3):
            case 0:
                for row in range(14, height, 18):
                    cv2.putText(
                        patch, "Uy ban nhan dan thanh pho Hue " * 2, (4, row), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 40, 1
                    )
            case 1:
                for row in range(4, height - 20, 24):
                    for column in range(4, width - 20, 24):
                        cv2.rectangle(patch, (column, row), (column + 17, row + 17), 60, -1)
            case _:
                leaves = cv2.GaussianBlur(
                    generator.normal(0, 1, patch.shape).astype(np.float32), (0, 0), random.uniform(1, 4)
                )
                patch = np.where(leaves > 0, 170, 70).astype(np.uint8)
        if x + width <= box[0] or box[2] <= x or y + height <= box[1] or box[3] <= y:
            shown[y : y + height, x : x + width] = patch
    return shown


class Learner:
    """Looks at pictures, and keeps what it has seen."""

    def __init__(self) -> None:
        self._cases: Counter[tuple[str, str]] = Counter()
        self._ranks: Counter[int | None] = Counter()
        self._zbar = ZbarScanner(step_px=2)
        self._costs: dict[str, list[float]] = defaultdict(list)
        frame = Scene(hard.WIDTH_PX, hard.HEIGHT_PX, 1).empty(0)
        self._call_ms = min(_took_ms(lambda: passes.read_cheaply(frame)) for _ in range(20))
        self._frame_px = frame.size

    def take(self, shown: Shown) -> None:
        """Try every pass on a picture of which a camera's small picture is not enough."""
        luma, payload, box = np.ascontiguousarray(shown.luma), shown.payload, shown.box
        small = np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        if any(found.payload == payload for found in passes.read_cheaply(small)):
            return
        cheap = passes.read_cheaply(luma)
        is_read = any(found.payload == payload for found in cheap)
        near = [found for found in cheap if not found.payload]
        read = dict.fromkeys(map(_name, passes.PLANS), False)
        for plan in passes.PLANS:
            if plan.name == passes.PLAIN or not (is_read or plan.scope is Scope.NEAR or plan.name == passes.CHEAP):
                target = (0, 0, luma.shape[1], luma.shape[0]) if plan.scope is Scope.WHOLE else box
                found = self._timed(plan.name, luma, target)
                read[plan.name] = any(each.payload == payload for each in found)
                near += [each for each in found if not each.payload]
        read[passes.CHEAP] = is_read
        for name in (passes.GRID, passes.BENDS):
            read[name] = not is_read and any(
                found.payload == payload for each in near[:4] for found in self._module_by_module(name, luma, each)
            )
        if not any(read.values()):
            return
        look = Watch().look(luma)
        if not is_read and luma.shape == (hard.HEIGHT_PX, hard.WIDTH_PX):
            look_around = Watch().look(_cluttered(luma, box, Random(sum(payload))))
            self._ranks[
                next((rank for rank, region in enumerate(look_around.regions) if _covers(region, box)), None)
            ] += 1
        traits = ",".join(sorted(trait.name.lower() for trait in look.traits)) or "-"
        self._cases[traits, "".join("x" if read[name] else "." for name in map(_name, passes.PLANS))] += 1

    def table(self, seed: int, people: int) -> str:
        """The table, as it is kept."""
        ranked = max(1, sum(self._ranks.values()))
        places = [*range(1 + max((rank for rank in self._ranks if rank is not None), default=0)), None]
        lines = [
            f"# Learnt by `python -m bench.learn --seed {seed} --people {people}`; see there.",
            "# Share of codes that lie in the first, second, … region of the look, and beside all of them.",
            "regions " + " ".join(f"{self._ranks[rank] / ranked:.3f}" for rank in places),
            "# The passes in order; below, how many codes, what ails the picture, and by which passes they are read.",
            "passes " + " ".join(map(_name, passes.PLANS)),
        ]
        lines += [
            f"{count} {traits} {read}"
            for (traits, read), count in sorted(self._cases.items(), key=lambda each: (-each[1], each[0]))
        ]
        return "\n".join([*lines, ""])

    def print_costs(self) -> None:
        """What each pass takes for a million pixels of its target, in calls of the cheap pass on an empty frame of as many; on a near miss, in all."""
        for plan in passes.PLANS:
            if self._costs[plan.name]:
                print(f"{plan.name:22} {mean(self._costs[plan.name]):6.2f}   said {plan.cost or plan.fixed_mpx}")

    def _timed(self, name: str, luma: Luma, box: Box) -> list[Found]:
        started_ns = time.thread_time_ns()
        if name == passes.FINDERS:
            near = passes.found_by_corners(luma, box)
            found = [] if near is None else self._module_by_module(passes.GRID, luma, near) or [near]
        elif name == passes.ZBAR:
            found = passes.read_by_zbar(self._zbar, luma, box)
        else:
            found = passes.read_region(name, luma, box)
        took_ms = (time.thread_time_ns() - started_ns) / 1e6
        if (pixels := (box[2] - box[0]) * (box[3] - box[1])) > 20_000:
            self._costs[name].append(took_ms / self._call_ms * self._frame_px / pixels)
        return found

    def _module_by_module(self, name: str, luma: Luma, near: Found) -> list[Found]:
        started_ns = time.thread_time_ns()
        cells = passes.cells_of(luma, near, straightened=name == passes.BENDS)
        if cells is None:
            return []
        found = passes.read_grid(cells, near.corners)
        self._costs[name].append((time.thread_time_ns() - started_ns) / 1e6 / self._call_ms * self._frame_px / 1e6)
        return found


def _name(plan: Plan) -> str:
    return plan.name


def _took_ms(work: object) -> float:
    started_ns = time.thread_time_ns()
    work()  # type: ignore[operator]
    return (time.thread_time_ns() - started_ns) / 1e6


def _covers(region: Box, box: Box) -> bool:
    """Whether most of the box lies in the region."""
    width = min(region[2], box[2]) - max(region[0], box[0])
    height = min(region[3], box[3]) - max(region[1], box[1])
    return width > 0 and height > 0 and width * height > 0.7 * (box[2] - box[0]) * (box[3] - box[1])


if __name__ == "__main__":
    main()
