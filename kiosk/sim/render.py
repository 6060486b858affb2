"""How a code looks to a camera: on a phone, a plastic card or a sheet of paper, near or far, tilted, blurred, in glare.

Fast enough to be a camera: the scene behind is made once, the carrier's face once a visit in a few sizes; a frame costs
one perspective warp and one blur of the part that the carrier covers.

Units: `_px` pixels; poses are of the carrier's middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import segno

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACE_MODULE_PX = 12
QUIET_MODULES = 4
_NOISE_TILES = 4


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the carrier is, and how the camera sees it.

    Attributes:
        x_px: Of its middle, from the left.
        y_px: Of its middle, from above.
        module_px: Width of one module of its code in the frame.
        roll: Rotation in the picture, radians.
        yaw: Tilt to the side, radians.
        pitch: Tilt to the back, radians.
        blur_px: Standard deviation of the blur.
        gain: Brightness of the carrier, 1 is as printed.
        glare: Strength of a reflex on it, 0 to 1.
    """

    x_px: float
    y_px: float
    module_px: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    blur_px: float = 0.0
    gain: float = 1.0
    glare: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One carrier's front.

    Attributes:
        levels: Its picture at 12, 6, 3, … pixels a module, brightness 0 to 255.
        modules: Modules of the code across, without its quiet zone.
    """

    levels: tuple[NDArray[np.uint8], ...]
    modules: int


def code_picture(payload: bytes, module_px: int, *, error: str = "m", inverted: bool = False) -> NDArray[np.uint8]:
    """A QR code as it is printed, with its quiet zone.

    Args:
        payload: What it says.
        module_px: Width of a module.
        error: Level of error correction, "l", "m", "q" or "h".
        inverted: White on black, as in a phone's dark mode.
    """
    code = segno.make(payload, error=error, micro=False, boost_error=False)
    dark = np.array([list(row) for row in code.matrix], np.uint8)
    picture = np.pad(np.where(dark, 0, 255).astype(np.uint8), QUIET_MODULES, constant_values=255)
    if inverted:
        picture = (255 - picture).astype(np.uint8)
    return np.kron(picture, np.ones((module_px, module_px), np.uint8)).astype(np.uint8)


def face_of(payload: bytes, carrier: str, *, inverted: bool = False) -> Face:
    """The front of a carrier.

    Args:
        payload: What its code says.
        carrier: "phone", "card" or "paper".
        inverted: White on black.
    """
    code = code_picture(payload, FACE_MODULE_PX, inverted=inverted)
    modules = code.shape[0] // FACE_MODULE_PX - 2 * QUIET_MODULES
    side_px = code.shape[0]
    match carrier:
        case "phone":
            face = np.full((side_px * 2, side_px + 160), 12 if inverted else 235, np.uint8)
            top, left = side_px // 2, 80
            face[:, :28] = face[:, -28:] = 8  # bezel
            face[: side_px // 6] = face[-side_px // 6 :] = 8
        case "card":
            face = np.full((round(side_px * 1.5), round(side_px * 2.4)), 205, np.uint8)
            top, left = round(side_px * 0.12), round(side_px * 1.32)
            _print_lines(face, round(side_px * 0.1), round(side_px * 1.1), 90)
        case _:
            face = np.full((round(side_px * 1.7), round(side_px * 1.4)), 238, np.uint8)
            top, left = round(side_px * 0.1), round(side_px * 0.2)
            _print_lines(face, round(side_px * 0.2), round(side_px * 1.1), 60, from_row=round(side_px * 1.2))
    face[top : top + side_px, left : left + side_px] = _tinted(code, carrier)
    middle_y, middle_x = top + side_px // 2, left + side_px // 2
    return layered(_centred(face, middle_y, middle_x), modules)


def layered(front: NDArray[np.uint8], modules: int) -> Face:
    """A face from its picture.

    Args:
        front: The picture at `FACE_MODULE_PX` a module, the code in its middle.
        modules: Modules of the code across, without its quiet zone.
    """
    levels = [front]
    while levels[-1].shape[0] > 160:
        half = (max(1, levels[-1].shape[1] // 2), max(1, levels[-1].shape[0] // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA), np.uint8))
    return Face(tuple(levels), modules)


class Scene:
    """What the camera sees when nobody is there, and the noise of its sensor."""

    def __init__(self, width_px: int, height_px: int, seed: int, noise: float = 2.5) -> None:
        """Build it.

        Args:
            width_px: Of a frame.
            height_px: Of a frame.
            seed: Which room.
            noise: Of the sensor, standard deviation in steps of brightness; 0 leaves a frame to be degraded further.
        """
        random = np.random.default_rng(seed)
        coarse = random.normal(0, 1, (9, 16)).astype(np.float32)
        field = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
        light = np.linspace(1.15, 0.8, width_px, dtype=np.float32)[None, :]
        wall = (105 + 22 * field) * light
        for _ in range(10):  # frames, shelves, a window: edges for the decoder to look at
            x, y = int(random.integers(0, width_px)), int(random.integers(0, height_px))
            size = (int(random.integers(30, width_px // 4)), int(random.integers(20, height_px // 3)))
            cv2.rectangle(
                wall, (x, y), (x + size[0], y + size[1]), float(random.integers(30, 220)), int(random.integers(1, 9))
            )
        self._wall = np.clip(cv2.GaussianBlur(wall, (0, 0), 1.2), 0, 255).astype(np.uint8)
        tiles = _NOISE_TILES if noise else 0
        grain = [random.normal(0, noise, (height_px, width_px)).astype(np.int8) for _ in range(tiles)]
        self._added = [np.clip(tile, 0, None).astype(np.uint8) for tile in grain]
        self._taken = [np.clip(-tile, 0, None).astype(np.uint8) for tile in grain]

    def empty(self, frame_number: int) -> NDArray[np.uint8]:
        """A frame without anybody."""
        return self._noisy(self._wall, frame_number)

    def with_carrier(self, face: Face, pose: Pose, frame_number: int) -> NDArray[np.uint8]:
        """A frame with somebody who holds this up."""
        height_px, width_px = self._wall.shape
        picture = self._wall.copy()
        level = min(len(face.levels) - 1, max(0, math.floor(math.log2(FACE_MODULE_PX / max(0.5, pose.module_px)))))
        texture = face.levels[level]
        scale = pose.module_px * 2**level / FACE_MODULE_PX
        homography = _homography(texture.shape, scale, pose)
        corners = np.array([[0, 0], [texture.shape[1], 0], [texture.shape[1], texture.shape[0]], [0, texture.shape[0]]])
        outline = cv2.perspectiveTransform(corners[None].astype(np.float32), homography)[0]
        left, top = np.floor(outline.min(0) - 4).astype(int)
        right, bottom = np.ceil(outline.max(0) + 4).astype(int)
        left, top = max(0, int(left)), max(0, int(top))
        right, bottom = min(width_px, int(right)), min(height_px, int(bottom))
        if right - left < 8 or bottom - top < 8:
            return self._noisy(picture, frame_number)
        shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
        part = np.ascontiguousarray(picture[top:bottom, left:right])
        lit = cv2.convertScaleAbs(texture, alpha=pose.gain) if pose.gain != 1.0 else texture
        cv2.warpPerspective(
            lit, shift @ homography, (right - left, bottom - top), dst=part,
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT,
        )  # fmt: skip
        if pose.blur_px > 0.3:
            part = np.asarray(cv2.GaussianBlur(part, (0, 0), pose.blur_px), np.uint8)
        if pose.glare > 0:
            _add_glare(part, pose.glare)
        picture[top:bottom, left:right] = part
        return self._noisy(picture, frame_number)

    def _noisy(self, picture: NDArray[np.uint8], frame_number: int) -> NDArray[np.uint8]:
        if not self._added:
            return picture.copy()
        tile = frame_number % _NOISE_TILES
        return np.asarray(cv2.subtract(cv2.add(picture, self._added[tile]), self._taken[tile]), np.uint8)


def _homography(shape: tuple[int, ...], scale: float, pose: Pose) -> NDArray[np.float64]:
    """Texture → frame: centred, scaled, tilted in space, seen by a camera some widths away."""
    height, width = shape
    distance = 3.0 * max(width, height) * scale
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = (
        math.cos(pose.yaw),
        math.sin(pose.yaw),
        math.cos(pose.pitch),
        math.sin(pose.pitch),
    )
    cos_roll, sin_roll = math.cos(pose.roll), math.sin(pose.roll)
    turned = (
        np.array([[cos_roll, -sin_roll, 0], [sin_roll, cos_roll, 0], [0, 0, 1]])
        @ np.array([[cos_yaw, 0, sin_yaw], [0, 1, 0], [-sin_yaw, 0, cos_yaw]])
        @ np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]])
    )
    flat = np.array([[scale, 0, -scale * width / 2], [0, scale, -scale * height / 2], [0, 0, 0], [0, 0, 1]])
    placed = np.vstack([np.hstack([turned, [[0], [0], [distance]]]), [0, 0, 0, 1]]) @ flat
    seen = np.array([[distance, 0, 0, 0], [0, distance, 0, 0], [0, 0, 1, 0]]) @ placed
    moved = np.array([[1, 0, pose.x_px], [0, 1, pose.y_px], [0, 0, 1]]) @ seen
    return np.asarray(moved, np.float64)


def _add_glare(part: NDArray[np.uint8], strength: float) -> None:
    """A soft bright spot in the upper left third, as of a lamp behind the holder."""
    height, width = part.shape
    spot = np.zeros((max(1, height // 8), max(1, width // 8)), np.uint8)
    cv2.circle(spot, (spot.shape[1] // 3, spot.shape[0] // 3), max(2, min(spot.shape) // 5), round(200 * strength), -1)
    spot = np.asarray(cv2.GaussianBlur(spot, (0, 0), max(1.0, min(spot.shape) / 10)), np.uint8)
    cv2.add(part, cv2.resize(spot, (width, height), interpolation=cv2.INTER_LINEAR), dst=part)


def _print_lines(face: NDArray[np.uint8], left: int, right: int, level: int, from_row: int = 40) -> None:
    for row in range(from_row, face.shape[0] - 40, 60):
        face[row : row + 14, left : right - (row * 7) % 160] = level


def _tinted(code: NDArray[np.uint8], carrier: str) -> NDArray[np.uint8]:
    """Print is neither black nor white; a card's ink and ground are closer to each other than a screen's."""
    low, high = {"phone": (14, 240), "card": (58, 214)}.get(carrier, (38, 238))
    return (code.astype(np.float32) * ((high - low) / 255) + low).astype(np.uint8)


def _centred(face: NDArray[np.uint8], middle_y: int, middle_x: int) -> NDArray[np.uint8]:
    """Grow the face so that the code is in its middle; what is grown is dark, as a sleeve."""
    below, right = face.shape[0] - middle_y, face.shape[1] - middle_x
    half_y, half_x = max(middle_y, below), max(middle_x, right)
    grown = np.full((2 * half_y, 2 * half_x), 70, np.uint8)
    grown[half_y - middle_y : half_y + below, half_x - middle_x : half_x + right] = face
    return grown
