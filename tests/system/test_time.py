"""A station that woke up in 1970 gets its time from the centre: over a real broker with TLS, with both clocks faked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from bench.drain import free_port
from central.intake import gathering
from central.intake.collector import Broker
from central.ledgers.sqlite import SqliteLedger
from kiosk import clock
from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import centre_time
from kiosk.health import read_marks
from kiosk.model import ClockQuality, Entry
from kiosk.outbox import Outbox
from tests.running import Running, collecting, delivering, until

DAY_NS = 86_400_000_000_000


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@pytest.fixture
def in_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    """The station's clock began with the boot."""
    fake = SimpleNamespace(time_ns=_boot_ns, clock_gettime_ns=time.clock_gettime_ns, CLOCK_BOOTTIME=time.CLOCK_BOOTTIME)
    monkeypatch.setattr(clock, "time", fake)


@pytest.fixture
def centre_days(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the centre's clock be this many days ahead of the machine's, by which OpenSSL judges."""

    def ahead(days: int) -> None:
        monkeypatch.setattr(
            gathering,
            "time",
            SimpleNamespace(time_ns=lambda: time.time_ns() + days * DAY_NS, monotonic=time.monotonic, sleep=time.sleep),
        )

    return ahead


@pytest.fixture
def dated_broker(broker: Any, tmp_path: Path) -> Callable[[int, int], str]:
    """A broker whose certificate is valid between these days from now, and a plain door for the collector."""

    def start(first_days: int, last_days: int) -> str:
        now = datetime.now(UTC)
        ours = trustme.CA()
        certificate = ours.issue_cert(
            "127.0.0.1", not_before=now + timedelta(days=first_days), not_after=now + timedelta(days=last_days)
        )
        ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / "broker.key"))
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "broker.pem"))
        plain = free_port()
        broker.kill()
        broker.extra = f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\nlistener {plain} 127.0.0.1"
        broker.start()
        return f"mqtt://127.0.0.1:{plain}"

    return start


@pytest.fixture
def station(make_config: Callable[..., Config], broker: Any, tmp_path: Path) -> Config:
    """Its settings."""
    tls = {"ca_file": str(tmp_path / "ca.pem"), "while_clock_unset": "ignore-dates"}
    url = broker.url.replace("mqtt:", "mqtts:")
    return make_config(uplink={"brokers": [url], "tls": tls, "receipt_timeout_s": 5.0, "backoff_max_s": 1.0})


@pytest.fixture
def work(station: Config, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Starts both, and ends them."""
    running: list[Running] = []
    yield lambda url: running.extend((collecting(Broker(url), tmp_path / "ledger.db"), delivering(station)))
    for each in running:
        each.stop()


@pytest.mark.usefixtures("in_1970")
def test_entries_of_1970_arrive_with_the_centres_time(
    station: Config,
    dated_broker: Callable[[int, int], str],
    centre_days: Callable[[int], None],
    work: Callable[[str], None],
    make_entry: Callable[[int], Entry],
    tmp_path: Path,
) -> None:
    """Every entry of this boot, also the first, and those recorded from now on; "estimated", for no time source set it."""
    centre_days(2)
    plain = dated_broker(1, 9)  # valid at the centre's time only
    with closing(Outbox.open(station.state.dir / "outbox.db", station.outbox)) as outbox:
        for number in range(5):
            assert make_entry(number).at.quality is ClockQuality.UNSET
            outbox.append(make_entry(number))
        work(plain)
        until(lambda: outbox.depth() == 0)
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        found = [row.entry.at for row in ledger.entries()]
    assert [at.quality for at in found] == 5 * [ClockQuality.ESTIMATED]
    expected_ns = time.time_ns() + 2 * DAY_NS
    assert all(abs(at.wall_ns + (_boot_ns() - at.boot_ns) - expected_ns) < 3_000_000_000 for at in found)
    later = SystemClock(station.state.runtime_dir).now()
    assert later.quality is ClockQuality.ESTIMATED
    assert abs(later.wall_ns - (time.time_ns() + 2 * DAY_NS)) < 3_000_000_000
    assert SystemClock().now().quality is ClockQuality.UNSET


@pytest.mark.usefixtures("in_1970")
@pytest.mark.parametrize(
    ("days", "said"), [((-9, -1), "certificate has expired"), ((1, 9), "certificate is not yet valid")]
)
def test_certificate_that_is_wrong_at_the_centres_time_gets_no_entry(
    station: Config,
    dated_broker: Callable[[int, int], str],
    work: Callable[[str], None],
    make_entry: Callable[[int], Entry],
    caplog: pytest.LogCaptureFixture,
    days: tuple[int, int],
    said: str,
) -> None:
    """It is let in once, to tell the time; judged by that time it is refused, before any entry has left."""
    caplog.set_level(logging.INFO)
    plain = dated_broker(*days)
    with closing(Outbox.open(station.state.dir / "outbox.db", station.outbox)) as outbox:
        outbox.append(make_entry(1))
        work(plain)
        until(lambda: f"{said}, by the centre's time" in caplog.text)
        assert "clock-set by=centre" in caplog.text
        assert outbox.depth() == 1
    with closing(SqliteLedger(station.state.dir.parent / "ledger.db")) as ledger:
        assert ledger.count() == 0


@pytest.mark.usefixtures("in_1970")
def test_centre_that_tells_no_time_gets_its_entries_all_the_same(
    make_config: Callable[..., Config], broker: Any, make_entry: Callable[[int], Entry], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A receipt without a time, or none at all, holds entries up no longer than `receipt_timeout_s`."""
    monkeypatch.setattr(gathering, "replace", lambda receipt, **_time: receipt)
    config = make_config(uplink={"brokers": [broker.url], "receipt_timeout_s": 20.0})
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        outbox.append(make_entry(1))
        running = [collecting(Broker(broker.url), tmp_path / "ledger.db"), delivering(config)]
        try:
            until(lambda: outbox.depth() == 0)
        finally:
            for each in running:
                each.stop()
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        assert [row.entry.at.quality for row in ledger.entries()] == [ClockQuality.UNSET]


@pytest.mark.usefixtures("in_1970")
def test_station_without_entries_goes_on_asking(
    make_config: Callable[..., Config], broker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door that refuses passes until the time is known makes no entry whose receipt could tell it: the collector came late."""
    monkeypatch.setattr(centre_time, "ASK_LATER_S", 0.5)
    config = make_config(uplink={"brokers": [broker.url], "receipt_timeout_s": 1.0})
    running = [delivering(config)]
    try:
        until(lambda: (read_marks(config.state.runtime_dir, "uplink", 15.0) or {}).get("state") == "online")
        over_s = time.monotonic() + 2.0
        until(lambda: time.monotonic() > over_s)
        running.append(collecting(Broker(broker.url), tmp_path / "ledger.db"))
        until(lambda: SystemClock(config.state.runtime_dir).now().quality is ClockQuality.ESTIMATED, longest_s=20.0)
    finally:
        for each in running:
            each.stop()
