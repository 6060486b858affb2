"""The phone's page as it is written: what it may run, what it is made of, and what a phone's number says."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central.__main__ import main
from central.passes import phone_page
from kiosk.credential import personal_pass
from kiosk.envelopes import base45, cose
from kiosk.errors import ConfigError

URL = "https://pass.example/p/"


def _number(key: bytes) -> str:
    """As the page makes it."""
    check = hashlib.sha256(b"kiosk-phone-1" + key).digest()[:4]
    return "1" + str(int.from_bytes(key + check, "big")).zfill(87)


def _key() -> bytes:
    return Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """An office with a key."""
    assert main(["pass", "key", "--out", str(tmp_path / "office.key")]) == 0
    return tmp_path


def _issue(office: Path, *words: str) -> int:
    common = ["--registry", str(office / "passes.db"), "--key", str(office / "office.key")]
    return main(["pass", "issue", *common, "--number", "NV-0042", "--days", "30", *words])


def test_page_runs_its_own_scripts_only(tmp_path: Path) -> None:
    """The policy begins with nothing, and allows exactly the two scripts and the style that are in the file."""
    assert main(["pass", "page", "--out", str(tmp_path / "new/page")]) == 0
    page = (tmp_path / "new/page/index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    scripts, styles = (re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style"))
    assert len(scripts) == 2
    assert policy[1].startswith("default-src 'none'; ")
    assert set(re.findall(r"'sha256-([^']+)'", policy[1])) == {_hash(text) for text in (*scripts, *styles)}
    assert "unsafe" not in policy[1]
    assert "connect-src" not in policy[1]
    assert not re.search(r"@[A-Z]+@", page)
    words = page.partition("<script>")[0]
    assert set(re.findall(r'(?:src|href)="([^"]+)"', words)) == {"icon.png"}


def test_new_page_replaces_the_kept_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps the page on the phone has another name whenever the page is another; else old pages would stay for ever."""
    before = phone_page.files()
    assert phone_page.files() == before
    monkeypatch.setattr(phone_page, "_source", lambda name, source=phone_page._source: source(name) + "\n")
    after = phone_page.files()
    names = [re.findall(rb'"kiosk-pass-([0-9a-f]{16})"', files["worker.js"]) for files in (before, after)]
    assert [len(each) for each in names] == [1, 1]
    assert names[0] != names[1]


def test_phone_number_is_the_key() -> None:
    """Whatever spaces and line ends were put into the number, and leading zeros; a wrong digit at any place is noticed."""
    for key in (_key(), bytes(31) + b"\x01", b"\xff" * 32):
        number = _number(key)
        assert len(number) == 88
        assert phone_page.phone_key(" ".join(re.findall(".{4}", number)) + "\r\n") == key
    for place in range(88):
        wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
        with pytest.raises(ConfigError):
            phone_page.phone_key(wrong)
    with pytest.raises(ConfigError, match="87 digits"):
        phone_page.phone_key(number[:-1])


def test_pass_is_issued_to_a_phone(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The link holds the pass for this key behind its #, and nothing else; without a page the code is printed."""
    key = _key()
    assert _issue(office, "--holder-key", _number(key), "--page", URL, "--png", str(office / "link.png")) == 0
    link = capsys.readouterr().out.splitlines()[-1]
    assert link.startswith(f"{URL}#")
    envelope = base64.urlsafe_b64decode(link.partition("#")[2] + "==")
    claims = cose.parse(envelope)
    assert key in claims.payload
    assert _issue(office, "--holder-key", _number(key)) == 0
    code = capsys.readouterr().out.splitlines()[-1]
    assert key in base45.decode(code.removeprefix(personal_pass.PREFIX.decode()))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--page", URL], "moving passes only"),
        (["--holder-key", "1" * 88], "wrong or missing"),
        (["--holder-key", "2" * 20], "20 digits"),
        (["--holder-key", "NUMBER", "--page", "http://pass.example/"], "no https address"),
        (["--holder-key", "NUMBER", "--page", "https://pass.example/#x"], "no https address"),
        (["--holder-key", "nowhere.pem"], "nowhere.pem"),
    ],
)
def test_what_no_phone_takes_is_not_issued(
    office: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """One sentence says what is wrong, and no pass is in the register."""
    number = _number(_key())
    assert _issue(office, *(number if word == "NUMBER" else word for word in words)) == 2
    assert said in capsys.readouterr().err
    assert not (office / "passes.db").exists()


def test_page_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in the folder's place: its name, and exit code 2."""
    (tmp_path / "page").touch()
    assert main(["pass", "page", "--out", str(tmp_path / "page/deeper")]) == 2
    assert "cannot make" in capsys.readouterr().err
