"""The first start: a station that nobody has set up looks for one kind of code, and shows how far it is.

    blue, flashing slowly → code taken → green and blue in turn: set up
                          → red, and the number of the error counted out → blue again

Only the camera and the panel are used here. The uplink does the rest (`kiosk.commissioning.provision`) and says in its marks how it went;
so does `kiosk provision` with a code that came in a file, whose errors are counted out here, too, each once.

Units: `_s` seconds.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.commissioning import identity, provision
from kiosk.cues import CUES, CueName, provisioning_error
from kiosk.envelopes.provisioning_code import NO_CENTRE, NOT_A_CODE, PREFIX
from kiosk.errors import CameraEndedError, ProvisionError
from kiosk.log import line
from kiosk.process.notify import Notifier
from kiosk.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiosk.config import Config
    from kiosk.cues import Cue
    from kiosk.decoder import Decoder
    from kiosk.lens.frame import Camera
    from kiosk.panel import Panel

_log = logging.getLogger(__name__)

ANSWER_S = 120.0
"""Longest wait for the uplink's word on a code."""
ROUND_S = 0.2
MARK_S = 1.0


class FirstStart:
    """The loop of a station that is not set up. One thread only."""

    def __init__(self, board: Config, camera: Camera, decoder: Decoder, panel: Panel) -> None:
        self._board = board
        self._camera = camera
        self._decoder = decoder
        self._panel = panel
        self._sightings = Sightings(round(board.repeat.gone_s * 1e9))
        self._asked = ""
        self._asked_s = 0.0
        self._heard_boot_ns = 0
        self._next_mark_s = 0.0

    def run(self, stop: Callable[[], bool]) -> bool:
        """Look until the station is set up.

        Returns:
            False if it was told to stop, or a recorded source has shown its last frame for nothing.

        Raises:
            CameraError: The camera has stalled or failed.
            PanelError: The lights cannot be driven.
            ConfigError: The fleet's key cannot be read.
        """
        provision.fleet_keys(self._board)
        self._panel.stand(CUES[CueName.UNPROVISIONED])
        _log.info(line("not-set-up", reason="waits for its provisioning code"))
        ended, notifier = False, Notifier()
        while not stop():
            if identity.is_there(self._board.state.dir):
                cue = CUES[CueName.SET_UP]
                self._panel.show(cue)
                time.sleep(sum(step.duration_ms for step in cue.steps) / 1000)
                return True
            self._hear()
            self._mark()
            notifier.alive()
            if ended:
                if not self._asked:
                    return False
                time.sleep(ROUND_S)
                continue
            try:
                self._look()
                notifier.ready("waits to be set up")
            except CameraEndedError:
                ended = True
        return False

    def _mark(self) -> None:
        """Say now and then that camera and panel are in use."""
        if time.monotonic() < self._next_mark_s:
            return
        self._next_mark_s = time.monotonic() + MARK_S
        lane, boot_ns = self._board.lanes[0].name, SystemClock().boot_ns()
        marks = {"lane": lane, "written_boot_ns": boot_ns, "waits": "waits for its provisioning code", "fault": None}
        health.write_marks(self._board.state.runtime_dir, f"scan-{lane}", marks)

    def _look(self) -> None:
        frame = self._camera.next_frame(self._board.lanes[0].camera.timeout_s)
        for sighting in self._sightings.observe(self._decoder.read(frame), frame.exposed_at_boot_ns):
            if not self._asked:
                self._panel.show(self._take(sighting.payload))

    def _take(self, payload: bytes) -> Cue:
        """Hand the code to the uplink, or say what is wrong with it."""
        try:
            self._asked = hand_over(self._board, payload, jumper=False)
        except ProvisionError as error:
            _log.warning(line("code-refused", number=error.number, reason=error))
            return provisioning_error(error.number)
        self._asked_s = time.monotonic()
        return CUES[CueName.CODE_TAKEN]

    def _hear(self) -> None:
        """What the uplink says of the code, or `kiosk provision` of one that no camera has read."""
        marks = health.read_marks(self._board.state.runtime_dir, provision.MARKS, provision.FRESH_S) or {}
        written_boot_ns = marks.get("written_boot_ns", 0)
        failed = marks.get("state") == "failed" and written_boot_ns != self._heard_boot_ns
        if self._asked:
            failed = failed and marks.get("code") == self._asked
            if not failed and time.monotonic() - self._asked_s <= ANSWER_S:
                return
        elif not failed:
            return
        number = marks.get("number") if failed else NO_CENTRE
        self._asked, self._heard_boot_ns = "", written_boot_ns
        self._panel.show(provisioning_error(number if isinstance(number, int) else NO_CENTRE))


def hand_over(config: Config, payload: bytes, *, jumper: bool) -> str:
    """Verify what was shown and put it where the uplink finds it.

    Args:
        config: The station's settings, set up or not.
        payload: What the camera read.
        jumper: Whether the jumper is closed.

    Returns:
        What marks call the code.

    Raises:
        ProvisionError: It is not for this station now, or cannot be handed over.
        ConfigError: The fleet's key cannot be read.
    """
    try:
        text = payload.decode("ascii")
    except UnicodeDecodeError as error:
        raise ProvisionError(NOT_A_CODE, "that is no provisioning code") from error
    provision.verified(config, text, jumper=jumper)
    provision.spool(config.state.runtime_dir, text, jumper=jumper)
    return provision.name_of(text)


def again(config: Config, jumper_closed: Callable[[], bool]) -> Callable[[bytes], Cue | None]:
    """What a station that is set up answers to a provisioning code; None to everything else.

    Args:
        config: Its settings.
        jumper_closed: Whether the jumper is closed now.
    """

    def answer(payload: bytes) -> Cue | None:
        if not payload.startswith(PREFIX.encode()):
            return None
        try:
            hand_over(config, payload, jumper=jumper_closed())
        except ProvisionError as error:
            _log.warning(line("code-refused", number=error.number, reason=error))
            return provisioning_error(error.number)
        return CUES[CueName.CODE_TAKEN]

    return answer
