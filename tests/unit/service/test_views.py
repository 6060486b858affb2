"""What each camera sees: geometry, and the pages hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiosk.lens import sensors
from kiosk.service import views

ROOT = Path(__file__).resolve().parents[3]
NAMED = {view.name: view for view in views.VIEWS}
CHIP_CARD_MM = views.CODES[0][0] / views.CODES[0][1]


@pytest.mark.parametrize(("path", "language"), [("docs/aiming.md", "en"), ("docs/vi/ngam-camera.md", "vi")])
def test_pages_have_the_table_that_is_made(path: str, language: str) -> None:
    """Both pages are as `make docs` leaves them, and the table has a line for each camera."""
    text = (ROOT / path).read_text("utf-8")
    assert views.page(text, language) == text, "run `make docs`"
    assert views.table(language) in text
    assert all(f"| {name} |" in text for name in NAMED)


def test_every_sensor_of_the_table_of_modes_has_a_view() -> None:
    """A module that the kiosk knows how to read is on the page, with a mode that its sensor has."""
    assert {view.array_px for view in views.VIEWS if view.array_px} == set(sensors.MODES) == set(views.DEFAULT_MODES)


@pytest.mark.parametrize(
    ("name", "share", "at_mm", "width_mm"),
    [
        ("Camera Module 1", 0.74, 1000, 747), ("Camera Module 2", 0.585, 1000, 706), ("Camera Module 3", 2 / 3, 150, 130),
        ("Camera Module 3 Wide", 2 / 3, 150, 247), ("HQ Camera, 16 mm", 0.947, 150, 56), ("USB, 78° (Logitech C920)", 1.0, 1000, 1412),
    ],
)  # fmt: skip
def test_width_in_view(name: str, share: float, at_mm: float, width_mm: float) -> None:
    """By the maker's field of view and what is known of the mode; an HQ Camera with 16 mm was measured to see some 60 mm of its whole width at 150."""
    view = NAMED[name]
    assert view.share() == pytest.approx(share, abs=0.002)
    assert view.width_mm(at_mm) == pytest.approx(width_mm, abs=0.5)
    assert view.width_mm(2 * at_mm) == pytest.approx(2 * view.width_mm(at_mm))


@pytest.mark.parametrize("path", ["docs/mounting.md", "docs/vi/gan-tram.md"])
def test_page_on_mounting_names_the_distances_of_the_usual_camera(path: str) -> None:
    """How far a Camera Module 3 reads an 11 mm code, as it is set at first and with a region."""
    view = NAMED["Camera Module 3"]
    own_px = view.own_module_px(CHIP_CARD_MM, 1000)
    assert own_px is not None
    text = (ROOT / path).read_text("utf-8")
    for px_at_1000 in (view.module_px(CHIP_CARD_MM, 1000), own_px):
        assert f"{int(px_at_1000 * 1000 / views.LEAST_PX / 10)} cm" in text
