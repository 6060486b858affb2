"""Areas, sites and points, each with the days on which it is what it is, and what may not be said of them. Pure.

Areas are a tree whose words are the country's own: Vietnam took its districts away in 2025 and made five wards of twelve communes, so no level
has a name here. Whatever ends keeps its place: what is asked of a day is answered with that day's tree, so that yesterday's tables have
yesterday's names.

A site is where people enter; the id is the one that stations write into their entries. It may lie in one area after another. A point is a
station that hangs at a site.

Days are local days of the office. A span begins on its first day and ends before `until`; None is open.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from central.supervise.hours import Hours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date


@dataclass(frozen=True, slots=True)
class Days:
    """From a day on, until before another one; None where it has no end."""

    begins: date
    until: date | None = None

    def __contains__(self, day: date) -> bool:
        return self.begins <= day and (self.until is None or day < self.until)

    def meets(self, other: Days) -> bool:
        """Whether a day is in both."""
        return (other.until is None or self.begins < other.until) and (self.until is None or other.begins < self.until)

    def covers(self, other: Days) -> bool:
        """Whether every day of the other is in this."""
        return self.begins <= other.begins and (
            self.until is None or (other.until is not None and other.until <= self.until)
        )

    def __str__(self) -> str:
        return f"from {self.begins}" if self.until is None else f"from {self.begins} until {self.until}"


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the country that somebody answers for.

    Attributes:
        id: Its short name, unique for ever.
        parent: The area that it is a part of; empty for a root.
        kind: What it is called here: province, district, commune, ward.
        name: As people write it.
        name_en: The same in English; empty for the same.
        population: Who lives there; None if that is not known.
        days: When it was.
    """

    id: str
    parent: str
    kind: str
    name: str
    days: Days
    name_en: str = ""
    population: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where people enter.

    Attributes:
        id: As stations write it into entries.
        areas: Where it lies, one area after the other, the last open or until it is closed.
        kind: What it is: office, school, clinic, market.
        name: As people write it.
        days: From its registration until it is closed.
        hours: When it is open.
        address: Where it is found.
        contact: Who answers for it, a role and never a name.
        phone: Of that role.
        longest_stay_min: The longest stay that is believed.
        lag_min: How long the air is shared after somebody has left.
        needs: The directions in which everybody must be seen: "in", "out".
        exempt: Days on which it is excused.
    """

    id: str
    areas: tuple[tuple[str, Days], ...]
    kind: str
    name: str
    days: Days
    hours: Hours = field(default_factory=Hours)
    address: str = ""
    contact: str = ""
    phone: str = ""
    longest_stay_min: int = 480
    lag_min: int = 30
    needs: tuple[str, ...] = ("in", "out")
    exempt: tuple[Days, ...] = ()

    def area_on(self, day: date) -> str | None:
        """The area in which it lies on a day."""
        return next((area for area, days in self.areas if day in days), None)

    def is_new(self, day: date) -> bool:
        """Whether it was registered on this very day: nothing is due yet."""
        return day == self.days.begins

    def is_due(self, day: date) -> bool:
        """Whether its people must be seen on a day: it is registered and not since today, not closed, open that weekday and not excused."""
        excused = any(day in days for days in self.exempt)
        return day in self.days and not self.is_new(day) and not excused and self.hours.on(day.weekday())


@dataclass(frozen=True, slots=True)
class Point:
    """A station that hangs at a site."""

    kiosk: str
    site: str
    days: Days


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be.

    Attributes:
        what: "area", "site" or "point".
        id: Of which.
        why: The sentence.
    """

    what: str
    id: str
    why: str


class District:
    """All of it, as it was and is."""

    def __init__(self, areas: Iterable[Area], sites: Iterable[Site], points: Iterable[Point]) -> None:
        self.areas: Mapping[str, Area] = {area.id: area for area in areas}
        self.sites: Mapping[str, Site] = {site.id: site for site in sites}
        self.points: Sequence[Point] = tuple(points)
        self._children: defaultdict[str, list[Area]] = defaultdict(list)
        for area in self.areas.values():
            self._children[area.parent].append(area)

    def roots(self, day: date) -> list[Area]:
        """The areas of a day that are part of none."""
        return self.children("", day)

    def children(self, area: str, day: date) -> list[Area]:
        """The parts of an area on a day, by name."""
        return sorted(
            (child for child in self._children[area] if day in child.days), key=lambda child: (child.name, child.id)
        )

    def within(self, area: str, day: date) -> set[str]:
        """An area and all that it consists of on a day; empty if there is none on that day."""
        found: set[str] = set()
        waiting = [self.areas[area]] if area in self.areas and day in self.areas[area].days else []
        while waiting:
            each = waiting.pop()
            if each.id not in found:
                found.add(each.id)
                waiting += self.children(each.id, day)
        return found

    def path(self, area: str) -> list[Area]:
        """From the root down to an area."""
        path: list[Area] = []
        while area in self.areas and self.areas[area] not in path:
            path.insert(0, self.areas[area])
            area = self.areas[area].parent
        return path

    def sites_in(self, area: str, day: date) -> list[Site]:
        """The sites that lie somewhere in an area on a day, by their ids."""
        inside = self.within(area, day)
        return [site for _, site in sorted(self.sites.items()) if day in site.days and site.area_on(day) in inside]

    def stations_at(self, site: str, day: date) -> list[str]:
        """The stations that hang at a site on a day."""
        return sorted(point.kiosk for point in self.points if point.site == site and day in point.days)

    def site_of(self, kiosk: str, day: date) -> str | None:
        """Where a station hangs on a day."""
        return next((point.site for point in self.points if point.kiosk == kiosk and day in point.days), None)

    def without_station(self, day: date) -> list[Site]:
        """The sites of a day at which nothing hangs."""
        covered = {point.site for point in self.points if day in point.days}
        return [site for _, site in sorted(self.sites.items()) if day in site.days and site.id not in covered]

    def faults(self) -> list[Fault]:
        """Everything that cannot be, in order of areas, sites, points."""
        return [*self._faults_of_areas(), *self._faults_of_sites(), *self._faults_of_points()]

    def _faults_of_areas(self) -> Iterator[Fault]:
        for area in self.areas.values():
            parent = self.areas.get(area.parent)
            if area.parent and parent is None:
                yield Fault("area", area.id, f"its parent {area.parent!r} is no area")
            elif parent is not None and self._goes_round(area):
                yield Fault("area", area.id, f"it is a part of itself, by way of {area.parent!r}")
            elif parent is not None and not parent.days.covers(area.days):
                yield Fault(
                    "area", area.id, f"it is there {area.days}, and its parent {parent.id!r} only {parent.days}"
                )

    def _goes_round(self, area: Area) -> bool:
        seen, above = {area.id}, area.parent
        while above in self.areas:
            if above in seen:
                return True
            seen.add(above)
            above = self.areas[above].parent
        return False

    def _faults_of_sites(self) -> Iterator[Fault]:
        for site in self.sites.values():
            for name, days in site.areas:
                area = self.areas.get(name)
                if area is None:
                    yield Fault("site", site.id, f"it lies in {name!r}, which is no area")
                elif not area.days.covers(days):
                    yield Fault("site", site.id, f"it lies in {name!r} {days}, and that is there only {area.days}")
            spans = [days for _, days in site.areas]
            if any(one.until != other.begins for one, other in pairwise(spans)):
                yield Fault("site", site.id, "its areas do not follow each other day by day")

    def _faults_of_points(self) -> Iterator[Fault]:
        by_kiosk: defaultdict[str, list[Point]] = defaultdict(list)
        for point in self.points:
            site = self.sites.get(point.site)
            if site is None:
                yield Fault("point", point.kiosk, f"it hangs at {point.site!r}, which is no site")
            elif not site.days.covers(point.days):
                yield Fault(
                    "point", point.kiosk, f"it hangs at {point.site!r} {point.days}, and that is there only {site.days}"
                )
            for other in by_kiosk[point.kiosk]:
                if other.days.meets(point.days):
                    yield Fault(
                        "point", point.kiosk, f"it cannot hang at {other.site!r} and at {point.site!r} on one day"
                    )
            by_kiosk[point.kiosk].append(point)
