"""The demo's oracle: what the panel showed against what the ledger holds.

Two logs that know nothing of each other: the panel's, taken where the light is switched, and the centre's ledger, read
after everything has been delivered. `lost` counts greens that are not in the ledger, `doubled` counts rows of the ledger
beyond those greens. Both are 0, or the promise is broken.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kiosk.cues import CueName
from kiosk.model import Recorded, Refused, Repeat

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from kiosk.config import Sound
    from kiosk.cues import Cue
    from kiosk.panel import Panel
    from kiosk.scanner import Scan

GREEN = frozenset({CueName.RECORDED_IN, CueName.RECORDED_OUT, CueName.RECORDED_PASS})


class WitnessedPanel:
    """A panel with a witness: counts each cue at the moment it is switched on."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.shown: Counter[str] = Counter()

    def show(self, *cues: Cue) -> None:
        """Play these cues, one after another."""
        self._panel.show(*cues)
        self.shown.update(cue.name for cue in cues)

    def stand(self, cue: Cue) -> None:
        """Shine like this while nothing plays."""
        self._panel.stand(cue)

    def tune(self, sound: Sound) -> None:
        """Be as loud as this from now on."""
        self._panel.tune(sound)

    def close(self) -> None:
        """Let go of the pins."""
        self._panel.close()

    @property
    def greens(self) -> int:
        """How often somebody was shown green."""
        return sum(self.shown[name] for name in GREEN)


@dataclass
class Tally:
    """What happened at the door so far."""

    recorded: list[UUID] = field(default_factory=list)
    repeated: int = 0
    refused: int = 0
    faults: int = 0

    @property
    def answered(self) -> int:
        """How many sightings were answered."""
        return len(self.recorded) + self.repeated + self.refused + self.faults

    def add(self, scan: Scan) -> None:
        """Count one sighting."""
        match scan.decision:
            case Recorded() if scan.entry is not None:
                self.recorded.append(scan.entry.id)
            case Repeat():
                self.repeated += 1
            case Refused():
                self.refused += 1
            case _:
                self.faults += 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """The last line of the demo."""

    shown: int
    recorded: int
    repeated: int
    refused: int
    ledger: int
    lost: int
    doubled: int

    @property
    def holds(self) -> bool:
        """Whether every green is in the ledger exactly once."""
        return self.lost == 0 and self.doubled == 0

    def __str__(self) -> str:
        return (
            f"demo shown={self.shown} recorded={self.recorded} repeated={self.repeated} refused={self.refused} "
            f"ledger={self.ledger} lost={self.lost} doubled={self.doubled}"
        )


def judge(shown: int, greens: int, tally: Tally, ledger_ids: Collection[UUID]) -> Judgement:
    """Hold the panel's log against the ledger.

    Args:
        shown: How many codes were held up.
        greens: How often the panel showed green.
        tally: What the scan loop reported, with the ids of the entries behind the greens.
        ledger_ids: The id of every row of this kiosk in the ledger, one for each row.
    """
    green_ids = set(tally.recorded)
    arrived = green_ids & set(ledger_ids)
    return Judgement(
        shown=shown,
        recorded=greens,
        repeated=tally.repeated,
        refused=tally.refused,
        ledger=len(ledger_ids),
        lost=max(greens, len(green_ids)) - len(arrived),
        doubled=len(ledger_ids) - len(arrived),
    )
