"""What a frame costs on which nobody is in view, in the size of each board of config/boards/, beside the default size.

Each round reads some frames of the same scene in each size, in changing order, and compares the processor time of this thread with that of the default size
in that round: so a busy machine slows both. Boards that have the default size are measured by themselves, which shows how much of a ratio is noise. Drawing a
frame and making the small one, which the camera does for nothing, are not counted; nor is the copy out of the camera's buffer, which grows with the pixels.

    python -m bench.idle [--rounds N] [--seed N]

Exit code 1 if a board's size costs more than the default size.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.config import Camera, Decode
from kiosk.decoder import Decoder
from kiosk.lens import optics
from kiosk.lens.frame import Frame
from kiosk.settings import loader
from kiosk.sim.render import Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

BOARDS = Path(__file__).resolve().parents[1] / "config" / "boards"
AT_MOST = 1.05
"""A size that costs the same is measured as one or the other side of it."""
FURNITURE = 8
"""Rounds in which a decoder learns what always stands there; not counted."""
FRAMES = 4
"""Frames of a round."""


@dataclass(frozen=True)
class Row:
    """One size.

    Attributes:
        names: Whose: boards, or "default".
        camera: Its size and that of its small picture.
        budget_ms: Longest time on a frame.
    """

    names: tuple[str, ...]
    camera: Camera
    budget_ms: int


def rows() -> list[Row]:
    """The default size, then each that a board of config/boards/ has."""
    default, boards = Row(("default",), Camera(), Decode().budget_ms), dict[tuple[int, ...], Row]()
    for path in sorted(BOARDS.glob("*.yaml")):
        board = loader.load_board(path)
        for lane in board.lanes:
            camera, budget_ms = lane.camera, board.decode.budget_ms
            size = (camera.width_px, camera.height_px, camera.small_width_px, budget_ms)
            names = boards[size].names if size in boards else ()
            boards[size] = Row((*dict.fromkeys((*names, path.stem)),), camera, budget_ms)
    return [default, *boards.values()]


def measured(wanted: Sequence[Row], rounds: int, seed: int) -> list[list[float]]:
    """Milliseconds of each row in each round.

    Args:
        wanted: The rows.
        rounds: How many count.
        seed: Of the scene.
    """
    frames = [_frames(row.camera, seed) for row in wanted]
    decoders = [Decoder(row.budget_ms) for row in wanted]
    times_ms: list[list[float]] = [[] for _ in wanted]
    for number in range(FURNITURE + rounds):
        order = range(len(wanted)) if number % 2 else reversed(range(len(wanted)))
        for index in order:
            first = number * FRAMES + 1
            shown = [
                Frame(luma, (first + turn) * 33_000_000, small) for turn, (luma, small) in enumerate(frames[index])
            ]
            started_ns = time.thread_time_ns()
            for frame in shown:
                decoders[index].read(frame)
            if number >= FURNITURE:
                times_ms[index].append((time.thread_time_ns() - started_ns) / 1e6 / FRAMES)
    return times_ms


def judged(wanted: Sequence[Row], times_ms: Sequence[Sequence[float]]) -> tuple[list[str], bool]:
    """A line for each row, and whether each board met its aim; the first row is what the others are compared with."""
    lines, all_met = [_line(wanted[0], times_ms[0])], True
    for row, own_ms in zip(wanted[1:], times_ms[1:], strict=True):
        ratios = sorted(own / default for own, default in zip(own_ms, times_ms[0], strict=True))
        tenth = len(ratios) // 10
        met = median(ratios) <= AT_MOST
        all_met = all_met and met
        spread = f"{ratios[tenth]:.2f} to {ratios[-1 - tenth]:.2f} in 8 of 10 rounds"
        verdict = f"aim: at most {AT_MOST:.2f}   {'met' if met else 'missed'}"
        lines.append(
            f"{_line(row, own_ms)}   {median(ratios):.2f} × default ({spread})   {verdict}   {', '.join(row.names)}"
        )
    return lines, all_met


def _line(row: Row, own_ms: Sequence[float]) -> str:
    return f"{row.camera.width_px:4} × {row.camera.height_px:<4}  median {median(own_ms):6.2f} ms"


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    wanted = rows()
    lines, all_met = judged(wanted, measured(wanted, arguments.rounds, arguments.seed))
    print("idle frame: processor time of one decoder\n" + "\n".join(lines))
    return 0 if all_met else 1


def _frames(camera: Camera, seed: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
    scene = Scene(camera.width_px, camera.height_px, seed)
    small_px = optics.small_size_px(camera)
    lumas = [np.ascontiguousarray(scene.empty(number)) for number in range(FRAMES)]
    return [
        (luma, None if small_px is None else cv2.resize(luma, small_px, interpolation=cv2.INTER_AREA)) for luma in lumas
    ]


if __name__ == "__main__":
    sys.exit(main())
