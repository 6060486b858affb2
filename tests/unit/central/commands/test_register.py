"""The register's words: tables in, lists out, and what a station's code has to do with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from central.__main__ import main
from central.fleet import authority
from central.fleet.registry import Fleet

AREAS = """\
Mã;Thuộc;Loại;Tên;Dân số;Từ ngày
hue;;thành phố;Huế;1.128.620;01/01/2020
phong-an;hue;phường;Phong An;12 300;01/01/2020
"""
SITES = """\
id,area,name,hours,from
ubnd,phong-an,Ủy ban,T2-T6 07:30-17:00,2026-01-05
cho,phong-an,Chợ,24/7,2026-01-05
"""
DAY = ["--day", "2026-11-24"]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a register of two areas and two sites, in which the commands stand."""
    monkeypatch.chdir(tmp_path)
    Path("areas.csv").write_text(AREAS, "utf-8")
    Path("sites.csv").write_text(SITES, "utf-8")
    assert main(["area", "import", "areas.csv", "--new"]) == 0
    assert main(["site", "import", "sites.csv"]) == 0
    assert main(["point", "add", "cong-1", "ubnd", "--from", "2026-02-01"]) == 0
    return tmp_path


def _shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert main(list(words)) == 0
    return capsys.readouterr().out.splitlines()


def test_nothing_is_begun_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stands in the wrong folder is told, and leaves none behind."""
    monkeypatch.chdir(tmp_path)
    Path("areas.csv").write_text(AREAS, "utf-8")
    assert main(["area", "import", "areas.csv"]) == 24
    assert "begin one with --new" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["areas.csv"]


@pytest.mark.usefixtures("register")
def test_tree_of_areas(capsys: pytest.CaptureFixture[str]) -> None:
    """Below each other, with how many sites are in each; one part of it; for programs."""
    lines = _shown(capsys, "area", "list", *DAY)
    assert [line.split()[0] for line in lines] == ["area", "Huế", "Phong"]
    assert [line.split()[-1] for line in lines[1:]] == ["2", "2"]
    assert lines[2].startswith("  Phong An")
    assert len(_shown(capsys, "area", "list", "--area", "phong-an", *DAY)) == 2
    (record,) = map(json.loads, _shown(capsys, "area", "list", "--area", "phong-an", "--json", *DAY))
    assert (record["id"], record["population"], record["sites"], record["until"]) == ("phong-an", 12_300, 2, None)
    assert len(_shown(capsys, "area", "list", "--day", "2019-12-31")) == 1


@pytest.mark.usefixtures("register")
def test_sites_and_what_hangs_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Which are due, which have no station, which lie in an area."""
    sites = {line.split()[0]: line for line in _shown(capsys, "site", "list", *DAY)}
    assert "cong-1" in sites["ubnd"]
    assert [line.split()[0] for line in _shown(capsys, "site", "list", "--without-station", *DAY)] == ["site", "cho"]
    due = {
        record["site"]: record["due"]
        for day in ("2026-01-05", "2026-11-22")
        for record in map(json.loads, _shown(capsys, "site", "list", "--json", "--area", "hue", "--day", day))
        if record["site"] == "ubnd" or day == "2026-01-05"
    }
    assert due == {"ubnd": "no", "cho": "new"}


@pytest.mark.usefixtures("register")
def test_dry_run_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what would change."""
    Path("sites.csv").write_text(SITES.replace("Chợ", "Chợ mới"), "utf-8")
    (line,) = _shown(capsys, "site", "import", "sites.csv", "--dry-run")
    assert line == "2 sites in sites.csv: would be new=0 changed=1 as_before=1"
    assert _shown(capsys, "site", "import", "sites.csv") == ["2 sites in sites.csv: new=0 changed=1 as_before=1"]


@pytest.mark.usefixtures("register")
def test_points_move_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A station that hangs elsewhere, a table of them, a site that is closed."""
    (line,) = _shown(capsys, "point", "add", "cong-1", "cho", "--from", "2026-03-01")
    assert line == "cong-1: at cho from 2026-03-01 on, until then at ubnd"
    Path("points.csv").write_text("kiosk,site,from\ncong-2,ubnd,2026-03-01\n", "utf-8")
    assert main(["point", "import", "points.csv"]) == 0
    assert [line.split()[:2] for line in _shown(capsys, "point", "list", *DAY)[1:]] == [
        ["cong-1", "cho"],
        ["cong-2", "ubnd"],
    ]
    assert main(["site", "close", "cho", "--on", "2026-04-01"]) == 0
    assert [line.split()[0] for line in _shown(capsys, "point", "list", "--area", "phong-an", *DAY)[1:]] == ["cong-2"]
    assert main(["point", "add", "cong-3", "ubnn"]) == 24
    assert "did you mean ubnd?" in capsys.readouterr().err
    for word in ("area", "site"):
        assert main([word, "list", "--area", "nowhere"]) == 24
        assert "there is no area 'nowhere'" in capsys.readouterr().err


@pytest.mark.usefixtures("register")
def test_officers_come_and_go(capsys: pytest.CaptureFixture[str]) -> None:
    """Added once, changed, disabled, enabled; whoever is mistyped is told."""
    add = ["officer", "add", "an", "--name", "Nguyễn An", "--role", "commune", "--area", "phong-an"]
    assert main(add) == 0
    assert main(add) == 24
    assert main(["officer", "add", "An Nguyễn", *add[3:]]) == 24
    assert "write an-nguyen" in capsys.readouterr().err
    assert main(["officer", "change", "an", "--role", "site", "--site", "ubnd"]) == 0
    assert main(["officer", "change", "an", "--name", "An"]) == 0
    assert main(["officer", "disable", "an"]) == 0
    (record,) = map(json.loads, _shown(capsys, "officer", "list", "--json"))
    assert record == {"officer": "an", "name": "An", "role": "site", "area": "phong-an", "site": "ubnd", "may": "no"}
    assert main(["officer", "enable", "an"]) == 0
    assert main(["officer", "enable", "ann"]) == 24
    assert "did you mean an?" in capsys.readouterr().err


def test_code_proposes_and_marks_sites(register: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a site those are proposed at which nothing hangs; one that nobody has registered is told, and taken."""
    authority.create(register / "fleet", "test fleet")
    Fleet(register / "fleet" / "fleet.db").close()
    code = ["provision", "--kiosk", "cong-9", "--broker", "b.example:8883", "--enrolment", "b.example:8443"]
    code += ["--supervision", "supervision.db", "--fleet", "fleet", "--text", "code.txt"]
    assert main([*code[:-2], "--text", "code.txt"]) == 21
    assert "at which nothing hangs yet: cho" in capsys.readouterr().err
    assert main([*code, "--site", "ubnn"]) == 0
    assert "'ubnn' is not registered; did you mean ubnd?" in capsys.readouterr().err
    assert _shown(capsys, "site", "list", "--stations", "fleet", *DAY)[-1].split() == [
        "ubnn", "(not", "registered)", "-", "-", "-", "-", "-", "cong-9", "-", "-",
    ]  # fmt: skip
    assert main(["site", "close", "cho", "--on", "2026-04-01"]) == 0
    assert main([*code, "--site", "cho"]) == 0
    assert "'cho' is closed" in capsys.readouterr().err
    assert main([*code, "--site", "ubnd"]) == 0
    assert "central:" not in capsys.readouterr().err
    assert main(["point", "add", "cong-9", "ubnd"]) == 0
    assert main([*code[:2], "cong-8", *code[3:]]) == 21
    assert "`central site list` names them" in capsys.readouterr().err
