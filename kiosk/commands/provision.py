"""`kiosk provision --file PATH`: set the station up with a code from a file, as one puts it on the boot partition.

The file is used once: after success it holds nothing but a remark. Editors of Windows may have been at it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kiosk import log, provision, settings
from kiosk.errors import ConfigError, ProvisionError
from kiosk.provisioning import NOT_A_CODE

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

LARGEST_BYTES = 64 * 1024


def run(arguments: argparse.Namespace) -> int:
    """0 when the station is set up, or the file was used before; 20 and a number if it could not be."""
    path: Path = arguments.file
    text = _code_in(path)
    if not text:
        print(f"{path}: no code in it, nothing done")
        return 0
    log.start(settings.load_board(arguments.config).log.level)
    code = provision.set_up(arguments.config, text, jumper=False, wait_s=arguments.wait_s)
    _consume(path, f"# used: this set up {code.kiosk} at {code.site}\n")
    print(f"this station is {code.kiosk} at {code.site} now")
    return 0


def _code_in(path: Path) -> str:
    """The first line that is no remark; whatever line ends and byte order mark an editor has left."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="name the file with the code") from error
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        lines = content.decode(encoding).splitlines()
    except UnicodeDecodeError as error:
        raise ProvisionError(NOT_A_CODE, f"{path} is no text", hint="save it as plain text") from error
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
        print(f"{path} could not be emptied: {error.strerror}")
