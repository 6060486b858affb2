"""Whatever lies in a folder that another one may write: it is a plain, small file, or an error at once."""

from __future__ import annotations

import json
import os
import socket
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from kiosk import health
from kiosk.clock import SystemClock
from kiosk.commissioning import provision, wifi
from kiosk.config import Config
from kiosk.disk import shared
from kiosk.orders import errand
from kiosk.service import bundle
from kiosk.updates import updating


def _socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as bound:
        bound.bind(str(path))


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to("/etc/hostname"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a folder": lambda path: path.mkdir(),
    "a file without end": _huge,
}
"""What a service that was taken over can put in a file's place."""


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Makes one of them in a file's place."""

    def make(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        ODD[request.param](path)
        return path

    return make


def test_odd_file_is_an_error_at_once(
    tmp_path: Path, odd: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is followed, waited for or read without end."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with pytest.raises(OSError, match=r"odd|Too many|No such device"):
        shared.read(odd(Path("odd")))


def test_every_reader_takes_it_for_nothing(
    odd: Callable[[Path], Path], make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Marks, errands' volume, a code that waits, the state of a wish for Wi-Fi, an update's order: each goes on without."""
    monkeypatch.chdir(tmp_path)
    config = make_config(state={"dir": "s", "runtime_dir": "r"})
    run, state = config.state.runtime_dir, config.state.dir
    odd(run / "uplink.json")
    assert health.read_marks(run, "uplink", 60.0) is None
    odd(run / provision.SPOOL)
    assert provision.spooled(run) is None
    odd(run / wifi.MARK)
    assert wifi._state_of(run, "x") == ""
    odd(state / "update" / updating.ORDER)
    assert updating.small_file(state / "update" / updating.ORDER) is None
    odd(state / errand._VOLUME)
    assert errand.sound_of(config) == config.sound


def test_bundle_takes_nothing_from_elsewhere(
    odd: Callable[[Path], Path], make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is mailed away holds no file of root's that a service has linked to; it says what it has left out."""
    monkeypatch.chdir(tmp_path)
    config = make_config(state={"dir": "s", "runtime_dir": "r"})
    odd(config.state.runtime_dir / "scan-main.json")
    names = bundle.write(Path("b.zip"), config, None, SystemClock().now())
    assert "marks/scan-main.json.refused" in names
    with zipfile.ZipFile("b.zip") as packed:
        assert len(packed.read("marks/scan-main.json.refused")) < 200


def test_marks_are_written_through_no_name_that_was_prepared(tmp_path: Path) -> None:
    """A link under the old temporary name, and one in the marks' own place: what they lead to stays as it was."""
    treasure = tmp_path / "shadow"
    treasure.write_text("root's")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("provision.tmp", "provision.json"):
        (run / name).symlink_to(treasure)
    health.write_marks(run, "provision", {"written_boot_ns": 1})
    assert treasure.read_text() == "root's"
    assert json.loads((run / "provision.json").read_text()) == {"written_boot_ns": 1}
    assert stat.S_IMODE((run / "provision.json").lstat().st_mode) == 0o640
    assert sorted(path.name for path in run.iterdir()) == ["provision.json", "provision.tmp"]


def test_failed_replacement_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor a fresh one beside it."""
    (tmp_path / "here").mkdir()
    with pytest.raises(OSError, match="directory"):
        shared.replace(tmp_path / "here", b"x", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
