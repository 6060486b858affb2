"""`kiosk read`: pictures in, one line a code out: what it is, its warnings, and its holder masked.

The payload itself is shown only with `--json`, in base64, because programs ask for it and shells must not meet it. With
`--explain` the passes that were tried on each picture are told, what each cost, and which of them read a code.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from kiosk.credential import classify, masked
from kiosk.decoder import examine_picture
from kiosk.errors import KioskError
from kiosk.log import printable
from kiosk.model import Credential, Malformed, Signed, WrongCode
from kiosk.sim.replay import PICTURE_SUFFIXES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from kiosk.decoder import Tried
    from kiosk.model import Reading, Verdict


class PictureError(KioskError, OSError):
    """A picture cannot be read."""

    hint = f"give a picture ({', '.join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))}) or a folder of them"
    exit_code = 2


def run(arguments: argparse.Namespace) -> int:
    """Read all pictures; 0 if there was a code in any, 1 if in none."""
    found = False
    for path in _pictures(arguments.paths):
        readings, tried = examine_picture(_luma(path))
        found = found or bool(readings)
        lines = _as_json(path, readings, tried) if arguments.json else _as_text(path, readings)
        if arguments.explain and not arguments.json:
            lines += _explained(tried)
        for text in lines:
            print(printable(text), flush=True)
    return 0 if found else 1


def _as_text(path: Path, readings: list[Reading]) -> list[str]:
    return [f"{path}: {text}" for text in [_as_line(reading) for reading in readings] or ["no code"]]


def _as_json(path: Path, readings: list[Reading], tried: list[Tried]) -> list[str]:
    listed = {
        "file": str(path),
        "codes": [_as_object(reading) for reading in readings],
        "tried": [{"strategy": each.strategy, "ms": round(each.cost_ms, 2), "codes": each.codes} for each in tried],
    }
    return [json.dumps(listed, ensure_ascii=False)]


def _explained(tried: list[Tried]) -> list[str]:
    """One line a pass, in the order in which they were tried."""
    lines = [
        f"  {each.strategy:<20} {each.cost_ms:7.1f} ms  {f'read {each.codes}' if each.codes else '-'}" for each in tried
    ]
    return [*lines, f"  {'together':<20} {sum(each.cost_ms for each in tried):7.1f} ms"]


def _pictures(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(
                inner for inner in path.rglob("*") if inner.suffix.lower() in PICTURE_SUFFIXES and inner.is_file()
            )
        elif path.is_file():
            yield path
        else:
            raise PictureError(f"{path} does not exist")


def _luma(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        encoded = np.fromfile(path, np.uint8)
        luma = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) if encoded.size else None
    except (OSError, cv2.error) as error:
        raise PictureError(f"{path} cannot be read: {type(error).__name__}") from error
    if luma is None:
        raise PictureError(f"{path} is no picture that can be decoded")
    return np.asarray(luma, np.uint8)


def _as_object(reading: Reading) -> dict[str, object]:
    verdict = classify(reading.payload)
    return {
        "payload_b64": base64.b64encode(reading.payload).decode("ascii"),
        **_facts(verdict),
        "corners_px": [[round(x, 1), round(y, 1)] for x, y in reading.corners_px],
        "strategy": reading.strategy,
    }


def _facts(verdict: Verdict) -> dict[str, object]:
    match verdict:
        case Credential():
            return {
                "class": "credential",
                "document": verdict.document,
                "flags": list(verdict.flags),
                "holder": masked(verdict),
            }
        case Signed():
            return {"class": "signed", "document": verdict.document, "flags": []}
        case Malformed():
            return {"class": "malformed", "document": verdict.document, "flags": [], "reason": verdict.reason}
        case WrongCode():
            return {"class": "wrong-code", "document": verdict.kind, "flags": []}


def _as_line(reading: Reading) -> str:
    verdict = classify(reading.payload)
    match verdict:
        case Credential():
            flags = f" [{', '.join(verdict.flags)}]" if verdict.flags else ""
            return f"{verdict.document}{flags} {masked(verdict)}"
        case Signed():
            return f"{verdict.document}: a signed code; its signature is not checked yet"
        case Malformed():
            return f"{verdict.document}, damaged ({verdict.reason}): show it again"
        case WrongCode():
            return f"wrong code: {verdict.kind}, {verdict.size_bytes} bytes"
