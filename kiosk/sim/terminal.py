"""A panel that one can see without hardware: one line a cue, in the colour of its light."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from kiosk.cues import CUES, DARK, MEANINGS, CueName, Rgb

if TYPE_CHECKING:
    from kiosk.config import Sound
    from kiosk.cues import Cue


@dataclass(frozen=True, slots=True)
class PanelState:
    """What a panel shows at this moment.

    Attributes:
        rgb: The light.
        tone_hz: The sound, 0 for silence.
        cue_name: What it belongs to.
    """

    rgb: Rgb = DARK
    tone_hz: int = 0
    cue_name: CueName | None = None


class SeenOutputs:
    """Outputs that remember what they show, for a view."""

    def __init__(self) -> None:
        self.state = PanelState()

    def begin(self, cue: Cue | None) -> None:
        """What is set from now on belongs to this cue."""
        self.state = replace(self.state, cue_name=None if cue is None else cue.name)

    def set(self, rgb: Rgb, tone_hz: int) -> None:
        """Shine and sound like this until the next call."""
        self.state = replace(self.state, rgb=rgb, tone_hz=tone_hz)

    def tune(self, sound: Sound) -> None:
        """A picture has no loudness."""

    def close(self) -> None:
        """Nothing to let go of."""


class TerminalOutputs:
    """Outputs that write a line for each answer and each new standing light; a terminal's bell rings for each beep, as an active buzzer."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._standing: Cue | None = None
        self._sounds = False

    def begin(self, cue: Cue | None) -> None:
        """Write the cue in the colour of its light."""
        self._sounds = False
        if cue is None or cue is self._standing:
            return
        if cue.standing:
            self._standing = cue
        elif self._standing is CUES[CueName.WAIT]:
            self._standing = None  # the next one waits anew
        on_terminal = self._out.isatty()
        light = "\x1b[48;2;{};{};{}m    \x1b[0m ".format(*cue.steps[0].rgb) if on_terminal else ""
        print(f"{light}panel: {cue.name}: {MEANINGS[cue.name]}", file=self._out, flush=True)

    def set(self, rgb: Rgb, tone_hz: int) -> None:  # noqa: ARG002  the line has said the light
        """Ring the bell where a sound begins."""
        begins = bool(tone_hz) and not self._sounds
        self._sounds = bool(tone_hz)
        if begins and self._out.isatty():
            print("\a", end="", file=self._out, flush=True)

    def tune(self, sound: Sound) -> None:
        """The terminal has a volume of its own."""

    def close(self) -> None:
        """Nothing to let go of."""


class TerminalLamp:
    """A lamp that says in a line whether it is lit."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def light(self, *, lit: bool) -> None:
        """Say it."""
        print(f"lamp: {'on' if lit else 'off'}", file=self._out, flush=True)

    def close(self) -> None:
        """Nothing to let go of."""
