"""Every code that this project makes is known by name when a picture of it is read, and records nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central import paper
from central.commands import label
from central.fleet import authority, invitation
from central.fleet.registry import Fleet
from central.passes import phone_page
from kiosk.__main__ import main as kiosk
from kiosk.credential import classify, personal_pass
from kiosk.decoder import read_picture
from kiosk.envelopes.provisioning_code import ProvisioningCode, Wifi
from kiosk.model import Direction, Refused, RefusedReason, Unproven, WrongCode
from kiosk.policy import Policy, Rules
from kiosk.sim.issuers import NOW_S, Office

PHONE = Ed25519PrivateKey.generate()


def _key() -> bytes:
    return PHONE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _invitation(folder: Path) -> str:
    wanted = ProvisioningCode(
        "door-a", "office-1", (("main", Direction.IN),), "broker.example:8883", "enrol.example:8443", b"", b"", 0, 0,
        wifi=Wifi("Văn phòng", "mat-khau-rat-dai-123"),
    )  # fmt: skip
    with Fleet(folder / "fleet.db") as registry:
        return invitation.invite(registry, authority.create(folder / "fleet", "test fleet"), wanted, 3600)


def _phone_number(_folder: Path) -> str:
    """As the page makes it; `central pass issue` reads it."""
    check = hashlib.sha256(phone_page.PHONE_PURPOSE + _key()).digest()[: phone_page.CHECK_BYTES]
    number = "1" + str(int.from_bytes(_key() + check, "big")).zfill(phone_page.PHONE_DIGITS)
    assert phone_page.phone_key(number) == _key()
    return number


def _link(_folder: Path) -> str:
    return phone_page.link("https://pass.example/p/", Office().envelope(key=_key()))


def _icon(_folder: Path) -> str:
    luma = cv2.imdecode(np.frombuffer(phone_page.files()["icon.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    (reading,) = read_picture(np.asarray(luma, np.uint8))
    return reading.payload.decode()


@pytest.mark.parametrize(
    ("made", "kind", "said"),
    [
        (_invitation, "provisioning", "wrong code: a provisioning code, which sets a station up, "),
        (
            lambda _: label.payload("door-a", "office-1", "TS-0042"),
            "label",
            "wrong code: the label of a station's box, ",
        ),
        (_phone_number, "phone-number", "wrong code: the number by which a phone says its key, "),
        (_link, "pass-link", "wrong code: the link that puts a pass onto a phone, "),
        (_icon, "page-icon", "wrong code: the picture of the page that shows a pass on a phone, 3 bytes"),
        (lambda _: "WIFI:T:WPA;S:office;P:mat-khau-dai;;", "wifi", "wrong code: a Wi-Fi network, "),
        (lambda _: personal_pass.code_of(Office().envelope()), "pass", "pass, not believed: there are no keys"),
        (
            lambda _: personal_pass.moving_code_of(Office().envelope(key=_key()), PHONE, NOW_S),
            "pass",
            "pass, not believed: there are no keys",
        ),
    ],
    ids=["provisioning", "label", "phone-number", "pass-link", "page-icon", "wifi", "static-pass", "moving-pass"],
)
def test_own_code_is_named_and_records_nobody(
    made: Callable[[Path], str], kind: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads a picture of it learns which it is, and nothing of what is in it; a door answers as to any wrong code."""
    code = made(tmp_path)
    picture = tmp_path / "code.png"
    picture.write_bytes(paper.png(code))
    assert kiosk(["read", str(picture)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{picture}: {said}")
    assert code[4:20] not in out or len(code) < 20
    verdict = classify(code.encode())
    expected = RefusedReason.UNVERIFIABLE if kind == "pass" else RefusedReason.WRONG_CODE
    assert isinstance(verdict, Unproven) if kind == "pass" else verdict == WrongCode(kind, len(code))
    decision = Policy(Rules(frozenset({"pass"}), 0), bytes(32)).decide(code.encode(), verdict, 0)
    assert decision == Refused(expected)


@pytest.mark.parametrize(
    "code",
    [
        "https://a.example/#x",
        "https://a.example/#oWF4",
        "https://a.example/",
        "1" + "2" * 86,
        "1" + "2" * 88,
        "KP1X",
        "KL2:a;b;c",
    ],
)
def test_what_only_resembles_one_is_not_taken_for_it(code: str) -> None:
    """A link stays a link, and the unknown unknown."""
    assert classify(code.encode()) == WrongCode("link" if code.startswith("https") else "unknown", len(code))
