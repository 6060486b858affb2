"""From where an image's packages come, and by whose signature they are believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from imaging import host

FOLDER = Path(__file__).resolve().parents[3] / "image-build"


def test_missing_keyring_is_named_with_its_source(tmp_path: Path) -> None:
    """Before apt says NO_PUBKEY after minutes: the file, where it comes from, the fingerprint it must have, and the other way."""
    file = tmp_path / "archives.yaml"
    line = "deb [signed-by=/nowhere/raspberrypi-archive-keyring.gpg] http://mirror.example/raspberrypi trixie main"
    file.write_text(f"raspberrypi:\n  - {line}\n")
    with pytest.raises(host.HostError) as caught:
        host.check_keyrings(host.archives(file)["raspberrypi"], file)
    for part in (
        "/nowhere/raspberrypi-archive-keyring.gpg",
        str(file),
        "rpi-image-gen",
        host.RPI_FINGERPRINT,
        "ARCHIVES=FILE",
    ):
        assert part in str(caught.value)
    assert host.RPI_FINGERPRINT in (FOLDER.parent / "docs" / "image.md").read_text("utf-8").replace(" ", "")
    debian = [line.replace("/raspberrypi", "/debian")]
    with pytest.raises(host.HostError, match="apt-get install debian-archive-keyring"):
        host.check_keyrings(debian, file)


def test_keyring_may_lie_beside_the_list(tmp_path: Path) -> None:
    """A path without a slash before it is one of the list's folder; an absolute one stays, and so does what apt reads besides."""
    file = tmp_path / "archives.yaml"
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "rpi.gpg").touch()
    file.write_text(
        "raspberrypi:\n  - deb [arch=arm64 signed-by=keys/rpi.gpg check-valid-until=no] http://a.example trixie main\n"
    )
    (line,) = host.archives(file)["raspberrypi"]
    assert (
        line == f"deb [arch=arm64 signed-by={tmp_path}/keys/rpi.gpg check-valid-until=no] http://a.example trixie main"
    )
    host.check_keyrings([line, "deb [trusted=yes] file:///mirror trixie main"], file)


def test_shipped_list_says_by_whom_each_archive_is_signed() -> None:
    """No line is taken on trust."""
    lists = host.archives(FOLDER / "archives.yaml")
    assert {"debian", "backports", "raspberrypi", "builder"} <= set(lists)
    assert all("signed-by=/usr/share/keyrings/" in line for lines in lists.values() for line in lines)
