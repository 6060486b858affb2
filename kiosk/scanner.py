"""The scan loop: from the lens to the green light, one straight line.

    frame → readings → sightings → verdict → decision → entry, sealed → COMMIT → cue

One process a lane, one thread for this loop and one for the panel. The order is the promise: a green cue is shown only
after `Outbox.append` has returned, and that returns only after the entry is on the disk. If the person cannot be sealed
or the commit fails, the panel shows the fault, nothing is remembered, and the same code is tried again while it is still held up.

The scan process and the uplink know each other by files alone: entries through the outbox, states through the marks in
`state.runtime_dir`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.clock import judging_s, uuid7
from kiosk.credential import NOBODY, chunks, classify
from kiosk.cues import CUES, Cue, CueName, cue_for
from kiosk.errors import CameraEndedError, KioskError, OutboxError, SealError
from kiosk.health import ScanMarks, read_marks, write_marks
from kiosk.log import line
from kiosk.model import ClockQuality, Credential, Decision, Entry, Moment, Recorded, Refused, RefusedReason, Repeat
from kiosk.orders.errand import Errands
from kiosk.policy import person_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kiosk.clock import Clock
    from kiosk.config import Config, Lane
    from kiosk.credential import LocalPattern
    from kiosk.decoder import Decoder
    from kiosk.gpio import Panel
    from kiosk.lens.frame import Camera, Frame
    from kiosk.model import Reading, Sighting, Verdict
    from kiosk.outbox import Outbox
    from kiosk.policy import Policy
    from kiosk.process.notify import Notifier
    from kiosk.sealer import Sealer
    from kiosk.sightings import Sightings
    from kiosk.trust.issuers import TrustFolder

_log = logging.getLogger(__name__)

MARKS_EVERY_NS = 2_000_000_000
CHECK_EVERY_NS = 10_000_000_000
RETRY_COMMIT_NS = 1_000_000_000
UPLINK_SILENT_S = 15.0
"""An uplink that has written no marks for this long is taken for offline."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One sighting, judged and answered.

    Attributes:
        sighting: The code held up.
        verdict: What the code is.
        decision: What was decided; None if the commit failed, so that nothing was.
        entry: The entry that was committed, if one was.
        cue: What the panel was told to play.
        strategy: Which decoding pass read the code.
        decode_ms: Decoding time of the frame.
        commit_ms: Time until the entry was on the disk; 0 without an entry.
    """

    sighting: Sighting
    verdict: Verdict
    decision: Decision | None
    entry: Entry | None
    cue: Cue
    strategy: str
    decode_ms: float
    commit_ms: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The hands of one lane, opened and closed by whoever starts the loop."""

    camera: Camera
    decoder: Decoder
    sightings: Sightings
    policy: Policy
    sealer: Sealer
    local: tuple[LocalPattern, ...]
    outbox: Outbox
    panel: Panel
    clock: Clock
    trust: TrustFolder | None = None
    set_up: Callable[[bytes], Cue | None] | None = None
    """What a provisioning code is answered; None for other codes."""


class Scanner:
    """One lane's loop. Call `step` until it raises; one thread only."""

    def __init__(self, config: Config, lane: Lane, parts: Parts) -> None:
        self._config = config
        self._lane = lane
        self._parts = parts
        self._tally = _Tally(lane.name, config.state.runtime_dir)
        self._standing: CueName | None = None
        self._next_check_boot_ns = 0
        self._retry_boot_ns = 0
        self._unanswered: list[bytes] = []
        self._uncommitted: dict[bytes, Entry] = {}
        self._fault = ""
        self._chunks = chunks.Chunks()
        self._errands = Errands(config, lane.name, parts.panel, parts.clock)

    def step(self, look: Callable[[Frame, list[Reading]], None] | None = None) -> list[Scan]:
        """Take one frame and answer every code that newly appeared in it.

        Args:
            look: Called with the frame and its readings before they are judged, for a view.

        Raises:
            CameraError: The camera gives no more frames.
            PanelError: The lights cannot be driven.
            RestartRequestedError: The configuration is to be read anew.
        """
        parts = self._parts
        frame = parts.camera.next_frame(self._lane.camera.timeout_s)
        started_ns = time.perf_counter_ns()
        readings = parts.decoder.read(frame)
        decode_ms = (time.perf_counter_ns() - started_ns) / 1e6
        if look is not None:
            look(frame, readings)
        self._retry_unanswered()
        strategies = {reading.payload: reading.strategy for reading in readings}
        begun = parts.sightings.observe(readings, frame.exposed_at_boot_ns)
        scans = [
            self._answer(sighting, next(filter(None, map(strategies.get, sighting.codes)), ""), decode_ms)
            for sighting in self._chunks.join(begun, frame.exposed_at_boot_ns)
        ]
        if scans:
            parts.panel.show(*(scan.cue for scan in scans))
        for scan in scans:
            self._report(scan)
        self._tally.frame(decode_ms)
        self._tend(parts.clock.boot_ns())
        return scans

    @property
    def status(self) -> str:
        """How this lane is, for a person."""
        return f"lane {self._lane.name}: {self._fault or self._standing or 'starting'}"

    def _answer(self, sighting: Sighting, strategy: str, decode_ms: float) -> Scan:
        parts = self._parts
        trust = NOBODY if parts.trust is None else parts.trust.trust
        verdict = classify(sighting.payload, parts.local, trust, judging_s(parts.clock.now()))
        verdict = chunks.judged(sighting, verdict)
        special = None if parts.set_up is None else parts.set_up(sighting.payload)
        if special is not None:
            refused = Refused(RefusedReason.WRONG_CODE)
            return Scan(sighting, verdict, refused, None, special, strategy, decode_ms, 0.0)
        now_boot_ns = parts.clock.boot_ns()
        decision = parts.policy.decide(sighting.payload, verdict, now_boot_ns)
        if not (isinstance(decision, Recorded) and isinstance(verdict, Credential)):
            cue = cue_for(decision, self._lane.direction)
            return Scan(sighting, verdict, decision, None, cue, strategy, decode_ms, 0.0)
        started_ns = time.perf_counter_ns()
        entry = self._committed(sighting, verdict, now_boot_ns)
        if entry is None:
            self._unanswered += sighting.codes
            self._retry_boot_ns = now_boot_ns + RETRY_COMMIT_NS
            self._next_check_boot_ns = now_boot_ns + CHECK_EVERY_NS  # a check that passes must not hide this at once
            return Scan(sighting, verdict, None, None, CUES[CueName.FAULT], strategy, decode_ms, 0.0)
        commit_ms = (time.perf_counter_ns() - started_ns) / 1e6
        parts.policy.remember(verdict.same_as or sighting.payload, entry.id, now_boot_ns)
        cue = cue_for(decision, self._lane.direction)
        return Scan(sighting, verdict, decision, entry, cue, strategy, decode_ms, commit_ms)

    def _committed(self, sighting: Sighting, credential: Credential, now_boot_ns: int) -> Entry | None:
        """The entry once it is on the disk; None if the person cannot be sealed, or the disk failed."""
        entry = self._uncommitted_of(sighting.payload, now_boot_ns)
        try:
            entry = entry or self._entry(sighting, credential)
            self._parts.outbox.append(entry)
        except (OutboxError, SealError) as error:
            if entry is not None:
                self._uncommitted[sighting.payload] = entry
            self._set_fault(error)
            return None
        self._set_fault(None)
        return entry

    def _uncommitted_of(self, payload: bytes, now_boot_ns: int) -> Entry | None:
        """The entry of a try that failed, for the next: a disk may fail after the commit, and the id makes two rows one."""
        oldest_boot_ns = now_boot_ns - round(self._config.repeat.window_s * 1e9)
        self._uncommitted = {
            known: entry for known, entry in self._uncommitted.items() if entry.at.boot_ns >= oldest_boot_ns
        }
        return self._uncommitted.pop(payload, None)

    def _retry_unanswered(self) -> None:
        """Let codes whose commit failed count as new again, once a second and not at every frame."""
        if self._unanswered and self._parts.clock.boot_ns() >= self._retry_boot_ns:
            for payload in self._unanswered:
                self._parts.sightings.forget(payload)
            self._unanswered.clear()

    def _entry(self, sighting: Sighting, credential: Credential) -> Entry:
        now = self._parts.clock.now()
        seen_wall_ns = max(0, now.wall_ns - (now.boot_ns - sighting.first_seen_boot_ns))
        entry_id = uuid7(seen_wall_ns)
        kept = person_of(credential, self._config.record.keep)
        person, sealed = self._parts.sealer.protect(kept, entry_id, now)
        return Entry(
            id=entry_id,
            kiosk=self._config.kiosk.id,
            site=self._config.kiosk.site,
            lane=self._lane.name,
            direction=self._lane.direction,
            at=Moment(seen_wall_ns, now.boot_id, sighting.first_seen_boot_ns, now.quality),
            document=credential.document,
            flags=credential.flags,
            person=person,
            sealed=sealed,
        )

    def _tend(self, now_boot_ns: int) -> None:
        """Look after the disk, the standing light and the marks, each every few seconds."""
        if now_boot_ns >= self._next_check_boot_ns:
            self._next_check_boot_ns = now_boot_ns + CHECK_EVERY_NS
            self._check()
            if self._parts.trust is not None:
                self._parts.trust.look()
        if self._tally.due(now_boot_ns):
            trust_fault = "" if self._parts.trust is None else self._parts.trust.fault
            self._tally.write(self._parts.clock.now(), self._fault, trust_fault)
            self._stand(self._standing_cue())
            self._errands.tend(self._check)

    def _check(self) -> str:
        """What keeps the station from recording; empty if nothing does. That a frame has come proves the camera."""
        try:
            self._parts.outbox.check()
            self._parts.sealer.check(self._parts.clock.now())
        except (OutboxError, SealError) as error:
            self._set_fault(error)
        else:
            self._set_fault(None)
        return self._fault

    def _standing_cue(self) -> CueName:
        if self._fault:
            return CueName.FAULT_STANDING
        marks = read_marks(self._config.state.runtime_dir, "uplink", UPLINK_SILENT_S)
        return CueName.READY if marks is not None and marks.get("state") == "online" else CueName.OFFLINE

    def _stand(self, name: CueName) -> None:
        if name is not self._standing:
            self._standing = name
            self._parts.panel.stand(CUES[name])

    def _set_fault(self, error: KioskError | None) -> None:
        """Log a fault once when it starts and once when it ends; the standing light follows at once."""
        fault = "" if error is None else str(error)
        if fault and not self._fault:
            _log.error(line("fault", lane=self._lane.name, reason=fault))
        elif self._fault and not fault:
            _log.info(line("fault-ended", lane=self._lane.name))
        if bool(fault) != bool(self._fault):
            self._fault = fault
            self._stand(self._standing_cue())
        self._fault = fault

    def _report(self, scan: Scan) -> None:
        result = "fault" if scan.decision is None else _RESULTS[type(scan.decision)]
        reason = scan.decision.reason.value if isinstance(scan.decision, Refused) else "-"
        document = getattr(scan.verdict, "document", getattr(scan.verdict, "kind", "-"))
        self._tally.scan(result, scan.commit_ms, self._parts.clock.boot_ns())
        _log.info(
            line(
                "scan",
                lane=self._lane.name,
                result=result,
                reason=reason,
                document=document,
                flags=",".join(getattr(scan.verdict, "flags", ())) or "-",
                strategy=scan.strategy or "-",
                decode_ms=scan.decode_ms,
                commit_ms=scan.commit_ms,
                pending=self._pending(),
            )
        )

    def _pending(self) -> int | str:
        """How many entries wait; a disk that cannot say it must not stop the answer at the door."""
        try:
            return self._parts.outbox.depth()
        except OutboxError:
            return "-"


_RESULTS = {Recorded: "recorded", Repeat: "repeat", Refused: "refused"}


class _Tally:
    """Counts and times of one lane since its start, written as marks for the uplink's status message."""

    def __init__(self, lane: str, runtime_dir: Path) -> None:
        self._lane = lane
        self._runtime_dir = runtime_dir
        self._frames = 0
        self._frames_at_write = 0
        self._written_boot_ns = 0
        self._decode_ms: deque[float] = deque(maxlen=300)
        self._commit_ms: deque[float] = deque(maxlen=300)
        self._results = dict.fromkeys(("recorded", "repeat", "refused", "fault"), 0)
        self._last_scan_boot_ns: int | None = None

    def frame(self, decode_ms: float) -> None:
        self._frames += 1
        self._decode_ms.append(decode_ms)

    def scan(self, result: str, commit_ms: float, now_boot_ns: int) -> None:
        self._results[result] += 1
        self._last_scan_boot_ns = now_boot_ns
        if result == "recorded":
            self._commit_ms.append(commit_ms)

    def due(self, now_boot_ns: int) -> bool:
        return now_boot_ns - self._written_boot_ns >= MARKS_EVERY_NS

    def write(self, now: Moment, fault: str, trust_fault: str) -> None:
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
        )
        write_marks(self._runtime_dir, f"scan-{self._lane}", marks.to_dict())

    def _last_scan_wall_ns(self, now: Moment) -> int | None:
        if self._last_scan_boot_ns is None or now.quality is ClockQuality.UNSET:
            return None
        return now.wall_ns - (now.boot_ns - self._last_scan_boot_ns)


def _share(values: deque[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0


def run(scanner: Scanner, *, stop: Callable[[], bool], notifier: Notifier | None = None) -> None:
    """Scan until told to stop, or until a recorded source has shown its last frame.

    Args:
        scanner: The lane's loop.
        stop: Whether the end has been asked for.
        notifier: Told of the first frame and of every further one that is finished.

    Raises:
        CameraError: The camera has stalled or failed.
        PanelError: The lights cannot be driven.
        RestartRequestedError: The configuration is to be read anew.
    """
    while not stop():
        try:
            scanner.step()
        except CameraEndedError:
            return
        if notifier is not None:
            notifier.ready(scanner.status)
            notifier.alive()
