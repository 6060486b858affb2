"""What a Pi camera is asked for: streams, sensor modes, and what a sensor cannot give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.config import Camera
from kiosk.lens import optics, sensors
from kiosk.lens.optics import SensorMode

OV5647, IMX219, IMX708 = (sensors.MODES[size_px] for size_px in ((2592, 1944), (3280, 2464), (4608, 2592)))
ALL = ("ScalerCrop", "AfMode")
ARRAY_PX = (4608, 2592)


def _settings(**changes: object) -> Camera:
    return Camera.model_validate(changes)


@pytest.mark.parametrize(
    ("width_px", "height_px", "small_width_px", "small_px"),
    [
        (1280, 720, 640, (640, 360)),
        (1280, 720, 0, None),
        (640, 480, 640, None),
        (320, 240, 640, None),
        (1296, 972, 642, (642, 482)),
    ],
)
def test_small_stream_has_the_shape_of_the_frame(
    width_px: int, height_px: int, small_width_px: int, small_px: tuple[int, int] | None
) -> None:
    """Its sides are even, as the Pi wants them; there is none that would not be smaller."""
    settings = _settings(width_px=width_px, height_px=height_px, small_width_px=small_width_px)
    assert optics.small_size_px(settings) == small_px


@pytest.mark.parametrize(
    ("modes", "crop_px", "width_px", "fps", "size_px"),
    [
        pytest.param(IMX708, (1152, 648, 2304, 1296), 1152, 30, (1536, 864), id="half the pixels suffice, quickly"),
        pytest.param(IMX708, (0, 0, 2304, 1296), 1152, 30, (2304, 1296), id="a corner that the fast mode lacks"),
        pytest.param(IMX708, (1664, 936, 1280, 720), 1280, 30, (4608, 2592), id="pixels before rate"),
        pytest.param(IMX708, (1152, 648, 2304, 1296), 1152, 60, (1536, 864), id="rate among those with the pixels"),
        pytest.param(IMX708, (2000, 1000, 400, 225), 1280, 30, (4608, 2592), id="as many as there are"),
        pytest.param(IMX219, (1000, 872, 1280, 720), 1280, 30, (1920, 1080), id="middle of the sensor at full sharpness"),
        pytest.param(IMX219, (100, 100, 1280, 720), 1280, 30, (3280, 2464), id="its corner"),
        pytest.param(IMX219, (100, 100, 1280, 720), 640, 30, (1640, 1232), id="its corner, half the pixels"),
    ],
)  # fmt: skip
def test_mode_holds_the_region_with_all_its_pixels(
    modes: tuple[SensorMode, ...], crop_px: optics.CropPx, width_px: int, fps: int, size_px: tuple[int, int]
) -> None:
    """The smallest that has them; the fast one where both have."""
    mode = optics.mode_for(modes, crop_px, width_px, fps)
    assert mode is not None
    assert mode.size_px == size_px
    assert mode.bit_depth == 10


@settings(deadline=None)
@given(
    st.sampled_from([(IMX708, ARRAY_PX), (IMX219, (3280, 2464))]),
    st.tuples(*[st.floats(0, 0.9)] * 2, *[st.floats(0.02, 1)] * 2),
    st.integers(160, 2304).map(lambda half_px: 2 * half_px),
    st.integers(1, 120),
)
def test_no_other_mode_shows_a_region_sharper(
    sensor: tuple[tuple[SensorMode, ...], tuple[int, int]],
    region: tuple[float, float, float, float],
    width_px: int,
    fps: int,
) -> None:
    """Wherever the region is: the mode holds it, and no other that does has more of the pixels that the frame can show."""
    modes, array_px = sensor
    left, top, width, height = region
    crop_px = optics.crop_of((left, top, min(width, 1 - left), min(height, 1 - top)), array_px)
    mode = optics.mode_for(modes, crop_px, width_px, fps)
    assert mode is not None
    assert mode.holds(crop_px)
    shown_px = {other: min(width_px, other.width_px_of(crop_px)) for other in modes if other.holds(crop_px)}
    assert shown_px[mode] >= 0.979 * max(shown_px.values())


@pytest.mark.parametrize(
    ("region", "array_px", "modes", "fps"),
    [
        ((0.361, 0.361, 0.278, 0.278), ARRAY_PX, IMX708, 14),
        ((0.305, 0.354, 0.390, 0.292), (3280, 2464), IMX219, 30),
        ((0.253, 0.315, 0.494, 0.370), (2592, 1944), OV5647, 30),
    ],
)
def test_documented_regions_have_the_sensors_pixels(
    region: tuple[float, ...], array_px: tuple[int, int], modes: tuple[SensorMode, ...], fps: int
) -> None:
    """The table of docs/aiming.md: nothing to warn of, at the rate that it gives."""
    plan = optics.plan_for(_settings(region=region, fps=fps), ALL, array_px, modes)
    assert plan.warnings == ()
    assert plan.mode is not None
    assert plan.crop_px is not None
    assert plan.mode.width_px_of(plan.crop_px) == pytest.approx(1280, rel=0.01)


def test_rate_decides_between_modes_with_enough_pixels() -> None:
    """A mode that is too slow is left for one that reads more."""
    slow, fast = (
        SensorMode((1000, 500), (0, 0, 2000, 1000), 10, 10),
        SensorMode((2000, 1000), (0, 0, 2000, 1000), 60, 10),
    )
    assert optics.mode_for((slow, fast), (0, 0, 500, 250), 250, 30) == fast
    assert optics.mode_for((slow, fast), (0, 0, 500, 250), 250, 10) == slow


def test_region_that_no_mode_reads_is_left_to_the_camera() -> None:
    """No mode is asked for, and it is said that the view may be another."""
    assert optics.mode_for(IMX219[2:3], (0, 0, 100, 100), 100, 30) is None
    assert optics.mode_for((), (0, 0, 100, 100), 100, 30) is None
    plan = optics.plan_for(_settings(region=[0.4, 0.4, 0.5, 0.5]), ALL, (4656, 3496), sensors.modes_of((4656, 3496)))
    assert plan.mode is None
    assert "how this sensor of 4656 x 3496 pixels reads `camera.region` is not known" in plan.warnings[-1]


def test_sensor_is_known_by_its_size_and_by_what_the_kernel_lists() -> None:
    """Each of the maker's modules; a mode that this board's kernel lacks is not asked for."""
    for array_px, modes in sensors.MODES.items():
        assert sensors.modes_of(array_px) == modes
        assert any(mode.holds((0, 0, *array_px)) and mode.size_px == array_px for mode in modes)
        assert all(mode.crop_px[0] + mode.crop_px[2] <= array_px[0] for mode in modes)
    assert sensors.modes_of((4608, 2592), [{"size": (2304, 1296)}, {"format": "YUYV"}]) == IMX708[1:2]
    assert sensors.modes_of((1, 1)) == sensors.modes_of(None) == ()


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, None),
        ({"region": [0.25, 0.25, 1280 / 4608, 720 / 2592], "fps": 14}, None),
        (
            {"region": [0.4, 0.4, 0.2, 0.2], "fps": 14},
            "has 922 sensor pixels across, enlarged to 1280, which reads no smaller code; set width_px: 922, height_px: 518",
        ),
        (
            {"region": [0.25, 0.25, 1280 / 4608, 720 / 2592]},
            "the sensor gives this region 14 frames a second, not 30; set fps: 14",
        ),
        ({"region": [0.25, 0.0, 0.5, 1.0], "fps": 14}, "is stretched; set height_px: 1440"),
    ],
)  # fmt: skip
def test_what_the_sensor_cannot_give_is_said(changes: dict[str, object], warning: str | None) -> None:
    """Enlarged, stretched or slower than wished: each with the settings that would be right."""
    plan = optics.plan_for(_settings(**changes), ALL, ARRAY_PX, IMX708)
    assert len(plan.warnings) == (warning is not None)
    assert warning is None or warning in plan.warnings[0]


def test_frame_larger_than_the_sensor_is_said() -> None:
    """Also without a region."""
    plan = optics.plan_for(_settings(width_px=4000, height_px=2592), ALL, (3280, 2464), ())
    assert "has 3280 sensor pixels across, enlarged to 4000" in plan.warnings[0]
    assert (plan.crop_px, plan.mode) == (None, None)


@pytest.mark.parametrize(("known", "array_px"), [(("AfMode",), ARRAY_PX), (ALL, None)])
def test_camera_that_cannot_crop_is_not_asked_to(known: tuple[str, ...], array_px: tuple[int, int] | None) -> None:
    """The region is said to be of no use, instead of being dropped silently."""
    plan = optics.plan_for(_settings(region=[0.0, 0.0, 0.5, 0.5]), known, array_px, IMX708)
    assert plan.crop_px is None
    assert "ScalerCrop" not in plan.controls
    assert "cannot crop" in plan.warnings[0]


LIGHT = ("AeExposureMode", "AeFlickerMode", "AeFlickerPeriod")


@pytest.mark.parametrize(
    ("changes", "controls"),
    [
        ({}, {"AeExposureMode": 1, "AeFlickerMode": 1, "AeFlickerPeriod": 10_000}),
        ({"mains_hz": 60}, {"AeExposureMode": 1, "AeFlickerMode": 1, "AeFlickerPeriod": 8_333}),
        ({"mains_hz": 0}, {"AeExposureMode": 1, "AeFlickerMode": 0}),
        ({"exposure_mode": "normal"}, {"AeExposureMode": 0, "AeFlickerMode": 1, "AeFlickerPeriod": 10_000}),
    ],
)
def test_exposure_is_short_and_goes_by_the_mains(changes: dict[str, object], controls: dict[str, int]) -> None:
    """By default the gain grows before the exposure, and longer exposures are whole waves of the lamps' light."""
    plan = optics.plan_for(_settings(**changes), (*ALL, *LIGHT), ARRAY_PX, IMX708)
    assert {name: value for name, value in plan.controls.items() if name in LIGHT} == controls
    assert plan.warnings == ()


@pytest.mark.parametrize(
    ("known", "changes", "said"),
    [
        ((), {}, []),
        ((), {"exposure_mode": "short"}, ["`camera.exposure_mode` is not used: give `exposure_us`"]),
        ((), {"exposure_mode": "normal", "mains_hz": 0}, []),
        ((), {"mains_hz": 60}, ["`camera.mains_hz` is not used: remove it, or give an `exposure_us` of 8333"]),
        (LIGHT[:2], {"exposure_mode": "short", "mains_hz": 50}, ["`camera.mains_hz` is not used"]),
        (LIGHT[1:], {"exposure_mode": "short", "mains_hz": 50}, ["`camera.exposure_mode` is not used"]),
    ],
)
def test_control_that_a_camera_lacks_is_not_asked_for(
    known: tuple[str, ...], changes: dict[str, object], said: list[str]
) -> None:
    """picamera2 ends with an error where one is; it is said where the setting stands in the file, and only there."""
    plan = optics.plan_for(_settings(**changes), (*ALL, *known), ARRAY_PX, IMX708)
    assert set(plan.controls) & set(LIGHT) <= set(known)
    assert ("AeFlickerMode" in plan.controls) == ("AeFlickerPeriod" in known)
    assert len(plan.warnings) == len(said)
    assert all(words in warning for words, warning in zip(said, plan.warnings, strict=True))
