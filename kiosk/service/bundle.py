"""Everything that helps from afar when a station is ill, in one file: no entry, no name, no secret.

A zip with the settings (without user and password), the station's diagnostics, its processes' marks, the state of its services and
the journal's lines of them and of the kernel. Numbers as long as a person's are blotted out wherever they stand.

Units: `_s` seconds.
"""

from __future__ import annotations

import json
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import yaml
import zstandard

from kiosk.disk import shared
from kiosk.errors import ConfigError
from kiosk.orders import diagnostics
from kiosk.trust import fleet_keys
from kiosk.updates import updating

if TYPE_CHECKING:
    from pathlib import Path

    from kiosk.config import Config
    from kiosk.model import Moment
    from kiosk.outbox import Outbox

LARGEST_MARK_BYTES = 65_536
LIMIT_S = 30.0
JOURNAL_LINES = 3000
SERVICES = (
    "kiosk-scan.service", "kiosk-uplink.service", "kiosk.target", "kiosk-provision.service", "kiosk-code.service",
    "kiosk-config.service", "kiosk-wifi.service", "kiosk-wpa.service", "kiosk-fetch.service", "kiosk-update.service",
    "kiosk-prove.service", "rauc.service", "kiosk-calm.service", "kiosk-reboot.service", "kiosk-link.service", "kiosk-grow.service",
)  # fmt: skip
"""All of ours but SSH's, which would tell who has logged in from where."""
MARKS = ("scan-*.json", "uplink.json", "panel-*.json", "provision.json")
_SECRET = "(removed)"  # noqa: S105  the opposite
_COMMANDS = {
    "journal.txt": [
        "journalctl", "-b", "--no-pager", "-o", "short-monotonic", "-n", str(JOURNAL_LINES), "_TRANSPORT=kernel",
        *(word for service in SERVICES for word in ("+", f"_SYSTEMD_UNIT={service}")),
    ],
    "services.txt": ["systemctl", "show", "-p", "Id,ActiveState,Result,NRestarts,ExecMainStatus,StatusText", *SERVICES],
    "disks.txt": ["df", "-h"],
    "devices.txt": ["ls", "-l", "/dev"],
}  # fmt: skip


def write(path: Path, config: Config, outbox: Outbox | None, now: Moment) -> list[str]:
    """Make the file.

    Args:
        path: Where; not there yet.
        config: The station's settings.
        outbox: Its outbox, of which only the depth is told; None if it cannot be opened.
        now: Now.

    Returns:
        What is in it.

    Raises:
        OSError: It cannot be written.
    """
    contents = {"kiosk.yaml": yaml.safe_dump(public(config), allow_unicode=True, sort_keys=False)}
    if outbox is not None:
        frame = diagnostics.collect(config, outbox, now, "support-bundle", _update(config))
        message = json.loads(zstandard.ZstdDecompressor().decompress(frame, diagnostics.LARGEST_BYTES * 64))
        contents["diagnostics.json"] = json.dumps(message, indent=1, ensure_ascii=False)
    for pattern in MARKS:
        for found in sorted(config.state.runtime_dir.glob(pattern)):
            try:
                contents[f"marks/{found.name}"] = shared.read(found, LARGEST_MARK_BYTES).decode("utf-8", "replace")
            except OSError as error:  # a link, a pipe, a device: whatever a service has put there is not looked through
                contents[f"marks/{found.name}.refused"] = f"{error.strerror}\n"
    for name, argv in _COMMANDS.items():
        contents[name] = _said(argv)
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in contents.items():
            bundle.writestr(name, text)
    path.chmod(0o600)
    return list(contents)


def public(config: Config) -> dict[str, object]:
    """The settings without what opens a door: the broker's user; passwords and keys are in files, and only their names are here."""
    values: dict[str, object] = json.loads(config.model_dump_json())
    uplink = values["uplink"]
    if isinstance(uplink, dict) and uplink.get("username") is not None:
        uplink["username"] = _SECRET
    return values


def _update(config: Config) -> dict[str, Any]:
    """How an update stands; by a fleet's key that cannot be read, no order is one."""
    try:
        keys = fleet_keys.fleet_keys(config.trust.fleet_key_file)
    except ConfigError:
        keys = {}
    return updating.report(config, keys)


def _said(argv: list[str]) -> str:
    """What a program says of the machine, line by line harmless; why not, if it cannot."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{argv[0]}: {error}\n"
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(diagnostics.harmless(line) for line in lines[-JOURNAL_LINES:]) + "\n"
