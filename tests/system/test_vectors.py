"""`kiosk read --vectors` judges a folder as its files expect, and says where it does not."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from kiosk.__main__ import main
from kiosk.envelopes import base45
from kiosk.sim.issuers import HOUR_S, NOW_S, HealthAuthority, hc1_code

if TYPE_CHECKING:
    from pathlib import Path

SIGNER, STRANGER = HealthAuthority(), HealthAuthority()
TESTS_ONLY = HealthAuthority("t")
ALL = {
    "EXPECTEDUNPREFIX": True,
    "EXPECTEDB45DECODE": True,
    "EXPECTEDCOMPRESSION": True,
    "EXPECTEDVERIFY": True,
    "EXPECTEDEXPIRATIONCHECK": True,
}


def _vector(envelope: bytes, expected: dict[str, bool], *, by: HealthAuthority = SIGNER) -> dict[str, Any]:
    """A file as the official ones are, with every stage of this envelope."""
    code = hc1_code(envelope).decode()
    stages = {"PREFIX": code, "BASE45": code[4:], "COMPRESSED": zlib.compress(envelope).hex(), "COSE": envelope.hex()}
    context = {
        "CERTIFICATE": base64.b64encode(by.certificate).decode(),
        "VALIDATIONCLOCK": datetime.fromtimestamp(NOW_S, UTC).isoformat(),
    }
    return {**stages, "TESTCTX": context, "EXPECTEDRESULTS": {**ALL, **expected}}


def _good() -> dict[str, Any]:
    return _vector(SIGNER.envelope(SIGNER.claims()), {})


def _wrong_signature() -> dict[str, Any]:
    envelope = bytearray(SIGNER.envelope(SIGNER.claims()))
    envelope[-1] ^= 1
    return _vector(bytes(envelope), {"EXPECTEDVERIFY": False})


def _expired() -> dict[str, Any]:
    claims = SIGNER.claims() | {4: NOW_S - 1, 6: NOW_S - HOUR_S}
    return _vector(SIGNER.envelope(claims), {"EXPECTEDEXPIRATIONCHECK": False})


def _wrong_kid() -> dict[str, Any]:
    return _vector(SIGNER.envelope(SIGNER.claims(), {1: -7, 4: STRANGER.kid}), {"EXPECTEDVERIFY": False})


def _bad_deflate() -> dict[str, Any]:
    broken = zlib.compress(SIGNER.envelope(SIGNER.claims()))[:-5]
    text = base45.encode(broken)
    stages = {"PREFIX": f"HC1:{text}", "BASE45": text, "COMPRESSED": broken.hex()}
    return _vector(SIGNER.envelope(SIGNER.claims()), {"EXPECTEDCOMPRESSION": False}) | stages


def _wrong_use() -> dict[str, Any]:
    envelope = TESTS_ONLY.envelope(TESTS_ONLY.claims())
    return _vector(envelope, {"EXPECTEDKEYUSAGE": False}, by=TESTS_ONLY)


VECTORS = {
    "good": (_good, None),
    "wrong-signature": (_wrong_signature, "EXPECTEDVERIFY"),
    "expired": (_expired, "EXPECTEDEXPIRATIONCHECK"),
    "wrong-kid": (_wrong_kid, "EXPECTEDVERIFY"),
    "bad-deflate": (_bad_deflate, "EXPECTEDCOMPRESSION"),
    "wrong-use": (_wrong_use, "EXPECTEDKEYUSAGE"),
}


def _judged(folder: Path, vector: dict[str, Any]) -> int:
    (folder / "1.json").write_text(json.dumps(vector), "utf-8")
    return main(["read", "--vectors", str(folder)])


@pytest.mark.parametrize("name", VECTORS)
def test_the_station_agrees_with_a_vector(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Good, forged, expired, unknown, broken and misused codes come to what their files expect, verdict included."""
    make, _ = VECTORS[name]
    assert _judged(tmp_path, make()) == 0
    told = capsys.readouterr().out
    assert "expected=" not in told
    assert told.splitlines()[-1].split() == ["VERDICT", "agree=1", "differ=0"]


@pytest.mark.parametrize("name", [name for name, (_, stage) in VECTORS.items() if stage])
def test_a_vector_that_expects_otherwise_is_told(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that takes a bad code for a good one differs, in its stage and in the verdict, and the exit code says so."""
    make, stage = VECTORS[name]
    vector = make()
    vector["EXPECTEDRESULTS"][stage] = True
    assert _judged(tmp_path, vector) == 1
    told = capsys.readouterr().out
    assert f"{tmp_path / '1.json'}: {stage} expected=True found=False" in told
    assert f"{tmp_path / '1.json'}: VERDICT expected=True found=False" in told


def test_what_is_no_vector_is_skipped_and_alone_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other files in the folder are named; a folder without a vector does not pass for agreement."""
    assert _judged(tmp_path, {"a": 1}) == 1
    assert "skipped" in capsys.readouterr().out
    (tmp_path / "2.json").write_text(json.dumps(_good()), "utf-8")
    assert main(["read", "--vectors", str(tmp_path)]) == 0
