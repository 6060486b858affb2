"""The register in its tables: read as a whole, for it is small, and written in one transaction or not at all.

What is taken in is judged together with what is there before anything is kept, so that the register never holds what cannot be
(`central.supervise.places.District.faults`).

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from central.supervise import hours
from central.supervise.places import Area, Days, District, Point, Site
from kiosk.errors import SupervisionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from central.supervise.database import Database
    from central.supervise.places import Fault

ROLES = {
    "district": "everything below an area: all pages, officers, papers",
    "commune": "everything below an area: rounds and reminders",
    "site": "one site: its own counts and posters",
    "technician": "stations, versions and health below an area; no people's numbers",
    "auditor": "who has looked at what, everywhere; nothing else",
}
"""What an officer may be, and what that is for."""


@dataclass(frozen=True, slots=True)
class Officer:
    """Somebody who may look.

    Attributes:
        id: The name by which he signs in.
        name: As people write it.
        role: One of `ROLES`.
        area: Where, and everything below it.
        site: The one site of a "site" officer; empty otherwise.
        disabled_s: Since when he may not any more; None while he may.
    """

    id: str
    name: str
    role: str
    area: str
    site: str = ""
    disabled_s: int | None = None


class Refused(SupervisionError):  # noqa: N818  what was refused, not what went wrong in the database
    """What was to be taken in cannot be; nothing of it was."""

    hint = "mend these and take all of it in again; nothing was taken in"

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.what} {fault.id}: {fault.why}" for fault in faults[:5]))
        self.faults = faults


class Register:
    """The register of one office."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def district(self) -> District:
        """All areas, sites and points."""
        areas = [
            Area(id_, parent, kind, name, _days(begins, until), name_en, population)
            for id_, parent, kind, name, name_en, population, begins, until in self._db.all(
                "SELECT id, parent, kind, name, name_en, population, begins, until FROM area ORDER BY id"
            )
        ]
        lies: dict[str, list[tuple[str, Days]]] = {}
        for site, area, begins, until in self._db.all(
            "SELECT site, area, begins, until FROM lies ORDER BY site, begins"
        ):
            lies.setdefault(site, []).append((area, _days(begins, until)))
        sites = [_site(row, tuple(lies.get(row[0], ()))) for row in self._db.all(_SELECT_SITES)]
        points = [
            Point(kiosk, site, _days(begins, until))
            for kiosk, site, begins, until in self._db.all(
                "SELECT kiosk, site, begins, until FROM point ORDER BY kiosk, begins"
            )
        ]
        return District(areas, sites, points)

    def take(
        self,
        areas: Iterable[Area] = (),
        sites: Iterable[Site] = (),
        points: Iterable[Point] = (),
        *,
        only_judge: bool = False,
    ) -> tuple[int, int]:
        """Take in what is new or has changed, all of it or nothing.

        Args:
            areas: By their ids in the place of what is there.
            sites: The same.
            points: By station and first day; a station that hangs elsewhere from a day on is taken down there on that day.
            only_judge: Whether nothing is kept.

        Returns:
            How many are new, and how many have changed.

        Raises:
            Refused: Something of it cannot be.
            SupervisionError: It cannot be written.
        """
        with self._db.transaction():
            before = self.district()
            hung = list(before.points)
            for point in points:
                hung = _hung(hung, point)
            wanted = District(
                {**before.areas, **{area.id: area for area in areas}}.values(),
                {**before.sites, **{site.id: site for site in sites}}.values(),
                hung,
            )
            if faults := wanted.faults():
                raise Refused(faults)
            areas = [area for id_, area in wanted.areas.items() if before.areas.get(id_) != area]
            sites = [site for id_, site in wanted.sites.items() if before.sites.get(id_) != site]
            old = {_key(point): point for point in before.points}
            points = [point for point in wanted.points if old.get(_key(point)) != point]
            if not only_judge:
                self._keep(areas, sites, points)
            is_known = [area.id in before.areas for area in areas] + [site.id in before.sites for site in sites]
            is_known += [_key(point) in old for point in points]
            return is_known.count(False), is_known.count(True)

    def _keep(self, areas: list[Area], sites: list[Site], points: list[Point]) -> None:
        self._db.run(
            "INSERT INTO area (id, parent, kind, name, name_en, population, begins, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, kind = excluded.kind, name = excluded.name,"
            " name_en = excluded.name_en, population = excluded.population, begins = excluded.begins, until = excluded.until",
            [(a.id, a.parent, a.kind, a.name, a.name_en, a.population, *_texts(a.days)) for a in areas],
        )
        self._db.run("DELETE FROM lies WHERE site = ?", [(site.id,) for site in sites])
        self._db.run(
            _PUT_SITE,
            [_row(site) for site in sites],
        )
        self._db.run(
            "INSERT INTO lies (site, area, begins, until) VALUES (?, ?, ?, ?)",
            [(site.id, area, *_texts(days)) for site in sites for area, days in site.areas],
        )
        self._db.run(
            "INSERT INTO point (kiosk, site, begins, until) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kiosk, begins) DO UPDATE SET site = excluded.site, until = excluded.until",
            [(point.kiosk, point.site, *_texts(point.days)) for point in points],
        )

    def close_site(self, site: str, until: date) -> None:
        """From a day on a site is none any more, and what hangs there hangs nowhere.

        Raises:
            SupervisionError: There is no such site, or it was closed before.
        """
        known = self.district()
        if site not in known.sites:
            raise SupervisionError(f"there is no site {site!r}", hint="`central site list` names them")
        old = known.sites[site]
        if old.days.until is not None:
            raise SupervisionError(f"site {site} is closed since {old.days.until}", hint="nothing is left to do")
        areas = tuple((area, _ended(days, until)) for area, days in old.areas if days.begins < until)
        points = [
            replace(point, days=_ended(point.days, until))
            for point in known.points
            if point.site == site and (point.days.until is None or until < point.days.until)
        ]
        self.take(sites=[replace(old, areas=areas, days=_ended(old.days, until))], points=points)

    def officers(self) -> list[Officer]:
        """All of them, by their ids."""
        query = "SELECT id, name, role, area, site, disabled_s FROM officer ORDER BY id"
        return [Officer(*row) for row in self._db.all(query)]

    def put_officer(self, officer: Officer) -> None:
        """Take one in, or another role or place of one that is known.

        Raises:
            SupervisionError: The area or the site is not known, or the role has none of that kind.
        """
        known = self.district()
        if officer.role not in ROLES:
            raise SupervisionError(f"{officer.role!r} is no role", hint=f"a role is one of {', '.join(ROLES)}")
        if officer.area not in known.areas:
            raise SupervisionError(f"there is no area {officer.area!r}", hint="`central area list` names them")
        if (officer.role == "site") != bool(officer.site):
            raise SupervisionError(
                f"a {officer.role} officer and a site: {officer.site!r}",
                hint="--site is for the role site, and that needs it",
            )
        if officer.site and officer.site not in known.sites:
            raise SupervisionError(f"there is no site {officer.site!r}", hint="`central site list` names them")
        self._db.run(
            "INSERT INTO officer (id, name, role, area, site, made_s, disabled_s) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO"
            " UPDATE SET name = excluded.name, role = excluded.role, area = excluded.area, site = excluded.site, disabled_s = excluded.disabled_s",
            [
                (
                    officer.id,
                    officer.name,
                    officer.role,
                    officer.area,
                    officer.site,
                    round(time.time()),
                    officer.disabled_s,
                )
            ],
        )


_SELECT_SITES = """
SELECT id, kind, name, address, contact, phone, hours, longest_stay_min, lag_min, needs, exempt, begins, until FROM site ORDER BY id
"""
_PUT_SITE = """
INSERT INTO site (id, kind, name, address, contact, phone, hours, longest_stay_min, lag_min, needs, exempt, begins, until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    kind = excluded.kind, name = excluded.name, address = excluded.address, contact = excluded.contact, phone = excluded.phone,
    hours = excluded.hours, longest_stay_min = excluded.longest_stay_min, lag_min = excluded.lag_min, needs = excluded.needs,
    exempt = excluded.exempt, begins = excluded.begins, until = excluded.until
"""


def _site(row: tuple[Any, ...], areas: tuple[tuple[str, Days], ...]) -> Site:
    id_, kind, name, address, contact, phone, open_, longest_stay_min, lag_min, needs, exempt, begins, until = row
    return Site(
        id=id_, areas=areas, kind=kind, name=name, days=_days(begins, until), hours=hours.read(open_), address=address, contact=contact,
        phone=phone, longest_stay_min=longest_stay_min, lag_min=lag_min, needs=tuple(needs.split()),
        exempt=tuple(_days(*each) for each in json.loads(exempt)),
    )  # fmt: skip


def _row(site: Site) -> tuple[object, ...]:
    exempt = json.dumps([_texts(days) for days in site.exempt])
    return (
        site.id, site.kind, site.name, site.address, site.contact, site.phone, str(site.hours), site.longest_stay_min, site.lag_min,
        " ".join(site.needs), exempt, *_texts(site.days),
    )  # fmt: skip


def _hung(points: Iterable[Point], new: Point) -> list[Point]:
    """The points with a new one: where the station hung until now, it is taken down on that day."""
    kept = []
    for point in points:
        if point.kiosk != new.kiosk or point.days.begins > new.days.begins:
            kept.append(point)
        elif point.days.begins < new.days.begins:
            kept.append(
                replace(point, days=_ended(point.days, new.days.begins)) if new.days.begins in point.days else point
            )
    return [*kept, new]


def _key(point: Point) -> tuple[str, date]:
    return point.kiosk, point.days.begins


def _ended(days: Days, until: date) -> Days:
    return replace(days, until=until if days.until is None else min(days.until, until))


def _days(begins: str, until: str | None) -> Days:
    return Days(date.fromisoformat(begins), date.fromisoformat(until) if until else None)


def _texts(days: Days) -> tuple[str, str | None]:
    return days.begins.isoformat(), days.until.isoformat() if days.until else None
