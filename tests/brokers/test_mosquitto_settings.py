"""What mosquitto can be set to, one setting at a time, over both versions of MQTT: a backlog is delivered all the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from central.intake.collector import Broker
from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.model import Entry
from kiosk.outbox import Outbox
from tests.running import collecting, delivering, until

ENTRIES = 60
ENTRIES_ALONE = "topic read #\ntopic write kiosks/test-1/entries\ntopic write kiosks/test-1/receipts\n"
SETTINGS = [
    "max_packet_size 1500", "message_size_limit 1200", "max_inflight_messages 1", "max_inflight_bytes 2000", "max_keepalive 20",
    "retain_available false", "max_qos 1", "max_qos 0", "max_topic_alias 0", "max_connections 3", "persistent_client_expiration 1h",
    "allow_zero_length_clientid false", "set_tcp_nodelay true", "acl_file {acl}", "protocol mqtt\nuse_username_as_clientid false",
]  # fmt: skip


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_backlog_is_delivered(
    setting: str,
    protocol: str,
    broker: Any,
    make_config: Callable[..., Config],
    make_entry: Callable[[int], Entry],
    tmp_path: Path,
) -> None:
    """Each entry once, and nothing waits; also where the broker lets the station write its entries alone."""
    (tmp_path / "acl").write_text(ENTRIES_ALONE)
    broker.kill()
    broker.extra = setting.format(acl=tmp_path / "acl")
    broker.start()
    uplink = {
        "brokers": [broker.url], "protocol": protocol, "receipt_timeout_s": 2.0, "backoff_max_s": 1.0, "batch_entries": 20,
    }  # fmt: skip
    config = make_config(uplink=uplink, status={"every_s": 1.0})
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        for number in range(ENTRIES):
            outbox.append(make_entry(number))
        centre = collecting(Broker(broker.url), tmp_path / "ledger.db")
        station = delivering(config)
        try:
            until(lambda: outbox.depth() == 0, lambda: f"{outbox.depth()} wait")
        finally:
            station.stop()
            centre.stop()
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        assert ledger.count() == ENTRIES
        assert ledger.doubled() == 0
