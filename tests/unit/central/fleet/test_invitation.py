"""The sheet of a provisioning code says what the station shows, and until when by the clock on the office's wall."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from central import paper
from central.fleet import invitation
from kiosk.cues import IN_VIETNAMESE, MEANINGS, CueName

ENDS = datetime(2026, 12, 3, 21, 42, tzinfo=UTC)


def _words(ends: datetime) -> tuple[dict[str, str], str]:
    """Its facts, and everything else in one text."""
    _, lines = invitation.sheet("so-y-te-1", "phong-an", ends)
    facts = {line.label: line.value for line in lines if isinstance(line, paper.Fact)}
    return facts, "\n".join(line for line in lines if isinstance(line, str))


@pytest.mark.parametrize(
    ("zone", "label", "value"),
    [
        ("Asia/Ho_Chi_Minh", "Hiệu lực đến (giờ Việt Nam)", "04:42, 04/12/2026"),
        ("Asia/Tokyo", "Hiệu lực đến (Asia/Tokyo)", "06:42, 04/12/2026"),
        ("UTC", "Hiệu lực đến (UTC)", "21:42, 03/12/2026"),
    ],
)
def test_sheet_ends_by_the_offices_clock(zone: str, label: str, value: str) -> None:
    """The end is printed in the office's zone, and the zone beside it."""
    facts, _ = _words(ENDS.astimezone(ZoneInfo(zone)))
    assert facts[label] == value


def test_sheet_names_the_lights_that_the_station_shows() -> None:
    """What waits, has taken the code, is set up and is ready looks on paper as on the panel, in both languages."""
    _, text = _words(ENDS)
    for name in (CueName.UNPROVISIONED, CueName.CODE_TAKEN, CueName.SET_UP, CueName.READY):
        assert IN_VIETNAMESE[name].light in text
        assert IN_VIETNAMESE[name].sound in text
        assert MEANINGS[name].partition(": ")[0] in text
