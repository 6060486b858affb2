"""Three finder patterns tell where a code lies, to a fraction of a module; where none lies they tell nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kiosk.reading import finders
from kiosk.reading.fit import fitted
from kiosk.sim.render import code_picture

CARD = "046090000123||Nguyễn Thị Ứng|01021990|Nữ|Phong Điền, Thừa Thiên Huế|15062021".encode()
MODULE_PX = 4


@pytest.mark.parametrize("payload", [b"short", CARD, CARD * 6])
@pytest.mark.parametrize("corner", [(0.0, 0.0), (-40.0, 25.0), (30.0, 45.0)])
def test_code_in_space_is_fitted(payload: bytes, corner: tuple[float, float]) -> None:
    """A tilted code of any size is counted, and its corners are right within half a module."""
    picture = code_picture(payload, MODULE_PX)
    side_px = picture.shape[0]
    square = np.array([[0, 0], [side_px, 0], [side_px, side_px], [0, side_px]], np.float32)
    seen = square + 60
    seen[2] += corner
    seen[1] += np.float32(0.3) * np.array(corner, np.float32)
    way = cv2.getPerspectiveTransform(square - 0.5, seen - 0.5)
    size = (side_px + 200, side_px + 200)
    shown = cv2.warpPerspective(picture, way, size, flags=cv2.INTER_AREA, borderValue=200)
    code = finders.code_in(np.asarray(cv2.GaussianBlur(shown, (0, 0), 1.0), np.uint8))
    assert code is not None
    corners, modules = code
    assert modules == side_px // MODULE_PX - 8
    near, far = 4 * MODULE_PX, side_px - 4 * MODULE_PX
    of_code = np.array([[[near, near], [far, near], [far, far], [near, far]]], np.float32) - 0.5
    wanted = cv2.perspectiveTransform(of_code, way)[0] + 0.5
    assert np.abs(np.array(corners) - wanted).max() < 0.5 * MODULE_PX


def test_soft_code_is_found() -> None:
    """Half a module of blur leaves no ring that a threshold sees; sharpened it is one."""
    soft = np.asarray(cv2.GaussianBlur(np.pad(code_picture(CARD, 3), 20, constant_values=200), (0, 0), 1.6), np.uint8)
    code = finders.code_in(soft)
    assert code is not None
    assert np.abs(np.array(code[0]) - np.array([[32, 32], [1, 0], [0, 0], [0, 1]])).min() < 1


@pytest.mark.parametrize("seed", range(4))
def test_chance_is_fitted_to_no_code(seed: int) -> None:
    """Noise between three places has no timing patterns, or too few to be a code; places too near each other have none at all."""
    random = np.random.default_rng(seed)
    luma = random.normal(128, 50, (200, 200)).astype(np.float32)
    middles = (np.array([30.0, 30.0]), np.array([150.0, 32.0]), np.array([28.0, 150.0]))
    fit = fitted(luma, middles, 3.3)
    assert fit is None or not fit.is_code
    assert fitted(np.full((200, 200), 128, np.float32), middles, 3.3) is None
