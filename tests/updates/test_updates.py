"""Updates by the real RAUC on a card that is laid out as a station's: installed, tried, kept, left, and cut off at every step.

`make test-updates` runs this in minutes; User Mode Linux is needed, and no rights. What is played is the Pi's firmware
(`machine.Card.firmware`) and what `kiosk prove` finds.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from imaging import bundle, disk, release, signing

from kiosk.envelopes import remote
from kiosk.envelopes.offer import Offer
from kiosk.envelopes.remote import Command, Verb
from tests.updates.machine import CUT, ROOT, SMALL, Booted, Card, Machine, Version, make_version

NAMES = ("0.1.0+20260101000000", "0.2.0+20260201000000", "0.2.1+20260301000000")
INSTALL = "cp /mnt/{name}.raucb /state/ && rauc install /state/{name}.raucb"
PROVE = "export PATH=/mnt/stubs:$PATH; /usr/lib/kiosk/bin/prove"
SCRIPTS = ROOT / "image-build" / "overlay" / "station" / "usr" / "lib" / "kiosk" / "bin"
CUTTER = f"""set -T
step() {{
    case $1 in printf* | sync* | mv* | rm* | dd* | mount* | umount* | rauc*) ;; *) return 0 ;; esac
    echo >>/run/steps
    [ "$(stat -c %s /run/steps)" -ne "$(cat /mnt/cut)" ] || {{ echo {CUT} >/dev/console; sleep 60; }}
}}
trap 'step "$BASH_COMMAND"' DEBUG
set -eu"""
"""Before each command that can change the card, the machine stands still until its power is gone."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all tests have in common.

    Attributes:
        place: A folder.
        versions: Three, the oldest first.
        card: A new one with the second of them.
    """

    place: Path
    versions: tuple[Version, ...]
    card: Card

    def machine(self, name: str, card: Card) -> Machine:
        """A station of this fleet with that card."""
        work = self.place / f"{name}.work"
        work.mkdir()
        for path in [*self.place.glob("*.raucb"), self.place / "keys" / "update-ca.pem", self.place / "system.conf"]:
            shutil.copy(path, work)
        (work / "stubs").mkdir()
        _script(work / "stubs" / "kiosk", 'echo "kiosk $*"; exit "$(cat /mnt/proved)"')
        _script(work / "stubs" / "systemctl", 'echo "GUEST systemctl $*"')
        (work / "proved").write_text("0\n")
        (work / "cut").write_text("0\n")
        return Machine(work, card)

    def complete(self, card: Card, booted: Booted) -> bool:
        """Whether what the firmware starts is a version with its own kernel and all of its root."""
        version = next((one for one in self.versions if one.name == booted.version), None)
        if version is None or card.root_sha256(booted.slot) != version.root_sha256:
            return False
        return card.kernel(booted.slot) == (version.folder / "boot" / "vmlinuz").read_bytes()


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _cutting(source: Path, target: Path) -> None:
    """A script that stands still before the n-th changing command of all such scripts, n being in /mnt/cut."""
    text = source.read_text("utf-8").replace("#!/bin/sh", "#!/bin/bash", 1)
    assert "\nset -eu\n" in text
    target.write_text(text.replace("set -eu", CUTTER, 1))
    target.chmod(0o755)


def _pack(place: Path, name: str, version: Version, keys: Path, board: str = "virt") -> Path:
    content = place / f"{name}.content"
    content.mkdir()
    for part in ("boot.vfat", "root.ext4"):
        disk.copy_sparse(version.folder / part, content / part)
    signer = bundle.Signer(keys / "update.key", keys / "update.pem", keys / "update-ca.pem")
    return bundle.pack(content, board, version.name, signer, place / f"{name}.raucb")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Keys, three versions, a bundle of each, and bundles that a station must refuse."""
    place = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        for name, size in SMALL.items():
            patch.setattr(disk, name, size)
        signing.make(place / "keys")
        signing.make(place / "others")
        versions = tuple(make_version(place / name, name) for name in NAMES)
        for number, version in enumerate(versions):
            _pack(place, str(number), version, place / "keys")
        _pack(place, "foreign", versions[2], place / "others")
        _pack(place, "pi5", versions[2], place / "keys", "pi5")
        flipped = bytearray((place / "2.raucb").read_bytes())
        flipped[len(flipped) // 3] ^= 1
        (place / "flipped.raucb").write_bytes(flipped)
        _cutting(bundle.HOOK, place / "hook")
        patch.setattr(bundle, "HOOK", place / "hook")
        _pack(place, "cutting", versions[2], place / "keys")
        conf = (ROOT / "image-build/overlay/station/etc/rauc/system.conf").read_text("utf-8")
        (place / "system.conf").write_text(conf.replace("@COMPATIBLE@", release.compatible("virt")))
        yield Fleet(place, versions, Card.new(place / "card", versions[1]))


def _installed(fleet: Fleet, name: str) -> Machine:
    """A station into whose other slot the newest version has been installed."""
    machine = fleet.machine(name, fleet.card.copy(f"{name}.card"))
    ran = machine.run(INSTALL.format(name=2), machine.card.firmware())
    assert ran.code == 0, ran.console
    return machine


def test_update_is_tried_once_proves_itself_and_is_kept(fleet: Fleet) -> None:
    """Installing changes nothing that is booted; the trial boots the new version whole; proved, it is booted from then on."""
    machine = _installed(fleet, "kept")
    card = machine.card
    assert card.firmware().version == NAMES[1]
    trial = card.firmware(tryboot=True)
    assert (trial.slot, trial.version, card.pending()) == ("B", NAMES[2], "B")
    assert fleet.complete(card, trial)
    ran = machine.run(PROVE, trial)
    assert ran.code == 0, ran.console
    assert "B is kept" in ran.console
    after = card.firmware()
    assert (after.slot, after.version, card.pending()) == ("B", NAMES[2], "")
    assert card.firmware(tryboot=True).version == NAMES[1]
    # The next one goes into slot A, and the same version may be written again.
    ran = machine.run(INSTALL.format(name=2), after)
    assert ran.code == 0, ran.console
    assert fleet.complete(card, card.firmware(tryboot=True))
    assert card.firmware().slot == "B"


def test_update_that_does_not_prove_itself_is_left(fleet: Fleet) -> None:
    """Without proof the station restarts, and the version before is booted, also for good."""
    machine = _installed(fleet, "left")
    (machine.folder / "proved").write_text("1\n")
    ran = machine.run(PROVE, machine.card.firmware(tryboot=True))
    assert "GUEST systemctl reboot" in ran.console, ran.console
    assert machine.card.firmware().version == NAMES[1]
    assert machine.card.pending() == ""


def test_power_cut_during_a_trial_goes_back(fleet: Fleet) -> None:
    """A trial that ends in a power cut leaves the version before running, which tidies up; a new attempt is possible."""
    machine = _installed(fleet, "trial-cut")
    card = machine.card
    ran = machine.run(f"echo {CUT} >/dev/console; sleep 60", card.firmware(tryboot=True))
    assert ran.code is None
    back = card.firmware()
    assert back.version == NAMES[1]
    ran = machine.run(PROVE, back)
    assert "the version that was has been left" in ran.console
    assert card.pending() == ""
    assert machine.run(INSTALL.format(name=2), back).code == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("foreign", "signature verification failed"),
        ("0", "is older than"),
        ("pi5", "Compatible mismatch|compatible|Compatible"),
        ("flipped", "I/O error|Input/output error|Failed|failed"),
    ],
)
def test_wrong_bundle_is_refused(fleet: Fleet, name: str, reason: str) -> None:
    """A foreign key, an older version, another board's, a flipped byte: refused, and what runs is untouched."""
    machine = fleet.machine(f"wrong-{name}", fleet.card.copy(f"wrong-{name}.card"))
    card = machine.card
    before = card.root_sha256("B")
    ran = machine.run(INSTALL.format(name=name), card.firmware())
    assert ran.code not in {0, None}, ran.console
    assert re.search(reason, ran.console), ran.console
    assert card.firmware().version == NAMES[1]
    assert fleet.complete(card, card.firmware())
    assert card.pending() == ""
    if name != "flipped":  # which is found only while it is written
        assert card.root_sha256("B") == before


def test_nothing_is_installed_during_a_trial(fleet: Fleet) -> None:
    """While a version is on trial the other slot is the way back, and is not written."""
    machine = _installed(fleet, "during")
    before = machine.card.root_sha256("A")
    ran = machine.run(INSTALL.format(name=2), machine.card.firmware(tryboot=True))
    assert ran.code not in {0, None}
    assert "a version is on trial" in ran.console
    assert machine.card.root_sha256("A") == before


def _order(fleet: Fleet, machine: Machine, name: str, version: Version) -> None:
    """What the uplink has laid down and fetched: the fleet's order and the bundle, both of another user than root."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = (fleet.place / f"{name}.raucb").read_bytes()
    offer = Offer(version.name, "https://updates.example/b.raucb", hashlib.sha256(content).digest(), len(content))
    command = Command(os.urandom(16), 1, Verb.UPDATE, update=offer)
    (machine.folder / "fleet.pem").write_bytes(public)
    (machine.folder / "order.cose").write_bytes(remote.signed(command, "door-1", key, 1_800_000_000, 60))


ORDERED = f"""
export PATH=/mnt/stubs:{Path(sys.executable).parent}:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={ROOT}
mkdir -p /var/lib/kiosk/update; cd /var/lib/kiosk/update
cp /mnt/fleet.pem /etc/kiosk/; cp /mnt/order.cose .; cp /mnt/{{name}}.raucb bundle.raucb; touch ready
chown -R 1234:1234 /var/lib/kiosk/update
/usr/lib/kiosk/bin/install-update
ls; cat /state/rauc/install.json
"""


def test_ordered_update_is_installed_by_root(fleet: Fleet) -> None:
    """What the fleet has ordered and the uplink's user has fetched is installed, and the board restarts on trial."""
    machine = fleet.machine("ordered", fleet.card.copy("ordered.card"))
    (machine.folder / "stubs" / "kiosk").unlink()
    _order(fleet, machine, "2", fleet.versions[2])
    ran = machine.run(ORDERED.format(name=2), machine.card.firmware())
    assert "GUEST systemctl --no-block --reboot-argument=0 tryboot reboot" in ran.console, ran.console
    assert '"state": "installed"' in ran.console
    trial = machine.card.firmware(tryboot=True)
    assert (trial.version, machine.card.pending()) == (NAMES[2], "B")
    assert fleet.complete(machine.card, trial)


@pytest.mark.parametrize(
    ("name", "version", "reason"), [("0", 0, "is older than"), ("foreign", 2, "signature verification failed")]
)
def test_ordered_update_is_refused_by_root(fleet: Fleet, name: str, version: int, reason: str) -> None:
    """An order of the fleet's for an older version, or for a bundle of a foreign key, restarts nothing and says why."""
    machine = fleet.machine(f"ordered-{name}", fleet.card.copy(f"ordered-{name}.card"))
    (machine.folder / "stubs" / "kiosk").unlink()
    before = machine.card.root_sha256("B")
    _order(fleet, machine, name, fleet.versions[version])
    ran = machine.run(ORDERED.format(name=name), machine.card.firmware())
    assert "GUEST systemctl" not in ran.console
    assert re.search(f'"state": "failed", "reason": "[^"]*{reason}', ran.console), ran.console
    assert (machine.card.pending(), machine.card.root_sha256("B")) == ("", before)


def _cuts(fleet: Fleet, name: str, start: Card, job: str, *, tryboot: bool) -> Iterator[Card]:
    """The card after a power cut before each command of the job's scripts in turn, and at last without one."""
    machine = fleet.machine(name, start)
    scripts = machine.folder / "bin"
    scripts.mkdir()
    for script in ("tryboot", "check-update", "prove"):
        _cutting(SCRIPTS / script, scripts / script)
    for cut in range(1, 300):
        card = start.copy(f"{name}.card")
        machine.card = card
        (machine.folder / "cut").write_text(f"{cut}\n")
        ran = machine.run(job, card.firmware(tryboot=tryboot))
        yield card
        if ran.code is not None:
            assert ran.code == 0, ran.console
            assert cut > 5, "the scripts have more commands than that"
            return
    pytest.fail("it never ended")


def test_power_cut_at_any_step_of_an_installation(fleet: Fleet) -> None:
    """Cut before any command of the installation, the version before boots, untouched; a trial is whole or is none."""
    trials = set()
    for card in _cuts(fleet, "install-cuts", fleet.card, INSTALL.format(name="cutting"), tryboot=False):
        booted = card.firmware()
        assert booted.version == NAMES[1]
        assert fleet.complete(card, booted)
        pending = card.pending()
        trials.add(pending)
        if pending:
            trial = card.firmware(tryboot=True)
            assert trial.version == NAMES[2]
            assert fleet.complete(card, trial)
    assert trials == {"", "B"}


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("part", ["boot.1", "rootfs.1"])
def test_power_cut_while_a_slot_is_written(fleet: Fleet, part: str, after_s: float) -> None:
    """Cut at any time of the writing, the version before boots, and the same update can be installed again."""
    machine = fleet.machine(f"write-cut-{part}-{after_s}", fleet.card.copy(f"write-cut-{part}-{after_s}.card"))
    card = machine.card
    job = INSTALL.format(name=2)
    ran = machine.run(job, card.firmware(), cut_at=f"Copying image to {part}", cut_after_s=after_s)
    assert ran.code is None, ran.console
    booted = card.firmware()
    assert booted.version == NAMES[1]
    assert fleet.complete(card, booted)
    ran = machine.run(job, booted)
    assert ran.code == 0, ran.console
    assert fleet.complete(card, card.firmware(tryboot=True))


def test_power_cut_at_any_step_of_keeping_a_version(fleet: Fleet) -> None:
    """Cut before any command that keeps a version, one of the two boots, whole, and the other one is there to go back to."""
    start = _installed(fleet, "keeping").card
    seen = set()
    for card in _cuts(fleet, "keep-cuts", start, PROVE, tryboot=True):
        booted = card.firmware()
        other = card.firmware(tryboot=True)
        assert {booted.version, other.version} == {NAMES[1], NAMES[2]}
        assert fleet.complete(card, booted)
        assert fleet.complete(card, other)
        seen.add(booted.version)
    assert seen == {NAMES[1], NAMES[2]}
