"""What is no QR code is told by its name, at the door and from a file, and nothing that stands in it is taken for a card."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
import segno
import zxingcpp
from numpy.typing import NDArray

from kiosk.__main__ import main
from kiosk.credential import chunks, classify
from kiosk.judge import Judge
from kiosk.lens.frame import Frame
from kiosk.model import Reading, Sighting, WrongCode
from kiosk.policy import Policy, Rules
from kiosk.reading import others
from kiosk.reading.others import AT_THE_DOOR, IN_A_PICTURE, LOOK_EVERY, Others, symbols
from kiosk.sightings import Sightings
from kiosk.sim import people
from kiosk.sim.render import code_picture

CARD = "046090000123||Nguyen Van A|01021990|Nam|Hue|15062021"
SHORT = "046090000123"
_FORMATS = zxingcpp.BarcodeFormat
WRITTEN = {
    "aztec": (_FORMATS.Aztec, CARD, "an Aztec code"),
    "micro-qr": (_FORMATS.MicroQRCode, SHORT, "a Micro QR code"),
    "rmqr": (_FORMATS.RMQRCode, CARD, "an rMQR code"),
    "data-matrix": (_FORMATS.DataMatrix, CARD, "a Data Matrix code"),
    "pdf417": (_FORMATS.PDF417, CARD, "a PDF417 code"),
}
AT_DOOR = ["aztec", "micro-qr", "rmqr"]
S = 1_000_000_000


def _drawn(kind: str, module_px: int = 4) -> NDArray[np.uint8]:
    """A picture of this kind of symbol with a card's text, as another library writes it where one does."""
    form, text, _ = WRITTEN[kind]
    if kind == "micro-qr":
        dark = np.array([list(row) for row in segno.make_micro(text).matrix], np.uint8)
        symbol = np.kron(np.where(dark, 0, 255), np.ones((module_px, module_px)))
    else:
        symbol = np.asarray(zxingcpp.create_barcode(text, form).to_image(scale=module_px, add_quiet_zones=False))
    return np.pad(symbol, 40, constant_values=230).astype(np.uint8)


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("turns", [0, 1])
def test_each_kind_is_told_by_name(kind: str, turns: int) -> None:
    """Upright and turned, in a picture of any size; where it is and how long, and its own bytes only for telling two apart."""
    picture = np.ascontiguousarray(np.rot90(_drawn(kind), turns))
    for luma in (picture, np.pad(picture, ((0, 1200), (0, 1600)), constant_values=230)):
        (found,) = symbols(np.ascontiguousarray(luma), IN_A_PICTURE)
        assert (found.symbology, len(found.payload)) == (kind, len(WRITTEN[kind][1]))
        corners = np.array(found.corners_px)
        assert (corners.min(0) > 25).all()
        assert (corners.max(0) < np.array(picture.shape[::-1]) - 25).all()


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_file_with_one_says_which(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kiosk read` names the kind, and shows the holder of no card that was never there."""
    path = tmp_path / "code.png"
    cv2.imwrite(str(path), _drawn(kind))
    assert main(["read", str(path)]) == 0
    said = f"{path}: wrong code: {WRITTEN[kind][2]}, a kind that is not read here, {len(WRITTEN[kind][1])} bytes\n"
    assert capsys.readouterr().out == said
    assert main(["read", "--json", str(path)]) == 0
    (code,) = json.loads(capsys.readouterr().out)["codes"]
    assert (code["class"], code["document"]) == ("wrong-code", kind)


def test_no_qr_code_is_called_something_else() -> None:
    """60 cards, many of them too small or too soft to be read: none is said to be of another kind."""
    random, noise = Random(5), np.random.default_rng(5)
    for _ in range(60):
        picture = code_picture(people.citizen_card(people.somebody(random), random).encode(), 3)
        shown = np.pad(picture, 40, constant_values=200).astype(np.float32)
        soft = cv2.GaussianBlur(shown, (0, 0), float(noise.uniform(0.3, 3))) + noise.normal(0, 8, shown.shape)
        assert not symbols(np.clip(soft, 0, 255).astype(np.uint8), IN_A_PICTURE)


def _looks(door: Others, luma: NDArray[np.uint8], frames: int, *, has_read: bool = False) -> list[list[str]]:
    return [
        [each.symbology for each in door.look(Frame(luma, at), has_read=has_read, has_texture=True)]
        for at in range(frames)
    ]


@pytest.mark.parametrize("kind", AT_DOOR)
def test_the_door_tells_it_when_it_was_seen_twice(kind: str) -> None:
    """The second look tells; from then on it stands until it is gone, and is looked for seldom."""
    door, luma, empty = Others(), _drawn(kind), np.full((200, 200), 230, np.uint8)
    assert _looks(door, luma, 3) == [[], [kind], [kind]]
    assert _looks(door, luma, LOOK_EVERY) == [[kind]] * LOOK_EVERY
    assert _looks(door, empty, 2 * LOOK_EVERY)[-1] == []


def test_looks_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame in `LOOK_EVERY` where nothing is seen, none beside a code that was read, none where nothing looks like a code."""
    looked: list[int] = []

    def nothing(*_: object) -> list[Reading]:
        looked.append(1)
        return []

    monkeypatch.setattr(others, "symbols", nothing)
    empty = np.full((90, 90), 230, np.uint8)
    door = Others()
    _looks(door, empty, 4 * LOOK_EVERY)
    assert len(looked) == 4
    _looks(door, empty, 4 * LOOK_EVERY, has_read=True)
    for at in range(4 * LOOK_EVERY):
        assert door.look(Frame(empty, at), has_read=False, has_texture=False) == []
    assert len(looked) == 4


def test_what_is_seen_once_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks that see different things tell nothing, and a code that is read ends the suspicion."""
    (first,), (second,) = (symbols(_drawn(kind), AT_THE_DOOR) for kind in AT_DOOR[:2])
    seen = iter([[first], [second], [first], [], [first], [first]])
    monkeypatch.setattr(others, "symbols", lambda *_: next(seen))
    door, empty = Others(), np.full((90, 90), 230, np.uint8)
    assert _looks(door, empty, 4) == [[]] * 4
    _looks(door, empty, LOOK_EVERY - 1)
    assert _looks(door, empty, 1) == [[]]
    assert _looks(door, empty, 1, has_read=True) == [[]]
    assert _looks(door, empty, 1) == [[]]


def _judge() -> Judge:
    return Judge(Sightings(S), Policy(Rules(frozenset({"cccd"}), S), bytes(32)), (), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", AT_DOOR)
def test_a_cards_text_in_another_symbol_records_nobody(kind: str) -> None:
    """It is a wrong code whatever stands in it, and a real card with the same text beside it is a sighting of its own."""
    (foreign,) = symbols(_drawn(kind), AT_THE_DOOR)
    judge = _judge()
    (sighting,) = judge.begun([foreign], 0)
    assert judge.verdict_on(sighting) == WrongCode(kind, len(foreign.payload))
    (card,) = judge.begun([foreign, _as_qr(foreign)], 1)
    assert (card.symbology, card.payload) == ("", foreign.payload)


def _as_qr(foreign: Reading) -> Reading:
    return Reading(foreign.payload, foreign.corners_px, 1)


def test_a_part_of_a_health_card_in_another_symbol_is_no_part() -> None:
    """Codes of a card in several are put together from QR codes alone."""
    held = chunks.Chunks()
    parts = [Sighting(b"shc:/1/2/5676", 0), Sighting(b"shc:/2/2/5676", 0, symbology="aztec")]
    assert held.join(parts, 0) == parts


LINKS = {
    b"shlink:/eyJ1cmwiOiJodHRwczovL3gifQ": "shlink",
    b"SHLINK:/eyJ1cmwiOiJodHRwczovL3gifQ": "shlink",
    b"https://viewer.example/ips#shlink:/eyJ1cmwiOiJodHRwczovL3gifQ": "shlink",
    b"https://viewer.example/#SHLINK:/eyJ1cmwi": "shlink",
    b"https://viewer.example/shlink:/eyJ1cmwi": "link",
    b"https://viewer.example/#x": "link",
    b"shlink": "unknown",
}


@pytest.mark.parametrize(("code", "kind"), LINKS.items(), ids=map(repr, LINKS))
def test_a_link_to_a_health_card_is_told_apart(
    code: bytes, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A SMART Health Link, by itself or behind a viewer's address, is called that, and nothing is fetched."""
    assert classify(code) == WrongCode(kind, len(code))
    if kind == "shlink":
        cv2.imwrite(str(tmp_path / "code.png"), code_picture(code, 4))
        assert main(["read", str(tmp_path / "code.png")]) == 0
        assert (
            "wrong code: a SMART Health Link, which says where a health card lies, and is none"
            in capsys.readouterr().out
        )
