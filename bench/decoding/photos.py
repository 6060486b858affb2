"""Rows of photographs, which are given by a folder and never kept here.

The folder holds `manifest.json`, a list of objects with `file`, `expected_b64` (payloads, any of which counts), optionally
`expected_text` and `set`; pictures of sets named noqr* have no code. A set is one photographer's series: its pictures hang together, so
that intervals draw whole sets.

Units: `_px` pixels, `_s` seconds.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench.decoding.intervals import Estimate, bootstrap, share_of_groups
from bench.decoding.row import Row, Wanted
from bench.decoding.run import OURS, ZXING, Faults, Judge, at_the_door, door_decoder
from bench.engines import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.decoding.run import Reader, Run

    Luma = NDArray[np.uint8]

SIX = "six calls"
TUNED = "made with these photos in view"
RIGHT, WRONG = b"right", b"wrong"
WIDTHS_PX = (1280, 640)
DOOR_FRAMES = 8
RATE = {1280: 96.0, 640: 94.5}
Told = dict[str, tuple[bool, bool, float]]
"""Of one photo, for each reader: whether it read it, whether it told something else instead, and seconds."""


@dataclass(frozen=True)
class Photo:
    """A picture and the payloads of which any counts; none for a picture without a code."""

    name: str
    set_name: str
    luma: Luma
    expected: tuple[bytes, ...]
    texts: tuple[str, ...]

    @property
    def has_code(self) -> bool:
        """Whether there is anything to be read."""
        return bool(self.expected or self.texts)

    def is_right(self, payload: bytes) -> bool:
        """Whether this is in it."""
        return payload in self.expected or payload.decode("utf-8", "replace").strip() in self.texts


def rows_of_photos(run: Run) -> list[Row]:
    """Each photo once, by every reader that is here."""
    if run.data is None:
        return [Row(f"photos, {width_px} px", None, Wanted(RATE[width_px])) for width_px in WIDTHS_PX]
    rows = []
    for width_px in WIDTHS_PX:
        photos = _photos(run.data, width_px)
        every = 3 if run.is_quick else 1
        kept = photos[::every]
        tasks = [(run.data, width_px, every * number) for number in range(len(kept))]
        told = run.map(_read, tasks)
        coded = [(photo, each) for photo, each in zip(kept, told, strict=True) if photo.has_code]
        rows += _rates(coded, width_px)
        rows += _over_six(coded, list(zip(kept, told, strict=True)), width_px)
        run.sections.append(_table(f"photos, long side {width_px} px", [each for _, each in coded]))
        empty = [each for photo, each in zip(kept, told, strict=True) if not photo.has_code]
        run.sections.append(_table(f"photos without a code, long side {width_px} px", empty))
        if not run.points and empty:
            run.points.update({
                name: (100 * mean(each[name][0] for _, each in coded), 1e3 * mean(each[name][2] for each in empty)) for name in empty[0]
            })  # fmt: skip
    return rows


def rows_of_photos_at_the_door(run: Run) -> list[Row]:
    """Each photo for eight frames, as a trembling hand shows it, each with its own noise."""
    what = f"photos, within {DOOR_FRAMES} frames at the door"
    if run.data is None:
        return [Row(what, None, Wanted(96), " %")]
    rows = []
    for width_px in WIDTHS_PX:
        photos = _photos(run.data, width_px)
        every = 3 if run.is_quick else 1
        numbers = [number for number in range(0, len(photos), every) if photos[number].has_code]
        told = run.map(_shown, [(run.data, width_px, number, run.seed) for number in numbers])
        groups = [photos[number].set_name for number in numbers]
        wanted = Wanted(96) if width_px == WIDTHS_PX[0] else None
        for place, name in enumerate((OURS, ZXING)):
            estimate = share_of_groups([each[place] for each in told], groups).times(100)
            told_of = (wanted, TUNED) if name == OURS else (None, "")
            rows.append(Row(f"{what}, {width_px} px: {name}", estimate, told_of[0], " %", told_of[1]))
    return rows


def _rates(coded: Sequence[tuple[Photo, Told]], width_px: int) -> list[Row]:
    groups = [photo.set_name for photo, _ in coded]
    rows = []
    for name in (OURS, SIX, ZXING, "WeChat"):
        if name in coded[0][1]:
            estimate = share_of_groups([told[name][0] for _, told in coded], groups).times(100)
            wanted, note = (Wanted(RATE[width_px]), TUNED) if name == OURS else (None, "")
            rows.append(Row(f"photos, {width_px} px: {name}", estimate, wanted, " %", note))
    return rows


def _over_six(coded: Sequence[tuple[Photo, Told]], every: Sequence[tuple[Photo, Told]], width_px: int) -> list[Row]:
    """Points over the six calls and cost against theirs, whole sets drawn again."""
    points = _by_set(
        coded,
        lambda told: (told[OURS][0], told[SIX][0], 1),
        lambda sums: 100 * float((sums[0] - sums[1]) / sums[2]),
    )
    costs = [
        _by_set(some, lambda told: (told[OURS][2], told[SIX][2]), lambda sums: float(sums[0] / sums[1]))
        for some in (coded, every)
    ]
    cheap, unit = Wanted(1.05, at_least=False), " × the six calls"
    return [
        Row(f"photos, {width_px} px: over the six calls", points, Wanted(4, surely=True), " points"),
        Row(f"photos with a code, {width_px} px: mean cost", costs[0], cheap, unit),
        Row(f"all photos, {width_px} px: mean cost", costs[1], cheap, unit),
    ]


def _by_set(
    some: Sequence[tuple[Photo, Told]],
    measured: Callable[[Told], tuple[float, ...]],
    figure: Callable[[NDArray[np.float64]], float],
) -> Estimate:
    """A figure of sums over photos, whole sets drawn again; n counts the photos."""
    sums: dict[str, NDArray[np.float64]] = {}
    for photo, told in some:
        row = np.array(measured(told), np.float64)
        sums[photo.set_name] = sums.get(photo.set_name, np.zeros_like(row)) + row
    found = bootstrap(np.array(list(sums.values())), figure)
    return Estimate(found.value, found.low, found.high, len(some))


def _table(title: str, told: Sequence[Told]) -> list[str]:
    lines = [
        "",
        f"## {title[0].upper()}{title[1:]} ({len(told)})",
        "",
        "| reader | read | rate | wrong or false | read by zxing-cpp only | mean ms | median ms |",
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for name in told[0] if told else ():
        read, times_ms = sum(each[name][0] for each in told), [1e3 * each[name][2] for each in told]
        lost = sum(each[ZXING][0] and not each[name][0] for each in told)
        wrong = sum(each[name][1] for each in told)
        lines.append(
            f"| {name} | {read} | {100 * read / len(told):.1f} % | {wrong} | {lost} | {mean(times_ms):.1f} | {median(times_ms):.1f} |"
        )
    return lines


@cache
def _photos(folder: Path, width_px: int) -> list[Photo]:
    photos = []
    for entry in json.loads((folder / "manifest.json").read_text("utf-8")):
        encoded = np.fromfile(folder / entry["file"], np.uint8)
        luma: Any = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        scale = width_px / max(luma.shape)
        if scale < 1:
            luma = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        set_name = entry.get("set", entry["file"])
        is_empty = set_name.startswith("noqr")
        expected = () if is_empty else tuple(base64.b64decode(each) for each in entry["expected_b64"])
        texts = () if is_empty else tuple(entry.get("expected_text", ()))
        photos.append(Photo(entry["file"], set_name, np.asarray(luma, np.uint8), expected, texts))
    return photos


def _read(task: tuple[Path, int, int]) -> tuple[Told, Faults]:
    folder, width_px, number = task
    photo, judge = _photos(folder, width_px)[number], Judge(turn=number)
    judged = {name: _judged(photo, read) for name, read in _engines().items()}
    answers = judge.compare(judged, photo.luma, [RIGHT, WRONG])
    told = {name: (RIGHT in read, WRONG in read, took_s) for name, (read, took_s) in answers.items()}
    return told, Faults(told[OURS][1], judge.faults.raised, 1)


def _shown(task: tuple[Path, int, int, int]) -> tuple[tuple[bool, bool], Faults]:
    folder, width_px, number, seed = task
    photo, judge = _photos(folder, width_px)[number], Judge(turn=number)
    readers = {OURS: _judged(photo, at_the_door(door_decoder())), ZXING: _judged(photo, _engines()[ZXING])}
    generator = np.random.default_rng([seed, number])
    told = []
    for step in range(DOOR_FRAMES):
        luma = photo.luma
        if step:
            shift = np.array([[1, 0, generator.uniform(-2, 2)], [0, 1, generator.uniform(-2, 2)]])
            moved = cv2.warpAffine(luma, shift, luma.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
            luma = np.asarray(np.clip(moved + generator.normal(0, 2, luma.shape), 0, 255), np.uint8)
        told.append(judge.compare(readers, luma, [RIGHT]))
    return (any(each[OURS][0] for each in told), any(each[ZXING][0] for each in told)), judge.faults


def _judged(photo: Photo, read: Reader) -> Reader:
    """A reader that says only whether it is right: one word for any payload of the photo, another where all are something else."""

    def judged(luma: Luma) -> list[bytes]:
        payloads = list(read(luma))
        return [RIGHT if any(photo.is_right(payload) for payload in payloads) else WRONG] if payloads else []

    return judged


_engines = cache(engines)
