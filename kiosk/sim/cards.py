"""Pictures of invented cards in a folder, with the truth beside them, for `kiosk read` to be judged by.

python -m kiosk.sim.cards FOLDER [COUNT] [SEED]
"""

from __future__ import annotations

import base64
import json
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path
from random import Random

import cv2

from kiosk.sim import people
from kiosk.sim.render import code_picture

TRUTH = "truth.json"
_LONG_ADDRESS = (
    "Tổ dân phố Đông Thượng 2, kiệt 131 đường Nguyễn Phúc Nguyên, Phường Hương Long, Thành phố Huế, Thừa Thiên Huế"
)


def write_cards(folder: Path, count: int, seed: int) -> dict[str, tuple[bytes, str]]:
    """Draw invented citizen cards: long and short addresses, with and without an old number, names in NFC and NFD and in
    capitals, black on white and inverted.

    Args:
        folder: Where to; made if it is not there.
        count: How many.
        seed: Which.

    Returns:
        For each file name the payload and the class of document; also written to `truth.json`.
    """  # noqa: D205  one sentence
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    truth: dict[str, tuple[bytes, str]] = {}
    for number in range(count):
        person = people.somebody(random)
        address = random.choice((person.address, "Phong An", _LONG_ADDRESS))
        person = replace(person, address=address, name=random.choice((person.name, person.name.upper())))
        new = random.random() < 0.3
        text = unicodedata.normalize(random.choice(("NFC", "NFD")), people.citizen_card(person, random, new=new))
        picture = code_picture(text.encode(), random.choice((3, 4, 5)), inverted=random.random() < 0.3)
        name = f"card-{number:04d}.png"
        cv2.imwrite(str(folder / name), picture)
        truth[name] = (text.encode(), "can-cuoc" if new else "cccd")
    listed = {
        name: {"payload_b64": base64.b64encode(payload).decode(), "document": document}
        for name, (payload, document) in truth.items()
    }
    (folder / TRUTH).write_text(json.dumps(listed, indent=1), "utf-8")
    return truth


if __name__ == "__main__":
    write_cards(Path(sys.argv[1]), *(int(word) for word in [*sys.argv[2:], *("100", "1")[len(sys.argv) - 2 :]]))
