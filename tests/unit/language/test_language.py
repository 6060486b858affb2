"""What programs say to people: in English everywhere, in Vietnamese at a terminal that asks for it, complete both ways."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from string import Formatter

import polib
import pytest
from babel.messages.extract import extract_from_dir

from kiosk.__main__ import main
from kiosk.commands import doctor
from kiosk.cues import MEANINGS
from kiosk.envelopes.provisioning_code import WHY
from kiosk.errors import KioskError
from kiosk.language import terminal
from kiosk.language.message import Message, joined, rendered, say
from kiosk.service import acceptance
from kiosk.service.aim import Verdict

ROOT = Path(__file__).resolve().parents[3]
CATALOGUES = sorted((ROOT / "kiosk" / "language").glob("*.po"))
VI = {"LANG": "vi_VN.UTF-8"}


def _said() -> set[str]:
    """Every marked sentence of the product."""
    found = extract_from_dir(str(ROOT / "kiosk"), [("**.py", "python")], keywords={"say": None})
    return {message for _, _, message, _, _ in found if isinstance(message, str)}


def _fields(text: str) -> list[tuple[str, str, str]]:
    return sorted((name, spec or "", turned or "") for _, name, spec, turned in Formatter().parse(text) if name)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_catalogue_is_complete_both_ways(path: Path) -> None:
    """Each sentence has its words in each language, and no catalogue has one that nobody says any more; after a change: `make words`."""
    entries = polib.pofile(str(path), check_for_duplicates=True)
    assert {entry.msgid for entry in entries} ^ _said() == set()
    assert not [entry.msgid for entry in entries if not entry.msgstr.strip() or entry.fuzzy or entry.obsolete]
    assert "vi" in [each.stem for each in CATALOGUES]


def test_no_sentence_stands_inside_an_f_string() -> None:
    """Before Python 3.12 Babel finds no `say` there, and the sentence would be missing from the catalogues."""
    inside = [
        f"{path}:{node.lineno}"
        for path in sorted((ROOT / "kiosk").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.JoinedStr)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "say"
    ]
    assert inside == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_nothing_is_lost_in_translation(path: Path) -> None:
    """Values keep their names and their form, and what is typed or stands in a file stays as it is."""
    for entry in polib.pofile(str(path)):
        assert _fields(entry.msgid) == _fields(entry.msgstr), entry.msgid
        assert set(re.findall(r"`[^`]+`", entry.msgid)) <= set(re.findall(r"`[^`]+`", entry.msgstr)), entry.msgid
        assert entry.msgid[:1].isspace() == entry.msgstr[:1].isspace()
        assert not entry.msgstr.endswith("."), entry.msgid


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"), ({"LANG": "vi_VN.UTF-8"}, "vi"), ({"LANG": "vi"}, "vi"), ({"LANG": "vi_VN"}, "vi"), ({"LANG": "C"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"), ({"LANG": "POSIX"}, "en"), ({"LANG": "en_GB.UTF-8"}, "en"), ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN.UTF-8"}, "vi"), ({"LANG": "vi_VN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "vi_VN.UTF-8", "LC_ALL": ""}, "vi"), ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "vi"}, "vi"), ({"LANG": "vi_VN.UTF-8", "LANGUAGE": "en:vi"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:vi:en"}, "vi"), ({"LANG": "C", "LANGUAGE": "vi"}, "en"), ({"LANGUAGE": "vi"}, "vi"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "vi_VN"}, "vi"), ({"LANG": "../../vi"}, "en"), ({"LANGUAGE": ":::"}, "en"),
    ],
)  # fmt: skip
def test_language_is_the_one_that_the_environment_wishes(environment: dict[str, str], language: str) -> None:
    """LC_ALL before LC_MESSAGES before LANG; LANGUAGE before them, but not before C; an unknown language is English."""
    assert terminal.language_of(environment) == language


def test_terminal_without_the_letters_gets_english() -> None:
    """What cannot be shown is not written: no error, no question marks."""
    assert terminal.language_of(VI, "utf-8") == "vi"
    for encoding in ("ascii", "latin-1", "cp1258", "no-such-encoding"):
        assert terminal.language_of(VI, encoding) == "en"


def test_message_is_english_text_that_knows_its_words() -> None:
    """Logs, JSON and comparisons see a text; a copy is the same; a value among the values is told in the same language."""
    inner = say("is empty")
    message = say("not yet; {hint}", hint=inner)
    assert message == "not yet; is empty"
    assert json.dumps({"says": message}) == '{"says": "not yet; is empty"}'
    for twin in (copy.copy(message), copy.deepcopy(message)):
        assert (twin, twin.template) == (message, "not yet; {hint}")
    words = {"is empty": "đang để trống", "not yet; {hint}": "chưa; {hint}"}
    assert rendered(message, lambda text: words.get(text, text)) == "chưa; đang để trống"
    assert rendered(joined(" {} ", [inner, "x", message]), lambda text: words.get(text, text)) == (
        "đang để trống {} x {} chưa; đang để trống"
    )
    assert rendered("", lambda _: "never") == ""
    assert rendered(Message("", {}), lambda _: "never") == ""
    assert rendered("is empty", lambda text: words.get(text, text)) == "đang để trống"
    assert say("has none of {number}, {qid} and {name}") == "has none of {number}, {qid} and {name}"


def test_what_a_file_says_is_never_taken_for_a_sentence() -> None:
    """A value that happens to read like one of our sentences stays as it was written."""
    message = say("{given!r} is no host", given="good")
    assert rendered(message, lambda text: {"good": "tốt"}.get(text, text)) == "'good' is no host"


def test_every_verdict_step_cue_and_number_is_a_sentence() -> None:
    """What is kept in tables is marked, too."""
    kept = [*(verdict.value for verdict in Verdict), *MEANINGS.values(), *WHY.values()]
    kept += [text for step in acceptance.STEPS for text in (step.do, step.see)]
    assert all(isinstance(text, Message) for text in kept)
    assert {text.template for text in kept} <= _said()
    assert sorted(WHY) == list(range(1, 11))


def test_numbers_mean_what_the_page_says() -> None:
    """docs/provisioning.md gives each number the reason that `kiosk doctor` gives."""
    page = (ROOT / "docs" / "provisioning.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ([0-9]+) \| ([^|]+) \|", page, re.MULTILINE))
    assert rows == {str(number): str(why) for number, why in WHY.items()}


def test_handbook_quotes_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/vi/ngam-camera.md has each verdict in both languages; what doctor calls its findings stands in su-co.md."""
    monkeypatch.setattr(terminal.os, "environ", VI)  # type: ignore[attr-defined]
    page = (ROOT / "docs" / "vi" / "ngam-camera.md").read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", page, re.MULTILINE)
    assert len(rows) == len(Verdict)
    for verdict in Verdict:
        english, vietnamese = str(verdict.value), terminal.told(verdict.value)
        assert any(vietnamese.startswith(vi.rstrip("…")) and english.startswith(en.rstrip("…")) for vi, en in rows), (
            english
        )
    page = (ROOT / "docs" / "vi" / "su-co.md").read_text("utf-8")
    for word in doctor._WORDS.values():
        assert f"`{terminal.told(word)}`" in page


def test_every_error_has_its_hint_in_vietnamese(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy of each class of errors is told in the language of the terminal."""
    monkeypatch.setattr(terminal.os, "environ", VI)  # type: ignore[attr-defined]
    kinds = [KioskError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    hints = {kind.hint for kind in kinds if kind.__module__ == "kiosk.errors" and kind.hint}
    assert len(hints) > 10
    assert not [hint for hint in hints if terminal.told(hint) == hint]


def _checked(path: Path, **environment: str) -> str:
    argv = [sys.executable, "-m", "kiosk", "check", "--config", str(path)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_"))}
    done = subprocess.run(argv, cwd=ROOT, env=kept | environment, capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode("utf-8").replace(str(path), "FILE")


def test_check_speaks_the_language_of_the_terminal(tmp_path: Path) -> None:
    """Vietnamese where it is asked for, English with C and where a language is unknown; the same line, the same exit code."""
    path = tmp_path / "kiosk.yaml"
    path.write_text("kiosk:\n  id: Phòng An\n  site: b\n", "utf-8")
    english = "kiosk: FILE:2: kiosk.id: 'Phòng An' is not written with only a-z, 0-9 and hyphens, as in phong-an; write phong-an\n"
    assert _checked(path, LANG="vi_VN.UTF-8") == (
        "kiosk: FILE:2: kiosk.id: 'Phòng An' phải viết chỉ bằng a-z, 0-9 và gạch nối, ví dụ phong-an; viết phong-an\n"
    )
    assert _checked(path, LANG="C") == english
    assert _checked(path, LANG="xx_XX.UTF-8") == english


def test_doctor_tells_programs_english(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--json` is for programs: English in any terminal; without it, a technician's words."""
    monkeypatch.setattr(terminal.os, "environ", {**os.environ, "LC_ALL": "vi_VN.UTF-8"})  # type: ignore[attr-defined]
    path = tmp_path / "kiosk.yaml"
    dirs = f"state: {{dir: {tmp_path}/state, runtime_dir: {tmp_path}/run}}\n"
    path.write_text(f"{dirs}lanes: [{{camera: {{source: 'sim:seed=1,people=1'}}, panel: {{kind: none}}}}]\n", "utf-8")
    main(["doctor", "--config", str(path), "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"part": "panel main", "health": "ok", "says": "there is none"} in found
    main(["doctor", "--config", str(path)])
    out = capsys.readouterr().out
    assert "đúng: bo mạch chưa có tên, đang chờ mã cấp phát" in out
    assert re.search(r"^đèn và còi main +tốt: không có$", out, re.MULTILINE)
    assert "CHÚ Ý: chưa; đưa mã cấp phát trước camera" in out


def test_catalogue_is_part_of_the_package() -> None:
    """A wheel carries what lies beside the code; the card image copies the whole folder."""
    assert '"language/*.po"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert [path.parent for path in CATALOGUES] == [terminal.CATALOGUES] * len(CATALOGUES)
