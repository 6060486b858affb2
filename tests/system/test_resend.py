"""Settled entries that somebody wants to have sent once more."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import yaml

from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.model import Entry
from kiosk.outbox import Outbox
from tests.running import until


def test_range_is_sent_once_more_and_nothing_else(
    make_config: Callable[..., Config], broker: Any, make_entry: Callable[[int], Entry], tmp_path: Path
) -> None:
    """Asked while nobody answers and the uplink is killed: the next one sends 11 to 30, in pieces, once, and settles nothing anew."""
    config = make_config(
        uplink={"brokers": [broker.url], "batch_entries": 7, "receipt_timeout_s": 3.0, "backoff_max_s": 1.0}
    )
    path, ledger_path = tmp_path / "kiosk.yaml", tmp_path / "ledger.db"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    with ExitStack() as stack:

        def start(*words: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, "-m", *words], stderr=subprocess.DEVNULL)
            stack.callback(process.wait, 20)
            stack.callback(process.kill)
            return process

        collect = ("central", "collect", "--broker", broker.url, "--ledger", str(ledger_path))
        outbox = stack.enter_context(closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)))
        for number in range(50):
            outbox.append(make_entry(number))
        collector = start(*collect)
        uplink = start("kiosk", "uplink", "--config", str(path))
        until(lambda: outbox.depth() == 0)
        collector.kill()
        collector.wait(10)
        argv = [sys.executable, "-m", "kiosk", "outbox", "--config", str(path), "--resend", "11..30"]
        assert "11..30 are sent again" in subprocess.run(argv, capture_output=True, text=True, check=True).stderr
        time.sleep(2)
        assert outbox.wanted() == range(11, 31)
        uplink.kill()
        uplink.wait(10)
        broker.kill()  # and what it held
        broker.start()
        start("kiosk", "uplink", "--config", str(path))
        start(*collect)
        until(lambda: outbox.wanted() is None)
        assert outbox.settled == 50
        with closing(SqliteLedger(ledger_path)) as ledger:
            (stream,) = ledger.streams()
            assert (ledger.count(), stream.complete, stream.delivered) == (50, True, 50)
            assert 20 <= stream.repeated <= 27
