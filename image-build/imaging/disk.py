"""The card: seven partitions in one file, made without loop devices and without mounts, the same bits each time.

    1 KIOSK   FAT   autoboot.txt, and where a technician puts kiosk.yaml
    2 boot-a  FAT   kernel, firmware, cmdline.txt of slot A
    3 boot-b  FAT   the same of slot B
    4         the extended partition around the rest; the firmware boots from 1 to 4 only
    5 root-a  ext4, read-only
    6 root-b  ext4, read-only, empty until the first update
    7 STATE   ext4, grows over the rest of the card at the first boot

MBR and not GPT, because the ROM of a Pi 3 and Zero 2 W knows no other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
DISK_ID = 0x6B696F73
ALIGN_MIB = 4
FAT_MIB = 48
BOOT_MIB = 128
ROOT_MIB = 1536
STATE_MIB = 64
_SEED = "6b696f73-6b00-4000-8000-0000000000"


@dataclass(frozen=True, slots=True)
class Part:
    """One partition.

    Attributes:
        number: As in the table.
        start_mib: Where it begins.
        size_mib: How large it is.
        kind: Its type in the table, hexadecimal.
    """

    number: int
    start_mib: int
    size_mib: int
    kind: str


def plan() -> tuple[Part, ...]:
    """All partitions, in the order of the table; a logical one begins a MiB behind what precedes it."""
    parts, at = [], ALIGN_MIB
    for number, size in ((1, FAT_MIB), (2, BOOT_MIB), (3, BOOT_MIB)):
        parts.append(Part(number, at, size, "c"))
        at += size
    inner = sum(size + 1 for size in (ROOT_MIB, ROOT_MIB, STATE_MIB))
    parts.append(Part(4, at, inner, "f"))
    for number, size in ((5, ROOT_MIB), (6, ROOT_MIB), (7, STATE_MIB)):
        parts.append(Part(number, at + 1, size, "83"))
        at += size + 1
    return tuple(parts)


def size_mib() -> int:
    """Of the whole card."""
    last = plan()[-1]
    return last.start_mib + last.size_mib


def table() -> str:
    """What sfdisk is told."""
    lines = [f"label: dos\nlabel-id: {DISK_ID:#x}\nunit: sectors"]
    lines += [f"{p.number}: start={p.start_mib * 2048}, size={p.size_mib * 2048}, type={p.kind}" for p in plan()]
    return "\n".join(lines) + "\n"


def environment(epoch_s: int) -> dict[str, str]:
    """The tools' environment: one time for everything.

    Args:
        epoch_s: That time, Unix seconds.
    """
    return os.environ | {
        "SOURCE_DATE_EPOCH": str(epoch_s),
        "E2FSPROGS_FAKE_TIME": str(epoch_s),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "MTOOLS_SKIP_CHECK": "1",
        "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
    }


def make_fat(path: Path, folder: Path, size: int, label: str, epoch_s: int) -> None:
    """A FAT file system with what is in a folder.

    Args:
        path: The file to make.
        folder: What goes into it.
        size: In MiB.
        label: Its name, which Windows and macOS show.
        epoch_s: Time of all files, Unix seconds.
    """
    env = environment(epoch_s)
    serial = f"{DISK_ID + sum(label.encode()):08X}"
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size * MIB)
    subprocess.run(
        ["mkfs.vfat", "-F", "32", "-s", "1", "-n", label, "-i", serial, "--invariant", path],
        check=True, env=env, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    for item in sorted(folder.rglob("*")):
        os.utime(item, (epoch_s, epoch_s))
    names = sorted(str(item) for item in folder.iterdir())
    if names:
        subprocess.run(["mcopy", "-s", "-m", "-i", path, *names, "::"], check=True, env=env)


def make_ext4(path: Path, folder: Path | None, size: int, number: int, epoch_s: int, label: str = "") -> None:
    """An ext4 file system with what is in a folder.

    Args:
        path: The file to make.
        folder: What goes into it; None for nothing.
        size: In MiB.
        number: Of its partition, from which its UUID is made.
        epoch_s: Time of the file system itself, Unix seconds.
        label: Its name.
    """
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size * MIB)
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-U", f"{_SEED}{number:02d}", "-m", "1"]
    argv += ["-E", f"hash_seed={_SEED}{number + 10:02d},lazy_itable_init=1,root_owner=0:0"]
    argv += ["-L", label] if label else []
    argv += ["-d", str(folder)] if folder is not None else []
    subprocess.run([*argv, str(path)], check=True, env=environment(epoch_s))
    _set_times(path, epoch_s)


def _set_times(path: Path, epoch_s: int) -> None:
    """mke2fs copies from each file when its inode was changed and the file last read; give all of them the one time."""
    env = environment(epoch_s)
    shown = subprocess.run(["dumpe2fs", str(path)], check=True, env=env, capture_output=True, text=True).stdout
    found = re.search(r"^Inode count: +(\d+)$", shown, re.MULTILINE)
    assert found  # noqa: S101  dumpe2fs has shown a file system
    free: set[int] = set()
    for spans in re.findall(r"^  Free inodes: (.+)$", shown, re.MULTILINE):
        for span in spans.split(", "):
            first, _, last = span.partition("-")
            free.update(range(int(first), int(last or first) + 1))
    used = sorted(set(range(1, int(found[1]) + 1)) - free)
    commands = [
        f"set_inode_field <{inode}> {field} {value}\n"
        for inode in used
        for field, value in (("ctime", f"@{epoch_s}"), ("ctime_extra", 0), ("atime", f"@{epoch_s}"), ("atime_extra", 0))
    ]
    argv = ["debugfs", "-w", "-f", "-", str(path)]
    subprocess.run(argv, input="".join(commands), check=True, env=env, text=True, capture_output=True)


def assemble(image: Path, contents: dict[int, Path], epoch_s: int) -> None:
    """Write the table and the partitions' contents; holes stay holes.

    Args:
        image: The file to make.
        contents: A file for each partition that has one.
        epoch_s: The one time, Unix seconds.
    """
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(size_mib() * MIB)
    env = environment(epoch_s)
    subprocess.run(["sfdisk", "--quiet", str(image)], input=table().encode(), check=True, env=env)
    for part in plan():
        if part.number in contents:
            subprocess.run(
                ["dd", f"if={contents[part.number]}", f"of={image}", "bs=1M", f"seek={part.start_mib}",
                 "conv=notrunc,sparse", "status=none"],
                check=True, env=env,
            )  # fmt: skip


def copy_sparse(source: Path, target: Path) -> None:
    """A copy that keeps holes."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)
