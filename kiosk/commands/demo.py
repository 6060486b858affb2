"""`kiosk demo`: the whole system on one machine without hardware, and a judge that says whether it kept its promise.

    simulated door → scan loop (here) → outbox → uplink → broker → collector → ledger        (each a process of its own)

The scan loop runs in this process, so that the panel's witness stands where the light is switched. Broker, collector and
uplink are ordinary processes that may be killed while it runs; they are started again, and nothing may be lost.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml
from rich.console import Console
from rich.live import Live

from central.ledgers.sqlite import SqliteLedger
from kiosk import log
from kiosk.cli import values
from kiosk.commands.run import kiosk_argv
from kiosk.commands.scan import open_parts
from kiosk.commands.signals import until_signalled
from kiosk.credential import masked
from kiosk.demo.broker import own_broker
from kiosk.demo.judge import Judgement, Tally, WitnessedPanel, judge
from kiosk.demo.office import Office
from kiosk.demo.view import Scene, drawn
from kiosk.errors import CameraEndedError
from kiosk.health import FRESH_S, read_marks
from kiosk.model import Credential
from kiosk.panel import CuePlayer
from kiosk.process.supervise import Child, Supervisor
from kiosk.scanner import Scanner
from kiosk.settings import loader
from kiosk.sim import opening
from kiosk.sim.door import SimulatedDoor
from kiosk.sim.terminal import SeenOutputs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from kiosk.config import Config
    from kiosk.demo.office import Secrecy
    from kiosk.lens.frame import Camera, Frame
    from kiosk.model import Reading
    from kiosk.outbox import Outbox
    from kiosk.scanner import Scan

LOOK_EVERY_S = 0.5
STILL_S = 60.0
"""The wait for the centre is given up when nothing has been settled for so long."""
TELL_EVERY_S = 2.0
REFRESHES_A_SECOND = 6
LEDGER_ROWS = 8


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
    """Let people pass, wait until everything is delivered, judge. 0 if nothing is lost or doubled, else 1."""
    on_terminal = sys.stdout.isatty() and not arguments.plain
    log.start("warning" if on_terminal else "info")
    with ExitStack() as stack:
        scans = logging.getLogger("kiosk.scanner")
        stack.callback(scans.setLevel, scans.level)
        scans.setLevel(logging.WARNING)  # the demo says the same in its own words
        folder = arguments.state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiosk-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        demo = Demo(arguments, folder, stack, on_terminal=on_terminal)
        judgement = demo.play(until_signalled())
        secrecy = demo.secrecy()
    print(f"{secrecy}: names open with the private keys in {demo.office.keys_folder} alone")
    print(judgement, flush=True)
    return 0 if judgement.holds and secrecy.holds else 1


class Demo:
    """One run."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, stack: ExitStack, *, on_terminal: bool) -> None:
        self._people = arguments.people
        self._on_terminal = on_terminal
        children = []
        url, protocol = arguments.broker, "auto"
        if url is None:
            broker = own_broker(folder)
            url, protocol = broker.url, broker.protocol
            children.append(broker.child)
        source = arguments.camera or f"sim:seed={arguments.seed},people={arguments.people}"
        self.office = Office(folder)
        self._config, path = _written_config(folder, source, url, protocol, self.office)
        self._ledger_path = folder / "ledger.db"
        kiosk = self._config.kiosk.id
        collect = {
            "--broker": url, "--protocol": protocol, "--ledger": str(self._ledger_path), "--kiosk": kiosk,
            "--client-id": f"{kiosk}-centre",
        }  # fmt: skip
        children += [
            Child("collector", [sys.executable, "-m", "central", "collect", *chain.from_iterable(collect.items())]),
            Child("uplink", kiosk_argv("uplink", "--config", str(path))),
        ]
        for child in children:
            child.output = folder / f"{child.name}.log"
        self._supervisor = Supervisor(children)
        stack.callback(self._supervisor.stop)
        self._outputs = SeenOutputs()
        self._panel = WitnessedPanel(CuePlayer(self._outputs))
        stack.callback(self._panel.close)
        self._camera = opening.open_camera(self._config.lanes[0].camera)
        stack.callback(self._camera.close)
        parts = stack.enter_context(open_parts(self._config, self._config.lanes[0], self._panel, self._camera))
        self._outbox: Outbox = parts.outbox
        self._scanner = Scanner(self._config, self._config.lanes[0], parts)
        self._tally = Tally()
        self._scene = Scene()
        self._next_look_s = 0.0
        self._say(f"kiosk {kiosk}, broker {url}, state in {folder}")

    def play(self, stop: Callable[[], bool]) -> Judgement:
        """Everything, until the judgement."""
        with ExitStack() as stack:
            if self._on_terminal:
                live = Live(
                    get_renderable=lambda: drawn(self._scene), refresh_per_second=REFRESHES_A_SECOND,
                    console=Console(), vertical_overflow="crop",
                )  # fmt: skip
                stack.enter_context(live)
            self._scan(stop)
            self._await_delivery(stop)
            self._look_at_ledger()
        ids = [row.entry.id for row in self._rows()]
        return judge(self._shown(), self._panel.greens, self._tally, ids)

    def _scan(self, stop: Callable[[], bool]) -> None:
        while not stop():
            self._supervisor.tend()
            try:
                scans = self._scanner.step(self._see)
            except CameraEndedError:
                return
            for scan in scans:
                self._tally.add(scan)
                self._tell(scan)
            self._look()
            if not isinstance(self._camera, SimulatedDoor) and self._tally.answered >= self._people:
                return

    def _await_delivery(self, stop: Callable[[], bool]) -> None:
        """Until the outbox is empty; given up when nothing moves, or at the second Ctrl-C."""
        waiting = self._outbox.depth()
        moved_s = told_s = time.monotonic()
        while (left := self._outbox.depth()) and time.monotonic() - moved_s < STILL_S:
            self._supervisor.tend()
            self._look()
            if left != waiting:
                waiting, moved_s = left, time.monotonic()
            if time.monotonic() - told_s >= TELL_EVERY_S or stop():
                told_s = time.monotonic()
                self._say(f"waiting for the centre's receipts: {left} to go, link {self._scene.link}")
            time.sleep(0.1)

    def _see(self, frame: Frame, readings: list[Reading]) -> None:
        self._scene.frame, self._scene.readings = frame, readings
        self._scene.panel = self._outputs.state

    def _tell(self, scan: Scan) -> None:
        verdict = scan.verdict
        what = getattr(verdict, "document", getattr(verdict, "kind", "-"))
        who = f" {masked(verdict)}" if isinstance(verdict, Credential) else ""
        times = f"read by {scan.strategy or '-'} in {scan.decode_ms:.0f} ms, committed in {scan.commit_ms:.1f} ms"
        self._scene.decode_ms, self._scene.strategy = scan.decode_ms, scan.strategy
        self._scene.last_scan = f"{scan.cue.name} · {what}{who} · {times}"
        self._say(f"[{self._tally.answered}] {scan.cue.name}: {what}{who}; {times}; {self._outbox.depth()} waiting")

    def _look(self) -> None:
        """Bring the view up to date, twice a second."""
        now_s = time.monotonic()
        self._scene.panel = self._outputs.state
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        marks = read_marks(self._config.state.runtime_dir, "uplink", FRESH_S)
        self._scene.link = "-" if marks is None else f"{marks['state']} (MQTT {marks['protocol']})"
        self._scene.waiting = self._outbox.depth()
        self._scene.people = f"{self._shown()} of {self._people}"
        for child in self._supervisor.children:
            pid = "-" if child.process is None else child.process.pid
            self._scene.processes[child.name] = f"pid {pid}" + (
                f", restarted {child.restarts}×" if child.restarts else ""
            )
        if self._on_terminal:
            self._look_at_ledger()

    def _look_at_ledger(self) -> None:
        rows = self.office.opened(self._rows(LEDGER_ROWS))
        self._scene.ledger_rows = len(self._rows())
        self._scene.ledger_last = [
            (
                time.strftime("%H:%M:%S", time.localtime(row.entry.at.wall_ns / 1e9)),
                row.entry.direction.value,
                row.entry.document,
                _initials(dict(row.entry.person).get("name", "")),
            )
            for row in rows
        ]
        if not self._on_terminal:
            for columns in self._scene.ledger_last:
                self._say("ledger: " + "  ".join(columns))

    def _rows(self, limit: int | None = None) -> list[Any]:
        if not self._ledger_path.exists():
            return []
        ledger = SqliteLedger(self._ledger_path)
        try:
            kiosk = self._config.kiosk.id
            return list(ledger.entries(kiosk)) if limit is None else ledger.latest(limit, kiosk)
        finally:
            ledger.close()

    def secrecy(self) -> Secrecy:
        """What the authority can read, and what anybody could."""
        return self.office.judge(self._rows())

    def _shown(self) -> int:
        """By the truth where it is known, else by what was seen."""
        camera: Camera = self._camera
        return len(camera.shown()) if isinstance(camera, SimulatedDoor) else self._tally.answered

    def _say(self, text: str) -> None:
        if not self._on_terminal:
            print(log.printable(text), flush=True)


def _written_config(folder: Path, source: str, url: str, protocol: str, office: Office) -> tuple[Config, Path]:
    """A kiosk of its own, so that a broker in use is not disturbed."""
    path = folder / "kiosk.yaml"
    values = {
        "kiosk": {"id": f"demo-{uuid4().hex[:12]}", "site": "demo"},
        "lanes": [{"camera": {"source": source}, "panel": {"kind": "none"}}],
        "state": {"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
        "uplink": {
            "brokers": [url],
            "protocol": protocol,
            "receipt_timeout_s": 3.0,
            "backoff_max_s": 2.0,
            "keepalive_s": 5,
        },
        "status": {"every_s": 5.0},
        "seal": office.settings(),
    }
    path.write_text(yaml.safe_dump(values), "utf-8")
    return loader.load(path), path


def _initials(name: str) -> str:
    return "".join(f"{word[0]}." for word in name.split())
