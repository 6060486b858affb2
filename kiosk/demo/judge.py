"""The demo's oracle: what the panel showed against what the ledger holds.

Two logs that know nothing of each other: the panel's, taken where the light is switched, and the centre's ledger, read
at the end. `lost` counts greens that are neither in the ledger nor waiting on the kiosk's disk, `doubled` counts rows of the ledger
beyond those greens. Both are 0, or the promise is broken. `waiting` counts greens that are on the disk only: the centre was out of
reach, or the demo was ended before everything was delivered. `unread` counts people who held up a code and left without an answer.
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

    def expect(self) -> None:
        """An answer is on the way."""
        self._panel.expect()

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

    def counts(self, unread: int) -> dict[str, int]:
        """The numbers of people by their answers, for a view.

        Args:
            unread: How many had none.
        """
        return {"recorded": len(self.recorded), "repeated": self.repeated, "refused": self.refused, "unread": unread}

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
    unread: int
    waiting: int
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
            f"unread={self.unread} waiting={self.waiting} ledger={self.ledger} lost={self.lost} doubled={self.doubled}"
        )


def judge(
    people: tuple[int, int], greens: int, tally: Tally, waiting_ids: Collection[UUID], ledger_ids: Collection[UUID]
) -> Judgement:
    """Hold the panel's log against the ledger.

    Args:
        people: How many have held up a code, and how many of them have left without an answer.
        greens: How often the panel showed green.
        tally: What the scan loop reported, with the ids of the entries behind the greens.
        waiting_ids: The id of every entry that waits on the kiosk's disk; looked up before the ledger, into which it may move.
        ledger_ids: The id of every row of this kiosk in the ledger, one for each row.
    """
    green_ids = set(tally.recorded)
    arrived = green_ids & set(ledger_ids)
    waiting = (green_ids & set(waiting_ids)) - arrived
    shown, unread = people
    return Judgement(
        shown=shown,
        recorded=greens,
        repeated=tally.repeated,
        refused=tally.refused,
        unread=unread,
        waiting=len(waiting),
        ledger=len(ledger_ids),
        lost=max(greens, len(green_ids)) - len(arrived) - len(waiting),
        doubled=len(ledger_ids) - len(arrived),
    )
