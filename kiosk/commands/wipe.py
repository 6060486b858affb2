"""`kiosk wipe`: nothing of this station's identity, its entries or what it noted is left.

What a file system can promise. Flash media keep old copies of blocks where nobody can reach them by name: a station that
held entries unsealed, or whose key must never be used again, is also revoked at the centre, and its card destroyed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from kiosk.commands.options import add_config
from kiosk.commissioning import wifi
from kiosk.errors import ConfigError, OutboxError
from kiosk.outbox import Outbox
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from kiosk.config import Config

CHUNK_BYTES = 1 << 20


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """0 when all is gone, 1 if it was not wished, or something could not be removed."""
    config = loader.load_board(arguments.config)
    with suppress(ConfigError):  # a damaged identity must not keep itself from being wiped
        config = loader.load_any(arguments.config)
    folders = [config.state.dir, config.state.runtime_dir]
    print(f"wipes {config.kiosk.id}: everything in {folders[0]} and {folders[1]}; {_waiting(config)}")
    if not arguments.yes:
        print("Type the station's id to go on: ", end="", flush=True)
        if sys.stdin.readline().strip() != config.kiosk.id:
            print("nothing done")
            return 1
    if not wifi.forget(config.state.dir):
        print(
            "the wireless network is still known here: run this as root, or `nmcli connection delete`", file=sys.stderr
        )
    left = [path for folder in folders for path in _emptied(folder)]
    for path in left:
        print(f"left: {path}", file=sys.stderr)
    print(
        "wiped, as far as a file system can: a memory card may keep old copies out of reach. "
        "Revoke the station at the centre (central fleet revoke), and destroy a card that held what must not be found."
    )
    return 1 if left else 0


def _waiting(config: Config) -> str:
    try:
        outbox = Outbox.open_existing(config.state.dir / "outbox.db", config.outbox)
    except OutboxError:
        return "no entries can be read in it"
    try:
        return f"{outbox.depth()} entries have not reached the centre"
    finally:
        outbox.close()


def _emptied(folder: Path) -> list[Path]:
    """Overwrite and remove all in it.

    Returns:
        What could not be removed.
    """
    left: list[Path] = []
    for path in sorted(folder.rglob("*"), reverse=True) if folder.is_dir() else ():
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                _overwrite(path)
                path.unlink()
        except OSError:
            left.append(path)
    os.sync()
    return left


def _overwrite(path: Path) -> None:
    """Zeros over the content: worth something on a disk, little on flash."""
    if path.is_symlink() or not path.is_file():
        return
    left = path.stat().st_size
    with path.open("r+b") as file:
        while left > 0:
            left -= file.write(bytes(min(CHUNK_BYTES, left)))
        file.flush()
        os.fsync(file.fileno())
