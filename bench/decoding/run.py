"""One run of the measure: its seed, how large it is, its processes, and what went wrong in any of it.

Readers are called in turn on the same picture, in changing order. Time is of the process, all its threads, not of the wall: the machine may
have other work. The station's own budget is kept by the same clock.

Units: `_s` seconds, `_ms` milliseconds.
"""

from __future__ import annotations

import itertools
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from bench.troubles.sighting import POSTED
from kiosk.config import Decode
from kiosk.decoder import Decoder
from kiosk.lens.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Luma = NDArray[np.uint8]
    Reader = Callable[[Luma], Iterable[bytes]]

OURS, ZXING = "kiosk", "zxing-cpp"
FRAME_NS = 33_333_333

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass
class Faults:
    """What must never happen.

    Attributes:
        wrong: Pictures of which the reader told a payload that is not in them.
        raised: Pictures at which it raised.
        pictures: Of so many.
    """

    wrong: int = 0
    raised: int = 0
    pictures: int = 0

    def add(self, other: Faults) -> None:
        """Sum up."""
        self.wrong += other.wrong
        self.raised += other.raised
        self.pictures += other.pictures


@dataclass
class Run:
    """A run.

    Attributes:
        seed: Which pictures are drawn.
        is_quick: Whether a sample is enough.
        data: Folder of photos; None for none.
        faults: Of the kiosk's reader, so far.
        sections: Further parts of the page, each its lines.
    """

    seed: int
    is_quick: bool
    data: Path | None
    faults: Faults = field(default_factory=Faults)
    sections: list[list[str]] = field(default_factory=list)
    points: dict[str, tuple[float, float]] = field(default_factory=dict)
    """For the plot: rate and cost of each reader."""

    def count(self, full: int, quick: int) -> int:
        """How many of something."""
        return quick if self.is_quick else full

    def map(self, work: Callable[[Task], tuple[Result, Faults]], tasks: Sequence[Task]) -> list[Result]:
        """Do it for each task, in as many processes as there are cores, and sum up the faults.

        Args:
            work: A function of a module.
            tasks: What it is given, one at a time.
        """
        with ProcessPoolExecutor(os.cpu_count(), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            results = []
            for result, faults in pool.map(work, tasks):
                self.faults.add(faults)
                results.append(result)
        return results


class Judge:
    """Calls readers on the same picture, takes their time, and counts the faults of the kiosk's."""

    def __init__(self, turn: int = 0) -> None:
        """Begin.

        Args:
            turn: Which order comes first; who sees only one picture says which.
        """
        self.faults = Faults()
        self._turn = turn

    def compare(
        self, readers: Mapping[str, Reader], luma: Luma, expected: Iterable[bytes]
    ) -> dict[str, tuple[set[bytes], float]]:
        """Each reader once.

        Args:
            readers: By name; the order changes from picture to picture.
            luma: The picture.
            expected: What is in it, a poster aside.

        Returns:
            Name → payloads that are in the picture and were read, and seconds of the processor.
        """
        self._turn += 1
        right, told = {*expected}, dict[str, tuple[set[bytes], float]]()
        for name in self._order(list(readers)):
            started_s, payloads, raised = time.process_time(), set[bytes](), False
            try:
                payloads = set(readers[name](luma))
            except Exception:  # noqa: BLE001  a reader may raise anything; it is counted
                raised = True
            took_s = time.process_time() - started_s
            told[name] = (payloads & right, took_s)
            if name == OURS:
                self.faults.add(Faults(bool(payloads - right - {POSTED}), raised, 1))
        return {name: told[name] for name in readers}

    def _order(self, names: list[str]) -> list[str]:
        """Another first each second picture, forwards and backwards: who comes after whom finds its picture in the cache."""
        first = self._turn // 2 % max(1, len(names))
        return [*names[first:], *names[:first]][:: 1 if self._turn % 2 else -1]


def door_decoder(slower: float = 1.0) -> Decoder:
    """The reader of a door with the budget of the configuration, by the processor's time.

    Args:
        slower: By how much its clock runs faster than the work: a slower board.
    """
    return Decoder(Decode().budget_ms, now_ns=lambda: round(slower * time.process_time_ns()))


def at_the_door(decoder: Decoder, *, two_streams: bool = False) -> Reader:
    """A door's reader as one that takes picture after picture, 30 a second.

    Args:
        decoder: The door's.
        two_streams: Whether the camera makes the small picture, too.
    """
    numbers = itertools.count()

    def read(luma: Luma) -> list[bytes]:
        small = halved(luma) if two_streams else None
        return [reading.payload for reading in decoder.read(Frame(luma, next(numbers) * FRAME_NS, small))]

    return read


def halved(luma: Luma) -> Luma:
    """The second stream of a Pi's camera: the same view at half the size."""
    return np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
