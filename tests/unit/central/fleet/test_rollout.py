"""A roll-out: who is told when, and when nobody is any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.fleet import rollout
from central.fleet.rollout import AGAIN_S, Rollout, Seen, bucket, note_sent, rings_of, seen_of, turn
from kiosk.envelopes.offer import Offer
from kiosk.errors import ConfigError

OLD, NEW = "0.1.0+20261124213755", "0.2.0+20261201000000"
OFFER = Offer(NEW, "https://updates.example/kiosk-pi4.raucb", bytes(32), 1000)
NOW_S = 1_800_000_000
START = Rollout(OFFER, "pi4", (1, 10, 100), most_failed=1, patience_s=3 * 86_400)
QUIET = Seen(online=True, board="pi4", version=OLD, order="", state="none", reason="")
FLEET = {f"kiosk-{number}": QUIET for number in range(300)}


def _told(stands: Rollout, kiosks: tuple[str, ...], now_s: int = NOW_S) -> Rollout:
    for kiosk in kiosks:
        stands = note_sent(stands, kiosk, f"order-{kiosk}", now_s)
    return stands


def _now(fleet: dict[str, Seen], kiosks: tuple[str, ...], **changes: Any) -> dict[str, Seen]:
    """The fleet with these stations changed; their order is the one that they were sent."""
    return fleet | {kiosk: replace(fleet[kiosk], order=f"order-{kiosk}", **changes) for kiosk in kiosks}


def test_rings_follow_each_other_by_proof() -> None:
    """A hundredth first; a tenth when all of that have proved it; all the others when all of those have."""
    fleet, stands, sizes = FLEET, START, []
    for ring in range(3):
        one = turn(stands, fleet, NOW_S)
        assert one.ring == ring
        assert not one.done
        sizes.append(len(one.tell))
        stands = _told(one.rollout, one.tell)
        fleet = _now(fleet, one.tell, state="waiting")
        assert turn(stands, fleet, NOW_S).tell == ()
        fleet = _now(fleet, one.tell, state="on-trial", version=NEW)
        assert turn(stands, fleet, NOW_S).tell == ()
        fleet = _now(fleet, one.tell, state="proved", version=NEW)
    assert sum(sizes) == 300
    assert 0 < sizes[0] <= 9
    assert 10 <= sizes[1] <= 50
    last = turn(stands, fleet, NOW_S)
    assert last.done
    assert len(last.rollout.proved) == 300


@given(st.sets(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=40))
def test_somebody_always_goes_first(kiosks: set[str]) -> None:
    """A small fleet's first ring has a station, and each station has one ring, however often one asks."""
    rings = rings_of(START, kiosks)
    assert rings.keys() == kiosks
    assert 0 in rings.values()
    assert rings == rings_of(START, kiosks)


def test_it_is_not_always_the_same_door() -> None:
    """Another version has another first ring."""
    firsts = [min((bucket(version, kiosk), kiosk) for kiosk in FLEET)[1] for version in (OLD, NEW, "0.3.0+1")]
    assert len(set(firsts)) > 1


def test_failures_halt_it() -> None:
    """One failure is borne, the second halts: nobody is told any more, also when nothing is seen of it later."""
    one = turn(replace(START, rings=(10, 100)), FLEET, NOW_S)
    stands = _told(one.rollout, one.tell)
    fleet = _now(FLEET, one.tell[:1], state="failed", reason="no room")
    assert turn(stands, fleet, NOW_S).rollout.halted == ""
    fleet = _now(_now(fleet, one.tell[2:], state="proved", version=NEW), one.tell[1:2], state="failed")
    halted = turn(stands, fleet, NOW_S)
    assert halted.rollout.halted == "2 failed, 1 are borne"
    assert halted.rollout.failed[one.tell[0]] == "no room"
    assert halted.tell == ()
    assert turn(halted.rollout, FLEET, NOW_S).tell == ()


def test_borne_failure_holds_nobody_up() -> None:
    """The next ring begins although one of the last has failed within what is borne."""
    one = turn(START, FLEET, NOW_S)
    fleet = _now(_now(FLEET, one.tell, state="proved", version=NEW), one.tell[:1], state="failed", version=OLD)
    assert turn(_told(one.rollout, one.tell), fleet, NOW_S).ring == 1


def test_silence_after_an_order_is_a_failure() -> None:
    """A station that was told and never came back holds its ring, and counts as failed when patience is over."""
    one = turn(START, FLEET, NOW_S)
    stands = _told(one.rollout, one.tell)
    fleet = _now(_now(FLEET, one.tell, state="proved", version=NEW), one.tell[:1], online=False, version=OLD)
    waiting = turn(stands, fleet, NOW_S + START.patience_s)
    assert (waiting.ring, waiting.tell) == (0, ())
    later = turn(stands, fleet, NOW_S + START.patience_s + 1)
    assert later.rollout.failed == {one.tell[0]: "it has not proved the version in time"}
    assert later.ring == 1


def test_station_that_is_away_is_told_when_it_is_back() -> None:
    """Who is away holds nobody up, and is not forgotten."""
    one = turn(START, FLEET, NOW_S)
    away = one.tell[0]
    fleet = FLEET | {away: replace(QUIET, online=False)}
    assert away not in turn(START, fleet, NOW_S).tell
    fleet = {kiosk: replace(seen, version=NEW) for kiosk, seen in fleet.items() if kiosk != away} | {away: fleet[away]}
    assert turn(START, fleet, NOW_S).done
    assert turn(START, fleet | {away: QUIET}, NOW_S).tell == (away,)


def test_lost_order_is_sent_anew() -> None:
    """An order that a station does not tell of after a quarter of an hour was lost."""
    one = turn(START, FLEET, NOW_S)
    stands = _told(one.rollout, one.tell)
    assert turn(stands, FLEET, NOW_S + AGAIN_S - 1).tell == ()
    again = turn(stands, FLEET, NOW_S + AGAIN_S)
    assert again.tell == one.tell
    stands = _told(stands, again.tell, NOW_S + AGAIN_S)
    assert stands.sent[one.tell[0]].first_s == NOW_S


def test_other_boards_and_machines_without_an_image_are_passed_over() -> None:
    """A Pi 5 is not told of a Pi 4's update, and neither is a laptop."""
    fleet = {"a": replace(QUIET, board="pi5"), "b": replace(QUIET, board="")}
    assert turn(START, fleet, NOW_S).tell == ()


def test_station_that_has_it_already_is_not_told() -> None:
    """Whoever got a new card runs the version already."""
    fleet = {"a": replace(QUIET, version=NEW), "b": QUIET}
    one = turn(replace(START, rings=(100,)), fleet, NOW_S)
    assert one.tell == ("b",)
    assert one.rollout.proved == ("a",)


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"state": "lost"},
        {"state": "online", "update": 7},
        {"state": "online", "update": {"board": ["x"], "reason": "x" * 9999}},
    ],
)
def test_status_is_believed_nothing(status: dict[str, object]) -> None:
    """Whatever stands in a status, it is read without a fault and without an end."""
    seen = seen_of(status)
    assert len(seen.reason) <= 200
    assert seen.online is (status.get("state") == "online")


def test_file_keeps_all_of_it(tmp_path: Path) -> None:
    """What is saved is what is loaded; a damaged file and a missing one say what to do."""
    path = tmp_path / "rollout.json"
    one = turn(START, FLEET, NOW_S)
    stands = replace(_told(one.rollout, one.tell), failed={"a": "b"}, proved=("c",), halted="by hand")
    rollout.save(path, stands)
    assert rollout.load(path) == stands
    for content in (b"", b"{}", b"[]", b'{"v": 1}', path.read_bytes().replace(b"https", b"http")):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="is damaged"):
            rollout.load(path)
    path.unlink()
    with pytest.raises(ConfigError, match="central update publish"):
        rollout.load(path)
    with pytest.raises(ConfigError, match="name another file"):
        rollout.save(tmp_path / "nowhere" / "rollout.json", stands)
