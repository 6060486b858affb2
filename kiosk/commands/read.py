"""`kiosk read`: pictures in, one line a code out: what it is, its warnings, and its holder masked.

A SMART Health Card in several codes is put together from the pictures of one call, as at the door: the picture with the last of
them stands for the card.

The payload itself is shown only with `--json`, in base64, because programs ask for it and shells must not meet it. With
`--explain` the passes that were tried on each picture are told, what each cost, and which of them read a code.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from kiosk.cli import values
from kiosk.clock import SystemClock, judging_s
from kiosk.commands.options import add_json
from kiosk.credential import NOBODY, chunks, classify, masked
from kiosk.decoder import examine_picture
from kiosk.forms import DEFAULT_ZONE, fault_of_zone
from kiosk.language.terminal import told
from kiosk.lens import picture
from kiosk.lens.picture import PictureError
from kiosk.log import printable
from kiosk.model import Credential, Malformed, Sighting, Unproven, UnprovenReason, WrongCode
from kiosk.reading import others
from kiosk.service import vectors
from kiosk.trust import issuers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from kiosk.decoder import Tried
    from kiosk.model import Reading, Verdict

    Classified = Callable[[bytes], Verdict]
    Judged = list[tuple[Reading, Verdict]]

_DOUBTS = {
    UnprovenReason.NOT_GENUINE: "its signature does not hold",
    UnprovenReason.REVOKED: "it is revoked",
    UnprovenReason.COPIED: "it moves on a phone, and this is an old picture of it",
    UnprovenReason.UNKNOWN_ISSUER: "its issuer is not in the trust folder",
    UnprovenReason.NO_TRUST_LIST: "there are no keys to verify it with; name their folder with --trust",
    UnprovenReason.CLOCK_UNSET: "the clock was never set, and without the time it cannot be verified",
}


_WRONG = {
    "wifi": "a Wi-Fi network",
    "shlink": "a SMART Health Link, which says where a health card lies, and is none",
    "aztec": "an Aztec code, a kind that is not read here",
    "micro-qr": "a Micro QR code, a kind that is not read here",
    "rmqr": "an rMQR code, a kind that is not read here",
    "data-matrix": "a Data Matrix code, a kind that is not read here",
    "pdf417": "a PDF417 code, a kind that is not read here",
    "provisioning": "a provisioning code, which sets a station up",
    "label": "the label of a station's box",
    "phone-number": "the number by which a phone says its key, for `central pass issue --holder-key`",
    "pass-link": "the link that puts a pass onto a phone",
    "page-icon": "the picture of the page that shows a pass on a phone",
}


def options(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="pictures, or folders of them")
    add_json(parser)
    parser.add_argument("--explain", action="store_true", help="tell which passes were tried, and what each cost")
    parser.add_argument("--trust", type=Path, metavar="DIR", help="trust folder to verify signed codes with")
    parser.add_argument(
        "--at",
        type=_time,
        metavar="TIME",
        help=f"judge expiry at 2026-11-23T08:00 in the office's zone ($KIOSK_ZONE or {DEFAULT_ZONE}), or with one as 2026-11-23T08:00+07:00"
        " (default: now)",
    )
    parser.add_argument(
        "--vectors", type=Path, metavar="DIR", help="judge a folder of the EU's test vectors for health certificates"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read all pictures; 0 if there was a code in any, 1 if in none, 2 if one could not be opened: it is named, and the others are read.

    With `--vectors`: 1 if any verdict differs.
    """
    if arguments.vectors is not None:
        return _judge_vectors(arguments.vectors)
    if not arguments.paths:
        raise PictureError("no picture was given")
    trust = NOBODY if arguments.trust is None else issuers.load(arguments.trust)
    now_s = judging_s(SystemClock().now()) if arguments.at is None else arguments.at
    classified = partial(classify, trust=trust, now_s=now_s)
    found, broken, held = False, False, chunks.Chunks()
    for path in _pictures(arguments.paths):
        try:
            luma = _luma(path)
        except PictureError as error:
            broken = True
            print(f"kiosk: {told(error.sentence)}", file=sys.stderr, flush=True)
            if arguments.json:
                print(json.dumps({"file": str(path), "error": str(error)}, ensure_ascii=False), flush=True)
            continue
        readings, tried = examine_picture(luma)
        if not readings and luma.size:
            readings = others.symbols(luma, others.IN_A_PICTURE)
        found = found or bool(readings)
        judged = _judged(readings, held, classified)
        lines = _as_json(path, judged, tried) if arguments.json else _as_text(path, judged)
        if arguments.explain and not arguments.json:
            lines += _explained(tried)
        for text in lines:
            print(printable(text), flush=True)
    return PictureError.exit_code if broken else 0 if found else 1


def _luma(path: Path) -> NDArray[np.uint8]:
    if not path.exists():
        raise PictureError(f"{path} does not exist")
    return picture.luma_of(path)


def _judged(readings: list[Reading], held: chunks.Chunks, classified: Classified) -> Judged:
    """Each code with its verdict; a card in several codes whose last one is here stands where that one is."""
    judged: Judged = []
    for sighting in held.join([Sighting(each.payload, 0, symbology=each.symbology) for each in readings], 0):
        last = [reading for reading in readings if reading.payload in sighting.codes][-1]
        if sighting.symbology:
            judged.append((last, WrongCode(sighting.symbology, len(sighting.payload))))
            continue
        verdict = chunks.judged(sighting, classified(sighting.payload))
        judged.append((replace(last, payload=sighting.payload), verdict))
    return judged


def _judge_vectors(folder: Path) -> int:
    """Judge every vector in a folder; each difference is a line, each stage a count."""
    agreed: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.json")):
        try:
            outcomes = vectors.Vector.read(path).judged()
        except vectors.VectorError as error:
            print(f"{path}: skipped: {error.args[0]}")
            continue
        for outcome in outcomes:
            (agreed if outcome.found == outcome.expected else differing)[outcome.check] += 1
            if outcome.found != outcome.expected:
                print(f"{path}: {outcome.check} expected={outcome.expected} found={outcome.found}", flush=True)
    for check in sorted(agreed | differing):
        print(f"{check:<24} agree={agreed[check]} differ={differing[check]}")
    return 1 if differing or not agreed else 0


def _as_text(path: Path, judged: Judged) -> list[str]:
    return [f"{path}: {text}" for text in [_as_line(verdict) for _, verdict in judged] or ["no code"]]


def _as_json(path: Path, judged: Judged, tried: list[Tried]) -> list[str]:
    listed = {
        "file": str(path),
        "codes": [_as_object(reading, verdict) for reading, verdict in judged],
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
                inner for inner in path.rglob("*") if inner.suffix.lower() in picture.SUFFIXES and inner.is_file()
            )
        else:
            yield path


def _as_object(reading: Reading, verdict: Verdict) -> dict[str, object]:
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
                "result": verdict.result.value,
                "flags": list(verdict.flags),
                "holder": masked(verdict),
            }
        case Unproven():
            return {"class": "unproven", "document": verdict.document, "flags": [], "reason": verdict.reason.value}
        case Malformed():
            return {"class": "malformed", "document": verdict.document, "flags": [], "reason": verdict.reason}
        case WrongCode():
            return {"class": "wrong-code", "document": verdict.kind, "flags": []}


def _as_line(verdict: Verdict) -> str:
    match verdict:
        case Credential():
            flags = f" [{', '.join(verdict.flags)}]" if verdict.flags else ""
            return f"{verdict.document}{flags} {masked(verdict)}"
        case Unproven():
            return f"{verdict.document}, not believed: {_DOUBTS[verdict.reason]}"
        case Malformed(reason="one-of-several"):
            return f"{verdict.document}, one of several codes: the card needs all of them"
        case Malformed():
            return f"{verdict.document}, damaged ({verdict.reason}): show it again"
        case WrongCode():
            return f"wrong code: {_WRONG.get(verdict.kind, verdict.kind)}, {verdict.size_bytes} bytes"


def _time(text: str) -> float:
    """Unix seconds; without a zone it is the office's."""
    moment = values.moment(text)
    if moment.tzinfo:
        return moment.timestamp()
    name = os.environ.get("KIOSK_ZONE", DEFAULT_ZONE)
    if fault := fault_of_zone(name):
        raise argparse.ArgumentTypeError(f"KIOSK_ZONE {'; '.join(fault)}")
    return moment.replace(tzinfo=ZoneInfo(name)).timestamp()
