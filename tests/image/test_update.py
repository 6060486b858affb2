"""Updates in the image of BOARD=virt-stable: its own RAUC, kernel, units and sandboxes, up to the restart into the other slot.

QEMU has no firmware that knows `tryboot`, so what comes after the restart is shown by `make test-updates`. The bundle's
partitions are small ones, because an emulated processor writes slowly; the card's are the real ones.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from imaging import bundle, disk, signing

from kiosk.envelopes import remote
from kiosk.envelopes.offer import Offer
from kiosk.envelopes.remote import Command, Verb
from tests.image.conftest import WORK, Table
from tests.image.machine import Card, Machine, virt
from tests.updates.machine import SMALL, Version, make_version

BOARD = "virt-stable"
BOOT_S = 900.0
"""An emulated processor, beside other work."""
INSTALL_S = 300.0
OLDER, NEWER = "0.0.1+20200101000000", "9.0.0+20990101000000"
UP = """
for i in $(seq 600); do
    systemctl is-active -q dbus && mountpoint -q /state && [ "$(systemctl show -P SubState kiosk-provision)" = exited ] && break
    sleep 1
done
systemctl stop kiosk-scan; echo up after $i s"""
"""A station that nobody has set up never ends its start; what an update needs is there before. This one has no pins to scan with."""
TRUST = """
mkdir -p /run/ours /run/card && mount -t vfat -o ro /dev/disk/by-label/KIOSK /run/card && cp /run/card/*.raucb /state/
cp -a /etc/kiosk/. /run/ours/ && rm -f /run/ours/fleet.pem && cp /run/card/update-ca.pem /run/ours/
cp /run/card/orders.pem /run/ours/fleet.pem && mount --bind /run/ours /etc/kiosk
mkdir -p /run/orders && cp /run/card/*.cose /run/orders/; umount /run/card; ls /state /run/orders"""
"""The image may have been built without keys: this fleet's are laid over what it has."""
ORDER = """
cd /var/lib/kiosk/update && cp /run/orders/{name}.cose order.cose && cp /state/{name}.raucb bundle.raucb
chown kiosk-uplink:kiosk *; touch ready; for i in $(seq 200); do [ -e ready ] || break; sleep 1; done
for i in $(seq 200); do [ "$(systemctl show -P ActiveState kiosk-update.service)" = activating ] || break; sleep 1; done
cat /state/rauc/install.json; journalctl -b -u kiosk-update -u rauc -o cat --no-pager | tail -n 20"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guest said.

    Attributes:
        said: By what was done.
        restarted: Whether the machine restarted by itself after an ordered update.
        console: The last lines of its console.
    """

    said: dict[str, str]
    restarted: bool
    console: str


def _bundle(place: Path, name: str, version: Version, keys: Path, fleet: Ed25519PrivateKey) -> list[Path]:
    """A bundle, and the fleet's order of it."""
    content = place / f"{name}.content"
    content.mkdir()
    for part in ("boot.vfat", "root.ext4"):
        disk.copy_sparse(version.folder / part, content / part)
    signer = bundle.Signer(keys / "update.key", keys / "update.pem", keys / "update-ca.pem")
    made = bundle.pack(content, BOARD, version.name, signer, place / f"{name}.raucb")
    data = made.read_bytes()
    offer = Offer(version.name, "https://127.0.0.1:1/b.raucb", hashlib.sha256(data).digest(), len(data))
    order = made.with_suffix(".cose")
    command = Command(hashlib.sha256(name.encode()).digest()[:16], 1, Verb.UPDATE, update=offer)
    order.write_bytes(remote.signed(command, "image-test-1", fleet, 1_800_000_000, 60))
    return [made, order]


@pytest.fixture(scope="module")
def seen(folder: Path, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One boot, every update that a station may be offered, and at last one that it takes."""
    place = tmp_path_factory.mktemp("update")
    fleet = Ed25519PrivateKey.generate()
    (place / "orders.pem").write_bytes(fleet.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signing.make(place / "keys")
    signing.make(place / "others")
    with pytest.MonkeyPatch.context() as patch:
        for name, size in SMALL.items():
            patch.setattr(disk, name, size)
        newer, older = make_version(place / "newer", NEWER), make_version(place / "older", OLDER)
    files = [place / "orders.pem", place / "keys" / "update-ca.pem"]
    files += _bundle(place, "good", newer, place / "keys", fleet)
    files += _bundle(place, "older", older, place / "keys", fleet)
    files += _bundle(place, "foreign", newer, place / "others", fleet)
    flipped = bytearray((place / "good.raucb").read_bytes())
    flipped[len(flipped) // 3] ^= 1
    (place / "flipped.raucb").write_bytes(flipped)
    card = Card.of(WORK / BOARD / f"kiosk-{BOARD}.img", folder / "update.card")
    for path in [*files, place / "flipped.raucb"]:
        card.put(path.name, path.read_bytes(), folder)
    machine = Machine(folder, "update-1")
    said: dict[str, str] = {}
    try:
        machine.start(virt(card, WORK / BOARD, {}, folder / "virt.dtb", "", pins=False))
        machine.wait_for("CI-SHELL ready", BOOT_S)  # what is typed before is lost
        said["up"] = machine.run(UP, BOOT_S)
        table.note("boot", said["up"])
        said["trust"] = machine.run(TRUST)
        said["status"] = machine.run("rauc status 2>&1", INSTALL_S)
        for name in ("foreign", "older", "flipped", "good"):
            said[name] = machine.run(f"rauc install /state/{name}.raucb 2>&1", INSTALL_S)
            table.note(f"rauc install {name}", said[name].splitlines()[-1] if said[name] else "")
        said["pending"] = machine.run("cat /state/rauc/pending; /usr/lib/kiosk/bin/tryboot get-default")
        said["slot"] = machine.run(
            "mkdir /run/b; mount -o ro /dev/vda3 /run/b && cat /run/b/cmdline.txt; umount /run/b"
        )
        said["stranger"] = machine.run("setpriv --reuid=kiosk-uplink --regid=kiosk --clear-groups rauc status 2>&1")
        machine.run("rm -f /state/rauc/pending")
        for name in ("foreign", "older"):
            said[f"ordered {name}"] = machine.run(ORDER.format(name=name), 2 * INSTALL_S)
        restarted = _restarts(machine)
        table.note("ordered update: restart", restarted)
        yield Seen(said, restarted, machine.console[-3000:])
    finally:
        machine.pull_the_plug()


def _restarts(machine: Machine) -> bool:
    """Whether the machine goes down by itself when a good update has been ordered; QEMU ends then."""
    assert machine._process is not None
    machine._line.sendall(ORDER.format(name="good").encode() + b"\n")  # type: ignore[union-attr]
    deadline_s = time.monotonic() + INSTALL_S
    while machine._process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.5)
    return machine._process.poll() is not None


def test_rauc_knows_the_station(seen: Seen) -> None:
    """RAUC of the image takes our settings, and knows that slot A runs and is good."""
    assert f"kiosk-{BOARD}" in seen.said["status"], seen.said["status"]
    assert "rootfs.0" in seen.said["status"]
    assert "booted" in seen.said["status"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("foreign", "signature verification failed"), ("older", "failed"), ("flipped", "failed"), ("good", "succeeded")],
)
def test_update_is_judged(seen: Seen, name: str, reason: str) -> None:
    """The right bundle is written, every other is refused."""
    said = seen.said[name].lower()
    assert reason in said, said
    assert ("succeeded" in said) is (name == "good"), said


def test_trial_is_prepared_and_nothing_else(seen: Seen) -> None:
    """The other slot waits for its trial and would mount its own root; the default is as it was."""
    assert seen.said["pending"].split() == ["B", "A"]
    assert "root=/dev/mmcblk0p6 " in seen.said["slot"]


def test_only_root_speaks_to_rauc(seen: Seen) -> None:
    """The uplink's user cannot even ask."""
    assert "Rejected send message" in seen.said["stranger"], seen.said["stranger"]


def test_ordered_update_is_judged_by_root(seen: Seen) -> None:
    """Through the units and their sandboxes: a foreign bundle and an older version fail, and the status can say why."""
    assert '"state": "failed"' in seen.said["ordered foreign"], seen.said["ordered foreign"]
    assert "signature verification failed" in seen.said["ordered foreign"]
    assert "is older than" in seen.said["ordered older"], seen.said["ordered older"]


def test_ordered_update_restarts_the_board(seen: Seen) -> None:
    """A good one is installed and the machine goes down for its trial."""
    assert seen.restarted, seen.console
