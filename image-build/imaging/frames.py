"""Pictures for the virtual camera of a test machine: invented people, four cards held up at once.

Four at once, because libcamera unpacks all pictures of its virtual camera when it is opened and keeps them in memory.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.sim.people import citizen_card, somebody
from kiosk.sim.render import code_picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PICTURES = 24
A_PICTURE = 4
WIDTH_PX, HEIGHT_PX = 640, 480


def payloads(seed: int = 6) -> list[str]:
    """What all cards say, in the order in which they are shown."""
    random = Random(seed)  # noqa: S311  invented people are seeded, not secret
    return [citizen_card(somebody(random), random) for _ in range(PICTURES * A_PICTURE)]


def write(folder: Path, seed: int = 6) -> None:
    """Write cards/0.jpg, cards/1.jpg and so on, and nobody/0.jpg, in which nothing is held up.

    Args:
        folder: Where to; made if it is not there.
        seed: The same seed brings the same people.
    """
    for name in ("cards", "nobody"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write(folder / "nobody" / "0.jpg", np.full((HEIGHT_PX, WIDTH_PX), 200, np.uint8))
    cards = payloads(seed)
    for number in range(PICTURES):
        picture = np.full((HEIGHT_PX, WIDTH_PX), 200, np.uint8)
        for place, card in enumerate(cards[number * A_PICTURE : (number + 1) * A_PICTURE]):
            code = code_picture(card.encode(), 4, error="l")
            size_px = code.shape[0]
            top = (place // 2) * HEIGHT_PX // 2 + (HEIGHT_PX // 2 - size_px) // 2
            left = (place % 2) * WIDTH_PX // 2 + (WIDTH_PX // 2 - size_px) // 2
            picture[top : top + size_px, left : left + size_px] = code
        _write(folder / "cards" / f"{number}.jpg", picture)


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    """In colour, as a camera's: libcamera takes no grey pictures."""
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
