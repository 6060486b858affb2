"""Troubles are the same for the same seed, are nothing at strength 0, and grow from there."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray

from bench.troubles import KINDS
from bench.troubles.kind import Draw, Kind, Part, Stage, generator
from bench.troubles.sighting import Sighting
from kiosk.sim.render import FACE_MODULE_PX, Pose, code_picture

PAYLOAD = b"046090000123|Nguyen"
PICTURED = [kind for kind in KINDS.values() if kind.stage is not Stage.POSE]


@cache
def _skin() -> NDArray[np.uint8]:
    """A printed code with eight modules around it."""
    code = code_picture(PAYLOAD, FACE_MODULE_PX)
    skin = np.pad(code, 4 * FACE_MODULE_PX, constant_values=255)
    return (skin.astype(np.float32) * 0.75 + 40).astype(np.uint8)


def _draw(kind: Kind, strength: float, seed: int = 1, number: int = 0) -> Draw:
    side = _skin().shape[0]
    modules = side // FACE_MODULE_PX - 16
    fixed, passing = generator(seed, kind.name), generator(seed, kind.name, number)
    return Draw(strength, fixed, passing, number, side / 2, side / 2, FACE_MODULE_PX, modules)


def _is_read(luma: NDArray[np.uint8]) -> bool:
    return PAYLOAD in [bytes(code.bytes) for code in zxingcpp.read_barcodes(luma)]


@pytest.mark.parametrize("kind", PICTURED, ids=lambda kind: kind.name)
def test_kind_is_seeded_and_has_a_strength(kind: Kind) -> None:
    """The same seed gives the same picture; strength 0 changes nothing, a trace of it leaves the code readable."""
    skin = _skin().copy()
    assert kind(skin, _draw(kind, 0.0)) is skin
    faint, usual = kind(skin, _draw(kind, 0.04)), kind(skin, _draw(kind, 1.0))
    assert _is_read(faint)
    assert usual.shape == skin.shape
    assert usual.dtype == np.uint8
    assert not np.array_equal(usual, skin)
    assert np.array_equal(usual, kind(skin, _draw(kind, 1.0)))
    assert np.array_equal(skin, _skin())


def test_poses_are_seeded_too() -> None:
    """A kind of holding changes the pose by its strength, the same for the same seed."""
    pose = Pose(640, 360, 4.0)
    kind = KINDS["small_dense"]
    assert kind(pose, _draw(kind, 0.0)) is pose
    near, far = kind(pose, _draw(kind, 0.2)), kind(pose, _draw(kind, 1.0))
    assert far.module_px < 2 < near.module_px < 4
    assert kind(pose, _draw(kind, 1.0)) == far


def test_parts_are_large_enough_and_apart() -> None:
    """At least 40 kinds, at least ten of them never tuned on, each in one part, each told in a sentence."""
    parts = {part: [name for name, kind in KINDS.items() if kind.part is part] for part in Part}
    assert len(KINDS) >= 40
    assert len(parts[Part.HELD]) >= 10
    assert sum(map(len, parts.values())) == len(KINDS)
    assert all(kind.says.endswith(".") for kind in KINDS.values())


def test_sighting_is_the_same_person_and_hand_again() -> None:
    """The frames of a seed come again bit for bit; another seed is another person; what a screen does rolls from frame to frame."""
    kinds = (KINDS["oled_pwm_bands"],)
    first, again = (list(Sighting(kinds, "a").frames(2)) for _ in range(2))
    assert all(map(np.array_equal, first, again))
    assert Sighting(kinds, "a").payload == Sighting(kinds, "a").payload != Sighting(kinds, "b").payload
    assert not np.array_equal(first[0], first[1])


def test_kinds_compose() -> None:
    """Two kinds on one card are seen both, and at strength 0 neither: the code is read as it was."""
    kinds = (KINDS["ink_stamp"], KINDS["shadow_edge"])
    clear, spoilt = (next(iter(Sighting(kinds, "c", strength).frames(1))) for strength in (0.0, 1.0))
    assert Sighting(kinds, "c").payload in [bytes(code.bytes) for code in zxingcpp.read_barcodes(clear)]
    lighter = next(iter(Sighting(kinds, "c", 0.5).frames(1)))
    assert abs(int(clear.mean()) - int(spoilt.mean())) > abs(int(clear.mean()) - int(lighter.mean()))
