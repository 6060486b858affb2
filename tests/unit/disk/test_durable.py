"""Small files survive a power cut whole, and nobody reads them who should not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kiosk.disk import durable

if TYPE_CHECKING:
    from pathlib import Path


def test_durable_file_is_the_old_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails while it is written leaves the old content and no litter."""
    path = tmp_path / "file"
    durable.replace(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input"):
        durable.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_mode_is_what_was_asked_for(tmp_path: Path) -> None:
    """Whatever the umask, and whatever a power cut left in the way: a key is never readable by others for a moment."""
    path, litter = tmp_path / "key", tmp_path / ".key.new"
    litter.write_bytes(b"half of a")
    litter.chmod(0o666)
    left = litter.stat().st_ino
    with litter.open("rb") as opened_by_another:
        durable.replace(path, b"key", 0o640)
        assert opened_by_another.read() == b"half of a"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"key", 0o640)
    assert path.stat().st_ino != left
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what belongs to another")
def test_what_root_writes_belongs_to_the_folder(tmp_path: Path) -> None:
    """A technician's `sudo` does not lock the services out of their own files."""
    os.chown(tmp_path, 65534, 65533)
    durable.replace(tmp_path / "file", b"x")
    assert ((tmp_path / "file").stat().st_uid, (tmp_path / "file").stat().st_gid) == (65534, 65533)
