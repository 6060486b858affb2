"""What an image takes from this machine is given back, and is not taken from another build beside it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from imaging import host


def test_builds_beside_each_other_keep_their_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has an entry of its own in the kernel's table; one that a killed build has left is removed, one in use is not."""
    for name in ("register", f"kiosk-aarch64-{os.getppid()}", "kiosk-aarch64-4194305", "kiosk-aarch64"):
        (tmp_path / name).write_text("enabled", "ascii")
    monkeypatch.setattr(host, "BINFMT", tmp_path)
    monkeypatch.setattr(host, "QEMU_USER", ("/bin/sh",))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with host.foreign_programs():
        told = (tmp_path / "register").read_text("ascii")
        assert told.startswith(f":kiosk-aarch64-{os.getpid()}:M::\\x7f\\x45\\x4c\\x46")
        assert told.endswith(":/bin/sh:OPF")
    ended = {path.name for path in tmp_path.iterdir() if path.read_text("ascii") == "-1"}
    assert ended == {f"kiosk-aarch64-{os.getpid()}", "kiosk-aarch64-4194305"}
