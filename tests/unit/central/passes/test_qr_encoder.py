"""The QR encoder of the phone's page: which bytes are taken, from where, what is said without them, and that wheels carry it."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from central.__main__ import main
from central.passes import phone_page, qr_encoder
from kiosk.errors import ConfigError

ROOT = Path(__file__).resolve().parents[4]
PLACE = "central/passes/phone"


def _elsewhere(monkeypatch: pytest.MonkeyPatch, part: str, path: Path) -> None:
    monkeypatch.setattr(qr_encoder, part, dataclasses.replace(getattr(qr_encoder, part), installed=path))


def _pages_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_page_is_the_same_each_time(tmp_path: Path) -> None:
    """Two runs of the command write the same bytes, and the page has the encoder as it is, and its licence."""
    for name in ("first", "second"):
        assert main(["pass", "page", "--out", str(tmp_path / name)]) == 0
    pages = _pages_of(tmp_path / "first")
    assert pages == _pages_of(tmp_path / "second")
    assert pages == phone_page.files()
    for part in (qr_encoder.SCRIPT, qr_encoder.LICENCE):
        assert part.installed.read_bytes() in pages["index.html"]


@pytest.mark.parametrize("part", ["SCRIPT", "LICENCE"])
def test_page_without_encoder_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    """One sentence with the file, the reason and the command; exit code 2, and no page."""
    _elsewhere(monkeypatch, part, tmp_path / "absent")
    assert main(["pass", "page", "--out", str(tmp_path / "page")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert (
        f"the phone's page needs node-qrcode-generator for its QR codes, and {tmp_path / 'absent'} is not there" in said
    )
    assert "; sudo apt-get install --reinstall --no-install-recommends node-qrcode-generator" in said
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("part", ["SCRIPT", "LICENCE"])
def test_other_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    """One bit, an end that is missing, nothing at all: none of them gets into a page."""
    right = qr_encoder.read(getattr(qr_encoder, part))
    _elsewhere(monkeypatch, part, tmp_path / "other")
    (tmp_path / "other").write_bytes(right)
    assert qr_encoder.read(getattr(qr_encoder, part)) == right
    for wrong in (bytes([right[0] ^ 1]) + right[1:], right[:-1], right + b"\n", b""):
        (tmp_path / "other").write_bytes(wrong)
        assert main(["pass", "page", "--out", str(tmp_path / "page")]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert f"{tmp_path / 'other'} is not the version that the phone's page was tried with: SHA-256 " in said
        assert not (tmp_path / "page").exists()


def test_encoder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder in its place: its name and the system's reason."""
    _elsewhere(monkeypatch, "SCRIPT", tmp_path)
    assert main(["pass", "page", "--out", str(tmp_path / "page")]) == 2
    assert f"cannot read {tmp_path}: Is a directory" in capsys.readouterr().err


def test_copy_in_a_wheel_needs_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a build has put beside the page is taken without Debian's package, is judged by the same hash, and makes the same page."""
    before = phone_page.files()
    (tmp_path / PLACE).mkdir(parents=True)
    qr_encoder.carry(tmp_path)
    monkeypatch.setattr(qr_encoder, "CARRIED", tmp_path / PLACE)
    for part in ("SCRIPT", "LICENCE"):
        _elsewhere(monkeypatch, part, tmp_path / "absent")
    assert phone_page.files() == before
    (tmp_path / PLACE / "qrcode.js").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"phone/qrcode\.js is not the version .*; install the wheel anew$"):
        phone_page.files()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a build looks at, so that it leaves nothing in the tree."""
    root = tmp_path / "checkout"
    for name in ("central", "kiosk"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, root)
    return root


def _built(what: str, root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """`build_wheel` or `build_sdist` as pip calls it, with the setuptools that is here instead of a fresh one."""
    script = f"import sys; from setuptools import build_meta; build_meta.{what}(sys.argv[1])"
    argv = [sys.executable, "-I", "-c", script, str(out)]
    return subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def _without_package(root: Path) -> None:
    module = root / "central/passes/qr_encoder.py"
    module.write_text(module.read_text("utf-8").replace('Path("/usr/share/', 'Path("/nowhere/'), "utf-8")


@pytest.mark.slow
def test_wheel_carries_encoder_and_licence(checkout: Path, tmp_path: Path) -> None:
    """A source archive has both, and a wheel that is built from it on a machine without the package has them, too."""
    assert (done := _built("build_sdist", checkout, tmp_path)).returncode == 0, done.stderr
    assert not (checkout / PLACE / "qrcode.js").exists()
    (archive,) = tmp_path.glob("*.tar.gz")
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path / "unpacked"], check=True, timeout=60)
    (root,) = (tmp_path / "unpacked").iterdir()
    _without_package(root)
    assert (done := _built("build_wheel", root, tmp_path)).returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        for part in (qr_encoder.SCRIPT, qr_encoder.LICENCE):
            assert packed.read(f"{PLACE}/{part.name}") == part.installed.read_bytes()
        assert {f"{PLACE}/page.{suffix}" for suffix in ("css", "html", "js")} <= set(packed.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["build_wheel", "build_sdist"])
def test_nothing_is_built_without_encoder(checkout: Path, tmp_path: Path, what: str) -> None:
    """No wheel and no source archive that would lack it: the build ends with the sentence and its remedy."""
    _without_package(checkout)
    done = _built(what, checkout, tmp_path)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the phone's page needs node-qrcode-generator for its QR codes, and /nowhere/")
    assert last.endswith("--no-install-recommends node-qrcode-generator")
    assert not [*tmp_path.glob("*.whl"), *tmp_path.glob("*.tar.gz")]
