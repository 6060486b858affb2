"""Has a new version proved itself? Decided from what its processes leave of finished work, not from their being there.

A station boots a new version once, on trial. It is kept if every lane decodes frames and, besides, either the centre has
sent a receipt or the station has been well for ten minutes without a centre in reach: an update must not fail because
the network is down. Whatever has not proved itself in twenty minutes is left: the station restarts into the version that
it had before.

Units: `_s` seconds since the start of the trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

FRAMES = 50
"""Decoded by each lane: more than a camera that starts and stalls gives."""
WELL_OFFLINE_S = 600.0
LONGEST_S = 1200.0


class Trial(Enum):
    """How the trial stands."""

    GOES_ON = "goes-on"
    PROVED = "proved"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at one look.

    Attributes:
        frames: Frames decoded since its process's start, of each lane; None where a lane gives no sign of life.
        faults: Whether a lane says that something keeps it from recording.
        receipt: Whether the centre has sent a receipt since the boot.
        uplink: Whether the uplink gives signs of life.
    """

    frames: tuple[int | None, ...]
    faults: bool
    receipt: bool
    uplink: bool

    @property
    def well(self) -> bool:
        """Every lane decodes and records, and the uplink works, with a centre or without."""
        decoding = bool(self.frames) and all(count is not None and count >= FRAMES for count in self.frames)
        return decoding and not self.faults and self.uplink


def judge(seen: Seen, now_s: float, well_since_s: float | None) -> Trial:
    """How the trial stands.

    Args:
        seen: What was seen just now.
        now_s: Now.
        well_since_s: Since when every look was well, this one included; None if this one is not.
    """
    if seen.well and seen.receipt:
        return Trial.PROVED
    if well_since_s is not None and now_s - well_since_s >= WELL_OFFLINE_S:
        return Trial.PROVED
    return Trial.FAILED if now_s >= LONGEST_S else Trial.GOES_ON
