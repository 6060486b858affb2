"""What a Pi's firmware reads: two slots, each with its kernel, and the first partition, which names one of them.

A slot has what its board needs and nothing else, taken from where the packages themselves put it: what lies in /boot/firmware
depends on the order in which they were configured. A file that is missing ends the build with its name.

A Pi 4 and 5 begin in their EEPROM. A Zero 2 W begins in its ROM, which looks for `bootcode.bin` on the first partition and takes it
from there alone; that reads `autoboot.txt` beside it only if there is a `config.txt`, which may be empty [1].

Sources:
    [1] raspberrypi/documentation, bootflow-legacy.adoc and autoboot.adoc; an engineer of the maker in its forum, November 2025: in an A/B
        layout on a Pi 3 and earlier `bootcode.bin` must be on partition 1 and on no other.
    [2] raspberrypi/documentation, boot_folder.adoc: which of start*.elf and fixup*.dat each model takes; a Pi 5 takes none.
    [3] raspberrypi/documentation, camera_auto_detect: the overlays that the firmware loads for the modules it finds.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from imaging import disk, host

BOOT = Path(__file__).resolve().parents[1] / "boot"
KERNEL = "vmlinuz"
SPARE = 0.9
"""Of a slot that may be full: the next version is larger."""
OVERLAYS = ("cma", "imx219", "imx296", "imx477", "imx708", "ov5647")
"""Memory for pictures, and the camera modules of docs/mounting.md [3]."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What one board's firmware needs.

    Attributes:
        firmware: Files of the maker's firmware in each slot [2].
        device_tree: The board's own.
        further: Device trees of its near relations, taken where the kernel has them.
        rom: Whether it begins in a ROM that looks for `bootcode.bin` on the first partition.
    """

    firmware: tuple[str, ...]
    device_tree: str
    further: str
    rom: bool = False


BOARDS = {
    "pi4": Boot(("start4.elf", "fixup4.dat"), "bcm2711-rpi-4-b.dtb", "bcm2711-*.dtb"),
    "pi5": Boot((), "bcm2712-rpi-5-b.dtb", "bcm2712*.dtb"),
    "zero2w": Boot(("start.elf", "fixup.dat"), "bcm2710-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2*.dtb", rom=True),
}


def slot(board: str, tree: Path, target: Path) -> None:
    """Fill one slot of a real board, all but `cmdline.txt`.

    Args:
        board: Its name.
        tree: The root file system with the packages.
        target: The folder to fill.

    Raises:
        HostError: A file is missing, or all together are too large.
    """
    wants = BOARDS[board]
    kernel = newest_kernel(tree)
    trees = tree / "usr" / "lib" / f"linux-image-{kernel.name.removeprefix('vmlinuz-')}"
    firmware = tree / "boot" / "firmware"
    shutil.copy(kernel, target / KERNEL)
    for name in wants.firmware:
        shutil.copy(_found(name, tree / "usr" / "lib" / "raspi-firmware", firmware), target / name)
    own = _found(wants.device_tree, trees / "broadcom", trees, firmware)
    for path in {own, *own.parent.glob(wants.further)}:
        shutil.copy(path, target / path.name)
    overlays = _found(f"overlays/{OVERLAYS[0]}.dtbo", trees, firmware).parent
    for name in (*(f"{name}.dtbo" for name in OVERLAYS), "overlay_map.dtb"):
        _found(f"overlays/{name}", overlays.parent)
    shutil.copytree(overlays, target / "overlays")
    shutil.copy(BOOT / "config.txt", target / "config.txt")
    check_size(target)


def first(board: str, tree: Path, target: Path) -> None:
    """Fill the first partition.

    Raises:
        HostError: The firmware has no `bootcode.bin`, and this board's ROM looks for it.
    """
    for name in ("autoboot.txt", "README.txt"):
        shutil.copy(BOOT / name, target / name)
    if board in BOARDS and BOARDS[board].rom:
        source = _found("bootcode.bin", tree / "usr" / "lib" / "raspi-firmware", tree / "boot" / "firmware")
        shutil.copy(source, target / "bootcode.bin")
        (target / "config.txt").touch()


def command_lines(slots: list[Path]) -> None:
    """Two slots differ in the root that their kernel mounts."""
    line = (BOOT / "cmdline.txt").read_text("utf-8").strip()
    for folder, number in zip(slots, (5, 6), strict=True):
        (folder / "cmdline.txt").write_text(line.replace("@ROOT@", str(number)) + "\n", "utf-8")


def newest_kernel(tree: Path) -> Path:
    """The maker's, that serves every board of 64 bits.

    Raises:
        HostError: There is none.
    """
    kernels = list((tree / "boot").glob("vmlinuz-*-rpi-v8"))
    if not kernels:
        raise host.HostError("the maker's kernel package has left no vmlinuz-*-rpi-v8 in /boot")
    return max(kernels, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)])


def check_size(folder: Path) -> None:
    """See that a slot's files fit, and that the next version's will.

    Raises:
        HostError: They do not.
    """
    sectors = sum(-(-path.stat().st_size // 512) for path in folder.rglob("*") if path.is_file())
    used_mib = sectors * 512 / disk.MIB
    if used_mib > SPARE * disk.BOOT_MIB:
        raise host.HostError(
            f"a slot's boot files have {used_mib:.0f} MiB, more than {SPARE:.0%} of {disk.BOOT_MIB} MiB"
        )


def _found(name: str, *places: Path) -> Path:
    """The file in the first of these folders that has it, not empty."""
    for place in places:
        path = place / name
        if path.is_file() and path.stat().st_size:
            return path
    raise host.HostError(
        f"the packages have brought no {name}, without which this board does not start: it was looked for in "
        f"{', '.join(str(place) for place in places)}"
    )
