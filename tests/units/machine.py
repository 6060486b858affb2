"""A Debian 13 with the kiosk in it, booted by its own systemd in a container: no hardware, no network, a minute.

build/units/base-HASH.tar   the system, by mmdebstrap; made once for each list of packages
build/units/site-HASH/      the Python packages, as wheels; made once for each list of them
build/units/root/           both, the project and its units; made anew for each run
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from imaging import bundle, release, signing

from kiosk.envelopes import remote
from kiosk.envelopes.offer import Offer
from kiosk.envelopes.remote import Command, Verb

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "units"
SUITE = "trixie"
PYTHON = "3.13"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "libzbar0t64", "mosquitto", "procps", "rauc")
BUILD_S = 600
BOOT_S = 300
LONGEST_ROW = 3
NEWER = "9.0.0+20991231000000"
UPDATING = ("kiosk-fetch.service", "kiosk-update.service", "kiosk-update.path")
ASKS_FOR_RESTART = 133
"""Exit code of systemd-nspawn with --keep-unit."""


def base() -> Path:
    """The system as an archive, from apt's own mirror."""
    archive = BUILD / f"base-{_hash(SUITE, *PACKAGES)}.tar"
    if not archive.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        fresh = archive.with_suffix(".fresh.tar")
        argv = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        argv += [f"--dpkgopt=path-exclude=/usr/share/{path}/*" for path in ("doc", "locale", "man")]
        subprocess.run([*argv, SUITE, str(fresh)], check=True, timeout=BUILD_S)
        fresh.rename(archive)
    return archive


def site() -> Path:
    """The wheels that the project needs, for the container's Python."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    folder = BUILD / f"site-{_hash(PYTHON, *wanted)}"
    if not folder.exists():
        fresh = folder.with_suffix(".fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(fresh), "--only-binary=:all:"]
        argv += [
            f"--python-version={PYTHON}",
            "--platform=manylinux_2_28_x86_64",
            "--platform=manylinux2014_x86_64",
            "--no-compile",
        ]
        subprocess.run([*argv, *wanted], check=True, timeout=BUILD_S)
        fresh.rename(folder)
    return folder


def furnish(config: str) -> Path:
    """A root file system with the project, its units and this configuration."""
    root = BUILD / "root"
    subprocess.run(["rm", "-rf", str(root)], check=True, timeout=60)
    root.mkdir(parents=True)
    archive = ["tar", "-C", str(root), "--exclude=./dev/*", "-xf", str(base())]
    subprocess.run(archive, check=True, timeout=120)
    lib = root / "usr/lib/kiosk"
    wheels = site()
    shutil.copytree(wheels, lib / "site")
    if not list((lib / "site/pydantic").glob("__pycache__")):  # as an image has it: a start must not compile
        compile_all = ["chroot", str(root), "python3", "-m", "compileall", "-q", "-j", "2", "/usr/lib/kiosk/site"]
        subprocess.run(compile_all, check=False, timeout=BUILD_S)  # some packages carry files that are no Python
        shutil.rmtree(wheels)
        shutil.copytree(lib / "site", wheels)
    shutil.copytree(ROOT / "kiosk", lib / "site/kiosk", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([str(ROOT / "systemd/install.sh"), str(root)], check=True, timeout=60)
    argv = ["chroot", str(root), "python3", "-m", "compileall", "-q", "/usr/lib/kiosk/site/kiosk"]
    subprocess.run(argv, check=True, timeout=60)
    drop_in = root / "usr/lib/systemd/system/kiosk-uplink.service.d"
    drop_in.mkdir()
    shutil.copy(ROOT / "systemd/kiosk-uplink.brokers.conf", drop_in)  # as a fleet's own image would
    for name in ("inside.py", "probes.py", "updating.py"):
        shutil.copy(Path(__file__).with_name(name), lib / name)
    (root / "etc/kiosk").mkdir(exist_ok=True)
    (root / "etc/kiosk/kiosk.yaml").write_text(config, "utf-8")
    _give_keys(root)
    _give_update(root)
    (root / "etc/mosquitto/conf.d/test.conf").write_text("listener 1883 127.0.0.1\nallow_anonymous true\n")
    wpa = root / "usr/sbin/wpa_supplicant"  # a stand-in: there is no radio in a container
    wpa.write_text('#!/bin/sh\n[ -r "$4" ] && exec sleep infinity\n')
    wpa.chmod(0o755)
    (root / "etc/credstore").mkdir(mode=0o700, exist_ok=True)
    (root / "etc/credstore/kiosk-uplink.password").write_text("invented\n")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    unit = root / "etc/systemd/system/inside.service"
    unit.write_text(
        "[Unit]\nAfter=kiosk.target mosquitto.service\n[Service]\nType=exec\nStandardOutput=journal+console\n"
        "ExecStart=/usr/bin/python3 /usr/lib/kiosk/inside.py\nExecStopPost=/usr/bin/systemctl --no-block poweroff\n"
    )
    (wants / "inside.service").symlink_to(unit.name)
    return root


def _give_keys(root: Path) -> None:
    """The authority's keys of these days, as provisioning leaves them."""
    with tempfile.TemporaryDirectory() as folder:
        for verb in ("make", "publish"):
            argv = [sys.executable, "-m", "central", "keys", verb, "--keys", folder]
            subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
        identity = root / "var/lib/kiosk/identity"
        identity.mkdir(parents=True)
        for name, target in (("authority.pem", root / "etc/kiosk"), ("authority-keys.cose", identity)):
            shutil.copy(Path(folder) / name, target)
            (target / name).chmod(0o644)


def _give_update(root: Path) -> None:
    """The units of updates as an image has them, and an order with its bundle, as if they had come."""
    overlay = ROOT / "image-build" / "overlay" / "station"
    for pattern in ("etc/rauc/*", "usr/share/dbus-1/*/*", "usr/lib/kiosk/bin/*", "usr/lib/systemd/system/*"):
        for path in overlay.glob(pattern):
            if path.name in UPDATING or not path.name.startswith("kiosk-"):
                target = root / path.relative_to(overlay)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    (root / "state/rauc").mkdir(parents=True)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (root / "etc/kiosk/fleet.pem").write_bytes(public)
    inbox = root / "var/lib/kiosk/update"
    inbox.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        signing.make(folder / "keys")
        (folder / "content").mkdir()
        for part in ("boot.vfat", "root.ext4"):
            (folder / "content" / part).write_bytes(os.urandom(65536))
        keys = [folder / "keys" / name for name in ("update.key", "update.pem", "update-ca.pem")]
        bundle.pack(folder / "content", "virt", NEWER, bundle.Signer(*keys), inbox / "bundle.raucb")
        shutil.copy(folder / "keys" / "update-ca.pem", root / "etc/kiosk/update-ca.pem")
    release.stamp(root, "virt", 1_767_225_600)
    content = (inbox / "bundle.raucb").read_bytes()
    offer = Offer(NEWER, "https://127.0.0.1:1/b.raucb", hashlib.sha256(content).digest(), len(content))
    order = Command(bytes(16), 1, Verb.UPDATE, update=offer)
    (inbox / "order.cose").write_bytes(remote.signed(order, "test-1", key, 1_800_000_000, 60))


def boot(root: Path) -> str:
    """Boot it, again if it asks for that, until it has switched itself off; returns what its console said."""
    log = BUILD / "console.log"
    log.write_bytes(b"")
    for _ in range(LONGEST_ROW):
        if _boot_once(root, log) != ASKS_FOR_RESTART:
            break
    return log.read_text("utf-8", "replace")


def _boot_once(root: Path, log: Path) -> int:
    argv = ["systemd-nspawn", "-q", "-b", "-D", str(root), "--register=no", "--keep-unit", "--private-network"]
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with log.open("ab") as out:
        container = subprocess.Popen(
            [*argv, "--console=pipe"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
        )
        try:
            return container.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            _end(container)
            return -1


def _end(container: subprocess.Popen[bytes]) -> None:
    """End the container's init, and with it everything inside; nspawn alone would leave it running."""
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text("ascii").split()
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    container.terminate()
    container.wait(30)


def missing() -> str:
    """What keeps this machine from it; empty if nothing does."""
    absent = [program for program in ("mmdebstrap", "systemd-nspawn") if shutil.which(program) is None]
    if absent:
        return f"{' and '.join(absent)} missing: apt install mmdebstrap systemd-container"
    return "" if os.geteuid() == 0 else "a container's systemd needs root: run `sudo make test-units`"


def _hash(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
