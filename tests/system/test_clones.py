"""One card in two machines: both say so, neither loses anything, and the centre says it in words."""

from __future__ import annotations

import logging
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from central.__main__ import main as central
from central.intake.collector import Broker
from central.ledgers.sqlite import SqliteLedger
from kiosk import health
from kiosk.__main__ import main as kiosk
from kiosk.config import Config
from kiosk.delivery import rival, routes
from kiosk.model import Entry
from kiosk.outbox import Outbox
from kiosk.service import checkup
from tests.running import collecting, delivering, until

Make = Callable[[int], Entry]


def _machine(folder: Path, url: str) -> Config:
    return Config.model_validate(
        {
            "kiosk": {"id": "test-1", "site": "office-1"},
            "state": {"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
            "lanes": [{"panel": {"kind": "none"}}],
            "seal": {"mode": "off"},
            "uplink": {"brokers": [url], "receipt_timeout_s": 2.0, "keepalive_s": 5, "batch_entries": 5},
        }
    )


def _is_told(config: Config) -> bool:
    marks = health.read_marks(config.state.runtime_dir, "uplink", health.FRESH_S) or {}
    return marks.get("taken_over_boot_ns") is not None


def _says(config: Config, capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[str, str]:
    """What doctor says of the broker, and status of the warnings."""
    finding = next(one for one in checkup.findings(config, folder) if one.part.startswith("broker"))
    path = folder / "kiosk.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    kiosk(["status", "--config", str(path)])
    warnings = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("warnings"))
    return f"{finding.health} {finding.says}", warnings


def test_a_cloned_card_is_said_at_both_ends(
    broker: Any,
    make_entry: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is thrown off names the cause and not the network; nothing is lost; the audit names it, and takes an operator's word."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(routes, "FIRST_TAKEN_PAUSE_S", 0.6)  # five seconds at a door
    monkeypatch.setattr(rival, "TIMES", 2)  # this mosquitto ends the first connection without a word
    monkeypatch.setattr(rival, "STOOD_S", (0.0, 90.0))
    first = _machine(tmp_path / "first", broker.url)
    outbox = Outbox.open(first.state.dir / "outbox.db", first.outbox)
    for number in range(5):
        outbox.append(make_entry(number))
    centre = collecting(Broker(broker.url), tmp_path / "ledger.db")
    running = [delivering(first)]
    until(lambda: outbox.depth() == 0)
    running.pop().stop()
    outbox.close()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    second = _machine(tmp_path / "second", broker.url)
    outboxes = [Outbox.open(each.state.dir / "outbox.db", each.outbox) for each in (first, second)]
    try:
        running.append(delivering(first))
        until(lambda: (health.read_marks(first.state.runtime_dir, "uplink", 9) or {}).get("state") == "online")
        for number in range(10, 14):
            outboxes[1].append(_of_another_start(make_entry(number)))
        running.append(delivering(second))
        until(lambda: _is_told(first))
        doctor, warnings = _says(first, capsys, tmp_path)
        for number in range(20, 26):
            outboxes[0].append(make_entry(number))
        until(lambda: _is_told(second))
        until(lambda: not any(each.depth() for each in outboxes))
    finally:
        for each in (*running, centre):
            each.stop()
        for box in outboxes:
            box.close()
    assert "another station seems to use this identity: the broker closes each connection without a reason" in doctor
    assert "set one of the two up anew" in doctor
    assert "cable" not in doctor
    assert warnings.endswith(
        "identity-shared: another station uses this identity; see the line `broker` of `kiosk doctor`"
    )
    assert "another station seems to use this identity" in caplog.text
    ledger = SqliteLedger(tmp_path / "ledger.db")
    numbers = sorted(int(dict(row.entry.person)["number"]) for row in ledger.entries())
    ledger.close()
    assert numbers == [*range(5), *range(10, 14), *range(20, 26)]
    capsys.readouterr()
    ask = ["audit", "--ledger", str(tmp_path / "ledger.db")]
    assert central(ask) == 1
    said = capsys.readouterr().out
    assert "finding test-1/two-machines OPEN: two machines speak as test-1" in said
    assert "missing=0" in said
    assert central([*ask, "--close", "test-1/two-machines", "--reason", "the second card is wiped"]) == 0
    assert "(the second card is wiped)" in capsys.readouterr().out


def _of_another_start(entry: Entry) -> Entry:
    return replace(
        entry, at=replace(entry.at, boot_id="another-board", boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    )


class TellingBroker:
    """The least of an MQTT 5 broker: it takes everything, and tells whoever was there first that another has taken its place."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connects = 0
        self._thread = Thread(target=self._run, name="broker")
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connects += 1
                with connection, suppress(OSError, IndexError):
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        while True:
            head, size = connection.recv(1)[0], connection.recv(1)[0]
            if size & 0x80:
                size = (size & 0x7F) + 128 * connection.recv(1)[0]
            body = connection.recv(size, socket.MSG_WAITALL) if size else b""
            match head >> 4:
                case 1:
                    connection.sendall(b"\x20\x03\x00\x00\x00")
                case 8:
                    connection.sendall(b"\x90\x04" + body[:2] + b"\x00\x00")
                case 3:  # its status
                    connection.sendall(b"\xe0\x01\x8e")
                    return

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)


def test_a_broker_that_says_why_is_believed_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """DISCONNECT 0x8E is told in words after the first time, in log, status and doctor, and the station stays away for seconds."""
    caplog.set_level(logging.WARNING)
    told = TellingBroker()
    config = _machine(tmp_path, told.url)
    Outbox.open(config.state.dir / "outbox.db", config.outbox).close()
    running = delivering(config)
    try:
        until(lambda: _is_told(config))
        doctor, warnings = _says(config, capsys, tmp_path)
        assert told.connects == 1
    finally:
        running.stop()
        told.stop()
    assert doctor.startswith(
        "failed offline; another station uses this identity: the broker gave its session to a connection"
    )
    assert "cable" not in doctor
    assert "identity-shared: another station uses this identity" in warnings
    assert caplog.text.count("another station uses this identity") == 2
    assert "unspecified" not in caplog.text


def test_one_lost_connection_is_no_rival(broker: Any, make_entry: Make, tmp_path: Path) -> None:
    """MQTT 3.1.1 does not say why: after few of them nothing is guessed, and whoever is there delivers."""
    configs = [_machine(tmp_path / name, broker.url) for name in ("first", "second")]
    configs = [
        config.model_copy(update={"uplink": config.uplink.model_copy(update={"protocol": "3.1.1"})})
        for config in configs
    ]
    outboxes = [Outbox.open(each.state.dir / "outbox.db", each.outbox) for each in configs]
    for number, outbox in enumerate(outboxes):
        outbox.append(make_entry(number))
    centre = collecting(Broker(broker.url), tmp_path / "ledger.db")
    running = [delivering(config) for config in configs]
    try:
        until(lambda: not any(each.depth() for each in outboxes))
    finally:
        for each in (*running, centre):
            each.stop()
        for outbox in outboxes:
            outbox.close()
    assert not any(map(_is_told, configs))
