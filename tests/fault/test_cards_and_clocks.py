"""A card that fills and is emptied, one that turns read-only, clocks that jump, and three days without a network."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from central.ledgers.sqlite import SqliteLedger
from kiosk.config import Config
from kiosk.cues import CueName
from kiosk.delivery import wire
from kiosk.errors import OutboxError, OutboxFullError
from kiosk.model import ClockQuality, Entry, Moment
from kiosk.outbox import Outbox
from tests.fault.door import Door, MovedClock, S, people_in, person_in
from tests.fault.tap import Operation, tapped

DAY_S = 86_400
JUMPS_S = (-DAY_S, DAY_S, -57 * 365 * DAY_S, 68 * 365 * DAY_S, -68 * 365 * DAY_S, 10 * 365 * DAY_S, 3600, -3600, 0)
"""A day back and forth, to 1970, to 68 years from now, and corrections."""


@pytest.fixture
def small_card(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB of its own; only root may make one."""
    folder = tmp_path / "card"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _ballast(folder: Path) -> Path:
    """Take all the room there is."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        for size_bytes in (1 << 16, 1 << 12):
            try:
                while file.write(bytes(size_bytes)) == size_bytes:
                    pass
            except OSError:
                continue
    assert os.statvfs(folder).f_bavail == 0
    return path


def _config_on(make_config: Callable[..., Config], folder: Path, run: Path) -> Config:
    return make_config(
        state={"dir": str(folder / "state"), "runtime_dir": str(run)},
        outbox={"min_free_mb": 8},
    )


def test_full_card_refuses_and_recovers_when_it_is_free_again(
    make_config: Callable[..., Config], small_card: Path, tmp_path: Path, scale: Any, tell: Any
) -> None:
    """Full: the fault cue, no green, an error that says so. Free again: whoever stands there is recorded."""
    config = _config_on(make_config, small_card, tmp_path / "run")
    greens: list[str] = []
    rounds = scale(2, 20)
    door_path = config.state.dir / "outbox.db"
    outbox = Outbox.open(door_path, config.outbox)
    door = Door(config, outbox, greens.append)
    for round_ in range(rounds):
        assert len(door.show(3 * round_)) == 1
        ballast = _ballast(small_card)
        assert set(door.show(3 * round_ + 1, 3)) == {CueName.FAULT}
        assert door.panel.standing is CueName.FAULT_STANDING
        with pytest.raises(OutboxFullError, match="bring the uplink back, or make room"):
            outbox.check()
        if round_ % 2:
            outbox.close()
            with pytest.raises(OutboxFullError), closing(Outbox.open(door_path, config.outbox)) as other:
                other.check()
        ballast.unlink()
        assert len(door.show(3 * round_ + 1, 14)) == 1
        door.show(None, 20)
    kept = people_in(outbox)
    shown = [int(line.split()[1]) for line in greens]
    outbox.close()
    lost, doubled = len(set(shown) - set(kept)), len(kept) - len(set(kept))
    tell(
        "card is full, then free again",
        rounds=rounds,
        greens=len(shown),
        kept=len(kept),
        lost=lost,
        doubled=doubled,
        where="outbox",
    )
    assert (len(shown), lost, doubled) == (2 * rounds, 0, 0)


def test_little_room_is_left_for_the_uplink(
    make_config: Callable[..., Config], small_card: Path, tmp_path: Path, make_entry: Callable[[int], Entry]
) -> None:
    """Below `min_free_mb` nothing is recorded, and settling and sweeping still work, or the card would stay full."""
    config = _config_on(make_config, small_card, tmp_path / "run")
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        entry = make_entry(1)
        outbox.append(entry)
        (small_card / "ballast").write_bytes(bytes(18 << 20))
        with pytest.raises(OutboxFullError, match="MB free"):
            outbox.append(entry)
        outbox.settle(1)
        assert outbox.sweep(replace(entry.at, wall_ns=entry.at.wall_ns + 2 * DAY_S * S)) == 1


def test_card_that_turns_read_only_refuses_and_recovers(
    make_config: Callable[..., Config], small_card: Path, tmp_path: Path, tell: Any
) -> None:
    """A file system that is remounted read-only is a fault before a citizen stands there; when it is back, work goes on."""
    config = _config_on(make_config, small_card, tmp_path / "run")
    path = config.state.dir / "outbox.db"
    greens: list[str] = []
    with closing(Outbox.open(path, config.outbox)) as outbox:
        door = Door(config, outbox, greens.append)
        door.show(1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_card)], check=True)
    assert set(door.show(2, 3)) == {CueName.FAULT}
    with pytest.raises(OutboxError):
        outbox.check()
    with pytest.raises(OutboxError):
        Outbox.open(path, config.outbox)
    subprocess.run(["mount", "-o", "remount,rw", str(small_card)], check=True)
    assert len(door.show(2, 14)) == 1
    kept = people_in(outbox)
    outbox.close()
    tell(
        "card turns read-only, and back",
        rounds=1,
        greens=len(greens),
        kept=len(kept),
        lost=0,
        doubled=0,
        where="outbox",
    )
    assert (len(greens), kept) == (2, [1, 2])


def test_writes_that_are_refused_under_an_open_file(
    make_config: Callable[..., Config], memory: Path, tell: Any
) -> None:
    """The same below SQLite, without a mount: each write and sync is refused, nothing is green, and reading goes on."""
    config = make_config(state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")})
    greens: list[str] = []
    read_only = [False]

    def listen(operation: Operation) -> int:
        changes = operation.verb in {"write", "sync", "truncate", "remove", "rename", "make-folder", "share"}
        return errno.EROFS if read_only[0] and changes else 0

    with tapped(memory / "state", listen):
        outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
        door = Door(config, outbox, greens.append)
        door.show(1)
        read_only[0] = True
        assert set(door.show(2, 14)) == {CueName.FAULT}
        read_only[0] = False
        door.show(2, 14)
        kept = people_in(outbox)
        outbox.close()
    tell(
        "writes refused, then taken again",
        rounds=1,
        greens=len(greens),
        kept=len(kept),
        lost=0,
        doubled=0,
        where="outbox",
    )
    assert (len(greens), kept) == (2, [1, 2])


def _deliver(outbox: Outbox, ledger: SqliteLedger, limit: int) -> int:
    """As uplink and collector do it; the network's own faults are tested elsewhere."""
    rows = outbox.head(outbox.settled, limit)
    if rows:
        batch = wire.decode_batch(wire.encode_batch("test-1", outbox.id, rows))
        for _, receipt in ledger.store([batch], [], 0):
            outbox.settle(receipt.through, receipt.outbox)
    return len(rows)


def test_clock_that_jumps_costs_no_entry(
    make_config: Callable[..., Config], memory: Path, scale: Any, tell: Any
) -> None:
    """From a day back to 68 years ahead, while people come, entries are delivered and old ones are swept."""
    config = make_config(state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")})
    random = Random(68)
    clock = MovedClock()
    greens: list[str] = []
    jumps = scale(40, 400)
    with (
        closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox,
        closing(SqliteLedger(memory / "ledger.db")) as ledger,
    ):
        door = Door(config, outbox, greens.append, clock)
        for number in range(3 * jumps):
            if number % 3 == 0:
                clock.wall_offset_ns = 1_800_000_000 * S + random.choice(JUMPS_S) * S
            door.show(number, 2)
            outbox.sweep(clock.now())
            if random.random() < 0.3:
                _deliver(outbox, ledger, 4)
        while _deliver(outbox, ledger, 100):
            pass
        delivered = [person_in(row.entry) for row in ledger.entries()]
        assert ledger.streams()[0].complete
    shown = {int(line.split()[1]) for line in greens}
    lost, doubled = len(shown - set(delivered)), len(delivered) - len(set(delivered))
    tell(
        "clock jumps, -1 day to +68 years", rounds=jumps, greens=len(shown), kept=len(delivered), lost=lost,
        doubled=doubled, where="ledger",
    )  # fmt: skip
    assert (lost, doubled, len(shown)) == (0, 0, 3 * jumps)


@pytest.mark.parametrize("made_s", [5, (1_800_000_000 + 68 * 365 * DAY_S)], ids=["1970", "68-years-ahead"])
def test_entry_of_an_unset_clock_is_kept_its_day(
    make_config: Callable[..., Config], memory: Path, make_entry: Callable[[int], Entry], made_s: int
) -> None:
    """Settled entries of a clock that was wrong are kept a day from when that is seen: neither swept at once nor for ever."""
    config = make_config(state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")})
    with closing(Outbox.open(config.state.dir / "outbox.db", config.outbox)) as outbox:
        at = Moment(made_s * S, "boot-1", 5 * S, ClockQuality.UNSET)
        outbox.append(replace(make_entry(1), at=at))
        outbox.settle(1)
        now = Moment(1_800_000_000 * S, "boot-1", 60 * S, ClockQuality.SYNCED)
        assert outbox.sweep(now) == 0
        assert outbox.sweep(replace(now, wall_ns=now.wall_ns + (DAY_S - 60) * S)) == 0
        assert outbox.sweep(replace(now, wall_ns=now.wall_ns + (DAY_S + 60) * S)) == 1


def test_three_days_offline_arrive(
    make_config: Callable[..., Config], memory: Path, make_entry: Callable[[int], Entry], scale: Any, tell: Any
) -> None:
    """200,000 entries of three days wait, are swept at in vain, survive restarts, and arrive once."""
    config = make_config(state={"dir": str(memory / "state"), "runtime_dir": str(memory / "run")})
    count = scale(2_000, 200_000)
    path = config.state.dir / "outbox.db"
    entry = make_entry(0)
    step_ns = 3 * DAY_S * S // count
    outbox = Outbox.open(path, config.outbox)
    for number in range(count):
        at = replace(entry.at, wall_ns=entry.at.wall_ns + number * step_ns, boot_ns=entry.at.boot_ns + number * step_ns)
        outbox.append(replace(entry, id=UUID(int=number + 1), at=at))
        if number % (count // 20) == 0:
            assert outbox.sweep(at) == 0
            outbox.close()
    with closing(SqliteLedger(memory / "ledger.db")) as ledger:
        while _deliver(outbox, ledger, 500):
            pass
        (stream,) = ledger.streams()
        kept, doubled = ledger.count(), ledger.doubled()
        assert stream.complete
    outbox.close()
    tell(
        "three days offline", rounds=1, greens=count, kept=kept, lost=count - kept, doubled=doubled, where="ledger"
    )  # fmt: skip
    assert (kept, doubled) == (count, 0)
