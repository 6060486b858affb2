"""A station that nobody visits mends itself by a restart, and never restarts for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiosk import health
from kiosk.config import Config
from kiosk.model import ClockQuality, Moment
from kiosk.orders.executor import REBOOT_FILE
from kiosk.tending import mending
from kiosk.tending.mender import LINK_FILE, Mender
from kiosk.tending.mending import Dead, Shut, Step

MINUTE_S, HOUR_S = 60, 3600
S = 1_000_000_000
WALL_NS = 1_800_000_000 * S


@pytest.mark.parametrize(
    ("offline_s", "mended_s", "quiet_s", "uptime_s", "restarts", "step"),
    [
        (29 * MINUTE_S, None, None, 9 * HOUR_S, 0, Step.NOTHING),
        (30 * MINUTE_S, None, None, 9 * HOUR_S, 0, Step.LINK),
        (30 * MINUTE_S, None, 1, 9 * HOUR_S, 0, Step.LINK),
        (59 * MINUTE_S, 29 * MINUTE_S, None, 9 * HOUR_S, 0, Step.NOTHING),
        (60 * MINUTE_S, 30 * MINUTE_S, None, 9 * HOUR_S, 0, Step.LINK),
        (2 * HOUR_S, 30 * MINUTE_S, None, 2 * HOUR_S, 0, Step.BOARD),
        (2 * HOUR_S, MINUTE_S, 4 * MINUTE_S, 2 * HOUR_S, 0, Step.NOTHING),
        (2 * HOUR_S, 30 * MINUTE_S, 4 * MINUTE_S, 2 * HOUR_S, 0, Step.LINK),
        (2 * HOUR_S, MINUTE_S, 5 * MINUTE_S, 2 * HOUR_S, 0, Step.BOARD),
        (2 * HOUR_S, MINUTE_S, None, 2 * HOUR_S, 1, Step.NOTHING),
        (6 * HOUR_S, MINUTE_S, None, 6 * HOUR_S, 1, Step.BOARD),
        (6 * HOUR_S, MINUTE_S, None, 6 * HOUR_S, 2, Step.BOARD),
        (23 * HOUR_S, MINUTE_S, None, 23 * HOUR_S, 3, Step.NOTHING),
        (24 * HOUR_S, MINUTE_S, None, 24 * HOUR_S, 3, Step.BOARD),
        (24 * HOUR_S, MINUTE_S, None, 24 * HOUR_S, 99, Step.BOARD),
    ],
)  # fmt: skip
def test_dead_link_is_mended_in_steps(
    offline_s: float, mended_s: float | None, quiet_s: float | None, uptime_s: float, restarts: int, step: Step
) -> None:
    """The wireless link each half hour, the board after two, while nobody stands there, and more and more seldom."""
    assert mending.of_link(Dead(offline_s, mended_s, quiet_s), uptime_s, restarts) is step


@pytest.mark.parametrize(
    ("shut_s", "starts", "uptime_s", "restarts", "step"),
    [
        (15 * MINUTE_S, 7, HOUR_S, 0, Step.NOTHING),
        (14 * MINUTE_S, 99, HOUR_S, 0, Step.NOTHING),
        (15 * MINUTE_S, 8, 15 * MINUTE_S, 0, Step.BOARD),
        (59 * MINUTE_S, 60, 59 * MINUTE_S, 1, Step.NOTHING),
        (HOUR_S, 60, HOUR_S, 1, Step.BOARD),
        (HOUR_S, 60, HOUR_S, 2, Step.BOARD),
        (23 * HOUR_S, 999, 23 * HOUR_S, 3, Step.NOTHING),
        (24 * HOUR_S, 999, 24 * HOUR_S, 3, Step.BOARD),
    ],
)
def test_camera_that_is_stuck_restarts_the_board(
    shut_s: float, starts: int, uptime_s: float, restarts: int, step: Step
) -> None:
    """After a quarter of an hour and eight tries, at most once an hour, after three in vain once a day."""
    assert mending.of_camera(Shut(shut_s, starts), uptime_s, restarts) is step


@dataclass
class Board:
    """A station's folders and clocks, moved by the test; a restart empties the folder in memory.

    Attributes:
        config: Its settings.
        boot_ns_: Since it started.
        restarted: How long it had run at each restart, seconds.
        link: How often the wireless link was begun anew.
    """

    config: Config
    boot_ns_: int = 60 * S
    restarted: tuple[int, ...] = ()
    link: int = 0

    def now(self) -> Moment:
        return Moment(WALL_NS + self.boot_ns_, "boot", self.boot_ns_, ClockQuality.SYNCED)

    def boot_ns(self) -> int:
        return self.boot_ns_

    def scans(self, *, frames: int, lane: str = "main", last_scan_wall_ns: int | None = None) -> None:
        """A scan process's marks, as fresh as they are."""
        marks = {"written_boot_ns": self.boot_ns_, "frames": frames, "last_scan_wall_ns": last_scan_wall_ns}
        health.write_marks(self.config.state.runtime_dir, f"scan-{lane}", marks)

    def live(self, hours: float, *, online: bool, pictures: bool, restart_uplink: bool = False) -> None:
        """Minute after minute; the service manager does what is asked of it."""
        mender = Mender(self.config, self)
        memory = self.config.state.runtime_dir
        for _ in range(round(hours * 60)):
            self.boot_ns_ += 60 * S
            if pictures:
                self.scans(frames=5000)
            else:
                health.mark_camera_start(memory, "main", self.boot_ns_)
            if restart_uplink:
                mender = Mender(self.config, self)
            mender.tend(self.boot_ns_ / 1e9, online=online)
            if (memory / LINK_FILE).exists():
                (memory / LINK_FILE).unlink()
                self.link += 1
            if (memory / REBOOT_FILE).exists():
                self.restarted += (self.boot_ns_ // (60 * S),)
                self.power()
                mender = Mender(self.config, self)

    def power(self) -> None:
        """Off and on."""
        for path in self.config.state.runtime_dir.iterdir():
            path.unlink()
        self.boot_ns_ = 60 * S


@pytest.fixture
def board(make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Board:
    """A station that has just started."""
    made = Board(make_config(uplink={"brokers": ["mqtts://centre.example:8883", "mqtt://127.0.0.1:1883"]}))
    made.config.state.dir.mkdir()
    made.config.state.runtime_dir.mkdir()
    monkeypatch.setattr("kiosk.health.time.clock_gettime_ns", lambda _: made.boot_ns_)
    return made


@pytest.mark.parametrize("restart_uplink", [False, True])
def test_link_that_stays_dead_restarts_ever_more_seldom(board: Board, restart_uplink: bool) -> None:  # noqa: FBT001
    """Two days without a broker: after 2 h, each 6 h, then once a day; it is remembered when the uplink itself starts anew."""
    board.live(48, online=False, pictures=True, restart_uplink=restart_uplink)
    assert [minutes // 60 for minutes in board.restarted] == [2, 6, 6, 24]
    assert 30 < board.link < 100


def test_link_that_is_well_is_left_alone(board: Board) -> None:
    """Nothing begins anew, and what was counted of older trouble is forgotten once the board has run well for hours."""
    (board.config.state.dir / "mended.json").write_text('{"link": 3, "camera": 0}')
    board.live(5, online=True, pictures=True)
    assert json.loads((board.config.state.dir / "mended.json").read_text())["link"] == 3
    board.live(2, online=True, pictures=True)
    assert json.loads((board.config.state.dir / "mended.json").read_text())["link"] == 0
    assert (board.restarted, board.link) == ((), 0)


@pytest.mark.parametrize("brokers", [None, ["mqtt://localhost:1883"], ["mqtt://127.0.0.2:1883", "mqtts://[::1]:8883"]])
def test_station_without_a_link_is_not_restarted_for_one(
    board: Board, make_config: Callable[..., Config], brokers: list[str] | None
) -> None:
    """One that keeps its entries for itself, or has its broker on the board, runs on; its camera is still mended."""
    board.config = make_config(**({} if brokers is None else {"uplink": {"brokers": brokers}}))
    board.live(48, online=False, pictures=True)
    assert (board.restarted, board.link) == ((), 0)
    board.live(1, online=False, pictures=False)
    assert board.restarted != ()


def test_link_that_comes_and_goes_restarts_no_more_than_each_six_hours(board: Board) -> None:
    """Three hours gone, one back, for two days: the rate is bounded though it was well between."""
    for _ in range(12):
        board.live(3, online=False, pictures=True)
        board.live(1, online=True, pictures=True)
    assert len(board.restarted) <= 48 // 6 + 1
    assert all(minutes >= 6 * 60 for minutes in board.restarted[1:])


def test_camera_that_stays_stuck_restarts_ever_more_seldom(board: Board) -> None:
    """Two days without a picture, a start each minute: after a quarter of an hour, each hour, then once a day."""
    board.live(48, online=True, pictures=False)
    assert board.restarted == (17, 60, 60, 1440)  # the first start is in the second minute


def test_camera_that_works_again_is_forgiven(board: Board) -> None:
    """Pictures end the count of starts, at once and for the next trouble; one start that gave a few frames does not."""
    board.live(0.2, online=True, pictures=False)
    board.live(0.1, online=True, pictures=True)
    board.live(0.2, online=True, pictures=False)
    assert board.restarted == ()
    board.scans(frames=3)
    board.live(0.1, online=True, pictures=False)
    assert board.restarted != ()


def test_nobody_who_shows_a_code_sees_the_board_restart(board: Board) -> None:
    """A dead link is no reason to close a door that people use: it waits for five quiet minutes."""
    mender = Mender(board.config, board)
    for minute in range(400):
        board.boot_ns_ += 60 * S
        board.scans(frames=5000, last_scan_wall_ns=WALL_NS + board.boot_ns_ - 60 * S if minute < 300 else WALL_NS)
        mender.tend(board.boot_ns_ / 1e9, online=False)
        if (board.config.state.runtime_dir / REBOOT_FILE).exists():
            break
    assert minute == 300


def test_restart_that_cannot_be_counted_is_not_asked_for(board: Board, tmp_path: Path) -> None:
    """A card that takes no writes would restart the board for ever."""
    board.config.state.dir.rmdir()
    board.live(5, online=False, pictures=False)
    assert board.restarted == ()
    assert not list(tmp_path.rglob(REBOOT_FILE))


@pytest.mark.parametrize("content", ["", "[]", '{"link": "x"}', '{"link": 1}', "\xff"])
def test_damaged_count_is_none(board: Board, content: str) -> None:
    """Whatever lies there, the uplink goes on."""
    (board.config.state.dir / "mended.json").write_bytes(content.encode("latin-1"))
    for name in ("mending", "camera-main", "scan-main"):
        (board.config.state.runtime_dir / f"{name}.json").write_text(
            content and '{"written_boot_ns": 1, "starts": "x"}'
        )
    board.live(3, online=False, pictures=False)
    assert len(board.restarted) >= 1
