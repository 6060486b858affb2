"""Codes come out of pictures byte for byte, however they are shown, and nothing comes out that is not a code."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import pytest
import segno
import zxingcpp

from kiosk.decoder import Decoder, examine_picture, read_picture
from kiosk.lens.frame import Frame
from kiosk.reading.symbol import is_fragment
from kiosk.reading.zbar import ZbarScanner
from kiosk.sim import people
from kiosk.sim.render import code_picture

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_blurred_part_of_a_series_is_not_a_code() -> None:
    """Where blur has spoilt the modules that say so, too: of the bits of a part only the corrected ones are asked."""
    random = Random(11)
    for _ in range(25):
        text = people.national_qr(people.somebody(random), random)
        part = segno.make_sequence(text, symbol_count=2, error="m", boost_error=False, mode="byte")[random.randrange(2)]
        sharp = _matrix_picture(part, 4)
        assert read_picture(np.asarray(cv2.GaussianBlur(sharp, (0, 0), random.uniform(1.5, 2.3)), np.uint8)) == []


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


def _framed(picture: Luma, margin_px: int = 300) -> Luma:
    return np.pad(picture, margin_px, constant_values=200)


def _bent(picture: Luma, bend_px: float) -> Luma:
    """As if printed on cloth: rows and columns displaced by a wave, most in the middle."""
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    wave = np.sin(np.pi * rows / picture.shape[0]) * np.sin(np.pi * columns / picture.shape[1])
    return np.asarray(cv2.remap(picture, columns + bend_px * wave, rows + bend_px * wave, cv2.INTER_LINEAR), np.uint8)


def _nearly_lost(payload: bytes, seed: int, spoilt: float) -> Luma:
    """A code of which so many of the data modules are hidden, others in each frame."""
    module_px = 5
    picture = code_picture(payload, module_px)
    count = picture.shape[0] // module_px
    random = np.random.default_rng(seed)
    hidden = random.random((count, count)) < spoilt
    hidden[:13] = hidden[-13:] = False
    return np.where(np.kron(hidden, np.ones((module_px, module_px), bool)), 128, picture).astype(np.uint8)


def test_blurred_code_is_read() -> None:
    """A blur of half a module, which zxing-cpp alone does not read, costs a person nothing."""
    picture = np.asarray(cv2.GaussianBlur(_framed(code_picture(CARD, 4), 40), (0, 0), 2.2), np.uint8)
    assert not zxingcpp.read_barcodes(picture, formats=QR)
    (reading,) = read_picture(picture)
    assert (reading.payload, reading.strategy != "zxing") == (CARD, True)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("turn", [0, 1])
def test_bent_code_is_straightened(inverted: bool, turn: int) -> None:  # noqa: FBT001
    """A code bent by more than a module, as on cloth, is found by zxing-cpp, not read, and then straightened."""
    picture = np.rot90(_bent(_framed(code_picture(CARD, 6, inverted=inverted), 20), 9.0), turn)
    picture = np.ascontiguousarray(picture)
    assert not zxingcpp.read_barcodes(picture, formats=QR)
    assert {reading.strategy for reading in read_picture(picture) if reading.payload == CARD} == {"bends"}


def test_decoder_and_picture_agree_on_where_a_code_is() -> None:
    """Corners are in the pixels of the frame, whichever pass has read the code."""
    sharp = _framed(code_picture(CARD, 4), 60)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 2.2), np.uint8)
    (plain,), (hard,) = read_picture(sharp), read_picture(blurred)
    assert hard.strategy != plain.strategy
    assert np.abs(np.array(plain.corners_px) - np.array(hard.corners_px)).max() < 6


def test_small_picture_is_looked_at_first() -> None:
    """Where the camera makes a small picture, the cheap pass uses it, and the corners are those of the large one."""
    luma = _framed(code_picture(CARD, 8), 60)
    small = np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    (reading,) = Decoder(60).read(Frame(luma, 0, small))
    (whole,) = Decoder(60).read(Frame(luma, 0))
    assert reading.strategy == "zxing"
    assert np.abs(np.array(reading.corners_px) - np.array(whole.corners_px)).max() < 4


def test_code_too_small_for_the_small_picture_is_read_from_the_large_one() -> None:
    """What is lost in the small picture is not lost to the person."""
    luma = _framed(code_picture(CARD, 2), 300)
    small = np.asarray(cv2.resize(luma, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8)
    decoder = Decoder(60_000)
    found = [reading.payload for _ in range(6) for reading in decoder.read(Frame(luma, 0, small))]
    assert set(found) == {CARD}


def test_frames_are_summed_where_one_is_not_enough() -> None:
    """Glare that hides other modules in each frame: no single one is read, together they are."""
    pictures = [_framed(_nearly_lost(CARD, seed, 0.42), 40) for seed in range(20)]
    assert [read_picture(picture) for picture in pictures[:8]] == [[]] * 8
    decoder = Decoder(60_000)
    found = [reading for picture in pictures for reading in decoder.read(Frame(picture, 0))]
    assert {reading.payload for reading in found} == {CARD}
    assert {reading.strategy for reading in found} <= {"grid", "finders"}


def test_zbar_reads_what_zxing_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """With zxing-cpp blind in every pass, zbar has its turn, and reads byte for byte."""
    monkeypatch.setattr(zxingcpp, "read_barcodes", lambda *_args, **_more: [])
    decoder = Decoder(60_000)
    found = [reading for _ in range(60) for reading in decoder.read(Frame(code_picture(CARD, 5), 0))]
    assert {(reading.payload, reading.strategy) for reading in found} == {(CARD, "zbar")}


def test_frame_beyond_its_budget_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the budget is spent nothing more is tried on the frame, and the cheap pass is never left out."""

    def slow(*_args: object, **_more: object) -> list[Any]:
        time.sleep(0.003)
        return []

    monkeypatch.setattr(zxingcpp, "read_barcodes", slow)
    decoder = Decoder(1)
    for _ in range(5):
        assert decoder.read(Frame(code_picture(CARD, 5), 0)) == []
        assert [tried.strategy for tried in decoder.tried] == ["zxing"]


def test_budget_that_is_counted_knows_no_clock() -> None:
    """On a machine a thousand times slower the same passes are tried on the same frames; the clock's budget would not allow it."""
    picture = np.asarray(cv2.GaussianBlur(_framed(code_picture(CARD, 4), 40), (0, 0), 2.2), np.uint8)

    def tried(now_ns: Callable[[], int], *, counted: bool) -> list[list[str]]:
        decoder = Decoder(60, counted=counted, now_ns=now_ns)
        return [
            [each.strategy for each in decoder.tried] for _ in range(4) if decoder.read(Frame(picture, 0)) is not None
        ]

    quick = tried(time.perf_counter_ns, counted=True)
    assert max(map(len, quick)) > 1
    assert tried(lambda: 1000 * time.perf_counter_ns(), counted=True) == quick
    assert tried(lambda: 1000 * time.perf_counter_ns(), counted=False) != quick


def test_what_was_tried_is_told() -> None:
    """The passes of the last frame, in order, with what each cost and which read the code."""
    picture = np.asarray(cv2.GaussianBlur(_framed(code_picture(CARD, 4), 40), (0, 0), 2.2), np.uint8)
    readings, tried = examine_picture(picture)
    assert tried[0].strategy == "zxing"
    assert [each.strategy for each in tried if each.codes] == [reading.strategy for reading in readings]
    assert all(each.cost_ms > 0 for each in tried)


def test_second_code_is_read_though_only_the_first_is_easy() -> None:
    """Two phones: that one is read at once does not leave the other, which is bent, unread."""
    other = CARD.replace(b"123", b"124")
    picture = _beside(_framed(code_picture(CARD, 6), 20), _bent(_framed(code_picture(other, 6), 20), 9.0))
    assert _payloads(picture) == {CARD, other}


@pytest.mark.parametrize("two_streams", [False, True])
def test_posted_code_blinds_the_door_for_nobody(two_streams: bool) -> None:  # noqa: FBT001
    """A code that stands in view for good is read in every frame, and a small card beside it is read as soon as without it."""
    wall = np.full((720, 1280), 150, np.uint8)
    posted = code_picture(b"https://place.example/1", 6)
    wall[20 : 20 + posted.shape[0], 20 : 20 + posted.shape[1]] = posted
    card = code_picture(CARD, 2)
    shown = wall.copy()
    shown[400 : 400 + card.shape[0], 800 : 800 + card.shape[1]] = card
    decoder = Decoder(60_000)

    def read(luma: Luma) -> set[bytes]:
        small = np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        return {reading.payload for reading in decoder.read(Frame(luma, 0, small if two_streams else None))}

    assert [read(wall) for _ in range(8)] == [{b"https://place.example/1"}] * 8
    assert CARD in read(shown) | read(shown)


def test_two_people_at_once_are_both_read() -> None:
    """One near and one far, with a camera that makes a small picture: the small code does not wait until the large one is gone."""
    other = CARD.replace(b"123", b"124")
    luma = np.full((720, 1280), 150, np.uint8)
    for payload, module_px, x in ((CARD, 4, 100), (other, 2, 800)):
        code = code_picture(payload, module_px)
        luma[200 : 200 + code.shape[0], x : x + code.shape[1]] = code
    small = np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    decoder = Decoder(60_000)
    assert {reading.payload for _ in range(3) for reading in decoder.read(Frame(luma, 0, small))} == {CARD, other}


def test_code_without_a_quiet_zone_is_read_at_the_door() -> None:
    """Cut out along its edge and held before a patterned cloth: its finder patterns are enough."""
    code = code_picture(CARD, 4)[16:-16, 16:-16]
    rows, columns = np.mgrid[0:720, 0:1280]
    luma = np.full((720, 1280), 150, np.uint8)
    luma[200:500, 400:800] = np.where((rows // 7 + columns // 9) % 2, 60, 190)[200:500, 400:800]
    luma[260 : 260 + code.shape[0], 520 : 520 + code.shape[1]] = code
    assert not zxingcpp.read_barcodes(luma, formats=QR)
    decoder = Decoder(60_000)
    assert {reading.payload for _ in range(8) for reading in decoder.read(Frame(luma, 0))} == {CARD}


@pytest.mark.parametrize("kind", ["checkerboard", "noise", "wall", "finders"])
def test_hostile_picture_ends(kind: str) -> None:
    """No attempt is begun on a hostile picture after its budget, and none raises."""
    rows, columns = np.mgrid[0:240, 0:320]
    finder = np.pad(np.pad(np.pad(np.zeros((3, 3)), 1, constant_values=255), 1), 1, constant_values=255)
    picture = {
        "checkerboard": (rows + columns) % 2 * 255,
        "noise": np.random.default_rng(1).integers(0, 256, rows.shape),
        "wall": np.tile(code_picture(b"x" * 20, 1), (8, 10))[:240, :320] // 2 + 40,
        "finders": np.tile(finder.repeat(2, 0).repeat(2, 1), (14, 18))[:240, :320],
    }[kind].astype(np.uint8)
    decoder = Decoder(30)
    for _ in range(3):
        decoder.read(Frame(picture, 0))
        assert sum(tried.cost_ms for tried in decoder.tried[:-1]) < 30


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (3, 0)])
def test_picture_of_no_pixels_has_no_codes(shape: tuple[int, int]) -> None:
    """Not even a picture without pixels raises."""
    assert read_picture(np.zeros(shape, np.uint8)) == []
    assert Decoder(60).read(Frame(np.zeros(shape, np.uint8), 0)) == []


def test_scratched_code_is_read() -> None:
    """What error correction can mend is mended."""
    picture = code_picture(CARD, 6)
    cv2.line(picture, (0, 200), (300, 120), 255, 8)
    assert _payloads(picture) == {CARD}


def test_reading_takes_no_more_threads_than_one(tmp_path: Path) -> None:
    """Neither OpenCV nor numpy's BLAS begins a thread for each core, whatever the machine has: not in any program of the kiosk's."""
    program = """
import os, sys
from kiosk.__main__ import main
main(["check", "--config", sys.argv[1]])
import cv2, numpy as np
from kiosk.decoder import Decoder
from kiosk.lens.frame import Frame
from kiosk.sim.render import Scene
decoder = Decoder(1000)
for number in range(1, 4):
    luma = Scene(1280, 720, 7).empty(number)
    decoder.read(Frame(luma, number))
    cv2.resize(cv2.GaussianBlur(luma, (0, 0), 3), (4000, 2000))
    np.linalg.svd(np.ones((300, 300)))
print(cv2.getNumThreads(), len(os.listdir("/proc/self/task")))
"""
    free = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "none.yaml")],
        env=free | {"OPENCV_FOR_THREADS_NUM": "4"}, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "1"], done.stderr
