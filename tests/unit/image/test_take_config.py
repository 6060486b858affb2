"""What a station takes from its card's first partition: each file once, whole, and with a word on what became of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "image-build" / "overlay" / "station" / "usr" / "lib" / "kiosk" / "bin" / "take-config"


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., str]:
    """Puts files onto the boot partition, lets the station take them, and gives back what it says there."""

    def run(others: dict[str, bytes] | None = None, **files: bytes) -> str:
        boot = tmp_path / "boot"
        boot.mkdir(exist_ok=True)
        for name, content in [*(others or {}).items(), *((_NAMES[name], content) for name, content in files.items())]:
            (boot / name).parent.mkdir(exist_ok=True)
            (boot / name).write_bytes(content)
        check = (
            "exit 0" if others else f'exec {sys.executable} -m kiosk "$@"'
        )  # names are judged without it, in no time
        (tmp_path / "kiosk").write_text(f"#!/bin/sh\n{check}\n")
        (tmp_path / "kiosk").chmod(0o755)
        env = os.environ | {
            "KIOSK_BOOT_DEVICE": "", "KIOSK_BOOT": str(boot), "KIOSK_GROUP": "", "KIOSK_ETC": str(tmp_path / "etc"),
            "KIOSK_CONFIG_KEPT": str(tmp_path / "etc" / "kiosk.yaml"), "KIOSK_COMMAND": str(tmp_path / "kiosk"),
            "KIOSK_SSH": str(tmp_path / "ssh"), "KIOSK_CONFIG_DEFAULT": str(tmp_path / "default.yaml"),
        }  # fmt: skip
        subprocess.run([str(SCRIPT)], env=env, check=True, timeout=120, capture_output=True, cwd=ROOT)
        says = boot / "kiosk-says.txt"
        return says.read_text("utf-8") if says.exists() else ""

    return run


_NAMES = {
    "config": "kiosk.yaml", "code": "kiosk-code.txt", "fleet": "fleet.pem", "authority": "authority.pem",
    "ssh": "authorized_keys",
}  # fmt: skip


def test_configuration_of_a_windows_editor_is_taken_once(take: Callable[..., str], tmp_path: Path) -> None:
    """A byte order mark and Windows' line ends do no harm; the file is removed from the card and kept by the station."""
    text = "kiosk:\r\n  id: door-7\r\n  site: office-1\r\n"
    assert "was taken" in take(config=b"\xef\xbb\xbf" + text.encode())
    assert not (tmp_path / "boot" / "kiosk.yaml").exists()
    assert yaml.safe_load((tmp_path / "etc" / "kiosk.yaml").read_bytes())["kiosk"]["id"] == "door-7"
    assert b"\r" not in (tmp_path / "etc" / "kiosk.yaml").read_bytes()


def test_station_begins_with_the_images_own_configuration(take: Callable[..., str], tmp_path: Path) -> None:
    """Where none has come by the card, before and beside a wrong one; it never takes the place of one that is there."""
    kept = tmp_path / "etc" / "kiosk.yaml"
    take()
    assert not kept.exists()
    default = (ROOT / "config" / "boards" / "zero2w-mini.yaml").read_bytes()
    (tmp_path / "default.yaml").write_bytes(default)
    assert "was not taken" in take(config=b"lane: nothing\n")
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (default, 0o640)
    (tmp_path / "boot" / "kiosk.yaml").unlink()
    take(config=b"kiosk: {id: door-7, site: office-1}\n")
    (tmp_path / "default.yaml").write_text("decode: {budget_ms: 100}\n")
    take()
    assert kept.read_bytes() == b"kiosk: {id: door-7, site: office-1}\n"


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "boards").glob("*.yaml")), ids=lambda path: path.stem)
def test_boards_file_goes_with_a_code(take: Callable[..., str], tmp_path: Path, path: Path) -> None:
    """Any of config/boards/ is taken beside a code: it names no station, so the code is not in vain."""
    assert take(config=path.read_bytes(), code=b"KS1:ABC\n").count("was taken and removed") == 2
    assert "kiosk" not in yaml.safe_load((tmp_path / "etc" / "kiosk.yaml").read_bytes())


def test_wrong_configuration_stays_and_says_why(take: Callable[..., str], tmp_path: Path) -> None:
    """A wrong file is left on the card with the reason beside it, and the configuration from before is kept."""
    take(config=b"kiosk: {id: door-7, site: office-1}\n")
    before = (tmp_path / "etc" / "kiosk.yaml").read_bytes()
    says = take(config=b"kiosk: {id: door-7, site: office-1}\nlane: nothing\n")
    assert "was not taken" in says
    assert "lane" in says
    assert (tmp_path / "boot" / "kiosk.yaml").exists()
    assert (tmp_path / "etc" / "kiosk.yaml").read_bytes() == before
    assert "larger than 65536 bytes" in take(config=b"#" * 70000)


def test_code_is_taken_off_the_card_for_the_uplinks_user_alone(take: Callable[..., str], tmp_path: Path) -> None:
    """A provisioning code leaves the card that everybody can read; a board's file without a `kiosk` section goes with it."""
    says = take(config=f"state: {{dir: {tmp_path / 'state'}}}\n".encode(), code=b"KS1:ABC\r\n")
    assert says.count("was taken and removed") == 2
    assert sorted(path.name for path in (tmp_path / "boot").iterdir()) == ["kiosk-says.txt"]
    code = tmp_path / "etc" / "kiosk-code.txt"
    assert (code.read_bytes(), code.stat().st_mode & 0o777) == (b"KS1:ABC\r\n", 0o600)


def test_key_is_taken_only_where_there_is_none(take: Callable[..., str], tmp_path: Path) -> None:
    """A public key comes by the boot partition once; nobody replaces it in that way, and what is no key is left."""
    assert "no public key" in take(fleet=b"-----BEGIN PRIVATE KEY-----\n")
    assert "was taken" in take(
        fleet=b"-----BEGIN PUBLIC KEY-----\r\nfirst\r\n", authority=b"-----BEGIN PUBLIC KEY-----\n"
    )
    assert "this station has one" in take(fleet=b"-----BEGIN PUBLIC KEY-----\r\nsecond\r\n")
    assert (tmp_path / "etc" / "fleet.pem").read_bytes() == b"-----BEGIN PUBLIC KEY-----\nfirst\n"
    assert (tmp_path / "etc" / "authority.pem").exists()


def test_ssh_is_opened_by_a_key_and_closed_without_one(take: Callable[..., str], tmp_path: Path) -> None:
    """Keys alone are taken, without options; a damaged one opens nothing, and a file without a key closes it again."""
    key = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    kept = tmp_path / "ssh" / "authorized_keys"
    assert "is damaged" in take(ssh=b"ssh-ed25519 AAAAnonsense technician\r\n")
    assert not kept.exists()
    says = take(ssh=b"\xef\xbb\xbf" + key + b" technician\r\n" + b'command="reboot" ' + key + b"\r\n")
    assert "SSH is open to 1 key(s), as root" in says
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (key + b" technician\n", 0o600)
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert "SSH is closed" in take(ssh=b"# nobody\n\r\n")
    assert not kept.exists()
    assert sorted(path.name for path in (tmp_path / "boot").iterdir()) == ["kiosk-says.txt"]


KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
PEM = b"-----BEGIN PUBLIC KEY-----\nMCo=\n-----END PUBLIC KEY-----\n"
SETTINGS = b"kiosk: {id: door-7, site: office-1}\n"
PUTTY = (
    b'---- BEGIN SSH2 PUBLIC KEY ----\r\nComment: "x"\r\n' + KEY.split()[1] + b"\r\n---- END SSH2 PUBLIC KEY ----\r\n"
)


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [
        ("kiosk.yaml.txt", SETTINGS, "etc/kiosk.yaml"),
        ("kiosk.yml", SETTINGS, "etc/kiosk.yaml"),
        ("KIOSK.YAML", SETTINGS, "etc/kiosk.yaml"),
        ("kiosk (1).yaml", SETTINGS, "etc/kiosk.yaml"),
        ("kiosk - Copy (2).yml.txt", SETTINGS, "etc/kiosk.yaml"),
        ("kiosk - Sao chép.yaml", SETTINGS, "etc/kiosk.yaml"),
        ("kiosk.yaml", SETTINGS.decode().encode("utf-16"), "etc/kiosk.yaml"),
        ("kiosk.yaml", SETTINGS.decode().encode("utf-16-le"), "etc/kiosk.yaml"),
        ("kiosk.yaml", SETTINGS.decode().encode("utf-16-be"), "etc/kiosk.yaml"),
        ("kiosk.yaml", SETTINGS.replace(b"\n", b"\r"), "etc/kiosk.yaml"),
        ("kiosk-code", b"KS1:ABC\n", "etc/kiosk-code.txt"),
        ("kiosk-code.txt.txt", b"KS1:ABC\n", "etc/kiosk-code.txt"),
        ("kiosk-code (1).txt", b"KS1:ABC\n", "etc/kiosk-code.txt"),
        ("fleet.pem.txt", PEM, "etc/fleet.pem"),
        ("fleet.pem.cer", PEM, "etc/fleet.pem"),
        ("authority.crt", PEM.decode().encode("utf-16"), "etc/authority.pem"),
        ("authorized_keys.txt", KEY + b" me\n", "ssh/authorized_keys"),
        ("authorized_keys.pub", KEY + b" me\n", "ssh/authorized_keys"),
        ("id_ed25519.pub", KEY + b" me\n", "ssh/authorized_keys"),
        ("authorized_keys", (KEY + b" me\n").decode().encode("utf-16"), "ssh/authorized_keys"),
        ("authorized_keys", PUTTY, "ssh/authorized_keys"),
    ],
)
def test_names_and_texts_that_windows_makes_are_taken(
    take: Callable[..., str], tmp_path: Path, name: str, content: bytes, kept: str
) -> None:
    """Whoever cannot see a file's ending, or chose another encoding, is not left before a blue light without a word."""
    assert f"{name} was taken and removed from here" in take({name: content})
    text = (tmp_path / kept).read_bytes()
    assert not {b"\r", b"\0", b"\xff"} & {text[at : at + 1] for at in range(len(text))}
    assert not (tmp_path / "boot" / name).exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"kiosk.json": b"{}"}, "kiosk.json was not taken: kiosk.yaml, kiosk-code.txt,"),
        ({"kiosk-code.png": b"x"}, "kiosk-code.png was not taken"),
        ({"fleet.key": b"x"}, "fleet.key was not taken"),
        ({"kiosk/kiosk.yaml": SETTINGS}, "kiosk/kiosk.yaml was not taken: put it here, into no folder."),
        ({"me.ppk": b"PuTTY-User-Key-File-3"}, "me.ppk was not taken: it is a private key. Take it away"),
        (
            {"kiosk.yml": SETTINGS, "kiosk (1).yaml": SETTINGS},
            "2 files here are meant as kiosk.yaml, and none was taken",
        ),
        ({"authorized_keys": b"-----BEGIN OPENSSH PRIVATE KEY-----\n"}, "it is a private key"),
        ({"authorized_keys": b"restrict " + KEY}, "no line of it is a plain public key"),
        ({"authorized_keys": b"ssh-dss AAAA\n"}, "Who could log in before still can."),
        ({"authorized_keys": b"hello"}, "Who could log in before still can."),
    ],
)
def test_what_cannot_be_taken_is_named_and_stays(
    take: Callable[..., str], tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    """A bad file is left where it is, is told beside it, and takes nothing away that was good before."""
    take({"notes.txt": b"-"}, config=SETTINGS, ssh=KEY + b" before\n")
    assert said in take(files)
    assert all((tmp_path / "boot" / name).exists() for name in files)
    assert (tmp_path / "etc" / "kiosk.yaml").read_bytes() == SETTINGS
    assert (tmp_path / "ssh" / "authorized_keys").read_bytes() == KEY + b" before\n"


def test_right_name_goes_before_a_similar_one(take: Callable[..., str]) -> None:
    """Of two files for one thing the one that is called so is taken, and the other is named."""
    says = take({"kiosk (1).yaml": b"lane: nothing\n"}, config=SETTINGS)
    assert "kiosk.yaml was taken" in says
    assert "kiosk (1).yaml was not taken: there is kiosk.yaml as well" in says


def test_lines_that_are_no_plain_key_are_counted(take: Callable[..., str]) -> None:
    """A key with options beside a good one is left out, and that is said."""
    assert "1 line(s) in it are no plain key and were left out" in take(ssh=KEY + b"\nrestrict " + KEY + b"\n# me\n\n")
