"""`kiosk read --explain` says which passes were tried on a picture, what each cost, and which read the code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2

from kiosk.__main__ import main
from kiosk.sim.render import code_picture

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_passes_are_told_with_their_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A blurred code: the cheap pass without a code first, the pass that read it last, and the sum."""
    picture = cv2.copyMakeBorder(
        code_picture(b"https://x.example/1234567890" * 3, 4), 40, 40, 40, 40, cv2.BORDER_REPLICATE
    )
    path = tmp_path / "blurred.png"
    cv2.imwrite(str(path), cv2.GaussianBlur(picture, (0, 0), 2.3))
    assert main(["read", "--explain", str(path)]) == 0
    _, *passes, together = capsys.readouterr().out.splitlines()
    assert passes[0].split()[0] == "zxing"
    assert passes[0].endswith("-")
    assert passes[-1].endswith("read 1")
    assert together.split()[0] == "together"


def test_json_lists_the_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs the same as an object, with the strategy of each code."""
    path = tmp_path / "plain.png"
    cv2.imwrite(str(path), code_picture(b"https://x.example", 4))
    assert main(["read", "--json", str(path)]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert [(each["strategy"], each["codes"]) for each in seen["tried"]] == [("zxing", 1)]
    assert seen["codes"][0]["strategy"] == "zxing"
