"""What a register promises, in a file and in PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from central.supervise.database import Database, open_database
from central.supervise.places import Area, Days, Point, Site
from central.supervise.register import Officer, Refused, Register
from kiosk.errors import SupervisionError

OLD, DAY, LATER = date(2020, 1, 1), date(2026, 12, 1), date(2026, 12, 5)
AREAS = [Area("hue", "", "city", "Huế", Days(OLD), "Hue", 1_128_620), Area("an", "hue", "ward", "Phong An", Days(OLD))]
SITE = Site(
    id="office",
    areas=(("an", Days(OLD)),),
    kind="office",
    name="Ủy ban",
    days=Days(OLD),
    exempt=(Days(DAY, LATER),),
    needs=("in",),
)
POINTS = [Point("k1", "office", Days(OLD)), Point("k2", "office", Days(OLD, LATER))]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a register, one of each kind."""
    return (
        str(tmp_path / "supervision.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres").database()
    )


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    """A register's tables, begun."""
    with open_database(where, new=True) as opened:
        yield opened


def test_register_is_begun_when_that_is_said(where: str) -> None:
    """A mistyped name begins none; a second beginning finds the first."""
    with pytest.raises(SupervisionError, match="--new"):
        open_database(where)
    for _ in range(2):
        with open_database(where, new=True) as opened:
            Register(opened).take(AREAS)
    with open_database(where) as opened:
        assert list(Register(opened).district().areas.values()) == sorted(AREAS, key=lambda area: area.id)


def test_what_is_taken_is_there_again(where: str, database: Database) -> None:
    """Every field comes back, in another process, too; the same again changes nothing."""
    register = Register(database)
    assert register.take(AREAS, [SITE], POINTS) == (5, 0)
    assert register.take(AREAS, [SITE], POINTS) == (0, 0)
    assert register.take(sites=[replace(SITE, name="UBND")], only_judge=True) == (0, 1)
    with open_database(where) as other:
        district = Register(other).district()
    assert district.areas == {area.id: area for area in AREAS}
    assert district.sites == {SITE.id: SITE}
    assert list(district.points) == POINTS


def test_what_cannot_be_leaves_all_as_it_was(database: Database) -> None:
    """One wrong row, and nothing of the table is kept."""
    register = Register(database)
    with pytest.raises(Refused, match="its parent 'x' is no area") as caught:
        register.take([*AREAS, Area("b", "x", "ward", "B", Days(OLD))])
    assert [fault.id for fault in caught.value.faults] == ["b"]
    assert not register.district().areas


def test_station_that_hangs_elsewhere_is_taken_down(database: Database) -> None:
    """From the day on; a correction of the same day takes the place of the first."""
    register = Register(database)
    register.take(AREAS, [SITE, replace(SITE, id="school")], POINTS)
    register.take(points=[Point("k1", "school", Days(DAY))])
    register.take(points=[Point("k1", "school", Days(DAY, LATER))])
    district = register.district()
    assert [point for point in district.points if point.kiosk == "k1"] == [
        Point("k1", "office", Days(OLD, DAY)),
        Point("k1", "school", Days(DAY, LATER)),
    ]
    with pytest.raises(Refused, match="on one day"):
        register.take(
            points=[Point("k2", "school", Days(date(2019, 1, 1)))]
            and [Point("k1", "office", Days(date(2026, 1, 1), LATER))]
        )


def test_closed_site_keeps_its_past(database: Database) -> None:
    """What hung there hangs nowhere from that day on; it is closed once."""
    register = Register(database)
    register.take(AREAS, [SITE], POINTS)
    register.close_site("office", DAY)
    district = register.district()
    assert district.sites["office"].days == Days(OLD, DAY)
    assert (district.stations_at("office", OLD), district.stations_at("office", DAY)) == (["k1", "k2"], [])
    for name, told in (("office", "is closed since 2026-12-01"), ("none", "there is no site")):
        with pytest.raises(SupervisionError, match=told):
            register.close_site(name, LATER)


def test_officers_have_a_role_and_a_place(database: Database) -> None:
    """Each wrong one is told; a change takes the place of what was."""
    register = Register(database)
    register.take(AREAS, [SITE])
    officer = Officer("an", "Nguyễn An", "commune", "an")
    for wrong, told in (
        (replace(officer, role="king"), "is no role"),
        (replace(officer, area="x"), "there is no area"),
        (replace(officer, role="site"), "needs it"),
        (replace(officer, site="office"), "needs it"),
        (replace(officer, role="site", site="x"), "there is no site"),
    ):
        with pytest.raises(SupervisionError) as caught:
            register.put_officer(wrong)
        assert told in f"{caught.value} {caught.value.hint}"
    register.put_officer(officer)
    register.put_officer(replace(officer, role="site", site="office", disabled_s=5))
    assert register.officers() == [Officer("an", "Nguyễn An", "site", "an", "office", 5)]


def test_register_of_another_version_is_refused(where: str, database: Database) -> None:
    """By name, with what to do."""
    database.run("UPDATE about SET version = 9" if where.startswith("postgresql") else "PRAGMA user_version = 9")
    with pytest.raises(SupervisionError, match="has version 9, not 1"):
        open_database(where)


def test_statement_that_fails_is_an_error_with_a_name(database: Database) -> None:
    """Read or written, and a transaction that fails leaves nothing."""
    with pytest.raises(SupervisionError, match="cannot read"):
        database.all("SELECT * FROM nothing")
    with pytest.raises(SupervisionError, match="cannot write"):
        database.run("INSERT INTO nothing VALUES (1)")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.mkdir(), "cannot open"),
        (lambda path: path.write_bytes(b"nonsense " * 200), "cannot open"),
        (
            lambda path: sqlite3.connect(path).executescript("CREATE TABLE other (x)").connection.close(),
            "another program's",
        ),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    """By its name."""
    make(path := tmp_path / "other.db")
    with pytest.raises(SupervisionError, match=told):
        open_database(str(path), new=True)


@pytest.mark.slow
def test_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Without its password."""
    with pytest.raises(SupervisionError, match="cannot open the database") as caught:
        open_database(f"postgresql://me:sesame@/k?host={tmp_path}")
    assert "sesame" not in str(caught.value)
