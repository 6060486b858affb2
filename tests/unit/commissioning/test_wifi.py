"""The uplink asks for a wireless network, root's half joins it, and neither trusts the other beyond a form."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from kiosk.__main__ import main as kiosk
from kiosk.commissioning import wifi
from kiosk.envelopes.provisioning_code import NO_WIFI, NOT_KEPT, Wifi
from kiosk.errors import ProvisionError
from tests.running import until

OFFICE = Wifi("Văn phòng $(id)", 'mật khẩu "1";x')


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """State and run, an uplink that is not root, and programs that are only those which a test makes."""
    state, run, programs = tmp_path / "state", tmp_path / "run", tmp_path / "bin"
    for folder in (state, run, programs, tmp_path / "net" / "eth0"):
        folder.mkdir(parents=True)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(wifi, "WPA_FILE", tmp_path / "wpa" / "wpa.conf")
    monkeypatch.setattr(wifi, "INTERFACES", tmp_path / "net")
    monkeypatch.setattr(wifi, "LONGEST_S", 20.0)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return state, run


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """A program of this name that notes its arguments and ends with this code, or as a line of shell says."""

    def make(name: str, code: int | str = 0) -> Path:
        path, said = tmp_path / "bin" / name, tmp_path / f"{name}-said"
        ends = code if isinstance(code, str) else f"exit {code}"
        path.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done >>{said}\n{ends}\n')
        path.chmod(0o755)
        return said

    return make


def _wished(state: Path, run: Path, network: Wifi = OFFICE) -> Thread:
    """The uplink's half on a thread, once its wish is there."""
    thread = Thread(target=wifi.join, args=(state, run, network))
    thread.start()
    until((state / "identity" / wifi.WISH).exists)
    return thread


def test_key_is_the_standards() -> None:
    """IEEE 802.11i, annex H.4.3: what an access point makes of the passphrase is what wpa_supplicant is given."""
    text = wifi.wpa_settings(Wifi("IEEE", "password"))
    assert "psk=f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e\n" in text
    assert "ssid=49454545\n" in text
    assert "key_mgmt=NONE" in wifi.wpa_settings(Wifi("IEEE", ""))


@pytest.mark.parametrize("network", [OFFICE, Wifi('a"\n}\nnetwork={', "b" * 63), Wifi("open", ""), Wifi("#", "\\" * 8)])
def test_nothing_of_the_names_can_be_settings(network: Wifi) -> None:
    """Whatever a network is called, its name is digits, and the file has one network of one form."""
    lines = wifi.wpa_settings(network).splitlines()
    assert lines[:2] == [f"country={wifi.COUNTRY}", "network={"]
    assert lines[-1] == "}"
    assert lines[2] == f"\tssid={network.name.encode().hex()}"
    assert network.name not in "\n".join(lines)
    assert network.password not in "\n".join(lines) or not network.password


@pytest.mark.skipif(shutil.which("wpa_supplicant") is None, reason="wpa_supplicant is not installed")
def test_wpa_supplicant_reads_it(tmp_path: Path) -> None:
    """The real program takes the file; on an interface that is not there it ends without a word about a line."""
    path = tmp_path / "wpa.conf"
    path.write_text(wifi.wpa_settings(OFFICE))
    argv = ["wpa_supplicant", "-D", "wired", "-i", "kiosk-none0", "-c", str(path), "-d"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert "Reading configuration file" in done.stdout
    assert "ailed to" not in done.stdout.partition("Reading configuration file")[2].partition("interface")[0]


def test_network_manager_joins_it(folders: tuple[Path, Path], program: Callable[..., Path]) -> None:
    """Name and password go to nmcli as they are; the uplink goes on as soon as root says so; a second start changes nothing."""
    state, run = folders
    said = program("nmcli")
    thread = _wished(state, run)
    assert wifi.apply(state, run) == wifi.JOINED
    thread.join(20)
    assert said.read_text().splitlines()[2:] == ["device", "wifi", "connect", OFFICE.name, "password", OFFICE.password]
    assert wifi.apply(state, run) == wifi.JOINED
    assert len(said.read_text().splitlines()) == 8
    assert stat.S_IMODE((state / "identity" / wifi.WISH).stat().st_mode) == 0o600
    assert OFFICE.password not in (run / wifi.MARK).read_text()


def test_network_that_hides_its_name_is_joined_at_the_second_try(
    folders: tuple[Path, Path], program: Callable[..., Path]
) -> None:
    """nmcli finds a hidden network only with the words `hidden yes`; one that is seen is not looked for twice."""
    state, run = folders
    said = program("nmcli", '[ "$9" = hidden ] && [ "${10}" = yes ]')
    thread = _wished(state, run)
    assert wifi.apply(state, run) == wifi.JOINED
    thread.join(20)
    first, second = said.read_text().splitlines()[:8], said.read_text().splitlines()[8:]
    assert second == [*first, "hidden", "yes"]


def test_wpa_supplicant_joins_it(
    folders: tuple[Path, Path], program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without NetworkManager: a file for root alone, its unit started, and the uplink waits until the kernel says "up"."""
    state, run = folders
    said = program("systemctl")
    monkeypatch.setattr("kiosk.commissioning.wifi.shutil.which", lambda _: None)
    thread = _wished(state, run)
    assert wifi.apply(state, run) == wifi.WRITTEN
    assert said.read_text().splitlines() == ["restart", "kiosk-wpa.service"]
    assert wifi.WPA_FILE.read_text() == wifi.wpa_settings(OFFICE)
    assert stat.S_IMODE(wifi.WPA_FILE.stat().st_mode) == 0o600
    wlan = tmp_path / "net" / "wlan0"
    (wlan / "wireless").mkdir(parents=True)
    for word, over in (("dormant", False), ("up", True)):
        (wlan / "operstate").write_text(f"{word}\n")
        thread.join(20 if over else 1)
        assert thread.is_alive() is not over


def test_wipe_forgets_the_network(
    folders: tuple[Path, Path], program: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """NetworkManager's copy and root's file go, too; what cannot be removed is said."""
    state, run = folders
    config = tmp_path / "kiosk.yaml"
    config.write_text(json.dumps({"state": {"dir": str(state), "runtime_dir": str(run)}}))
    said = program("nmcli")
    thread = _wished(state, run)
    assert wifi.apply(state, run) == wifi.JOINED
    thread.join(20)
    wifi.WPA_FILE.parent.mkdir()
    wifi.WPA_FILE.touch()
    assert kiosk(["wipe", "--config", str(config), "--yes"]) == 0
    assert said.read_text().splitlines()[8:] == ["connection", "delete", "id", OFFICE.name]
    assert not wifi.WPA_FILE.exists()
    assert list(state.iterdir()) == []
    assert capsys.readouterr().err == ""
    thread = _wished(state, run)
    assert wifi.apply(state, run) == wifi.JOINED
    thread.join(20)
    program("nmcli", 10)
    assert kiosk(["wipe", "--config", str(config), "--yes"]) == 0
    assert "still known here: run this as root" in capsys.readouterr().err


def test_failure_is_told_without_the_password(
    folders: tuple[Path, Path], program: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root's half that fails, and one that never comes, are error 6; the same wish may be tried again."""
    state, run = folders
    caught: list[ProvisionError] = []

    def asked() -> None:
        try:
            wifi.join(state, run, OFFICE)
        except ProvisionError as error:
            caught.append(error)

    thread = Thread(target=asked)
    said = program("nmcli", 4)
    thread.start()
    until((state / "identity" / wifi.WISH).exists)
    config = tmp_path / "kiosk.yaml"
    config.write_text(json.dumps({"state": {"dir": str(state), "runtime_dir": str(run)}}))
    assert kiosk(["wifi", "--config", str(config)]) == 1
    thread.join(20)
    assert [error.number for error in caught] == [NO_WIFI]
    assert OFFICE.password not in f"{caught[0]} {caught[0].__cause__} {''.join(capsys.readouterr())}"
    program("nmcli")
    assert wifi.apply(state, run) == wifi.JOINED
    assert len(said.read_text().splitlines()) == 8 + 10 + 8  # seen, hidden, then the one that went well


def test_root_that_never_comes_is_told(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that ends, and a watchdog that is fed meanwhile; a folder that cannot be written is error 9."""
    state, run = folders
    monkeypatch.setattr(wifi, "LONGEST_S", 0.5)
    fed: list[int] = []
    with pytest.raises(ProvisionError) as caught:
        wifi.join(state, run, OFFICE, lambda: fed.append(1))
    assert caught.value.number == NO_WIFI
    assert fed
    shutil.rmtree(state)
    state.touch()
    with pytest.raises(ProvisionError) as caught:
        wifi.join(state, run, OFFICE)
    assert caught.value.number == NOT_KEPT


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"5", b"null", b'["0123456789abcdef"]', b'["0123456789abcdef", "a", "short"]', b'["x", "a", "12345678"]',
     b'["../../../etc/abcd", "a", "12345678"]', b'[5, "a", "12345678"]', b'["0123456789abcdef", "", "12345678"]', b"[" * 1000,
     b'["0123456789abcdef", "\\ud800", "12345678"]', b'["0123456789abcdef", "' + b"a" * 2000, b"\xff\xfe"],
)  # fmt: skip
def test_root_believes_a_form_only(folders: tuple[Path, Path], content: bytes) -> None:
    """Whatever else a broken uplink writes there is refused, and nothing is run or marked."""
    state, run = folders
    (state / "identity").mkdir()
    (state / "identity" / wifi.WISH).write_bytes(content)
    with pytest.raises(ProvisionError, match=r"is no wish|holds more than"):
        wifi.apply(state, run)
    assert list(run.iterdir()) == []


def test_root_follows_no_link_and_waits_for_no_pipe(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A link to a secret, a pipe, a folder and nothing at all are refused at once."""
    state, run = folders
    wish = state / "identity" / wifi.WISH
    wish.parent.mkdir()
    with pytest.raises(ProvisionError, match="No such file"):
        wifi.apply(state, run)
    (tmp_path / "secret").write_text('["0123456789abcdef", "a", "12345678"]')
    wish.symlink_to(tmp_path / "secret")
    with pytest.raises(ProvisionError, match="symbolic links"):
        wifi.apply(state, run)
    wish.unlink()
    os.mkfifo(wish)
    with pytest.raises(ProvisionError, match="is no plain file"):
        wifi.apply(state, run)
    wish.unlink()
    wish.mkdir()
    with pytest.raises(ProvisionError, match="is no plain file"):
        wifi.apply(state, run)
