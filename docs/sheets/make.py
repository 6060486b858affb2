"""The sheets that are printed: one for the door, one for the technician, and the technician's handbook, as PDF.

    python docs/sheets/make.py build/sheets --office "UBND phường Phong An" --contact "0234 000 000"

What the sheets say of lights, sounds and exit codes is taken from docs/vi/, so that there is one place for each sentence.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from weasyprint import HTML

HERE = Path(__file__).resolve().parent
HANDBOOK = HERE.parent / "vi"
STYLE = HERE / "sheet.css"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+\.md)(?:#[^)]*)?\)")


def main(argv: list[str] | None = None) -> int:
    """Write the three files.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Print the sheets as PDF.")
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--office", default="(tên cơ quan)", help="who records, for the door's sheet")
    parser.add_argument("--contact", default="(điện thoại, thư điện tử)", help="whom visitors may ask")
    parser.add_argument("--days", type=int, default=21, help="days until the centre deletes (default: 21)")
    arguments = parser.parse_args(argv)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    words = {"office": arguments.office, "contact": arguments.contact, "days": str(arguments.days)}
    for name, body in {"door": door(words), "technician": technician(), "handbook": handbook()}.items():
        path = arguments.folder / f"{name}.pdf"
        HTML(string=body, base_url=str(HERE)).write_pdf(path, stylesheets=[str(STYLE)])
        print(path)
    return 0


def door(words: dict[str, str]) -> str:
    """The door's sheet as HTML, with the office's own words in it."""
    page = (HERE / "door.html").read_text("utf-8")
    for name, word in words.items():
        page = page.replace(f"{{{name}}}", html.escape(word))
    return page


def technician() -> str:
    """The technician's sheet as HTML, two sides."""
    page = (HERE / "technician.html").read_text("utf-8")
    page = page.replace("{cues}", table("den-va-am-thanh.md", 0))
    page = page.replace("{numbers}", table("cap-phat.md", 0))
    return page.replace("{exits}", table("su-co.md", 0))


def table(page: str, number: int) -> str:
    """The rows of one of the tables of a page of the handbook, as HTML."""
    rendered = _html(HANDBOOK / page)
    found = re.findall(r"<table>(.*?)</table>", rendered, re.DOTALL)
    return str(found[number])


def handbook() -> str:
    """All pages of docs/vi/ in the order of its README, as HTML."""
    index = (HANDBOOK / "README.md").read_text("utf-8")
    pages = [HANDBOOK / name for _, name in _LINK.findall(index)]
    sections = "".join(f"<section>{_html(page)}</section>" for page in pages)
    return f'<body class="handbook">{sections}</body>'


def _html(page: Path) -> str:
    """One page; pictures are found from here, and links lead nowhere on paper."""
    text = _LINK.sub(r"\1", page.read_text("utf-8"))
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    return rendered.replace("../pictures/", f"{HERE.parent.as_uri()}/pictures/")


if __name__ == "__main__":
    sys.exit(main())
