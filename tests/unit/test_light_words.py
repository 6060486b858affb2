"""What people read about lights and sounds is what the panel does: in the tables of words, and wherever a page or a sheet speaks of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kiosk.cues import (
    BLUE,
    CUES,
    DARK,
    DIM_WHITE,
    GREEN,
    IN_VIETNAMESE,
    MAGENTA,
    MEANINGS,
    RED,
    TURQUOISE,
    WHITE,
    YELLOW,
    Cue,
    CueName,
    provisioning_error,
)

if TYPE_CHECKING:
    from kiosk.cues import Rgb

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = {
    "dim white": DIM_WHITE, "white": WHITE, "green": GREEN, "turquoise": TURQUOISE, "yellow": YELLOW, "red": RED, "magenta": MAGENTA, "blue": BLUE,
}  # fmt: skip
VIETNAMESE = {
    "trắng mờ": DIM_WHITE, "trắng": WHITE, "xanh lá": GREEN, "xanh ngọc": TURQUOISE, "vàng": YELLOW, "đỏ": RED, "hồng tím": MAGENTA,
    "xanh dương": BLUE,
}  # fmt: skip
COUNTS = {
    "one": 1, "two": 2, "twice": 2, "three": 3, "four": 4, "five": 5, "một": 1, "hai": 2, "ba": 3, "bốn": 4, "năm": 5,
}  # fmt: skip
SHOWN = {**CUES, CueName.PROVISIONING_ERROR: provisioning_error(2)}
"""All but the one that is measured: a camera's quality is its brightness."""


def _colours(text: str, words: dict[str, Rgb]) -> set[Rgb]:
    """Those that a text names; the longer word goes first, so that dim white is no white."""
    return {words[found] for found in re.findall(rf"\b(?:{'|'.join(words)})\b", text.lower())}


def _shines(cue: Cue) -> set[Rgb]:
    return {step.rgb for step in cue.steps} - {DARK}


def _tones(cue: Cue) -> int:
    return sum(step.tone_hz > 0 for step in cue.steps)


@pytest.mark.parametrize("name", SHOWN)
def test_words_name_the_colours_that_shine(name: CueName) -> None:
    """Every colour of a cue, and no other, is in its words, in both languages."""
    shines = _shines(SHOWN[name])
    assert _colours(MEANINGS[name].partition(": ")[0], ENGLISH) == shines
    assert _colours(IN_VIETNAMESE[name].light, VIETNAMESE) == shines


@pytest.mark.parametrize("name", SHOWN)
def test_words_count_what_is_counted(name: CueName) -> None:
    """Where words say how many beeps or flashes, there are so many; a tone that rises is one."""
    cue, seen, words = SHOWN[name], MEANINGS[name].partition(": ")[0], IN_VIETNAMESE[name]
    beeps = [
        *re.findall(r"(\w+)(?: \w+){0,2} (?:beeps?|ticks|tones?)\b", seen),
        *re.findall(r"(\w+) tiếng", words.sound),
    ]
    counted = [COUNTS[word] for word in beeps if word in COUNTS]
    if not cue.standing and "rising" not in seen and name is not CueName.PROVISIONING_ERROR:
        assert set(counted) <= {_tones(cue)}
        assert len(counted) == 2 or name is CueName.IDENTIFY
    dark = sum(step.rgb == DARK for step in cue.steps)
    flashes = [*re.findall(r"flashing (\w+)(?: times)?", seen), *re.findall(r"chớp (\w+) lần", words.light)]
    assert {COUNTS[word] for word in flashes if word in COUNTS} <= {dark}


PLACES = [
    ("docs/provisioning.md", "| waits for its code", (CueName.UNPROVISIONED,)),
    ("docs/provisioning.md", "| the code is taken", (CueName.CODE_TAKEN,)),
    ("docs/provisioning.md", "| set up; then", (CueName.SET_UP, CueName.READY)),
    ("docs/provisioning.md", "| not set up, by this", (CueName.PROVISIONING_ERROR,)),
    ("docs/vi/cap-phat.md", "trạm chờ mã.", (CueName.UNPROVISIONED,)),
    ("docs/vi/cap-phat.md", "trạm đã đọc mã", (CueName.CODE_TAKEN,)),
    ("docs/vi/cap-phat.md", "trong vòng 60 giây", (CueName.SET_UP, CueName.READY)),
    ("docs/vi/nap-the.md", "| chờ mã,", (CueName.UNPROVISIONED,)),
    ("docs/vi/nap-the.md", "| đã thiết lập xong", (CueName.SET_UP,)),
    ("docs/vi/nap-the.md", "| sẵn sàng;", (CueName.READY, CueName.OFFLINE)),
    ("docs/vi/nap-the.md", "| mã không dùng được", (CueName.PROVISIONING_ERROR,)),
    ("docs/vi/su-co.md", "ba tiếng bíp hồng tím", (CueName.DAMAGED,)),
    ("docs/vi/su-co.md", "| mọi thứ đều tốt", (CueName.RECORDED_PASS,)),
    ("docs/vi/su-co.md", "| chạy được, nhưng", (CueName.REPEAT,)),
    ("docs/vi/su-co.md", "| có bộ phận hỏng", (CueName.FAULT,)),
    ("docs/vi/su-co.md", "| lỗi nhắc tới `authority`", (CueName.FAULT_STANDING,)),
    ("docs/vi/the-dien-thoai.md", "| giờ của điện thoại sai", (CueName.NOT_GENUINE,)),
    ("docs/vi/the-dien-thoai.md", "| thẻ hết hạn", (CueName.NOT_CURRENT,)),
]


@pytest.mark.parametrize(("page", "words", "names"), PLACES, ids=lambda value: value if isinstance(value, str) else "")
def test_pages_name_the_colours_that_shine(page: str, words: str, names: tuple[CueName, ...]) -> None:
    """A line that says what a light means names all its colours, and no other."""
    (line,) = [line for line in (ROOT / page).read_text("utf-8").splitlines() if words in line]
    vocabulary = VIETNAMESE if "/vi/" in page else ENGLISH
    assert _colours(line, vocabulary) == set().union(*(_shines(SHOWN[name]) for name in names))


def test_no_light_is_only_xanh() -> None:
    """The word is green, turquoise and blue: a page, a sheet or a program that says it of a light says which."""
    places = [ROOT / "docs" / "vi", ROOT / "docs" / "sheets", ROOT / "kiosk", ROOT / "central"]
    files = [
        path for place in places for path in place.rglob("*") if path.suffix in {".md", ".html", ".js", ".py", ".po"}
    ]
    assert len(files) > 100
    found = [
        f"{path.name}: {line.strip()}"
        for path in files
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\b[Xx]anh\b(?! (?:lá|ngọc|dương)\b)", line)
    ]
    assert not found
