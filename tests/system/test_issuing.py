"""Passes are issued, printed, read, believed, revoked: by the commands that an office has, and the trust folder of a station."""

from __future__ import annotations

import sqlite3
import stat
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pypdfium2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central.__main__ import main
from central.commands import passes
from central.passes.registry import PassRegistry
from kiosk.credential import classify, personal_pass
from kiosk.decoder import read_picture
from kiosk.envelopes import base45
from kiosk.model import BirthDate, Credential, Result, Unproven, UnprovenReason
from kiosk.trust import issuers

NAME = "Nguyễn Thị Ữ"


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A folder with an issuer's key, and its public half in a station's trust folder."""
    assert main(["pass", "key", "--out", str(tmp_path / "office.key")]) == 0
    (tmp_path / "trust/passes").mkdir(parents=True)
    (tmp_path / "trust/revoked").mkdir()
    (tmp_path / "office.pub.pem").rename(tmp_path / "trust/passes/office.pem")
    return tmp_path


def _issue(office: Path, *words: str) -> int:
    common = ["--registry", str(office / "passes.db"), "--key", str(office / "office.key")]
    return main(["pass", "issue", *common, "--number", "NV-0042", "--days", "30", *words])


def _issued(office: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    """Number and code of a new pass, as printed."""
    capsys.readouterr()
    assert _issue(office, *words) == 0
    first, code = capsys.readouterr().out.splitlines()
    return first.split()[1], code


def _sign_list(office: Path) -> None:
    words = ["--registry", str(office / "passes.db"), "--key", str(office / "office.key")]
    assert main(["pass", "revocations", *words, "--out", str(office / "trust/revoked/office.cose")]) == 0


def _rendered(path: Path) -> tuple[np.ndarray, str, tuple[float, float]]:
    document = pypdfium2.PdfDocument(path.read_bytes())
    try:
        page = document[0]
        luma = np.ascontiguousarray(page.render(scale=300 / 72, grayscale=True).to_numpy().squeeze())
        words = page.get_textpage()
        text, size = words.get_text_bounded(), page.get_size()
        words.close()
        page.close()
    finally:
        document.close()
    return luma, text, size


def test_pass_is_issued_read_believed_and_revoked(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Card and picture are read by the station's decoder and believed; after the revocation that pass alone is refused."""
    pdf, png = office / "card.pdf", office / "code.png"
    words = (
        "--name",
        NAME,
        "--birth-year",
        "1990",
        "--pdf",
        str(pdf),
        "--png",
        str(png),
        "--office",
        "UBND phường Phong An",
    )
    number, code = _issued(office, capsys, *words)
    with PassRegistry(office / "passes.db", existing=True) as registry:
        ends = {each.expires_s for each in registry.passes() if f"P{each.number}" == number}.pop()
    last_day = datetime.fromtimestamp(ends, ZoneInfo("Asia/Ho_Chi_Minh"))
    _, other = _issued(office, capsys)
    luma, text, (width_pt, height_pt) = _rendered(pdf)
    assert (width_pt / 72 * 25.4, height_pt / 72 * 25.4) == pytest.approx((85.6, 54), abs=0.1)
    assert {NAME, number, "NV-0042", "1990", "UBND phường Phong An", f"{last_day:%d/%m/%Y}"} <= set(
        text.replace("\r", "").split("\n")
    )
    picture = cv2.imdecode(np.frombuffer(png.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    for seen in (luma, picture):
        (reading,) = read_picture(np.asarray(seen, np.uint8))
        assert reading.payload == code.encode()
    believed = issuers.load(office / "trust")
    verdict = classify(code.encode(), (), believed, time.time())
    assert isinstance(verdict, Credential)
    assert (verdict.document, verdict.number, verdict.name) == ("pass", "NV-0042", NAME)
    assert (verdict.birth, verdict.result) == (BirthDate(1990), Result.VERIFIED)
    late = classify(code.encode(), (), believed, time.time() + 31 * 86_400)
    assert isinstance(late, Credential)
    assert late.result is Result.EXPIRED

    _sign_list(office)
    assert isinstance(classify(code.encode(), (), issuers.load(office / "trust"), time.time()), Credential)
    assert main(["pass", "revoke", "--registry", str(office / "passes.db"), number]) == 0
    _sign_list(office)
    believed = issuers.load(office / "trust")
    assert classify(code.encode(), (), believed, time.time()) == Unproven("pass", UnprovenReason.REVOKED)
    assert isinstance(classify(other.encode(), (), believed, time.time()), Credential)
    capsys.readouterr()
    assert main(["pass", "list", "--registry", str(office / "passes.db")]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[1] for line in listed) == ["revoked", "valid"]
    assert next(line for line in listed if line.startswith(number)).split()[1] == "revoked"
    assert main(["pass", "revoke", "--registry", str(office / "passes.db"), number]) == 0
    assert "was revoked before" in capsys.readouterr().out


def test_moving_pass_is_bound_to_its_phone(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pass with a phone's key is refused as it is printed, and believed as the phone shows it; no card is drawn."""
    phone = Ed25519PrivateKey.generate()
    pub = office / "phone.pem"
    pub.write_bytes(phone.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    _, code = _issued(office, capsys, "--holder-key", str(pub))
    believed, now_s = issuers.load(office / "trust"), time.time()
    assert classify(code.encode(), (), believed, now_s) == Unproven("pass", UnprovenReason.COPIED)
    envelope = base45.decode(code.removeprefix("KP1:"))
    shown = personal_pass.moving_code_of(envelope, phone, now_s)
    assert isinstance(classify(shown.encode(), (), believed, now_s), Credential)
    assert _issue(office, "--holder-key", str(pub), "--pdf", str(office / "x.pdf")) == 2
    assert "leave out --pdf" in capsys.readouterr().err


def test_register_keeps_the_least(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key and register are their owner's alone, and the register knows neither name nor code."""
    _, code = _issued(office, capsys, "--name", NAME, "--pdf", str(office / "card.pdf"))
    for private in ("office.key", "passes.db", "card.pdf"):
        assert stat.S_IMODE((office / private).stat().st_mode) == 0o600
    content = (office / "passes.db").read_bytes()
    assert b"NV-0042" in content
    assert NAME.encode() not in content
    assert base45.decode(code.removeprefix("KP1:"))[-64:] not in content


def test_what_no_station_takes_is_not_issued(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that a station refuses is refused here, as are words beyond the card, and that leaves no pass in the register."""
    assert _issue(office, "--name", "A\x1b[2J") == 2
    assert "no plain text" in capsys.readouterr().err
    assert _issue(office, "--pdf", str(office / "x.pdf"), "--name", "W" * 160, "--number", "W" * 160) == 2
    assert not (office / "x.pdf").exists()
    assert main(["pass", "list", "--registry", str(office / "passes.db")]) == 0
    assert capsys.readouterr().out == ""


def test_wrong_files_are_named(
    office: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is there is kept; a key that others read, another database, an unknown pass, a full list: one sentence."""
    key, registry = office / "office.key", office / "passes.db"
    before = key.read_bytes()
    assert main(["pass", "key", "--out", str(key)]) == 2
    assert key.read_bytes() == before
    assert main(["pass", "list", "--registry", str(registry)]) == 15
    number, _ = _issued(office, capsys)
    assert main(["pass", "revoke", "--registry", str(registry), "P1"]) == 15
    assert "has no pass P1" in capsys.readouterr().err
    signing = ["pass", "revocations", "--registry", str(registry), "--key", str(key), "--out"]
    assert main([*signing, str(office / "list.txt")]) == 2
    assert main(["pass", "revoke", "--registry", str(registry), number]) == 0
    monkeypatch.setattr(passes, "MOST_REVOKED", 0)
    assert main([*signing, str(office / "list.cose")]) == 2
    assert "new key" in capsys.readouterr().err
    key.chmod(0o644)
    assert _issue(office) == 2
    assert "chmod 600" in capsys.readouterr().err
    strange = office / "strange.db"
    with closing(sqlite3.connect(strange)) as db:
        db.execute("CREATE TABLE other (x)")
    assert main(["pass", "list", "--registry", str(strange)]) == 15
    assert "another program" in capsys.readouterr().err
