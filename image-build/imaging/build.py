"""From a board's name to a card image: the slow parts, then the hooks of its layers, then the partitions.

The hooks copy plain files and run nothing of the board, so everything after the slow parts takes a minute. All files get
one time and all file systems fixed names, so that the same sources give the same bits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from imaging import boot, disk, host, parts, release
from imaging.layers import read_board

if TYPE_CHECKING:
    from imaging.layers import Board

FOLDER = Path(__file__).resolve().parents[1]
PROJECT = FOLDER.parent
REACH_S = 10.0
SPARE = 0.9
"""Of a root partition that may be full: the next version is larger."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built.

    Attributes:
        board: Its name.
        archives: The file with the lists of archives.
        work: Where parts and images are kept.
        fresh: Make the slow parts again.
        epoch_s: The one time of all files, Unix seconds.
        listed: Also write down what it is made of.
    """

    board: str
    archives: Path
    work: Path
    fresh: bool
    epoch_s: int
    listed: bool = True


def build(order: Order) -> Path:
    """Build the raw image.

    Returns:
        Its file; kernel and initial file system of a test machine lie beside it.

    Raises:
        LayerError: The board is wrong.
        HostError: This machine lacks something, or a step failed.
    """
    board = read_board(FOLDER, order.board)
    lists = host.archives(order.archives)
    order.work.mkdir(parents=True, exist_ok=True)
    host.check_keyrings([*lists["debian"], *(lists.get("raspberrypi", []) if board.real else [])], order.archives)
    if board.real:
        _reach(lists.get("raspberrypi", []), order.archives)
    host.prepare(lists.get("builder", []), order.work)
    lines = lists["debian"] + (lists["raspberrypi"] if board.real else [])
    root = parts.root(board, lines, order.work, fresh=order.fresh)
    unpacked = None if board.real else parts.foreign(lists["debian"] + lists["backports"], order.work, board.kernel)
    site = parts.site(FOLDER / "requirements.lock", order.work)
    extra = None if board.real else parts.site(FOLDER / "requirements-ci.lock", order.work, unpacked)
    out = order.work / board.name
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kiosk-image-", dir=order.work) as name:
        folder = Path(name)
        tree = folder / "root"
        tree.mkdir()
        host.say("unpacking the root")
        host.run("tar", "-C", tree, "--numeric-owner", "-xf", root)
        _apply(board, tree, site, extra, order)
        if unpacked is not None:
            parts.modules(unpacked, tree)
        else:
            kernels = [path.name for path in (tree / "usr" / "lib" / "modules").iterdir()]
            release.check_updatable(kernels, _versions(tree)["rauc"])
        _finish(tree, order)
        slots = [folder / f"boot-{letter}" for letter in "ab"]
        _boot_folders(board, tree, slots, unpacked)
        image = _written(order, tree, slots, folder)
        for path in (slots[0] / part for part in ("vmlinuz", "initrd", board.tree) if part):
            if path.exists():
                shutil.copy(path, out / path.name)
        if order.listed:
            _list(order, tree, out)
        target = out / f"kiosk-{board.name}.img"
        shutil.move(image, target)
        os.utime(target, (order.epoch_s, order.epoch_s))
    return target


def _reach(lines: list[str], file: Path) -> None:
    """Fail at once, and clearly, where the maker's archive cannot be reached."""
    if not lines:
        raise host.HostError(f"{file} names no archive `raspberrypi`: a real board needs the maker's")
    words = [word for word in lines[0].split() if "://" in word]
    suite = lines[0].split()[lines[0].split().index(words[0]) + 1]
    url = f"{words[0].rstrip('/')}/dists/{suite}/InRelease"
    try:
        with urllib.request.urlopen(url, timeout=REACH_S):  # noqa: S310  from a file that the builder wrote
            pass
    except OSError as error:
        raise host.HostError(
            f"cannot reach the maker's archive {url} ({error}). A real board's kernel, firmware and camera come from "
            "there: build where it can be reached, or name a mirror with make image ARCHIVES=FILE. BOARD=virt needs "
            "Debian's alone"
        ) from error


def _apply(board: Board, tree: Path, site: Path, extra: Path | None, order: Order) -> None:
    """Run the layers' hooks, and put our own package beside the locked ones."""
    with tempfile.TemporaryDirectory(prefix="kiosk-assets-", dir=order.work) as name:
        assets = Path(name)
        host.say("site: our own package and byte code")
        whole = assets / "site"
        shutil.copytree(site, whole)
        shutil.copytree(PROJECT / "kiosk", whole / "kiosk", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        env = os.environ | {
            "IGconf_kiosk_assets": str(FOLDER), "IGconf_kiosk_site": str(whole),
            "IGconf_kiosk_wiring": board.wiring,
            "KIOSK_FRAMES": str(assets / "frames"), "SOURCE_DATE_EPOCH": str(order.epoch_s),
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
        }  # fmt: skip
        if extra is not None:
            from imaging import frames  # noqa: PLC0415  needs numpy and OpenCV, which a real board's build does not

            frames.write(assets / "frames")
            shutil.copytree(extra, tree / "usr" / "lib" / "kiosk" / "ci-site")
        umask = os.umask(0o022)
        try:
            for hook in board.hooks:
                host.run("sh", "-eu", "-c", hook, "hook", tree, env=env)
        finally:
            os.umask(umask)
    release.stamp(tree, board.name, order.epoch_s)
    _compile(tree)


def _finish(tree: Path, order: Order) -> None:
    """Give everything one time, and see that the next version will fit, too."""
    _one_time(tree, order.epoch_s)
    used = int(host.run("du", "-sm", "--apparent-size", tree).split()[0])
    if used > SPARE * disk.ROOT_MIB:
        raise host.HostError(f"the root has {used} MiB, more than {SPARE:.0%} of a slot of {disk.ROOT_MIB} MiB")
    host.say(f"root of {used} MiB")


def _one_time(folder: Path, epoch_s: int) -> None:
    """Give everything that is newer the time of the sources; what is older keeps its own."""
    host.run("find", folder, "-newermt", f"@{epoch_s}", "-exec", "touch", "-h", "-d", f"@{epoch_s}", "{}", "+")


def _own_python(version: str) -> str | None:
    """A Python of this machine that writes the same byte code; a name that pyenv only promises does not count."""
    number = version.removeprefix("python")
    found = [shutil.which(version), *map(str, sorted(Path.home().glob(f".pyenv/versions/{number}*/bin/{version}")))]
    for place in found:
        if place and subprocess.run([place, "-c", ""], capture_output=True, check=False).returncode == 0:
            return place
    return None


def _compile(tree: Path) -> None:
    """Byte code for the board's Python, which cannot write it to a read-only root."""
    lib = tree / "usr" / "lib" / "kiosk"
    version = next((tree / "usr" / "lib").glob("python3.*")).name
    mine = _own_python(version)
    folders = [str(path.relative_to(tree)) for path in sorted(lib.iterdir()) if path.is_dir()]
    # One process, in order: which strings of a file become references depends on what the process has compiled before.
    arguments = ["-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    env = os.environ | {"PYTHONHASHSEED": "0"}
    if mine is not None:
        host.run(mine, *arguments, "-s", tree, "-p", "/", *(tree / name for name in folders), env=env)
    else:
        host.say(f"byte code by the board's own {version}, emulated, a few minutes")
        with host.foreign_programs():
            host.run("chroot", tree, "/usr/bin/python3", *arguments, *(f"/{name}" for name in folders), env=env)


def _boot_folders(board: Board, tree: Path, slots: list[Path], unpacked: Path | None) -> None:
    """What the firmware reads of each slot; the two differ in the root that the kernel mounts."""
    first = slots[0]
    first.mkdir()
    if unpacked is None:
        boot.slot(board.name, tree, first)
    else:
        shutil.copy(parts.vmlinuz(unpacked), first / boot.KERNEL)
        parts.initrd(unpacked, first / "initrd")
        if board.tree:
            shutil.copy(parts.device_tree(unpacked, board.tree), first / board.tree)
    for slot in slots[1:]:
        shutil.copytree(first, slot)
    boot.command_lines(slots)


def _written(order: Order, tree: Path, slots: list[Path], folder: Path) -> Path:
    host.say("partitions")
    first = folder / "first"
    first.mkdir()
    boot.first(order.board, tree, first)
    # The slots have it; the root does without.
    shutil.rmtree(tree / "boot" / "firmware", ignore_errors=True)
    state = folder / "state"
    for name in ("kiosk", "kiosk/etc", "systemd", "rauc"):
        (state / name).mkdir(parents=True)
    _one_time(state, order.epoch_s)
    contents = {number: folder / f"part-{number}" for number in (1, 2, 3, 5, 7)}
    disk.make_fat(contents[1], first, disk.FAT_MIB, "KIOSK", order.epoch_s)
    disk.make_fat(contents[2], slots[0], disk.BOOT_MIB, "BOOT-A", order.epoch_s)
    disk.make_fat(contents[3], slots[1], disk.BOOT_MIB, "BOOT-B", order.epoch_s)
    disk.make_ext4(contents[5], tree, disk.ROOT_MIB, 5, order.epoch_s)
    disk.make_ext4(contents[7], state, disk.STATE_MIB, 7, order.epoch_s, "STATE")
    image = folder / "image"
    disk.assemble(image, contents, order.epoch_s)
    return image


def _versions(tree: Path) -> dict[str, str]:
    """Debian's packages in a root file system."""
    said = host.run("dpkg-query", f"--admindir={tree / 'var/lib/dpkg'}", "-W", "-f", "${Package} ${Version}\n")
    return dict(line.split() for line in said.splitlines())


def _list(order: Order, tree: Path, out: Path) -> None:
    """What the root is made of: Debian's packages as a plain list, and an SBOM in both common forms."""
    host.say("SBOM")
    lines = (f"{package} {version}\n" for package, version in sorted(_versions(tree).items()))
    (out / "packages.txt").write_text("".join(lines), "utf-8")
    host.run(
        parts.tool(order.work, "debsbom"), "generate", "-r", tree, "--distro-arch", "arm64",
        "--distro-name", f"kiosk-{order.board}", "--spdx-namespace", f"https://kiosk.invalid/{order.board}",
        "--cdx-serialnumber", "6b696f73-6b00-4000-8000-000000000001",
        "--timestamp", datetime.fromtimestamp(order.epoch_s, UTC).isoformat(), "-o", out / f"kiosk-{order.board}",
    )  # fmt: skip


def epoch_s() -> int:
    """Time of the sources' last change, Unix seconds."""
    try:
        return int(host.run("git", "-C", PROJECT, "log", "-1", "--format=%ct"))
    except (host.HostError, OSError, ValueError):
        sys.stderr.write("image: no git here; files get the time of 2026-01-01\n")
        return 1_767_225_600
