"""A third of the traffic that repeats is noticed; what a fleet that is well repeats is not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from central.intake import gathering
from central.intake.gathering import Intake, Message
from central.intake.repeats import Repeats
from central.ledgers.ledger import Stream
from central.ledgers.sqlite import SqliteLedger
from kiosk.delivery.wire import encode_batch, encode_entry
from kiosk.model import Entry


def _stream(delivered: int, repeated: int) -> Stream:
    return Stream("door-a", UUID(int=1), delivered, delivered, delivered, (), repeated, 0, 0)


@pytest.mark.parametrize(
    ("delivered", "repeated", "share"),
    [(1000, 0, 0.0), (1000, 100, 0.0), (1000, 1000, 0.5), (700, 300, 0.3), (0, 1000, 1.0), (0, 150, 0.0), (0, 0, 0.0)],
)
def test_share_since_the_last_time(delivered: int, repeated: int, share: float) -> None:
    """Of all stations; nothing is said the first time, of little, and of few rows."""
    repeats = Repeats()
    assert repeats.share([_stream(10_000, 9_000), _stream(5, 5)]) == 0.0
    assert repeats.share([_stream(10_000 + delivered, 9_000 + repeated), _stream(5, 5)]) == share
    assert repeats.share([_stream(10_000 + delivered, 9_000 + repeated), _stream(5, 5)]) == 0.0


def test_collector_tells_it(
    tmp_path: Path,
    make_entry: Callable[[int], Entry],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With what to look at; once in a while, not with each message."""
    now_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    caplog.set_level(logging.WARNING)
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        intake = Intake(ledger)
        for first in (1, 1, 1, 201):
            now_s += gathering.LOOK_EVERY_S / 2
            rows = [(seq, encode_entry(make_entry(seq))) for seq in range(first, first + 200)]
            intake.commit([Message("test-1", encode_batch("test-1", UUID(int=1), rows))])
            assert ("traffic-repeats share=1.00" in caplog.text) is (
                first == 201 or now_s >= 3 * gathering.LOOK_EVERY_S / 2
            )
    assert caplog.text.count("traffic-repeats") == 1
    assert "subscription" in caplog.text
