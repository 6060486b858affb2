"""The office's zone, as a provisioning code tells it to a station."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from central.commands.options import zone
from central.commands.provision import _zone
from kiosk.errors import FleetError


@pytest.mark.parametrize("text", ["Asia/Ho_Chi_Minh", "Europe/Berlin", "+07:00", "-03:00", "+00:00"])
def test_station_has_the_hours_of_the_office(text: str) -> None:
    """By a name that stations know, also where the office has it as a distance from UTC."""
    at = datetime(2026, 7, 1, 12, tzinfo=zone(text))
    assert at.astimezone(ZoneInfo(_zone(zone(text)))).hour == 12


def test_distance_that_no_name_has_is_refused() -> None:
    """Half hours have places, and no names of their own."""
    with pytest.raises(FleetError, match="by name"):
        _zone(timezone(timedelta(hours=5, minutes=30)))
