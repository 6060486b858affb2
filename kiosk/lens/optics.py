"""What a Pi camera is asked for: streams, sensor mode, crop, exposure and focus, decided before the camera is touched.

The settings speak of shares of the sensor; libcamera speaks of sensor pixels, and only within what the chosen mode reads.
Left to itself, picamera2 picks the mode by the size of the frame alone [1], and that may be a binned one or the middle of
the sensor: a small region would be an enlarged blur, or another place. So when a region is set, the mode is picked here:
the smallest that holds the whole region and has a pixel for every pixel of the frame, if there is one.

Units: `_px` pixels (of the sensor where a crop is meant), `_us` microseconds.

Sources:
    [1] picamera2, `_make_libcamera_config` (`score_mode`).
    [2] libcamera, controls: ScalerCrop is in native sensor pixels even when the sensor bins; AfMode 0 manual, 2 continuous;
        AfRange 1 macro, 2 full; AfSpeed 1 fast; AfMetering 1 windows; FrameDurationLimits clips ExposureTime.
    [3] libcamera, ipa/rpi/controller/rpi/af.cpp: focus windows are in sensor pixels; without one, the middle half by the
        middle third of what the mode reads, wherever the crop is.
    [4] github.com/raspberrypi/picamera2, pull requests 1134 and 1396: a camera with ScalerCrops obeys these alone, and
        `configure` sets them anew: they are set again behind it.
    [5] libcamera, ipa/rpi: AeExposureMode 0 normal, 1 short; agc_channel.cpp keeps the profile that it has where the tuning lacks the one
        asked for (every tuning of the maker's has "short", but uncalibrated.json); AeFlickerMode 0 off, 1 manual; AeFlickerPeriod in
        microseconds makes exposures of a period and more whole periods, where neither exposure nor gain is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kiosk.language.message import say

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kiosk.config import Camera

CropPx = tuple[int, int, int, int]
"""Left, top, width, height."""

WHOLE = (0.0, 0.0, 1.0, 1.0)
_AF_MANUAL, _AF_CONTINUOUS = 0, 2
_AF_RANGE_MACRO, _AF_RANGE_FULL = 1, 2
_AF_SPEED = {"normal": 0, "fast": 1}
_AF_METERING_WINDOWS = 1
_AE_MODE = {"normal": 0, "short": 1}
_LIGHT_NEEDS = {"exposure_mode": {"AeExposureMode"}, "mains_hz": {"AeFlickerMode", "AeFlickerPeriod"}}
"""The controls without which a setting can do nothing."""
_FLICKER_OFF, _FLICKER_MANUAL = 0, 1
_SLACK_PX = 4
"""Rounding of shares, and of what a mode reads, is no reason to refuse it."""
_ENOUGH = 0.98
"""Modes that read a few pixels more than they give are not called binned."""


@dataclass(frozen=True, slots=True)
class SensorMode:
    """One way in which a sensor can be read.

    Attributes:
        size_px: Pixels that come out, width and height.
        crop_px: Part of the sensor that they cover.
        fps: Frames a second, at most.
        bit_depth: Bits a pixel.
    """

    size_px: tuple[int, int]
    crop_px: CropPx
    fps: float
    bit_depth: int

    def holds(self, crop_px: CropPx) -> bool:
        """Whether this part of the sensor is read at all."""
        left, top, width, height = crop_px
        own_left, own_top, own_width, own_height = self.crop_px
        return (
            left >= own_left - _SLACK_PX
            and top >= own_top - _SLACK_PX
            and left + width <= own_left + own_width + _SLACK_PX
            and top + height <= own_top + own_height + _SLACK_PX
        )

    def width_px_of(self, crop_px: CropPx) -> float:
        """How many pixels across this part of the sensor comes out as."""
        return crop_px[2] * self.size_px[0] / self.crop_px[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of one camera.

    Attributes:
        frame_px: Width and height of the full stream.
        small_px: Width and height of the small stream; None without one.
        controls: libcamera's controls from the first frame on.
        crop_px: Part of the sensor in view; None for all that the mode reads.
        mode: The sensor mode to ask for; None leaves it to picamera2.
        warnings: What the settings cannot get from this sensor, each with its remedy.
    """

    frame_px: tuple[int, int]
    small_px: tuple[int, int] | None
    controls: dict[str, Any]
    crop_px: CropPx | None
    mode: SensorMode | None
    warnings: tuple[str, ...]


def plan_for(
    settings: Camera, known: Iterable[str], array_px: tuple[int, int] | None, modes: tuple[SensorMode, ...]
) -> Plan:
    """What to ask for.

    Args:
        settings: Size, rate, focus, exposure and region.
        known: Names of the controls that the camera has.
        array_px: Width and height of the sensor; None if it does not say.
        modes: How the sensor can be read; needed only for a region.
    """
    known = frozenset(known)
    frame_px = (settings.width_px, settings.height_px)
    crop_px = mode = None
    if array_px is not None and "ScalerCrop" in known and settings.region != WHOLE:
        crop_px = crop_of(settings.region, array_px)
        mode = mode_for(modes, crop_px, settings.width_px, settings.fps)
    controls = controls_for(settings, known, crop_px)
    warnings = () if array_px is None else tuple(_warnings(settings, array_px, crop_px, mode))
    if crop_px is not None and mode is None:
        warnings = (*warnings, _mode_unknown(array_px or (0, 0)))
    if crop_px is None and settings.region != WHOLE:
        warnings = (say("this camera cannot crop; `camera.region` is not used: set it to [0.0, 0.0, 1.0, 1.0]"),)
    lacks = [name for name, needed in _LIGHT_NEEDS.items() if not needed <= known]
    warnings = (*warnings, *light_warnings(settings, lacks))
    return Plan(frame_px, small_size_px(settings), controls, crop_px, mode, warnings)


def _mode_unknown(array_px: tuple[int, int]) -> str:
    return say(
        "how this sensor of {width_px} x {height_px} pixels reads `camera.region` is not known: it may show another place, or an enlarged one;"
        " compare with `kiosk aim`, or set it to [0.0, 0.0, 1.0, 1.0]",
        width_px=array_px[0],
        height_px=array_px[1],
    )


def small_size_px(settings: Camera) -> tuple[int, int] | None:
    """Width and height of the small stream, in the frame's shape; None if there is none, or it would not be smaller."""
    if not 0 < settings.small_width_px < settings.width_px:
        return None
    return settings.small_width_px, 2 * round(settings.height_px * settings.small_width_px / settings.width_px / 2)


def crop_of(region: tuple[float, float, float, float], array_px: tuple[int, int]) -> CropPx:
    """Shares of the sensor as its pixels.

    Args:
        region: Left, top, width, height, 0 to 1.
        array_px: Width and height of the sensor.
    """
    left, top, width, height = region
    return round(left * array_px[0]), round(top * array_px[1]), round(width * array_px[0]), round(height * array_px[1])


def mode_for(modes: tuple[SensorMode, ...], crop_px: CropPx, width_px: int, fps: int) -> SensorMode | None:
    """The mode for a region: pixels before rate, because a blurred small code is not read at any rate; then the least work.

    Args:
        modes: How the sensor can be read.
        crop_px: The region.
        width_px: Width of the frame that is made of it.
        fps: Frames a second that are wished for.

    Returns:
        None if no mode holds the region.
    """
    wanted_px = min(width_px, crop_px[2])

    def order(mode: SensorMode) -> tuple[float, bool, int, int]:
        missing_px = max(0.0, _ENOUGH * wanted_px - mode.width_px_of(crop_px))
        return missing_px, mode.fps < fps, mode.size_px[0] * mode.size_px[1], -mode.bit_depth

    return min((mode for mode in modes if mode.holds(crop_px)), key=order, default=None)


def controls_for(settings: Camera, known: frozenset[str], crop_px: CropPx | None) -> dict[str, Any]:
    """Controls of libcamera for these settings.

    Args:
        settings: Rate, focus and exposure.
        known: Names of the controls that the camera has.
        crop_px: Part of the sensor in view; None for all.
    """
    frame_us = round(1_000_000 / settings.fps)
    controls: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    # One of the two alone leaves the other to libcamera: a short exposure with the gain that the light needs.
    if settings.exposure_us:
        controls["ExposureTime"] = settings.exposure_us
    if settings.gain:
        controls["AnalogueGain"] = settings.gain
    if settings.exposure_us and settings.gain:
        controls["AeEnable"] = False
    controls |= _light_controls(settings, known)
    if crop_px is not None:
        controls["ScalerCrop"] = crop_px
    return controls | _focus_controls(settings, known, crop_px)


def _light_controls(settings: Camera, known: frozenset[str]) -> dict[str, Any]:
    """How the automatic exposure goes about it; a fixed one does not mind. A sensor whose tuning has no short profile keeps its own [5]."""
    controls: dict[str, Any] = {}
    if known >= _LIGHT_NEEDS["exposure_mode"]:
        controls["AeExposureMode"] = _AE_MODE[settings.exposure_mode]
    if known >= _LIGHT_NEEDS["mains_hz"]:
        controls["AeFlickerMode"] = _FLICKER_OFF
    if settings.mains_hz and "AeFlickerMode" in controls:
        controls |= {"AeFlickerMode": _FLICKER_MANUAL, "AeFlickerPeriod": flicker_period_us(settings.mains_hz)}
    return controls


def flicker_period_us(mains_hz: int) -> int:
    """How long a lamp on such mains takes from bright to bright: it goes dark twice in a wave.

    Args:
        mains_hz: Frequency of the mains, greater than 0.
    """
    return round(500_000 / mains_hz)


def light_warnings(settings: Camera, lacks: Collection[str]) -> Iterable[str]:
    """What a camera cannot do of what was asked for by name: nobody needs to hear that a default is not there.

    Args:
        settings: How the exposure grows, and the mains.
        lacks: Names of those settings that it cannot follow.
    """
    asked = settings.model_fields_set & set(lacks)
    if "exposure_mode" in asked and settings.exposure_mode == "short":
        yield say(
            "this camera knows no short exposure; `camera.exposure_mode` is not used: give `exposure_us`, or remove it"
        )
    if "mains_hz" in asked and settings.mains_hz:
        yield say(
            "this camera cannot go by the mains; `camera.mains_hz` is not used: remove it, or give an `exposure_us` of {period_us} or a multiple",
            period_us=flicker_period_us(settings.mains_hz),
        )


def _focus_controls(settings: Camera, known: frozenset[str], crop_px: CropPx | None) -> dict[str, Any]:
    """None for a module without a motor; each of the finer ones only where it is known."""
    if "AfMode" not in known or settings.autofocus == "off":
        return {}
    if settings.autofocus == "manual":
        return {"AfMode": _AF_MANUAL, "LensPosition": settings.lens_dioptres}
    near = settings.autofocus == "macro"
    controls: dict[str, Any] = {"AfMode": _AF_CONTINUOUS, "AfRange": _AF_RANGE_MACRO if near else _AF_RANGE_FULL}
    if "AfSpeed" in known:
        controls["AfSpeed"] = _AF_SPEED[settings.autofocus_speed]
    if crop_px is not None and {"AfMetering", "AfWindows"} <= known:
        controls |= {"AfMetering": _AF_METERING_WINDOWS, "AfWindows": [crop_px]}
    return controls


def _warnings(
    settings: Camera, array_px: tuple[int, int], crop_px: CropPx | None, mode: SensorMode | None
) -> Iterable[str]:
    _, _, width_px, height_px = crop_px or (0, 0, *array_px)
    real_px = width_px if mode is None else min(width_px, round(mode.width_px_of((0, 0, width_px, height_px))))
    scale_x, scale_y = settings.width_px / width_px, settings.height_px / height_px
    if real_px < _ENOUGH * settings.width_px:
        fitting_px = f"width_px: {real_px // 2 * 2}, height_px: {round(real_px * height_px / width_px) // 2 * 2}"
        yield say(
            "`camera.region` has {real_px} sensor pixels across, enlarged to {width_px}, which reads no smaller code;"
            " set {fitting_px}, or a larger region",
            real_px=real_px,
            width_px=settings.width_px,
            fitting_px=fitting_px,
        )
    if crop_px is not None and not 0.95 < scale_x / scale_y < 1.05:
        height_wanted_px = round(settings.width_px * height_px / width_px / 2) * 2
        yield say(
            "`camera.region` has another shape than the frame and is stretched; set height_px: {height_px}",
            height_px=height_wanted_px,
        )
    if mode is not None and mode.fps < 0.95 * settings.fps:
        yield say(
            "the sensor gives this region {sensor_fps:.0f} frames a second, not {fps};"
            " set fps: {fitting_fps}, or fewer pixels for the region",
            sensor_fps=mode.fps,
            fps=settings.fps,
            fitting_fps=int(mode.fps),
        )
