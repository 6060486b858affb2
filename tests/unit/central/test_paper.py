"""What is printed can be read again: the code by a reader of codes, the words by a reader of PDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import pypdfium2
import pytest
import segno
import zxingcpp

from central import paper
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from typing import Any

PAYLOAD = "KP1:" + "6BFOXN%TS3DH3ZSUZK+.V0ETD%65NL-AH-R6IOOK.IR9B+9" * 3


def _rendered(document: bytes, dots_per_inch: int = 200) -> tuple[np.ndarray[Any, Any], str, tuple[float, float]]:
    opened = pypdfium2.PdfDocument(document)
    try:
        assert len(opened) == 1
        page = opened[0]
        picture = page.render(scale=dots_per_inch / 72).to_numpy()
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()
        text_page.close()
        size = page.get_size()
        page.close()
    finally:
        opened.close()
    return np.array(picture), text, size


@pytest.mark.parametrize(
    ("size", "payload"), [("a4", "KL1:a;b;"), ("a4", PAYLOAD * 5), ("card", "KL1:a;b;")], ids=["few", "many", "card"]
)
def test_the_code_has_its_quiet_zone(size: Literal["a4", "card"], payload: str) -> None:
    """However many modules a code has, four of them around it are white, and on A4 it begins where the words begin."""
    words: list[str | paper.Fact] = [
        paper.Fact("Nơi đặt", "w" * 20),
        paper.Heading("Các bước"),
        "việc " * 10,
        paper.Small("x"),
    ]
    picture, _, _ = _rendered(paper.pdf("M", words, payload, size), 150)
    (read,) = zxingcpp.read_barcodes(picture)
    assert read.bytes.decode() == payload
    corners = (read.position.top_left, read.position.bottom_right)
    (left, top), (right, bottom) = ((corner.x, corner.y) for corner in corners)
    module_px = (right - left) / len(segno.make_qr(payload, error="m", boost_error=False).matrix)
    quiet_px = round(4 * module_px) - 2
    dark = picture.min(axis=2) < 128
    assert not dark[max(0, top - quiet_px) : bottom + quiet_px, left - quiet_px : left - 2].any()
    assert not dark[max(0, top - quiet_px) : bottom + quiet_px, right + 3 : right + quiet_px].any()
    assert left >= quiet_px
    if size == "a4":
        below = dark[bottom + quiet_px :]
        assert np.flatnonzero(below.any(axis=0))[0] == pytest.approx(left, abs=0.5 / 25.4 * 150)


@pytest.mark.parametrize(("size", "width_mm"), [("a4", 210.0), ("card", 85.6)])
def test_a_page_can_be_read(size: Literal["a4", "card"], width_mm: float) -> None:
    """A printed page carries its code, its Vietnamese words, and has the size that was asked for."""
    picture, text, (width_pt, _) = _rendered(
        paper.pdf("Thẻ ra vào", ["Nguyễn Thị Ữ", "", "đến 2027-01-01"], PAYLOAD, size)
    )
    (read,) = zxingcpp.read_barcodes(picture)
    assert read.bytes.decode() == PAYLOAD
    assert {"Thẻ ra vào", "Nguyễn Thị Ữ", "đến 2027-01-01"} <= set(text.replace("\r", "").split("\n"))
    assert width_pt / 72 * 25.4 == pytest.approx(width_mm, abs=0.1)


def test_a_picture_can_be_read() -> None:
    """The picture of the code alone carries the code."""
    picture = cv2.imdecode(np.frombuffer(paper.png(PAYLOAD, scale=3), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    (read,) = zxingcpp.read_barcodes(picture)
    assert read.bytes.decode() == PAYLOAD


def test_words_stay_on_the_page() -> None:
    """Words that would run off the page are refused, not cut."""
    with pytest.raises(paper.PaperError, match="one page"):
        paper.pdf("x", ["nhiều chữ " * 30] * 3, PAYLOAD, "card")
    with pytest.raises(paper.PaperError, match="one page"):
        paper.pdf("x", [""] * 41, PAYLOAD)


def test_refused_page_leaves_no_font_open() -> None:
    """A refused page closes its fonts, as a printed one does."""
    with pytest.raises(paper.PaperError):
        paper.pdf("x", [""] * 41, PAYLOAD)
    assert not [entry for entry in Path("/proc/self/fd").iterdir() if entry.resolve().parent == paper.FONTS]


def test_too_much_for_a_code() -> None:
    """A payload beyond a code's room is said to be that."""
    with pytest.raises(paper.PaperError, match="5000 characters"):
        paper.png("x" * 5000)


def test_a_missing_font_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the font the error says what to install."""
    monkeypatch.setattr(paper, "FONTS", tmp_path)
    with pytest.raises(ConfigError, match="fonts-dejavu-core"):
        paper.pdf("x", [], PAYLOAD)
