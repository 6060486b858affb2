"""A double click in Excel shows what was recorded: letters, whole numbers and dates as they were written, and runs nothing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.__main__ import main
from central.keys.keystore import KeyStore
from central.ledgers import export
from central.ledgers.sqlite import SqliteLedger
from kiosk.delivery.wire import Batch
from kiosk.envelopes.seal import CLASSIC
from kiosk.model import Entry

Make = Callable[[int], Entry]
OUTBOX = "9" * 8 + "-1234-4234-8234-" + "1" * 12
PEOPLE: list[dict[str, str]] = [
    {"name": "Nguyễn Thị Ánh", "number": "001090000123", "qid": "162979388586171100", "phone": "0912345678"},
    {"name": "Lê E1 5E3", "number": "001190000126", "qid": "1E5", "birth_date": "1990-02-01", "birth_year": "1990"},
    {"name": 'Trần "Bé"; Ti, em', "number": "1-2", "qid": "MAR1", "birth_date": "1987-**-**", "phone": "+84 912"},
    {"name": "=1+1", "number": "@SUM(A1)", "qid": "-2+3", "phone": "\tx"},
    {"name": "Ă" * 400, "number": "TRUE", "qid": "0x10"},
]
_LITERALS = re.compile(r'=("(?:[^"]|"")*")(?:&"(?:[^"]|"")*")*')


@pytest.fixture
def ledger(tmp_path: Path, make_entry: Make) -> Path:
    """People whose numbers a spreadsheet likes to improve."""
    path = tmp_path / "ledger.db"
    kept = SqliteLedger(path)
    rows = [(seq, replace(make_entry(seq), person=tuple(person.items()))) for seq, person in enumerate(PEOPLE, 1)]
    kept.store([Batch("test-1", UUID(OUTBOX), tuple(rows))], [], 1_796_083_200 * 10**9)
    kept.close()
    return path


def _split(text: str, separator: str) -> list[list[str]]:
    """Rows and cells as Excel finds them: quotes count at the beginning of a cell only, and what follows the closing one is part of it."""
    rows: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        cell = ""
        if text[at] == '"':
            closed = re.compile(r'"((?:[^"]|"")*)("|\Z)').match(text, at)
            assert closed is not None
            cell, at = closed[1].replace('""', '"'), closed.end()
        rest = re.compile(rf"[^{re.escape(separator)}\r\n]*").match(text, at)
        assert rest is not None
        rows[-1].append(cell + rest[0])
        at = rest.end()
        if text.startswith("\r\n", at):
            rows.append([])
            at += 2
        elif at < len(text):
            if text[at] in "\r\n":
                rows.append([])
            at += 1
    return rows


def _shown(cell: str) -> str | None:
    """What Excel makes of a cell of a file: the text of a formula that is text alone, or the cell itself; None if it would compute or change it."""
    if _LITERALS.fullmatch(cell):
        parts = re.findall(r'"((?:[^"]|"")*)"', cell)
        assert all(len(part.replace('""', '"')) <= 255 for part in parts), "more than a text in a formula may have"
        return "".join(parts).replace('""', '"')
    if cell.strip()[:1] in tuple("=+-@＝＋－＠") or re.fullmatch(r"\s*[\d.,:/E+-]+\s*|TRUE|[A-Z]{3}\d+", cell):
        return None
    return cell


def _exported(ledger: Path, tmp_path: Path, *words: str) -> bytes:
    out = tmp_path / "out.csv"
    assert main(["entries", "--ledger", str(ledger), "--format", "excel-csv", "--out", str(out), *words]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    return out.read_bytes()


@pytest.mark.parametrize("separator", export.SEPARATORS)
def test_a_double_click_shows_what_was_recorded(ledger: Path, tmp_path: Path, separator: str) -> None:
    """Byte order mark, CRLF, the region's separator; each cell the text that was recorded, no number, no date, no formula of a stranger's."""
    content = _exported(ledger, tmp_path, *(["--separator", separator] if separator == "," else []))
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    assert text.count("\r\n") == len(PEOPLE) + 1
    heading, *rows = _split(text, separator)
    assert tuple(heading) == export.COLUMNS
    for row, person in zip(rows, PEOPLE, strict=False):
        shown = {name: _shown(cell) for name, cell in zip(heading, row, strict=True)}
        assert {name: shown[name] for name in person} == person
        assert (shown["outbox"], shown["kiosk"]) == (OUTBOX, "test-1")
        assert str(shown["at"])[10:11] == "T"
        assert str(shown["at"]).endswith("+07:00")
    assert len(rows[len(PEOPLE) :]) <= 1, "nothing behind the last line end"


def test_csv_for_programs_is_as_it_was(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No mark, LF, commas, plain texts."""
    assert main(["entries", "--ledger", str(ledger), "--format", "csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("at,clock,kiosk,")
    assert "\r" not in out.replace("\tx", "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["number"] for row in rows[:2]] == ["001090000123", "001190000126"]
    assert rows[0]["name"] == "Nguyễn Thị Ánh"


@given(st.lists(st.text(st.sampled_from("=+-@,;|\t\r\n\"' aB1&()"), max_size=14), min_size=1, max_size=3))
@pytest.mark.parametrize("separator", export.SEPARATORS)
def test_no_cell_computes_at_any_separator(separator: str, texts: list[str]) -> None:
    """At its own separator every cell is the text (guarded behind other separators); at another one, none begins with a stranger's formula."""
    out = io.StringIO()
    cells = [export.excel_cell(text) for text in texts]
    csv.writer(out, delimiter=separator, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerow(cells)
    shown = [_shown(cell) for cell in _split(out.getvalue().removesuffix("\r\n"), separator)[0]]
    for cell, text in zip(shown, texts, strict=True):
        assert cell is not None
        assert cell.replace("'", "") == text.replace("'", "")
    for other in ";,|\t":
        for row in _split(out.getvalue(), other):
            for place, cell in enumerate(row):
                is_text = cell.strip()[:1] not in tuple("=+-@") or _LITERALS.fullmatch(cell)
                assert is_text or (place == 0 and cell.startswith('="')), "a stranger's text begins a cell"


@pytest.mark.parametrize("word", ["entries", "open"])
@pytest.mark.parametrize("form", ["excel-csv", "xlsx"])
def test_what_is_for_a_spreadsheet_is_a_file(
    word: str, form: str, ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a terminal it is refused before anything is noted; names that were opened come as both kinds, too."""
    authority = tmp_path / "authority"
    KeyStore(authority).make(date(2026, 12, 1), 1, suite=CLASSIC)
    words = [word, "--ledger", str(ledger), "--format", form]
    words += ["--keys", str(authority), "--reason", "case 2026/114"] if word == "open" else []
    assert main(words) == 2
    assert "a spreadsheet is no text for a terminal; name its file with --out" in capsys.readouterr().err
    kept = SqliteLedger(ledger)
    assert kept.openings() == []
    kept.close()
    out = tmp_path / f"out.{form[-4:]}"
    assert main([*words, "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    if form == "xlsx":
        book = openpyxl.load_workbook(out)
        names = [row[export.COLUMNS.index("name")].value for row in book.worksheets[0].iter_rows()]
        book.close()
        assert names[1:3] == ["Nguyễn Thị Ánh", "Lê E1 5E3"]
    else:
        assert '"=""001090000123"""' in out.read_text("utf-8-sig")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="apt install libreoffice-calc-nogui")
def test_a_real_spreadsheet_reads_it(ledger: Path, tmp_path: Path) -> None:
    """LibreOffice, asked to take formulas as Excel does: the same texts, and nothing computed."""
    _exported(ledger, tmp_path)
    options = "CSV:59,34,76,1,,1066,false,false,false,false,false,-1,true"
    argv = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", f"--infilter={options}"]
    argv += ["--convert-to", "xlsx", "--outdir", str(tmp_path / "read"), str(tmp_path / "out.csv")]
    subprocess.run(argv, check=True, timeout=300, capture_output=True)
    book = openpyxl.load_workbook(tmp_path / "read" / "out.xlsx", data_only=True)
    heading, *rows = ([cell.value for cell in row] for row in book.worksheets[0].iter_rows())
    book.close()
    assert tuple(heading) == export.COLUMNS
    for row, person in zip(rows, PEOPLE, strict=True):
        record = dict(zip(heading, row, strict=True))
        assert {name: str(record[name]) for name in person if name != "phone"} == {
            name: text for name, text in person.items() if name != "phone"
        }
    assert json.dumps(rows[0][export.COLUMNS.index("phone")]) == '"0912345678"'
