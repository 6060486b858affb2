"""What is taken from this machine: commands, packages of its own, and packages of the board's architecture.

Packages for the board are downloaded by apt with lists of their own, so that they are checked against Debian's signature
and this machine's settings stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGES = {
    "mmdebstrap": "mmdebstrap", "arch-test": "arch-test", "mkfs.vfat": "dosfstools", "mcopy": "mtools",
    "mke2fs": "e2fsprogs", "sfdisk": "fdisk", "depmod": "kmod", "cpio": "cpio", "zstd": "zstd", "bmaptool": "bmap-tools",
    "swig": "swig", "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu", "rauc": "rauc", "mksquashfs": "squashfs-tools", "nc": "netcat-openbsd",
    "dtc": "device-tree-compiler", "qemu-system-aarch64": "qemu-system-arm", "systemd-sysusers": "systemd",
}  # fmt: skip
"""The command that proves a package is there."""
ALSO = ("libc6-dev-arm64-cross", "qemu-user-static")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
RPI_FINGERPRINT = "CF8A1AF502A2AA2D763BAE7E82B129927FA3303E"
"""Of the key that signs the maker's archive."""
QEMU_USER = ("/usr/libexec/qemu-binfmt/aarch64-binfmt-P", "/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64")
_FOREIGN = "kiosk-aarch64-"
"""Begins an entry of the kernel's table of foreign programs; the process that made it ends it."""
_SIGNED_BY = re.compile(r"signed-by=([^\s\]]+)")
_MAGIC = (
    r":{name}:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:{interpreter}:OPF"
)
APT_WAIT = ("-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3")


class HostError(Exception):
    """This machine lacks something, with what to do about it."""


def say(text: str) -> None:
    """Progress, one line a step."""
    sys.stderr.write(f"image {time.strftime('%H:%M:%S')}: {text}\n")
    sys.stderr.flush()


def run(*argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run to its end and give back what it printed.

    Raises:
        HostError: It failed; with the last lines of what it said.
    """
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise HostError(f"{Path(argv[0]).name} failed with code {done.returncode}:\n{tail}")
    return done.stdout


def archives(file: Path) -> dict[str, list[str]]:
    """Lists of archives by name, lines as apt has them; a keyring may be named from the list's own folder."""
    folder = file.resolve().parent
    lists = yaml.safe_load(file.read_text("utf-8"))
    return {
        name: [_SIGNED_BY.sub(lambda found: f"signed-by={folder / found[1]}", str(line)) for line in lines]
        for name, lines in lists.items()
    }


def check_keyrings(lines: Sequence[str], file: Path) -> None:
    """See that apt will be able to believe these archives.

    Args:
        lines: As `archives` gives them.
        file: Where they were written, for the message.

    Raises:
        HostError: A keyring is not there, with where it comes from.
    """
    for line in lines:
        found = _SIGNED_BY.search(line)
        if found is None or Path(found[1]).is_file():
            continue
        if "raspberrypi" not in line:
            raise HostError(
                f"there is no keyring {found[1]}, which {file} names: apt-get install debian-archive-keyring"
            )
        raise HostError(
            f"there is no keyring {found[1]}, which {file} names: take it from the folder keydir of github.com/raspberrypi/rpi-image-gen, "
            f"see that `gpg --show-keys` says {RPI_FINGERPRINT} of it, and put it there, or name another place as signed-by= in a file "
            "of your own with make image ARCHIVES=FILE; docs/image.md tells the steps"
        )


def prepare(builder_archive: Sequence[str], work: Path) -> None:
    """Install what is missing here.

    Args:
        builder_archive: Where QEMU 10 is, for a Debian that has an older one.
        work: Folder for apt's extra list.

    Raises:
        HostError: Not root, or no apt.
    """
    if os.geteuid() != 0:
        raise HostError("an image is built as root, because its files belong to root: sudo make image")
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [package for command, package in PACKAGES.items() if shutil.which(command, path=path) is None]
    missing += [package for package in ALSO if not _installed(package)]
    if missing and platform.machine() != "aarch64":
        if shutil.which("apt-get") is None:
            raise HostError(
                f"this machine has no apt: install {', '.join(missing)} by hand, or build on Debian 12 or 13"
            )
        say(f"installing {' '.join(missing)}")
        extra = work / "builder.list"
        own = Path("/etc/apt/sources.list")
        lines = list(builder_archive) if _release() == "bookworm" else []
        extra.write_text((own.read_text("utf-8") if own.exists() else "") + "\n".join(lines) + "\n", "utf-8")
        options = (*APT_WAIT, "-o", f"Dir::Etc::sourcelist={extra}")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", *options, "update", "-qq", env=env)
        newer = [f"{p}/bookworm-backports" if lines and p.startswith("qemu-") else p for p in missing]
        target = ("-t", "bookworm-backports") if lines and any("/" in p for p in newer) else ()
        run("apt-get", *options, *target, "install", "-y", "-qq", "--no-install-recommends", *newer, env=env)


def _installed(package: str) -> bool:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return done.stdout == "installed"


def _release() -> str:
    lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    return next((line.split("=")[1] for line in lines if line.startswith("VERSION_CODENAME=")), "")


@contextmanager
def foreign_programs() -> Iterator[None]:
    """Let the kernel run programs of the board through qemu-user, and take that back at the end; several builds do not disturb each other.

    Raises:
        HostError: The kernel cannot, or there is no qemu-user.
    """
    name = f"{_FOREIGN}{os.getpid()}"
    entry = BINFMT / name
    if platform.machine() == "aarch64" or (BINFMT / "qemu-aarch64").exists():
        yield
        return
    interpreter = next((place for place in QEMU_USER if Path(place).exists()), None)
    if interpreter is None:
        raise HostError("there is no qemu-user: apt-get install qemu-user-static")
    if not (BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    for left in BINFMT.glob(f"{_FOREIGN}*"):  # by a build that was killed; another one's that runs is in use
        if not Path("/proc", left.name.removeprefix(_FOREIGN)).exists():
            left.write_text("-1")
    (BINFMT / "register").write_text(_MAGIC.format(name=name, interpreter=interpreter))
    try:
        yield
    finally:
        entry.write_text("-1")


def download(folder: Path, lines: Sequence[str], packages: Sequence[str]) -> list[Path]:
    """Packages of the board's architecture, checked by apt against their archive's signature.

    Args:
        folder: For lists and packages.
        lines: Archives.
        packages: Names, each with `/suite` where several have it; `kernel-7` is what makes up the newest kernel 7.
    """
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources").write_text("\n".join(line.replace("[", "[arch=arm64 ", 1) for line in lines) + "\n", "utf-8")
    (folder / "status").touch()
    options = [
        "APT::Architecture=arm64", "APT::Architectures=arm64", f"Dir::Etc::sourcelist={folder / 'sources'}",
        "Dir::Etc::sourceparts=-", f"Dir::State::lists={folder / 'lists'}", f"Dir::State::status={folder / 'status'}",
        f"Dir::Cache={folder / 'cache'}", "APT::Sandbox::User=root", "Acquire::Retries=3",
    ]  # fmt: skip
    apt = [argument for option in options for argument in ("-o", option)]
    run("apt-get", "-qq", *apt, "update")
    names: list[str] = []
    for package in packages:
        if package.startswith("kernel-"):
            names += _kernel(run("apt-cache", *apt, "show", "linux-image-arm64"), package.removeprefix("kernel-"))
        else:
            names.append(package)
    run("apt-get", "-qq", *apt, "download", *names, cwd=folder / "debs")
    wanted = {name.split("/")[0] for name in names}
    return sorted(path for path in (folder / "debs").glob("*.deb") if path.name.split("_")[0] in wanted)


def _kernel(shown: str, series: str) -> list[str]:
    """Packages of the newest kernel of a series, from what apt shows of `linux-image-arm64`."""
    words = {word for line in shown.splitlines() if line.startswith("Depends:") for word in line.split()}
    found = [word.removeprefix("linux-image-") for word in words if word.startswith(f"linux-image-{series}.")]
    if not found:
        raise HostError(f"the archives have no kernel {series}: name another list of archives")
    version = max(found, key=lambda one: [int(number) for number in re.findall(r"\d+", one)])
    # Debian has taken its kernel's package apart in version 7.
    if int(series.partition(".")[0]) >= 7:
        return [f"linux-{part}-{version}" for part in ("binary", "modules", "base")]
    return [f"linux-image-{version}"]


def digest(*parts: object) -> str:
    """One name for all that something is made of: texts as they are, files and folders by their content."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                if "__pycache__" not in file.parts:
                    total.update(f"{file.relative_to(part) if file != part else file.name}\0".encode())
                    total.update(file.read_bytes())
        else:
            total.update(f"{part}\0".encode())
    return total.hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """Of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
