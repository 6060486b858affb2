"""Every engine and ours on the same pictures, interleaved in one run: what each reads, and what it costs.

    python -m bench.decode --data FOLDER [--width 1280,640] [--docs docs]

FOLDER holds `manifest.json`, a list of objects with `file`, `expected_b64` (payloads, any of which counts), optionally
`expected_text` and `set`; pictures of sets named noqr* have no code. Hard frames, sequences and the special cases are
synthesised here and seeded. Times are CPU milliseconds of one thread. With `--docs` the table and the plot are written.
"""

from __future__ import annotations

import argparse
import base64
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench.engines import engines
from bench.hard import approaches, hard_frames, special_frames
from kiosk.config import Decode
from kiosk.decoder import Decoder
from kiosk.lens.frame import Frame
from kiosk.sim.render import Scene

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bench.engines import Engine

    Luma = NDArray[np.uint8]

LEARNT_FRAMES = 150
"""Five seconds: by then the furniture is known."""
OURS, DEFAULT, PYZBAR = "kiosk", "zxing-cpp", "pyzbar"


@dataclass(frozen=True)
class Item:
    """A picture and the payloads of which any counts; none for a picture without a code."""

    name: str
    luma: Luma
    expected: tuple[bytes, ...]
    texts: tuple[str, ...] = ()

    @property
    def has_code(self) -> bool:
        """Whether there is anything to be read."""
        return bool(self.expected or self.texts)


@dataclass
class Score:
    """What one engine did on one set."""

    read: set[str] = field(default_factory=set)
    wrong: int = 0
    raised: int = 0
    times_ms: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.json")
    parser.add_argument("--width", default="1280,640", help="long sides to which pictures are reduced")
    parser.add_argument("--docs", type=Path, help="where decoding-table.md and decoding.svg go")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    known = engines()
    lines: list[str] = []
    points: dict[str, tuple[float, float]] = {}
    for width_px in map(int, arguments.width.split(",")):
        items = list(_pictures(arguments.data, width_px))
        scores = _scored(known, [item for item in items if item.has_code])
        lines += _table(f"real photos, long side {width_px}", scores, len([item for item in items if item.has_code]))
        lines += _halves(scores, [item for item in items if item.has_code])
        empty = _scored(known, [item for item in items if not item.has_code])
        lines += _table(
            f"photos without a code, long side {width_px}", empty, len(items) - sum(i.has_code for i in items)
        )
        points = points or {
            name: (100 * len(score.read) / max(1, sum(i.has_code for i in items)), mean(empty[name].times_ms))
            for name, score in scores.items()
        }
    frames = [Item(f"{n}", luma, (payload,)) for n, (luma, payload) in enumerate(hard_frames(seed=901, count=150))]
    lines += _table("hard door frames", _scored(known, frames), len(frames))
    few = {name: known[name] for name in (OURS, DEFAULT, PYZBAR)}
    for title, made in special_frames(seed=902, count=40).items():
        specials = [Item(f"{n}", luma, (payload,)) for n, (luma, payload) in enumerate(made)]
        lines += _table(title, _scored(few, specials), len(specials))
    for seed in (903, 904, 905):
        lines += _sequences(seed)
    lines += _idle()
    print("\n".join(lines))
    if arguments.docs is not None:
        (arguments.docs / "decoding-table.md").write_text("\n".join(["# Decoding, measured", "", *lines, ""]), "utf-8")
        (arguments.docs / "decoding.svg").write_text(_plot(points), "utf-8")


def _pictures(folder: Path, width_px: int) -> Iterable[Item]:
    for entry in json.loads((folder / "manifest.json").read_text("utf-8")):
        encoded = np.fromfile(folder / entry["file"], np.uint8)
        luma: Any = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        scale = width_px / max(luma.shape)
        if scale < 1:
            luma = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        is_empty = entry.get("set", "").startswith("noqr")
        expected = tuple(base64.b64decode(each) for each in entry["expected_b64"] if not is_empty)
        yield Item(
            entry["file"],
            np.asarray(luma, np.uint8),
            expected,
            () if is_empty else tuple(entry.get("expected_text", ())),
        )


def _scored(known: dict[str, Engine], items: list[Item]) -> dict[str, Score]:
    scores = {name: Score() for name in known}
    for number, item in enumerate(items):
        order = list(known) if number % 2 else list(known)[::-1]
        for name in order:
            score, payloads = scores[name], []
            started_s = time.thread_time()
            try:
                payloads = known[name](item.luma)
            except Exception:  # noqa: BLE001  a rival may raise anything; it is counted
                score.raised += 1
            score.times_ms.append((time.thread_time() - started_s) * 1e3)
            right = [payload for payload in payloads if _is_right(payload, item)]
            score.wrong += bool(payloads) and not right
            if right:
                score.read.add(item.name)
    return scores


def _is_right(payload: bytes, item: Item) -> bool:
    return payload in item.expected or payload.decode("utf-8", "replace").strip() in item.texts


def _table(title: str, scores: dict[str, Score], count: int) -> list[str]:
    default = scores[DEFAULT].read
    rows = [
        f"| {name} | {len(score.read)} | {100 * len(score.read) / max(1, count):.1f} % | {score.wrong} | {score.raised} "
        f"| {len(default - score.read)} | {mean(score.times_ms):.1f} | {median(score.times_ms):.1f} |"
        for name, score in scores.items()
    ]
    head = "| engine | read | rate | wrong or false | exceptions | read by zxing-cpp only | mean ms | median ms |"
    return ["", f"## {title} ({count})", "", head, "|---|---|---|---|---|---|---|---|", *rows]


def _halves(scores: dict[str, Score], items: list[Item]) -> list[str]:
    """The half on which the passes were tuned, by the parity of the name's bytes, and the other."""
    halves = [[item.name for item in items if _parity(item.name) == parity] for parity in (0, 1)]
    told = [
        f"{100 * len(scores[OURS].read & set(names)) / max(1, len(names)):.1f} % of {len(names)}" for names in halves
    ]
    return ["", f"kiosk on the half used for tuning: {told[0]}; on the other: {told[1]}"]


def _parity(name: str) -> int:
    import hashlib  # noqa: PLC0415  only here

    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16) & 1


def _sequences(seed: int) -> list[str]:
    """30 people approach for 12 frames each: which codes are read, when first, and at what cost a frame."""
    known = engines(only=(DEFAULT,))
    decoder = Decoder(Decode().budget_ms)
    first: dict[str, dict[int, int]] = {OURS: {}, DEFAULT: {}}
    spent_s = {OURS: 0.0, DEFAULT: 0.0}
    for person, (payload, frames) in enumerate(approaches(seed, people=30, frames=12)):
        for number, luma in enumerate(frames):
            calls = {
                OURS: lambda luma=luma: [reading.payload for reading in decoder.read(Frame(luma, 0))],
                DEFAULT: lambda luma=luma: known[DEFAULT](luma),
            }
            for name in (OURS, DEFAULT) if number % 2 else (DEFAULT, OURS):
                started_s = time.thread_time()
                payloads = calls[name]()
                spent_s[name] += time.thread_time() - started_s
                if payload in payloads:
                    first[name].setdefault(person, number)
    both = first[OURS].keys() & first[DEFAULT].keys()
    told = [median(first[name][person] for person in both) if both else "-" for name in (OURS, DEFAULT)]
    line = (
        f"approaches, seed {seed}: kiosk read {len(first[OURS])} codes, zxing-cpp on every frame {len(first[DEFAULT])}; "
        f"first read, median frame of those that both read: {told[0]} against {told[1]}; "
        f"cost a frame {spent_s[OURS] / spent_s[DEFAULT]:.2f} × zxing-cpp's"
    )
    return ["", line]


def _idle() -> list[str]:
    known = engines(only=(DEFAULT,))
    ratios = []
    for seed in range(5):
        scene, decoder, spent_s = Scene(1280, 720, seed), Decoder(Decode().budget_ms), [0.0, 0.0]
        for number in range(LEARNT_FRAMES):
            decoder.read(Frame(scene.empty(number), 0))
        for number in range(60):
            luma = scene.empty(number)
            started_s = time.thread_time()
            decoder.read(Frame(luma, 0))
            between_s = time.thread_time()
            known[DEFAULT](luma)
            spent_s[0] += between_s - started_s
            spent_s[1] += time.thread_time() - between_s
        ratios.append(spent_s[0] / spent_s[1])
    return [
        "",
        f"empty frames of five rooms, once they are known: kiosk costs {mean(ratios):.2f} × zxing-cpp's default (most {max(ratios):.2f})",
    ]


def _plot(points: dict[str, tuple[float, float]]) -> str:
    """Rate against cost, the cost on a logarithmic scale, as a drawing that needs no library."""
    width, height, left, bottom = 640, 400, 60, 350
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<path d="M{left} 20V{bottom}H{width - 20}" fill="none" stroke="black"/>',
        f'<text x="{width // 2 - 130}" y="{height - 10}">ms for a picture without a code (logarithmic)</text>',
        '<text x="10" y="14">% read at 1280</text>',
    ]
    parts += [f'<text x="{left - 34}" y="{bottom - 3.2 * rate + 4:.0f}">{rate}</text>' for rate in range(0, 101, 20)]
    parts += [f'<text x="{_across(ms):.0f}" y="{bottom + 16}">{ms:g}</text>' for ms in (0.5, 1, 2, 5, 10, 20, 50, 100)]
    for name, (share, cost_ms) in points.items():
        x, y, colour = _across(cost_ms), bottom - 3.2 * share, "#c00" if name == OURS else "#36c"
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 8:.0f}" y="{y + 4:.0f}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _across(ms: float) -> float:
    return 80 + 200 * float(np.log10(max(0.4, ms) / 0.4))


if __name__ == "__main__":
    main()
