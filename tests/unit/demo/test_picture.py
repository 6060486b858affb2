"""The picture of the demo that the pages show is what the demo looks like today."""

from __future__ import annotations

import html
import re
from pathlib import Path

from kiosk.demo import picture

FILE = Path(__file__).parents[3] / "docs" / "pictures" / "demo.svg"


def _lines(svg: str) -> dict[str, str]:
    """What is written, line by line. Greys are left out: another processor may round one of them differently."""
    lines: dict[str, str] = {}
    for top, words in re.findall(r'<text class="demo-r\d+" x="[^"]*" y="([^"]*)"[^>]*>([^<]*)</text>', svg):
        lines[top] = lines.get(top, "") + html.unescape(words)
    return lines


def test_picture_is_up_to_date() -> None:
    """docs/pictures/demo.svg is what `make docs` makes of the demo: the same words in the same places."""
    made = picture.picture(picture.played())
    there = FILE.read_text("utf-8")
    assert _lines(made) == _lines(there), "run `make docs`"
    assert any("recorded-pass" in words for words in _lines(there).values())
    squares = [len(re.findall(r"M\d+ \d+h", svg)) for svg in (made, there)]
    assert min(squares) > 300
    assert abs(squares[0] - squares[1]) < 0.02 * squares[1], "run `make docs`"


def test_picture_needs_nothing_from_elsewhere() -> None:
    """No font, no script, no picture of another server; and a ground of its own for dark pages and light ones."""
    svg = FILE.read_text("utf-8")
    assert set(re.findall(r"https?://[^\s\"')]+", svg)) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert re.search(r'<rect fill="#[0-9a-f]{6}"[^>]*width="1\d{3}"', svg)
