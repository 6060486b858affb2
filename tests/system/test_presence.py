"""`central fleet list` says when each station was last heard, by what the broker keeps and what the ledger has."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from paho.mqtt.client import MQTTv311
from paho.mqtt.publish import multiple

from central.__main__ import main
from central.fleet.presence import Presence, presence_of
from central.fleet.registry import Fleet
from central.ledgers.sqlite import SqliteLedger
from kiosk.delivery import wire
from kiosk.model import Entry

HOUR_S = 3600
NOW_S = int(time.time())


def _status(state: str, age_s: int | None, clock: str = "synced") -> bytes:
    at = {} if age_s is None else {"at": {"wall_ns": (NOW_S - age_s) * 1_000_000_000, "clock": clock}}
    return json.dumps({"v": 1, "state": state, **at}).encode()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (_status("online", 60), Presence("online", NOW_S - 60)),
        (_status("online", 60, "estimated"), Presence("online", NOW_S - 60)),
        (_status("online", 60, "unset"), Presence("online", 0)),
        (_status("lost", None), Presence("lost", 0)),
        (_status("stopped", -9 * HOUR_S), Presence("stopped", NOW_S)),
        (_status("\x1b[2J", 60), Presence("", NOW_S - 60)),
        (b'{"state": ["online"], "at": 5}', Presence()),
        (b'{"state": "online", "at": {"wall_ns": true}}', Presence("online")),
        (b'{"state": "online", "at": {"wall_ns": -5}}', Presence("online")),
        (b'{"state": "online", "at": {"wall_ns": 1e400}}', Presence("online")),
        (b"[]", Presence()),
        (b"", Presence()),
        (b"\xff", Presence()),
        (b"[" * 60_000, Presence()),
        (b'{"at": {"wall_ns": ' + b"9" * 5000 + b"}}", Presence()),
    ],
    ids=[  # not the status itself: it has the second in which this file was read, which two workers need not share
        "online",
        "estimated",
        "unset",
        "lost",
        "ahead",
        "control",
        "list",
        "true",
        "negative",
        "endless",
        "no-map",
        "empty",
        "no-text",
        "deep",
        "long",
    ],
)
def test_status_is_believed_as_far_as_it_is_sane(status: bytes, said: Presence) -> None:
    """Known words and times that are not to come; whatever else the broker holds says nothing, and never crashes."""
    assert presence_of(status, NOW_S) == said


def test_list_says_who_is_silent(
    broker: Any, tmp_path: Path, make_entry: Callable[..., Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has been silent for longest comes first, by whichever of the two is newer; filters leave out the rest."""
    fleet = ["--fleet", str(tmp_path / "fleet")]
    assert main(["ca", "init", *fleet]) == 0
    with Fleet(tmp_path / "fleet" / "fleet.db") as registry:
        for name in ("door-a", "door-b", "door-c", "door-d"):
            registry.invite(name, "office", (("main", "in"),), "b:1", "b:2", HOUR_S)
        registry.revoke("door-c")
    ledger = SqliteLedger(tmp_path / "ledger.db")
    entry, outbox = make_entry(1), UUID(int=5)
    body = wire.encode_batch(entry.kiosk, outbox, [(1, wire.encode_entry(entry))]).replace(
        json.dumps(entry.kiosk).encode(), b'"door-a"'
    )
    ledger.store([wire.decode_batch(body)], [], (NOW_S - 5 * HOUR_S) * 1_000_000_000)
    ledger.close()
    told = {"door-a": _status("lost", None), "door-b": _status("online", 60), "door-c": _status("stopped", 9 * HOUR_S)}
    multiple(
        [(wire.status_topic(kiosk), status, 1, True) for kiosk, status in told.items()],
        "127.0.0.1", int(broker.url.rsplit(":", 1)[1]), protocol=MQTTv311,
    )  # fmt: skip
    capsys.readouterr()

    def listed(*words: str) -> list[list[str]]:
        assert main(["fleet", "list", *fleet, *words]) == 0
        return [[line.split()[0], line.split()[5]] for line in capsys.readouterr().out.splitlines()[1:]]

    both = ["--at-broker", broker.url, "--ledger", str(tmp_path / "ledger.db")]
    assert listed(*both) == [["door-d", "-"], ["door-c", "stopped"], ["door-a", "lost"], ["door-b", "online"]]
    assert listed(*both, "--silent-hours", "6") == [["door-d", "-"], ["door-c", "stopped"]]
    assert listed(*both, "--silent-hours", "4", "--state", "invited") == [["door-d", "-"], ["door-a", "lost"]]
    assert [kiosk for kiosk, _ in listed(*both[2:])] == ["door-b", "door-c", "door-d", "door-a"]
    assert [kiosk for kiosk, _ in listed()] == ["door-a", "door-b", "door-c", "door-d"]


def test_broker_that_does_not_tell_is_named(
    fleet_broker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operator's certificate is let in and reads statuses; without one, or with nobody there, it is a sentence."""
    fleet_broker.identity("central-operator")
    files = fleet_broker.files("central-operator")
    words = [part for name, file in files.items() for part in (f"--{name.replace('_', '-')}", file)]
    fleet = ["--fleet", str(tmp_path / "fleet")]
    assert main(["ca", "init", *fleet]) == 0
    assert main(["fleet", "list", *fleet, "--at-broker", fleet_broker.url, *words]) == 0
    for url, given in ((fleet_broker.url, words[:2]), ("mqtt://127.0.0.1:9", [])):
        capsys.readouterr()
        assert main(["fleet", "list", *fleet, "--at-broker", url, *given]) != 0
        assert url in capsys.readouterr().err
