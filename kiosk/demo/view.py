"""What one sees of the demo: the camera's picture in small, the panel's light, the outbox, the link, the ledger's last rows.

On a terminal it is redrawn a few times a second with rich; elsewhere every event is one plain line. The picture is drawn
with half blocks, two pixels a character, and is never stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from kiosk.log import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from kiosk.lens.frame import Frame
    from kiosk.model import Reading
    from kiosk.sim.terminal import PanelState

PICTURE_COLUMNS = 72
PICTURE_ROWS = 20


@dataclass
class Scene:
    """Everything the view shows, as it stands."""

    people: str = ""
    frame: Frame | None = None
    readings: Sequence[Reading] = ()
    panel: PanelState | None = None
    waiting: int = 0
    link: str = "-"
    decode_ms: float = 0.0
    strategy: str = ""
    last_scan: str = ""
    processes: dict[str, str] = field(default_factory=dict)
    ledger_rows: int = 0
    ledger_last: Sequence[tuple[str, ...]] = ()


def drawn(scene: Scene) -> RenderableType:
    """The scene as something that rich prints."""
    picture = Box(_picture(scene), title=f"camera · {scene.people}", padding=0)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("panel", _light(scene.panel))
    facts.add_row("last scan", _plain(scene.last_scan or "-"))
    facts.add_row("read by", f"{scene.strategy or '-'} · {scene.decode_ms:.1f} ms for the frame")
    facts.add_row("outbox", f"{scene.waiting} waiting")
    facts.add_row("link", _plain(scene.link))
    for name, state in scene.processes.items():
        facts.add_row(name, _plain(state))
    ledger = Table("time", "way", "document", "holder", box=None, padding=(0, 1))
    for row in scene.ledger_last:
        ledger.add_row(*(_plain(column) for column in row))
    right = Group(Box(facts, title="kiosk"), Box(ledger, title=f"centre's ledger · {scene.ledger_rows} rows"))
    return Columns([picture, right], padding=(0, 1))


def _plain(text: str) -> Text:
    """Letters only: what a stranger's code has brought is no markup of rich's, and moves no cursor."""
    return Text(printable(text))


def _light(state: PanelState | None) -> Text:
    if state is None:
        return Text("-")
    red, green, blue = state.rgb
    text = Text("██████", style=f"rgb({red},{green},{blue})")
    text.append(f" {state.cue_name}" + (f"  ♪ {state.tone_hz} Hz" if state.tone_hz else ""), style="default")
    return text


def _picture(scene: Scene) -> Text:
    if scene.frame is None:
        return Text("\n" * (PICTURE_ROWS - 1))
    luma = cv2.resize(scene.frame.luma, (PICTURE_COLUMNS, 2 * PICTURE_ROWS), interpolation=cv2.INTER_AREA)
    height_px, width_px = scene.frame.luma.shape
    coloured = cv2.cvtColor(luma, cv2.COLOR_GRAY2RGB)
    for reading in scene.readings:
        scale_x, scale_y = PICTURE_COLUMNS / width_px, 2 * PICTURE_ROWS / height_px
        corners = [(round(x * scale_x), round(y * scale_y)) for x, y in reading.corners_px]
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            cv2.line(coloured, start, end, (40, 220, 80), 1)
    text = Text()
    for upper, lower in zip(coloured[0::2].tolist(), coloured[1::2].tolist(), strict=True):
        for (r1, g1, b1), (r2, g2, b2) in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({r1},{g1},{b1}) on rgb({r2},{g2},{b2})")
        text.append("\n")
    text.rstrip()
    return text
