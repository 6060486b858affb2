"""Areas, sites and points over days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from central.supervise import hours
from central.supervise.places import Area, Days, District, Point, Site

OLD, MERGED = date(2020, 1, 1), date(2025, 7, 1)
BEFORE, AFTER = date(2025, 6, 30), MERGED
WEEKDAYS = hours.read("T2-T6 07:30-17:00")


def _merged() -> District:
    """Twelve communes of a district that became five wards of a city on one day."""
    areas = [
        Area("hue", "", "city", "Huế", Days(OLD)),
        Area("phong-dien", "hue", "district", "Phong Điền", Days(OLD, MERGED)),
        *(Area(f"xa-{number}", "phong-dien", "commune", f"Xã {number}", Days(OLD, MERGED)) for number in range(12)),
        *(Area(f"phuong-{number}", "hue", "ward", f"Phường {number}", Days(MERGED)) for number in range(5)),
    ]
    sites = [
        Site(
            id=f"site-{number}",
            areas=((f"xa-{number}", Days(OLD, MERGED)), (f"phuong-{number % 5}", Days(MERGED))),
            kind="office",
            name=f"Trụ sở {number}",
            days=Days(OLD),
        )
        for number in range(12)
    ]
    return District(areas, sites, [])


def test_merger_of_communes() -> None:
    """Yesterday has the old names and today the new ones, and the totals are equal."""
    district = _merged()
    assert not district.faults()
    assert [area.kind for area in district.children("hue", BEFORE)] == ["district"]
    assert [area.kind for area in district.children("hue", AFTER)] == ["ward"] * 5
    for day, parts in ((BEFORE, district.children("phong-dien", BEFORE)), (AFTER, district.children("hue", AFTER))):
        assert sum(len(district.sites_in(part.id, day)) for part in parts) == len(district.sites_in("hue", day)) == 12
    assert district.within("phong-dien", AFTER) == set()
    assert [area.id for area in district.path("xa-3")] == ["hue", "phong-dien", "xa-3"]
    assert district.sites["site-3"].area_on(date(2019, 1, 1)) is None


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (date(2026, 11, 23), False),  # its first day: new
        (date(2026, 11, 24), True),
        (date(2026, 11, 28), False),  # a Saturday
        (date(2026, 12, 1), False),  # excused
        (date(2026, 12, 8), False),  # closed
        (date(2026, 11, 20), False),  # not yet
    ],
)
def test_site_is_due_or_not(day: date, due: bool) -> None:  # noqa: FBT001  a table
    """Only what is registered, not since today, open and not excused is asked why nobody was seen."""
    site = Site(
        id="a", areas=(), kind="office", name="A", days=Days(date(2026, 11, 23), date(2026, 12, 8)), hours=WEEKDAYS,
        exempt=(Days(date(2026, 12, 1), date(2026, 12, 3)),),
    )  # fmt: skip
    assert site.is_due(day) is due


AREA = Area("a", "", "area", "A", Days(OLD))
SITE = Site(id="s", areas=(("a", Days(OLD)),), kind="office", name="S", days=Days(OLD))
ENDED = replace(SITE, id="e", areas=(("a", Days(OLD, MERGED)),), days=Days(OLD, MERGED))
CASES = {
    "its parent 'b' is no area": District([replace(AREA, parent="b")], [], []),
    "it is a part of itself": District([replace(AREA, parent="b"), Area("b", "a", "area", "B", Days(OLD))], [], []),
    "and its parent 'a' only": District(
        [replace(AREA, days=Days(OLD, MERGED)), Area("b", "a", "area", "B", Days(OLD))], [], []
    ),
    "it lies in 'x', which is no area": District([AREA], [replace(SITE, areas=(("x", Days(OLD)),))], []),
    "and that is there only": District([replace(AREA, days=Days(OLD, MERGED))], [SITE], []),
    "do not follow each other": District(
        [AREA], [replace(SITE, areas=(("a", Days(OLD, BEFORE)), ("a", Days(MERGED))))], []
    ),
    "at 'x', which is no site": District([AREA], [SITE], [Point("k", "x", Days(OLD))]),
    "and that is there only from 2020": District([AREA], [ENDED], [Point("k", "e", Days(OLD))]),
    "on one day": District([AREA], [SITE], [Point("k", "s", Days(OLD)), Point("k", "s", Days(MERGED))]),
}


@pytest.mark.parametrize("told", CASES)
def test_what_cannot_be_is_told(told: str) -> None:
    """Each fault in a sentence that names the other thing."""
    faults = CASES[told].faults()
    assert any(told in fault.why for fault in faults), faults


def test_area_that_goes_round_has_an_end() -> None:
    """A circle is told for each of its areas, also for those that only lead into it; nothing goes on for ever."""
    circle = [replace(AREA, parent="b"), Area("b", "a", "area", "B", Days(OLD)), Area("c", "a", "area", "C", Days(OLD))]
    district = District(circle, [], [])
    assert {fault.id for fault in district.faults()} == {"a", "b", "c"}
    assert district.within("a", BEFORE) == {"a", "b", "c"}
    assert len(district.path("c")) == 3


def test_stations_hang_where_they_hang() -> None:
    """A station is at one site a day; a site without one is found."""
    points = [Point("k", "s", Days(OLD, MERGED)), Point("k", "t", Days(MERGED))]
    district = District([AREA], [SITE, replace(SITE, id="t")], points)
    assert not district.faults()
    assert (district.site_of("k", BEFORE), district.site_of("k", AFTER), district.site_of("x", AFTER)) == (
        "s",
        "t",
        None,
    )
    assert (district.stations_at("s", BEFORE), district.stations_at("s", AFTER)) == (["k"], [])
    assert [site.id for site in district.without_station(AFTER)] == ["s"]


def test_days_are_told() -> None:
    """As sentences have them."""
    assert (str(Days(OLD)), str(Days(OLD, MERGED))) == ("from 2020-01-01", "from 2020-01-01 until 2025-07-01")
