"""A QR code with words beside it, on paper: a sheet of A4, a card of a bank card's size, or a picture of the code alone.

The code is drawn as shapes, so that it is as sharp as the printer, with the quiet zone that readers need. The words are
set in DejaVu Sans, because the fonts that every PDF reader has know no Vietnamese letters. No photograph is printed:
none is kept anywhere, and a station could not compare one. Units: `_mm` millimetres, `_pt` points.
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


class Heading(str):
    """Words in bold, with room above them."""

    __slots__ = ()


class Small(str):
    """Words in smaller letters, grey."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A value under what it is, so that it is found at a glance.

    Attributes:
        label: What it is, set small.
        value: The value, in bold.
    """

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are on the paper, all from its upper left corner.

    Attributes:
        width_mm: The paper.
        height_mm: The paper.
        margin_mm: White at the right edge and at the lower one.
        code_at_mm: Upper left corner of the code: of its dark part.
        code_mm: Side of the code's dark part, at most.
        quiet_mm: White around it, which a code of few modules is drawn smaller for.
        title_at_mm: Where the title begins.
        facts_at_mm: Where the facts begin; None if they stand among the other words.
        words_at_mm: Where the other words begin; None if right below the title.
        title_pt: Size of the title's letters.
        value_pt: Size of a fact's value.
        line_pt: Size of the other letters.
        small_pt: Size of the small ones.
    """

    width_mm: float
    height_mm: float
    margin_mm: float
    code_at_mm: tuple[float, float]
    code_mm: float
    quiet_mm: float
    title_at_mm: tuple[float, float]
    facts_at_mm: tuple[float, float] | None
    words_at_mm: tuple[float, float] | None
    title_pt: float
    value_pt: float
    line_pt: float
    small_pt: float


LAYOUTS = {
    # The title, the code and the words share one left edge; what belongs to the code stands beside it.
    "a4": Layout(210, 297, 15, (20, 42), 104, 12, (20, 20), (136, 41), (20, 158), 22, 12, 11, 9),
    "card": Layout(85.6, 54, 3, (5, 8), 38, 5, (48, 6), None, None, 9, 7, 6.5, 4.5),
}


def pdf(title: str, lines: Sequence[str | Fact], payload: str | bytes, size: Literal["a4", "card"] = "a4") -> bytes:
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
    facts = [line for line in lines if isinstance(line, Fact)] if layout.facts_at_mm else []
    with _page(layout) as page:
        _draw_code(page, layout, code)
        page.set_xy(*layout.title_at_mm)
        _write(page, layout, title, layout.title_pt, bold=True)
        if layout.facts_at_mm:
            page.set_xy(*layout.facts_at_mm)
            for fact in facts:
                _line(page, layout, fact)
        if layout.words_at_mm:
            page.set_xy(*layout.words_at_mm)
        for line in lines[:MOST_LINES]:
            if line not in facts:
                _line(page, layout, line)
        if len(lines) > MOST_LINES or page.get_y() > layout.height_mm - layout.margin_mm:
            raise PaperError(f"the words do not fit onto one page of size {size}")
        return bytes(page.output())


def _line(page: FPDF, layout: Layout, line: str | Fact) -> None:
    match line:
        case Fact(label, value):
            _write(page, layout, label, layout.small_pt, grey=True)
            _write(page, layout, value, layout.value_pt, bold=True)
            page.set_xy(page.get_x(), page.get_y() + layout.small_pt * 0.15)
        case Heading():
            page.set_xy(page.get_x(), page.get_y() + layout.line_pt * 0.3)
            _write(page, layout, line, layout.line_pt, bold=True)
        case Small():
            _write(page, layout, line, layout.small_pt, grey=True)
        case _:
            _write(page, layout, line, layout.line_pt)
            page.set_xy(page.get_x(), page.get_y() + layout.line_pt * 0.08)


def _write(page: FPDF, layout: Layout, text: str, points: float, *, bold: bool = False, grey: bool = False) -> None:
    """A paragraph from here to the right margin; the next one begins below its first letter."""
    page.set_font("sans", "B" if bold else "", points)
    page.set_text_color(90 if grey else 0)
    width_mm = layout.width_mm - layout.margin_mm - page.get_x()
    page.multi_cell(width_mm, points * 0.45, text or " ", align="L", new_x="LEFT", new_y="NEXT")


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
        raise ConfigError(f"printing needs fpdf2 ({error})", hint="run `make centre` in the checkout") from error
    page = FPDF(unit="mm", format=(layout.width_mm, layout.height_mm))
    page.set_auto_page_break(False)
    page.set_margin(0)
    page.c_margin = 0
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
    left_mm, top_mm = layout.code_at_mm
    module_mm = min(layout.code_mm / len(matrix), layout.quiet_mm / QUIET_MODULES)
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
