"""What each cue looks and sounds like over time, as a picture for the pages that people read: light above, tones below.

    python -m kiosk.service.pictures docs/pictures

The pages of all of them, lights.md and vi/den-va-am-thanh.md, go beside that folder. Made from `kiosk.cues`, so that a page cannot show another
colour than the station; the tests hold the files to it. A light is drawn as it is seen, in a dark housing: on white paper
white and dim white would be nothing. Behind it all is white, because a page may be dark.
Units: `_px` of the picture, which has a scale of its own; `_ms` milliseconds; `_hz` hertz.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from itertools import chain, cycle, groupby
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from kiosk.cues import CUES, DARK, DIM_WHITE, IN_VIETNAMESE, MEANINGS, Cue, CueName, Step, Words, provisioning_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kiosk.cues import Rgb

WIDTH_PX = 240
LIGHT_PX = 26
TONES_PX = 22
LONGEST_MS = 3000
"""What a picture shows of a cue; one that goes on is cut."""
PX_A_MS = (WIDTH_PX - 2) / LONGEST_MS
LOWEST_HZ, HIGHEST_HZ = 300, 2200
HOUSING = "#222"
DIMMEST = max(DIM_WHITE)
"""A light that is no brighter is drawn as a dim one."""

ENDED = "ended"
"""No cue: the light that `kiosk panel --ended` leaves."""
ENDED_IN_VIETNAMESE = Words(
    "đỏ, đứng yên", "", "chương trình quét vừa dừng, tự chạy lại sau ít giây; vẫn đỏ: xem su-co.md"
)
ENDED_SAYS = "red, standing still: the scanning process has ended; it is started again, unless `kiosk.yaml` is wrong"
TABLES = {
    "To whoever holds up a code": (
        CueName.RECORDED_IN,
        CueName.RECORDED_OUT,
        CueName.RECORDED_PASS,
        CueName.REPEAT,
        CueName.WRONG_CODE,
        CueName.DAMAGED,
        CueName.NOT_CURRENT,
        CueName.NOT_GENUINE,
        CueName.FAULT,
        CueName.WAIT,
    ),
    "While nobody is there": (
        CueName.READY,
        CueName.OFFLINE,
        CueName.FAULT_STANDING,
        ENDED,
        CueName.UNPROVISIONED,
    ),
    "To whoever sets it up or looks after it": (
        CueName.CODE_TAKEN,
        CueName.SET_UP,
        CueName.PROVISIONING_ERROR,
        CueName.IDENTIFY,
        CueName.SELF_TEST,
        CueName.AIM,
    ),
}


def cue_svg(cue: Cue, says: str, *, tones: bool = True) -> str:
    """The cue as an SVG: light from left to right in its housing, below it a stroke for each tone, higher for higher.

    Args:
        cue: What is drawn.
        says: Its title, for whoever cannot see it.
        tones: Whether the tones are drawn: 240 × 48 with them, 240 × 26 without.
    """
    height_px = LIGHT_PX + TONES_PX * tones
    steps = list(_seen_steps(cue))
    shapes = "".join((*_light(steps, standing=cue.standing), *(_tones(steps) if tones else ())))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height_px}" '
        f'viewBox="0 0 {WIDTH_PX} {height_px}" role="img">'
        f'<title>{escape(says)}</title><rect width="{WIDTH_PX}" height="{height_px}" fill="#fff"/>{shapes}</svg>\n'
    )


def _seen_steps(cue: Cue) -> Iterator[Step]:
    """As many whole steps as the picture has room for; what stands goes on to its edge, without its tones."""
    left_ms = LONGEST_MS
    again = cycle(replace(step, tone_hz=0) for step in cue.steps)
    for step in chain(cue.steps, again if cue.standing else ()):
        if step.duration_ms > left_ms:
            if cue.standing and left_ms:
                yield replace(step, duration_ms=left_ms)
            return
        yield step
        left_ms -= step.duration_ms


def _light(steps: list[Step], *, standing: bool) -> Iterator[str]:
    width_px = sum(step.duration_ms for step in steps) * PX_A_MS
    dashes = ' stroke-dasharray="5 3"' if standing else ""
    yield f'<rect x="1" y="1" width="{width_px:.1f}" height="{LIGHT_PX - 2}" fill="none" stroke="#777" stroke-width="2"{dashes}/>'
    yield _rect(1, 3, width_px, LIGHT_PX - 6, HOUSING)
    left_ms = 0
    # One bar a colour: between two there would be a hair of the housing.
    for rgb, same in groupby(steps, lambda step: step.rgb):
        duration_ms = sum(step.duration_ms for step in same)
        if rgb != DARK:
            yield _rect(1 + left_ms * PX_A_MS, 6, duration_ms * PX_A_MS, LIGHT_PX - 12, on_paper(rgb))
        left_ms += duration_ms


def _tones(steps: list[Step]) -> Iterator[str]:
    left_px = 1.0
    for step in steps:
        step_px = step.duration_ms * PX_A_MS
        if step.tone_hz:
            height_px = 4 + (TONES_PX - 6) * math.log(step.tone_hz / LOWEST_HZ) / math.log(HIGHEST_HZ / LOWEST_HZ)
            yield _rect(left_px, LIGHT_PX + TONES_PX - height_px, max(3.0, step_px - 1), height_px, "#444")
        left_px += step_px


def _rect(x_px: float, y_px: float, width_px: float, height_px: float, fill: str) -> str:
    return f'<rect x="{x_px:.1f}" y="{y_px:.1f}" width="{width_px:.1f}" height="{height_px:.1f}" fill="{fill}"/>'


def on_paper(rgb: Rgb) -> str:
    """The colour as ink, of any but darkness: as bright as ink can be, or a dim light's two thirds of that, which its housing sets off."""
    brightest = max(rgb)
    most = 255 if brightest > DIMMEST else 170
    return "#" + "".join(f"{channel * most // brightest:02x}" for channel in rgb)


def drawn() -> dict[str, Cue]:
    """What is drawn, by its name; of what is counted, an example."""
    red = Step(CUES[CueName.FAULT_STANDING].steps[0].rgb, 0, 2000)
    ended = Cue(CueName.FAULT_STANDING, (red,), standing=True)
    cues: dict[str, Cue] = {cue.name: cue for cue in (*CUES.values(), provisioning_error(2))}
    return {**cues, ENDED: ended}


def pictures() -> dict[str, str]:
    """File names and their contents."""
    return {f"cue-{name}.svg": cue_svg(cue, _says(name)) for name, cue in drawn().items()}


def page() -> str:
    """All lights and sounds as a page, in the order in which people meet them."""
    tables = "".join(
        f"\n## {title}\n\n| | name | light and sound | meaning |\n|---|---|---|---|\n{''.join(map(_row, names))}"
        for title, names in TABLES.items()
    )
    return f"""# Lights and sounds

Made by `make docs` from `kiosk/cues.py`. Above the light over time in its dark housing, three seconds at most; below the tones, higher for higher. A dashed
frame goes on until another state begins; it sounds once, when it begins. `kiosk panel` plays them, `kiosk panel recorded-in` one of them; those that are counted or measured
(provisioning-error, aim) and ended are no cues that it plays. On a laptop without a configuration it writes a line for each into the terminal and rings
its bell for each beep, in the beeps' rhythm but without their tones; `--terminal` does so beside a configuration.
Green, and only green or turquoise, is a receipt: the entry is on the disk. A dark panel has no power, or its board starts.
{tables}
Which number a provisioning error counts to, and what to do then: [provisioning.md](provisioning.md#at-the-door).
"""


def _says(name: str) -> str:
    return ENDED_SAYS if name == ENDED else MEANINGS[CueName(name)]


def _row(name: str) -> str:
    seen, _, meaning = _says(name).partition(": ")
    picture = f"![](pictures/cue-{name}.svg)" if name in drawn() else ""
    return f"| {picture} | {name} | {seen} | {meaning} |\n"


def page_in_vietnamese() -> str:
    """The same in one table, for technicians; its rows are also those of their sheet."""
    rows = "".join(_row_in_vietnamese(name) for names in TABLES.values() for name in names)
    return f"""# Đèn và âm thanh

| | đèn | âm thanh | nghĩa |
|---|---|---|---|
{rows}
Khung nét đứt: đèn giữ như vậy cho đến khi trạng thái đổi; tiếng chỉ kêu một lần, lúc bắt đầu. Đèn tắt hẳn: không có điện, hoặc bo mạch đang khởi động.

Đèn xanh lá hoặc xanh ngọc, không kèm màu khác, là biên nhận: chỉ sáng **sau khi** lượt vào ra đã nằm an toàn trên thẻ nhớ.

Nghe thử: `kiosk panel`, hoặc một tín hiệu: `kiosk panel recorded-in`. Trên máy tính không có tệp cấu hình, lệnh này in mỗi tín hiệu một dòng và reo chuông của cửa sổ lệnh
theo nhịp bíp; có tệp cấu hình thì thêm `--terminal`. Âm lượng và giờ yên tĩnh: mục `sound` trong tệp cấu hình.
Trang này do `make docs` viết ra từ `kiosk/cues.py`.
"""


def _row_in_vietnamese(name: str) -> str:
    words = ENDED_IN_VIETNAMESE if name == ENDED else IN_VIETNAMESE[CueName(name)]
    picture = f"![](../pictures/cue-{name}.svg)" if name in drawn() else ""
    meaning = re.sub(r"([a-z-]+\.md)", r"[\1](\1)", words.meaning)
    return f"| {picture} | {words.light} | {words.sound} | {meaning} |\n"


def main(folder: str) -> None:
    """Write them all, and the pages beside their folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in pictures().items():
        (Path(folder) / name).write_text(content, "utf-8")
    (Path(folder).parent / "lights.md").write_text(page(), "utf-8")
    (Path(folder).parent / "vi" / "den-va-am-thanh.md").write_text(page_in_vietnamese(), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
