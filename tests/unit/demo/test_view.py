"""What one sees of the demo: words first and in their places at any size, the picture in what is left, a light that is a word."""

from __future__ import annotations

import io
import logging
import re
from collections import deque
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from kiosk.cues import CUES
from kiosk.demo.view import LEDGER_WIDTH, Scene, View, drawn, logged_to
from kiosk.lens.frame import Frame
from kiosk.model import Reading
from kiosk.sim.terminal import PanelState

READY = PanelState((36, 36, 36), 0, CUES["ready"].name)  # type: ignore[index]
WORDS = ("kiosk demo", "light", "answer", "people", "centre", "pids", "time")


def _scene(**more: object) -> Scene:
    frame = Frame(np.arange(720 * 1280, dtype=np.uint8).reshape(720, 1280), 0)
    scene = Scene(
        title="kiosk demo",
        people="7 of 20 people",
        frame=frame,
        readings=(Reading(b"x", ((400, 200), (800, 200), (800, 600), (400, 600)), 0, "zxing"),),
        panel=READY,
        last_answer="[7] recorded-pass: cccd *********544 N.V.A. 1983",
        counts={"recorded": 5, "repeated": 1, "refused": 1, "unread": 0},
        processes={"mosquitto": "1234567", "collector": "1234568", "uplink": "1234569, 2× again"},
        ledger_rows=5,
        ledger_last=[("08:00:00", "in", "cccd", "N.V.A.")] * 5,
    )
    return replace(scene, **more)  # type: ignore[arg-type]


def _shown(scene: Scene, columns: int, rows: int, colours: str | None = "truecolor", *, no_color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=columns, height=rows, force_terminal=True, color_system=colours, legacy_windows=False,  # type: ignore[arg-type]
        _environ={}, no_color=no_color,
    )  # fmt: skip
    console.print(drawn(scene), height=rows, end="")
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _plain(shown: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n")


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 50), (40, 10), (20, 3)])
@pytest.mark.parametrize("colours", ["truecolor", "256", "standard", None])
def test_view_fills_its_terminal_and_no_more(columns: int, rows: int, colours: str | None) -> None:
    """Every line as wide as the terminal, as many as it has: nothing scrolls, nothing jumps."""
    for scene in (_scene(), Scene()):
        lines = _plain(_shown(scene, columns, rows, colours))
        assert len(lines) == rows
        assert max(len(line) for line in lines) == columns


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 50)])
def test_what_matters_stands_first(columns: int, rows: int) -> None:
    """The light, the last answer, the counters and the link, the ledger, then the picture in the room beside it."""
    lines = _plain(_shown(_scene(), columns, rows))
    places = [next(i for i, line in enumerate(lines) if line.startswith(word)) for word in WORDS]
    assert all(first < second for first, second in pairwise(places))
    assert all("N.V.A." in line for line in lines[places[-1] + 1 : places[-1] + 6])
    picture = [line for line in lines if "▀" in line]
    assert {line.index("▀") for line in picture} == {LEDGER_WIDTH}
    assert len(picture) >= 10
    assert len(picture) * 2 == pytest.approx(picture[0].count("▀") * 9 / 16, abs=2)


@pytest.mark.parametrize(
    ("columns", "rows", "colours"), [(60, 24, "256"), (80, 14, "256"), (200, 50, "standard"), (200, 50, None)]
)
def test_no_picture_where_it_could_not_be_made_out(columns: int, rows: int, colours: str | None) -> None:
    """Too little room, or too few colours for greys: the words are all there is."""
    shown = _shown(_scene(), columns, rows, colours)
    assert "▀" not in shown
    assert "N.V.A." in shown


def test_no_colour_is_asked_for_where_none_is_wanted() -> None:
    """NO_COLOR: no picture, no colour, and the light is a word."""
    shown = _shown(_scene(), 80, 24, no_color=True)
    assert "▀" not in shown
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)", shown)
    assert " dim white " in shown


@pytest.mark.parametrize("cue", CUES.values(), ids=str)
def test_every_light_is_a_word_on_a_ground_of_its_own(cue: object) -> None:
    """Also `ready`: letter and ground are both set, so that it is seen on black and on white."""
    for step in cue.steps:  # type: ignore[attr-defined]
        shown = _shown(_scene(panel=PanelState(step.rgb, 0, cue.name)), 80, 24, "standard")  # type: ignore[attr-defined]
        light = re.search(r"\x1b\[(\d+);(\d+)m ([a-z ]{9}) \x1b", shown)
        assert light, (step.rgb, shown.split("\n")[1])
        assert 30 <= int(light[1]) <= 37
        assert 40 <= int(light[2]) <= 47 or int(light[2]) == 107
        assert int(light[2]) - int(light[1]) != 10
        assert light[3].strip()


def test_words_keep_their_columns_whatever_they_say() -> None:
    """Longer answers are cut, not wrapped; numbers grow into room that was kept for them."""
    first = _plain(_shown(_scene(), 80, 24))
    second = _plain(
        _shown(
            _scene(
                last_answer="x" * 300,
                counts={"recorded": 1555, "repeated": 100, "refused": 10, "unread": 1},
                waiting=123,
                ledger_last=[("08:00:00", "pass", "smart-health-card-long", "N.V.A.B.C.D.E.F.")] * 30,
            ),
            80,
            24,
        )
    )
    assert len(first) == len(second)
    for word in ("recorded ", "repeated", "refused", "unread", " link", "time", "holder"):
        (one,), (other,) = ({line.index(word) for line in lines[3:] if word in line} for lines in (first, second))
        assert one == other, word
    assert second[2].endswith("…")


def test_notice_takes_the_first_line() -> None:
    """What Ctrl-C has done is seen at once."""
    assert _plain(_shown(_scene(notice="stopping; Ctrl-C again leaves at once"), 80, 24))[0].startswith(
        "stopping; Ctrl-C"
    )


def test_log_goes_into_the_view_and_not_through_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is shown, the log's last lines stand at its foot; afterwards the log writes where it wrote before."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler()])
    events: deque[str] = deque(maxlen=2)
    with logged_to(events):
        for number in range(3):
            logging.getLogger("test").warning("ended process=uplink number=%d", number)
    assert capsys.readouterr().err == ""
    logging.getLogger("test").warning("afterwards")
    assert capsys.readouterr().err == "afterwards\n"
    assert [event.partition(" ")[2] for event in events] == [f"WARNING ended process=uplink number={n}" for n in (1, 2)]
    lines = _plain(_shown(_scene(events=events), 80, 24))
    assert [line.rstrip()[9:] for line in lines[-2:]] == [f"WARNING ended process=uplink number={n}" for n in (1, 2)]


def test_view_at_the_end_is_as_high_as_its_words() -> None:
    """What stays on the terminal afterwards has no picture and no empty room."""
    scene = _scene()
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system="256", _environ={})
    console.print(View(scene, with_picture=False), height=scene.height)
    assert len(_plain(console.file.getvalue())) <= scene.height + 1  # type: ignore[attr-defined]
    assert console.file.getvalue().count("N.V.A.") == 1 + len(scene.ledger_last)  # type: ignore[attr-defined]
