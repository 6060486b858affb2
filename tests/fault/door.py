"""A door for the fault tests: the real scan loop, policy and outbox, with people in front of it and no pictures.

The camera shows one person at a time and the decoder reads her code without a picture, so that a thousand people pass in
a second. Each person has a number of her own, which the code carries, the panel's log names when it shows green, and the
outbox and the ledger keep: three logs that do not know of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from kiosk.clock import Clock
from kiosk.config import Config, Sound
from kiosk.cues import Cue, CueName
from kiosk.decoder import Decoder
from kiosk.delivery import wire
from kiosk.lens.frame import Frame
from kiosk.model import ClockQuality, Entry, Moment, Reading
from kiosk.outbox import Outbox
from kiosk.policy import Policy, Rules
from kiosk.scanner import Parts, Scanner
from kiosk.sealer import Sealer
from kiosk.sightings import Sightings

S = 1_000_000_000
_BLANK = np.zeros((2, 2), np.uint8)
_CORNERS: Any = ((0.0, 0.0),) * 4


@dataclass
class MovedClock:
    """Both clocks, moved by the test.

    Attributes:
        boot: Nanoseconds since boot.
        wall_offset_ns: How far the wall clock is ahead of that.
    """

    boot: int = 100 * S
    wall_offset_ns: int = 1_800_000_000 * S

    def now(self) -> Moment:
        """Both clocks, read together."""
        return Moment(max(0, self.wall_offset_ns + self.boot), "boot-1", self.boot, ClockQuality.SYNCED)

    def boot_ns(self) -> int:
        """Nanoseconds since boot."""
        return self.boot


@dataclass
class People:
    """Camera and decoder in one: whoever stands there is read in every frame, one frame each tenth of a second."""

    clock: Clock
    number: int | None = None
    before_frame: Callable[[], None] = lambda: None
    tried: tuple[str, ...] = ()

    def next_frame(self, timeout_s: float) -> Frame:
        """A frame without a picture."""
        assert timeout_s > 0
        self.before_frame()
        if isinstance(self.clock, MovedClock):
            self.clock.boot += S // 10
        return Frame(_BLANK, self.clock.boot_ns())

    def read(self, frame: Frame) -> list[Reading]:
        """The code of whoever stands there."""
        if self.number is None:
            return []
        return [Reading(code_of(self.number), _CORNERS, frame.exposed_at_boot_ns, "test")]

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class LoggingPanel:
    """Writes down who was shown what."""

    people: People
    say: Callable[[str], object]
    shown: list[tuple[CueName, int | None]] = field(default_factory=list)
    standing: CueName | None = None

    def show(self, *cues: Cue) -> None:
        """Note them; a green with the person's number."""
        for cue in cues:
            self.shown.append((cue.name, self.people.number))
            if cue.name.startswith("recorded"):
                self.say(f"green {self.people.number}\n")

    def expect(self) -> None:
        """Nobody gets impatient."""

    def stand(self, cue: Cue) -> None:
        """Note it."""
        self.standing = cue.name

    def tune(self, sound: Sound) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing to let go of."""


class Door:
    """One lane on a real outbox."""

    def __init__(
        self, config: Config, outbox: Outbox, say: Callable[[str], object] = lambda _: None, clock: Clock | None = None
    ) -> None:
        self.clock = clock or MovedClock()
        self.people = People(self.clock)
        self.panel = LoggingPanel(self.people, say)
        self.parts = Parts(
            camera=self.people,
            decoder=cast("Decoder", self.people),
            sightings=Sightings(round(config.repeat.gone_s * S)),
            policy=Policy(Rules(frozenset(config.credentials.accept), 60 * S), bytes(32)),
            sealer=Sealer(config),
            local=(),
            outbox=outbox,
            panel=self.panel,
            clock=self.clock,
        )
        self.scanner = Scanner(config, config.lanes[0], self.parts)

    def show(self, number: int | None, frames: int = 1) -> list[CueName]:
        """Somebody, or nobody, stands there for some frames; what she is shown."""
        before = len(self.panel.shown)
        self.people.number = number
        for _ in range(frames):
            self.scanner.step()
        return [name for name, _ in self.panel.shown[before:]]


def code_of(number: int) -> bytes:
    """The code of a person, 0 to 999999."""
    return f"046090{number:06d}||Nguyen Van A|01021990|Nam|Hue|15062021".encode()


def person_in(entry: Entry) -> int:
    """The person whose entry this is."""
    return int(dict(entry.person)["number"][6:])


def people_in(outbox: Outbox, after_seq: int = 0) -> list[int]:
    """Who is in the outbox, in order, as the ledger will count: an entry once, by its id; two entries of one person twice."""
    entries = [wire.decode_entry(body) for _, body in outbox.head(after_seq, 10**9)]
    return [person_in(entry) for entry in {entry.id: entry for entry in entries}.values()]
