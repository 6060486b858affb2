"""The station's software on the processors of the boards, under qemu-user, with the very packages of a card image: the same answers as here.

The wheels are those that image-build/requirements.lock names by their hashes, Python and libzbar are Debian 13's for arm64. It says that no instruction
is used that these processors have not, as far as qemu knows them, and that NEON's arithmetic reads the same codes. It says nothing of speed, and
qemu's Cortex-A53 and A72 have the AES and SHA instructions that the chips of a Pi 3, 4 and Zero 2 W lack.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from imaging import host, parts

from bench import hard
from kiosk.envelopes import seal
from kiosk.model import Sealed
from kiosk.sim.render import Scene
from tests.boards import reading

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "image-build"
QEMU = ("qemu-aarch64-static", "qemu-aarch64")
PACKAGES = "base-files,python3.13-minimal,libpython3.13-stdlib,libzbar0t64,libstdc++6"
HARD, EMPTY = 12, 2
Answer = dict[str, Any]


@pytest.fixture(scope="session")
def board_root() -> Path:
    """Debian's Python for arm64, unpacked: nothing of it is run for that. Kept in build/boards."""
    lines = host.archives(IMAGE / "archives.yaml")["debian"]
    root = ROOT / "build" / "boards" / f"arm64-{host.digest(PACKAGES, lines)}"
    if not root.exists():
        made = root.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        made.parent.mkdir(parents=True, exist_ok=True)
        host.run(
            "mmdebstrap", "--variant=extract", "--architectures=arm64", f"--include={PACKAGES}", "trixie", made, *lines
        )
        made.rename(root)
    return root


@pytest.fixture(scope="session")
def site() -> Path:
    """The card image's locked wheels, each checked against its hash, kept where `make image` keeps them."""
    work = ROOT / "build" / "image"
    work.mkdir(parents=True, exist_ok=True)
    return parts.site(IMAGE / "requirements.lock", work)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with frames and a key, and the payload that is in each frame."""
    folder = tmp_path_factory.mktemp("frames")
    frames: dict[str, np.ndarray] = {}
    payloads: dict[str, str] = {}
    for number, (luma, payload) in enumerate(hard.hard_frames(5, HARD)):
        frames[f"hard {number}"], payloads[f"hard {number}"] = luma, payload.hex()
    for title, shown in hard.special_frames(5, 1).items():
        ((frames[title], payload),) = shown
        payloads[title] = payload.hex()
    for number in range(EMPTY):
        frames[f"nobody {number}"] = Scene(1280, 720, Random(number).randrange(100)).empty(number)
        payloads[f"nobody {number}"] = ""
    np.savez(folder / "frames.npz", allow_pickle=False, **frames)
    (folder / "key.pem").write_text(seal.PrivateKey.make(seal.CLASSIC).to_pem())
    return folder, payloads


@pytest.fixture(scope="session")
def here(material: tuple[Path, dict[str, str]]) -> Answer:
    """What this machine's processor answers."""
    folder, _ = material
    return _answer([sys.executable, reading.__file__, str(folder)], {"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72", "cortex-a76"], ids=["zero2w", "pi4", "pi5"])
def test_boards_processor_gives_the_same_answers(
    cpu: str, board_root: Path, site: Path, material: tuple[Path, dict[str, str]], here: Answer
) -> None:
    """Every frame is read, or not read, as here, by the same passes; nobody in view is nobody; what is sealed there is opened here."""
    folder, payloads = material
    qemu = next((found for found in map(shutil.which, QEMU) if found), None)
    assert qemu is not None, "apt install qemu-user-static"
    libraries = ":".join(str(board_root / each) for each in ("usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu"))
    argv = [
        qemu, "-cpu", cpu, "-L", str(board_root), "-E", f"LD_LIBRARY_PATH={libraries}",
        str(board_root / "usr/bin/python3.13"), reading.__file__, str(folder),
    ]  # fmt: skip
    there = _answer(argv, {"PYTHONPATH": f"{ROOT}:{site}", "PYTHONDONTWRITEBYTECODE": "1"})
    assert there["machine"] == "aarch64"
    assert there["opencv"] == here["opencv"], (
        "image-build/requirements.lock has another OpenCV than this environment: make image-lock"
    )
    assert there["frames"] == here["frames"]
    right = [name for name, payload in payloads.items() if payload and payload in there["frames"][name]["payloads"]]
    assert len(right) >= HARD // 2 + len(payloads) - HARD - EMPTY
    assert all(there["frames"][name]["payloads"] == [] for name, payload in payloads.items() if not payload)
    assert len({name for frame in there["frames"].values() for name in frame["tried"]}) >= 20
    key = seal.PrivateKey.from_pem((folder / "key.pem").read_text("utf-8"))
    sealed = Sealed(key.public.id, key.public.suite, bytes.fromhex(there["box"]))
    assert seal.unseal(sealed, key, "arm-1", reading.ENTRY) == reading.PERSON


def _answer(argv: list[str], env: dict[str, str]) -> Answer:
    done = subprocess.run(argv, env=os.environ | env, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, f"code {done.returncode}: {done.stderr[-3000:]}"
    answer: Answer = json.loads(done.stdout)
    return answer
