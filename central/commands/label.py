"""`central label`: what is glued onto a station's box: its name in words and as a code, to be found by telephone.

The code is no personal code: a station that sees it answers "wrong code". It holds what stands beside it, and nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from central import paper
from kiosk import forms
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    import argparse

PREFIX = "KL1:"
_SERIAL = re.compile(r"[A-Za-z0-9._-]{0,40}")


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--kiosk", required=True, metavar="ID", help="name of the station")
    parser.add_argument("--site", required=True, metavar="ID", help="office that it hangs at")
    parser.add_argument(
        "--office", default="", metavar="TEXT", help="the office's name in full (default: the site's id)"
    )
    parser.add_argument("--serial", default="", metavar="TEXT", help="serial number or the office's own asset number")
    parser.add_argument("--telephone", default="", metavar="TEXT", help="whom to call")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where it goes, PDF")


def payload(kiosk: str, site: str, serial: str) -> str:
    """What the code says.

    Raises:
        ConfigError: A name is none, or the serial number has letters that no label needs.
    """
    for word in (kiosk, site):
        if not forms.is_id(word):
            raise ConfigError(f"{word!r} is no name", hint="lower-case letters, digits and hyphens, as in kiosk.yaml")
    if not _SERIAL.fullmatch(serial):
        raise ConfigError(f"{serial!r} is no serial number", hint="letters, digits, dots and hyphens, 40 at most")
    return f"{PREFIX}{kiosk};{site};{serial}"


def run(arguments: argparse.Namespace) -> int:
    """Write it."""
    code = payload(arguments.kiosk, arguments.site, arguments.serial)
    lines: list[str | paper.Fact] = [paper.Fact("Nơi đặt", arguments.office or arguments.site)]
    lines += [paper.Fact("S/N", arguments.serial)] if arguments.serial else []
    lines += [
        paper.Fact("Hỏng? Gọi", arguments.telephone) if arguments.telephone else "Hỏng? Báo nhân viên",
        paper.Small("Trạm quét mã · kiosk"),
    ]
    document = paper.pdf(arguments.kiosk, lines, code, "card")
    try:
        arguments.out.write_bytes(document)
    except OSError as error:
        raise ConfigError(f"cannot write {arguments.out}: {error.strerror}", hint="name another file") from error
    print(f"{arguments.out}: {code}")
    return 0
