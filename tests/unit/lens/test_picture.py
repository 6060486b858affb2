"""A picture file as brightness: transparent is paper, odd files are pictures, and what is none is said."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kiosk.decoder import read_picture
from kiosk.lens import picture
from kiosk.sim.render import code_picture

PAYLOAD = b"046090000123||Nguyen Van A|01021990|Nam|Hue|15062021"


def _drawn() -> Image.Image:
    return Image.fromarray(code_picture(PAYLOAD, module_px=4))


def _transparent(under: int, ink: int = 0) -> Image.Image:
    """The code in `ink` on a ground that cannot be seen, whose colour a reader without transparency would see."""
    dark = np.asarray(_drawn()) < 128
    pixels = np.zeros((*dark.shape, 4), np.uint8)
    pixels[..., :3] = np.where(dark[..., None], ink, under)
    pixels[..., 3] = np.where(dark, 255, 0)
    return Image.fromarray(pixels, "RGBA")


def _palette() -> Image.Image:
    flat = _drawn().convert("1").convert("P")
    flat.info["transparency"] = 255
    flat.putpalette([0] * 768)
    return flat


def _sixteen() -> Image.Image:
    return Image.fromarray(np.asarray(_drawn()).astype(np.uint16) * 257)


KINDS: dict[str, Any] = {
    "grey": (_drawn, "PNG"),
    "black under": (lambda: _transparent(0), "PNG"),
    "white under": (lambda: _transparent(255), "PNG"),
    "white ink": (lambda: _transparent(0, 255), "PNG"),
    "grey and alpha": (lambda: _transparent(0).convert("LA"), "PNG"),
    "palette": (_palette, "PNG"),
    "two colours": (lambda: _drawn().convert("1"), "PNG"),
    "sixteen bits": (_sixteen, "PNG"),
    "sixteen bits, tiff": (_sixteen, "TIFF"),
    "print colours": (lambda: _drawn().convert("CMYK"), "JPEG"),
    "webp": (lambda: _transparent(0), "WEBP"),
    "gif": (lambda: _drawn().convert("P"), "GIF"),
    "pgm": (_drawn, "PPM"),
    "bmp": (lambda: _drawn().convert("RGB"), "BMP"),
}


@pytest.mark.parametrize(("make", "form"), KINDS.values(), ids=KINDS)
def test_code_is_read_from_every_kind_of_picture(make: Any, form: str, tmp_path: Path) -> None:
    """Alpha, palettes, depths and colours of any picture that Pillow opens make no difference to a code in it."""
    path = tmp_path / "a-name-without-a-suffix"
    make().save(path, form)
    luma = picture.luma_of(path)
    assert luma.dtype == np.uint8
    assert luma.ndim == 2
    assert [reading.payload for reading in read_picture(luma)] == [PAYLOAD]


def test_png_with_a_window_understated_is_read(tmp_path: Path) -> None:
    """Some encoders declare a smaller window than they use; browsers show such a file, and so it is read here."""
    plain = io.BytesIO()
    _drawn().convert("1").save(plain, "PNG")
    data, out, at = plain.getvalue(), bytearray(b"\x89PNG\r\n\x1a\n"), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            body = b"\x08\x1d" + body[2:]
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        at += 12 + length
    path = tmp_path / "odd.png"
    path.write_bytes(out)
    assert read_picture(picture.luma_of(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no picture that can be decoded"),
        (b"hello", "is no picture that can be decoded"),
        (None, "cannot be read: No such file or directory"),
        (b"cut", "cannot be read: it is damaged or cut short"),
        (b"large", f"has more than {picture.MOST_PIXELS:,} pixels"),
        (b"rather large", f"has more than {picture.MOST_PIXELS:,} pixels"),
    ],
)
def test_what_is_no_picture_is_said(content: bytes | None, said: str, tmp_path: Path) -> None:
    """One sentence that names the file; a picture that would fill the memory is not begun."""
    path = tmp_path / "x.png"
    if content == b"cut":
        whole = io.BytesIO()
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 300), np.uint8)).save(whole, "PNG")
        content = whole.getvalue()[:2000]
    if content in (b"large", b"rather large"):
        side_px = 20_000 if content == b"large" else 10_000
        header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
        content = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(picture.PictureError) as caught:
        picture.luma_of(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_whatever_a_decoder_raises_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's decoders raise what they like over a damaged file: the file is named, and nobody gets a traceback."""

    def broken(_path: Path) -> None:
        raise RuntimeError

    monkeypatch.setattr("kiosk.lens.picture.Image.open", broken)
    with pytest.raises(picture.PictureError, match=r"a\.png is no picture that can be decoded \(RuntimeError\)"):
        picture.luma_of(tmp_path / "a.png")
