"""What each cue looks and sounds like over time, as a picture for the pages that people read: light above, tones below.

    python -m kiosk.service.pictures docs/pictures

The page of all of them, lights.md, goes beside that folder. Made from `kiosk.cues`, so that a page cannot show another colour than the station; the tests hold the files to it.
Units: `_px` of the picture, which has a scale of its own; `_ms` milliseconds; `_hz` hertz.
"""

from __future__ import annotations

import math
import sys
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from kiosk.cues import CUES, DARK, MEANINGS, Cue, CueName, Step, provisioning_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kiosk.cues import Rgb

WIDTH_PX = 240
LIGHT_PX = 26
TONES_PX = 22
LONGEST_MS = 3000
"""What a picture shows of a cue; one that goes on is cut."""
PX_A_MS = (WIDTH_PX - 2) / LONGEST_MS
LOWEST_HZ, HIGHEST_HZ = 300, 2200

ENDED = "ended"
"""No cue: the light that `kiosk panel --ended` leaves."""
ENDED_SAYS = "red, standing still: the scanning process has ended; it is started again, unless `kiosk.yaml` is wrong"
TABLES = {
    "To whoever holds up a code": (
        CueName.RECORDED_IN,
        CueName.RECORDED_OUT,
        CueName.RECORDED_PASS,
        CueName.REPEAT,
        CueName.WRONG_CODE,
        CueName.DAMAGED,
        CueName.NOT_CURRENT,
        CueName.NOT_GENUINE,
        CueName.FAULT,
    ),
    "While nobody is there": (
        CueName.READY,
        CueName.OFFLINE,
        CueName.FAULT_STANDING,
        ENDED,
        CueName.UNPROVISIONED,
    ),
    "To whoever sets it up or looks after it": (
        CueName.CODE_TAKEN,
        CueName.SET_UP,
        CueName.PROVISIONING_ERROR,
        CueName.IDENTIFY,
        CueName.SELF_TEST,
        CueName.AIM,
    ),
}


def cue_svg(cue: Cue, says: str) -> str:
    """The cue as an SVG of 240 × 48: a bar of light from left to right, a stroke for each tone, higher for higher."""
    shapes = "".join(_shapes(cue))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{LIGHT_PX + TONES_PX}" '
        f'viewBox="0 0 {WIDTH_PX} {LIGHT_PX + TONES_PX}" role="img">'
        f"<title>{escape(says)}</title>{shapes}</svg>\n"
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


def drawn() -> dict[str, Cue]:
    """What is drawn, by its name; of what is counted, an example."""
    red = Step(CUES[CueName.FAULT_STANDING].steps[0].rgb, 0, 2000)
    ended = Cue(CueName.FAULT_STANDING, (red,), standing=True)
    cues: dict[str, Cue] = {cue.name: cue for cue in (*CUES.values(), provisioning_error(2))}
    return {**cues, ENDED: ended}


def pictures() -> dict[str, str]:
    """File names and their contents."""
    return {f"cue-{name}.svg": cue_svg(cue, _says(name)) for name, cue in drawn().items()}


def page() -> str:
    """All lights and sounds as a page, in the order in which people meet them."""
    tables = "".join(
        f"\n## {title}\n\n| | name | light and sound | meaning |\n|---|---|---|---|\n{''.join(map(_row, names))}"
        for title, names in TABLES.items()
    )
    return f"""# Lights and sounds

Made by `make docs` from `kiosk/cues.py`. Above the light over time, three seconds at most; below the tones, higher for higher. A dashed frame goes on until
another state begins; it sounds once, when it begins. `kiosk panel` plays them, `kiosk panel recorded-in` one of them; those that are counted or measured
(provisioning-error, aim) and ended are no cues that it plays. On a laptop without a configuration it writes a line for each into the terminal and rings
its bell for each beep, in the beeps' rhythm but without their tones; `--terminal` does so beside a configuration.
Green, and only green or turquoise, is a receipt: the entry is on the disk. A dark panel has no power, or its board starts.
{tables}
Which number a provisioning error counts to, and what to do then: [provisioning.md](provisioning.md#at-the-door).
"""


def _says(name: str) -> str:
    return ENDED_SAYS if name == ENDED else MEANINGS[CueName(name)]


def _row(name: str) -> str:
    seen, _, meaning = _says(name).partition(": ")
    picture = f"![](pictures/cue-{name}.svg)" if name in drawn() else ""
    return f"| {picture} | {name} | {seen} | {meaning} |\n"


def main(folder: str) -> None:
    """Write them all, and the page beside their folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in pictures().items():
        (Path(folder) / name).write_text(content, "utf-8")
    (Path(folder).parent / "lights.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
