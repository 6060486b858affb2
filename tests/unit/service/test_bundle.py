"""A support bundle helps and gives nobody away."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kiosk import health
from kiosk.__main__ import main as kiosk
from kiosk.clock import SystemClock
from kiosk.commissioning import provision
from kiosk.config import Config
from kiosk.model import Entry
from kiosk.outbox import Outbox
from kiosk.service import bundle
from kiosk.settings import loader

ROOT = Path(__file__).resolve().parents[3]
CANARIES = ("Canary Nguyen", "046090777123", "s3cret-canary", "canary-user")


def test_bundle_holds_no_person_and_no_secret(
    make_config: Callable[..., Config],
    make_entry: Callable[..., Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names and numbers in the outbox, a number in the journal, the broker's user and password: none of them is inside."""
    password = tmp_path / "password"
    password.write_text("s3cret-canary")
    version = tmp_path / "version"
    version.write_text("0.1.0+20261124213755\n")
    broken_key = tmp_path / "fleet.pem"
    broken_key.write_text("046090777123")
    config = make_config(
        trust={"fleet_key_file": str(broken_key)},
        update={"version_file": str(version)},
        uplink={"brokers": ["mqtt://127.0.0.1:1"], "username": "canary-user", "password_file": str(password)},
    )
    journalctl = tmp_path / "bin" / "journalctl"
    journalctl.parent.mkdir()
    journalctl.write_text("#!/bin/sh\necho 'kiosk-scan: frame 046090777123 \033[2J seen'\n")
    journalctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{journalctl.parent}:/usr/bin:/bin")
    outbox = Outbox.open(config.state.dir / "outbox.db", config.outbox)
    outbox.append(replace(make_entry(1), person=(("name", "Canary Nguyen"), ("number", "046090777123"))))
    health.write_marks(config.state.runtime_dir, "scan-main", {"lane": "main", "written_boot_ns": 1, "fps": 9.5})
    health.write_marks(config.state.runtime_dir, "other", {"not": "ours"})
    path = tmp_path / "bundle.zip"
    names = bundle.write(path, config, outbox, SystemClock().now())
    outbox.close()
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as opened:
        texts = {name: opened.read(name).decode("utf-8") for name in opened.namelist()}
    assert list(texts) == names
    whole = "\n".join(texts.values())
    assert not [canary for canary in CANARIES if canary in whole]
    assert "\x1b" not in whole
    assert "kiosk-scan: frame #" in texts["journal.txt"]
    assert '"waiting": 1' in texts["diagnostics.json"]
    assert json.loads(texts["diagnostics.json"])["status"]["update"]["version"] == "0.1.0+20261124213755"
    assert "9.5" in texts["marks/scan-main.json"]
    assert "marks/other.json" not in texts
    assert yaml.safe_load(texts["kiosk.yaml"])["uplink"]["username"] == "(removed)"


def test_bundle_knows_every_service() -> None:
    """Each of ours, in the package and in the image, but SSH's."""
    folders = ("systemd/system", "image-build/overlay/station/usr/lib/systemd/system")
    ours = {path.name for folder in folders for path in (ROOT / folder).glob("*.service")}
    assert ours - {"kiosk-ssh.service"} == set(bundle.SERVICES) - {"kiosk.target"}


def test_bundle_of_a_station_that_is_not_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is made all the same, and tells how the last code fared."""
    monkeypatch.setenv("PATH", str(tmp_path))
    config, path = tmp_path / "kiosk.yaml", tmp_path / "bundle.zip"
    config.write_text(f"state: {{dir: {tmp_path / 'state'}, runtime_dir: {tmp_path / 'run'}}}\n")
    health.write_marks(tmp_path / "run", provision.MARKS, {"written_boot_ns": 1, "state": "failed", "number": 4})
    assert kiosk(["support-bundle", "--config", str(config), "--out", str(path)]) == 0
    assert "without the outbox" in capsys.readouterr().out
    with zipfile.ZipFile(path) as opened:
        assert json.loads(opened.read("marks/provision.json"))["number"] == 4
        assert yaml.safe_load(opened.read("kiosk.yaml"))["kiosk"]["id"] == loader.NOBODY


def test_bundle_is_made_of_what_there_is(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No outbox, no journal, no marks: the rest is worth having; a file that is there is not written over."""
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "bundle.zip"
    names = bundle.write(path, make_config(), None, SystemClock().now())
    assert names == ["kiosk.yaml", "journal.txt", "services.txt", "disks.txt", "devices.txt"]
    with zipfile.ZipFile(path) as opened:
        assert "No such file" in opened.read("journal.txt").decode("utf-8")
    with pytest.raises(FileExistsError):
        bundle.write(path, make_config(), None, SystemClock().now())
