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
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.model import Reading
from kiosk.reading import grid, passes
from kiosk.reading.evidence import Look, Watch
from kiosk.reading.schedule import REST_FRAMES, Evidence, Schedule, Scope
from kiosk.reading.zbar import ZbarScanner

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kiosk.lens.frame import Frame
    from kiosk.reading.evidence import Box
    from kiosk.reading.passes import Found
    from kiosk.reading.schedule import Attempt, Trait

    Luma = NDArray[np.uint8]

PICTURE_BUDGET_MS = 60_000
PICTURE_SHARE = 4.0
"""A single picture may cost so many cheap passes more, `PICTURE_MS`, and zbar's last word: together 1.5 calls of pyzbar."""
PICTURE_MS = 1.0
NOMINAL_MS_PER_PIXEL = 1.5e-6
"""What the cheap pass is taken to cost on a single picture: counted, not timed, so that a busy machine reads the same."""
FRAME_MS_PER_PIXEL = 5e-6
"""The same on a camera's frame, which is darker and noisier. The clock has its say in the budget only."""
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

    def __init__(self, budget_ms: int, *, counted: bool = False) -> None:
        """Begin.

        Args:
            budget_ms: After so long on one frame nothing more is tried on it.
            counted: Whether "so long" is what the passes should take, not what the clock says: then the same frames are read
                alike on any machine, however busy, and no door waits.
        """
        cv2.setNumThreads(1)  # of the whole process: the other cores are the panel's, the uplink's and the next lane's
        self._counted = counted
        self._schedule = Schedule(passes.PLANS, budget_ms)
        self._watch = Watch()
        self._zbar = ZbarScanner(step_px=2)
        self._sums = _Sums()
        self._is_idle = False
        self._read_at: deque[list[Found]] = deque(maxlen=REST_FRAMES)
        self.tried: list[Tried] = []
        """What was tried on the last frame, in order."""

    def read(self, frame: Frame) -> list[Reading]:
        """Every code in a frame, each once."""
        self.tried = []
        if not frame.luma.size:
            return []
        work = _Work(np.ascontiguousarray(frame.luma), [found for earlier in self._read_at for found in earlier])
        cheap_ms = self._timed(passes.CHEAP, work, lambda: _cheap(frame, work.luma))
        if not work.codes or work.near:
            self._look(frame, work)
        nominal_ms = FRAME_MS_PER_PIXEL * work.luma.size
        self._schedule.begin(work.evidence(), nominal_ms, nominal_ms if self._counted else cheap_ms)
        self._go_on(work, self._schedule)
        self._read_at.append([found for found, _ in work.codes.values()])
        self._sums.next_frame(has_read=bool(work.codes))
        return work.readings(frame.exposed_at_boot_ns)

    def _look(self, frame: Frame, work: _Work) -> None:
        """Look for texture; where there was none and nothing is nearly read, only in every second frame."""
        if self._is_idle and not work.near:
            self._is_idle = False
            return
        look = self._watch.look(work.luma, frame.small)
        self._is_idle = not look.regions
        work.look_at(look)

    def examine(self, luma: Luma) -> list[Reading]:
        """Every code in a single picture, with the time that a picture may cost."""
        self.tried = []
        if not luma.size:
            return []
        work = _Work(np.ascontiguousarray(luma), [])
        self._timed(passes.CHEAP, work, lambda: passes.read_cheaply(work.luma))
        if not work.codes or work.near:
            work.look_at(self._watch.look(work.luma))
            work.look_at(Look((work.whole,)))
        cheap_ms = NOMINAL_MS_PER_PIXEL * work.luma.size
        purse_ms = PICTURE_MS + PICTURE_SHARE * cheap_ms
        schedule = Schedule(passes.PLANS, PICTURE_BUDGET_MS, share=0.0, purse_ms=purse_ms, drip=1.0)
        schedule.begin(work.evidence(), cheap_ms, 0.0)
        self._go_on(work, schedule)
        if not work.codes and passes.ZBAR not in {tried.strategy for tried in self.tried}:
            self._timed(passes.ZBAR, work, lambda: passes.read_by_zbar(self._zbar, work.luma, work.boxes[0]))
        return work.readings(0)

    def _go_on(self, work: _Work, schedule: Schedule) -> None:
        """Spend what the schedule allows, until nothing is left to be read."""
        while (not work.codes or work.near) and (attempt := schedule.choose()) is not None:
            before = len(work.codes)
            cost_ms = self._timed(attempt.plan.name, work, partial(self._attempt, attempt, work))
            cost_ms = attempt.expected_ms if self._counted else cost_ms
            schedule.settle(attempt, cost_ms, read=len(work.codes) > before)
            schedule.found(work.evidence())

    def _timed(self, strategy: str, work: _Work, search: Callable[[], list[Found]]) -> float:
        started_ns = time.perf_counter_ns()
        codes = work.take(search(), strategy)
        cost_ms = (time.perf_counter_ns() - started_ns) / 1e6
        self.tried.append(Tried(strategy, cost_ms, codes))
        return cost_ms

    def _attempt(self, attempt: Attempt, work: _Work) -> list[Found]:
        plan = attempt.plan
        if plan.scope is Scope.NEAR:
            return self._straighten(work, work.near[attempt.target])
        box = work.boxes[attempt.target] if plan.scope is Scope.REGION else work.whole
        if plan.name == passes.ZBAR:
            return passes.read_by_zbar(self._zbar, work.luma, box)
        return passes.read_region(plan.name, work.luma, box)

    def _straighten(self, work: _Work, near: Found) -> list[Found]:
        cells = passes.cells_of(work.luma, near)
        if cells is None:
            return []
        found = passes.read_grid(cells, near.corners)
        if found:
            return found
        summed = self._sums.add(cells)
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
        self.boxes: list[Box] = []
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
                self.boxes.append(self._around(each))
        return len(self.codes) - before

    def look_at(self, look: Look) -> None:
        """Note where to search, after the near misses: what has a code's texture."""
        self.boxes += [box for box in look.regions if box not in self.boxes]
        self._traits |= look.traits

    def evidence(self) -> Evidence:
        """For the schedule."""
        return Evidence(
            near=tuple(_area(self._around(near)) / self.luma.size for near in self.near),
            regions=tuple(_area(box) / self.luma.size for box in self.boxes),
            traits=self._traits,
            has_read=bool(self.codes),
        )

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

    def _around(self, near: Found) -> Box:
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
    """The modules of the near misses of the last frames, apart by the size of their codes."""

    def __init__(self) -> None:
        self._inks: dict[int, deque[tuple[int, grid.Field]]] = {}
        self._number = 0

    def add(self, cells: grid.Field) -> grid.Field | None:
        """Take one frame's modules.

        Returns:
            The sum with those before, as brightness; None while there is only one.
        """
        inks = self._inks.setdefault(cells.shape[0], deque(maxlen=FRAMES_SUMMED))
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


def _cheap(frame: Frame, luma: Luma) -> list[Found]:
    """The cheap pass, on the small picture where the camera makes one."""
    if frame.small is None:
        return passes.read_cheaply(luma)
    small = np.ascontiguousarray(frame.small)
    scale = (luma.shape[1] / small.shape[1], luma.shape[0] / small.shape[0])
    return [passes.scaled(found, scale) for found in passes.read_cheaply(small)]


def _is_same_place(first: Found, second: Found) -> bool:
    """Whether the middle of one lies in the other's circle."""
    one, other = np.array(first.corners), np.array(second.corners)
    distance = np.linalg.norm(one.mean(0) - other.mean(0))
    return bool(distance < 0.35 * np.linalg.norm(other[0] - other[2]))


def _area(box: Box) -> int:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)
