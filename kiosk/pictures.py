"""What each cue looks and sounds like over time, as a picture for the pages that people read: light above, tones below.

    python -m kiosk.pictures docs/pictures

Made from `kiosk.cues`, so that a page cannot show another colour than the station; the tests hold the files to it.
Units: `_px` of the picture, which has a scale of its own; `_ms` milliseconds; `_hz` hertz.
"""

from __future__ import annotations

import math
import sys
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from kiosk.cues import CUES, DARK, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kiosk.cues import Cue, Rgb, Step

WIDTH_PX = 240
LIGHT_PX = 26
TONES_PX = 22
LONGEST_MS = 3000
"""What a picture shows of a cue; one that goes on is cut."""
PX_A_MS = (WIDTH_PX - 2) / LONGEST_MS
LOWEST_HZ, HIGHEST_HZ = 300, 2200


def cue_svg(cue: Cue) -> str:
    """The cue as an SVG of 240 × 48: a bar of light from left to right, a stroke for each tone, higher for higher."""
    shapes = "".join(_shapes(cue))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{LIGHT_PX + TONES_PX}" '
        f'viewBox="0 0 {WIDTH_PX} {LIGHT_PX + TONES_PX}" role="img">'
        f"<title>{escape(MEANINGS[cue.name])}</title>{shapes}</svg>\n"
    )


def _shapes(cue: Cue) -> Iterator[str]:
    left_px = 1.0
    for step in _first_steps(cue):
        width_px = step.duration_ms * PX_A_MS
        yield _rect(left_px, 1, width_px, LIGHT_PX - 2, on_paper(step.rgb))
        if step.tone_hz:
            height_px = 4 + (TONES_PX - 6) * math.log(step.tone_hz / LOWEST_HZ) / math.log(HIGHEST_HZ / LOWEST_HZ)
            yield _rect(left_px, LIGHT_PX + TONES_PX - height_px, max(3.0, width_px - 1), height_px, "#444")
        left_px += width_px
    dashes = ' stroke-dasharray="4 3"' if cue.standing else ""
    yield f'<rect x="1" y="1" width="{left_px - 1:.1f}" height="{LIGHT_PX - 2}" fill="none" stroke="#888"{dashes}/>'


def _first_steps(cue: Cue) -> list[Step]:
    """As many whole steps as the picture has room for."""
    ends_ms = accumulate(step.duration_ms for step in cue.steps)
    return [step for step, end_ms in zip(cue.steps, ends_ms, strict=True) if end_ms <= LONGEST_MS]


def _rect(x_px: float, y_px: float, width_px: float, height_px: float, fill: str) -> str:
    return f'<rect x="{x_px:.1f}" y="{y_px:.1f}" width="{width_px:.1f}" height="{height_px:.1f}" fill="{fill}"/>'


def on_paper(rgb: Rgb) -> str:
    """The colour as ink: a dim light is still that light, and darkness is dark."""
    if rgb == DARK:
        return "#333"
    brightest = max(rgb)
    return "#" + "".join(f"{channel * 255 // brightest:02x}" for channel in rgb)


def pictures() -> dict[str, str]:
    """File names and their contents."""
    return {f"cue-{cue.name.value}.svg": cue_svg(cue) for cue in CUES.values()}


def main(folder: str) -> None:
    """Write them all."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in pictures().items():
        (Path(folder) / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
