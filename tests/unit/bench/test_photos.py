"""Photos are read with hopes that were learnt without their set, and are judged by any payload of theirs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.decoding import left_out, photos
from bench.decoding.left_out import DOUBT, Won
from bench.decoding.run import Faults, Run
from kiosk.reading import passes
from kiosk.sim.render import code_picture

NAMES = [recipe.plan.name for recipe in passes.RECIPES]


def _folder(tmp_path: Path) -> Path:
    """Two sets of a code each, one without."""
    entries = []
    for set_name in ("a", "b", "noqr-c"):
        luma = code_picture(set_name.encode(), 4) if set_name != "noqr-c" else np.full((90, 90), 200, np.uint8)
        cv2.imwrite(str(tmp_path / f"{set_name}.png"), luma)
        expected = [base64.b64encode(set_name.encode()).decode()]
        entries.append({"file": f"{set_name}.png", "set": set_name, "expected_b64": expected})
    (tmp_path / "manifest.json").write_text(json.dumps(entries), "utf-8")
    return tmp_path


def test_photo_is_right_by_any_payload_of_its_own(tmp_path: Path) -> None:
    """A photo is read by bytes or by text that it holds; a set named noqr has no code, whatever its entry says."""
    first, _, empty = photos._photos(_folder(tmp_path), 1280)
    assert (first.has_code, empty.has_code) == (True, False)
    assert (first.is_right(b"a"), first.is_right(b"b"), empty.is_right(b"noqr-c")) == (True, False, False)


def test_each_photo_is_read_once_by_every_reader(tmp_path: Path) -> None:
    """What a reader tells of a photo is right, something else, or nothing; a code where there is none is a fault."""
    folder = _folder(tmp_path)
    for number, right in enumerate((True, True, False)):
        told, faults = photos._read((folder, 640, number, {}))
        assert told["kiosk"][:2] == told[photos.LEFT_OUT][:2] == told["six calls"][:2] == (right, False)
        assert faults == Faults(0, 0, 1)


def test_hopes_are_learnt_without_the_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a set's own photos say changes the hopes for every other set, and not for itself."""

    def learnt(a_is_won: bool) -> dict[str, dict[str, float]]:  # noqa: FBT001  what is varied
        won: dict[str, Won] = {"a.png": dict.fromkeys(NAMES, a_is_won), "b.png": dict.fromkeys(NAMES, False)}
        monkeypatch.setattr(Run, "map", lambda _self, _work, tasks: [won[photo.name] for photo in tasks])
        return left_out.chances(Run(1, True, tmp_path), photos._photos(folder, 1280), [{}])

    folder = _folder(tmp_path)
    lost, won = learnt(a_is_won=False), learnt(a_is_won=True)
    assert lost["a"] == won["a"]
    assert won["b"][NAMES[0]] == pytest.approx(0.5 * 1 / (1 + DOUBT))
    assert lost["b"][NAMES[0]] < won["b"][NAMES[0]]


def test_reading_with_other_hopes_leaves_the_readers_own() -> None:
    """A picture is read with the hopes that are given, and the reader keeps its own afterwards."""
    own = passes.PLANS
    plans = left_out.plans_with({NAMES[0]: 0.9})
    assert [plan.chance for plan in plans if plan.name == NAMES[0]] == [0.9]
    assert left_out.read_with(plans, code_picture(b"payload", 4)) == [b"payload"]
    assert passes.PLANS is own
