"""The passes as data: how a picture is prepared, and how zxing-cpp or zbar is called on it.

A pass looks at a part of a picture and returns what it found: codes, as the bytes that are in the symbol, and near misses,
which are codes whose place is known and whose bits are not. Text is never taken: engines guess character sets, and a guess
garbles Vietnamese without a word. No pass looks at more than `PIXELS_MAX` pixels after its preparation, so that one pass is
bounded whatever is shown.

`chance` and `cost` were measured by `make bench-decode`; see docs/decoding.md. They are what the schedule begins with.

Units: `_px` pixels, `_deg` degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import zxingcpp

from kiosk.reading import grid
from kiosk.reading.schedule import Plan, Scope, Trait
from kiosk.reading.symbol import corners_px, is_fragment, modules_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kiosk.reading.evidence import Box
    from kiosk.reading.symbol import Corners
    from kiosk.reading.zbar import ZbarScanner

    Luma = NDArray[np.uint8]

PIXELS_MAX = 1_000_000
"""A prepared picture has no more pixels than this: the scale gives way."""
CHEAP = "zxing"
GRID = "grid"
ZBAR = "zbar"
SYMBOLS = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel1, zxingcpp.BarcodeFormat.QRCodeModel2])
_LOCAL, _GLOBAL = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram


@dataclass(frozen=True, slots=True)
class Found:
    """A code in a picture.

    Attributes:
        payload: Its bytes; empty for a near miss.
        corners: Of the symbol, clockwise from its own upper left, in the pixels of the whole picture.
        modules: Modules across, 0 if unknown.
    """

    payload: bytes
    corners: Corners
    modules: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A pass of zxing-cpp: a plan, and how to prepare the picture. The steps are done in the order of the fields.

    Attributes:
        plan: As the schedule knows it.
        smooth_px: Gaussian blur against noise, standard deviation; 0 for none.
        box_px: Mean over a square of so many pixels; 0 for none.
        scale: Enlargement across and down.
        turn_deg: Rotation.
        focus_px: Blur of the lens that is undone, standard deviation after scaling; 0 for none.
        across_px: Where it is less across the way of a hand that moved: this much is undone there; 0 for as much as along it.
        noise: Power of the noise against that of the picture, for `focus_px`.
        sharpen_px: Unsharp mask, standard deviation after scaling; 0 for none.
        sharpen_by: How much of the difference is added.
        enlarge: Enlargement after that, by cubic interpolation: the spectrum of a quarter of the pixels is a quarter of the work.
        tone: What is done with the brightness at last.
        binarizer: How zxing-cpp tells dark from bright.
        border_px: White added around it, for a code without a quiet zone.
    """

    plan: Plan
    smooth_px: float = 0.0
    box_px: int = 0
    scale: tuple[float, float] = (1.0, 1.0)
    turn_deg: float = 0.0
    focus_px: float = 0.0
    across_px: float = 0.0
    noise: float = 0.01
    sharpen_px: float = 0.0
    sharpen_by: float = 0.0
    enlarge: float = 1.0
    tone: Callable[[Luma], Luma] | None = None
    binarizer: Any = _LOCAL
    border_px: int = 0


def _curve(gamma: float) -> Callable[[Luma], Luma]:
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda luma: np.asarray(cv2.LUT(luma, table), np.uint8)


def _levelled(luma: Luma) -> Luma:
    """Even light: the mean of the surroundings taken away, the contrast stretched."""
    side_px = max(15, min(luma.shape) // 4 | 1)
    difference = luma.astype(np.float32) - cv2.blur(luma, (side_px, side_px)).astype(np.float32)
    spread = float(np.sqrt(np.mean(difference * difference))) + 1
    return np.asarray(np.clip(128 + difference * (55 / spread), 0, 255), np.uint8)


def _equalised(luma: Luma) -> Luma:
    return np.asarray(cv2.createCLAHE(3.0, (8, 8)).apply(luma), np.uint8)


def _thresholded(luma: Luma) -> Luma:
    smooth = cv2.GaussianBlur(luma, (0, 0), 1.5)
    flags = (cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY)
    return np.asarray(cv2.adaptiveThreshold(smooth, 255, *flags, 31, 0), np.uint8)


def _darkened(luma: Luma) -> Luma:
    """Dark modules grown by a pixel: print that has lost its ink."""
    return np.asarray(cv2.erode(luma, np.ones((3, 3), np.uint8)), np.uint8)


def _focused(luma: Luma, along_px: float, across_px: float, noise: float) -> Luma:
    """Wiener's filter: what a Gaussian blur has taken is given back as far as the noise allows.

    Args:
        luma: The picture.
        along_px: The blur's standard deviation; with `across_px` that along the way of the smear.
        across_px: That across the way; 0 for the same in all directions.
        noise: Power of the noise against that of the picture.
    """
    border_px = int(3 * along_px) + 2
    height_px, width_px = luma.shape
    fast_height_px, fast_width_px = (cv2.getOptimalDFTSize(side_px + 2 * border_px) for side_px in luma.shape)
    wide = cv2.copyMakeBorder(
        luma, border_px, fast_height_px - height_px - border_px, border_px, fast_width_px - width_px - border_px,
        cv2.BORDER_REPLICATE,
    )  # fmt: skip
    least_px = across_px or along_px
    kept = np.outer(_kept(fast_height_px, least_px), _kept(fast_width_px, least_px))
    if across_px:
        cos, sin = _way_of_smear(luma)
        along = np.add.outer(sin * _frequencies(fast_height_px), cos * _frequencies(fast_width_px))
        kept *= np.exp((across_px**2 - along_px**2) * 2 * np.pi**2 * np.square(along))
    gain = kept / (kept * kept + np.float32(noise))
    gain[0, 0] = 1.0
    spectrum = cv2.dft(wide.astype(np.float32), flags=cv2.DFT_COMPLEX_OUTPUT)
    waves = spectrum.view(np.complex64)[..., 0]
    waves *= gain
    sharp = cv2.idft(spectrum, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
    inner = sharp[border_px : border_px + height_px, border_px : border_px + width_px]
    return np.asarray(np.clip(inner, 0, 255), np.uint8)


def _kept(side_px: int, blur_px: float) -> NDArray[np.float32]:
    """What a Gaussian blur keeps of each frequency along one side."""
    return np.asarray(np.exp(-2 * (np.pi * blur_px * _frequencies(side_px)) ** 2), np.float32)


def _frequencies(side_px: int) -> NDArray[np.float32]:
    return np.fft.fftfreq(side_px).astype(np.float32)


def _way_of_smear(luma: Luma) -> tuple[float, float]:
    """Which way a picture of a code is smeared, across and down: there its edges are weakest, since a code has as many of each kind."""
    smooth = cv2.GaussianBlur(luma, (3, 3), 0)
    right, down = cv2.spatialGradient(smooth)
    right, down = right.astype(np.float32), down.astype(np.float32)
    xx, xy, yy = (float(np.vdot(one, other)) for one, other in ((right, right), (right, down), (down, down)))
    turn = (np.arctan2(2 * xy, xx - yy) + np.pi) / 2
    return float(np.cos(turn)), float(np.sin(turn))


_DIM, _SOFT = frozenset({Trait.DIM}), frozenset({Trait.SOFT})
_REGION, _WHOLE = Scope.REGION, Scope.WHOLE

RECIPES = (
    Recipe(Plan("smooth-double", _REGION, 0.17, 3.1, suits=_DIM), smooth_px=0.7, scale=(2, 2)),
    Recipe(
        Plan("sharp", _REGION, 0.12, 2.5, suits=_SOFT), smooth_px=0.7, sharpen_px=2, sharpen_by=3, binarizer=_GLOBAL
    ),
    Recipe(Plan("focus-double-1", _REGION, 0.17, 7, suits=_SOFT), focus_px=1.2, enlarge=2),
    Recipe(Plan("focus-double-smear", _REGION, 0.17, 8, suits=_SOFT), focus_px=1.3, across_px=1.0, noise=0.03, enlarge=2),
    Recipe(Plan("focus-double-1.5", _REGION, 0.14, 7, suits=_SOFT), focus_px=1.5, noise=0.005, enlarge=2),
    Recipe(Plan("focus-double-2", _REGION, 0.1, 7, suits=_SOFT), focus_px=2, noise=0.005, enlarge=2),
    Recipe(Plan("focus-2", _REGION, 0.1, 6.5, suits=_SOFT), focus_px=2),
    Recipe(Plan("focus-3", _REGION, 0.06, 6.5, suits=_SOFT), focus_px=2.7, noise=0.004),
    Recipe(Plan("double-focus", _REGION, 0.03, 24, suits=_SOFT), scale=(2, 2), focus_px=4),
    Recipe(
        Plan("double-sharp", _REGION, 0.1, 11, suits=_SOFT),
        smooth_px=1, scale=(2, 2), sharpen_px=4, sharpen_by=3, binarizer=_LOCAL,
    ),
    Recipe(
        Plan("double-sharp-global", _REGION, 0.08, 10, suits=_SOFT),
        smooth_px=1, scale=(2, 2), sharpen_px=4, sharpen_by=3, binarizer=_GLOBAL,
    ),
    Recipe(Plan("box", _REGION, 0.11, 1.2, suits=_DIM), box_px=3),
    Recipe(Plan("global", _WHOLE, 0.06, 0.6), binarizer=_GLOBAL),
    Recipe(Plan("half-global", _WHOLE, 0.04, 0.7), scale=(0.5, 0.5), binarizer=_GLOBAL),
    Recipe(Plan("double", _REGION, 0.12, 2.7), scale=(2, 2)),
    Recipe(Plan("threshold", _REGION, 0.11, 7.4, suits=_SOFT), scale=(2, 2), tone=_thresholded),
    Recipe(Plan("half-levelled", _REGION, 0.02, 1.5, suits=_DIM), scale=(0.5, 0.5), tone=_levelled, binarizer=_GLOBAL),
    Recipe(Plan("box-levelled", _REGION, 0.015, 2.3, suits=_DIM), box_px=5, tone=_levelled),
    Recipe(Plan("triple", _REGION, 0.05, 4), scale=(3, 3)),
    Recipe(Plan("brightened", _REGION, 0.015, 1.3, suits=_DIM), tone=_curve(0.5)),
    Recipe(Plan("darkened", _REGION, 0.008, 0.7), tone=_curve(2.0), binarizer=_GLOBAL),
    Recipe(Plan("inked", _REGION, 0.008, 1.0), tone=_darkened),
    Recipe(Plan("equalised", _REGION, 0.03, 2.9), tone=_equalised),
    Recipe(Plan("narrowed", _REGION, 0.01, 1.5), scale=(0.6, 1)),
    Recipe(Plan("flattened", _REGION, 0.012, 1.4), scale=(1, 0.6)),
    Recipe(Plan("turned", _REGION, 0.01, 6), turn_deg=22),
    Recipe(Plan("bordered", _REGION, 0.02, 3.5), border_px=16, scale=(2, 2)),
)  # fmt: skip
GRID_PLAN = Plan(GRID, Scope.NEAR, 0.5, 0.0, fixed_ms=4.0)
ZBAR_PLAN = Plan(ZBAR, Scope.REGION, 0.03, 6.0)
PLANS = (GRID_PLAN, *(recipe.plan for recipe in RECIPES), ZBAR_PLAN)
_BY_NAME = {recipe.plan.name: recipe for recipe in RECIPES}


def read_cheaply(luma: Luma) -> list[Found]:
    """zxing-cpp's default call, with its near misses.

    Args:
        luma: The whole picture, contiguous.
    """
    return _found(zxingcpp.read_barcodes(luma, formats=SYMBOLS, return_errors=True), np.eye(3))


def read_region(name: str, luma: Luma, box: Box) -> list[Found]:
    """A pass on a part of a picture.

    Args:
        name: Of the pass.
        luma: The whole picture.
        box: The part.
    """
    left, top, right, bottom = box
    part = np.ascontiguousarray(luma[top:bottom, left:right])
    if min(part.shape) < 2:
        return []
    recipe = _BY_NAME[name]
    prepared, back = _prepared(part, recipe)
    codes = zxingcpp.read_barcodes(
        prepared, formats=SYMBOLS, binarizer=recipe.binarizer, try_downscale=False, return_errors=True
    )
    return _found(codes, np.array([[1, 0, left], [0, 1, top], [0, 0, 1]]) @ back)


def read_by_zbar(scanner: ZbarScanner, luma: Luma, box: Box) -> list[Found]:
    """zbar's opinion on a part of a picture.

    Args:
        scanner: A scanner.
        luma: The whole picture.
        box: The part.
    """
    left, top, right, bottom = box
    part = luma[top:bottom, left:right]
    if part.size > PIXELS_MAX:
        part = part[::2, ::2]
    to_whole = np.array(
        [[(right - left) / part.shape[1], 0, left], [0, (bottom - top) / part.shape[0], top], [0, 0, 1]]
    )
    return [Found(payload, _moved(corners, to_whole)) for payload, corners in scanner.read(part)]


def read_grid(cells: grid.Field, corners: Corners) -> list[Found]:
    """zxing-cpp's opinion on a code redrawn module by module.

    Args:
        cells: The brightness of each module.
        corners: Where the code is.
    """
    for drawing in grid.drawings(cells):
        codes = zxingcpp.read_barcodes(
            drawing, formats=SYMBOLS, try_rotate=False, try_downscale=False, try_invert=False
        )
        for code in codes:
            if code.bytes:
                return [] if is_fragment(code) else [Found(bytes(code.bytes), corners, cells.shape[0])]
    return []


def scaled(found: Found, scale: tuple[float, float]) -> Found:
    """The same code in a picture of another size.

    Args:
        found: A code.
        scale: Across and down.
    """
    return Found(found.payload, _moved(found.corners, np.diag([*scale, 1.0])), found.modules)


def cells_of(luma: Luma, near: Found) -> grid.Field | None:
    """The brightness of each module of a near miss; None where there is no straightening it.

    Args:
        luma: The whole picture.
        near: The near miss.
    """
    if not 21 <= near.modules <= grid.MODULES_MAX or not _is_plausible(near):
        return None
    return grid.brightness_of_modules(luma, near.corners, near.modules)


def _is_plausible(near: Found) -> bool:
    """Whether its corners span a convex shape of at least a pixel a module."""
    corners = np.array(near.corners, np.float32)
    is_large = abs(cv2.contourArea(corners)) >= near.modules**2
    return is_large and bool(cv2.isContourConvex(corners))


def _found(codes: list[Any], to_whole: NDArray[np.float64]) -> list[Found]:
    """Whole codes with their bytes, near misses without; fragments of a series are neither."""
    found = []
    for code in codes:
        if code.valid and (not code.bytes or is_fragment(code)):
            continue
        payload = bytes(code.bytes) if code.valid else b""
        found.append(Found(payload, _moved(corners_px(code.position), to_whole), modules_of(code)))
    return found


def _moved(corners: Corners, matrix: NDArray[np.float64]) -> Corners:
    first, second, third, fourth = ((float(matrix[0] @ (x, y, 1)), float(matrix[1] @ (x, y, 1))) for x, y in corners)
    return first, second, third, fourth


def _prepared(part: Luma, recipe: Recipe) -> tuple[Luma, NDArray[np.float64]]:
    """The picture as this recipe wants it, and the matrix that leads from its pixels back to those of the part."""
    if recipe.border_px:
        part = np.pad(part, recipe.border_px, constant_values=255)
    if recipe.smooth_px:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), recipe.smooth_px), np.uint8)
    if recipe.box_px:
        part = np.asarray(cv2.blur(part, (recipe.box_px, recipe.box_px)), np.uint8)
    scaled, back = _placed(part, recipe)
    if recipe.focus_px:
        scaled = _focused(scaled, recipe.focus_px, recipe.across_px, recipe.noise)
    if recipe.sharpen_px:
        smooth = cv2.GaussianBlur(scaled, (0, 0), recipe.sharpen_px)
        scaled = np.asarray(cv2.addWeighted(scaled, 1 + recipe.sharpen_by, smooth, -recipe.sharpen_by, 0), np.uint8)
    if recipe.enlarge > 1:
        scaled, larger = _enlarged(scaled, recipe.enlarge)
        back = back @ larger
    if recipe.tone is not None:
        scaled = recipe.tone(scaled)
    back[:2, 2] -= recipe.border_px
    return np.ascontiguousarray(scaled), back


def _placed(part: Luma, recipe: Recipe) -> tuple[Luma, NDArray[np.float64]]:
    """Scaled and turned, within `PIXELS_MAX`."""
    height_px, width_px = part.shape
    wanted = recipe.scale[0] * recipe.scale[1] * part.size
    less = min(1.0, sqrt(PIXELS_MAX / wanted))
    size = (max(1, round(width_px * recipe.scale[0] * less)), max(1, round(height_px * recipe.scale[1] * less)))
    if size != (width_px, height_px):
        way = cv2.INTER_AREA if size[0] * size[1] < part.size else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, size, interpolation=way), np.uint8)
    back = np.diag([width_px / size[0], height_px / size[1], 1.0])
    if recipe.turn_deg:
        part, turned = _turned(part, recipe.turn_deg)
        back = back @ turned
    return part, back


def _enlarged(luma: Luma, by: float) -> tuple[Luma, NDArray[np.float64]]:
    """As far as `PIXELS_MAX` lets it."""
    height_px, width_px = luma.shape
    by = max(1.0, min(by, sqrt(PIXELS_MAX / luma.size)))
    size = (round(width_px * by), round(height_px * by))
    larger = cv2.resize(luma, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8), np.diag([width_px / size[0], height_px / size[1], 1.0])


def _turned(part: Luma, turn_deg: float) -> tuple[Luma, NDArray[np.float64]]:
    height_px, width_px = part.shape
    turn = np.vstack([cv2.getRotationMatrix2D((width_px / 2, height_px / 2), turn_deg, 1.0), [0, 0, 1]])
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    size = (round(height_px * sin + width_px * cos), round(height_px * cos + width_px * sin))
    turn[0, 2] += (size[0] - width_px) / 2
    turn[1, 2] += (size[1] - height_px) / 2
    turned = cv2.warpAffine(part, turn[:2], size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8), np.asarray(np.linalg.inv(turn), np.float64)
