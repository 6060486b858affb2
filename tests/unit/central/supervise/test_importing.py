"""Tables as offices type them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.supervise import importing
from central.supervise.importing import WrongTableError
from central.supervise.places import Area, Days, District, Point, Site
from kiosk.errors import SupervisionError

TODAY, OLD = date(2026, 12, 1), date(2020, 1, 1)
EMPTY = District([], [], [])
KNOWN = District(
    [Area("a", "", "ward", "A", Days(OLD)), Area("b", "", "ward", "B", Days(OLD))],
    [
        Site(
            id="s", areas=(("a", Days(OLD)),), kind="school", name="Trường S", days=Days(OLD), contact="hiệu trưởng",
            needs=("in",), lag_min=45,
        )
    ],
    [Point("k", "s", Days(OLD))],
)  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """A file with this in it."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_spreadsheet_is_read(table: Callable[..., Path], separator: str, encoding: str, end: str) -> None:
    """Separators, encodings and line ends of all kinds; headings of an office; days and thousands as they are written here."""
    heading = ("Mã", "THUỘC", "Loại", " Tên ", "Dân số", "Từ ngày", "Đến ngày")
    rows = [heading, ("phong-an", "", "xã", "Phong  An", "12.300", "01/07/2020", "1/7/2025"), ("",) * 7]
    text = end.join(separator.join(row) for row in rows) + end
    (area,) = importing.areas(table(text.encode(encoding)), EMPTY, TODAY)
    assert area == Area("phong-an", "", "xã", "Phong An", Days(date(2020, 7, 1), date(2025, 7, 1)), "", 12_300)


def test_missing_columns_change_nothing(table: Callable[..., Path]) -> None:
    """A table with fewer columns leaves the others as they are; an empty cell is the usual value."""
    (site,) = importing.sites(table("id,area,name,needs\ns,a,Trường,\n"), KNOWN, TODAY)
    assert (site.name, site.contact, site.lag_min, site.needs, site.days) == (
        "Trường", "hiệu trưởng", 45, ("in", "out"), Days(OLD),
    )  # fmt: skip
    assert importing.points(table("kiosk,site\nk,s\n"), KNOWN, TODAY) == [Point("k", "s", Days(OLD))]
    (area,) = importing.areas(table("id,name,until\na,A,2026-12-05\n"), KNOWN, TODAY)
    assert area == Area("a", "", "ward", "A", Days(OLD, date(2026, 12, 5)))


def test_site_moves_on_a_day(table: Callable[..., Path]) -> None:
    """Where a site lies in another area, the old one keeps the days before."""
    (site,) = importing.sites(table("id,area,area_from,name\ns,b,2025-07-01,S\n"), KNOWN, TODAY)
    assert site.areas == (("a", Days(OLD, date(2025, 7, 1))), ("b", Days(date(2025, 7, 1))))


SITES = "id,area,name,hours,needs,exempt,from,until,lag_min,area_from\n"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("S 1,a,N,,,,,,,", "id: 'S 1' is not written with only a-z"),
        (",a,N,,,,,,,", "id: is empty"),
        ("t,a,,,,,,,,", "name: is empty"),
        ("t,,N,,,,,,,", "area: is empty"),
        ("t,a,N,T9 07:00,,,,,,", "hours: 'T9 07:00' is no opening hours"),
        ("t,a,N,,up,,,,,", "needs: 'up' is neither in nor out"),
        ("t,a,N,,,tomorrow,,,,", "exempt: 'tomorrow' is no day"),
        ("t,a,N,,,2026-02-20..2026-02-16,,,,", "exempt: '2026-02-20..2026-02-16' ends before it begins"),
        ("t,a,N,,,,30/02/2026,,,", "from: '30/02/2026' is no day"),
        ("t,a,N,,,,2026-12-01,2026-12-01,,", "until: 2026-12-01 is not after 2026-12-01"),
        ("t,a,N,,,,,,1441,", "lag_min: '1441' is no whole number from 0 to 1440"),
        ("t,a,N,,,,,,-1,", "lag_min: '-1' is no whole number"),
        ("t,a,N,,,,,,1.5,", "lag_min: '1.5' is no whole number"),
        ("t,a,N\u202e,,,,,,,", "name: has signs that are not seen"),
        (f"t,a,{'N' * 201},,,,,,,", "name: has 201 signs"),
        ("s,b,N,,,,,,,", "area_from: it lay in 'a' until now"),
        ("s,b,N,,,,,,,2019-01-01", "area_from: 2019-01-01 is not after 2020-01-01"),
        ("t,a,N,,,,,,,,x", "11 cells, and the heading has 10"),
        ('t,a,"N,,,,,,,', "line 2"),
        ("t,a,N,,,,,,,\nt,a,N,,,,,,,", "line 3: t stands on line 2, too"),
    ],
)
def test_mistake_is_told_with_its_line(table: Callable[..., Path], row: str, told: str) -> None:
    """In one sentence with line and column."""
    with pytest.raises(WrongTableError, match=r"line [23]") as caught:
        importing.sites(table(SITES + row + "\n"), KNOWN, TODAY)
    assert told in str(caught.value)


def test_all_mistakes_are_told(table: Callable[..., Path]) -> None:
    """Of a row each, of a table up to twenty, and how many more there are."""
    with pytest.raises(WrongTableError) as caught:
        importing.sites(table(SITES + "S 1,a,,T9,up,x,y,z,-1,q\n" * 5), KNOWN, TODAY)
    assert len(caught.value.mistakes) == 5 * 9 + 4
    assert "and 29 more" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,area,naem\n", "'naem' in a table of sites; did you mean name?"),
        ("id,area\n", "there is no column 'name'"),
        ("", "there is no column 'id'"),
        (b"PK\x03\x04", "is a workbook"),
        (b"id,area,name\ns,a,\xff\n", "is not UTF-8"),
        (b"x" * 5_000_001, "more than 5 MB"),
        ("id,area,name\n" + "".join(f"s{n},a,N\n" for n in range(20_001)), "more than 20000 rows"),
    ],
)
def test_what_is_no_table_is_told(table: Callable[..., Path], content: str | bytes, told: str) -> None:
    """The whole of it, before any row."""
    with pytest.raises(SupervisionError, match=r"table\.csv") as caught:
        importing.sites(table(content), KNOWN, TODAY)
    assert told in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path, table: Callable[..., Path]) -> None:
    """And a point at a site that nobody knows; the nearest name is told."""
    with pytest.raises(SupervisionError, match="cannot read"):
        importing.areas(tmp_path / "none.csv", EMPTY, TODAY)
    school = District(KNOWN.areas.values(), [*KNOWN.sites.values(), Site("truong-an", (), "school", "", Days(OLD))], [])
    with pytest.raises(WrongTableError, match="did you mean truong-an"):
        importing.points(table("trạm,điểm\nk,truong-am\n"), school, TODAY)


@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: ("id,area,name\n" + text).encode("utf-8", "ignore"))
)
def test_no_bytes_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever is in the file, it is a table or a sentence."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    for read in (importing.areas, importing.sites, importing.points):
        with suppress(SupervisionError):
            read(path, KNOWN, TODAY)
