"""A station in a machine of QEMU's: what its board's file says, what it is asked as root, and how its light is watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.image.conftest import WORK
from tests.image.machine import Card, Machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.image.conftest import Centre

BOARD = """
lanes:
  - camera:
      source: "picamera2:0"
      width_px: 640
      height_px: 480
      small_width_px: 0
      fps: 15
      timeout_s: 60
      autofocus: "off"
    panel:
      kind: gpio
repeat:
  gone_s: 0.2
  window_s: 0
"""
"""What a board's file says; who it is and where it delivers comes with the code."""
FLEET, AUTHORITY, CONFIG = "fleet (1).pem", "authority.pem.txt", "Kiosk.yaml.txt"
"""What Windows makes of the names of what is put onto the first partition."""
STALL_S = 20
STALL = f"(fsfreeze -f /state; sleep {STALL_S}; fsfreeze -u /state) >/dev/null 2>&1 &"
"""Whatever is written to the card waits in the kernel for so long, as on a card that stalls."""
STARTS = "systemctl show -P MainPID -P NRestarts kiosk-scan kiosk-uplink"
TRY_A_LIMIT = "systemd-run -q --wait -p MemoryMax=48M -p MemorySwapMax=0 python3 -c 'bytearray(1 << 28)'; echo $?"
PROBES = {
    "listening": "ss -H -lntu",
    "unlocked": "awk -F: '$2 !~ /^[!*]/ {print $1}' /etc/shadow",
    "root": "findmnt -no OPTIONS /",
    "write": "touch /usr/kiosk-was-here 2>&1; touch /etc/kiosk-was-here 2>&1",
    "state options": "findmnt -no OPTIONS /var/lib/kiosk",
    "state size": "findmnt -bno SIZE /state",
    "exec": "cp /usr/bin/true /var/lib/kiosk/t && /var/lib/kiosk/t 2>&1; rm -f /var/lib/kiosk/t",
    "swap": "awk 'NR > 1 {print $1}' /proc/swaps",
    "journal": "ls -A /var/log/journal 2>/dev/null; journalctl --header | grep -o '/run/log/journal' | head -1",
    "sshd": "systemctl is-active ssh kiosk-ssh | grep -x active; ls /etc/ssh/ssh_host_* /state/ssh /run/ssh-* 2>/dev/null",
    "provisioned": "journalctl -b -u kiosk-provision -o cat",
    "users": "for unit in scan uplink; do stat -c %U /proc/$(systemctl show -P MainPID kiosk-$unit); done",
    "doctor": "kiosk doctor --json",
    "memory": "for unit in scan uplink; do cat /sys/fs/cgroup/system.slice/kiosk-$unit.service/memory.max; done",
    "boot": "cat /proc/sys/kernel/random/boot_id",
    "failed": "systemctl --failed --no-legend --plain",
    "state": "timeout 240 systemctl is-system-running --wait",
}


def as_windows_writes(text: str, encoding: str = "utf-8-sig") -> bytes:
    """A text as Windows' editors save it: with a mark before it, and its own line ends."""
    return text.replace("\n", "\r\n").encode(encoding)


def card_of(board: str, centre: Centre, folder: Path) -> Card:
    """A card of a board's image, with this centre's keys and what the board is like on its first partition, named and written as Windows does.

    Args:
        board: Whose image.
        centre: Whose keys.
        folder: Where the card is made.
    """
    card = Card.of(WORK / board / f"kiosk-{board}.img", folder / f"{board}.card")
    card.put(FLEET, (centre.broker.fleet / "fleet.pem").read_bytes(), folder)
    card.put(AUTHORITY, (centre.keys / "authority.pem").read_bytes(), folder)
    card.put(CONFIG, as_windows_writes(BOARD, "utf-16"), folder)
    return card


def since_power(machine: Machine) -> str:
    """How long ago it was switched on, for the table."""
    return f"{time.monotonic() - machine.started_s:.0f} s after power"


def light(machine: Machine, seconds: int) -> dict[str, int]:
    """For how long each colour stood still at most, milliseconds, by the levels of red, green and blue."""
    shown = machine.run(f"python3 /usr/lib/kiosk/ci/light.py {seconds}", seconds + 120.0)
    return {colour: int(stood_ms) for colour, stood_ms in (line.split() for line in shown.splitlines())}
