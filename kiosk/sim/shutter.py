"""What an exposure takes from a picture: a moving hand is smeared, a lamp on the mains draws bands, and little light is noisy.

A point that moves while the shutter is open leaves a line as long as its speed times the exposure. The rows of a sensor are not
exposed at once but one after another, and a lamp on the mains glows twice in each of their waves: rows that met more of the glow
are brighter, the more so the shorter the exposure is against the glow. So the shorter exposure has sharper hands and plainer bands.

What a camera makes of the light by itself is here, too, as far as the settings have a say in it. The room is such that a Camera Module 3
exposes for 15 ms in its own way, and for 5 ms with twice the gain where it is asked for short ones [1].

Units: `_px` pixels, `_s` seconds, `_us` microseconds, `_hz` hertz.

Sources:
    [1] libcamera, ipa/rpi/vc4/data/imx708.json, "exposure_modes"; agc_channel.cpp for what the mains change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.lens.optics import flicker_period_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kiosk.config import Camera

AUTOMATIC_US = {"short": 5_000, "normal": 15_000}
ROOM_HZ = 50
"""What feeds the lamps here, whatever a station's settings take it for."""
RIPPLE = 0.35
"""How far the light goes up and down around its mean: between a bulb, a tenth, and a cheap LED lamp, a whole."""
READOUT_S = 0.012
"""From the first row of a frame to the last."""
NOISE, NOISE_AT_US = 2.5, 15_000
"""Standard deviation of the noise, in steps of brightness, where no gain is needed."""


@dataclass(frozen=True, slots=True)
class Shutter:
    """How a simulated camera exposes.

    Attributes:
        exposure_us: How long; 0 for a moment without smear, bands or more noise than usual.
    """

    exposure_us: int = AUTOMATIC_US["short"]

    @property
    def open_s(self) -> float:
        """How long it is open."""
        return self.exposure_us / 1e6

    @property
    def noise(self) -> float:
        """Standard deviation of the noise: less light in the same room is more gain."""
        return NOISE * math.sqrt(NOISE_AT_US / self.exposure_us) if self.exposure_us else NOISE

    def banded(self, picture: NDArray[np.uint8], at_s: float) -> NDArray[np.uint8]:
        """A frame as the room's lamps light it; its brightest rows keep their brightness.

        Args:
            picture: The frame in even light.
            at_s: When its first row began to be exposed.
        """
        if not self.exposure_us:
            return picture
        glow_hz = 2 * ROOM_HZ
        depth = RIPPLE * float(np.sinc(glow_hz * self.open_s))
        middle_s = at_s + self.open_s / 2 + np.linspace(0, READOUT_S, picture.shape[0], dtype=np.float32)
        light = (1 + depth * np.cos(2 * np.pi * glow_hz * middle_s)) / (1 + abs(depth))
        rows = np.repeat(np.round(255 * light).astype(np.uint8)[:, None], picture.shape[1], axis=1)
        return np.asarray(cv2.multiply(picture, rows, scale=1 / 255), np.uint8)


def shutter_for(settings: Camera) -> Shutter:
    """How a camera with these settings exposes in this room.

    Args:
        settings: Exposure, its mode, and the mains.
    """
    if settings.exposure_us:
        return Shutter(settings.exposure_us)
    exposure_us = AUTOMATIC_US[settings.exposure_mode]
    if settings.mains_hz:
        period_us = flicker_period_us(settings.mains_hz)
        exposure_us = max(exposure_us // period_us * period_us, min(exposure_us, period_us))
    return Shutter(exposure_us)


def smeared(picture: NDArray[np.uint8], along_px: tuple[float, float]) -> NDArray[np.uint8]:
    """A picture whose every point has moved while it was exposed, evenly and on a straight line.

    Args:
        picture: As it was in the middle of the exposure.
        along_px: The way, across and down.
    """
    length_px = math.hypot(*along_px)
    if not length_px:
        return picture
    reach_px = math.ceil(max(map(abs, along_px)) / 2)
    trace = np.zeros((2 * reach_px + 3, 2 * reach_px + 3), np.float32)
    # Each of the places on the way is shared out among the four pixels around it.
    places = (np.arange(count := math.ceil(4 * length_px)) + 0.5) / count - 0.5
    x_px, y_px = (reach_px + 1 + places * way_px for way_px in along_px)
    column, row = np.floor(x_px).astype(int), np.floor(y_px).astype(int)
    for right, beside in ((0, 1 - (x_px - column)), (1, x_px - column)):
        for below, under in ((0, 1 - (y_px - row)), (1, y_px - row)):
            np.add.at(trace, (row + below, column + right), beside * under / count)
    return np.asarray(cv2.filter2D(picture, -1, trace, borderType=cv2.BORDER_REPLICATE), np.uint8)
