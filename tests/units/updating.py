"""Runs as root inside the booted container: an update in the sandboxes of its units, as far as a machine without a card goes.

RAUC is the real one. It judges the bundle and then fails, because a container has no loop devices; what it writes to a card is
shown by `make test-updates`.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

INBOX = Path("/var/lib/kiosk/update")
CMDLINE = Path("/run/cmdline")
DISKS = Path("/dev/disk/by-partuuid")


def seen() -> dict[str, Any]:
    """What the units did."""
    CMDLINE.write_text("console=tty1 root=/dev/mmcblk0p5 ro\n")
    _run("mount", "--bind", str(CMDLINE), "/proc/cmdline")
    DISKS.mkdir(parents=True, exist_ok=True)
    for number in (2, 3, 5, 6):
        Path(f"/dev/mmcblk0p{number}").touch()
        (DISKS / f"6b696f73-0{number}").symlink_to(f"/dev/mmcblk0p{number}")
    _run("chown", "-R", "kiosk-uplink:kiosk", str(INBOX))
    bundle = INBOX / "bundle.raucb"
    kept = bundle.read_bytes()
    bundle.unlink()
    _run("systemctl", "start", "kiosk-fetch.service")
    told: dict[str, Any] = {
        "fetch": _json(INBOX / "fetch.json"),
        "fetch_result": _run("systemctl", "show", "-P", "Result", "kiosk-fetch.service"),
        "strangers": _run(
            "setpriv", "--reuid=kiosk-uplink", "--regid=kiosk", "--clear-groups",
            "rauc", "status", "mark-good",
        ),
    }  # fmt: skip
    bundle.write_bytes(kept)
    _run("chown", "kiosk-uplink:kiosk", str(bundle))
    _run("systemctl", "start", "kiosk-update.path")
    _run("setpriv", "--reuid=kiosk-uplink", "--regid=kiosk", "--clear-groups", "touch", str(INBOX / "ready"))
    deadline_s = time.monotonic() + 60
    mark = Path("/state/rauc/install.json")
    while _json(mark).get("state") not in {"failed", "installed"} and time.monotonic() < deadline_s:
        time.sleep(0.2)
    time.sleep(1)
    told["install"] = _json(mark)
    told["ready_is_gone"] = not (INBOX / "ready").exists()
    told["update_result"] = _run("systemctl", "show", "-P", "Result", "kiosk-update.service")
    told["log"] = _run(
        "journalctl", "-b", "-u", "rauc", "-u", "kiosk-update", "-u", "kiosk-fetch", "-o", "cat", "--no-pager"
    )
    told["word_for_the_firmware"] = _word()
    return told


def _word() -> str:
    """Whether the update's own sandbox lets it leave the word for the firmware."""
    text = Path("/usr/lib/systemd/system/kiosk-update.service").read_text("utf-8")
    unit = Path("/run/systemd/system/probe-update.service")
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(text.replace("/usr/lib/kiosk/bin/install-update", "/usr/bin/touch /run/systemd/reboot-param"))
    _run("systemctl", "daemon-reload")
    _run("systemctl", "start", unit.name)
    word = Path("/run/systemd/reboot-param")
    left = "left" if word.exists() else "not left"
    word.unlink(missing_ok=True)
    return left


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return (done.stdout + done.stderr).strip()


if __name__ == "__main__":
    print(json.dumps(seen()))  # noqa: T201  for whoever started it
