"""Codes come out of pictures byte for byte, however they are shown, and nothing comes out that is not a code."""

from __future__ import annotations

import time
import unicodedata
from random import Random
from typing import Any, Literal

import cv2
import numpy as np
import pytest
import segno
import zxingcpp

from kiosk.camera import Frame
from kiosk.decoder import Decoder, is_fragment, read_picture
from kiosk.sim import people
from kiosk.sim.render import code_picture
from kiosk.zbar import ZbarScanner

CARD = "046090000123||Nguyễn Thị Ứng|01021990|Nữ|Phong Điền, Thừa Thiên Huế|15062021".encode()
QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel2])
Luma = np.ndarray[Any, np.dtype[np.uint8]]


def _matrix_picture(code: Any, module_px: int = 5) -> Luma:
    dark = np.array([list(row) for row in code.matrix], np.uint8)
    return np.kron(np.pad(np.where(dark, 0, 255), 4, constant_values=255), np.ones((module_px, module_px))).astype(
        np.uint8
    )


def _beside(*pictures: Luma) -> Luma:
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 30)), constant_values=200) for p in pictures]
    return np.ascontiguousarray(np.hstack(padded))


def _payloads(luma: Luma) -> set[bytes]:
    return {reading.payload for reading in read_picture(luma)}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_vietnamese_is_read_byte_for_byte_by_both_engines(form: Literal["NFC", "NFD"]) -> None:
    """200 invented cards: neither engine changes a byte, where zbar's own text would garble a fifth."""
    random = Random(5)
    zbar = ZbarScanner(step_px=1)
    for _ in range(200):
        payload = unicodedata.normalize(form, people.citizen_card(people.somebody(random), random)).encode()
        picture = code_picture(payload, 4)
        assert _payloads(picture) == {payload}
        assert [code for code, _ in zbar.read(picture)] == [payload]


@pytest.mark.parametrize(
    "payload", [b"\xff\xfe\x00\x01binary", "ｶﾅ".encode("shift-jis"), b"12345678", b"HC1:ABC $%", "中文".encode(), b"\0"]
)
def test_any_bytes_survive(payload: bytes) -> None:
    """Bytes that are no text at all, digits, capitals and foreign encodings come out as they went in."""
    assert _payloads(code_picture(payload, 5)) == {payload}


def test_code_with_a_declared_character_set_gives_its_bytes() -> None:
    """An ECI header is not a part of the payload."""
    assert _payloads(_matrix_picture(segno.make("Nguyễn", encoding="utf-8", eci=True, micro=False))) == {
        "Nguyễn".encode()
    }


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("inverted", [False, True])
def test_code_is_read_in_every_position(turn: int, mirrored: bool, inverted: bool) -> None:  # noqa: FBT001
    """Turned, mirrored, white on black; its corners go round clockwise."""
    picture = np.rot90(code_picture(CARD, 4, inverted=inverted), turn)
    picture = np.ascontiguousarray(picture[:, ::-1] if mirrored else picture)
    (reading,) = read_picture(picture)
    assert reading.payload == CARD
    (x1, y1), (x2, y2), (x3, y3), _ = reading.corners_px
    assert (x2 - x1) * (y3 - y2) > (y2 - y1) * (x3 - x2)


def test_several_codes_in_one_frame_are_all_read() -> None:
    """Two phones side by side, each code once."""
    first, second, third = CARD, CARD.replace(b"123", b"124"), b"https://x.example"
    picture = _beside(*(code_picture(payload, 4) for payload in (first, second, third, first)))
    assert _payloads(picture) == {first, second, third}
    assert len(read_picture(picture)) == 3


def test_part_of_a_series_is_not_a_code() -> None:
    """Neither a fragment of a structured-append series, in any position, nor the series that zbar joins from its parts."""
    parts = [_matrix_picture(part) for part in segno.make_sequence(CARD, symbol_count=2)]
    for picture in (*parts, _beside(*parts)):
        for turned in (picture, np.rot90(picture), picture[:, ::-1], 255 - picture):
            assert read_picture(np.ascontiguousarray(turned, np.uint8)) == []
    assert _payloads(_beside(parts[0], code_picture(CARD, 4))) == {CARD}


@pytest.mark.parametrize("seed", range(30))
def test_whole_code_is_not_taken_for_a_part(seed: int) -> None:
    """Codes of every mode, level, mask and many versions are whole."""
    random = Random(seed)
    for content in (
        "7" * random.randint(1, 300),
        "AB-" * random.randint(1, 90),
        random.randbytes(random.randint(1, 400)),
    ):
        code = segno.make(content, micro=False, error=random.choice("lmqh"), mask=random.randrange(8))
        found = zxingcpp.read_barcodes(_matrix_picture(code, 3), formats=QR)
        assert [is_fragment(each) for each in found] == [False]


def test_other_symbologies_are_not_codes() -> None:
    """A bar code, a Micro QR code or an Aztec code is not ours to read."""
    assert read_picture(_matrix_picture(segno.make("12", micro=True))) == []
    for form in (zxingcpp.BarcodeFormat.Code128, zxingcpp.BarcodeFormat.Aztec, zxingcpp.BarcodeFormat.DataMatrix):
        picture = np.pad(np.asarray(zxingcpp.create_barcode("HELLO", form).to_image(scale=4)), 40, constant_values=255)
        assert read_picture(picture) == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (720, 3), (240, 320)])
def test_empty_picture_has_no_codes(shape: tuple[int, int]) -> None:
    """Black, white and noise of any size are read without an exception."""
    noise = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    for picture in (np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise):
        assert read_picture(picture) == []


def test_view_into_a_larger_picture_is_read() -> None:
    """A part of an array that is not contiguous is as good as a copy."""
    canvas = np.full((600, 900), 255, np.uint8)
    picture = code_picture(CARD, 4)
    canvas[50 : 50 + picture.shape[0], 70 : 70 + picture.shape[1]] = picture
    (reading,) = Decoder(60).read(Frame(canvas[::1, 10:890], 5))
    assert (reading.payload, reading.exposed_at_boot_ns, reading.strategy) == (CARD, 5, "zxing")


def _blind(*_args: object, **_more: object) -> list[Any]:
    """zxing-cpp that takes its time and finds nothing."""
    time.sleep(0.005)
    return []


def test_zbar_is_asked_for_what_zxing_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in every frame, for its time is rationed, but again and again; and it reads byte for byte."""
    monkeypatch.setattr(zxingcpp, "read_barcodes", _blind)
    decoder = Decoder(60_000)
    frame = Frame(np.pad(code_picture(CARD, 5), 300, constant_values=255), 0)
    found = [decoder.read(frame) for _ in range(60)]
    read = [readings[0] for readings in found if readings]
    assert {(reading.payload, reading.strategy) for reading in read} == {(CARD, "zbar")}
    assert 2 <= len(read) <= 45


def test_zbar_is_asked_at_once_for_a_code_that_zxing_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that was found and not read gets its second opinion in the same frame."""

    class Unread:
        valid = False

    monkeypatch.setattr(zxingcpp, "read_barcodes", lambda *_args, **_more: [Unread()])
    decoder = Decoder(60_000)
    frame = Frame(np.pad(code_picture(CARD, 5), 40, constant_values=255), 0)
    assert [[reading.strategy for reading in decoder.read(frame)] for _ in range(5)] == [["zbar"]] * 5


def test_frame_beyond_its_budget_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the budget is spent nothing more is tried on the frame."""
    monkeypatch.setattr(zxingcpp, "read_barcodes", _blind)
    decoder = Decoder(1)
    frame = Frame(code_picture(CARD, 5), 0)
    assert [decoder.read(frame) for _ in range(20)] == [[]] * 20


def test_scratched_code_is_read() -> None:
    """What error correction can mend is mended."""
    picture = code_picture(CARD, 6)
    cv2.line(picture, (0, 200), (300, 120), 255, 8)
    assert _payloads(picture) == {CARD}
