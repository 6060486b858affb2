"""The passes as data: how a picture is prepared, and how zxing-cpp or zbar is called on it.

A pass looks at a part of a picture and returns what it found: codes, as the bytes that are in the symbol, and near misses,
which are codes whose place is known and whose bits are not. Text is never taken: engines guess character sets, and a guess
garbles Vietnamese without a word. No pass looks at more than `PIXELS_MAX` pixels after its preparation, so that one pass is
bounded whatever is shown.

What each takes was measured by `python -m bench.learn --costs`, what each reads is learnt by `python -m bench.learn`; see docs/decoding.md.

Units: `_px` pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import zxingcpp

from kiosk.reading import finders, grid, sampler
from kiosk.reading.schedule import Plan, Scope
from kiosk.reading.symbol import corners_px, is_fragment, modules_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kiosk.reading.evidence import Box
    from kiosk.reading.symbol import Corners
    from kiosk.reading.zbar import ZbarScanner

    Luma = NDArray[np.uint8]

MODULES_MIN = 21
PIXELS_MAX = 4_000_000
"""A prepared picture has no more pixels than this: the scale gives way."""
CHEAP = "zxing"
PLAIN = "plain"
GRID = "grid"
BENDS = "bends"
FINDERS = "finders"
ZBAR = "zbar"
SYMBOLS = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel1, zxingcpp.BarcodeFormat.QRCodeModel2])
_LOCAL, _GLOBAL, _FIXED = (
    zxingcpp.Binarizer.LocalAverage,
    zxingcpp.Binarizer.GlobalHistogram,
    zxingcpp.Binarizer.FixedThreshold,
)


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


_REGION, _WHOLE = Scope.REGION, Scope.WHOLE

RECIPES = (
    Recipe(Plan("smooth-double", _REGION, 15.0), smooth_px=0.7, scale=(2, 2)),
    Recipe(Plan("sharp", _REGION, 12.0), smooth_px=0.7, sharpen_px=2, sharpen_by=3, binarizer=_GLOBAL),
    Recipe(Plan("focus-double-1", _REGION, 42.0), focus_px=1.2, enlarge=2),
    Recipe(Plan("focus-double-smear", _REGION, 44.0), focus_px=1.3, across_px=1.0, noise=0.03, enlarge=2),
    Recipe(Plan("focus-double-2", _REGION, 40.0), focus_px=2, noise=0.005, enlarge=2),
    Recipe(Plan("focus-2", _REGION, 32.0), focus_px=2),
    Recipe(Plan("focus-3", _REGION, 32.0), focus_px=2.7, noise=0.004),
    Recipe(Plan("double-sharp", _REGION, 45.0), smooth_px=1, scale=(2, 2), sharpen_px=4, sharpen_by=3, binarizer=_LOCAL),
    Recipe(Plan("box", _REGION, 7.0), box_px=3),
    Recipe(Plan("plain", _REGION, 8.7)),
    Recipe(Plan("region-global", _REGION, 3.5), binarizer=_GLOBAL),
    Recipe(Plan("double-global", _REGION, 6.5), scale=(2, 2), binarizer=_GLOBAL),
    Recipe(Plan("box-double", _REGION, 10.5), box_px=3, scale=(2, 2)),
    Recipe(Plan("region-fixed", _REGION, 3.5), binarizer=_FIXED),
    Recipe(Plan("double-fixed", _REGION, 7.3), scale=(2, 2), binarizer=_FIXED),
    Recipe(Plan("whole-double", _WHOLE, 7.3), scale=(2, 2)),
    Recipe(Plan("whole-double-global", _WHOLE, 4.2), scale=(2, 2), binarizer=_GLOBAL),
    Recipe(Plan("whole-box", _WHOLE, 2.0), box_px=3),
    Recipe(Plan("whole-sharp", _WHOLE, 4.2), smooth_px=0.7, sharpen_px=2, sharpen_by=3, binarizer=_GLOBAL),
    Recipe(Plan("global", _WHOLE, 1.2), binarizer=_GLOBAL),
    Recipe(Plan("half-global", _WHOLE, 1.0), scale=(0.5, 0.5), binarizer=_GLOBAL),
    Recipe(Plan("double", _REGION, 13.0), scale=(2, 2)),
    Recipe(Plan("threshold", _REGION, 32.0), scale=(2, 2), tone=_thresholded),
    Recipe(Plan("triple", _REGION, 22.0), scale=(3, 3)),
    Recipe(Plan("brightened", _REGION, 8.3), tone=_curve(0.5)),
    Recipe(Plan("darkened", _REGION, 3.6), tone=_curve(2.0), binarizer=_GLOBAL),
    Recipe(Plan("inked", _REGION, 3.6), tone=_darkened),
    Recipe(Plan("equalised", _REGION, 10.0), tone=_equalised),
    Recipe(Plan("bordered", _REGION, 16.0), border_px=16, scale=(2, 2)),
)  # fmt: skip
PLANS = (
    Plan(CHEAP, _WHOLE, 1.2),
    Plan(GRID, Scope.NEAR, 0.0, fixed_mpx=4.5),
    Plan(BENDS, Scope.NEAR, 0.0, fixed_mpx=6.5),
    *(recipe.plan for recipe in RECIPES),
    Plan(FINDERS, _REGION, 58.0, fixed_mpx=1.2, most_mpx=finders.PIXELS_MAX / 1e6),
    Plan(ZBAR, _REGION, 18.0),
)
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
    return _found(codes, _at(box) @ back)


def found_by_corners(luma: Luma, box: Box) -> Found | None:
    """The near miss in a part of a picture that its finder patterns alone show.

    Args:
        luma: The whole picture.
        box: The part.
    """
    left, top, right, bottom = box
    part = np.ascontiguousarray(luma[top:bottom, left:right])
    code = None if min(part.shape) < MODULES_MIN else finders.code_in(part)
    if code is None:
        return None
    corners, modules = code
    return Found(b"", _moved(corners, _at(box)), modules)


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
    """What a code says of which each module was sampled.

    Args:
        cells: The brightness of each module.
        corners: Where the code is.
    """
    picture = sampler.picture_of(cells)
    if picture is None:
        return []
    codes = zxingcpp.read_barcodes(picture, formats=SYMBOLS, try_rotate=False, try_downscale=False, try_invert=False)
    return [Found(bytes(code.bytes), corners, cells.shape[0]) for code in codes if code.bytes and not is_fragment(code)]


def scaled(found: Found, scale: tuple[float, float]) -> Found:
    """The same code in a picture of another size.

    Args:
        found: A code.
        scale: Across and down.
    """
    return Found(found.payload, _moved(found.corners, np.diag([*scale, 1.0])), found.modules)


def cells_of(luma: Luma, near: Found, *, straightened: bool = True) -> grid.Field | None:
    """The brightness of each module of a near miss; None where there is no straightening it.

    Args:
        luma: The whole picture.
        near: The near miss.
        straightened: Whether bends are followed.
    """
    if not MODULES_MIN <= near.modules <= grid.MODULES_MAX or not _is_plausible(near):
        return None
    return grid.brightness_of_modules(luma, near.corners, near.modules, straightened=straightened)


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


def _at(box: Box) -> NDArray[np.float64]:
    """The matrix that leads from the pixels of a part to those of the whole picture."""
    return np.array([[1.0, 0.0, box[0]], [0.0, 1.0, box[1]], [0.0, 0.0, 1.0]])


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
    """Scaled, within `PIXELS_MAX`."""
    height_px, width_px = part.shape
    wanted = recipe.scale[0] * recipe.scale[1] * part.size
    less = min(1.0, sqrt(PIXELS_MAX / wanted))
    size = (max(1, round(width_px * recipe.scale[0] * less)), max(1, round(height_px * recipe.scale[1] * less)))
    if size != (width_px, height_px):
        way = cv2.INTER_AREA if size[0] * size[1] < part.size else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, size, interpolation=way), np.uint8)
    back = np.diag([width_px / size[0], height_px / size[1], 1.0])
    return part, back


def _enlarged(luma: Luma, by: float) -> tuple[Luma, NDArray[np.float64]]:
    """As far as `PIXELS_MAX` lets it."""
    height_px, width_px = luma.shape
    by = max(1.0, min(by, sqrt(PIXELS_MAX / luma.size)))
    size = (round(width_px * by), round(height_px * by))
    larger = cv2.resize(luma, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8), np.diag([width_px / size[0], height_px / size[1], 1.0])
