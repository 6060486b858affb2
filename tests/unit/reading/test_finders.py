"""Codes are found by their finder patterns where nothing else of them can be trusted, and nothing is found where none is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from kiosk.reading import finders, passes
from kiosk.reading.passes import SYMBOLS, Found
from kiosk.sim.render import code_picture

CARD = "046090000123||Nguyễn Thị Ứng|01021990|Nữ|Phong Điền, Thừa Thiên Huế|15062021".encode()
Luma = np.ndarray[Any, np.dtype[np.uint8]]


def _cut_out(payload: bytes, module_px: int) -> Luma:
    """A code without its quiet zone, on a chequered cloth."""
    code = code_picture(payload, module_px)[4 * module_px : -4 * module_px, 4 * module_px : -4 * module_px]
    rows, columns = np.mgrid[0 : code.shape[0] + 120, 0 : code.shape[1] + 120]
    cloth = np.where((rows // 7 + columns // 9) % 2, 60, 190).astype(np.uint8)
    cloth[60:-60, 60:-60] = code
    return cloth


def _turned(picture: Luma, degrees: float) -> Luma:
    middle = (picture.shape[1] / 2, picture.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, turn, picture.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


@pytest.mark.parametrize("payload", [b"short", CARD, CARD * 3])
@pytest.mark.parametrize("degrees", [0, 20, -33])
@pytest.mark.parametrize("inverted", [False, True])
def test_code_is_found_without_its_quiet_zone(payload: bytes, degrees: float, inverted: bool) -> None:  # noqa: FBT001
    """Turned, inverted and of any size: its modules are counted, its corners are near, and it is read."""
    module_px = 5
    picture = _turned(_cut_out(payload, module_px), degrees)
    picture = 255 - picture if inverted else picture
    side_px = _cut_out(payload, module_px).shape[0] - 120
    code = finders.code_in(picture)
    assert code is not None
    corners, modules = code
    assert modules == side_px // module_px
    sides = [np.hypot(*np.subtract(corners[number], corners[number - 1])) for number in range(4)]
    assert max(abs(side - side_px) for side in sides) < 1.5 * module_px
    cells = passes.cells_of(picture, Found(b"", corners, modules))
    assert cells is not None
    assert [found.payload for found in passes.read_grid(cells, corners)] == [payload]


def test_found_where_the_other_engine_sees_nothing() -> None:
    """The case for which this is: zxing-cpp does not even say that there is a code."""
    import zxingcpp  # noqa: PLC0415  the rival is needed here only

    picture = _cut_out(CARD, 4)
    assert not zxingcpp.read_barcodes(picture, formats=SYMBOLS, return_errors=True)
    assert finders.code_in(picture) is not None


@pytest.mark.parametrize("kind", ["noise", "chequers", "flat", "text"])
def test_nothing_is_found_where_no_code_is(kind: str) -> None:
    """Noise, chequers, a wall and a page have no code, and none of them raises."""
    rows, columns = np.mgrid[0:240, 0:320]
    page = np.full((240, 320), 240, np.uint8)
    for row in range(14, 240, 18):
        cv2.putText(page, "Uy ban nhan dan 0O8%@B", (4, row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 30, 1)
    picture = {
        "noise": np.random.default_rng(1).integers(0, 256, rows.shape),
        "chequers": (rows // 8 + columns // 8) % 2 * 255,
        "flat": np.full(rows.shape, 128),
        "text": page,
    }[kind].astype(np.uint8)
    code = finders.code_in(picture)
    cells = None if code is None else passes.cells_of(picture, Found(b"", *code))
    assert code is None or cells is None or passes.read_grid(cells, code[0]) == []
