"""The image of BOARD=virt from its first boot on, through a power cut and a second boot.

One machine, one story: the fixture `station` tells it up to the second boot and notes what was seen; each test judges one
promise. `make test-image` runs it and prints the table.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.image.conftest import WORK, Centre, Table, until
from tests.image.machine import GUEST_URL, Card, Machine, virt

BOOT_S = 420.0
"""An emulated processor, beside other work."""
ENTRIES = 200
CONFIG = f"""
kiosk:
  id: image-test-1
  site: image-test
lanes:
  - name: main
    direction: in
    camera:
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
uplink:
  brokers: ["{GUEST_URL}"]
"""
"""As an editor of Windows writes it: see `_as_windows_writes`."""
PROBES = {
    "state": "timeout 240 systemctl is-system-running --wait",
    "failed": "systemctl --failed --no-legend --plain",
    "listening": "ss -H -lntu",
    "unlocked": "awk -F: '$2 !~ /^[!*]/ {print $1}' /etc/shadow",
    "root": "findmnt -no OPTIONS /",
    "write": "touch /usr/kiosk-was-here 2>&1; touch /etc/kiosk-was-here 2>&1",
    "state options": "findmnt -no OPTIONS /var/lib/kiosk",
    "state size": "findmnt -bno SIZE /state",
    "exec": "cp /usr/bin/true /var/lib/kiosk/t && /var/lib/kiosk/t 2>&1; rm -f /var/lib/kiosk/t",
    "swap": "awk 'NR > 1 {print $1}' /proc/swaps",
    "journal": "ls -A /var/log/journal 2>/dev/null; journalctl --header | grep -o '/run/log/journal' | head -1",
    "sshd": "command -v sshd; ls /etc/ssh 2>/dev/null",
    "provisioned": "journalctl -b -u kiosk-provision -o cat",
    "users": "ps -o user:20= -C python3",
    "boot": "cat /proc/sys/kernel/random/boot_id",
    "uplink": "cat /run/kiosk/uplink.json",
    "world": "timeout 5 sh -c 'exec 3<>/dev/tcp/10.0.2.2/22' 2>&1; ip -br addr show scope global",
}


@dataclass
class Station:
    """What was seen of it.

    Attributes:
        seen: Answers of the first boot's probes.
        again: Answers of the second boot's.
        names: Files on the first partition after the first boot.
        greens: Recorded entries that the first boot's console told of.
        greens_unsent: Those of them after the collector had been stopped.
        levels: Levels of the green line, as read from the simulated chip.
        first_boot: Entries of the first boot in the ledger, at the end.
        second_boot: Entries of the second.
        audit: What the centre's audit says, and its exit code.
    """

    seen: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    greens: int = 0
    greens_unsent: int = 0
    levels: set[str] = field(default_factory=set)
    first_boot: int = 0
    second_boot: int = 0
    audit: tuple[int, str] = (-1, "")


def _as_windows_writes(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


@pytest.fixture(scope="module")
def station(folder: Path, centre: Centre, table: Table) -> Station:
    """The whole story."""
    parts = WORK / "virt"
    card = Card.of(parts / "kiosk-virt.img", folder / "virt.card")
    card.put("kiosk.yaml", _as_windows_writes(CONFIG), folder)
    centre.collect()
    story = Station()
    machine = Machine(folder, "virt-1")
    try:
        _first_boot(machine, virt(card, parts, centre.broker.port, folder / "virt.dtb"), story, centre, table)
        machine.pull_the_plug()
        story.greens = machine.greens()
        table.note("power cut", f"after {story.greens} greens, {story.greens_unsent} of them never sent")
        story.names = card.names()
        machine = Machine(folder, "virt-2")
        _second_boot(machine, virt(card, parts, centre.broker.port, folder / "virt.dtb"), story, centre, table)
    finally:
        machine.pull_the_plug()
    return story


def _first_boot(machine: Machine, argv: list[str], story: Station, centre: Centre, table: Table) -> None:
    machine.start(argv)
    machine.wait_for("CI-SHELL ready", BOOT_S)
    table.note("first boot: shell", "ready")
    machine.until_greens(1, BOOT_S)
    table.note("first green on the console", f"{time.monotonic() - machine.started_s:.0f} s after power")
    until(lambda: centre.entries() > 0, BOOT_S, "an entry in the centre's ledger")
    table.note("first entry in the centre's ledger", centre.entries())
    for name, command in PROBES.items():
        story.seen[name] = machine.run(command, 300.0)
    deadline_s = time.monotonic() + 120
    while story.levels != {"0", "1"} and time.monotonic() < deadline_s:
        loop = "for i in $(seq 300); do cat /run/ci-pins/sim_gpio27/value; done | sort -u"
        story.levels |= set(machine.run(loop, 60.0).split())
    table.note("levels of the green line", sorted(story.levels))
    until(lambda: '"online"' in machine.run("cat /run/kiosk/uplink.json"), 60.0, "the uplink online")
    centre.stop_collecting()
    before = machine.greens()
    machine.until_greens(before + ENTRIES // 2, BOOT_S)
    story.greens_unsent = machine.greens() - before


def _second_boot(machine: Machine, argv: list[str], story: Station, centre: Centre, table: Table) -> None:
    centre.collect()
    machine.start(argv)
    machine.wait_for("CI-SHELL ready", BOOT_S)
    machine.until_greens(1, BOOT_S)
    table.note("second boot: first green", f"{time.monotonic() - machine.started_s:.0f} s after power")
    boot, again = story.seen["boot"], machine.run("cat /proc/sys/kernel/random/boot_id")
    until(lambda: centre.entries(boot) >= story.greens, 180.0, "all greens of the first boot in the ledger")
    until(lambda: centre.entries(again) > 0, 180.0, "an entry of the second boot in the ledger")
    for name in ("state", "failed", "provisioned"):
        story.again[name] = machine.run(PROBES[name], 300.0)
    machine.run("systemctl stop kiosk-scan", 120.0)
    machine.power_off(180.0)
    time.sleep(2)
    story.first_boot, story.second_boot = centre.entries(boot), centre.entries(again)
    done = centre.audit()
    story.audit = (done.returncode, done.stdout.strip())
    table.note("ledger: first boot, second boot", f"{story.first_boot}, {story.second_boot}")
    table.note("audit", story.audit[1].splitlines()[-1])


def test_configuration_is_taken_from_the_boot_partition_once(station: Station) -> None:
    """kiosk.yaml with Windows' line ends is taken at the first boot, removed from the card, and kept over the second."""
    assert "kiosk.yaml was taken" in station.seen["provisioned"]
    assert "kiosk.yaml" not in station.names
    assert "kiosk-says.txt" in station.names
    assert "the one from before is kept" in station.again["provisioned"]


def test_system_is_whole(station: Station) -> None:
    """systemd is running and no unit has failed, at either boot."""
    assert (station.seen["state"], station.seen["failed"]) == ("running", "")
    assert (station.again["state"], station.again["failed"]) == ("running", "")


def test_green_line_is_lit(station: Station) -> None:
    """The simulated chip's line of the green LED is seen high and low: our panel drives real pins."""
    assert station.levels == {"0", "1"}


def test_centre_has_taken_an_entry_and_said_so(station: Station) -> None:
    """The uplink has receipts: it knows itself online and nothing waits that was sent before."""
    assert '"online"' in station.seen["uplink"]


def test_power_cut_loses_no_green(station: Station) -> None:
    """Every green of the first boot is in the ledger after the second, with those that had never been sent."""
    assert station.greens_unsent >= ENTRIES // 2
    assert station.first_boot >= station.greens
    assert station.audit[0] == 0, station.audit[1]


def test_second_boot_goes_on(station: Station) -> None:
    """The second boot records and delivers without any help."""
    assert station.second_boot > 0


def test_nothing_listens(station: Station) -> None:
    """No port is open, not even to the machine itself."""
    assert station.seen["listening"] == ""


def test_nobody_can_log_in(station: Station) -> None:
    """Every account is locked, and there is no SSH."""
    assert (station.seen["unlocked"], station.seen["sshd"]) == ("", "")


def test_root_is_read_only(station: Station) -> None:
    """Nothing can be written to the root, not even by root."""
    assert "ro" in station.seen["root"].split(",")
    assert station.seen["write"].count("Read-only file system") == 2


def test_state_executes_nothing(station: Station) -> None:
    """The state partition is mounted noexec, nodev and nosuid, and that holds."""
    assert {"noexec", "nodev", "nosuid"} <= set(station.seen["state options"].split(","))
    assert "Permission denied" in station.seen["exec"]


def test_state_fills_the_card(station: Station) -> None:
    """At the first boot the state partition has grown over the rest of the card."""
    assert int(station.seen["state size"]) > 4_000_000_000


def test_card_holds_neither_journal_nor_swap(station: Station) -> None:
    """The journal is in memory, and so is swap, packed."""
    assert station.seen["journal"] == "/run/log/journal"
    assert station.seen["swap"].split() == ["/dev/zram0"]


def test_processes_have_users_of_their_own(station: Station) -> None:
    """Scan and uplink run as two users, neither of them root."""
    assert set(station.seen["users"].split()) == {"kiosk-scan", "kiosk-uplink"}
