"""What each camera sees at a door: the table of docs/aiming.md, and its Vietnamese half, made from the sensors' own numbers.

    python -m kiosk.service.views docs/aiming.md docs/vi/ngam-camera.md

It is geometry: the width in view grows with the distance, and a module of a code has as many pixels as its share of that width. A lens's distortion,
blur and focus are not in it. The tests hold the pages to what this makes, and picamera2's choice of a mode to what the real one chooses.

Units: `_mm` millimetres, `_px` pixels, `_um` micrometres.

Sources:
    [1] raspberrypi/documentation, camera_hardware.adoc: fields of view, pixel sizes, focus; the maker's lenses for C and CS mounts by their focal length.
    [2] logitech.com: fields of view of its webcams, across the diagonal.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.config import Camera
from kiosk.lens import sensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DISTANCES_MM = (150, 200, 250)
CODES = ((11.0, 53), (20.0, 53), (45.0, 61))
"""Width in millimetres and modules a side: a chip card's, the same printed larger, a pass on a phone."""
GOOD_PX, LEAST_PX = 3.0, 1.75
"""Pixels a module: read at once, and read at all under good light; docs/decoding.md."""
DEFAULT_MODES = {
    (2592, 1944): (1920, 1080),
    (3280, 2464): (1920, 1080),
    (4608, 2592): (1536, 864),
    (4056, 3040): (2028, 1080),
    (1456, 1088): (1456, 1088),
}
"""What picamera2 chooses for a frame of the default size, by the sensor's width and height."""


@dataclass(frozen=True, slots=True)
class View:
    """One camera with its lens.

    Attributes:
        name: Its name, the same in any language.
        width_at_1: Width that the whole sensor, or the whole frame of a USB camera, sees at a distance of 1.
        array_px: The sensor; None for a USB camera, whose frames show all that it sees.
        sharp_from_mm: Where it can be sharp at the nearest; None where that is the lens's own matter.
    """

    name: str
    width_at_1: float
    array_px: tuple[int, int] | None
    sharp_from_mm: int | None = None

    def share(self) -> float:
        """Share of the sensor's width that a frame of the default size shows."""
        if self.array_px is None:
            return 1.0
        mode = next(mode for mode in sensors.MODES[self.array_px] if mode.size_px == DEFAULT_MODES[self.array_px])
        _, _, width_px, height_px = mode.crop_px
        frame = Camera()
        return min(width_px, height_px * frame.width_px / frame.height_px) / self.array_px[0]

    def width_mm(self, distance_mm: float) -> float:
        """What such a frame shows from left to right."""
        return self.width_at_1 * self.share() * distance_mm

    def module_px(self, module_mm: float, distance_mm: float) -> float:
        """Pixels a module in such a frame."""
        return Camera().width_px * module_mm / self.width_mm(distance_mm)

    def own_module_px(self, module_mm: float, distance_mm: float) -> float | None:
        """The sensor's own pixels a module, which a region brings into the frame; a USB camera has none to bring."""
        if self.array_px is None:
            return None
        return self.array_px[0] * module_mm / (self.width_at_1 * distance_mm)


def _by_angle(degrees: float) -> float:
    return 2 * math.tan(math.radians(degrees) / 2)


def _by_diagonal(degrees: float) -> float:
    """Of a frame of 16:9."""
    return _by_angle(degrees) * 16 / math.hypot(16, 9)


def _by_lens(width_px: int, pixel_um: float, focal_mm: float) -> float:
    return width_px * pixel_um / 1000 / focal_mm


VIEWS = (
    View("Camera Module 1", _by_angle(53.5), (2592, 1944), 1000),
    View("Camera Module 2", _by_angle(62.2), (3280, 2464), 100),
    View("Camera Module 3", _by_angle(66), (4608, 2592), 100),
    View("Camera Module 3 Wide", _by_angle(102), (4608, 2592), 50),
    View("HQ Camera, 6 mm", _by_lens(4056, 1.55, 6), (4056, 3040)),
    View("HQ Camera, 16 mm", _by_lens(4056, 1.55, 16), (4056, 3040)),
    View("Global Shutter Camera, 6 mm", _by_lens(1456, 3.45, 6), (1456, 1088)),
    View("Global Shutter Camera, 16 mm", _by_lens(1456, 3.45, 16), (1456, 1088)),
    View("USB, 55° (Logitech C270)", _by_diagonal(55), None),
    View("USB, 78° (Logitech C920)", _by_diagonal(78), None),
    View("USB, 120°", _by_diagonal(120), None),
)
_HEADS = {
    "en": ("camera, lens", "sharp from", "of the sensor's width", "in view, mm", "{size:.0f} mm code", "11 mm code with a `region`", "by its lens"),
    "vi": ("camera, ống kính", "nét từ", "phần bề ngang cảm biến", "bề ngang thấy được, mm", "mã {size:.0f} mm", "mã 11 mm khi có `region`", "tùy ống"),
}  # fmt: skip


def table(language: str) -> str:
    """The table in Markdown.

    Args:
        language: "en" or "vi".
    """
    camera, sharp, share, view, code, own, lens = _HEADS[language]
    heads = [camera, sharp, share, view, *(code.format(size=size_mm) for size_mm, _ in CODES), own]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join(_cells(each, lens)) + " |" for each in VIEWS]
    return "\n".join(lines) + "\n"


def page(text: str, language: str) -> str:
    """A page with its table made anew, between `<!-- views -->` and `<!-- /views -->`."""
    return re.sub(
        r"(?s)(<!-- views -->\n).*(<!-- /views -->)", lambda found: found[1] + table(language) + found[2], text
    )


def _cells(view: View, lens: str) -> Iterator[str]:
    yield view.name
    yield lens if view.sharp_from_mm is None else f"{view.sharp_from_mm / 10:.0f} cm"
    yield "–" if view.array_px is None else f"{view.share():.0%}".replace("%", " %")
    yield " / ".join(f"{view.width_mm(distance_mm):.0f}" for distance_mm in DISTANCES_MM)
    for size_mm, modules in CODES:
        yield _pixels([view.module_px(size_mm / modules, distance_mm) for distance_mm in DISTANCES_MM])
    size_mm, modules = CODES[0]
    own_px = [view.own_module_px(size_mm / modules, distance_mm) for distance_mm in DISTANCES_MM]
    yield _pixels([each for each in own_px if each is not None])


def _pixels(values: Sequence[float]) -> str:
    """Good ones in bold, those that are not read in brackets."""
    shown = [f"**{px:.1f}**" if px >= GOOD_PX else f"({px:.1f})" if px < LEAST_PX else f"{px:.1f}" for px in values]
    return " / ".join(shown) or "–"


def main() -> None:
    """Write both pages."""
    for path, language in zip(map(Path, sys.argv[1:3]), ("en", "vi"), strict=True):
        path.write_text(page(path.read_text("utf-8"), language), "utf-8")


if __name__ == "__main__":
    main()
