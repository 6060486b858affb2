"""What a trouble is: a function that does to a picture what wear, light, a lens or a screen does, seeded and with a strength.

Each kind works at one stage of a picture's way, and takes the picture as that stage has it:

    POSE     how the carrier is held, before anything is drawn
    SKIN     the code with eight modules around it, 12 px a module, flat: print, wear, what lies on it
    FRONT    the whole carrier, 12 px a module, flat: what bends or stretches it
    LIGHT    the frame, before the sensor's noise: lamps, shadows, the lens, a display's clock
    SENSOR   the frame, with the noise: compression, gain, what a camera's own software does

What belongs to the carrier is drawn from `draw.fixed` and is the same in each frame of a sighting; what changes from frame to frame
is drawn from `draw.passing`. Strength 0 leaves the picture as it is, 1 is the kind at its usual.

Units: `_px` pixels, `_m` modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Luma = NDArray[np.uint8]

SKIN_MARGIN_M = 8
"""So many modules around the code belong to its skin; four of them are its quiet zone."""


class Part(Enum):
    """What a kind may be used for."""

    TUNED = "its pictures may be looked at, learnt from, tuned on"
    CHOOSE = "chooses between what was tuned; nothing is learnt from its pictures"
    HELD = (
        "measured only; nobody who works on the reader looks at its pictures or at its figure before the choice is made"
    )


class Stage(Enum):
    """Where on a picture's way a kind works; they work in this order."""

    POSE = 0
    SKIN = 1
    FRONT = 2
    LIGHT = 3
    SENSOR = 4


@dataclass(frozen=True)
class Draw:
    """What a kind is told beside the picture.

    Attributes:
        strength: 0 for nothing, 1 for the usual.
        fixed: Randomness that is the same for each frame of a sighting.
        passing: Randomness of this frame.
        number: Of the frame in its sighting, from 0.
        x_px: Of the code's middle in the picture that the kind takes.
        y_px: The same, down.
        module_px: Width of a module there.
        modules: Modules of the code across.
    """

    strength: float
    fixed: np.random.Generator
    passing: np.random.Generator
    number: int
    x_px: float
    y_px: float
    module_px: float
    modules: int

    @property
    def side_px(self) -> float:
        """Of the code, without its quiet zone."""
        return self.module_px * self.modules


@dataclass(frozen=True)
class Kind:
    """A kind of trouble.

    Attributes:
        name: Unique.
        says: What one sees.
        stage: Where it works.
        part: What it may be used for.
        change: The picture (or the pose) and the draw → the same, changed; arrays are not changed in place.
        carriers: On what it is seen.
    """

    name: str
    says: str
    stage: Stage
    part: Part
    change: Callable[[Any, Draw], Any]
    carriers: tuple[str, ...]

    def __call__(self, picture: Any, draw: Draw) -> Any:  # noqa: ANN401  a pose or a picture
        """Do it; strength 0 does nothing."""
        return self.change(picture, draw) if draw.strength > 0 else picture


@dataclass
class Gathering:
    """The kinds of one file, in its order."""

    part: Part
    kinds: dict[str, Kind] = field(default_factory=dict)

    def kind(self, stage: Stage, *carriers: str) -> Callable[[Callable[[Any, Draw], Any]], Callable[[Any, Draw], Any]]:
        """Take a function in: its name is the kind's, its docstring says what one sees.

        Args:
            stage: Where it works.
            carriers: On what it is seen; any if none is named.
        """

        def take(change: Callable[[Any, Draw], Any]) -> Callable[[Any, Draw], Any]:
            says = (change.__doc__ or "").strip().splitlines()[0]
            self.kinds[change.__name__] = Kind(
                change.__name__, says, stage, self.part, change, carriers or ("phone", "card", "paper")
            )
            return change

        return take


def generator(*seeds: object) -> np.random.Generator:
    """Randomness that the same words give again on any machine."""
    return np.random.default_rng(Random("/".join(map(str, seeds))).getrandbits(64))
