"""How well a camera stands: what one frame shows of a code, one sentence for the technician, and how fast to beep.

A camera at a door is aimed once, by somebody on a ladder who holds a test card and sees no screen. So everything is said
twice: as a line of numbers, and as beeps that quicken as it gets better.

Blur is measured where it matters, in the code: the contrast across the code divided by its steepest slopes is the width of
an edge, for an edge blurred by a Gaussian of standard deviation s it is s * sqrt(2 pi) [1]. Pixels alone add 0.8 to it. The
number of modules is that of the symbol as zxing-cpp draws it anew.

Units: `_px` pixels, `_ms` milliseconds; brightness 0 to 255.

Sources:
    [1] The slope of a blurred step of height h is largest in its middle, h / (s * sqrt(2 pi)); measured here on drawn codes
        of 2 to 10 pixels a module, s from 1 to 3 pixels: within a fifth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import cv2
import numpy as np
import zxingcpp

from kiosk.cues import Cue, CueName, Step
from kiosk.language.message import Message, joined, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from kiosk.lens.frame import Frame
    from kiosk.model import PointPx, Reading

GOOD_MODULE_PX = 3.0
WORST_MODULE_PX = 1.5
LARGEST_SHARE = 0.9
GOOD_CONTRAST = 60.0
WORST_CONTRAST = 20.0
DARK = 70.0
WASHED_OUT = 150.0
DAZZLED = 225.0
GOOD_BLUR_MODULES = 0.45
SHARP_BLUR_PX = 1.3
"""No lens and no pixels draw sharper."""
BLURRED_FRAME_PX = 3.5

SEARCHING_MS = 2000
SLOWEST_MS = 1000
FASTEST_MS = 120
BEEP_MS = 40

_MARGIN_SHARE = 0.2
_TO_SIGMA = 1 / math.sqrt(2 * math.pi)


class Verdict(Enum):
    """What the technician should do."""

    GOOD = say("good")
    CLOSER = say("move closer")
    FARTHER = say("move away")
    DARK = say("too dark: more light, a longer exposure or a lamp")
    BRIGHT = say("too bright: less light or a shorter exposure")
    FLAT = say("too little contrast: look for glare, dirt or a film on the lens")
    BLURRED = say("blurred: focus")
    BARELY = say("read, but barely: move closer, focus, or give more light")
    NO_CODE = say("no code in view: hold the test card up")
    NO_CODE_BLURRED = say("no code in view and nothing sharp: hold the test card up, focus")


@dataclass(frozen=True, slots=True)
class CodeInView:
    """Size of the code that was read.

    Attributes:
        modules: Modules across; None if they could not be counted.
        side_px: Mean length of its sides.
        share: Its side as a share of the frame's shorter one.
    """

    modules: int | None
    side_px: float
    share: float

    @property
    def module_px(self) -> float | None:
        """Pixels a module; None if the modules could not be counted."""
        return self.side_px / self.modules if self.modules else None


@dataclass(frozen=True, slots=True)
class View:
    """What one frame shows, of the code if there is one, else of everything.

    Attributes:
        mean: Mean brightness.
        dark: Brightness that a twentieth is below.
        light: Brightness that a twentieth is above.
        blur_px: Standard deviation of the blur of the steepest edges.
        code: The largest code that was read; None without one.
        exposure_us: Of the frame; None if unknown.
        lens_dioptres: Of the frame; None if unknown.
    """

    mean: float
    dark: float
    light: float
    blur_px: float
    code: CodeInView | None = None
    exposure_us: int | None = None
    lens_dioptres: float | None = None

    @property
    def contrast(self) -> float:
        """From dark to light."""
        return self.light - self.dark


def verdict_of(view: View) -> Verdict:
    """One sentence: light before distance before focus, because each is judged wrongly while the one before is wrong."""
    if view.light < DARK:
        return Verdict.DARK
    if view.dark > WASHED_OUT or view.mean > DAZZLED:
        return Verdict.BRIGHT
    if view.code is None:
        blurred = view.contrast > GOOD_CONTRAST and view.blur_px > BLURRED_FRAME_PX
        return Verdict.NO_CODE_BLURRED if blurred else Verdict.NO_CODE
    return _verdict_of_code(view, view.code)


def _verdict_of_code(view: View, code: CodeInView) -> Verdict:
    if view.contrast < GOOD_CONTRAST:
        return Verdict.FLAT
    if code.share > LARGEST_SHARE:
        return Verdict.FARTHER
    if code.module_px is None:
        return Verdict.BARELY
    if code.module_px < GOOD_MODULE_PX:
        return Verdict.CLOSER
    if view.blur_px > max(SHARP_BLUR_PX, GOOD_BLUR_MODULES * code.module_px):
        return Verdict.BLURRED
    return Verdict.GOOD


def quality_of(view: View) -> float:
    """How good it is: 0 without a code, above 0 with one, 1 when nothing is left to do."""
    if verdict_of(view) is Verdict.GOOD:
        return 1.0
    if view.code is None:
        return 0.0
    module_px = view.code.module_px or WORST_MODULE_PX
    nearness = _share(module_px, WORST_MODULE_PX, GOOD_MODULE_PX) if view.code.share <= LARGEST_SHARE else 0.5
    sharpness = _share(-max(0.0, view.blur_px - SHARP_BLUR_PX) / module_px, -1.0, 0.0)
    contrast = _share(view.contrast, WORST_CONTRAST, GOOD_CONTRAST)
    return min(0.95, max(0.05, nearness * sharpness * contrast))


def _share(value: float, worst: float, good: float) -> float:
    return min(1.0, max(0.0, (value - worst) / (good - worst)))


def interval_ms(quality: float) -> int:
    """Time from beep to beep; each step of quality quickens it by the same ratio, as ears compare.

    Args:
        quality: As `quality_of` has it.
    """
    return round(SLOWEST_MS * (FASTEST_MS / SLOWEST_MS) ** quality) if quality else SEARCHING_MS


def beep_for(quality: float) -> Cue:
    """One beep: higher and whiter as it gets better; never green, which means that an entry is recorded.

    Args:
        quality: As `quality_of` has it.
    """
    level = round(30 + 225 * quality)
    return Cue(CueName.AIM, (Step((level, level, level), round(440 * 4**quality), BEEP_MS),))


def best_of(views: Iterable[View]) -> View:
    """The best of the last few frames: a tremble, or the other one of two exposures, is no reason to turn the screw."""
    return max(views, key=quality_of)


def line_of(view: View) -> Message:
    """The verdict and the numbers behind it, for a terminal."""
    parts = []
    if view.code is not None:
        module_px, side_px, modules = view.code.module_px, view.code.side_px, view.code.modules
        if module_px is None:
            parts += [say("modules not counted"), say("code {side_px:.0f} px", side_px=side_px)]
        else:
            parts.append(say("{module_px:.1f} px a module", module_px=module_px))
            parts.append(say("code {side_px:.0f} px of {modules} modules", side_px=side_px, modules=modules))
    parts.append(say("blur {blur_px:.1f} px", blur_px=view.blur_px))
    parts.append(say("brightness {mean:.0f}", mean=view.mean))
    parts.append(say("contrast {contrast:.0f}", contrast=view.contrast))
    if view.exposure_us is not None:
        parts.append(say("exposure {exposure_ms:.1f} ms", exposure_ms=view.exposure_us / 1000))
    if view.lens_dioptres is not None:
        parts.append(say("lens {lens_dioptres:.1f} dioptres", lens_dioptres=view.lens_dioptres))
    return joined(" | ", [verdict_of(view).value, joined(", ", parts)])


class Gauge:
    """Measures frames; remembers how many modules the code has that is held up, so as to count them once."""

    def __init__(self) -> None:
        self._counted: tuple[bytes, int] = (b"", 0)

    def view(self, frame: Frame, readings: Iterable[Reading]) -> View:
        """What this frame shows.

        Args:
            frame: The frame.
            readings: The codes that were read in it; the largest counts.
        """
        reading = max(readings, key=lambda reading: _side_px(reading.corners_px), default=None)
        if reading is None:
            return _measured(frame, frame.luma, None, None)
        inside_px = _inside(reading.corners_px, frame.luma.shape)
        left, top, right, bottom = _box(inside_px, frame.luma.shape, 0)
        patch = frame.luma[top:bottom, left:right]
        mask = np.zeros(patch.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.rint(inside_px - (left, top)).astype(np.int32), 1)
        side_px = _side_px(reading.corners_px)
        code = CodeInView(self._modules(frame.luma, reading), side_px, side_px / min(frame.luma.shape))
        return _measured(frame, patch, mask.astype(bool), code)

    def _modules(self, luma: NDArray[np.uint8], reading: Reading) -> int | None:
        payload, modules = self._counted
        if payload != reading.payload:
            modules = modules_of(luma, reading) or 0
            self._counted = (reading.payload if modules else b"", modules)
        return modules or None


def modules_of(luma: NDArray[np.uint8], reading: Reading) -> int | None:
    """How many modules a code has across; None if zxing-cpp alone does not read it.

    Args:
        luma: The picture.
        reading: The code that was read in it.
    """
    margin_px = round(_MARGIN_SHARE * _side_px(reading.corners_px))
    left, top, right, bottom = _box(_inside(reading.corners_px, luma.shape), luma.shape, margin_px)
    patch = np.ascontiguousarray(luma[top:bottom, left:right])
    for code in zxingcpp.read_barcodes(patch, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel2])):
        if bytes(code.bytes) == reading.payload:
            return int(np.asarray(code.to_image(scale=1, add_quiet_zones=False)).shape[0])
    return None


def _measured(frame: Frame, patch: NDArray[np.uint8], mask: NDArray[np.bool_] | None, code: CodeInView | None) -> View:
    slopes = _slopes(patch)
    # A code is full of edges; of a whole frame the few sharpest count, and a coarse grid of it is enough.
    values, steep = (patch[::4, ::4], 99.9) if mask is None else (patch[mask], 99)
    dark, light = (float(level) for level in np.percentile(values, (5, 95)))
    steepest = np.percentile(slopes[::2, ::2] if mask is None else slopes[mask], steep)
    blur_px = (light - dark) / max(float(steepest), 0.1) * _TO_SIGMA
    return View(float(values.mean()), dark, light, blur_px, code, frame.exposure_us, frame.lens_dioptres)


def _slopes(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Change of brightness from pixel to pixel, with Sobel's smoothing against noise."""
    across, down = (cv2.Sobel(patch, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _side_px(corners_px: tuple[PointPx, ...]) -> float:
    return sum(math.dist(corners_px[i - 1], corners_px[i]) for i in range(4)) / 4


def _inside(corners_px: tuple[PointPx, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Corners that lie beyond the picture, drawn in to its edge."""
    return np.clip(np.array(corners_px, np.float64), 0, (shape[1] - 1, shape[0] - 1))


def _box(corners_px: NDArray[np.float64], shape: tuple[int, ...], margin_px: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom around a code, inside the picture."""
    left, top = (int(low) for low in np.maximum(np.floor(corners_px.min(0)) - margin_px, 0))
    right, bottom = (int(high) for high in np.minimum(np.ceil(corners_px.max(0)) + margin_px + 1, (shape[1], shape[0])))
    return left, top, right, bottom
