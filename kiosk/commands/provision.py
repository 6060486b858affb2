"""`kiosk provision --file PATH`: set the station up with a code from a file, as one puts it on the boot partition.

The file is used once: after success it holds nothing but a remark. Editors of Windows may have been at it. What becomes of
the code is said in the marks, so that the panel shows it as it does for a code that the camera has read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk import log
from kiosk.cli import values
from kiosk.commands.options import add_config
from kiosk.commissioning import identity, provision
from kiosk.disk.text import encoding_of
from kiosk.envelopes.provisioning_code import MAY_PASS
from kiosk.errors import ConfigError, ProvisionError
from kiosk.language.message import say
from kiosk.language.terminal import told
from kiosk.settings import loader

if TYPE_CHECKING:
    import argparse

LARGEST_BYTES = 64 * 1024
NOT_YET = 23
"""Exit code where the network was not there: the same file may do later."""


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_config(parser)
    parser.add_argument(
        "--file", type=Path, required=True, metavar="PATH", help="text file with the code; emptied after success"
    )
    parser.add_argument(
        "--wait-s",
        type=values.number(),
        default=45.0,
        metavar="S",
        help="how long the centre is tried (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 when the station is set up, or the file was used before; 20 and a number if not, `NOT_YET` if that may pass."""
    path: Path = arguments.file
    text = _code_in(path)
    if not text:
        print(told(say("{path}: no code in it, nothing done", path=path)))
        return 0
    board = loader.load_board(arguments.config)
    log.start(board.log.level)
    try:
        code = provision.redeem(arguments.config, text, board.state.runtime_dir, wait_s=arguments.wait_s)
    except ProvisionError as error:
        if error.number in MAY_PASS:
            error.exit_code = NOT_YET
        raise
    finally:
        with suppress(OSError):  # the marks' folder is sticky: the uplink could not replace what root has left
            identity.give_to_owner(board.state.dir, board.state.runtime_dir / f"{provision.MARKS}.json")
    _consume(path, f"# used: this set up {code.kiosk} at {code.site}\n")
    print(told(say("this station is {kiosk} at {site} now", kiosk=code.kiosk, site=code.site)))
    return 0


def _code_in(path: Path) -> str:
    """The first line that is no remark; whatever line ends and byte order mark an editor has left."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES)
    except OSError as error:
        raise ConfigError(
            say("{path} cannot be read: {reason}", path=path, reason=error.strerror),
            hint=say("name the file with the code"),
        ) from error
    lines = content.decode(encoding_of(content), "replace").splitlines()  # what is no text is no code either
    return next((line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")), "")


def _consume(path: Path, remark: str) -> None:
    """Overwrite the code, on the disk too; a card that cannot be written keeps a code that is worth nothing any more."""
    try:
        size_bytes = path.stat().st_size
        with path.open("r+b") as file:
            file.write(b" " * size_bytes)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            file.write(remark.encode())
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        print(told(say("{path} could not be emptied: {reason}", path=path, reason=error.strerror)))
