"""Frame → readings: every QR code in a picture, as the bytes that are in the symbol.

Every frame gets zxing-cpp's default call. It reads most codes, and it says where codes are that it cannot read. What else is
tried, in which order and for how long, is decided by `kiosk.reading.schedule`; what each pass does is written in `kiosk.reading.passes`. This
module is the hand between the two: it holds the frame, takes the time, and keeps the list of what was found.

A code that was found and not read is straightened (`kiosk.reading.grid`). If it still cannot be read, its modules are kept and summed
with those of the frames that follow: noise and glare differ from frame to frame, the code does not.

Units: `_px` pixels, `_ms` milliseconds.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.model import Reading
from kiosk.reading import grid, passes
from kiosk.reading.evidence import Look, Watch
from kiosk.reading.schedule import Evidence, Schedule, Scope, area_mpx
from kiosk.reading.zbar import ZbarScanner

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kiosk.lens.frame import Frame
    from kiosk.reading.cases import Trait
    from kiosk.reading.evidence import Box
    from kiosk.reading.passes import Found
    from kiosk.reading.schedule import Attempt

    Luma = NDArray[np.uint8]

PICTURE_BUDGET_MS = 60_000
PICTURE_MPX, PICTURE_GIFT, TEXTURE_GIFT = 9.0, 10.0, 40.0
"""What may be spent on a single picture beyond the cheap pass: on any, for its size, and for the part of it that has texture."""
MS_PER_MPX = 1.6
"""What a megapixel of work is taken for where it is counted and not timed."""
EVERY_SCOPE, NEARLY_READ = frozenset(Scope), frozenset({Scope.NEAR})
"""After a picture's first code only what is nearly read is followed."""
FULL_EVERY = 4
"""Where the camera makes small pictures, the cheap pass has the full one at least so often."""
REST_FRAMES = 6
"""So long after a code was read its place is not searched: the holder has been answered and need not be read in every frame."""
FRAMES_SUMMED = 6
SUMMED_WITHIN = 15
"""Only near misses of so many frames are summed: what came before was another code."""
NEAR_MAX = 4
"""Of more near misses in a frame only the first are followed: a wall of broken codes is no reason to linger."""
NEAR_MARGIN = 0.2
"""The region around a near miss reaches so much beyond it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A pass on a frame.

    Attributes:
        strategy: Its name.
        cost_ms: What it took.
        codes: How many codes it read that were not read before.
    """

    strategy: str
    cost_ms: float
    codes: int


class Decoder:
    """Reads the frames of one camera. One thread at a time."""

    def __init__(self, budget_ms: int, *, counted: bool = False, now_ns: Callable[[], int] | None = None) -> None:
        """Begin.

        Args:
            budget_ms: After so long on one frame nothing more is tried on it.
            counted: Whether "so long" is what the passes should take, not what the clock says: then the same frames are read
                alike on any machine, however busy, and no door waits.
            now_ns: The clock; the system's if None.
        """
        cv2.setNumThreads(1)  # of the whole process: the other cores are the panel's, the uplink's and the next lane's
        self._counted = counted
        self._now_ns = now_ns or time.perf_counter_ns
        self._budget_ms = budget_ms
        self._watch = Watch()
        self._sums = _Sums()
        self._is_idle = False
        self._number = -1
        self._read_at: deque[list[Found]] = deque(maxlen=REST_FRAMES)
        self.tried: list[Tried] = []
        """What was tried on the last frame, in order."""

    @cached_property
    def _schedule(self) -> Schedule:
        return Schedule(passes.PLANS, self._budget_ms)

    @cached_property
    def _zbar(self) -> ZbarScanner:
        return ZbarScanner(step_px=2)

    def read(self, frame: Frame) -> list[Reading]:
        """Every code in a frame, each once."""
        self.tried = []
        if not frame.luma.size:
            return []
        self._number += 1
        answered = [found for earlier in self._read_at for found in earlier]
        work = _Work(np.ascontiguousarray(frame.luma), answered)
        small = None if self._number % FULL_EVERY == 0 else frame.small
        spent_ms = self._timed(passes.CHEAP, work, lambda: _cheap(small, work.luma))
        if small is not None:
            spent_ms += self._follow(work, answered)
        self._look(frame, work)
        tried = () if small is not None else (passes.CHEAP,)
        self._schedule.begin(work.evidence(), 0.0 if self._counted else spent_ms, tried)
        known = {found.payload for found in answered}
        if work.codes.keys() <= known:
            self._go_on(work, known)
        is_new = not work.codes.keys() <= known
        if is_new:
            self._schedule.begin_sighting()
        self._read_at.append([found for found, _ in work.codes.values()])
        self._sums.next_frame(has_read=is_new)
        return work.readings(frame.exposed_at_boot_ns)

    def _follow(self, work: _Work, answered: list[Found]) -> float:
        """Codes that were read a moment ago are looked for where they were, if the small picture does not show them."""
        spent_ms = 0.0
        for payload, found in {found.payload: found for found in answered}.items():
            if payload not in work.codes:
                box = work.around(found)
                spent_ms += self._timed(passes.PLAIN, work, partial(passes.read_region, passes.PLAIN, work.luma, box))
        return spent_ms

    def _look(self, frame: Frame, work: _Work) -> None:
        """Look for texture; where there was none and nothing is nearly read, only in every second frame."""
        if self._is_idle and not work.near:
            self._is_idle = False
            return
        look = self._watch.look(work.luma, frame.small, work.answered())
        self._is_idle = not look.regions
        work.look_at(look)

    def examine(self, luma: Luma) -> list[Reading]:
        """Every code in a single picture, with the work that a picture may cost."""
        self.tried = []
        if not luma.size:
            return []
        work = _Work(np.ascontiguousarray(luma), [])
        self._timed(passes.CHEAP, work, lambda: passes.read_cheaply(work.luma))
        if work.codes and not work.near:
            return work.readings(0)
        look = self._watch.look(work.luma, None, work.answered())
        textured_mpx = min(luma.size / 1e6, sum(map(area_mpx, look.regions)))
        gift_mpx = PICTURE_MPX + PICTURE_GIFT * luma.size / 1e6 + TEXTURE_GIFT * textured_mpx
        work.look_at(look)
        if not work.codes:
            work.look_at(Look((work.whole,)))
        self._schedule.begin(work.evidence(), 0.0, (passes.CHEAP,), gift_mpx)
        while (attempt := self._schedule.choose(NEARLY_READ if work.codes else EVERY_SCOPE)) is not None:
            self._try(attempt, work)
        return work.readings(0)

    def _go_on(self, work: _Work, known: set[bytes]) -> None:
        """Spend what the schedule allows, until a code is read that is not known: its holder is answered first, the next frame is for others."""
        while work.codes.keys() <= known and (attempt := self._schedule.choose()) is not None:
            self._try(attempt, work)

    def _try(self, attempt: Attempt, work: _Work) -> None:
        before = len(work.codes)
        cost_ms = self._timed(attempt.plan.name, work, partial(self._attempt, attempt, work))
        cost_ms = attempt.cost_mpx * MS_PER_MPX if self._counted else cost_ms
        self._schedule.settle(attempt, cost_ms, read=len(work.codes) > before)
        self._schedule.found(work.evidence())

    def _timed(self, strategy: str, work: _Work, search: Callable[[], list[Found]]) -> float:
        started_ns = self._now_ns()
        codes = work.take(search(), strategy)
        cost_ms = (self._now_ns() - started_ns) / 1e6
        self.tried.append(Tried(strategy, cost_ms, codes))
        return cost_ms

    def _attempt(self, attempt: Attempt, work: _Work) -> list[Found]:
        name, box = attempt.plan.name, attempt.target or work.whole
        if name in {passes.GRID, passes.BENDS}:
            return self._module_by_module(work.luma, work.near_in(box), is_bent=name == passes.BENDS)
        if name == passes.FINDERS:
            near = passes.found_by_corners(work.luma, box)
            return [] if near is None else self._module_by_module(work.luma, near, is_bent=False) or [near]
        if name == passes.CHEAP:
            return passes.read_cheaply(work.luma)
        if name == passes.ZBAR:
            return passes.read_by_zbar(self._zbar, work.luma, box)
        return passes.read_region(name, work.luma, box)

    def _module_by_module(self, luma: Luma, near: Found, *, is_bent: bool) -> list[Found]:
        cells = passes.cells_of(luma, near, straightened=is_bent)
        if cells is None:
            return []
        found = passes.read_grid(cells, near.corners)
        if found:
            return found
        summed = self._sums.add(cells, is_bent=is_bent)
        return [] if summed is None else passes.read_grid(summed, near.corners)


class _Work:
    """One frame, and what has been found in it."""

    def __init__(self, luma: Luma, read_before: list[Found]) -> None:
        """Begin.

        Args:
            luma: The picture, contiguous.
            read_before: Where codes were read a moment ago: what is nearly read there has been answered.
        """
        self.luma = luma
        self._read_before = read_before
        self.whole: Box = (0, 0, luma.shape[1], luma.shape[0])
        self.codes: dict[bytes, tuple[Found, str]] = {}
        self.near: list[Found] = []
        self._regions: list[Box] = []
        self._traits: frozenset[Trait] = frozenset()

    def take(self, found: list[Found], strategy: str) -> int:
        """Note what a pass has found.

        Returns:
            How many codes are new.
        """
        before = len(self.codes)
        for each in found:
            if each.payload:
                self.codes.setdefault(each.payload, (each, strategy))
        self.near = [near for near in self.near if not self._is_read(near)]
        for each in found:
            if not each.payload and len(self.near) < NEAR_MAX and not self._is_known(each):
                self.near.append(each)
        return len(self.codes) - before

    def look_at(self, look: Look) -> None:
        """Note where to search: what has a code's texture."""
        self._regions += [box for box in look.regions if box not in self._regions]
        self._traits |= look.traits

    def evidence(self) -> Evidence:
        """For the schedule: what is left to be read."""
        codes = [code for code, _ in self.codes.values()]
        return Evidence(
            size_mpx=self.luma.size / 1e6,
            near=tuple(self.around(near) for near in self.near),
            regions=tuple(box for box in self._regions if not any(_is_inside(code, box) for code in codes)),
            traits=self._traits,
            has_read=bool(codes),
        )

    def answered(self) -> list[Box]:
        """Where codes were read, in this frame and a moment ago."""
        return [self.around(code) for code in (*self._read_before, *(code for code, _ in self.codes.values()))]

    def near_in(self, box: Box) -> Found:
        """The near miss of a box of the evidence."""
        return next(near for near in self.near if self.around(near) == box)

    def readings(self, exposed_at_boot_ns: int) -> list[Reading]:
        """What was read."""
        return [
            Reading(payload, found.corners, exposed_at_boot_ns, strategy)
            for payload, (found, strategy) in self.codes.items()
        ]

    def _is_read(self, near: Found) -> bool:
        read = [*self._read_before, *(code for code, _ in self.codes.values())]
        return any(_is_same_place(near, code) for code in read)

    def _is_known(self, near: Found) -> bool:
        return self._is_read(near) or any(
            _is_same_place(near, known) and near.modules in (0, known.modules) for known in self.near
        )

    def around(self, near: Found) -> Box:
        """A box around a code, a little larger."""
        corners = np.array(near.corners)
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        margin = NEAR_MARGIN * max(right - left, bottom - top) + 8
        width_px, height_px = self.whole[2:]
        return (
            int(np.clip(left - margin, 0, width_px - 1)),
            int(np.clip(top - margin, 0, height_px - 1)),
            int(np.clip(right + margin, 1, width_px)),
            int(np.clip(bottom + margin, 1, height_px)),
        )


class _Sums:
    """The modules of the near misses of the last frames, apart by the size of their codes and by how they were taken."""

    def __init__(self) -> None:
        self._inks: dict[tuple[int, bool], deque[tuple[int, grid.Field]]] = {}
        self._number = 0

    def add(self, cells: grid.Field, *, is_bent: bool) -> grid.Field | None:
        """Take one frame's modules.

        Args:
            cells: Their brightness.
            is_bent: Whether bends were followed.

        Returns:
            The sum with those before, as brightness; None while there is only one.
        """
        inks = self._inks.setdefault((cells.shape[0], is_bent), deque(maxlen=FRAMES_SUMMED))
        inks.append((self._number, grid.ink(cells)))
        late = [ink for number, ink in inks if self._number - number <= SUMMED_WITHIN]
        return None if len(late) == 1 else np.asarray(128 - 100 * np.mean(late, axis=0), np.float32)

    def next_frame(self, *, has_read: bool) -> None:
        """A frame is over; after a code was read, what is nearly read next is another one."""
        self._number += 1
        if has_read:
            self._inks.clear()


def read_picture(luma: Luma) -> list[Reading]:
    """Every code in a single picture, by every pass that there is.

    Args:
        luma: Brightness, shape (height_px, width_px), dtype uint8.
    """
    return examine_picture(luma)[0]


def examine_picture(luma: Luma) -> tuple[list[Reading], list[Tried]]:
    """Every code in a single picture, and what was tried for it.

    Args:
        luma: Brightness, shape (height_px, width_px), dtype uint8.
    """
    decoder = Decoder(PICTURE_BUDGET_MS)
    return decoder.examine(luma), decoder.tried


def _cheap(small: Luma | None, luma: Luma) -> list[Found]:
    """The cheap pass, on the small picture if there is one."""
    if small is None:
        return passes.read_cheaply(luma)
    small = np.ascontiguousarray(small)
    scale = (luma.shape[1] / small.shape[1], luma.shape[0] / small.shape[0])
    return [passes.scaled(found, scale) for found in passes.read_cheaply(small)]


def _is_same_place(first: Found, second: Found) -> bool:
    """Whether the middle of one lies in the other's circle."""
    one, other = np.array(first.corners), np.array(second.corners)
    distance = np.linalg.norm(one.mean(0) - other.mean(0))
    return bool(distance < 0.35 * np.linalg.norm(other[0] - other[2]))


def _is_inside(code: Found, box: Box) -> bool:
    """Whether the middle of a code lies in a box."""
    x, y = np.array(code.corners).mean(0)
    return bool(box[0] <= x < box[2] and box[1] <= y < box[3])
