"""A QR code with words beside it, on paper: a sheet of A4, a card of a bank card's size, or a picture of the code alone.

The code is drawn as shapes, so that it is as sharp as the printer, with the quiet zone that readers need. The words are
set in DejaVu Sans, because the fonts that every PDF reader has know no Vietnamese letters. Units: `_mm` millimetres.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import segno

from kiosk.errors import ConfigError, KioskError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fpdf import FPDF

FONTS = Path("/usr/share/fonts/truetype/dejavu")
QUIET_MODULES = 4
MOST_LINES = 40


class PaperError(KioskError, ValueError):
    """What shall be printed does not fit."""

    hint = "shorten it"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are on the paper, all from its upper left corner.

    Attributes:
        width_mm: The paper.
        height_mm: The paper.
        code_at_mm: Upper left corner of the code, its quiet zone included.
        code_mm: Side of the code, its quiet zone included.
        words_at_mm: Where the words begin.
        title_pt: Size of the title's letters.
        line_pt: Size of the other letters.
    """

    width_mm: float
    height_mm: float
    code_at_mm: tuple[float, float]
    code_mm: float
    words_at_mm: tuple[float, float]
    title_pt: float
    line_pt: float


LAYOUTS = {
    "a4": Layout(210, 297, (45, 20), 120, (20, 150), 20, 12),
    "card": Layout(85.6, 54, (1, 4), 46, (48, 6), 9, 6.5),
}


def pdf(title: str, lines: Sequence[str], payload: str | bytes, size: Literal["a4", "card"] = "a4") -> bytes:
    """One page with the code and the words.

    Args:
        title: The first words, set larger.
        lines: Further words, one paragraph each, at most 40; an empty one leaves a gap.
        payload: What the code says.
        size: A sheet of A4, or a card of 85.6 × 54 mm.

    Raises:
        ConfigError: fpdf2 or the font is not installed.
        PaperError: The words do not fit onto the page, or the payload into a code.
    """
    layout = LAYOUTS[size]
    code = _code(payload)
    with _page(layout) as page:
        _draw_code(page, layout, code)
        left_mm, top_mm = layout.words_at_mm
        page.set_xy(left_mm, top_mm)
        for number, text in enumerate((title, *lines[:MOST_LINES])):
            points = layout.line_pt if number else layout.title_pt
            page.set_font("sans", "" if number else "B", points)
            page.set_x(left_mm)
            page.multi_cell(layout.width_mm - left_mm - 3, points * 0.45, text or " ", align="L", new_y="NEXT")
        if len(lines) > MOST_LINES or page.get_y() > layout.height_mm - 2:
            raise PaperError(f"the words do not fit onto one page of size {size}")
        return bytes(page.output())


def png(payload: str | bytes, scale: int = 8) -> bytes:
    """A picture of the code alone, black on white, with its quiet zone.

    Args:
        payload: What the code says.
        scale: Pixels a module.

    Raises:
        PaperError: The payload does not fit into a code.
    """
    out = io.BytesIO()
    _code(payload).save(out, kind="png", scale=scale, border=QUIET_MODULES)
    return out.getvalue()


def _code(payload: str | bytes) -> segno.QRCode:
    """The smallest code that survives 15 % of damage."""
    try:
        return segno.make_qr(payload, error="m", boost_error=False)
    except segno.DataOverflowError:
        raise PaperError(f"{len(payload)} characters do not fit into a QR code") from None


@contextmanager
def _page(layout: Layout) -> Iterator[FPDF]:
    """An empty page; its font files are closed again, whether it is printed or not."""
    try:
        # An extra that collecting does not need.
        from fpdf import FPDF  # noqa: PLC0415
        from fpdf.fonts import TTFFont  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"printing needs fpdf2 ({error})", hint="pip install 'kiosk[centre]'") from error
    page = FPDF(unit="mm", format=(layout.width_mm, layout.height_mm))
    page.set_auto_page_break(False)
    page.set_margin(0)
    try:
        try:
            page.add_font("sans", "", FONTS / "DejaVuSans.ttf")
            page.add_font("sans", "B", FONTS / "DejaVuSans-Bold.ttf")
        except FileNotFoundError as error:
            hint = "sudo apt-get install fonts-dejavu-core"
            raise ConfigError(f"printing needs the font {error.filename or FONTS}", hint=hint) from error
        page.add_page()
        yield page
    finally:
        for font in page.fonts.values():
            if isinstance(font, TTFFont):
                font.close()


def _draw_code(page: FPDF, layout: Layout, code: segno.QRCode) -> None:
    """One rectangle a run of dark modules in a row."""
    matrix = [bytes(row) for row in code.matrix]
    module_mm = layout.code_mm / (len(matrix) + 2 * QUIET_MODULES)
    left_mm, top_mm = (edge + QUIET_MODULES * module_mm for edge in layout.code_at_mm)
    page.set_fill_color(0)
    for y, row in enumerate(matrix):
        x = 0
        while (start := row.find(1, x)) >= 0:
            end = row.find(0, start)
            x = end if end >= 0 else len(row)
            # A hair higher than a module, so that no reader shows white lines between the rows.
            page.rect(
                left_mm + start * module_mm,
                top_mm + y * module_mm,
                (x - start) * module_mm,
                module_mm * 1.01,
                style="F",
            )
