"""Rows of waiting: from the first frame that could be read to the cue, while the camera goes on at 30 frames a second.

The simulated door at 1280×720, the real scan loop, a real outbox. Time is the processor's, laid upon the camera's frames: a frame that comes while
the loop is busy is missed, as a camera misses it. What the commit took is taken off and told apart.

Units: `_s` seconds, `_ms` milliseconds.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from bench.decoding.intervals import difference, quantile
from bench.decoding.row import Row, Wanted, never
from bench.decoding.run import ZXING, Faults, door_decoder
from bench.engines import engines
from bench.latency import HandedOver, StampedPanel, opened
from kiosk.errors import CameraEndedError
from kiosk.model import Recorded
from kiosk.sim.door import SimulatedDoor

if TYPE_CHECKING:
    from bench.decoding.run import Run
    from kiosk.lens.frame import Frame

FRAME_S = 1 / 30


@dataclass
class Waited:
    """What one door has shown; times in seconds of the processor.

    Attributes:
        answers_s: Frame in hand to cue, less the commit, of each person recorded.
        commits_s: The commits, by the wall.
        waits_s: First frame that could be read to cue, less the commit, with the frames that were missed meanwhile.
        idle_s: Plain zxing-cpp on frames without anybody.
        late: People answered on a later frame than the first that plain zxing-cpp reads.
        lost: People whom plain zxing-cpp reads and who were not answered.
        leads: Of each person whom both read, by how many frames the answer came before plain zxing-cpp's first.
    """

    answers_s: list[float] = field(default_factory=list)
    commits_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    idle_s: list[float] = field(default_factory=list)
    late: int = 0
    lost: int = 0
    leads: list[float] = field(default_factory=list)


class TimedPanel(StampedPanel):
    """Notes the processor's time of a cue."""

    shown_s = 0.0

    def show(self, *cues: object) -> None:
        """Note it."""
        if cues:
            self.shown_s = time.process_time()


def rows_of_waiting(run: Run) -> list[Row]:
    """People at simulated doors."""
    doors = run.map(_door, [(run.seed * 100 + part, run.count(60, 12)) for part in range(4)])
    plain_s = mean(each for door in doors for each in door.idle_s)
    answers = [each / plain_s for door in doors for each in door.answers_s]
    waits = [each / plain_s for door in doors for each in door.waits_s]
    late, lost = (sum(getattr(door, name) for door in doors) for name in ("late", "lost"))
    leads = [each for door in doors for each in door.leads]
    commits = [1e3 * each for door in doors for each in door.commits_s]
    calls, note = " calls", f"a call is zxing-cpp's on an idle frame, {1e3 * plain_s:.1f} ms"
    return [
        Row("frame in hand to cue, p50", quantile(answers, 0.5), Wanted(4, at_least=False), calls, note),
        Row("frame in hand to cue, p99", quantile(answers, 0.99), Wanted(10, at_least=False), calls),
        Row("first readable frame to cue, camera at 30 fps, p50", quantile(waits, 0.5), None, calls),
        Row("first readable frame to cue, camera at 30 fps, p99", quantile(waits, 0.99), None, calls),
        never("people answered later than plain zxing-cpp's first frame", late, len(answers)),
        never("people read by plain zxing-cpp and not answered", lost, len(answers) + lost),
        Row("answered so many frames before plain zxing-cpp's first, mean", difference(leads, [0.0] * len(leads))),
        Row("the commit, p50", quantile(commits, 0.5), None, " ms"),
        Row("the commit, p99", quantile(commits, 0.99), None, " ms"),
    ]


def _door(task: tuple[int, int]) -> tuple[Waited, Faults]:
    seed, people = task
    door = SimulatedDoor(seed=seed, people=people, realtime=False)
    with tempfile.TemporaryDirectory() as folder:
        watched = _Watched(Path(folder), {visit.payload for visit in door.visits})
        number = 0
        try:
            while True:
                watched.take(number, door.next_frame(1.0), is_empty=door.visitor_at(door.now_s) is None)
                number += 1
        except CameraEndedError:
            watched.outbox.close()
    return watched.told(), watched.faults


class _Watched:
    """The scan loop over a door whose camera does not wait."""

    def __init__(self, folder: Path, payloads: set[bytes]) -> None:
        self._camera, self._panel = HandedOver(), TimedPanel()
        self._scanner, self.outbox = opened(folder, self._camera, self._panel, door_decoder())
        recorder = self._scanner._recorder  # noqa: SLF001  its time is taken off
        commit = recorder.commit
        self._commit_s = 0.0

        def timed(*arguments: object) -> object:
            started_s = time.process_time()
            try:
                return commit(*arguments)  # type: ignore[arg-type]
            finally:
                self._commit_s += time.process_time() - started_s

        recorder.commit = timed  # type: ignore[method-assign,assignment]
        self._zxing = engines(only=(ZXING,))[ZXING]
        self._payloads = payloads
        self._free_s = 0.0
        self._waiting: tuple[int, Frame] | None = None
        self._plain: dict[bytes, int] = {}
        self._answered: dict[bytes, int] = {}
        self._waited = Waited()
        self.faults = Faults()

    def take(self, number: int, frame: Frame, *, is_empty: bool) -> None:
        """A frame comes. The one before it is read if the loop was free before this one came; otherwise it is missed."""
        started_s = time.process_time()
        for payload in self._zxing(frame.luma):
            self._plain.setdefault(payload, number)
        if is_empty:
            self._waited.idle_s.append(time.process_time() - started_s)
        before, self._waiting = self._waiting, (number, frame)
        if before is not None and self._free_s < number * FRAME_S:
            self._read(*before)

    def told(self) -> Waited:
        """After the last frame."""
        known = self._payloads & self._plain.keys()
        recorded = self._answered
        self._waited.lost = sum(1 for payload in known if payload not in recorded)
        self._waited.leads = [float(self._plain[each] - recorded[each]) for each in known & recorded.keys()]
        self._waited.late = sum(1 for lead in self._waited.leads if lead < 0)
        return self._waited

    def _read(self, number: int, frame: Frame) -> None:
        self._camera.frame, self._commit_s = frame, 0.0
        begins_s, started_s = max(self._free_s, number * FRAME_S), time.process_time()
        scans, raised = [], False
        try:
            scans = self._scanner.step()
        except Exception:  # noqa: BLE001  counted
            raised = True
        self._free_s = begins_s + time.process_time() - started_s
        wrong = any(code not in self._payloads for scan in scans for code in scan.sighting.codes)
        self.faults.add(Faults(wrong, raised, 1))
        for scan in scans:
            payload = scan.sighting.payload
            first_answer = payload not in self._answered
            self._answered.setdefault(payload, number)
            if isinstance(scan.decision, Recorded) and first_answer:
                answer_s = self._panel.shown_s - started_s - self._commit_s
                self._waited.answers_s.append(answer_s)
                self._waited.commits_s.append(scan.commit_ms / 1e3)
                could_s = FRAME_S * min(number, self._plain.get(payload, number))
                self._waited.waits_s.append(begins_s - could_s + answer_s)
