"""From the authority's keys to an opened name, over a real broker: each step by the commands that people type."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from central.__main__ import main as central
from central.intake.collector import Broker
from central.keys.keystore import KeyStore
from central.ledgers import sqlite
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery.wire import Batch
from kiosk.envelopes.seal import HYBRID
from kiosk.errors import KioskError, LedgerError
from kiosk.model import Entry
from kiosk.outbox import Outbox
from kiosk.sealer import Sealer, list_path
from tests.running import collecting, delivering, until

Make = Callable[[int], Entry]


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """An authority with keys for a month, made and published by the commands."""
    folder = tmp_path / "authority"
    assert central(["keys", "make", "--keys", str(folder), "--days", "30"]) == 0
    assert central(["keys", "publish", "--keys", str(folder)]) == 0
    return KeyStore(folder)


def _sealed(entry: Entry, config: Config) -> Entry:
    person, sealed = Sealer(config).protect(entry.person, entry.id, SystemClock().now())
    return Entry(
        entry.id, entry.kiosk, entry.site, entry.lane, entry.direction, entry.at, entry.document, (), person, sealed
    )


@pytest.fixture
def ledger(tmp_path: Path, store: KeyStore, make_config: Callable[..., Config], make_entry: Make) -> str:
    """A ledger with a sealed entry, one that never was, and one whose key is elsewhere."""
    seal = {"authority_file": str(store.authority_path), "authority_keys_file": str(store.list_path)}
    config = make_config(seal=seal)
    other = KeyStore(tmp_path / "other")
    other.make(datetime.now(UTC).date(), 1, suite=HYBRID)
    other.publish()
    elsewhere = make_config(
        seal={"authority_file": str(other.authority_path), "authority_keys_file": str(other.list_path)}
    )
    path = tmp_path / "ledger.db"
    ledger = sqlite.SqliteLedger(path)
    entries = [_sealed(make_entry(1), config), make_entry(2), _sealed(make_entry(3), elsewhere)]
    ledger.store([Batch("test-1", entries[0].id, tuple(enumerate(entries, 1)))], [], 1)
    ledger.close()
    return str(path)


def test_list_reaches_a_station_that_comes_later(
    broker: Any, store: KeyStore, tmp_path: Path, make_config: Callable[..., Config], make_entry: Make
) -> None:
    """Left at the broker, taken by the uplink, verified, kept; then entries are sealed, delivered and opened."""
    words = ["keys", "publish", "--keys", str(store.folder), "--broker", broker.url, "--kiosk", "test-1"]
    assert central(words) == 0
    config = make_config(
        seal={"authority_file": str(store.authority_path)},
        uplink={"brokers": [broker.url], "receipt_timeout_s": 2.0, "backoff_max_s": 1.0},
    )
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    with pytest.raises(KioskError):
        Sealer(config).check(SystemClock().now())
    ledger = tmp_path / "ledger.db"
    running = [collecting(Broker(broker.url), ledger), delivering(config)]
    try:
        until(list_path(config).exists)
        assert list_path(config).read_bytes() == store.list_path.read_bytes()
        old = make_entry(1)  # as software without seals left it
        for entry in (old, _sealed(make_entry(2), config)):
            outbox.append(entry)
        until(lambda: outbox.depth() == 0)
    finally:
        for each in running:
            each.stop()
        outbox.close()
    out = tmp_path / "names.json"
    words = ["open", "--keys", str(store.folder), "--ledger", str(ledger), "--reason", "test", "--format", "json"]
    assert central([*words, "--out", str(out)]) == 0
    assert [json.loads(line)["number"] for line in out.read_text().splitlines()] == ["000000000001", "000000000002"]


def test_forged_list_is_not_taken(
    broker: Any, store: KeyStore, tmp_path: Path, make_config: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever holds the broker cannot give a station a key of his own."""
    forger = KeyStore(tmp_path / "forger")
    forger.make(datetime.now(UTC).date(), 2, suite=HYBRID)
    words = ["keys", "publish", "--keys", str(forger.folder), "--broker", broker.url, "--kiosk", "test-1"]
    assert central(words) == 0
    config = make_config(seal={"authority_file": str(store.authority_path)}, uplink={"brokers": [broker.url]})
    running = delivering(config)
    try:
        until(lambda: any("keys-not-taken" in message for message in caplog.messages))
    finally:
        running.stop()
    assert not list_path(config).exists()


def test_names_are_opened_for_a_reason_that_stays(
    store: KeyStore, ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`central entries` shows none; `central open` shows what its keys open, after its line is in the audit."""
    assert central(["entries", "--ledger", ledger]) == 0
    out = capsys.readouterr().out
    assert out.count("(sealed)") == 2
    assert "000000000001" not in out
    words = ["open", "--ledger", ledger, "--keys", str(store.folder)]
    with pytest.raises(SystemExit):
        central(words)
    assert central([*words, "--reason", " \x1b "]) == 16
    assert central(["openings", "--ledger", ledger]) == 0
    assert capsys.readouterr().out.split() == ["at", "(Asia/Ho_Chi_Minh)", "who", "which", "shown", "why"]
    assert central([*words, "--reason", "case 2026/114", "--kiosk", "test-1"]) == 0
    shown = capsys.readouterr()
    assert "000000000001" in shown.out
    assert "000000000003" not in shown.out
    assert shown.err.splitlines()[-1] == "open opened=1 without_key=1 damaged=0 never_sealed=1"
    assert central(["openings", "--ledger", ledger]) == 0
    before, behind = (line.rstrip() for line in capsys.readouterr().out.splitlines()[1:])
    assert re.search(r"kiosk=test-1 +case 2026/114$", before)
    assert re.search(r"kiosk=test-1 +1 +case 2026/114$", behind)
    head = shown.err.splitlines()[-2].removeprefix("audit head=")
    assert central(["openings", "verify", "--ledger", ledger, "--head", head]) == 0
    assert capsys.readouterr().out == f"openings lines=2 head={head}\n"
    assert central(["openings", "--head", head, "--ledger", ledger]) == 2
    with pytest.raises(SystemExit):
        central(["openings", "verify", "--head", "no head", "--ledger", ledger])


def test_how_many_were_shown_is_noted_however_it_ends(
    store: KeyStore, ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be written ends it after the first line; the second says that nobody was shown."""
    words = ["open", "--ledger", ledger, "--keys", str(store.folder), "--reason", "case 2026/114"]
    assert central([*words, "--format", "csv", "--out", str(tmp_path / "none" / "out.csv")]) == 15
    with closing(sqlite.SqliteLedger(Path(ledger))) as kept:
        assert [line.shown for line in kept.openings()] == [None, 0]
    capsys.readouterr()


def test_nothing_is_opened_if_the_audit_cannot_be_written(
    store: KeyStore, ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line comes first: no line, no names."""

    def fails(*_: object) -> None:
        raise LedgerError("disk full")

    monkeypatch.setattr(sqlite.SqliteLedger, "note_opening", fails)
    assert central(["open", "--ledger", ledger, "--keys", str(store.folder), "--reason", "case 1"]) == 15
    assert capsys.readouterr().out == ""


def test_one_entry_can_be_opened_and_a_moved_box_cannot(
    store: KeyStore, ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--entry` opens that one; a box that somebody put into another entry of the ledger stays shut, and it is said."""
    kept = sqlite.SqliteLedger(Path(ledger))
    first, second, _ = (row.entry for row in kept.entries())
    kept._connection.execute(
        "UPDATE entry SET person = '{}', sealed = (SELECT sealed FROM entry WHERE id = ?) WHERE id = ?",
        (first.id.bytes, second.id.bytes),
    )
    kept.close()
    words = ["open", "--ledger", ledger, "--keys", str(store.folder), "--reason", "case 1", "--format", "csv"]
    assert central([*words, "--entry", str(first.id)]) == 0
    assert "000000000001" in capsys.readouterr().out
    assert central([*words, "--entry", str(second.id)]) == 1
    shown = capsys.readouterr()
    assert "damaged=1" in shown.err
    assert "00000000000" not in shown.out


def test_keys_are_listed_and_destroyed(store: KeyStore, ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After the retention nobody opens those entries again; today's key is not destroyed by mistake."""
    words = ["keys", "destroy", "--keys", str(store.folder)]
    assert central(words) == 2
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert central([*words, "--before", str(tomorrow)]) == 16
    assert "stations still seal to it" in capsys.readouterr().err
    assert central(["keys", "list", "--keys", str(store.folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "keys here=30 published=30"
    assert store.destroy(tomorrow, now_s=int(time.time()) + 2 * 86_400)
    assert central(["open", "--ledger", ledger, "--keys", str(store.folder), "--reason", "case 1"]) == 0
    assert "opened=0 without_key=2" in capsys.readouterr().err
    assert central(["open", "--ledger", ledger, "--keys", str(store.folder / "none"), "--reason", "case 1"]) == 16


def test_stations_to_publish_for_come_from_the_ledger(
    store: KeyStore, ledger: str, broker: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """All that have ever delivered; a ledger without any, and a broker that is not there, are said."""
    words = ["keys", "publish", "--keys", str(store.folder), "--broker"]
    assert central([*words, broker.url, "--ledger", ledger]) == 0
    assert "left for 1 stations" in capsys.readouterr().out
    sqlite.SqliteLedger(tmp_path / "empty.db").close()
    assert central([*words, broker.url, "--ledger", str(tmp_path / "empty.db")]) == 2
    assert "name them with --kiosk" in capsys.readouterr().err
    assert central([*words, "mqtt://127.0.0.1:1", "--kiosk", "test-1"]) == 13
    assert "cannot connect to mqtt://127.0.0.1:1" in capsys.readouterr().err
