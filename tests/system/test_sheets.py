"""The printed sheets: one of A4 each, in Vietnamese, with the office's own words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pypdfium2

ROOT = Path(__file__).resolve().parents[2]


def _words(path: Path) -> list[str]:
    """The text of each page."""
    document = pypdfium2.PdfDocument(path)
    try:
        return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]
    finally:
        document.close()


def test_sheets_are_one_of_a4_each_and_say_what_matters(tmp_path: Path) -> None:
    """Door and technician get one sheet of A4, the technician's with two sides; the handbook has every page of docs/vi/; nothing is left to fill in."""
    words = ["--office", "UBND phường Phong An <1>", "--contact", "0234 000 000", "--days", "30"]
    argv = [sys.executable, "docs/sheets/make.py", str(tmp_path), *words]
    made = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    assert "cannot" not in made.stderr.lower() and "failed" not in made.stderr.lower(), made.stderr  # noqa: PT018

    (door,) = _words(tmp_path / "door.pdf")
    assert "UBND phường Phong An <1>" in door
    assert "0234 000 000" in door and "30 ngày" in door  # noqa: PT018
    assert "không lưu, không gửi hình ảnh" in door

    front, back = _words(tmp_path / "technician.pdf")
    assert "vừa ghi nhận rồi" in front
    assert "mã không do trung tâm này ký" in back
    assert "mã thoát" in back
    assert "chưa thu hồi" in back and "central fleet replace" in back  # noqa: PT018
    assert "{" not in front + back

    handbook = _words(tmp_path / "handbook.pdf")
    titles = [page.read_text("utf-8").split("\n")[0].lstrip("# ") for page in (ROOT / "docs" / "vi").glob("[a-z]*.md")]
    assert titles
    assert [title for title in titles if not any(title in page for page in handbook)] == []
