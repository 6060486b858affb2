"""`kiosk aim`: what the camera sees of a test card, as a line that is written anew and as beeps that quicken.

For whoever hangs the station: hold the test card where people will hold theirs, turn the camera until the beeps are
quickest. `kiosk scan` of the lane must be stopped meanwhile; a camera serves one program.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from kiosk.cli import values
from kiosk.commands.options import add_config, add_lane, lane_named
from kiosk.commands.signals import until_signalled
from kiosk.decoder import Decoder
from kiosk.errors import CameraEndedError
from kiosk.language.terminal import told
from kiosk.service.aim import Gauge, Verdict, beep_for, best_of, interval_ms, line_of, quality_of, verdict_of
from kiosk.service.at_hand import camera_at_hand, panel_at_hand
from kiosk.settings import loader
from kiosk.settings.together import kind_of_source
from kiosk.sim import opening

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from kiosk.config import Config, Lane
    from kiosk.cues import Cue
    from kiosk.lens.frame import Frame
    from kiosk.service.aim import View

RECENT_NS = 400_000_000
TERMINAL_EVERY_NS = 100_000_000
PLAIN_EVERY_NS = 1_000_000_000


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    add_lane(parser)
    parser.add_argument("--camera", metavar="SOURCE", help="another camera than the lane's, as in camera.source")
    parser.add_argument("--seconds", type=values.whole(1), metavar="N", help="end after N seconds (default: at Ctrl-C)")
    parser.add_argument("--silent", action="store_true", help="no beeps")
    parser.add_argument(
        "--terminal", action="store_true", help="beeps ring this terminal's bell, whatever pins there are"
    )


def run(arguments: argparse.Namespace) -> int:
    """Aim until Ctrl-C, SIGTERM or the time is up; 0 if the last verdict was good, else 1."""
    config = loader.load_any(arguments.config)
    lane = lane_named(config, arguments.lane)
    lane = panel_at_hand(lane, arguments.config, terminal=arguments.terminal)
    source = arguments.camera or camera_at_hand(arguments.config)
    if source is not None:
        lane = with_source(lane, source)
    ends_s = None if arguments.seconds is None else time.monotonic() + arguments.seconds
    stop = until_signalled()
    decoder = Decoder(config.decode.budget_ms)
    with ExitStack() as stack:
        sight = Sight(_voice(config, lane, stack, silent=arguments.silent), on_terminal=sys.stdout.isatty())
        stack.callback(sight.end)
        camera = opening.open_lit_camera(lane)
        stack.callback(camera.close)
        with suppress(CameraEndedError):
            while not stop() and (ends_s is None or time.monotonic() < ends_s):
                frame = camera.next_frame(lane.camera.timeout_s)
                sight.look(frame, sight.gauge.view(frame, decoder.read(frame)))
    return 0 if sight.verdict is Verdict.GOOD else 1


def with_source(lane: Lane, source: str) -> Lane:
    """The lane with another camera; what only a Pi camera can do is left out.

    Raises:
        ConfigError: It is no source.
    """
    kind, _ = kind_of_source(source)
    changes: dict[str, object] = {"source": source}
    if kind != "picamera2":
        changes["alternate_exposure_us"] = 0
    return lane.model_copy(update={"camera": lane.camera.model_copy(update=changes)})


class Sight:
    """Says how good the view is, to the eye and to the ear.

    Attributes:
        gauge: What the frames are measured with.
        verdict: The last one; None before the first frame.
    """

    def __init__(self, beep: Callable[[Cue], None], *, on_terminal: bool) -> None:
        """Begin.

        Args:
            beep: Plays one beep.
            on_terminal: Whether one line is written again and again; else a line a second and one a new verdict.
        """
        self.gauge = Gauge()
        self.verdict: Verdict | None = None
        self._beep = beep
        self._on_terminal = on_terminal
        self._recent: deque[tuple[int, View]] = deque()
        self._next_line_boot_ns = 0
        self._beeped_boot_ns = 0

    def look(self, frame: Frame, view: View) -> None:
        """Take in one more frame."""
        now_boot_ns = frame.exposed_at_boot_ns
        self._recent.append((now_boot_ns, view))
        while now_boot_ns - self._recent[0][0] > RECENT_NS:
            self._recent.popleft()
        best = best_of(view for _, view in self._recent)
        changed = self.verdict is not verdict_of(best)
        self.verdict = verdict_of(best)
        if now_boot_ns >= self._next_line_boot_ns or (changed and not self._on_terminal):
            self._next_line_boot_ns = now_boot_ns + (TERMINAL_EVERY_NS if self._on_terminal else PLAIN_EVERY_NS)
            self._write(told(line_of(best)))
        quality = quality_of(best)
        if now_boot_ns - self._beeped_boot_ns >= interval_ms(quality) * 1_000_000:
            self._beeped_boot_ns = now_boot_ns
            self._beep(beep_for(quality))

    def end(self) -> None:
        """Leave the terminal's cursor below the line."""
        if self._on_terminal and self.verdict is not None:
            print(flush=True)

    def _write(self, text: str) -> None:
        if self._on_terminal:
            columns = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{text[: columns - 1]}", end="", flush=True)
        else:
            print(text, flush=True)


def _voice(config: Config, lane: Lane, stack: ExitStack, *, silent: bool) -> Callable[[Cue], None]:
    """The lane's buzzer and light; the bell of the terminal where the lane has no pins."""
    if silent:
        return lambda _cue: None
    if lane.panel.kind in {"gpio", "mock"}:
        panel = opening.open_panel(lane.panel, config.sound, zone=config.clock.zone)
        stack.callback(panel.close)
        return panel.show
    return lambda _cue: print("\a", end="", flush=True) if sys.stdout.isatty() else None
