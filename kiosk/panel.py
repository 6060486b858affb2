"""What the lights and the buzzer of one lane say now: the newest answer, and how the station is while nobody is there.

The scan loop hands over cues and goes on; a thread plays them. The newest answer replaces what is still playing, because
it belongs to whoever stands there now; only a receipt is always shown whole (`kiosk.cues.in_turn`). While nothing plays,
the standing cue says how the station is.

Cheap cards stall for seconds in a flush, and the loop with them. So the loop says before it commits that an answer is on the way; if none
has come after `PATIENCE_S`, the thread asks whoever stands there to wait.

The thread is `CuePlayer`, which knows nothing of pins: it drives `Outputs`, in `kiosk.gpio` pins, in `kiosk.sim` a terminal.

Units: `_hz` hertz, `_ms` milliseconds, `_s` seconds.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Protocol

from kiosk.cues import CUES, DARK, RECEIPTS, Cue, CueName, Step, in_turn
from kiosk.errors import PanelError
from kiosk.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kiosk import config
    from kiosk.cues import Rgb

CLOSE_S = 2.0
PATIENCE_S = 0.4
"""So long nobody notices that an answer is late."""
_WAIT = CUES[CueName.WAIT]


class Panel(Protocol):
    """Where answers are shown. Returns at once; one thread at a time."""

    def show(self, *cues: Cue) -> None:
        """Play these cues: receipts first, each whole and behind those that play or wait, then the others, one after another.

        What plays now and is no receipt is broken off.

        Raises:
            PanelError: The lights or the buzzer have failed.
        """

    def expect(self) -> None:
        """An answer is on the way: ask for patience until the next `show`, if that takes longer than `PATIENCE_S`."""

    def stand(self, cue: Cue) -> None:
        """Shine like this while nothing plays."""

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from now on."""

    def close(self) -> None:
        """Go dark and let go of the pins; harmless when repeated."""


class Outputs(Protocol):
    """What a player drives. Only the player's thread calls it."""

    def begin(self, cue: Cue | None) -> None:
        """What is set from now on belongs to this cue, or to none; a standing cue begins anew at each round."""

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        """Shine and sound like this until the next call.

        Args:
            rgb: The light.
            tone_hz: The sound, 0 for silence.
        """

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from the next `set` on. Any thread may call it."""

    def close(self) -> None:
        """Let go."""


class CuePlayer:
    """A panel: plays cues on outputs, on a thread of its own."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._changed = threading.Condition()
        self._waiting: tuple[Cue, ...] = ()
        self._playing: Cue | None = None
        self._standing: Cue | None = None
        self._standing_is_new = False
        self._wait_from_s: float | None = None
        """When it is time to ask for patience, monotonic; None while no answer is on the way."""
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)
        self._thread.start()

    def show(self, *cues: Cue) -> None:
        """Play these cues, as `in_turn` orders them."""
        self._raise_failure()
        with self._changed:
            self._wait_from_s = None
            broken_off, self._waiting = in_turn(self._playing, self._waiting, cues)
            if broken_off:
                self._playing = None
            self._changed.notify()

    def expect(self) -> None:
        """An answer is on the way; the first such word counts until the next answer."""
        self._raise_failure()
        with self._changed:
            if self._wait_from_s is None:
                self._wait_from_s = time.monotonic() + PATIENCE_S
                self._changed.notify()

    def stand(self, cue: Cue) -> None:
        """Shine like this while nothing plays."""
        self._raise_failure()
        with self._changed:
            self._standing_is_new = self._standing is not cue
            self._standing = cue
            self._changed.notify()

    def tune(self, sound: config.Sound) -> None:
        """Be as loud as this from now on."""
        self._outputs.tune(sound)

    def close(self) -> None:
        """Go dark and let go of the pins."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise PanelError(say("the panel has failed: {reason}", reason=self._failure)) from self._failure

    def _run(self) -> None:
        try:
            while not self._closed:
                self._play_next()
            self._go_dark()
        except Exception as error:  # noqa: BLE001  told to the scan loop at its next call
            self._failure = error
        finally:
            self._outputs.close()

    def _play_next(self) -> None:
        with self._changed:
            first = self._waiting[0] if self._waiting else None
            if self._is_late() and (first is None or self._gives_way(first)):
                cue, steps, interrupted = _WAIT, _WAIT.steps, self._is_answered
            elif first is not None:
                self._playing, self._waiting = first, self._waiting[1:]
                cue, steps, interrupted = first, first.steps, lambda: self._is_broken_off(first)
            elif self._standing is not None:
                cue, steps, interrupted = self._standing, self._standing.steps, self._is_interrupted
                if not self._standing_is_new:
                    steps = tuple(Step(step.rgb, 0, step.duration_ms) for step in steps)
                self._standing_is_new = False
            else:
                self._go_dark()
                self._pause(math.inf, self._is_interrupted)
                return
        self._play(cue, steps, interrupted)
        self._playing = None

    def _play(self, cue: Cue, steps: Sequence[Step], interrupted: Callable[[], bool]) -> None:
        self._outputs.begin(cue)
        for step in steps:
            self._outputs.set(step.rgb, step.tone_hz)
            with self._changed:
                if self._pause(step.duration_ms / 1000, interrupted):
                    return

    def _pause(self, duration_s: float, interrupted: Callable[[], bool]) -> bool:
        """Wait for so long, and look up when an answer gets late; whether it was interrupted."""
        end_s = time.monotonic() + duration_s
        while not interrupted():
            now_s = time.monotonic()
            if now_s >= end_s:
                return False
            next_s = end_s if self._wait_from_s is None or self._is_late() else min(end_s, self._wait_from_s)
            self._changed.wait(None if next_s == math.inf else next_s - now_s)
        return True

    def _is_late(self) -> bool:
        return self._wait_from_s is not None and time.monotonic() >= self._wait_from_s

    def _gives_way(self, cue: Cue) -> bool:
        """Whether whoever waits for a late answer is told so in its place; a receipt is shown whole."""
        return self._is_late() and cue.name not in RECEIPTS

    def _go_dark(self) -> None:
        self._outputs.begin(None)
        self._outputs.set(DARK, 0)

    def _is_interrupted(self) -> bool:
        return self._closed or bool(self._waiting) or self._standing_is_new or self._is_late()

    def _is_broken_off(self, cue: Cue) -> bool:
        return self._closed or self._playing is not cue or self._gives_way(cue)

    def _is_answered(self) -> bool:
        return self._closed or self._wait_from_s is None


class NoOutputs:
    """A lane without lights and sound."""

    def begin(self, cue: Cue | None) -> None:
        """Nothing to be seen."""

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        """Nothing to be seen or heard."""

    def tune(self, sound: config.Sound) -> None:
        """Nothing to be heard."""

    def close(self) -> None:
        """Nothing to let go of."""
