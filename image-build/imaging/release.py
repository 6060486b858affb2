"""Which build this is: its version, and the marks of it in a root file system.

A version is the program's, a plus, and the time of the sources' last change: `0.1.0+20261124213755`. A later build is the
greater one, number by number; a station takes no update that is older than what it runs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imaging import host
from kiosk import __version__

if TYPE_CHECKING:
    from pathlib import Path

VERSION_FILE = "usr/lib/kiosk/version"
BOARD_FILE = "usr/lib/kiosk/board"
_RAUC_FILE = "etc/rauc/system.conf"
_COMPATIBLE = "compatible=@COMPATIBLE@"


def version(epoch_s: int) -> str:
    """Of a build from sources that were last changed at this time, Unix seconds."""
    return f"{__version__}+{datetime.fromtimestamp(epoch_s, UTC):%Y%m%d%H%M%S}"


def compatible(board: str) -> str:
    """What a bundle and a station must agree on: a Pi 5 takes no bundle for a Pi 4."""
    return f"kiosk-{board}"


def stamp(root: Path, board: str, epoch_s: int) -> None:
    """Write into a root file system which build it is, and which bundles it takes.

    Args:
        root: Where the station's files are already.
        board: Its board.
        epoch_s: When its sources were last changed, Unix seconds.

    Raises:
        HostError: The station's RAUC file is not the one that we know.
    """
    (root / VERSION_FILE).write_text(version(epoch_s) + "\n", "utf-8")
    (root / BOARD_FILE).write_text(board + "\n", "utf-8")
    file = root / _RAUC_FILE
    text = file.read_text("utf-8")
    if len(re.findall(f"^{_COMPATIBLE}$", text, re.MULTILINE)) != 1:
        raise host.HostError(f"{file} has no line {_COMPATIBLE}: was the layer kiosk-station applied?")
    file.write_text(text.replace(_COMPATIBLE, f"compatible={compatible(board)}"), "utf-8")


def check_updatable(kernels: list[str], rauc: str) -> None:
    """See that an image will be able to take the next one.

    Args:
        kernels: Versions of its kernels, as their folders of modules are called.
        rauc: Version of its RAUC.

    Raises:
        HostError: It would refuse every bundle [1].

    Sources:
        [1] github.com/rauc/rauc/issues/1842: kernels from 6.19 on say more of dm-verity than RAUC before 1.15.2 takes.
    """
    new = [kernel for kernel in kernels if _numbers(kernel)[:2] >= [6, 19]]
    if new and _numbers(rauc)[:3] < [1, 15, 2]:
        raise host.HostError(
            f"RAUC {rauc} takes no bundle under kernel {new[0]}, so this image could never be updated: take an archive with "
            "RAUC 1.15.2 or newer, or with a kernel before 6.19"
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
