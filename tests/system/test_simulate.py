"""A simulated fleet against a real broker and a real collector, and the audit that judges it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bench import fleet
from central.commands.simulate import audit
from central.ledgers.sqlite import SqliteLedger
from central.simulate.light_kiosk import Tally
from kiosk.delivery.wire import Batch
from kiosk.model import Entry


def _simulate(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "central", "simulate", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


def test_fleet_delivers_its_morning_peak(capfd: pytest.CaptureFixture[str]) -> None:
    """200 kiosks, a third of which lose their network and come back: all sent, all receipted, nothing lost or doubled."""
    words = ["--kiosks", "200", "--entries", "12", "--seconds", "8", "--away-share", "0.33", "--processes", "2"]
    assert fleet.main(words) == 0
    out = capfd.readouterr().out
    assert "kiosks=200 connected=200 " in out
    assert "delivered entries=2400 " in out
    assert "audit sent=2400 in_ledger=2400 lost=0 doubled=0 incomplete=0" in out
    lost = int(out.partition("lost_connections=")[2].split()[0])
    assert 30 < lost < 110


def test_fleet_without_a_collector_is_told_to_have_lost(broker: Any, tmp_path: Path) -> None:
    """Nobody fills the ledger: everything that was sent is lost, and the exit code says so."""
    path = tmp_path / "ledger.db"
    SqliteLedger(path).close()
    words = ["--kiosks", "5", "--entries", "3", "--seconds", "1", "--patience", "1", "--processes", "1"]
    done = _simulate("--broker", broker.url, "--ledger", str(path), *words)
    assert done.returncode == 1
    assert "audit sent=15 in_ledger=0 lost=15 doubled=0 incomplete=5" in done.stdout


def test_ledger_that_is_in_use_is_refused(make_entry: Any, tmp_path: Path) -> None:
    """Invented people do not come into a ledger that holds entries."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        ledger.store([Batch("test-1", UUID(int=7), ((1, make_entry()),))], [], 0)
    done = _simulate("--ledger", str(path))
    assert done.returncode == 2
    assert "holds entries; invented people belong into a ledger of their own" in done.stderr


def test_audit_sees_what_is_missing_and_what_nobody_sent(make_entry: Any, tmp_path: Path) -> None:
    """One entry of four is not there, and one is there that no kiosk sent: lost 1, doubled 1, a kiosk incomplete."""
    entries: list[Entry] = [make_entry(number) for number in range(4)]
    outbox = UUID(int=7)
    tally = Tally(streams=[("test-1", outbox, 4)])
    for entry in entries:
        tally.ids += entry.id.bytes
    rows = ((1, entries[0]), (2, entries[1]), (3, make_entry(9)), (4, entries[3]))
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        ledger.store([Batch("test-1", outbox, rows[:3])], [], 0)
        assert audit(ledger, [tally]).incomplete == 1
        ledger.store([Batch("test-1", outbox, rows)], [], 0)
        verdict = audit(ledger, [tally])
    assert (verdict.lost, verdict.doubled, verdict.incomplete) == (1, 1, 0)
