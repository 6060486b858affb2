"""One station costs the ledger its share of a day, and no other station anything."""

from __future__ import annotations

import logging
from uuid import uuid4

import pytest

from central.intake import quota
from central.intake.quota import DAY_NS, Quota
from central.ledgers.ledger import KEPT_BYTES

OUTBOX = uuid4()


def test_honest_day_is_far_from_its_end() -> None:
    """A whole outbox that waited, some rotten rows, a card that is replaced, twice: all of it is kept."""
    own = Quota()
    assert all(own.admits("door-1", OUTBOX, 50, [], 0) for _ in range(2_000))
    assert all(own.admits("door-1", uuid4(), 0, [b"rotten"], 0) for _ in range(20))


@pytest.mark.parametrize(
    ("rows", "aside", "streams"),
    [(1000, [], 1), (0, [b"x"] * 100, 1), (0, [b"x" * 10**6], 1), (0, [], 5000)],
)
def test_day_of_a_hostile_station_has_an_end(
    caplog: pytest.LogCaptureFixture, rows: int, aside: list[bytes], streams: int
) -> None:
    """Whatever it sends most of; it is told once, the others and the next day are as before; under 10 MB are set aside."""
    caplog.set_level(logging.WARNING)
    own, kept_bytes = Quota(), 0
    for _ in range(5000):
        if not own.admits("bad-1", OUTBOX if streams == 1 else uuid4(), rows, aside, DAY_NS - 1):
            break
        kept_bytes += sum(min(len(body), KEPT_BYTES) + 500 for body in aside) + 200
    else:
        pytest.fail("never")
    assert kept_bytes < 10_000_000
    assert not own.admits("bad-1", OUTBOX if streams == 1 else uuid4(), rows, aside, DAY_NS - 1)
    assert [record.message.split()[:2] for record in caplog.records] == [["over-quota", "kiosk=bad-1"]]
    assert own.admits("door-1", OUTBOX, 50, [], DAY_NS - 1)
    assert own.admits("bad-1", OUTBOX, rows, aside, DAY_NS)


def test_names_without_end_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many stations the longest silent is forgotten."""
    monkeypatch.setattr(quota, "MOST_STATIONS", 3)
    own = Quota()
    for number in range(9):
        own.admits(f"k-{number}", OUTBOX, 1, [], 0)
    assert list(own._spent) == ["k-6", "k-7", "k-8"]
