"""The printed sheets: one of A4 each, in Vietnamese, with the office's own words."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pypdfium2
import pytest

from kiosk.cues import IN_VIETNAMESE, MEANINGS, CueName
from kiosk.service.pictures import TABLES

ROOT = Path(__file__).resolve().parents[2]


def _words(path: Path) -> list[str]:
    """The text of each page."""
    document = pypdfium2.PdfDocument(path)
    try:
        return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]
    finally:
        document.close()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sheets of an office that deletes after 30 days."""
    folder = tmp_path_factory.mktemp("sheets")
    words = ["--office", "UBND phường Phong An <1>", "--contact", "0234 000 000", "--keep-days", "30"]
    argv = [sys.executable, "docs/sheets/make.py", str(folder), *words]
    made = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    assert not re.search("cannot|failed|ignored|invalid", made.stderr.lower()), made.stderr
    return folder


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """docs/sheets/make.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("sheets_make", ROOT / "docs" / "sheets" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_sheets_are_one_of_a4_each_and_say_what_matters(printed: Path) -> None:
    """Door and technician get one sheet of A4, the technician's with two sides; nothing is left to fill in."""
    (door,) = _words(printed / "door.pdf")
    assert "UBND phường Phong An <1>" in door
    assert "0234 000 000" in door and "30 ngày" in door  # noqa: PT018
    assert "không lưu, không gửi hình ảnh" in door

    front, back = _words(printed / "technician.pdf")
    assert "vừa ghi nhận rồi" in front
    assert "mã không do trung tâm này ký" in back
    assert "mã thoát" in back
    assert "chưa thu hồi" in back and "central fleet replace" in back  # noqa: PT018
    assert "{" not in front + back


@pytest.mark.slow
def test_door_says_how_each_answer_looks_and_sounds(printed: Path) -> None:
    """Every answer to whoever holds up a code is on the door's sheet, in the words of `kiosk.cues` and in both languages."""
    (door,) = _words(printed / "door.pdf")
    for name in set(map(CueName, TABLES["To whoever holds up a code"])) - {CueName.RECORDED_PASS}:
        light, sound, _ = IN_VIETNAMESE[name]
        assert f"{light[0].upper()}{light[1:]}{f'; {sound}' if sound else ''}:" in door
        assert MEANINGS[name].partition(": ")[0] in door


@pytest.mark.slow
def test_door_promises_no_days_that_nobody_gave(make: ModuleType) -> None:
    """Without `--keep-days` the sheet names no number of days, and whom to ask; no days and none at all are refused."""
    silent, promising = (make.door("X", "0234", days) for days in (None, 30))
    for word in (" ngày", " days", "xóa.", "Deleted"):
        assert word not in silent
    assert "giữ bao lâu" in silent and "How long it is kept" in silent  # noqa: PT018
    assert "Giữ 30 ngày rồi xóa" in promising and "Deleted after 30 days" in promising  # noqa: PT018
    for days in ("0", "-1", "soon"):
        with pytest.raises(SystemExit):
            make.main(["unused", "--keep-days", days])


@pytest.mark.slow
def test_handbook_refers_to_its_own_pages_as_paper_can(printed: Path) -> None:
    """Each chapter is listed with the page it is on; no link is left as a file name of the handbook; other files have their full names."""
    pages = _words(printed / "handbook.pdf")
    whole = " ".join(pages)
    assert set(re.findall(r"[\w/.-]+\.md", whole)) <= {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    titles = [page.read_text("utf-8").split("\n")[0].lstrip("# ") for page in (ROOT / "docs" / "vi").glob("[a-z]*.md")]
    assert titles
    referred = re.findall(r"“([^”]+)” \(trang (\d+)\)", whole)
    referred += [
        (title, number) for title in titles for number in re.findall(rf"{re.escape(title)} · trang (\d+)", pages[0])
    ]
    assert {title for title, _ in referred} == set(titles)
    for title, number in referred:
        assert title in pages[int(number) - 1]


@pytest.mark.slow
def test_handbook_leaves_nothing_alone_on_a_page(printed: Path) -> None:
    """No page but the last has less than half of its height printed, as a page with one row or one line of code would."""
    document = pypdfium2.PdfDocument(printed / "handbook.pdf")
    try:
        assert len(document) > 5
        for number in range(len(document) - 1):
            luma = document[number].render(scale=0.5, grayscale=True).to_numpy().squeeze()
            height_px = luma.shape[0]
            printed_rows = np.flatnonzero((luma[: round(height_px * 0.94)] < 200).any(axis=1))
            assert printed_rows[-1] > height_px * 0.6, f"page {number + 1} ends early"
    finally:
        document.close()
