"""How many entries go into one message: as many as are wished for, until a broker has shown that it takes fewer.

Brokers have limits of which a station may never be told: MQTT 3.1.1 knows no way, and many only hang up, or acknowledge a message and
drop it. So a batch that did not come through is halved, down to a single entry, and grows again with what does: at once below the size
that failed, and above it ever less often, so that a limit that stands is not run against all day. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ALONE = 3
"""So often in a row one entry alone must have failed before it is doubted that the broker takes it at all."""
FIRST_PATIENCE = 8
MOST_PATIENCE = 1024


@dataclass
class BatchSize:
    """The size of the next batch.

    Attributes:
        most: Entries in a batch, at most.
        now: Entries in the next one, at most.
    """

    most: int
    now: int = field(init=False)
    _ceiling: int = field(init=False)
    _proven: int = 0
    _alone: int = 0
    _patience: int = FIRST_PATIENCE

    def __post_init__(self) -> None:
        """Begin with what is wished for."""
        self.now = self._ceiling = self.most

    @property
    def is_doubted(self) -> bool:
        """Whether the next entry may be more than the broker takes: every second time, for it may be the way that fails."""
        return self._alone >= ALONE and (self._alone - ALONE) % 2 == 0

    def failed(self, entries: int) -> None:
        """A batch of so many entries has not come through, for whatever reason."""
        self._alone = self._alone + 1 if entries == 1 else 0
        self.now = self._ceiling = max(1, min(self.now, entries) // 2)
        self._proven = 0
        self._patience = min(2 * self._patience, MOST_PATIENCE)

    def came_through(self, entries: int) -> None:
        """A batch of so many entries has arrived; a smaller one than was allowed tells nothing."""
        self._alone = 0
        if entries < self.now:
            return
        if self.now == self.most:
            self._patience = FIRST_PATIENCE
            return
        if self.now < self._ceiling:
            self.now = min(2 * self.now, self._ceiling)
            return
        self._proven += 1
        if self._proven >= self._patience:
            self._proven = 0
            self.now = self._ceiling = min(2 * self._ceiling, self.most)
