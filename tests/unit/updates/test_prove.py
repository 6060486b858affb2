"""When a new version is kept, and when the station goes back to the one before."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kiosk import health
from kiosk.commands import prove as command
from kiosk.config import Config
from kiosk.updates.prove import FRAMES, LONGEST_S, WELL_OFFLINE_S, Seen, Trial, judge

WELL = Seen(frames=(FRAMES, FRAMES + 7), faults=False, receipt=False, uplink=True)


def test_frames_and_a_receipt_are_proof() -> None:
    """With frames decoded on every lane and a receipt of the centre, the version is kept at once."""
    assert judge(Seen((FRAMES,), faults=False, receipt=True, uplink=True), 5.0, 5.0) is Trial.PROVED


def test_ten_well_minutes_without_a_centre_are_proof() -> None:
    """A network that is down fails no update: ten minutes of work without a fault are enough."""
    assert judge(WELL, WELL_OFFLINE_S - 1, 0.0) is Trial.GOES_ON
    assert judge(WELL, WELL_OFFLINE_S, 0.0) is Trial.PROVED


@pytest.mark.parametrize(
    "seen",
    [
        Seen((), faults=False, receipt=True, uplink=True),
        Seen((FRAMES, None), faults=False, receipt=True, uplink=True),
        Seen((FRAMES - 1,), faults=False, receipt=True, uplink=True),
        Seen((FRAMES,), faults=True, receipt=True, uplink=True),
        Seen((FRAMES,), faults=False, receipt=True, uplink=False),
    ],
    ids=["no lane", "a dead lane", "a stalled camera", "a fault", "a dead uplink"],
)
def test_less_is_no_proof_and_ends(seen: Seen) -> None:
    """A receipt does not hide a part that does not work, and the trial ends after twenty minutes."""
    assert judge(seen, 60.0, None) is Trial.GOES_ON
    assert judge(seen, LONGEST_S, None) is Trial.FAILED


def test_command_believes_what_the_processes_leave(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kiosk prove` ends with 0 on fresh marks of frames and a receipt, and with 1 where they are missing."""
    monkeypatch.setattr(command, "LOOK_EVERY_S", 0.01)
    config = make_config()
    file = tmp_path / "kiosk.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    arguments = argparse.Namespace(config=file)
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    marks = {"written_boot_ns": now_ns, "frames": FRAMES, "fault": ""}
    health.write_marks(config.state.runtime_dir, f"scan-{config.lanes[0].name}", marks)
    health.write_marks(config.state.runtime_dir, "uplink", {"written_boot_ns": now_ns, "last_receipt_boot_ns": now_ns})
    assert command.run(arguments) == 0
    monkeypatch.setattr("kiosk.updates.prove.LONGEST_S", 0.0)
    (config.state.runtime_dir / "uplink.json").unlink()
    assert command.run(arguments) == 1
