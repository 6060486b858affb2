"""What the demo looks like, as a picture for the pages that people read.

    python -m kiosk.demo.picture docs/pictures/demo.svg

Made by playing it: the people of seed 1 at the demo's door, read, judged and committed by the scan loop, until `ANSWERS` of them have
been answered; then the view of that moment, its words exported by rich and its picture drawn square by square. There is no broker and no centre: the ledger's rows are the entries of
the outbox, as they look once delivered. What differs from run to run is set: the day, how long things take, the ids of processes,
a port. So the file changes with the code alone, and a test holds it to that.

It has a ground of its own, so that it can be read on a dark page and on a light one, and fetches no font from elsewhere.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from kiosk.config import Config
from kiosk.decoder import Decoder
from kiosk.demo.judge import Tally
from kiosk.demo.telling import answer_of, ledger_columns, times_of
from kiosk.demo.view import FACTS, GREYS, LEDGER_WIDTH, Scene, drawn, shades
from kiosk.model import ClockQuality, Moment
from kiosk.outbox import Outbox
from kiosk.panel import CuePlayer
from kiosk.policy import Policy, Rules
from kiosk.scanner import Parts, Scanner
from kiosk.sealer import Sealer
from kiosk.sightings import Sightings
from kiosk.sim.door import PatientDoor
from kiosk.sim.terminal import PanelState, SeenOutputs

if TYPE_CHECKING:
    from kiosk.lens.frame import Frame
    from kiosk.model import Reading
    from kiosk.scanner import Scan

SEED, PEOPLE = 1, 20
ANSWERS = 6
HELD_FRAMES = 10
"""So long after the last answer the code is held still in front of the camera, and the light still shines."""
COLUMNS, ROWS = 112, 30
OPENED_NS = 1_795_422_600_000_000_000
"""When the door opens in the picture: half past eight, by a clock of UTC."""
READ_MS, COMMIT_MS = 33.0, 1.8
"""As on an idle machine with two cores and a disk that flushes."""
THEME = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [
        (20, 20, 20),
        (222, 56, 43),
        (57, 181, 74),
        (255, 199, 6),
        (62, 124, 246),
        (200, 70, 200),
        (44, 181, 233),
        (204, 204, 204),
    ],
)
SQUARE_PX = 12.2
"""Width of a letter in rich's picture, and half the height of a line."""
COARSER = 4
"""So many of the view's greys are one here."""
LINK = "online (MQTT 5)"
PROCESSES = {"mosquitto": "4211", "collector": "4213", "uplink": "4214"}


class DoorClock:
    """A clock that goes by the door's frames."""

    def __init__(self) -> None:
        self._first_boot_ns: int | None = None
        self._boot_ns = 0

    def tick(self, frame: Frame) -> None:
        """It is as late as in this frame."""
        self._boot_ns = frame.exposed_at_boot_ns
        if self._first_boot_ns is None:
            self._first_boot_ns = self._boot_ns

    def now(self) -> Moment:
        """Both clocks."""
        wall_ns = OPENED_NS + self._boot_ns - (self._first_boot_ns or 0)
        return Moment(wall_ns, "picture", self._boot_ns, ClockQuality.SYNCED)

    def boot_ns(self) -> int:
        """Nanoseconds since boot."""
        return self._boot_ns


def played() -> Scene:
    """The view's scene after `ANSWERS` answers."""
    scene, tally, clock = Scene(), Tally(), DoorClock()
    scans: list[Scan] = []

    def see(frame: Frame, readings: list[Reading]) -> None:
        clock.tick(frame)
        scene.frame, scene.readings = frame, readings

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = Config.model_validate(
            {
                "kiosk": {"id": "demo", "site": "demo"},
                "state": {"dir": str(folder), "runtime_dir": str(folder)},
                "seal": {"mode": "off"},
            }
        )
        door = PatientDoor(seed=SEED, people=PEOPLE, realtime=False)
        parts = Parts(
            camera=door,
            decoder=Decoder(config.decode.budget_ms, counted=True),
            sightings=Sightings(round(config.repeat.gone_s * 1e9)),
            policy=Policy(
                Rules(frozenset(config.credentials.accept), round(config.repeat.window_s * 1e9)), key=bytes(32)
            ),
            sealer=Sealer(config),
            local=(),
            outbox=stack.enter_context(closing(Outbox.open(folder / "outbox.db", config.outbox))),
            panel=stack.enter_context(closing(CuePlayer(SeenOutputs()))),
            clock=clock,
        )
        scanner = Scanner(config, config.lanes[0], parts)
        held = 0
        while held < HELD_FRAMES:
            for scan in scanner.step(see):
                door.answer(scan.sighting.payload)
                tally.add(scan)
                scans.append(scan)
            held += len(scans) == ANSWERS
    entries = [scan.entry for scan in scans if scan.entry is not None]
    last = scans[-1]
    scene.title, scene.people = "kiosk demo · mqtt://127.0.0.1:40123", f"{door.shown} of {PEOPLE} people"
    scene.panel = PanelState(last.cue.steps[-1].rgb, 0, last.cue.name)
    scene.last_answer, scene.last_times = f"[{len(scans)}] {answer_of(last)}", times_of(last, READ_MS, COMMIT_MS)
    scene.counts = tally.counts(door.unread)
    scene.link, scene.processes, scene.ledger_rows = LINK, dict(PROCESSES), len(entries)
    scene.ledger_last = [ledger_columns(entry, time.gmtime) for entry in reversed(entries)]
    return scene


def picture(scene: Scene) -> str:
    """The view of this scene as an SVG of a terminal."""
    console = Console(
        record=True, width=COLUMNS, height=ROWS, file=StringIO(), force_terminal=True, color_system="truecolor",
        no_color=False, legacy_windows=False, _environ={},
    )  # fmt: skip
    console.print(drawn(scene, with_picture=False), height=ROWS)
    own_fonts = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    words = console.export_svg(title="make demo", unique_id="demo", code_format=own_fonts, theme=THEME)
    matrix = '<g class="demo-matrix">'
    return words.replace(matrix, f"{_squares(scene)}\n    {matrix}")


def _squares(scene: Scene) -> str:
    """The camera's picture in the room beside the ledger: a path a shade, which is a tenth of as many letters' bytes."""
    paths: dict[int, list[str]] = {}
    for y, row in enumerate(shades(scene, COLUMNS - LEDGER_WIDTH, ROWS - FACTS - 1)):
        x = 0
        for grey, run in groupby(row):
            across = len(list(run))
            shade = grey if grey == GREYS else grey // COARSER * COARSER
            paths.setdefault(shade, []).append(f"M{x} {y}h{across}v1h-{across}z")
            x += across
    place = f"translate({LEDGER_WIDTH * SQUARE_PX:.1f}, {2 * FACTS * SQUARE_PX + 1.5:.1f}) scale({SQUARE_PX})"
    drawn_paths = "".join(
        f'<path fill="{_rgb(shade)}" d="{"".join(squares)}"/>\n' for shade, squares in sorted(paths.items())
    )
    return f'<g transform="{place}" shape-rendering="crispEdges">\n{drawn_paths}</g>'


def _rgb(shade: int) -> str:
    level = round(shade * 255 / (GREYS - 1))
    return "#28dc50" if shade == GREYS else f"#{level:02x}{level:02x}{level:02x}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(played()), "utf-8")
