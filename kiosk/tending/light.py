"""The light that stands while nobody is there: ready, offline, or a fault, which is logged once when it starts and once when it ends."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kiosk.cues import CUES, CueName
from kiosk.health import read_marks
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kiosk.errors import KioskError
    from kiosk.panel import Panel

_log = logging.getLogger(__name__)

UPLINK_SILENT_S = 15.0
"""An uplink that has written no marks for this long is taken for offline."""


class StandingLight:
    """One lane's. One thread only.

    Attributes:
        fault: What keeps the lane from recording, one sentence; empty if nothing does.
    """

    def __init__(self, lane: str, runtime_dir: Path, panel: Panel) -> None:
        self._lane = lane
        self._runtime_dir = runtime_dir
        self._panel = panel
        self._standing: CueName | None = None
        self.fault = ""

    @property
    def status(self) -> str:
        """How this lane is, for a person."""
        return f"lane {self._lane}: {self.fault or self._standing or 'starting'}"

    def set_fault(self, error: KioskError | None) -> None:
        """A fault has begun, or there is none; the light follows at once."""
        before, self.fault = self.fault, "" if error is None else str(error)
        if bool(before) == bool(self.fault):
            return
        if self.fault:
            _log.error(line("fault", lane=self._lane, reason=self.fault))
        else:
            _log.info(line("fault-ended", lane=self._lane))
        self.tend()

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Ask for patience while this takes long: the loop sees nobody meanwhile, and has no answer to give at its end."""
        self._panel.expect()
        yield
        self._panel.show()

    def tend(self) -> None:
        """Show how the station is now, by the fault and by the uplink's marks."""
        name = self._name()
        if name is not self._standing:
            self._standing = name
            self._panel.stand(CUES[name])

    def _name(self) -> CueName:
        if self.fault:
            return CueName.FAULT_STANDING
        marks = read_marks(self._runtime_dir, "uplink", UPLINK_SILENT_S)
        return CueName.READY if marks is not None and marks.get("state") == "online" else CueName.OFFLINE
