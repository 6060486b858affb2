"""A station's pictures and products of matrices are small: no pool of threads is kept for them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

UNIT = Path(__file__).resolve().parents[3] / "systemd/system/kiosk-scan.service"
PROGRAM = """
import os
import cv2, numpy as np
from kiosk.decoder import examine_picture
from kiosk.sim.render import code_picture
picture = np.pad(code_picture(b"046090000123||Nguyen Van A|01021990|Nam|Hue|15062021", 4), 200, constant_values=230)
_, tried = examine_picture(cv2.GaussianBlur(picture, (0, 0), 2.2))
cv2.resize(np.zeros((1440, 2560), np.uint8), (640, 360), interpolation=cv2.INTER_AREA)
square = np.ones((400, 400))
square @ square
print(len(tried), len(os.listdir("/proc/self/task")))
"""


def test_door_has_no_threads_for_pictures() -> None:
    """With the variables of its unit the scan process reads a hard picture, shrinks another and multiplies in one thread."""
    (words,) = re.findall("^Environment=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    of_unit = dict(word.split("=", 1) for word in words.split() if word.startswith(("OPENBLAS_", "OPENCV_")))
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OPENBLAS", "OPENCV", "OMP"))}
    argv = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(argv, env=others | of_unit, capture_output=True, text=True, timeout=120, check=True)
    tried, threads = map(int, done.stdout.split())
    assert tried > 1
    assert threads == 1
