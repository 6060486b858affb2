"""A bundle by Debian's own RAUC: what a station takes, and what it refuses before a byte is written."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from imaging import bundle, disk, release, signing
from imaging.host import HostError

from kiosk import __version__

ROOT = Path(__file__).resolve().parents[3]
BIN = ROOT / "image-build" / "overlay" / "station" / "usr" / "lib" / "kiosk" / "bin"
VERSION = "0.1.0+20261124213755"


def _signer(keys: Path, authority: Path | None = None) -> bundle.Signer:
    return bundle.Signer(keys / "update.key", keys / "update.pem", (authority or keys) / "update-ca.pem")


def _folder(place: Path) -> Path:
    place.mkdir()
    (place / "boot.vfat").write_bytes(os.urandom(64 * 1024))
    (place / "root.ext4").write_bytes(os.urandom(256 * 1024))
    return place


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet's keys."""
    folder = tmp_path_factory.mktemp("keys")
    signing.make(folder)
    return folder


@pytest.fixture(scope="module")
def made(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of that fleet."""
    place = tmp_path_factory.mktemp("bundle")
    return bundle.pack(_folder(place / "content"), "virt", VERSION, _signer(keys), place / "kiosk.raucb")


def _extracted(path: Path, keys: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """What RAUC says when it reads all of a bundle as a station would."""
    conf = place / "system.conf"
    conf.write_text(
        "[system]\ncompatible=kiosk-virt\nbootloader=noop\nbundle-formats=verity\n"
        f"[keyring]\npath={keys / 'update-ca.pem'}\ncheck-purpose=codesign\n"
    )
    argv = ["rauc", "-c", str(conf), "extract", str(path), str(place / "out")]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_bundle_says_what_it_is(made: Path, keys: Path) -> None:
    """RAUC reads board, version, the form verity and both images from a bundle that the fleet's key signed."""
    said = bundle.check(made, keys / "update-ca.pem", "virt")
    for part in ("'kiosk-virt'", VERSION, "verity", "boot.vfat", "root.ext4", "post-install", "kiosk updates: signer"):
        assert part in said


@pytest.mark.slow
def test_bundle_is_whole(made: Path, keys: Path, tmp_path: Path) -> None:
    """What comes out of a bundle is what went in."""
    done = _extracted(made, keys, tmp_path)
    assert done.returncode == 0, done.stderr
    content = made.parent / "content"
    for name in ("boot.vfat", "root.ext4", "hook"):
        assert (tmp_path / "out" / name).read_bytes() == (content / name).read_bytes()


@pytest.mark.slow
def test_foreign_key_is_refused(keys: Path, tmp_path: Path) -> None:
    """A bundle of another fleet's key is refused, when it is made against our authority and when a station reads it."""
    others = tmp_path / "others"
    signing.make(others)
    content = _folder(tmp_path / "content")
    with pytest.raises(HostError, match="signature verification failed"):
        bundle.pack(content, "virt", VERSION, _signer(others, keys), tmp_path / "never.raucb")
    assert not (tmp_path / "never.raucb").exists()
    foreign = bundle.pack(content, "virt", VERSION, _signer(others), tmp_path / "foreign.raucb")
    done = _extracted(foreign, keys, tmp_path)
    assert done.returncode != 0
    assert "signature verification failed" in done.stderr


@pytest.mark.slow
def test_authority_itself_signs_no_bundle(keys: Path, tmp_path: Path) -> None:
    """Only a certificate for code signing signs: the authority's own is refused."""
    signer = bundle.Signer(keys / "update-ca.key", keys / "update-ca.pem", keys / "update-ca.pem")
    with pytest.raises(HostError, match=r"unsuitable certificate purpose|signature verification failed"):
        bundle.pack(_folder(tmp_path / "content"), "virt", VERSION, signer, tmp_path / "never.raucb")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["first byte", "payload", "hashes", "manifest", "last byte"])
def test_flipped_byte_is_refused(made: Path, keys: Path, tmp_path: Path, place: str) -> None:
    """One changed bit anywhere in a bundle, and a station refuses it."""
    content = bytearray(made.read_bytes())
    signature_bytes = int.from_bytes(content[-8:], "big")
    at = {
        "first byte": 0,
        "payload": 100_000,
        "hashes": len(content) - 8 - signature_bytes - 1000,
        "manifest": content.rindex(b"compatible=kiosk-virt"),
        "last byte": len(content) - 1,
    }[place]
    content[at] ^= 1
    flipped = tmp_path / "flipped.raucb"
    flipped.write_bytes(content)
    assert _extracted(flipped, keys, tmp_path).returncode != 0


@pytest.mark.slow
def test_update_is_believed_by_a_clock_that_was_never_set(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAUC knows the machine's clock alone: the certificates were valid on whatever day systemd, here and there, was built."""
    day_s = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp())
    argv = ["openssl", "verify", "-attime", str(day_s), "-CAfile"]
    subprocess.run([*argv, str(keys / "update-ca.pem"), str(keys / "update.pem")], check=True, timeout=60)
    monkeypatch.setattr(signing, "BEGINS", datetime.now(UTC) + timedelta(days=1))
    signing.make(tmp_path / "later")
    content = _folder(tmp_path / "content")
    with pytest.raises(HostError, match="not yet valid"):
        bundle.pack(content, "virt", VERSION, _signer(tmp_path / "later"), tmp_path / "kiosk.raucb")


def test_keys_are_made_once(tmp_path: Path) -> None:
    """Private halves are readable by their owner alone, and nothing is overwritten."""
    signing.make(tmp_path)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in signing.NAMES] == [0o600, 0o644, 0o600, 0o644]
    before = (tmp_path / "update.key").read_bytes()
    with pytest.raises(HostError, match="is not overwritten"):
        signing.make(tmp_path)
    assert (tmp_path / "update.key").read_bytes() == before


def test_missing_key_names_the_verb_that_makes_it(tmp_path: Path) -> None:
    """Whoever has no key is told how to make one."""
    with pytest.raises(HostError, match="make update-keys"):
        bundle.pack(tmp_path, "virt", VERSION, _signer(tmp_path), tmp_path / "never.raucb")


def test_partition_is_cut_from_the_card(tmp_path: Path) -> None:
    """What is packed is the image's partition, bit for bit."""
    part = next(part for part in disk.plan() if part.number == 2)
    content = os.urandom(3 * disk.MIB)
    with (tmp_path / "card").open("wb") as file:
        file.truncate(disk.size_mib() * disk.MIB)
        file.seek(part.start_mib * disk.MIB)
        file.write(content)
    bundle.cut(tmp_path / "card", 2, tmp_path / "boot.vfat")
    cut = (tmp_path / "boot.vfat").read_bytes()
    assert len(cut) == part.size_mib * disk.MIB
    assert cut.rstrip(b"\0") == content.rstrip(b"\0")


def test_build_is_marked(tmp_path: Path) -> None:
    """An image knows its version and takes bundles of its own board alone."""
    conf = tmp_path / "etc" / "rauc" / "system.conf"
    conf.parent.mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "kiosk").mkdir(parents=True)
    conf.write_text((ROOT / "image-build/overlay/station/etc/rauc/system.conf").read_text("utf-8"))
    release.stamp(tmp_path, "pi4", 1_795_556_275)
    assert (tmp_path / release.VERSION_FILE).read_text("utf-8").startswith(f"{__version__}+2026")
    assert (tmp_path / release.BOARD_FILE).read_text("utf-8") == "pi4\n"
    assert "compatible=kiosk-pi4\n" in conf.read_text("utf-8")
    with pytest.raises(HostError, match="kiosk-station"):
        release.stamp(tmp_path, "pi4", 1_795_556_275)


@pytest.mark.parametrize(
    ("running", "offered", "current", "word"),
    [
        ("0.1.0+20261124213755", "0.1.0+20261124213756", "A", "may replace"),
        ("0.1.0+20261124213755", "0.1.0+20261124213755", "A", "may replace"),
        ("0.9.0+20261124213755", "0.10.0+20260101000000", "A", "may replace"),
        ("0.1.0+20261124213755", "0.1.0+20261124213754", "A", "older"),
        ("0.10.0+20260101000000", "0.9.0+20261124213755", "A", "older"),
        ("1.0.0+20260101000000", "0.10.10+20271124213755", "A", "older"),
        ("0.1.0+20261124213755", "7", "A", "no version"),
        ("0.1.0+20261124213755", "", "A", "no version"),
        ("", "0.1.0+20261124213755", "A", "no version"),
        ("0.1.0+20261124213755", "0.1.0+20261124213756", "B", "on trial"),
    ],
)
def test_older_version_is_refused(tmp_path: Path, running: str, offered: str, current: str, word: str) -> None:
    """RAUC's handler lets a newer or the same build pass and no other, and none while a version is on trial."""
    (tmp_path / "version").write_text(f"{running}\n")
    (tmp_path / "manifest.raucm").write_text(bundle.manifest("virt", offered))
    tryboot = tmp_path / "tryboot"
    tryboot.write_text(f'#!/bin/sh\n[ "$1" = get-current ] && echo {current} || echo A\n')
    tryboot.chmod(0o755)
    env = os.environ | {
        "KIOSK_VERSION_FILE": str(tmp_path / "version"),
        "KIOSK_TRYBOOT": str(tryboot),
        "RAUC_BUNDLE_MOUNT_POINT": str(tmp_path),
    }
    argv = [str(BIN / "check-update")]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=30)
    assert word in done.stdout + done.stderr
    assert (done.returncode == 0) is (word == "may replace")


@pytest.mark.parametrize(("slot", "root"), [("boot.0", 5), ("boot.1", 6), ("rootfs.1", 5)])
def test_each_slot_boots_its_own_root(tmp_path: Path, slot: str, root: int) -> None:
    """The bundle's hook names the slot's root on the kernel's command line, and touches nothing else."""
    before = (ROOT / "image-build" / "boot" / "cmdline.txt").read_text("ascii").replace("@ROOT@", "5")
    line = tmp_path / "cmdline.txt"
    line.write_text(before)
    env = os.environ | {"RAUC_SLOT_NAME": slot, "RAUC_SLOT_MOUNT_POINT": str(tmp_path)}
    subprocess.run([str(bundle.HOOK), "slot-post-install"], env=env, check=True, timeout=30)
    assert line.read_text() == before.replace("p5 ", f"p{root} ")


def test_hook_refuses_a_line_without_a_root(tmp_path: Path) -> None:
    """A command line that names no root would boot nothing: the installation fails while nothing boots from it."""
    (tmp_path / "cmdline.txt").write_text("quiet\n")
    env = os.environ | {"RAUC_SLOT_NAME": "boot.1", "RAUC_SLOT_MOUNT_POINT": str(tmp_path)}
    argv = [str(bundle.HOOK), "slot-post-install"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert "names no root" in done.stderr


@pytest.mark.parametrize(
    ("kernels", "rauc"),
    [(["6.12.47+rpt-rpi-v8", "6.19.1+rpt-rpi-v8"], "1.13-3+deb13u1"), (["7.3.4+deb13-arm64"], "1.15.1-1")],
)
def test_image_that_could_never_be_updated_is_not_built(kernels: list[str], rauc: str) -> None:
    """A kernel that says more than its RAUC takes is found out before the card is at a door."""
    with pytest.raises(HostError, match="never be updated"):
        release.check_updatable(kernels, rauc)
    release.check_updatable(kernels, "1.15.2-1")
    release.check_updatable(["6.12.47+rpt-rpi-v8"], rauc)
