"""The three FAT partitions of every real board, made of Debian's own firmware and kernel: what fits, what each board finds.

Debian's kernel brings the device trees under the names of the mainline and no overlays; the maker's brings both under its own. So a
Zero 2 W's tree is given the maker's name here, and the overlays have names alone.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from imaging import boot, disk, host, parts

FOLDER = Path(__file__).resolve().parents[2] / "image-build"
EPOCH_S = 1_767_225_600
ELF = b"\x7fELF"
TREE = b"\xd0\x0d\xfe\xed"
MAKERS_NAMES = {"bcm2837-rpi-zero-2-w.dtb": "bcm2710-rpi-zero-2-w.dtb"}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with both packages where the maker's put their files."""
    folder = tmp_path_factory.mktemp("packages")
    lists = host.archives(FOLDER / "archives.yaml")
    made = folder / "root"
    for package in host.download(folder, lists["debian"], ("raspi-firmware/trixie", "kernel-6.12")):
        host.run("dpkg-deb", "-x", package, made)
    kernel = parts.vmlinuz(made)
    version = "6.12.0+rpt-rpi-v8"
    shutil.copy(kernel, made / "boot" / f"vmlinuz-{version}")
    trees = made / "usr/lib" / f"linux-image-{version}"
    (trees / "overlays").mkdir(parents=True)
    shutil.copytree(next(made.glob("usr/lib/linux-image-*-arm64/broadcom")), trees / "broadcom")
    for theirs, makers in MAKERS_NAMES.items():
        (trees / "broadcom" / theirs).rename(trees / "broadcom" / makers)
    for name in (*(f"{overlay}.dtbo" for overlay in boot.OVERLAYS), "overlay_map.dtb"):
        (trees / "overlays" / name).write_text(name)
    return made


@pytest.mark.parametrize("board", sorted(boot.BOARDS))
def test_card_has_what_the_board_starts_from(root: Path, tmp_path: Path, board: str) -> None:
    """Real firmware and device tree, one kernel, the ROM's file where the ROM looks, each partition less than nine tenths full."""
    first, slot = tmp_path / "first", tmp_path / "slot"
    first.mkdir()
    slot.mkdir()
    boot.first(board, root, first)
    boot.slot(board, root, slot)
    wants = boot.BOARDS[board]
    assert (slot / wants.device_tree).read_bytes().startswith(TREE)
    for name in wants.firmware:
        assert (slot / name).stat().st_size > 1000
        assert (slot / name).read_bytes().startswith(ELF) is name.endswith(".elf")
    assert (first / "bootcode.bin").exists() is wants.rom
    assert not list(slot.rglob("bootcode.bin"))
    assert {path.name for path in slot.glob("*.elf")} == {name for name in wants.firmware if name.endswith(".elf")}
    large = [path.name for path in slot.rglob("*") if path.is_file() and path.stat().st_size > 8 * disk.MIB]
    assert large == ["vmlinuz"]
    for folder, size in ((first, disk.FAT_MIB), (slot, disk.BOOT_MIB)):
        image = tmp_path / f"{folder.name}.fat"
        disk.make_fat(image, folder, size, "KIOSK", EPOCH_S)
        env = disk.environment(EPOCH_S)
        listed = subprocess.run(
            ["mdir", "-/", "-b", "-i", image, "::"], env=env, capture_output=True, text=True, check=True
        )
        found = {line.removeprefix("::/") for line in listed.stdout.split() if not line.endswith("/")}
        assert found == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
