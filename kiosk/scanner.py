"""The scan loop: from the lens to the green light, one straight line.

    frame → readings → sightings → verdict → decision → entry, sealed → COMMIT → cue

One process a lane, one thread for this loop and one for the panel. The order is the promise: a green cue is shown only
after `Recorder.commit` has returned, and that returns only after the entry is on the disk. If the person cannot be sealed
or the commit fails, the panel shows the fault, nothing is remembered, and the same code is tried again while it is still held up.
A card that stalls holds the loop up, and the panel asks for patience meanwhile (`Panel.expect`).

Each step is another one's: `kiosk.decoder` reads, `kiosk.judge` decides, `kiosk.recorder` commits, `kiosk.cues` has the answers; `kiosk.tending`
looks after the light and the marks between two people. The scan process and the uplink know each other by files alone: entries
through the outbox, states through the marks in `state.runtime_dir`.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.cues import CUES, Cue, CueName, cue_for
from kiosk.errors import CameraEndedError, OutboxError, SealError
from kiosk.judge import Judge
from kiosk.lens.frame import warnings_of
from kiosk.log import line
from kiosk.model import Credential, Decision, Entry, Recorded, Refused, RefusedReason, Repeat
from kiosk.orders.errand import Errands
from kiosk.reading.others import Others
from kiosk.recorder import Recorder
from kiosk.tending.light import StandingLight
from kiosk.tending.tally import Tally
from kiosk.tending.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.clock import Clock
    from kiosk.config import Config, Lane
    from kiosk.credential import LocalPattern
    from kiosk.decoder import Decoder
    from kiosk.lens.frame import Camera, Frame
    from kiosk.model import Reading, Sighting, Verdict
    from kiosk.outbox import Outbox
    from kiosk.panel import Panel
    from kiosk.policy import Policy
    from kiosk.process.notify import Notifier
    from kiosk.sealer import Sealer
    from kiosk.sightings import Sightings
    from kiosk.trust.issuers import TrustFolder

_log = logging.getLogger(__name__)


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
        self._lane = lane
        self._parts = parts
        self._judge = Judge(parts.sightings, parts.policy, parts.local, parts.trust, parts.clock)
        self._recorder = Recorder(config, lane, parts.sealer, parts.outbox, parts.clock)
        self._light = StandingLight(lane.name, config.state.runtime_dir, parts.panel)
        self._others = Others()
        self._tally = Tally(lane.name, config.state.runtime_dir, "; ".join(warnings_of(parts.camera)))
        errands = Errands(config, lane.name, parts.panel, parts.clock)
        hands = (parts.outbox, parts.sealer, parts.trust, parts.clock)
        self._upkeep = Upkeep(self._light, self._tally, errands, *hands)

    def step(self, look: Callable[[Frame, list[Reading]], None] | None = None) -> list[Scan]:
        """Take one frame and answer every code that newly appeared in it.

        Args:
            look: Called with the frame and its readings before they are judged, for a view.

        Raises:
            CameraError: The camera gives no more frames.
            PanelError: The lights cannot be driven.
            RestartRequestedError: The configuration is to be read anew.
        """
        frame = self._parts.camera.next_frame(self._lane.camera.timeout_s)
        started_ns = time.perf_counter_ns()
        readings = self._parts.decoder.read(frame)
        readings += self._others.look(frame, has_read=bool(readings), has_texture=len(self._parts.decoder.tried) > 1)
        decode_ms = (time.perf_counter_ns() - started_ns) / 1e6
        if look is not None:
            look(frame, readings)
        self._judge.forget(self._recorder.to_be_tried_again())
        strategies = {reading.payload: reading.strategy for reading in readings}
        scans = [
            self._answer(sighting, next(filter(None, map(strategies.get, sighting.codes)), ""), decode_ms)
            for sighting in self._judge.begun(readings, frame.exposed_at_boot_ns)
        ]
        if scans:
            self._parts.panel.show(*(scan.cue for scan in scans))
        for scan in scans:
            self._report(scan)
        self._tally.frame(decode_ms)
        self._upkeep.tend()
        return scans

    @property
    def status(self) -> str:
        """How this lane is, for a person."""
        return self._light.status

    def _answer(self, sighting: Sighting, strategy: str, decode_ms: float) -> Scan:
        verdict = self._judge.verdict_on(sighting)
        set_up = None if sighting.symbology else self._parts.set_up
        special = None if set_up is None else set_up(sighting.payload)
        if special is not None:
            refused = Refused(RefusedReason.WRONG_CODE)
            return Scan(sighting, verdict, refused, None, special, strategy, decode_ms, 0.0)
        now_boot_ns = self._parts.clock.boot_ns()
        decision = self._judge.decide(sighting, verdict, now_boot_ns)
        cue = cue_for(decision, self._lane.direction)
        if not (isinstance(decision, Recorded) and isinstance(verdict, Credential)):
            return Scan(sighting, verdict, decision, None, cue, strategy, decode_ms, 0.0)
        started_ns = time.perf_counter_ns()
        self._parts.panel.expect()
        try:
            entry = self._recorder.commit(sighting, verdict, now_boot_ns)
        except (OutboxError, SealError) as error:
            self._light.set_fault(error)
            self._upkeep.postpone(now_boot_ns)
            return Scan(sighting, verdict, None, None, CUES[CueName.FAULT], strategy, decode_ms, 0.0)
        self._light.set_fault(None)
        commit_ms = (time.perf_counter_ns() - started_ns) / 1e6
        self._judge.remember(sighting, verdict, entry, now_boot_ns)
        return Scan(sighting, verdict, decision, entry, cue, strategy, decode_ms, commit_ms)

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
