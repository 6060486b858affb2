"""What the station's software makes of these frames and of a seal, on whatever processor this runs: as JSON.

    python reading.py FOLDER

FOLDER has frames.npz, a picture each, and key.pem, the private key to seal to.
"""

from __future__ import annotations

import ctypes.util
import json
import platform
import sys
from pathlib import Path
from uuid import UUID

if ctypes.util.find_library("zbar") is None:  # no list of libraries in a folder that was unpacked
    ctypes.util.find_library = lambda name: f"lib{name}.so.0"

import cv2
import numpy as np

from kiosk.decoder import Decoder
from kiosk.envelopes import seal
from kiosk.lens.frame import Frame

BUDGET_MS = 60_000
"""Counted, not timed: whatever is worth trying is tried, on a slow processor too."""
ENTRY = UUID(int=7)
PERSON = (("number", "046090000123"), ("name", "Nguyễn Thị Ứng"))


def read(luma: np.ndarray) -> dict[str, list[str]]:
    """Payloads of one frame at the door and as a single picture, and the passes that were tried on it."""
    half_px = (luma.shape[1] // 2, luma.shape[0] // 2)
    small = np.asarray(cv2.resize(luma, half_px, interpolation=cv2.INTER_AREA), np.uint8)
    decoder = Decoder(BUDGET_MS, counted=True)
    readings = decoder.read(Frame(luma, 1, small))
    tried = [*decoder.tried]
    readings += decoder.examine(luma)  # its work is counted, too, and there is more of it
    tried += decoder.tried
    return {"payloads": sorted({each.payload.hex() for each in readings}), "tried": [each.strategy for each in tried]}


def main(folder: Path) -> None:
    """All of it."""
    key = seal.PrivateKey.from_pem((folder / "key.pem").read_text("utf-8"))
    sealed = seal.seal(PERSON, key.public, "arm-1", ENTRY)
    assert seal.unseal(sealed, key, "arm-1", ENTRY) == PERSON
    frames = np.load(folder / "frames.npz")
    answer = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "box": sealed.box.hex(),
        "frames": {name: read(frames[name]) for name in frames.files},
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
