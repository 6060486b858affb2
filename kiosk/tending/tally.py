"""Counts and times of one lane since its start, written as marks for the uplink's status message."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from kiosk.health import ScanMarks, write_marks
from kiosk.model import ClockQuality

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.model import Moment

MARKS_EVERY_NS = 2_000_000_000


class Tally:
    """One lane's. One thread only."""

    def __init__(self, lane: str, runtime_dir: Path, camera_fault: str = "") -> None:
        """Nothing has been counted yet.

        Args:
            lane: Its name.
            runtime_dir: Where marks are written.
            camera_fault: What its camera does not give as it is set; empty if it gives all.
        """
        self._lane = lane
        self._camera_fault = camera_fault
        self._runtime_dir = runtime_dir
        self._frames = 0
        self._frames_at_write = 0
        self._written_boot_ns = 0
        self._decode_ms: deque[float] = deque(maxlen=300)
        self._commit_ms: deque[float] = deque(maxlen=300)
        self._results = dict.fromkeys(("recorded", "repeat", "refused", "fault"), 0)
        self._last_scan_boot_ns: int | None = None

    def frame(self, decode_ms: float) -> None:
        """One more frame was decoded, in this time."""
        self._frames += 1
        self._decode_ms.append(decode_ms)

    def scan(self, result: str, commit_ms: float, now_boot_ns: int) -> None:
        """One more code was answered.

        Args:
            result: "recorded", "repeat", "refused" or "fault".
            commit_ms: How long its commit took, if it was recorded.
            now_boot_ns: Now.
        """
        self._results[result] += 1
        self._last_scan_boot_ns = now_boot_ns
        if result == "recorded":
            self._commit_ms.append(commit_ms)

    def due(self, now_boot_ns: int) -> bool:
        """Whether the last marks are `MARKS_EVERY_NS` old."""
        return now_boot_ns - self._written_boot_ns >= MARKS_EVERY_NS

    def write(self, now: Moment, fault: str, trust_fault: str) -> None:
        """Write the marks.

        Args:
            now: Now.
            fault: What keeps the lane from recording; empty if nothing does.
            trust_fault: Why a list of whom to believe is refused; empty if it is not.
        """
        seconds = (now.boot_ns - self._written_boot_ns) / 1e9
        fps = (self._frames - self._frames_at_write) / seconds if self._written_boot_ns else 0.0
        self._written_boot_ns = now.boot_ns
        self._frames_at_write = self._frames
        marks = ScanMarks(
            lane=self._lane,
            written_boot_ns=now.boot_ns,
            frames=self._frames,
            fps=round(fps, 1),
            decode_ms_p50=_share(self._decode_ms, 0.5),
            decode_ms_p99=_share(self._decode_ms, 0.99),
            commit_ms_p50=_share(self._commit_ms, 0.5),
            commit_ms_p99=_share(self._commit_ms, 0.99),
            recorded=self._results["recorded"],
            repeated=self._results["repeat"],
            refused=self._results["refused"],
            last_scan_wall_ns=self._last_scan_wall_ns(now),
            fault=fault,
            trust_fault=trust_fault,
            camera_fault=self._camera_fault,
        )
        write_marks(self._runtime_dir, f"scan-{self._lane}", marks.to_dict())

    def _last_scan_wall_ns(self, now: Moment) -> int | None:
        if self._last_scan_boot_ns is None or now.quality is ClockQuality.UNSET:
            return None
        return now.wall_ns - (now.boot_ns - self._last_scan_boot_ns)


def _share(values: deque[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0
