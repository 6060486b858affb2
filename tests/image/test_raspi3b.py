"""The image of BOARD=raspi3b on QEMU's Pi 3: the card in its reader, the pins of its own chip, and no clock.

One boot, one story, as in `test_virt`; what a station does over several boots is shown there. `make test-image
BOARD=raspi3b` runs it and prints the table.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.image.conftest import WORK, Centre, Table
from tests.image.machine import Machine, raspi3b
from tests.image.station import PROBES, as_windows_writes, card_of, light, since_power
from tests.running import until

BOOT_S = 900.0
"""Four emulated processors on two, beside other work."""
KIOSK = "image-test-3"
ASKED = PROBES | {
    "model": "tr -d '\\0' </proc/device-tree/model",
    "chips": "cat /sys/bus/gpio/devices/gpiochip*/of_node/compatible | tr '\\0' ' '",
    "card": "findmnt -no SOURCE / && findmnt -no SOURCE /state",
    "ssh": "cat >/run/mine <<'END' && chmod 600 /run/mine && {login} -i /run/mine root@127.0.0.1 id -un\n{key}END",
    "foreign ssh": "ssh-keygen -q -t ed25519 -N '' -f /run/other && {login} -i /run/other root@127.0.0.1 id -un 2>&1",
    "clock": "date -u +%FT%TZ; ls /dev/rtc* 2>/dev/null",
}
LOGIN = "ssh -F none -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


@dataclass
class Station:
    """What was seen of it.

    Attributes:
        seen: Answers to the probes, by name.
        names: Files on the first partition afterwards.
        light: For how long a colour stood still, milliseconds, by colour as red, green, blue.
        greens: Recorded entries that the console told of.
        entries: Entries in the centre's ledger at the end.
        opened: Of how many of them the authority reads the person.
        clocks: What the entries say of the clock that gave them their time.
        apart_s: So much later than they say the centre had them, at most, seconds.
        audit: What the centre's audit says, and its exit code.
    """

    seen: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    light: dict[str, int] = field(default_factory=dict)
    greens: int = 0
    entries: int = 0
    opened: int = 0
    clocks: set[str] = field(default_factory=set)
    apart_s: float = float("inf")
    audit: tuple[int, str] = (-1, "")


@pytest.fixture(scope="module")
def station(folder: Path, centre: Centre, table: Table) -> Station:
    """The whole story."""
    parts = WORK / "raspi3b"
    card = card_of("raspi3b", centre, folder)
    card.put("kiosk-code.txt", as_windows_writes(centre.code(KIOSK).decode()), folder)
    key = folder / "technician"
    key.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "technician", "-f", str(key)], check=True)
    card.put("authorized_keys", as_windows_writes(key.with_suffix(".pub").read_text()), folder)
    centre.collect()
    story = Station()
    machine = Machine(folder, "raspi3b")
    try:
        machine.start(raspi3b(card, parts, centre.ways, folder / "raspi3b.dtb"))
        _tell(machine, story, centre, table, key.read_text())
    finally:
        machine.pull_the_plug()
    story.names = card.names()
    return story


def _tell(machine: Machine, story: Station, centre: Centre, table: Table, key: str) -> None:
    machine.until_said(r"\bset-up kiosk=", BOOT_S)
    table.note("set up by its code", since_power(machine))
    machine.until_greens(1, BOOT_S)
    table.note("first green on the console", since_power(machine))
    until(lambda: centre.entries() > 0, lambda: "no entry in the centre's ledger", longest_s=BOOT_S)
    table.note("first entry in the centre's ledger", since_power(machine))
    story.light = light(machine, 20)
    table.note("green stood still for", f"{story.light.get('010', 0)} ms")
    for name, command in ASKED.items():
        story.seen[name] = machine.run(command.replace("{login}", LOGIN).replace("{key}", key), 300.0)
    table.note("model; its chips of pins", f"{story.seen['model']}; {story.seen['chips']}")
    table.note("its own clock", story.seen["clock"])
    table.note("root and state", story.seen["card"].replace("\n", " "))
    machine.run("systemctl stop kiosk-scan", 180.0)
    story.greens = machine.greens()
    until(lambda: centre.entries() >= story.greens, lambda: f"{centre.entries()} of {story.greens}", longest_s=180.0)
    machine.power_off(300.0)
    story.entries, story.opened = centre.entries(), centre.opened()
    rows = centre.rows("SELECT clock, wall_ns, received_ns FROM entry")
    story.clocks = {clock for clock, _, _ in rows}
    story.apart_s = max(abs(received_ns - wall_ns) for _, wall_ns, received_ns in rows) / 1e9
    done = centre.audit()
    story.audit = (done.returncode, done.stdout.strip())
    table.note("ledger; persons that the authority can read", f"{story.entries}; {story.opened}")
    table.note("clocks of the entries", f"{', '.join(sorted(story.clocks))}; right to {story.apart_s:.0f} s")
    table.note("audit", story.audit[1].splitlines()[-1])


def test_board_is_a_pi(station: Station) -> None:
    """The kernel knows the board and its own chip of pins; root and state lie on the card in its reader."""
    assert station.seen["model"] == "Raspberry Pi 3 Model B"
    assert "brcm,bcm2837-gpio" in station.seen["chips"] or "brcm,bcm2835-gpio" in station.seen["chips"]
    assert station.seen["card"].split() == ["/dev/mmcblk0p5", "/dev/mmcblk0p7"]


def test_system_is_whole(station: Station) -> None:
    """systemd is running and no unit has failed."""
    assert (station.seen["state"], station.seen["failed"]) == ("running", "")


def test_code_on_the_boot_partition_sets_the_station_up(station: Station) -> None:
    """Without a clock of its own, it believes the signed code, redeems it, and takes it off the card."""
    assert "kiosk-code.txt was taken" in station.seen["provisioned"]
    assert "kiosk-code.txt" not in station.names


def test_green_line_of_the_chip_is_lit(station: Station) -> None:
    """The kernel tells of the chip's line of the green LED that it stands high, and no other, for as long as a cue."""
    assert station.light.get("010", 0) >= 200, station.light


def test_every_green_is_in_the_ledger(station: Station) -> None:
    """All were delivered, each person opens with the authority's keys, and the audit finds nothing."""
    assert station.entries == station.opened == station.greens > 0
    assert station.audit[0] == 0, station.audit[1]


def test_time_comes_from_the_centre(station: Station) -> None:
    """The board has no clock and shows the day on which its systemd was built, but every entry has the centre's time."""
    shown = datetime.fromisoformat(station.seen["clock"].splitlines()[0])
    assert datetime.now(UTC) - shown > timedelta(days=1)
    assert "/dev/rtc" not in station.seen["clock"]
    assert station.clocks == {"estimated"}
    assert station.apart_s < 300


def test_ssh_is_open_to_the_key_on_the_card_alone(station: Station) -> None:
    """One port listens, because a technician has put a key on the card; nobody else's key is let in."""
    assert {line.split()[4].rpartition(":")[2] for line in station.seen["listening"].splitlines()} == {"22"}
    assert "SSH is open to 1 key(s)" in station.seen["provisioned"]
    assert "authorized_keys" not in station.names
    assert station.seen["ssh"] == "root"
    assert "Permission denied (publickey)" in station.seen["foreign ssh"]
