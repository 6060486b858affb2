"""A station's stand-in with a kernel of its own: User Mode Linux, which runs as one process of this machine.

Its card is laid out as a station's, only smaller, and real: MBR, FAT, ext4, under a kernel that has dm-verity, loop devices
and vfat. The firmware of a Pi is played by `Card.firmware`, which does what the maker's documentation says [1]: it reads
autoboot.txt, takes the partition of [tryboot] once if it was asked to, and the kernel's command line from there.

Sources:
    [1] raspberrypi/documentation, config_txt/autoboot.adoc.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from imaging import disk

ROOT = Path(__file__).resolve().parents[2]
EPOCH_S = 1_795_000_000
MEMORY_MIB = 192
LONGEST_S = 120.0
CUT = "CUT-HERE"
"""What a guest says when it is to lose its power now."""


SMALL = {"ROOT_MIB": 32, "BOOT_MIB": 40, "STATE_MIB": 32}
"""Partitions of a size that is written in seconds; FAT32 has a least size."""


@dataclass(frozen=True, slots=True)
class Booted:
    """What the firmware would start.

    Attributes:
        slot: "A" or "B".
        version: Of the root that the kernel would mount.
        cmdline: The kernel's.
    """

    slot: str
    version: str
    cmdline: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version's partitions.

    Attributes:
        name: As the build calls itself.
        folder: With boot.vfat and root.ext4.
    """

    name: str
    folder: Path

    @property
    def root_sha256(self) -> str:
        """Of the root partition."""
        return hashlib.sha256((self.folder / "root.ext4").read_bytes()).hexdigest()


def make_version(place: Path, name: str) -> Version:
    """A boot and a root partition in which a version can be told from another."""
    root, boot = place / "root", place / "boot"
    (root / "usr" / "lib" / "kiosk").mkdir(parents=True)
    (root / "usr" / "lib" / "kiosk" / "version").write_text(f"{name}\n")
    (root / "usr" / "lib" / "filling").write_bytes(hashlib.sha256(name.encode()).digest() * 32 * 1024 * 12)
    boot.mkdir()
    (boot / "vmlinuz").write_bytes(hashlib.sha256(b"kernel" + name.encode()).digest() * 32 * 1024 * 8)
    line = (ROOT / "image-build" / "boot" / "cmdline.txt").read_text("ascii").replace("@ROOT@", "5")
    (boot / "cmdline.txt").write_text(line)
    disk.make_ext4(place / "root.ext4", root, disk.ROOT_MIB, 5, EPOCH_S)
    disk.make_fat(place / "boot.vfat", boot, disk.BOOT_MIB, "BOOT-A", EPOCH_S)
    return Version(name, place)


@dataclass(frozen=True, slots=True)
class Card:
    """One card, as a file."""

    path: Path

    @classmethod
    def new(cls, path: Path, version: Version) -> Card:
        """A card as it comes from the build: slot A has the version, slot B is empty."""
        place = path.with_suffix(".parts")
        shutil.rmtree(place, ignore_errors=True)
        first, state = place / "first", place / "state"
        first.mkdir(parents=True)
        (state / "rauc").mkdir(parents=True)
        shutil.copy(ROOT / "image-build" / "boot" / "autoboot.txt", first)
        disk.make_fat(place / "1", first, disk.FAT_MIB, "KIOSK", EPOCH_S)
        disk.make_ext4(place / "7", state, disk.STATE_MIB, 7, EPOCH_S, "STATE")
        second = place / "second"
        shutil.copytree(version.folder / "boot", second)
        line = (second / "cmdline.txt").read_text("ascii")
        (second / "cmdline.txt").write_text(line.replace("p5 ", "p6 "))
        disk.make_fat(place / "3", second, disk.BOOT_MIB, "BOOT-B", EPOCH_S)
        contents = {number: place / str(number) for number in (1, 3, 7)}
        contents |= {2: version.folder / "boot.vfat", 5: version.folder / "root.ext4"}
        disk.assemble(path, contents, EPOCH_S)
        return cls(path)

    def copy(self, name: str) -> Card:
        """The same card once more."""
        target = self.path.with_name(name)
        disk.copy_sparse(self.path, target)
        return Card(target)

    def offset(self, number: int) -> int:
        """Where a partition begins, in bytes."""
        return next(part.start_mib for part in disk.plan() if part.number == number) * disk.MIB

    def read(self, number: int, name: str) -> str:
        """A file of a FAT partition."""
        argv = ["mtype", "-i", f"{self.path}@@{self.offset(number)}", f"::{name}"]
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=disk.environment(EPOCH_S)).stdout

    def firmware(self, *, tryboot: bool = False) -> Booted:
        """What a Pi would boot: the partition by autoboot.txt, the kernel and its line from there, the root that it names."""
        text = self.read(1, "autoboot.txt")
        assert len(text) <= 512
        found = re.fullmatch(
            r"\[all\]\ntryboot_a_b=1\nboot_partition=([23])\n\[tryboot\]\nboot_partition=([23])\n", text
        )
        assert found is not None, text
        partition = int(found[2] if tryboot else found[1])
        cmdline = self.read(partition, "cmdline.txt")
        root = re.search(r"root=/dev/mmcblk0p([56]) ", cmdline)
        assert root is not None, cmdline
        assert int(root[1]) == partition + 3, "the kernel would mount the other slot's root"
        return Booted("AB"[partition - 2], self._version(int(root[1])), cmdline)

    def root_sha256(self, slot: str) -> str:
        """Of a slot's root partition."""
        with self.path.open("rb") as file:
            file.seek(self.offset({"A": 5, "B": 6}[slot]))
            return hashlib.sha256(file.read(disk.ROOT_MIB * disk.MIB)).hexdigest()

    def kernel(self, slot: str) -> bytes:
        """What the firmware would load from a slot."""
        argv = ["mtype", "-i", f"{self.path}@@{self.offset({'A': 2, 'B': 3}[slot])}", "::vmlinuz"]
        return subprocess.run(argv, capture_output=True, check=True, env=disk.environment(EPOCH_S)).stdout

    def pending(self) -> str:
        """The slot that is on trial, or will be; empty if none."""
        return self._file(7, "rauc/pending", journal=True)

    def _version(self, number: int) -> str:
        return self._file(number, "usr/lib/kiosk/version")

    def _file(self, number: int, name: str, *, journal: bool = False) -> str:
        """A file of an ext4 partition; empty if there is none."""
        part = next(part for part in disk.plan() if part.number == number)
        env = disk.environment(EPOCH_S)
        copy = self.path.with_suffix(f".{number}")
        subprocess.run(
            ["dd", f"if={self.path}", f"of={copy}", "bs=1M", f"skip={part.start_mib}", f"count={part.size_mib}",
             "conv=sparse", "status=none"], check=True,
        )  # fmt: skip
        if journal:  # as the kernel replays it at the next mount
            subprocess.run(["e2fsck", "-fp", str(copy)], capture_output=True, check=False, env=env)
        argv = ["debugfs", "-R", f"cat {name}", str(copy)]
        text = subprocess.run(argv, capture_output=True, text=True, check=False, env=env).stdout.strip()
        copy.unlink()
        return text


@dataclass(frozen=True, slots=True)
class Ran:
    """What a machine's run was.

    Attributes:
        console: All that it said.
        code: Exit code of its job; None if its power was cut first.
    """

    console: str
    code: int | None


class Machine:
    """The stand-in: a folder that it sees as /mnt, and a card."""

    def __init__(self, folder: Path, card: Card) -> None:
        self.folder = folder
        self.card = card
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, job: str, booted: Booted, *, cut_at: str = CUT, cut_after_s: float = 0.0) -> Ran:
        """Start, do the job, end; or lose the power.

        Args:
            job: A script for sh, run as root in the station.
            booted: What the firmware has started.
            cut_at: What it says just before its power goes.
            cut_after_s: How long afterwards that is, in seconds.
        """
        (self.folder / "job").write_text(job)
        (self.folder / "slot").write_text(f"{booted.slot}\n")
        (self.folder / "cmdline").write_text(booted.cmdline)
        argv = [
            "linux.uml", f"mem={MEMORY_MIB}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet",
            f"init={ROOT / 'tests' / 'updates' / 'guest.sh'}", f"ubda={self.card.path}", "con=null", "con0=fd:0,fd:1",
            f"kiosk.project={ROOT}", f"kiosk.work={self.folder}", f"uml_dir={self.folder / 'uml'}",
        ]  # fmt: skip
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        cut = threading.Event()
        timer = threading.Timer(LONGEST_S, _pull, (process, cut))
        timer.start()
        lines = []
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                lines.append(line)
                if cut_at in line and "rauc:" not in line:
                    timer.cancel()
                    timer = threading.Timer(cut_after_s, _pull, (process, cut))
                    timer.start()
        finally:
            timer.cancel()
            _pull(process, threading.Event())
            process.wait(10)
            process.stdout.close()
        console = "\n".join(lines)
        done = re.search(r"^GUEST job code=(\d+)", console, re.MULTILINE)
        return Ran(console, int(done[1]) if done and not cut.is_set() else None)


def _pull(process: subprocess.Popen[bytes], cut: threading.Event) -> None:
    cut.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
