"""The image of BOARD=virt from its first boot on: unprovisioned, provisioned, a power cut, and a boot after it.

One card, one story: the fixture `station` tells it and notes what was seen; each test judges one promise. `make test-image`
runs it and prints the table.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.image.conftest import WORK, ZONE, Centre, Table
from tests.image.machine import Machine, virt
from tests.image.station import (
    AUTHORITY,
    CONFIG,
    FLEET,
    PROBES,
    STALL,
    STALL_S,
    STARTS,
    TRY_A_LIMIT,
    as_windows_writes,
    card_of,
    light,
    since_power,
)
from tests.running import until

BOOT_S = 600.0
"""An emulated processor, beside other work."""
ENTRIES = 200
KIOSK = "image-test-1"
BAD = {
    "kiosk.yml": as_windows_writes("kiosk: {id: other}\nnonsense: 1\n", "utf-16"),
    "fleet.pem": b"-----BEGIN PUBLIC KEY-----\nanother one's\n",
    "authorized_keys (2).txt": b"PuTTY-User-Key-File-3: ssh-ed25519\r\n",
    "kiosk-settings.yaml": b"{}",
}
"""What is put onto the first partition of a station at work, and must take nothing away."""
SAYS = "kiosk-says.txt"
WORDS = {1: "kiosk.nobody cgroup_disable=memory"}
"""Of the kernel's command line, by boot: nobody before the camera, and no limits of memory, as by the maker's device tree alone."""
KEY = "cd /var/lib/kiosk/identity && stat -c '%a %U' key.pem && head -1 key.pem && ls /var/lib/kiosk/etc"


@dataclass
class Station:
    """What was seen of it.

    Attributes:
        seen: Answers to the probes, by boot and name.
        names: Files on the first partition after each boot.
        says: What the station has written there about the bad ones.
        greens: Recorded entries that the console told of before the power cut.
        greens_unsent: Those of them after the collector had been stopped.
        stalled: Processes and restarts before the card stalled for some seconds, and after it.
        light: For how long a colour stood still, milliseconds, by boot and colour as red, green, blue.
        first_boot: Entries of the provisioned boot in the ledger, at the end.
        second_boot: Entries of the one after the power cut.
        opened: Of how many entries the authority reads the person.
        audit: What the centre's audit says, and its exit code.
    """

    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    says: str = ""
    greens: int = 0
    greens_unsent: int = 0
    stalled: tuple[str, str] = ("", "")
    light: dict[str, dict[str, int]] = field(default_factory=dict)
    first_boot: int = 0
    second_boot: int = 0
    opened: int = 0
    audit: tuple[int, str] = (-1, "")


@pytest.fixture(scope="module")
def station(folder: Path, centre: Centre, table: Table) -> Station:
    """The whole story."""
    parts = WORK / "virt"
    card = card_of("virt", centre, folder)
    story = Station()
    for number, tell in enumerate((_unprovisioned, _provisioned, _after_the_cut), 1):
        machine = Machine(folder, f"virt-{number}")
        try:
            machine.start(virt(card, parts, centre.ways, folder / "virt.dtb", WORDS.get(number, "")))
            tell(machine, story, centre, table)
        finally:
            machine.pull_the_plug()
        if number == 1:
            code = centre.code(KIOSK)
            card.put("kiosk-code.txt", as_windows_writes(code.decode()), folder)
            centre.collect()
        if number == 2:
            for name, content in BAD.items():
                card.put(name, content, folder)
        story.names[machine.name] = card.names()
    story.says = card.text(SAYS)
    return story


def _unprovisioned(machine: Machine, story: Station, _centre: Centre, table: Table) -> None:
    """First power: the state grows, nobody has set it up, and it says so in blue."""
    machine.until_said(r"\bnot-set-up\b", BOOT_S)
    table.note("first boot: says that it is not set up", since_power(machine))
    story.light["first"] = light(machine, 5)
    story.seen["first"] = {name: machine.run(command, 300.0) for name, command in PROBES.items()}
    table.note("blue stood still for", f"{story.light['first'].get('001', 0)} ms")


def _provisioned(machine: Machine, story: Station, centre: Centre, table: Table) -> None:
    """The code lay on the first partition: it is redeemed, entries reach the centre, and the plug is pulled."""
    machine.until_said(r"\bset-up kiosk=", BOOT_S)
    table.note("second boot: set up by its code", since_power(machine))
    machine.until_greens(1, BOOT_S)
    table.note("first green on the console", since_power(machine))
    until(lambda: centre.entries() > 0, lambda: "no entry in the centre's ledger", longest_s=BOOT_S)
    table.note("first entry in the centre's ledger", since_power(machine))
    story.light["second"] = light(machine, 5)
    table.note("green stood still for", f"{story.light['second'].get('010', 0)} ms")
    until(lambda: '"online"' in machine.run("cat /run/kiosk/uplink.json"), lambda: "the uplink not online")
    again = ("listening", "users", "boot", "provisioned", "failed", "state", "memory", "doctor")
    story.seen["second"] = {name: machine.run(PROBES[name], 300.0) for name in again}
    story.seen["second"] |= {"uplink": machine.run("cat /run/kiosk/uplink.json"), "key": machine.run(KEY)}
    story.seen["second"]["limit"] = machine.run(TRY_A_LIMIT, 300.0)
    story.stalled = _stalled(machine, story, table)
    centre.stop_collecting()
    before = machine.greens()
    machine.until_greens(before + ENTRIES // 2, BOOT_S)
    machine.pull_the_plug()
    story.greens = machine.greens()
    story.greens_unsent = story.greens - before
    table.note("power cut", f"after {story.greens} greens, {story.greens_unsent} of them never sent")


def _stalled(machine: Machine, story: Station, table: Table) -> tuple[str, str]:
    """The card stalls while somebody stands there; which processes there were before and are afterwards."""
    before = machine.run(STARTS, 60.0)
    machine.run(STALL, 60.0)
    story.light["stall"] = light(machine, STALL_S // 2)
    machine.until_greens(machine.greens() + 1, BOOT_S)
    table.note(f"card stalls for {STALL_S} s: white stood still for", f"{story.light['stall'].get('111', 0)} ms")
    return before, machine.run(STARTS, 60.0)


def _after_the_cut(machine: Machine, story: Station, centre: Centre, table: Table) -> None:
    centre.collect()
    machine.until_greens(1, BOOT_S)
    table.note("third boot: first green", since_power(machine))
    boot, again = story.seen["second"]["boot"], machine.run("cat /proc/sys/kernel/random/boot_id")
    until(
        lambda: centre.entries(boot) >= story.greens,
        lambda: f"{centre.entries(boot)} of {story.greens}",
        longest_s=180.0,
    )
    until(lambda: centre.entries(again) > 0, lambda: "no entry of the third boot", longest_s=180.0)
    story.seen["third"] = {name: machine.run(PROBES[name], 300.0) for name in ("state", "failed", "provisioned")}
    machine.run("systemctl stop kiosk-scan", 180.0)
    machine.power_off(240.0)
    time.sleep(2)
    story.first_boot, story.second_boot = centre.entries(boot), centre.entries(again)
    story.opened = centre.opened()
    done = centre.audit()
    story.audit = (done.returncode, done.stdout.strip())
    table.note("ledger: second boot, third boot", f"{story.first_boot}, {story.second_boot}")
    table.note("persons that the authority can read", story.opened)
    table.note("audit", story.audit[1].splitlines()[-1])


def test_first_boot_shows_that_nobody_has_set_it_up(station: Station) -> None:
    """Without a code the station flashes blue on real lines: half a second lit, half a second dark."""
    assert station.light["first"].get("001", 0) >= 250
    assert station.light["first"].get("000", 0) >= 250


def test_configuration_is_taken_from_the_boot_partition_once(station: Station) -> None:
    """Files as Windows names and writes them are taken at the first boot, removed from the card, and kept over the next."""
    said = station.seen["first"]["provisioned"]
    for name in (FLEET, AUTHORITY, CONFIG):
        assert f"{name} was taken" in said
        assert name not in station.names["virt-1"]
    assert SAYS in station.names["virt-1"]
    assert "no new kiosk.yaml" not in station.seen["first"]["provisioned"]


def test_bad_files_take_nothing_away(station: Station) -> None:
    """Each is named with its reason and stays for whoever put it there; the station goes on with what was good before."""
    said = dict(line.split(" was not taken: ", 1) for line in station.says.splitlines() if " was not taken: " in line)
    assert said.keys() == BAD.keys()
    assert "nonsense" in said["kiosk.yml"]
    assert "this station has one" in said["fleet.pem"]
    assert "private key" in said["authorized_keys (2).txt"]
    assert BAD.keys() <= station.names["virt-3"]
    assert station.second_boot > 0


def _doctor(station: Station, boot: str, part: str) -> tuple[str, str]:
    """What it says of a part: how it is, and why."""
    found = [json.loads(line) for line in station.seen[boot]["doctor"].splitlines() if line.startswith("{")]
    return next((one["health"], one["says"]) for one in found if one["part"] == part)


def test_clock_is_that_of_the_stations_zone(station: Station) -> None:
    """The zone that the provisioning code names, from the centre to doctor's line; before that, the default one."""
    assert "(Asia/Ho_Chi_Minh)" in _doctor(station, "first", "clock")[1]
    assert f"({ZONE})" in _doctor(station, "second", "clock")[1]


def test_limits_of_memory_hold_or_doctor_says_not(station: Station) -> None:
    """Both services are bounded, and a process that asks for more is ended; where the kernel was told not to, doctor warns."""
    assert all(0 < int(limit) < 1 << 30 for limit in station.seen["second"]["memory"].split())
    assert len(station.seen["second"]["memory"].split()) == 2
    assert station.seen["second"]["limit"].split()[-1] != "0"
    assert _doctor(station, "second", "limits")[0] == "ok"
    health, says = _doctor(station, "first", "limits")
    assert health == "warning"
    assert "cgroup_enable=memory" in says


def test_code_on_the_boot_partition_sets_the_station_up_once(station: Station) -> None:
    """The signed code is redeemed for a certificate: the key was made here, is the uplink's alone, and the code is gone."""
    mode, begin, *kept = station.seen["second"]["key"].splitlines()
    assert (mode, begin) == ("600 kiosk-uplink", "-----BEGIN PRIVATE KEY-----")
    assert "kiosk-code.txt was taken" in station.seen["second"]["provisioned"]
    assert "kiosk-code.txt" not in station.names["virt-2"] | set(kept)


@pytest.mark.parametrize("boot", ["first", "second", "third"])
def test_system_is_whole(station: Station, boot: str) -> None:
    """systemd is running and no unit has failed, at any boot."""
    assert (station.seen[boot]["state"], station.seen[boot]["failed"]) == ("running", "")


def test_green_line_is_lit(station: Station) -> None:
    """The simulated chip's line of the green LED stands high, and no other, for as long as a cue: our panel drives real pins."""
    assert station.light["second"].get("010", 0) >= 200


def test_card_that_stalls_is_waited_for(station: Station) -> None:
    """The kernel holds every write back: the lamps are lit together, the one pulse of patience, and no process starts anew."""
    assert station.light["stall"].get("111", 0) >= 250
    before, after = station.stalled
    assert len(before.split()) == 4
    assert after == before


def test_centre_has_taken_an_entry_and_said_so(station: Station) -> None:
    """The uplink has receipts: it knows itself online and nothing waits that was sent before."""
    assert '"online"' in station.seen["second"]["uplink"]


def test_power_cut_loses_no_green(station: Station) -> None:
    """Every green before the cut is in the ledger after the next boot, with those that had never been sent."""
    assert station.greens_unsent >= ENTRIES // 2
    assert station.first_boot >= station.greens
    assert station.audit[0] == 0, station.audit[1]


def test_persons_are_sealed_to_the_authority(station: Station) -> None:
    """Each entry's person opens with the authority's keys: the list of keys came with the certificate."""
    assert station.opened == station.first_boot + station.second_boot


def test_boot_after_the_cut_goes_on(station: Station) -> None:
    """The boot after the power cut records and delivers without any help."""
    assert station.second_boot > 0


@pytest.mark.parametrize("boot", ["first", "second"])
def test_nothing_listens(station: Station, boot: str) -> None:
    """No port is open, not even to the machine itself."""
    assert station.seen[boot]["listening"] == ""


def test_nobody_can_log_in(station: Station) -> None:
    """Every account is locked, no SSH runs, and the image brings no key of a host that others would have, too."""
    assert (station.seen["first"]["unlocked"], station.seen["first"]["sshd"]) == ("", "")


def test_root_is_read_only(station: Station) -> None:
    """Nothing can be written to the root, not even by root."""
    assert "ro" in station.seen["first"]["root"].split(",")
    assert station.seen["first"]["write"].count("Read-only file system") == 2


def test_state_executes_nothing(station: Station) -> None:
    """The state partition is mounted noexec, nodev and nosuid, and that holds."""
    assert {"noexec", "nodev", "nosuid"} <= set(station.seen["first"]["state options"].split(","))
    assert "Permission denied" in station.seen["first"]["exec"]


def test_state_fills_the_card(station: Station) -> None:
    """At the first boot the state partition has grown over the rest of the card."""
    assert int(station.seen["first"]["state size"]) > 4_000_000_000


def test_card_holds_neither_journal_nor_swap(station: Station) -> None:
    """The journal is in memory, and so is swap, packed."""
    assert station.seen["first"]["journal"] == "/run/log/journal"
    assert station.seen["first"]["swap"].split() == ["/dev/zram0"]


def test_processes_have_users_of_their_own(station: Station) -> None:
    """Scan and uplink run as two users, neither of them root."""
    assert station.seen["second"]["users"].split() == ["kiosk-scan", "kiosk-uplink"]
