"""What each board's firmware finds on a card: judged on folders filled from made-up packages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from imaging import boot, disk
from imaging.host import HostError
from imaging.layers import read_board

FOLDER = Path(__file__).resolve().parents[3] / "image-build"
REAL = sorted(path.stem for path in (FOLDER / "config").glob("*.yaml") if read_board(FOLDER, path.stem).real)
FIRMWARE = ("bootcode.bin", *(f"{name}{kind}.{end}" for name, end in (("start", "elf"), ("fixup", "dat")) for kind in
            ("", "4", "4cd", "4db", "4x", "_cd", "_db", "_x")))  # fmt: skip
TREES = (
    "bcm2710-rpi-3-b.dtb", "bcm2710-rpi-zero-2-w.dtb", "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2712-rpi-5-b.dtb",
    "bcm2712d0-rpi-5-b.dtb",
)  # fmt: skip
OLD, NEW = "6.12.9+rpt-rpi-v8", "6.12.34+rpt-rpi-v8"


def packages(root: Path, *, missing: str = "") -> Path:
    """A root file system as the maker's packages leave it: two kernels, each initramfs, and the copies that hooks made."""
    files = [f"usr/lib/raspi-firmware/{name}" for name in FIRMWARE]
    for version in (OLD, NEW):
        trees = f"usr/lib/linux-image-{version}"
        files += [f"boot/vmlinuz-{version}", f"boot/initrd.img-{version}", f"{trees}/overlays/overlay_map.dtb"]
        files += [f"{trees}/broadcom/{name}" for name in TREES]
        files += [f"{trees}/overlays/{name}.dtbo" for name in (*boot.OVERLAYS, "w1-gpio")]
    files += ["boot/firmware/kernel8.img", "boot/firmware/initramfs8", "boot/vmlinuz-6.12.34+rpt-rpi-2712"]
    for name in files:
        if not missing or Path(name).name != missing:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
    return root


def filled(board: str, root: Path, target: Path) -> tuple[Path, Path, Path]:
    """The three FAT folders of a board's card."""
    folders = (target / "first", target / "boot-a", target / "boot-b")
    for folder in folders:
        folder.mkdir(parents=True)
    boot.first(board, root, folders[0])
    for folder in folders[1:]:
        boot.slot(board, root, folder)
    boot.command_lines(list(folders[1:]))
    return folders


def names(folder: Path) -> set[str]:
    """Of its files, without the overlays'."""
    return {path.name for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("board", "first", "slot"),
    [
        ("pi4", set(), {"start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb"}),
        ("pi5", set(), {"bcm2712-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb"}),
        ("zero2w", {"bootcode.bin", "config.txt"}, {"start.elf", "fixup.dat", "bcm2710-rpi-zero-2-w.dtb"}),
    ],
)
def test_firmware_finds_what_it_needs_and_nothing_else(
    tmp_path: Path, board: str, first: set[str], slot: set[str]
) -> None:
    """One kernel, the newest; no initial file system; the ROM's file on partition 1 of a Zero 2 W and nowhere else."""
    folders = filled(board, packages(tmp_path / "root"), tmp_path / "card")
    assert names(folders[0]) == {"autoboot.txt", "README.txt"} | first
    if "config.txt" in first:
        assert (folders[0] / "config.txt").read_bytes() == b""
    for folder, number in zip(folders[1:], "56", strict=True):
        assert names(folder) == {"vmlinuz", "config.txt", "cmdline.txt"} | slot
        assert (folder / "vmlinuz").read_text() == f"boot/vmlinuz-{NEW}"
        assert f" root=/dev/mmcblk0p{number} " in (folder / "cmdline.txt").read_text()
        assert {path.name for path in (folder / "overlays").iterdir()} >= {"overlay_map.dtb", "imx708.dtbo", "cma.dtbo"}
        assert "kernel=vmlinuz\n" in (folder / "config.txt").read_text()


def test_every_real_board_has_its_files_named() -> None:
    """A board without an entry would have no firmware, no device tree."""
    assert sorted(boot.BOARDS) == REAL


def needed(board: str) -> list[str]:
    """Everything without which a board's build must end."""
    wants = boot.BOARDS[board]
    rom = ["bootcode.bin"] if wants.rom else []
    overlays = [f"{name}.dtbo" for name in boot.OVERLAYS]
    return [*wants.firmware, wants.device_tree, *overlays, "overlay_map.dtb", *rom]


@pytest.mark.parametrize(("board", "name"), [(board, name) for board in REAL for name in needed(board)])
def test_missing_file_ends_the_build_with_its_name(tmp_path: Path, board: str, name: str) -> None:
    """Also one that is there and empty: a card that does not start is found here and not at the door."""
    with pytest.raises(HostError, match=re.escape(name)):
        filled(board, packages(tmp_path / "root", missing=name), tmp_path / "card")
    root = packages(tmp_path / "other")
    for path in root.rglob(name):
        path.write_bytes(b"")
    with pytest.raises(HostError, match=re.escape(name)):
        filled(board, root, tmp_path / "empty")


def test_kernel_that_is_nowhere_ends_the_build(tmp_path: Path) -> None:
    """A root with only the Pi 5's own kernel has none that all boards share."""
    root = packages(tmp_path / "root")
    for path in (root / "boot").glob("vmlinuz-*-v8"):
        path.unlink()
    with pytest.raises(HostError, match="vmlinuz-\\*-rpi-v8"):
        filled("pi4", root, tmp_path / "card")


def test_slot_that_is_too_full_ends_the_build(tmp_path: Path) -> None:
    """The next version is larger, and a slot never grows."""
    root = packages(tmp_path / "root")
    os.truncate(root / f"boot/vmlinuz-{NEW}", int(0.91 * disk.BOOT_MIB) * disk.MIB)
    with pytest.raises(HostError, match="more than 90% of 128 MiB"):
        filled("pi5", root, tmp_path / "card")


@pytest.fixture
def settings_of() -> Callable[[str], list[str]]:
    """What the firmware takes of config.txt on a board, by the filters' names."""
    lines = (FOLDER / "boot" / "config.txt").read_text("ascii").splitlines()

    def taken(name: str) -> list[str]:
        found, filter_ = [], "all"
        for line in lines:
            if line.startswith("["):
                filter_ = line.strip("[]")
            elif line and line[0] != "#" and filter_ in {"all", name}:
                found.append(line)
        return found

    return taken


@pytest.mark.parametrize(("name", "memory"), [("pi02", "cma-128"), ("pi4", "cma-256"), ("pi5", "cma-256")])
def test_every_board_has_memory_for_pictures(settings_of: Callable[[str], list[str]], name: str, memory: str) -> None:
    """A region of the largest sensor takes 94 MB, the device tree's own share is 64; a Zero 2 W has 512 MB in all."""
    settings = settings_of(name)
    assert [line for line in settings if "cma" in line] == [f"dtoverlay=cma,{memory}"]
    assert ("arm_boost=1" in settings) is (name == "pi4")
    assert ("usb_max_current_enable=0" in settings) is (name == "pi5")


def test_kernel_is_told_of_limits_and_governor() -> None:
    """The maker's device tree switches limits of memory off, and its kernel's own governor was the slowest for years."""
    words = (FOLDER / "boot" / "cmdline.txt").read_text("ascii").split()
    assert {"cgroup_enable=memory", "cpufreq.default_governor=ondemand"} <= set(words)


def test_buffers_are_found_under_the_name_that_is_asked_for() -> None:
    """Both heaps have the link's rule, and only one of them on a board: a Pi 5's is the system's."""
    text = (FOLDER / "overlay/station/usr/lib/udev/rules.d/60-kiosk.rules").read_text("utf-8")
    rules = [line for line in text.splitlines() if "vidbuf_cached" in line and line[0] != "#"]
    assert [re.findall(r'KERNEL=="([^"]+)"', rule) for rule in rules] == [["linux,cma"], ["system"]]
    assert ["bcm2712" in rule for rule in rules] == [False, True]
    assert "link_priority=-50" in rules[0]  # so the system's wins where both are


def test_wifi_stays_awake_and_knows_its_channels(tmp_path: Path) -> None:
    """The tool and the list are packages of each real board; the rule calls the tool; the list is the one that the maker's kernel believes."""
    for board in REAL:
        assert {"iw", "wireless-regdb", "wpasupplicant"} <= set(read_board(FOLDER, board).packages)
    firmware = tmp_path / "usr/lib/firmware"
    firmware.mkdir(parents=True)
    (tmp_path / "etc/alternatives").mkdir(parents=True)
    for name in ("regulatory.db", "regulatory.db.p7s"):
        (firmware / f"{name}-upstream").touch()
        (tmp_path / "etc/alternatives" / name).symlink_to(f"/usr/lib/firmware/{name}-debian")
    subprocess.run([FOLDER / "install/rpi.sh", tmp_path], check=True, timeout=30)
    for name in ("regulatory.db", "regulatory.db.p7s"):
        assert str((tmp_path / "etc/alternatives" / name).readlink()) == f"/usr/lib/firmware/{name}-upstream"
    rule = (tmp_path / "usr/lib/udev/rules.d/60-kiosk-wireless.rules").read_text()
    assert 'RUN+="/usr/sbin/iw dev $name set power_save off"' in rule
