"""The sheets that are printed: one for the door, one for the technician, and the technician's handbook, as PDF.

    python docs/sheets/make.py build/sheets --office "UBND phường Phong An" --contact "0234 000 000"

What the sheets say of lights and sounds is taken from `kiosk.cues`, the rest from docs/vi/, so that there is one place for each sentence.
Paper has no links: one to a page of the handbook becomes its title and the number of its sheet, one to another file its name.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from markdown_it import MarkdownIt
from weasyprint import HTML

from kiosk.cues import CUES, IN_VIETNAMESE, MEANINGS, CueName
from kiosk.service.pictures import cue_svg

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
HANDBOOK = HERE.parent / "vi"
STYLE = HERE / "sheet.css"
_LINK = re.compile(r'<a href="([^"#]*)(?:#([^"]*))?">(.*?)</a>', re.DOTALL)

ANSWERS = {
    CueName.RECORDED_IN: ("đã ghi nhận, mời vào", "recorded, come in"),
    CueName.RECORDED_OUT: ("đã ghi nhận lượt ra", "recorded, goodbye"),
    CueName.REPEAT: ("đã ghi nhận rồi, xin đi tiếp", "already recorded, walk on"),
    CueName.DAMAGED: ("xin giơ lại, gần hơn", "not read whole, once more and nearer"),
    CueName.WRONG_CODE: ("mã khác loại, xin đưa thẻ căn cước", "another kind of code, show your card"),
    CueName.NOT_CURRENT: (
        "mã hết hạn hoặc chưa có hiệu lực, xin đưa giấy tờ khác",
        "expired or not valid yet, show another one",
    ),
    CueName.NOT_GENUINE: ("mã không thật hoặc đã thu hồi, xin gặp nhân viên", "not genuine or revoked, see the staff"),
    CueName.FAULT: ("chưa ghi nhận, xin gọi nhân viên", "not recorded, call the staff"),
    CueName.WAIT: ("đang ghi, xin chờ đèn trả lời", "being recorded, wait for the answer"),
}
"""What a visitor is told of each answer. At a door for both ways the sound differs from that of coming in, the light does not."""


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
    parser.add_argument(
        "--keep-days",
        type=_days,
        metavar="N",
        help="promise that entries are deleted after so many days; it is the office that has to do it (default: the sheet promises nothing)",
    )
    arguments = parser.parse_args(argv)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sheets = {
        "door": door(arguments.office, arguments.contact, arguments.keep_days),
        "technician": technician(),
        "handbook": handbook(),
    }
    for name, body in sheets.items():
        path = arguments.folder / f"{name}.pdf"
        HTML(string=body, base_url=str(HERE)).write_pdf(path, stylesheets=[str(STYLE)])
        print(path)
    return 0


def door(office: str, contact: str, keep_days: int | None) -> str:
    """The door's sheet as HTML, with the office's own words in it.

    Args:
        office: Who records.
        contact: Whom visitors may ask.
        keep_days: After how many days the office deletes; None if it promises none.
    """
    kept = (
        "Muốn biết giữ bao lâu, muốn xem, sửa, xóa dữ liệu, xin hỏi",
        "How long it is kept, access, correction, erasure",
    )
    if keep_days is not None:
        kept = (
            f"Giữ {keep_days} ngày rồi xóa. Hỏi, xem, sửa, xóa dữ liệu",
            f"Deleted after {keep_days} days. Questions, access, correction, erasure",
        )
    words = {"office": office, "contact": contact, "kept": kept[0], "kept_in_english": kept[1]}
    page = (HERE / "door.html").read_text("utf-8").replace("{answers}", "".join(map(_answer, ANSWERS)))
    for name, word in words.items():
        page = page.replace(f"{{{name}}}", html.escape(word))
    return page


def _answer(name: CueName) -> str:
    """A row: the light without its tones, which no visitor could read; the words say how it sounds."""
    light, sound, _ = IN_VIETNAMESE[name]
    said, in_english = ANSWERS[name]
    seen = MEANINGS[name].partition(": ")[0]
    picture = quote(cue_svg(CUES[name], seen, tones=False))
    return (
        f'<tr><td><img src="data:image/svg+xml,{picture}" alt=""></td>'
        f"<td><b>{light[0].upper()}{light[1:]}{f'; {sound}' if sound else ''}:</b> {said}<br><small>{seen} – {in_english}</small></td></tr>"
    )


def technician() -> str:
    """The technician's sheet as HTML, two sides."""
    page = (HERE / "technician.html").read_text("utf-8")
    for name, words in IN_VIETNAMESE.items():
        page = page.replace(f"{{light:{name}}}", words.light).replace(f"{{sound:{name}}}", words.sound)
    page = page.replace("{cues}", table("den-va-am-thanh.md", 0))
    page = page.replace("{numbers}", table("cap-phat.md", 0))
    return page.replace("{exits}", table("su-co.md", 0))


def table(page: str, number: int) -> str:
    """The rows of one of the tables of a page of the handbook, as HTML."""
    rendered = _html(HANDBOOK / page, _to_the_handbook)
    found = re.findall(r"<table>(.*?)</table>", rendered, re.DOTALL)
    return str(found[number])


def handbook() -> str:
    """A list of contents, then all pages of docs/vi/ in the order of its README, as HTML."""
    index = _html(
        HANDBOOK / "README.md",
        lambda name, _: f'<a class="entry" href="#{name.removesuffix(".md")}">{_title(name)}</a>',
    )
    contents = re.search(r"<ul>.*?</ul>", index, re.DOTALL)
    names = re.findall(r'class="entry" href="#([^"]+)"', contents[0]) if contents else []
    chapters = "".join(
        f'<section id="{name}">{_html(HANDBOOK / f"{name}.md", _to_its_sheet)}</section>' for name in names
    )
    return (
        f'<body class="handbook"><h1 class="front">{_title("README.md")}</h1>{contents[0] if contents else ""}'
        "<p>Tên bắt đầu bằng <code>docs/</code> là trang tiếng Anh trong bộ mã nguồn của kiosk.</p>"
        f"{chapters}</body>"
    )


def _html(page: Path, link: Callable[[str, str], str]) -> str:
    """One page; pictures are found from here.

    Args:
        page: In docs/vi/.
        link: What stands on paper for a link to another page of the handbook, from its file name and the link's words.
    """
    rendered = MarkdownIt("commonmark").enable("table").render(page.read_text("utf-8"))
    rendered = rendered.replace('src="../', f'src="{HERE.parent.as_uri()}/')
    return _LINK.sub(partial(_on_paper, link), rendered)


def _on_paper(link: Callable[[str, str], str], found: re.Match[str]) -> str:
    target, heading, words = found.groups()
    if "/" not in target:
        return link(target, words)
    path = (HANDBOOK / target).resolve()
    name = f'<code class="name">docs/{path.relative_to(HERE.parent)}</code>'
    return f"{name}, {_heading(path, heading)}" if heading else name


def _heading(page: Path, anchor: str) -> str:
    """The heading that this anchor names, in quotation marks."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    by_anchor = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-"): each for each in headings}
    return f"“{by_anchor[anchor]}”"


def _to_its_sheet(name: str, _: str) -> str:
    return f'<a class="sheet" href="#{name.removesuffix(".md")}">“{_title(name)}”</a>'


def _to_the_handbook(name: str, _: str) -> str:
    return f"“{_title(name)}” trong sổ tay"


def _title(name: str) -> str:
    return (HANDBOOK / name).read_text("utf-8").split("\n", 1)[0].removeprefix("# ")


def _days(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError("a whole number of days, 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
