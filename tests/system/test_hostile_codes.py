"""Anyone can show anything: what a code says reaches no log line, no file name and no terminal as it is."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import pytest
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console

from central.intake.collector import Broker, Collector
from central.ledgers.sqlite import SqliteLedger
from kiosk import log
from kiosk.config import Config
from kiosk.demo.view import Scene, drawn
from kiosk.sim.render import code_picture

HOSTILE = (
    "$(touch PWNED)", "`touch PWNED`", ";touch PWNED;", "|touch PWNED", "\x1b[2J\x1b]0;PWNED\x07", "\x9b31mPWNED",
    "a\nINFO scan result=recorded PWNED", "a\r\n\r\nPWNED", "../../../../tmp/PWNED", "/etc/PWNED", "=cmd|'/C calc'!A0 PWNED",
    "<script>PWNED</script>", "[red]PWNED[/red]", "\u202ePWNED", "%s%n{0.__class__}PWNED", "' OR 1=1; DROP TABLE entry; -- PWNED",
)  # fmt: skip
CARRIERS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"https://office.example/{text}",
    lambda text: f"046090000123||{text}|01021990|Nam|Hue|15062021",
    lambda text: f"046090000123||Nguyen Van A|01021990|Nam|{text}|15062021",
    lambda text: f"{text}||Nguyen Van A|01021990|Nam|Hue|15062021",
    lambda text: f"DN1234567890123|{text.encode().hex()}|05/03/1961|2|-|46 - 015|01/01/2026|-|$",
    lambda text: f"NV|{text}|x",
    lambda text: f"NV|1|{text}",
    lambda text: f"HC1:{text}",
)
LINE = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:,]+ (?:DEBUG|INFO|WARNING|ERROR) [a-z-]+(?: [a-z0-9_]+=(?:\"[^\n]*\"|[^\s\"]*))*$"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of codes that wish harm, one a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    payloads = [carrier(text) for carrier in CARRIERS for text in HOSTILE]
    for number, payload in enumerate(payloads):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), code_picture(payload.encode(), 4))
    return folder


def _process(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kiosk", *words]
    folder.mkdir(exist_ok=True)
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        argv, cwd=folder, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def test_station_writes_nothing_of_a_code(make_config: Callable[..., Config], pictures: Path, tmp_path: Path) -> None:
    """A real scan process before every hostile code: its log is made of its own words, its folders of its own files."""
    config = make_config(
        lanes=[{"panel": {"kind": "terminal"}, "camera": {"source": f"folder:{pictures}", "fps": 100}}],
        credentials={"local": [{"document": "staff", "pattern": "NV|{number}|{any}"}]},
        log={"level": "debug"},
    )
    written = tmp_path / "kiosk.yaml"
    written.write_text(yaml.safe_dump(json.loads(config.model_dump_json())), "utf-8")
    before = {path for path in tmp_path.rglob("*") if "state" not in path.parts and "run" not in path.parts}
    ended = _process(tmp_path / "cwd", "scan", "--config", str(written))
    assert ended.returncode == 0, ended.stderr
    scans = [each for each in ended.stderr.splitlines() if " scan lane=" in each]
    assert len(scans) > 100, ended.stderr
    assert "PWNED" not in ended.stderr + ended.stdout
    assert [each for each in ended.stderr.splitlines() if not LINE.match(each)] == []
    assert all(letter.isprintable() or letter == "\n" for letter in ended.stderr + ended.stdout)
    after = {path for path in tmp_path.rglob("*") if "state" not in path.parts and "run" not in path.parts}
    assert after - before == {tmp_path / "cwd"}
    names = {path.name for folder in ("state", "run") for path in (tmp_path / folder).rglob("*")}
    assert not [name for name in names if not re.fullmatch(r"[a-z0-9.-]+", name)]
    assert not Path("/tmp/PWNED").exists()  # noqa: S108  where one of the codes points


def test_read_tells_it_without_the_payload(pictures: Path, tmp_path: Path) -> None:
    """`kiosk read` names what each code is; neither a code nor a file's name moves the cursor."""
    evil = tmp_path / "\x1b[2J$(touch x)\n.png"
    evil.write_bytes((pictures / "000.png").read_bytes())
    ended = _process(tmp_path / "cwd", "read", str(pictures), str(evil))
    assert ended.returncode == 0, ended.stderr
    assert "PWNED" not in ended.stdout
    assert len(ended.stdout.splitlines()) >= len(HOSTILE) * len(CARRIERS)
    assert all(letter.isprintable() or letter == "\n" for letter in ended.stdout)
    assert list((tmp_path / "cwd").iterdir()) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_view_shows_letters_only(text: str) -> None:
    """On the demo's terminal hostile text is text: no escape of its own, no markup, no new line."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=400, legacy_windows=False)
    console.print(
        drawn(Scene(last_answer=text, link=text, processes={"uplink": text}, ledger_last=[(text, "in", text, text)]))
    )
    shown = out.getvalue()
    styles = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in styles
    assert all(letter.isprintable() or letter == "\n" for letter in styles)
    if "[red]" in text:
        assert styles.count("[red]PWNED[/red]") == 3, "last answer, link, process"
        assert styles.count("[red]PWN") == 6, "and as much as there is room for in three columns of the ledger"


@pytest.mark.parametrize("text", HOSTILE)
def test_log_line_stays_one_line(text: str) -> None:
    """Even a value that a programmer lets into a log line by mistake begins no second one and moves no cursor."""
    written = log.line("event", value=text)
    assert written.isprintable()
    assert written.startswith("event value=")


def test_collector_logs_no_stranger(broker: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Messages that are none, under topics that are none of ours, leave one line each, without their content."""
    caplog.set_level(logging.DEBUG)
    ended: list[int] = []
    ledger_path = tmp_path / "ledger.db"

    def collect() -> None:
        ledger = SqliteLedger(ledger_path)
        try:
            Collector(Broker(broker.url), ledger).run(lambda: bool(ended))
        finally:
            ledger.close()

    thread = Thread(target=collect)
    thread.start()
    client = Client(CallbackAPIVersion.VERSION2, "stranger")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        deadline_s = time.monotonic() + 30
        while "collecting" not in caplog.text:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        names = [re.sub(r"[+#/]", "", text)[:60] for text in HOSTILE if text.isprintable() or "\u202e" in text]
        for name in names:  # control characters are refused by the broker itself
            client.publish(f"kiosks/{name}/entries", b"".join(text.encode() for text in HOSTILE), 1).wait_for_publish(
                10
            )
        while caplog.text.count("set-aside") < len(names):
            assert time.monotonic() < deadline_s, caplog.text
            time.sleep(0.05)
    finally:
        ended.append(1)
        thread.join(20)
        client.disconnect()
        client.loop_stop()
    assert all(message.isprintable() for message in caplog.messages)
    assert not Path("PWNED").exists()
