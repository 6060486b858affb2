"""What the uplink asks of the scan processes: a command has come over the network, but they have the panel.

Both sides are files in `state.runtime_dir`, beside the marks of `kiosk.health`: the uplink writes `errand.json`, every lane looks
at it when it writes its own marks, does what is asked, and answers in `answer-<lane>.json`. A lane does an errand once, and none
that is older than its own start. What an errand may ask for is this short list; whatever else stands in the file is no errand.

The volume that a command has set is kept in `state.dir/volume.json` and outlives a restart.

Units: `_ns` nanoseconds since boot.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk import health
from kiosk.cues import CUES, CueName
from kiosk.disk import durable, shared
from kiosk.envelopes.remote import Verb
from kiosk.errors import RestartRequestedError
from kiosk.log import line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kiosk.clock import Clock
    from kiosk.config import Config, Sound
    from kiosk.panel import Panel

_log = logging.getLogger(__name__)

FRESH_S = 30.0
"""An errand that no lane has fetched in this time is not done any more."""
VERBS = frozenset({Verb.IDENTIFY, Verb.SELF_TEST, Verb.VOLUME, Verb.RELOAD})
_FILE = "errand"
_VOLUME = "volume.json"


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing for every lane to do.

    Attributes:
        id: The command's id, in hexadecimal digits.
        verb: What, of `VERBS`.
    """

    id: str
    verb: Verb


def ask(runtime_dir: Path, errand: Errand, now_boot_ns: int) -> None:
    """Lay the errand out for every lane, in place of the one before."""
    marks = {"written_boot_ns": now_boot_ns, "id": errand.id, "verb": errand.verb.value}
    health.write_marks(runtime_dir, _FILE, marks)


def answer_of(runtime_dir: Path, lane: str, errand_id: str) -> str | None:
    """What a lane says of the errand: empty if it is done, else what is wrong; None if it has not answered."""
    marks = health.read_marks(runtime_dir, f"answer-{lane}", 2 * FRESH_S)
    if marks is None or marks.get("id") != errand_id:
        return None
    return str(marks.get("fault", ""))[:200]


def set_volume(state_dir: Path, percent: int | None) -> None:
    """Keep a volume in place of the configured one, or go back to that.

    Args:
        state_dir: Where it is kept.
        percent: 0 to 100; None for the configured one.

    Raises:
        OSError: It could not be written.
    """
    if percent is None:
        (state_dir / _VOLUME).unlink(missing_ok=True)
    else:
        durable.replace(state_dir / _VOLUME, json.dumps({"volume_percent": percent}).encode(), 0o640)


def sound_of(config: Config) -> Sound:
    """How loud the station is: as configured, or as a command has set it; quiet hours are never louder than that."""
    sound = config.sound
    try:
        percent = json.loads(shared.read(config.state.dir / _VOLUME))["volume_percent"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return sound
    if type(percent) is not int or not 0 <= percent <= 100:
        return sound
    quiet_percent = min(percent, sound.quiet_volume_percent)
    return sound.model_copy(update={"volume_percent": percent, "quiet_volume_percent": quiet_percent})


class Errands:
    """One lane's side of it. One thread only."""

    def __init__(self, config: Config, lane: str, panel: Panel, clock: Clock) -> None:
        self._config = config
        self._lane = lane
        self._panel = panel
        self._clock = clock
        self._started_boot_ns = clock.boot_ns()
        self._done = ""

    def tend(self, check: Callable[[], str]) -> None:
        """Do what is asked, if something new is.

        Args:
            check: Looks at camera and disk; says what is wrong, or nothing.

        Raises:
            PanelError: The lights cannot be driven.
            RestartRequestedError: The configuration is to be read anew, which a new process does.
        """
        errand = self._next()
        if errand is None:
            return
        self._done = errand.id
        _log.info(line("errand", lane=self._lane, verb=errand.verb.value, id=errand.id))
        fault = ""
        match errand.verb:
            case Verb.IDENTIFY:
                self._panel.show(CUES[CueName.IDENTIFY])
            case Verb.SELF_TEST:
                self._panel.show(CUES[CueName.SELF_TEST])
                fault = check()
            case Verb.VOLUME:
                self._panel.tune(sound_of(self._config))
            case _:
                pass
        marks = {"written_boot_ns": self._clock.boot_ns(), "id": errand.id, "fault": fault}
        health.write_marks(self._config.state.runtime_dir, f"answer-{self._lane}", marks)
        if errand.verb is Verb.RELOAD:
            raise RestartRequestedError

    def _next(self) -> Errand | None:
        marks = health.read_marks(self._config.state.runtime_dir, _FILE, FRESH_S)
        if marks is None or int(marks["written_boot_ns"]) < self._started_boot_ns:
            return None
        identity = str(marks.get("id", ""))
        verb = next((verb for verb in VERBS if verb.value == marks.get("verb")), None)
        if verb is None or identity == self._done or not (len(identity) == 32 and identity.isalnum()):
            return None
        return Errand(identity, verb)
