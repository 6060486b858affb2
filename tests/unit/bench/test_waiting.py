"""A camera does not wait for the loop: frames that come while it is busy are missed."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.decoding.waiting import FRAME_S, _Watched
from kiosk.lens.frame import Frame


def test_busy_loop_misses_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A loop that takes two and a half frames for its first reads that one, then the newest that is there when it is free."""
    clock_s = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: clock_s[0])
    watched = _Watched(tmp_path, set())
    read: list[int] = []

    def step() -> list[object]:
        read.append(watched._camera.frame.exposed_at_boot_ns)
        clock_s[0] += 2.5 * FRAME_S if len(read) == 1 else 0.1 * FRAME_S
        return []

    monkeypatch.setattr(watched, "_scanner", SimpleNamespace(step=step))
    for number in range(7):
        watched.take(number, Frame(np.full((40, 40), 255, np.uint8), number), is_empty=True)
    watched.outbox.close()
    assert read == [0, 2, 3, 4, 5]
