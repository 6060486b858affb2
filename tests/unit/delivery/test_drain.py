"""Whatever receipts say, the card is not filled with copies, and no entry is settled that was not sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from kiosk.clock import SystemClock
from kiosk.config import Config
from kiosk.delivery import session
from kiosk.delivery.batches import Batches
from kiosk.delivery.drain import Drain
from kiosk.delivery.wire import Receipt
from kiosk.model import Entry
from kiosk.outbox import Outbox


@pytest.fixture
def make_drain(make_config: Callable[..., Config]) -> Callable[[Outbox], Drain]:
    """An uplink's drain, as after a start of it."""

    def make(outbox: Outbox) -> Drain:
        config, clock = make_config(), SystemClock()
        batches = Batches(config, outbox, clock)
        return Drain(
            outbox,
            session.Session(session.rules_of(config.uplink), lambda: 0.5),
            batches,
            clock,
            config.state.runtime_dir,
        )

    return make


def test_receipts_beyond_the_last_number_copy_the_outbox_once(
    make_config: Callable[..., Config], make_entry: Callable[[int], Entry], make_drain: Callable[[Outbox], Drain]
) -> None:
    """A hundred of them, each for the file that is there then, over restarts of the uplink: one copy, and every entry still waits."""
    config = make_config()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        for number in range(50):
            outbox.append(make_entry(number))
        for _ in range(10):
            drain = make_drain(outbox)
            for _ in range(10):
                drain.next(0.0)
                assert not drain.received(Receipt(outbox.id, outbox.last_seq + 5), 0.0)
        assert len(outbox.quarantined()) == 1
        assert (outbox.depth(), outbox.settled) == (50, 0)
        (config.state.runtime_dir / "outbox-set-aside").unlink()  # the board was started anew
        drain = make_drain(outbox)
        drain.received(Receipt(outbox.id, 99), 0.0)
        assert len(outbox.quarantined()) == 2


def test_receipt_of_another_file_and_of_what_was_not_sent_settles_nothing(
    make_config: Callable[..., Config], make_entry: Callable[[int], Entry], make_drain: Callable[[Outbox], Drain]
) -> None:
    """Nor is anything copied for it."""
    config = make_config()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        outbox.append(make_entry(1))
        drain = make_drain(outbox)
        assert not drain.received(Receipt(uuid4(), 99), 0.0)
        assert drain.received(Receipt(outbox.id, 1), 0.0)
        assert (outbox.settled, outbox.quarantined()) == (0, [])


class _Link:
    """It takes whatever is published, and tells nothing."""

    def publish(self, _topic: str, _payload: bytes) -> int:
        return 1


def test_entry_is_called_too_large_once_its_notice_is_through(
    make_config: Callable[..., Config],
    make_entry: Callable[[int], Entry],
    make_drain: Callable[[Outbox], Drain],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Until then it may be the way that fails, or a centre that is away: nothing is said, and once is enough."""
    config = make_config()
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        outbox.append(make_entry(0))
        drain = make_drain(outbox)
        assert isinstance(drain.next(0.0), session.Connect)
        for _ in range(3):
            drain.publish(_Link(), session.Publish(0, 1, is_doubted=True), 0.0)  # type: ignore[arg-type]
        assert not outbox.oversized()
        assert "oversized" not in caplog.text
        drain.received(Receipt(outbox.id, 1), 0.0)
        drain.received(Receipt(outbox.id, 1), 0.0)
        assert [seq for seq, _ in outbox.oversized()] == [1]
        assert caplog.text.count("entry-oversized seq=1") == 1


def test_what_cannot_be_counted_is_not_done(
    make_config: Callable[..., Config],
    make_entry: Callable[[int], Entry],
    make_drain: Callable[[Outbox], Drain],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the folder of the marks cannot be written, no copy is made."""
    config = make_config()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        outbox.append(make_entry(1))
        drain = make_drain(outbox)
        monkeypatch.setattr(Path, "touch", refused)
        drain.received(Receipt(outbox.id, 99), 0.0)
        assert not outbox.quarantined()
