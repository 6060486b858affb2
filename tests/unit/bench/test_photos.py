"""Photos are judged by any payload of theirs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np

from bench.decoding import photos
from bench.decoding.run import Faults
from kiosk.sim.render import code_picture


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
        told, faults = photos._read((folder, 640, number))
        assert told["kiosk"][:2] == told["six calls"][:2] == (right, False)
        assert faults == Faults(0, 0, 1)
