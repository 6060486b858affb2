"""The script that draws QR codes on the phone's page, and its licence: Debian's package, or the copy that a wheel carries.

Nothing of it is in this project's tree. A checkout reads what apt has put under /usr/share; `setup.py` puts both files into
wheels and source archives, and whoever runs from one of those needs no Debian. Wherever it comes from, only the one known
version is taken, so that the same checkout makes the same page everywhere.

This module imports the standard library and `kiosk.errors` alone: `setup.py` runs it where nothing else is installed.

Sources: Debian's node-qrcode-generator 1.4.4+dfsg-3, the same bytes in Debian 12 and 13; its qrcode.js is, byte for byte, that
of the npm package qrcode-generator 1.4.4 (MIT).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kiosk.errors import ConfigError

PACKAGE = "node-qrcode-generator"
INSTALL = f"sudo apt-get install --reinstall --no-install-recommends {PACKAGE}"
CARRIED = Path(__file__).with_name("phone")
"""Where a wheel has its copies; in a checkout there are none."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the package: its name in a wheel, where apt puts it, and the SHA-256 of the version that is taken."""

    name: str
    installed: Path
    sha256: str


SCRIPT = Part(
    "qrcode.js",
    Path("/usr/share/javascript/qrcode-generator/qrcode.js"),
    "18ae399f81182bc9de916e9c77b195df20cc58d6f2d55a62b085a299f1bf1780",
)
LICENCE = Part(
    "qrcode.copyright",
    Path("/usr/share/doc/node-qrcode-generator/copyright"),
    "f0c951df1da166eeacd2d4c8acd6d6ff3b3b1ea8af8c48d93857fe8da73b6837",
)


def read(part: Part) -> bytes:
    """The file, from the wheel's copy if there is one, else from Debian's package.

    Raises:
        ConfigError: It is not there, cannot be read, or is another version.
    """
    carried = CARRIED / part.name
    path = carried if carried.exists() else part.installed
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"the phone's page needs {PACKAGE} for its QR codes, and {path} is not there", hint=INSTALL
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint=INSTALL) from error
    found = hashlib.sha256(content).hexdigest()
    if found != part.sha256:
        remedy = "install the wheel anew" if path == carried else f"{INSTALL}; if it stays, update this project"
        raise ConfigError(
            f"{path} is not the version that the phone's page was tried with: SHA-256 {found} instead of {part.sha256}",
            hint=remedy,
        )
    return content


def carry(root: Path) -> None:
    """Put both files where `read` looks first, in a tree that has `central/` right under `root`.

    Raises:
        ConfigError: As `read`.
    """
    folder = root / "central" / "passes" / "phone"
    for part in (SCRIPT, LICENCE):
        (folder / part.name).write_bytes(read(part))
