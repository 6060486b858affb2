"""What one sees of the demo, in the order of what matters: the panel's light, the last answer, the counts, the ledger, the picture.

On a terminal it is redrawn a few times a second with rich; elsewhere every event is one plain line. The words have their lines and
columns whatever happens, from 80 × 24 on; the picture gets the room that is left, and none where it is too small or has too few
colours to be made out. It is drawn with half blocks, two pixels a character, and is never stored.

A light is a word on its colour, of the terminal's own sixteen: readable on black and on white, and without any colour.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import cv2
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from kiosk.cues import BLUE, DARK, DIM_WHITE, GREEN, MAGENTA, RED, TURQUOISE, WHITE, YELLOW
from kiosk.log import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions

    from kiosk.cues import Rgb
    from kiosk.lens.frame import Frame
    from kiosk.model import Reading
    from kiosk.sim.terminal import PanelState

    Line = list[Segment]

LEDGER_COLUMNS = {"time": 8, "way": 4, "document": 14, "holder": 10}
LEDGER_WIDTH = sum(LEDGER_COLUMNS.values()) + 2 * len(LEDGER_COLUMNS)
LEAST_COLUMNS, LEAST_ROWS = 24, 7
"""A picture smaller than this shows nothing."""
GREYS = 32
LEAST_HEIGHT = 20
"""A terminal with fewer lines shows the log only when there is one."""
FACTS = 8
EVENTS = 2
"""Lines of the log that are shown."""
_LABEL = 8
_OUTLINE = Color.from_rgb(40, 220, 80)
_FINE_COLOURS = {"256", "truecolor"}
_LIGHTS: dict[Rgb, tuple[str, str]] = {
    DARK: ("dark", "white on black"),
    GREEN: ("green", "black on green"),
    TURQUOISE: ("turquoise", "black on cyan"),
    YELLOW: ("yellow", "black on yellow"),
    RED: ("red", "white on red"),
    MAGENTA: ("magenta", "white on magenta"),
    BLUE: ("blue", "white on blue"),
    DIM_WHITE: ("dim white", "black on white"),
    WHITE: ("white", "black on bright_white"),
}


@dataclass
class Scene:
    """Everything the view shows, as it stands."""

    title: str = ""
    people: str = ""
    frame: Frame | None = None
    readings: Sequence[Reading] = ()
    panel: PanelState | None = None
    last_answer: str = ""
    last_times: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    link: str = "-"
    processes: dict[str, str] = field(default_factory=dict)
    ledger_rows: int = 0
    ledger_last: Sequence[tuple[str, ...]] = ()
    notice: str = ""
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS))
    """The last lines of the log."""

    @property
    def height(self) -> int:
        """Lines of it without a picture."""
        return FACTS + 1 + len(self.ledger_last) + len(self.events)


@dataclass(frozen=True, slots=True)
class View:
    """The scene as something that rich prints, as large as the console.

    Attributes:
        scene: What is shown.
        with_picture: Whether the camera's picture is, where there is room.
    """

    scene: Scene
    with_picture: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Every line in its full width, as many as there is height for."""
        width, height = options.max_width, options.height or console.height
        facts, events = _facts(self.scene), [_words(event) for event in self.scene.events]
        foot = EVENTS if self.with_picture and height >= LEAST_HEIGHT else len(events)
        room = max(0, height - len(facts) - foot)
        sees_colours = console.color_system in _FINE_COLOURS and not (console.no_color or options.ascii_only)
        picture: list[Line] = []
        if self.with_picture and sees_colours:
            picture = _picture(self.scene, width - LEDGER_WIDTH, room)
        ledger = [*_ledger(self.scene), *[Text()] * room][:room]
        lines: list[Line] = [_fitted(fact, console, options, width) for fact in facts]
        for number, row in enumerate(ledger):
            seen = picture[number] if number < len(picture) else []
            lines.append([*_fitted(row, console, options, LEDGER_WIDTH if picture else width), *seen])
        lines += [_fitted(event, console, options, width) for event in [*events, *[Text()] * foot][:foot]]
        for number, line in enumerate(lines[:height]):
            if number:
                yield Segment.line()
            yield from line


def drawn(scene: Scene, *, with_picture: bool = True) -> View:
    """The scene as something that rich prints."""
    return View(scene, with_picture)


@contextmanager
def logged_to(events: deque[str]) -> Iterator[None]:
    """Have the log write here instead of through the view, and to where it wrote before afterwards."""
    root = logging.getLogger()
    streams = [handler for handler in root.handlers if isinstance(handler, logging.StreamHandler)]
    lines = _Lines(events)
    root.addHandler(lines)
    for stream in streams:
        root.removeHandler(stream)
    try:
        yield
    finally:
        root.removeHandler(lines)
        for stream in streams:
            root.addHandler(stream)


class _Lines(logging.Handler):
    """The last lines of the log, with their time."""

    def __init__(self, events: deque[str]) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        self._events.append(f"{when} {record.levelname} {record.getMessage()}")


def _fitted(text: Text, console: Console, options: ConsoleOptions, width: int) -> Line:
    """One line of exactly this width."""
    one_line = options.update(width=width, height=1, no_wrap=True, overflow="ellipsis")
    return console.render_lines(text, one_line)[0]


def _words(text: str) -> Text:
    """Letters only: what a stranger's code has brought is no markup of rich's, and moves no cursor."""
    return Text(printable(text))


def _fact(label: str, *words: Text | str) -> Text:
    return Text.assemble(
        (label.ljust(_LABEL), "bold"), *(Text(printable(w)) if isinstance(w, str) else w for w in words)
    )


def _facts(scene: Scene) -> list[Text]:
    """The lines that are always there; an empty one at the end."""
    title = Text(printable(f"{scene.title} · {scene.people}"), "bold")
    counts = "  ".join(f"{name} {count:<4}" for name, count in scene.counts.items())
    rows, waiting = f"{scene.ledger_rows} in the ledger", f"{scene.waiting} waiting"
    processes = "  ".join(f"{name} {state}".ljust(20) for name, state in scene.processes.items())
    return [
        Text(printable(scene.notice), "black on yellow") if scene.notice else title,
        _fact("light", *_light(scene.panel)),
        _fact("answer", scene.last_answer or "-"),
        _fact("", scene.last_times),
        _fact("people", counts),
        _fact("centre", f"{rows:<20}{waiting:<14}link {scene.link}"),
        _fact("pids", processes),
        Text(),
    ]


def _light(state: PanelState | None) -> Sequence[Text]:
    """The colour as a word on that colour, and what it says; both in a width of their own."""
    if state is None:
        return [Text("-")]
    word, style = _LIGHTS.get(state.rgb, ("", "white on black"))
    tone = f"{state.tone_hz} Hz" if state.tone_hz else ""
    return [Text(f" {word:<9} ", style), Text(f"  {state.cue_name or '':<18}{tone}")]


def _ledger(scene: Scene) -> list[Text]:
    def row(columns: Sequence[str]) -> str:
        return "".join(
            printable(text)[:wide].ljust(wide + 2) for text, wide in zip(columns, LEDGER_COLUMNS.values(), strict=True)
        )

    return [Text(row(list(LEDGER_COLUMNS)), "bold"), *(Text(row(columns)) for columns in scene.ledger_last)]


def _picture(scene: Scene, columns: int, rows: int) -> list[Line]:
    """The frame in half blocks; nothing where the room is too small."""
    greys = shades(scene, columns, rows)
    return [
        [Segment("▀" * len(list(run)), _style(*pair)) for pair, run in groupby(zip(upper, lower, strict=True))]
        for upper, lower in zip(greys[0::2], greys[1::2], strict=True)
    ]


def shades(scene: Scene, columns: int, rows: int) -> list[list[int]]:
    """The frame with the codes that were read in it, in the shape of the frame; nothing where the room is too small.

    Args:
        scene: What is shown.
        columns: Letters across that there is room for.
        rows: Lines that there is room for; each has two rows of squares.

    Returns:
        Rows of squares from black, 0, to white, `GREYS` - 1, and `GREYS` for the outline of a code.
    """
    if scene.frame is None:
        return []
    height_px, width_px = scene.frame.luma.shape
    columns = min(columns, 2 * rows * width_px // height_px)
    rows = min(rows, columns * height_px // width_px // 2)
    if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
        return []
    luma = cv2.resize(scene.frame.luma, (columns, 2 * rows), interpolation=cv2.INTER_AREA)
    greys = luma // (256 // GREYS)
    for reading in scene.readings:
        corners = [(round(x * columns / width_px), round(y * 2 * rows / height_px)) for x, y in reading.corners_px]
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            cv2.line(greys, start, end, GREYS, 1)
    return [[int(grey) for grey in row] for row in greys]


@cache
def _style(upper: int, lower: int) -> Style:
    """Two pixels, the upper one as the letter and the lower one as its ground."""
    return Style(color=_colour(upper), bgcolor=_colour(lower))


def _colour(grey: int) -> Color:
    level = round(grey * 255 / (GREYS - 1))
    return _OUTLINE if grey == GREYS else Color.from_rgb(level, level, level)
