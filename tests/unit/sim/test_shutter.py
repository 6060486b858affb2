"""What an exposure takes from a picture: hands are smeared along their way, lamps draw bands, and the settings decide how much."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kiosk.config import Camera
from kiosk.sim.shutter import READOUT_S, RIPPLE, Shutter, shutter_for, smeared


@pytest.mark.parametrize("length_px", [0.5, 2.4, 7.0, 20.0])
@pytest.mark.parametrize("heading_deg", [0, 30, 90, 200])
def test_point_that_moves_leaves_a_line_of_its_way(length_px: float, heading_deg: float) -> None:
    """As long and as steep as the way, around the point, and with the point's light: no more and no less."""
    heading = math.radians(heading_deg)
    way_px = (length_px * math.cos(heading), length_px * math.sin(heading))
    dark = np.zeros((41, 41), np.uint8)
    dark[20, 20] = 250
    seen = smeared(dark, way_px).astype(float)
    rows, columns = np.mgrid[-20:21, -20:21]
    assert seen.sum() == pytest.approx(250, rel=0.1)
    assert (seen * rows).sum() == pytest.approx(0, abs=0.15 * seen.sum())
    along = columns * math.cos(heading) + rows * math.sin(heading)
    # A line's variance is a twelfth of its length squared; sharing out among pixels adds a fraction of one.
    variance = (seen * along**2).sum() / seen.sum()
    assert variance == pytest.approx(length_px**2 / 12, rel=0.05, abs=0.6)
    across = columns * math.sin(heading) - rows * math.cos(heading)
    assert (seen * across**2).sum() / seen.sum() < 0.6


def test_hand_at_rest_is_not_smeared() -> None:
    """No way, no change."""
    picture = np.random.default_rng(1).integers(0, 255, (30, 30)).astype(np.uint8)
    assert (smeared(picture, (0.0, 0.0)) == picture).all()


@pytest.mark.parametrize(
    ("exposure_us", "depth"), [(100, RIPPLE), (5_000, RIPPLE * 2 / math.pi), (10_000, 0.0), (20_000, 0.0)]
)
def test_bands_are_the_plainer_the_shorter_the_exposure(exposure_us: int, depth: float) -> None:
    """Rows differ as much as a lamp's light does over an exposure; not at all over whole waves of it."""
    even = np.full((720, 8), 240, np.uint8)
    rows = Shutter(exposure_us).banded(even, 0.3)[:, 0].astype(float)
    assert READOUT_S > 1 / 100, "a whole wave must be seen"
    assert (rows.max() - rows.min()) / (rows.max() + rows.min()) == pytest.approx(depth, abs=0.01)
    assert rows.max() >= 238


def test_moment_has_neither_smear_nor_bands() -> None:
    """An exposure of 0 is for whoever wants to measure without them."""
    even = np.full((20, 8), 240, np.uint8)
    assert (Shutter(0).banded(even, 0.3) == even).all()
    assert (Shutter(0).open_s, Shutter(0).noise) == (0.0, 2.5)
    assert Shutter(5_000).noise > Shutter(15_000).noise == 2.5


@pytest.mark.parametrize(
    ("settings", "exposure_us"),
    [
        ({}, 5_000),
        ({"mains_hz": 0}, 5_000),
        ({"exposure_mode": "normal"}, 10_000),
        ({"exposure_mode": "normal", "mains_hz": 60}, 8_333),
        ({"exposure_mode": "normal", "mains_hz": 0}, 15_000),
        ({"exposure_us": 12_345, "exposure_mode": "normal"}, 12_345),
    ],
)
def test_settings_decide_the_exposure(settings: dict[str, object], exposure_us: int) -> None:
    """Short by default; longer ones in whole waves of the mains; one that was given, as it was given."""
    assert shutter_for(Camera.model_validate(settings)) == Shutter(exposure_us)
