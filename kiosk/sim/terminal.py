"""A panel that one can see without hardware: one line a cue, in the colour of its light."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from kiosk.cues import DARK, MEANINGS, CueName, Rgb

if TYPE_CHECKING:
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

    def set(self, rgb: Rgb, tone_hz: int, cue: Cue | None) -> None:
        """Shine and sound like this until the next call."""
        self.state = PanelState(rgb, tone_hz, None if cue is None else cue.name)

    def close(self) -> None:
        """Nothing to let go of."""


class TerminalOutputs:
    """Outputs that write a line when another cue begins, and ring the terminal's bell for its first tone."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._cue: Cue | None = None

    def set(self, rgb: Rgb, tone_hz: int, cue: Cue | None) -> None:
        """Write the cue when it begins."""
        if cue is self._cue:
            return
        self._cue = cue
        if cue is None:
            return
        on_terminal = self._out.isatty()
        light = "\x1b[48;2;{};{};{}m    \x1b[0m ".format(*rgb) if on_terminal else ""
        bell = "\a" if on_terminal and tone_hz and not cue.standing else ""
        print(f"{light}panel: {cue.name}: {MEANINGS[cue.name]}{bell}", file=self._out, flush=True)

    def close(self) -> None:
        """Nothing to let go of."""
