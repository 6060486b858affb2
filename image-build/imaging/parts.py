"""The slow parts of an image, each kept under the name of all that it is made of, so that it is made once.

root   Debian's packages for the board: minutes, because their scripts run on an emulated processor
site   the locked Python packages, as wheels for the board; nothing of them runs here
kernel of a test machine: Debian's, with simulated pins, and a small initial file system made natively
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from imaging import host

if TYPE_CHECKING:
    from imaging.layers import Board

ROOT_EPOCH_S = 1_700_000_000
TOOLS = ("uv==0.13.9", "debsbom[spdx,cdx]==0.10.2", "setuptools", "wheel")
EARLY = (
    "virtio_pci virtio_blk virtio_net virtio_mmio virtio_rng virtio_console ext4 vfat nls_cp437 nls_ascii bcm2835 "
    "sdhci_iproc mmc_block"
).split()
DROPPED = ("drivers/gpu", "drivers/infiniband", "drivers/net/wireless", "drivers/net/ethernet", "drivers/iio", "sound")


def tool(work: Path, name: str) -> Path:
    """A program from PyPI in an environment of its own."""
    venv = work / "tools"
    if not (venv / "bin" / name).exists():
        host.say("installing uv and debsbom into build/image/tools")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        host.run(venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *TOOLS)
    return venv / "bin" / name


def root(board: Board, lines: list[str], work: Path, *, fresh: bool) -> Path:
    """Debian's packages as a tar file.

    Args:
        board: Which packages.
        lines: From which archives.
        work: Where parts are kept.
        fresh: Make it even if it is there.
    """
    options = {name: board.options(name) for name in ("aptopts", "dpkgopts")}
    target = work / f"root-{host.digest(board.packages, lines, options, ROOT_EPOCH_S)}.tar"
    if target.exists() and not fresh:
        host.say(f"root: kept, {target.name}")
        return target
    host.say(f"root: {len(board.packages)} packages and what they need, about eight minutes")
    made = target.with_suffix(".new.tar")
    made.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="kiosk-root-") as folder, host.foreign_programs():
        argv: list[str | Path] = ["mmdebstrap", "--mode=root", "--variant=apt", "--architectures=arm64"]
        argv += [f"--aptopt={option}" for option in options["aptopts"]]
        argv += [f"--dpkgopt={option}" for option in options["dpkgopts"]]
        argv += [f"--include={','.join(board.packages)}", "trixie", made, *lines]
        host.run(*argv, env=os.environ | {"SOURCE_DATE_EPOCH": str(ROOT_EPOCH_S), "TMPDIR": folder})
    made.replace(target)
    return target


def lock(folder: Path, project: Path, work: Path) -> None:
    """Write both lock files anew: the product's packages, and those of test machines.

    Args:
        folder: image-build.
        project: The project's root.
        work: Where tools are kept.
    """
    common = [
        "--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13", "--generate-hashes", "--no-annotate",
        "--no-header", "--upgrade", "-q",
    ]  # fmt: skip
    for name, source, options in (
        ("requirements.lock", project / "pyproject.toml", ()),
        ("requirements-ci.lock", folder / "requirements-ci.in", ("--no-deps",)),
    ):
        _uv(work, "compile", *common, *options, "-o", folder / name, source)


def _uv(work: Path, *argv: str | Path) -> None:
    # This machine's list of authorities and not uv's own, so that a house with a proxy of its own can build.
    host.run(tool(work, "uv"), "--system-certs", "pip", *argv)


def site(lock: Path, work: Path, unpacked: Path | None = None) -> Path:
    """The Python packages of a lock file for the board, with byte code.

    Args:
        lock: Versions and hashes.
        work: Where parts are kept.
        unpacked: What `foreign` gave, for the headers; a lock without lgpio needs none.
    """
    target = work / f"{lock.stem}-{host.digest(lock)}"
    if target.exists():
        host.say(f"site: kept, {target.name}")
        return target
    host.say(f"site: {lock.name}, each file checked against its hash")
    made = work / f"{target.name}.new"
    shutil.rmtree(made, ignore_errors=True)
    wheels, lgpio = _without_lgpio(lock)
    with tempfile.TemporaryDirectory(prefix="kiosk-site-") as folder:
        wanted = Path(folder) / "wheels.lock"
        wanted.write_text(wheels, "utf-8")
        _uv(
            work, "install", "-q", "--no-deps", "--require-hashes", "--only-binary", ":all:",
            "--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13", "--link-mode", "copy",
            "--target", made, "-r", wanted,
        )  # fmt: skip
        if lgpio:
            assert unpacked is not None  # noqa: S101  only test machines' packages have lgpio
            _cross_build_lgpio(lgpio, made, Path(folder), work, unpacked / "usr" / "include")
    for junk in ("bin", ".lock"):
        shutil.rmtree(made / junk, ignore_errors=True) if (made / junk).is_dir() else (made / junk).unlink(
            missing_ok=True
        )
    made.rename(target)
    return target


def _without_lgpio(lock: Path) -> tuple[str, str]:
    """The lock without lgpio, and lgpio's part: it has no wheel for Python 3.13."""
    kept: list[str] = []
    lgpio: list[str] = []
    target = kept
    for line in lock.read_text("utf-8").splitlines():
        if line and not line.startswith(" "):
            target = lgpio if line.startswith("lgpio==") else kept
        target.append(line)
    return "\n".join(kept) + "\n", "\n".join(lgpio)


def _cross_build_lgpio(lock: str, target: Path, folder: Path, work: Path, include: Path) -> None:
    """lgpio from its source, checked against its hash, for the board's Python."""
    host.say("site: lgpio from its source, because it has no wheel for Python 3.13")
    wanted = folder / "lgpio.lock"
    wanted.write_text(lock + "\n", "utf-8")
    host.run(
        tool(work, "pip"), "download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
        "--require-hashes", "-d", folder, "-r", wanted,
    )  # fmt: skip
    with tarfile.open(next(folder.glob("lgpio-*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    source = next(path for path in folder.glob("lgpio-*") if path.is_dir())
    headers = folder / "include"
    # Only Python's: the board's C headers must not mix with the cross compiler's own.
    shutil.copytree(include / "python3.13", headers / "python3.13")
    shutil.copytree(include / "aarch64-linux-gnu" / "python3.13", headers / "aarch64-linux-gnu" / "python3.13")
    host.run("swig", "-python", "-o", "lgpio_wrap.c", "lgpio.i", cwd=source)
    sources = ["lgpio_wrap.c", *sorted(str(p.relative_to(source)) for p in source.glob("src/lg*.c")), "src/rgpiod.c"]
    host.run(
        "aarch64-linux-gnu-gcc", "-O2", "-fPIC", "-shared", "-pthread", "-w", "-I", "src",
        "-I", headers / "python3.13", "-I", headers, *sources,
        "-o", target / "_lgpio.cpython-313-aarch64-linux-gnu.so", "-lrt", "-ldl", cwd=source,
    )  # fmt: skip
    shutil.copy(source / "lgpio.py", target / "lgpio.py")


def foreign(lines: list[str], work: Path, kernel: str) -> Path:
    """Debian's kernel for test machines, busybox and Python's headers, unpacked.

    Args:
        lines: Archives.
        work: Where parts are kept.
        kernel: Its series, as in 7 or 6.12.
    """
    folder = work / f"foreign-{kernel}"
    unpacked = folder / "root"
    if unpacked.exists():
        host.say(f"kernel {kernel}: kept")
        return unpacked
    host.say(f"kernel {kernel}: Debian's, for test machines")
    made = folder / "root.new"
    shutil.rmtree(made, ignore_errors=True)
    packages = host.download(
        folder, lines, (f"kernel-{kernel}", "busybox-static/trixie", "libpython3.13-dev/trixie")
    )  # fmt: skip
    for package in packages:
        host.run("dpkg-deb", "-x", package, made)
    made.rename(unpacked)
    return unpacked


def vmlinuz(unpacked: Path) -> Path:
    """The kernel itself."""
    return next(path for place in ("usr/lib/modules/*/vmlinuz", "boot/vmlinuz-*") for path in unpacked.glob(place))


def modules(unpacked: Path, target: Path) -> str:
    """Put the kernel's modules into a root file system; what a test machine never has is left out.

    Returns:
        The kernel's version.
    """
    source = next((unpacked / "usr" / "lib" / "modules").iterdir())
    place = target / "usr" / "lib" / "modules" / source.name
    dropped = {str(source / "kernel" / name) for name in DROPPED}
    shutil.copytree(
        source, place, symlinks=True,
        ignore=lambda folder, names: [n for n in names if f"{folder}/{n}" in dropped or n in ("vmlinuz", "dtb", "build")],
    )  # fmt: skip
    host.run("/usr/sbin/depmod", "-b", target / "usr", source.name)
    return source.name


def device_tree(unpacked: Path, name: str) -> Path:
    """A board's device tree, as the kernel's package brings it.

    Raises:
        HostError: It brings none of this name.
    """
    found = sorted(unpacked.glob(f"usr/lib/linux-image-*/broadcom/{name}"))
    if not found:
        raise host.HostError(f"the kernel's package has no device tree {name}: correct `tree` in the board's file")
    return found[-1]


def initrd(unpacked: Path, target: Path) -> None:
    """A small initial file system: busybox, the modules of the disk, and a script that waits for the root.

    Args:
        unpacked: Kernel and busybox.
        target: The file to make.
    """
    version = next((unpacked / "usr" / "lib" / "modules").iterdir()).name
    base = unpacked / "usr"
    host.run("/usr/sbin/depmod", "-b", base, version)
    with tempfile.TemporaryDirectory(prefix="kiosk-initrd-") as name:
        folder = Path(name)
        for part in ("bin", "proc", "sys", "dev", "newroot", "mod"):
            (folder / part).mkdir()
        shutil.copy(unpacked / "usr" / "bin" / "busybox", folder / "bin" / "busybox")
        for applet in "sh mount umount insmod switch_root sleep mkdir cat echo".split():
            (folder / "bin" / applet).symlink_to("busybox")
        order: list[str] = []
        for module in EARLY:
            done = subprocess.run(
                ["/usr/sbin/modprobe", "-d", str(base), "-S", version, "--show-depends", module],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            order += [line.split()[1] for line in done.stdout.splitlines() if line.startswith("insmod")]
        names = []
        for path in dict.fromkeys(order):
            bare = Path(path).name.removesuffix(".xz")
            content = _unpacked(Path(path))
            (folder / "mod" / bare).write_bytes(content)
            names.append(bare)
        (folder / "mod" / "order").write_text("\n".join(names) + "\n", "utf-8")
        script = Path(__file__).with_name("initrd.sh")
        shutil.copy(script, folder / "init")
        (folder / "init").chmod(0o755)
        for item in (folder, *folder.rglob("*")):
            os.utime(item, (ROOT_EPOCH_S, ROOT_EPOCH_S), follow_symlinks=False)
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        packed = subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "--reproducible", "-R", "0:0"],
            input="\n".join([".", *files]).encode(), cwd=folder, capture_output=True, check=True,
        )  # fmt: skip
        target.write_bytes(gzip.compress(packed.stdout, 6, mtime=0))


def _unpacked(path: Path) -> bytes:
    """A module as the kernel takes it, whether it is packed or not."""
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content
