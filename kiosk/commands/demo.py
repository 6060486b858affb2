"""`kiosk demo`: the whole system on one machine without hardware, and a judge that says whether it kept its promise.

    simulated door → scan loop (here) → outbox → uplink → broker → collector → ledger        (each a process of its own)

The scan loop runs in this process, so that the panel's witness stands where the light is switched. Broker, collector and
uplink are ordinary processes that may be killed while it runs; they are started again, and nothing may be lost.

The same seed brings the same people and the same verdict, on a busy machine, too: people wait for their answer and give up
after a count of frames, and the decoder counts its budget.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from central.ledgers.sqlite import SqliteLedger
from kiosk import log
from kiosk.cli import values
from kiosk.commands.run import kiosk_argv
from kiosk.commands.scan import open_parts
from kiosk.commands.signals import until_signalled
from kiosk.decoder import Decoder
from kiosk.delivery import wire
from kiosk.demo.broker import checked_url, started_broker, try_broker
from kiosk.demo.folder import kept_folder, made, passing_folder
from kiosk.demo.judge import Judgement, Tally, WitnessedPanel, judge
from kiosk.demo.office import Office
from kiosk.demo.stage import opened_camera, written_config
from kiosk.demo.telling import answer_of, ledger_columns, next_steps, remarks, times_of
from kiosk.demo.view import Scene, drawn, logged_to
from kiosk.errors import CameraEndedError
from kiosk.health import FRESH_S, read_marks
from kiosk.panel import CuePlayer
from kiosk.process.supervise import STOP_S, Child, Supervisor
from kiosk.scanner import Scanner
from kiosk.sim.door import PatientDoor
from kiosk.sim.terminal import SeenOutputs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from uuid import UUID

    from kiosk.demo.office import Secrecy
    from kiosk.lens.frame import Camera, Frame
    from kiosk.model import Reading
    from kiosk.outbox import Outbox
    from kiosk.scanner import Scan

LOOK_EVERY_S = 0.5
STILL_S = 60.0
"""The wait for the centre is given up when nothing has been settled for so long."""
TELL_EVERY_S = 2.0
STOPPED_S = 0.5
"""What is under way when Ctrl-C comes has so long to arrive, and each process so long to end by itself."""
STOPPING = "stopping; Ctrl-C again leaves at once"
REFRESHES_A_SECOND = 6
LEDGER_ROWS = 12
EVERY_ROW = 1_000_000


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument(
        "--people", type=values.whole(1), default=20, metavar="N", help="how many people come (default: 20)"
    )
    parser.add_argument(
        "--seed", type=values.whole(), default=1, metavar="S", help="the same seed brings the same people (default: 1)"
    )
    parser.add_argument("--camera", metavar="SOURCE", help="v4l2:/dev/video0 for your webcam, folder:PATH, video:PATH")
    parser.add_argument("--broker", metavar="URL", help="mqtt://host:port of a broker that runs already")
    parser.add_argument("--plain", action="store_true", help="plain lines even on a terminal")
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="keep outbox and ledger here (default: a temporary folder)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Let people pass, wait until everything is delivered, judge.

    Returns:
        0 if nothing is lost, doubled or readable, and all is delivered unless the end was asked for; else 1.
    """
    console = Console()
    on_terminal = console.is_terminal and not console.is_dumb_terminal and not arguments.plain
    log.start("warning" if on_terminal else "info")
    kept: Path | None = arguments.state_dir
    try:
        with ExitStack() as stack:
            scans = logging.getLogger("kiosk.scanner")
            stack.callback(scans.setLevel, scans.level)
            scans.setLevel(logging.WARNING)  # the demo says the same in its own words
            url = None if arguments.broker is None else checked_url(arguments.broker)
            camera = stack.enter_context(closing(opened_camera(arguments)))
            folder = stack.enter_context(passing_folder() if kept is None else kept_folder(kept))
            with made(f"--state-dir {kept}" if kept else f"the temporary folder {folder}"):
                demo = Demo(arguments, url, camera, folder, stack, console if on_terminal else None)
            judgement = demo.play()
            secrecy = demo.secrecy()
    except KeyboardInterrupt:
        print("kiosk: left at once, without a judgement", file=sys.stderr)
        raise
    if on_terminal:
        console.print(drawn(demo.scene, with_picture=False), height=demo.scene.height)
    keys = f"in {demo.office.keys_folder}" if kept else "of this demo, now deleted"
    print(f"{secrecy}: names open with the authority's private keys alone, {keys}")
    why = "ended before" if demo.stopped else f"nothing moved for {STILL_S:.0f} s before"
    print(*remarks(judgement, kept, why), "What to try next:", *next_steps(kept), judgement, sep="\n", flush=True)
    kept_promise = judgement.holds and secrecy.holds
    return 0 if kept_promise and (demo.stopped or not judgement.waiting) else 1


class Demo:
    """One run."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        url: str | None,
        camera: Camera,
        folder: Path,
        stack: ExitStack,
        console: Console | None,
    ) -> None:  # fmt: skip
        """Set everything up; closed by the stack.

        Args:
            arguments: The command's.
            url: A broker that runs already; None for one of our own.
            camera: Where frames come from; its opener closes it.
            folder: Where everything is kept.
            stack: What is opened here is closed there.
            console: The terminal for the view; None for plain lines.

        Raises:
            LinkError: The broker cannot be used.
        """
        self.scene = Scene()
        self.stopped = False
        self.office = Office(folder)
        self._people = arguments.people
        self._camera = camera
        self._console = console
        own = started_broker(folder) if url is None else None
        self._supervisor = Supervisor(() if own is None else (own.child,))
        stack.push(self._end_children)
        protocol = "auto"
        if own is not None:
            url, protocol = own.url, own.protocol
        self._config, path = written_config(folder, arguments, str(url), protocol, self.office.settings())
        if own is None:
            try_broker(self._config, str(url))
        self._ledger_path = folder / "ledger.db"
        kiosk = self._config.kiosk.id
        collect = {
            "--broker": str(url), "--protocol": protocol, "--ledger": str(self._ledger_path), "--kiosk": kiosk,
            "--client-id": f"{kiosk}-centre",
        }  # fmt: skip
        children = [
            Child("collector", [sys.executable, "-m", "central", "collect", *chain.from_iterable(collect.items())]),
            Child("uplink", kiosk_argv("uplink", "--config", str(path))),
        ]
        for child in children:
            child.output = folder / f"{child.name}.log"
            child.orphaned = signal.SIGKILL
        self._supervisor.children += tuple(children)
        self._outputs = SeenOutputs()
        self._panel = WitnessedPanel(CuePlayer(self._outputs))
        stack.callback(self._panel.close)
        lane = self._config.lanes[0]
        parts = stack.enter_context(open_parts(self._config, lane, self._panel, camera))
        if isinstance(camera, PatientDoor):
            parts = replace(parts, decoder=Decoder(self._config.decode.budget_ms, counted=True))
        self._outbox: Outbox = parts.outbox
        self._scanner = Scanner(self._config, lane, parts)
        self._tally = Tally()
        self._before = self._waiting_ids() | {row.entry.id for row in self._rows()}
        self._next_look_s = 0.0
        self.scene.title = f"kiosk demo · {url}"
        self._say(f"kiosk {kiosk}, broker {url}, state in {folder}")

    def play(self) -> Judgement:
        """Everything, until the judgement."""
        asked = until_signalled()
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
        with ExitStack() as stack:
            if self._console is not None:
                stack.enter_context(logged_to(self.scene.events))
                live = Live(
                    get_renderable=lambda: drawn(self.scene), refresh_per_second=REFRESHES_A_SECOND,
                    console=self._console, screen=True,
                )  # fmt: skip
                stack.enter_context(live)
            self._scan(asked)
            self._await_delivery(asked)
            self._look(at_once=True)
        waiting = self._waiting_ids() - self._before
        ids = [row.entry.id for row in self._rows() if row.entry.id not in self._before]
        return judge(self._passed(), self._panel.greens, self._tally, waiting, ids)

    def _end_children(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        """Without patience where it was asked for: whatever they keep is safe on the disk already."""
        self._supervisor.stop(0.0 if kind is not None else STOPPED_S if self.stopped else STOP_S)

    def _is_over(self, asked: Callable[[], bool]) -> bool:
        """Whether the end has been asked for; said once, at once."""
        if asked() and not self.stopped:
            self.stopped = True
            self.scene.notice = STOPPING
            self._say(STOPPING)
        return self.stopped

    def _scan(self, asked: Callable[[], bool]) -> None:
        while not self._is_over(asked):
            self._supervisor.tend()
            try:
                scans = self._scanner.step(self._see)
            except CameraEndedError:
                return
            for scan in scans:
                self._tally.add(scan)
                if isinstance(self._camera, PatientDoor) and scan.decision is not None:
                    self._camera.answer(scan.sighting.payload)
                self._tell(scan)
            self._look()
            if not isinstance(self._camera, PatientDoor) and self._tally.answered >= self._people:
                return

    def _await_delivery(self, asked: Callable[[], bool]) -> None:
        """Until the outbox is empty; given up when nothing moves, or soon after the end was asked for."""
        waiting = self._outbox.depth()
        moved_s = told_s = time.monotonic()
        while left := self._outbox.depth():
            self._supervisor.tend()
            self._look()
            now_s = time.monotonic()
            if not self.stopped and (left != waiting or self._is_over(asked)):
                waiting, moved_s = left, now_s
            if now_s - moved_s >= (STOPPED_S if self.stopped else STILL_S):
                return
            if now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                self._say(f"waiting for the centre's receipts: {left} to go, link {self.scene.link}")
            time.sleep(0.1)

    def _see(self, frame: Frame, readings: list[Reading]) -> None:
        self.scene.frame, self.scene.readings = frame, readings
        self.scene.panel = self._outputs.state

    def _tell(self, scan: Scan) -> None:
        answer, times = answer_of(scan), times_of(scan, scan.decode_ms, scan.commit_ms)
        self.scene.last_answer, self.scene.last_times = f"[{self._tally.answered}] {answer}", times
        self._say(f"[{self._tally.answered}] {answer}; {times}; {self._outbox.depth()} waiting")

    def _look(self, *, at_once: bool = False) -> None:
        """Bring the view up to date, twice a second."""
        now_s = time.monotonic()
        scene = self.scene
        scene.panel = self._outputs.state
        if now_s < self._next_look_s and not at_once:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        marks = read_marks(self._config.state.runtime_dir, "uplink", FRESH_S)
        scene.link = "-" if marks is None else f"{marks['state']} (MQTT {marks['protocol']})"
        scene.waiting = self._outbox.depth()
        shown, unread = self._passed()
        scene.people = f"{shown} of {self._people} people"
        scene.counts = self._tally.counts(unread)
        for child in self._supervisor.children:
            pid = "-" if child.process is None else child.process.pid
            scene.processes[child.name] = f"{pid}" + (f", {child.restarts}× again" if child.restarts else "")
        if self._console is not None or at_once:
            self._look_at_ledger()

    def _look_at_ledger(self) -> None:
        with self._ledger() as ledger:
            if ledger is None:
                return
            kiosk = self._config.kiosk.id
            self.scene.ledger_rows = ledger.count(kiosk)
            rows = self.office.opened(ledger.latest(LEDGER_ROWS, kiosk))
        self.scene.ledger_last = [ledger_columns(row.entry) for row in rows]
        for columns in self.scene.ledger_last:
            self._say("ledger: " + "  ".join(columns))

    @contextmanager
    def _ledger(self) -> Iterator[SqliteLedger | None]:
        """The centre's; None before it has been made."""
        if not self._ledger_path.exists():
            yield None
            return
        with closing(SqliteLedger(self._ledger_path)) as ledger:
            yield ledger

    def _rows(self) -> list[Any]:
        with self._ledger() as ledger:
            return [] if ledger is None else list(ledger.entries(self._config.kiosk.id))

    def _waiting_ids(self) -> set[UUID]:
        """What is on the kiosk's disk only, as far as is known there."""
        return {wire.decode_entry(body).id for _, body in self._outbox.head(self._outbox.settled, EVERY_ROW)}

    def secrecy(self) -> Secrecy:
        """What the authority can read, and what anybody could."""
        return self.office.judge(self._rows())

    def _passed(self) -> tuple[int, int]:
        """How many have held up a code, and how many of them were not answered: by the truth, where it is known."""
        if isinstance(self._camera, PatientDoor):
            return self._camera.shown, self._camera.unread
        return self._tally.answered, self._tally.faults

    def _say(self, text: str) -> None:
        if self._console is None:
            print(log.printable(text), flush=True)
