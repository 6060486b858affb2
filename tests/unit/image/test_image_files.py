"""What an image is made of, judged without building one: layers, boards, boot files, scripts, the manifest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from imaging import disk, frames, manifest
from imaging.layers import LayerError, problems_of, read_board, read_layer

from kiosk.settings import loader

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "image-build"
LAYERS = sorted((FOLDER / "layer").glob("*.yaml"))
BOARDS = sorted(path.stem for path in (FOLDER / "config").glob("*.yaml"))
BIN = FOLDER / "overlay" / "station" / "usr" / "lib" / "kiosk" / "bin"
TRYBOOT = BIN / "tryboot"
TODAY = date(2026, 11, 24)


@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.stem)
def test_layer_is_one_that_the_makers_tool_takes(path: Path) -> None:
    """Every layer has the header fields that rpi-image-gen asks for, requires what exists, and sorts its packages."""
    assert problems_of(read_layer(path), frozenset(layer.stem for layer in LAYERS)) == []


def test_lint_of_layers_finds_what_is_wrong(tmp_path: Path) -> None:
    """A wrong version, an unknown field, a layer that is nowhere, a variable without a prefix: each is named."""
    path = tmp_path / "other.yaml"
    path.write_text(
        "# METABEGIN\n# X-Env-Layer-Name: mine\n# X-Env-Layer-Category: app\n# X-Env-Layer-Version: 1\n"
        "# X-Env-Layer-Requires: kiosk-nowhere\n# X-Env-Layer-Colour: red\n# X-Env-Var-Size-Desc: x\n# METAEND\n---\n"
        "mmdebstrap:\n  packages: [b, a]\n  extra: 1\n"
    )
    found = "; ".join(problems_of(read_layer(path), frozenset()))
    for part in ("Layer-Desc", "is called 'mine'", "not like 1.0.0", "kiosk-nowhere", "Colour", "VarPrefix", "'extra'",
                 "not sorted", "lower case"):  # fmt: skip
        assert part in found
    path.write_text("mmdebstrap: {}\n")
    with pytest.raises(LayerError, match="METABEGIN"):
        read_layer(path)


@pytest.mark.parametrize("name", BOARDS)
def test_board_has_a_station_with_a_read_only_root(name: str) -> None:
    """Each board resolves, is read-only, and only test machines have the test layer."""
    board = read_board(FOLDER, name)
    names = [layer.name for layer in board.layers]
    assert {"kiosk-station", "kiosk-readonly"} <= set(names)
    assert ("kiosk-ci" in names) is (not board.real)
    assert not {"sudo", "avahi-daemon"} & set(board.packages)


@pytest.mark.parametrize("name", BOARDS)
def test_image_begins_with_a_configuration_of_its_board(name: str, tmp_path: Path) -> None:
    """A real board's root has a file of config/boards/ with one camera and no name; a test machine's has none of its own."""
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("no systemd here")
    wiring = read_board(FOLDER, name).wiring
    (tmp_path / "site").mkdir()
    root = tmp_path / "root"
    argv = [str(FOLDER / "install" / "station.sh"), str(root), str(tmp_path / "site"), wiring]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    share = root / "usr" / "share" / "kiosk"
    shipped = sorted((ROOT / "config" / "boards").glob("*.yaml"))
    assert [path.read_bytes() for path in sorted((share / "boards").iterdir())] == [
        path.read_bytes() for path in shipped
    ]
    begin = share / "kiosk.yaml"
    assert begin.exists() is read_board(FOLDER, name).real
    if begin.exists():
        assert wiring.startswith(f"{name}-")
        config = loader.load_board(begin)
        assert (config.kiosk.id, len(config.lanes)) == (loader.NOBODY, 1)


def test_layers_hook_hands_the_wiring_on() -> None:
    """The variable that a board's file sets is the one that the layer declares and its hook passes."""
    layer = read_layer(FOLDER / "layer" / "kiosk-station.yaml")
    assert layer.header["VarPrefix"] == "kiosk"
    assert layer.header["Var-wiring"] == "none"
    (hook,) = layer.body["customize-hooks"]
    assert hook.endswith('"$IGconf_kiosk_wiring"')
    assert '"IGconf_kiosk_wiring": board.wiring' in (FOLDER / "imaging" / "build.py").read_text("utf-8")


def test_board_that_is_nowhere_is_named_with_those_there_are() -> None:
    """A mistyped board is answered with the list."""
    with pytest.raises(LayerError, match="pi4, pi5, raspi3b, virt, virt-stable, zero2w"):
        read_board(FOLDER, "pi9")


def test_locks_hold_a_hash_for_every_version() -> None:
    """No package of an image is taken without a hash, and lgpio is not the empty placeholder."""
    for lock in (FOLDER / "requirements.lock", FOLDER / "requirements-ci.lock"):
        blocks = re.split(r"\n(?=[a-z])", lock.read_text("utf-8").strip())
        assert blocks
        assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "lgpio==0.2.2" in (FOLDER / "requirements-ci.lock").read_text("utf-8")


def test_partitions_follow_each_other_and_the_firmware_finds_its_own() -> None:
    """No two partitions overlap, logical ones lie in the extended one, and the firmware's are among the first four."""
    parts = {part.number: part for part in disk.plan()}
    ends = {number: part.start_mib + part.size_mib for number, part in parts.items()}
    assert sorted(parts) == list(range(1, 8))
    for before, after in ((1, 2), (2, 3), (3, 4), (5, 6), (6, 7)):
        assert ends[before] <= parts[after].start_mib
    assert parts[4].start_mib < parts[5].start_mib
    assert ends[7] == ends[4] == disk.size_mib()
    assert [parts[number].kind for number in (1, 2, 3)] == ["c"] * 3


def test_state_is_named_by_its_place_in_the_table() -> None:
    """fstab, the unit that grows the partition and its script mean the last one, by the table's own number and no label."""
    name = f"{disk.DISK_ID:x}-{disk.plan()[-1].number:02d}"
    overlay = FOLDER / "overlay"
    assert f"PARTUUID={name} /state" in (overlay / "readonly" / "etc" / "fstab").read_text("utf-8")
    unit = overlay / "station" / "usr" / "lib" / "systemd" / "system" / "kiosk-grow.service"
    device = f"dev-disk-by\\x2dpartuuid-{name.replace('-', chr(92) + 'x2d')}"
    assert unit.read_text("utf-8").count(device) == 3
    assert f"/dev/disk/by-partuuid/{name}" in (BIN / "grow-state").read_text("utf-8")


@pytest.mark.slow
def test_table_is_one_that_sfdisk_writes(tmp_path: Path) -> None:
    """sfdisk takes the table, and reads the same partitions from it."""
    image = tmp_path / "card"
    with image.open("wb") as file:
        file.truncate(disk.size_mib() * disk.MIB)
    env = disk.environment(1_767_225_600)
    subprocess.run(["sfdisk", "-q", str(image)], input=disk.table().encode(), check=True, env=env)
    done = subprocess.run(["sfdisk", "-J", str(image)], capture_output=True, check=True, env=env)
    read = json.loads(done.stdout)["partitiontable"]["partitions"]
    assert [(one["start"], one["size"]) for one in read] == [
        (part.start_mib * 2048, part.size_mib * 2048) for part in disk.plan()
    ]


def test_boot_files_are_ones_that_the_firmware_reads() -> None:
    """autoboot.txt fits its sector and names both slots; cmdline.txt is one line with a read-only root; no serial login."""
    autoboot = (FOLDER / "boot" / "autoboot.txt").read_bytes()
    assert len(autoboot) <= 512
    assert _slots(autoboot) == ("2", "3")
    line = (FOLDER / "boot" / "cmdline.txt").read_text("ascii")
    assert line.count("\n") == 1
    words = line.split()
    assert {"ro", "rootwait", "root=/dev/mmcblk0p@ROOT@"} <= set(words)
    assert not [word for word in words if word.startswith("console=serial")]
    config = (FOLDER / "boot" / "config.txt").read_text("ascii")
    for number, text in enumerate(config.splitlines(), 1):
        assert re.fullmatch(r"|#.*|\[[a-z0-9+=]+\]|[a-z0-9_]+=[^ ]+", text), f"config.txt line {number}: {text}"
    assert {"arm_64bit=1", "camera_auto_detect=1", "enable_uart=0", "dtparam=watchdog=on"} <= set(config.split())


def _document() -> dict[str, Any]:
    one = {
        "name": "Kiosk 1 (pi4)", "description": "A door station that reads codes", "icon": "https://x.invalid/k.png",
        "url": "https://x.invalid/kiosk-pi4.img.zst", "extract_size": 2**30, "extract_sha256": "a" * 64,
        "image_download_size": 2**20, "image_download_sha256": "b" * 64, "release_date": "2026-11-24",
        "init_format": "none", "devices": ["pi4-64bit"],
    }  # fmt: skip
    device = {"name": "Raspberry Pi 4", "description": "a Pi", "tags": ["pi4-64bit"], "matching_type": "exclusive"}
    return {"imager": {"devices": [device]}, "os_list": [one]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"extract_sha256": "A" * 64}, "extract_sha256"),
        ({"extract_sha256": "b" * 64}, "both hashes are the same"),
        ({"extract_size": 2**30 + 1}, "whole number of sectors"),
        ({"image_download_size": 2**31}, "not smaller"),
        ({"release_date": "2026-11-31"}, "no date"),
        ({"release_date": "2026-11-25"}, "future"),
        ({"url": "http://x.invalid/kiosk.img.zst"}, "url"),
        ({"url": "https://x.invalid/kiosk.zip"}, "img.zst"),
        ({"devices": ["pi9"]}, "devices"),
        ({"devices": ["pi5-64bit"]}, "Imager would offer nothing"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_manifest_is_judged_strictly(change: dict[str, Any], reason: str) -> None:
    """A right entry passes; a wrong hash, size, date, address or tag is found before a technician finds it."""
    document = _document()
    document["os_list"][0] |= change
    found = "; ".join(manifest.problems_of(document, None, TODAY))
    assert reason in found
    assert bool(found) is bool(reason)


@pytest.mark.slow
def test_manifest_is_compared_with_the_file(tmp_path: Path) -> None:
    """The entry of a packed image agrees with it, and a file that was changed afterwards is found."""
    image, packed = tmp_path / "kiosk-pi4.img", tmp_path / "kiosk-pi4.img.zst"
    image.write_bytes(os.urandom(4096) + bytes(2**20 - 4096))
    os.utime(image, (1_795_000_000, 1_795_000_000))
    subprocess.run(["zstd", "-q", str(image), "-o", str(packed)], check=True)
    for board in (*manifest.DEVICES, "virt"):
        document = manifest.entry(image, packed, board, "1.0", "https://x.invalid/")
        assert manifest.problems_of(document, None, date(2027, 1, 1)) == []
    document = manifest.entry(image, packed, "pi4", "1.0", "https://x.invalid/")
    assert manifest.problems_of(document, packed, date(2027, 1, 1)) == []
    manifest.draw_icon(tmp_path)
    assert (tmp_path / document["os_list"][0]["icon"].rpartition("/")[2]).read_bytes().startswith(b"\x89PNG")
    image.write_bytes(os.urandom(4096) + bytes(2**20 - 4096))
    subprocess.run(["zstd", "-q", "-f", str(image), "-o", str(packed)], check=True)
    assert "extract_sha256 is not" in "; ".join(manifest.problems_of(document, packed, date(2027, 1, 1)))


def test_pictures_of_the_virtual_camera_hold_all_cards(tmp_path: Path) -> None:
    """Each picture shows four cards that are not shown elsewhere."""
    cards = frames.payloads()
    assert len(set(cards)) == frames.PICTURES * frames.A_PICTURE
    frames.write(tmp_path)
    assert len(list((tmp_path / "cards").glob("*.jpg"))) == frames.PICTURES
    assert len(list((tmp_path / "nobody").glob("*.jpg"))) == 1


def test_services_page_names_every_unit() -> None:
    """docs/services.md says of each unit of ours what it does; a path or a timer stands for the service it starts."""
    page = (ROOT / "docs" / "services.md").read_text("utf-8")
    station = FOLDER / "overlay" / "station" / "usr" / "lib" / "systemd" / "system"
    units = [*(ROOT / "systemd" / "system").iterdir(), *station.iterdir()]
    assert sorted({unit.stem for unit in units if f"`{unit.stem}." not in page}) == []


def test_pages_name_every_file_that_a_card_takes() -> None:
    """Whoever writes a card reads of each file that take-config looks for, in both languages, and where the image is explained."""
    script = (BIN / "take-config").read_text("utf-8")
    names = set(re.findall(r"^ *(?:named|take_key) ([a-z_.-]+)", script, re.MULTILINE))
    assert len(names) == 5
    for page in ("flashing.md", "image.md", "vi/nap-the.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        assert not [name for name in names if f"`{name}`" not in text], page


def test_ssh_serves_keys_alone() -> None:
    """The server waits for a key on the card, takes no password, forwards nothing, and reads no other list of keys."""
    overlay = FOLDER / "overlay" / "station" / "usr"
    settings = dict(
        line.split(maxsplit=1)
        for line in (overlay / "share/kiosk/sshd_config").read_text().splitlines()
        if line[0] != "#"
    )
    assert settings["AuthorizedKeysFile"] == "/state/ssh/authorized_keys"
    assert settings["AuthenticationMethods"] == "publickey"
    assert {settings[f"{way}Authentication"] for way in ("Password", "KbdInteractive")} == {"no"}
    assert {settings[f"Allow{what}Forwarding"] for what in ("Agent", "Tcp", "StreamLocal")} == {"no"}
    unit = (overlay / "lib/systemd/system/kiosk-ssh.service").read_text()
    assert "\nConditionPathExists=/state/ssh/authorized_keys\n" in unit


def _slots(autoboot: bytes) -> tuple[str, str]:
    found = re.fullmatch(
        rb"\[all\]\ntryboot_a_b=1\nboot_partition=([23])\n\[tryboot\]\nboot_partition=([23])\n", autoboot
    )
    assert found, autoboot
    return found[1].decode(), found[2].decode()


class Firmware:
    """The tryboot script's world in a folder: autoboot.txt, the state, the running slot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir()
        shutil.copy(FOLDER / "boot" / "autoboot.txt", folder / "autoboot.txt")
        (folder / "cmdline").write_text("console=tty1 root=/dev/mmcblk0p5 ro quiet\n")

    @property
    def slots(self) -> tuple[str, str]:
        """Partitions that are booted by default and on trial."""
        return _slots((self.folder / "autoboot.txt").read_bytes())

    def call(self, *argv: str, script: Path = TRYBOOT) -> str:
        env = os.environ | {
            "TRYBOOT_DEVICE": "", "TRYBOOT_BOOT": str(self.folder), "TRYBOOT_STATE": str(self.folder / "state"),
            "TRYBOOT_CMDLINE": str(self.folder / "cmdline"),
        }  # fmt: skip
        done = subprocess.run([str(script), *argv], env=env, capture_output=True, text=True, check=False, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip()}"


def test_update_is_on_trial_until_it_is_marked_good(tmp_path: Path) -> None:
    """Installing leaves what the firmware boots; marking good swaps the slots; marking bad gives the trial up."""
    firmware = Firmware(tmp_path)
    assert (firmware.call("get-current"), firmware.call("get-primary")) == ("A", "A")
    firmware.call("set-primary", "B")
    assert firmware.slots == ("2", "3")
    assert firmware.call("get-primary") == "B"
    firmware.call("set-state", "B", "bad")
    assert (firmware.call("get-primary"), firmware.call("get-state", "B"), firmware.slots) == ("A", "bad", ("2", "3"))
    firmware.call("set-primary", "B")
    firmware.call("set-state", "B", "good")
    assert firmware.slots == ("3", "2")
    assert (firmware.call("get-primary"), firmware.call("get-state", "B")) == ("B", "good")
    assert "it is A or B" in firmware.call("set-primary", "C")


@pytest.mark.parametrize(
    "argv", [("set-primary", "B"), ("set-state", "B", "good"), ("set-state", "B", "bad")], ids=" ".join
)
def test_power_cut_at_any_step_leaves_a_slot_that_boots(tmp_path: Path, argv: tuple[str, ...]) -> None:
    """The script is ended before each of its commands in turn: autoboot.txt is always whole and names both slots."""
    steps = 0
    for cut in range(1, 100):
        place = tmp_path / str(cut)
        place.mkdir()
        firmware = Firmware(place)
        firmware.call("set-primary", "B")
        cutter = place / "tryboot"
        # bash runs the trap before each command; `kill -9` is the power cut.
        text = TRYBOOT.read_text("utf-8").replace("#!/bin/sh", "#!/bin/bash", 1)
        trap = f"set -T; n=0; trap 'n=$((n + 1)); if [ $n -eq {cut} ]; then kill -9 $$; fi' DEBUG\nset -eu"
        cutter.write_text(text.replace("set -eu", trap, 1))
        cutter.chmod(0o755)
        ended = firmware.call(*argv, script=cutter)
        assert sorted(firmware.slots) == ["2", "3"]
        assert firmware.call("get-primary") in {"A", "B"}
        steps = cut
        if not ended.startswith("failed"):
            break
    assert 3 < steps < 99


def test_units_of_the_image_are_ones_that_systemd_reads() -> None:
    """systemd-analyze finds no setting in the image's own units that Debian 13's does not know."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    units = [path for path in sorted((FOLDER / "overlay").glob("*/usr/lib/systemd/system/*")) if path.is_file()]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True, check=False
    )
    # The image has systemd 257, the machine that tests may not.
    bad = re.compile(
        r"Unknown (?!key (name )?'(ImportCredential|RestartSteps|RestartMaxDelaySec)')|Invalid|Failed to parse|Missing '='"
    )
    assert not [line for line in done.stderr.splitlines() if bad.search(line)]


def test_image_starts_units_that_exist() -> None:
    """Every unit of ours that station.sh lets the boot start is in the image."""
    script = (FOLDER / "install" / "station.sh").read_text("utf-8")
    started = set(re.findall(r"\bkiosk-[a-z]+\.(?:service|path|timer)\b", script))
    there = {path.name for path in (FOLDER / "overlay" / "station" / "usr" / "lib" / "systemd" / "system").iterdir()}
    assert "kiosk-code.service" in started
    assert started <= there


def test_file_system_has_the_same_bits_whenever_it_is_made(tmp_path: Path) -> None:
    """Files that were written and read at other times give the same file system, if their contents and dates are the same."""
    made = []
    for number in range(2):
        folder, target = tmp_path / f"tree-{number}", tmp_path / f"fs-{number}"
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").write_text("x" * 9000)
        (folder / "link").symlink_to("inner/file")
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (1_700_000_000 + number, 1_700_000_000), follow_symlinks=False)
        disk.make_ext4(target, folder, 8, 5, 1_700_000_000)
        made.append(target.read_bytes())
    assert made[0] == made[1]
