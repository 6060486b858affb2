"""Hostile input at every parser: what comes out must be an answer or the refusal that the parser documents.

Inputs are valid examples, broken in one to twenty places, and bytes from nowhere. An example is broken at each of its
layers: the text of a code, the envelope in it, and the claims inside, which are then signed again with a trusted key, so that
what stands behind the signature is reached, too. A code whose claims nobody signed anew must never be believed for
anything else than what was signed: such a verdict counts as a crash.

A slow input is measured again, thrice; what counts is the least, so that a busy machine is not taken for a slow parser.
What crashed, or took longer than a payload may, is kept in a folder. The same seed makes the same inputs, but for the keys,
which are made anew. First comes what is small and stands for much: inflate and CBOR bombs, by time and memory; last,
with `--guided`, atheris (`bench.guided`).

    python -m bench.fuzz [--inputs N] [--seed N] [--jobs N] [--only PARSER] [--crashes FOLDER] [--guided SECONDS]
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bombs, guided
from bench.children import ChildDiedError, spread
from bench.fuzz_parsers import PARSERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.layers import Layer, Parser

LARGEST_BYTES = 4096
"""A code has at most 2,953."""
LONGEST_MS = 20.0
"""For any payload, of processor time."""
CRASHES_KEPT = 20
PIECE = 20_000
"""So many inputs go into one process."""
_FEWEST = 100
_LETTERS = b'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:|{}[]",_=#\n'
_NASTY = (
    b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, b"\x9f", b"\xbf", b"\x5f", b"\xc2", b"\xd8\x23", b"\xfb\x7f\xf8", b"\xf9\x7e\x00",
    b"\x9a\xff\xff\xff\xff", b"\x81" * 200, b"\xa1" * 200, b"[" * 1500, b'{"a":' * 500, b"9" * 400, b"9" * 5000, b"1e999", b"\xed\xa0\x80", b"%", b"&a [*a]",
    b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b" 2001-99-99", b" !!bool x", b" &a [*a]", b"!!python/object:os.system", b"\xf0\x9f\x98\x80",
)  # fmt: skip
"""Lengths without end, big numbers, depth, surrogates, references, dates that are none."""


@dataclass(slots=True)
class Row:
    """What became of one parser's inputs."""

    parser: str
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    crashes: list[tuple[str, bytes]] = field(default_factory=list)
    slowest_ms: float = 0.0
    slowest: bytes = b""

    @property
    def sound(self) -> bool:
        """Whether nothing crashed and nothing took too long."""
        return not self.crashes and self.slowest_ms < LONGEST_MS

    def add(self, piece: Row) -> None:
        """Count a piece's inputs, too."""
        self.inputs += piece.inputs
        self.refused += piece.refused
        self.accepted += piece.accepted
        self.crashes += piece.crashes[:CRASHES_KEPT]
        if piece.slowest_ms > self.slowest_ms:
            self.slowest_ms, self.slowest = piece.slowest_ms, piece.slowest


def main(arguments: Sequence[str] | None = None) -> int:
    """Throw and print; 1 if anything crashed, took too long or swelled."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--inputs", type=int, default=1_000_000, help="in all; the loader of configurations gets fewer"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    options.add_argument("--only", choices=[parser.name for parser in PARSERS], action="append")
    options.add_argument("--crashes", type=Path, default=Path("build/fuzz"))
    options.add_argument("--guided", type=int, default=0, help="seconds a parser for atheris, guided by coverage")
    given = options.parse_args(arguments)
    parsers = [parser for parser in PARSERS if given.only is None or parser.name in given.only]
    started_s = time.monotonic()
    print(f"fuzz inputs={given.inputs} seed={given.seed}")
    sound = given.only is not None or _defused()
    print(f"{'parser':<20}{'inputs':>10}{'refused':>10}{'accepted':>10}{'crashes':>9}{'slowest ms':>12}", flush=True)
    rows = list(_rows(parsers, given.inputs, given.seed, given.jobs))
    for row in rows:
        _keep(row, given.crashes)
    sound &= all(row.sound for row in rows)
    total = Row("all")
    for row in rows:
        total.add(row)
    _print(total)
    if given.guided:
        sound &= guided.each([parser.name for parser in parsers], given.guided, given.jobs)
    print(f"fuzz seconds={time.monotonic() - started_s:.0f} limit_ms={LONGEST_MS:.0f} sound={'yes' if sound else 'no'}")
    return not sound


def _defused() -> bool:
    """Refuse every bomb; whether each was, within its bounds."""
    costs = bombs.defused()
    slowest, largest = max(cost.cpu_ms for cost in costs), max(cost.memory_mb for cost in costs)
    bad = [
        cost
        for cost in costs
        if not cost.refused or cost.cpu_ms >= bombs.LONGEST_MS or cost.memory_mb >= bombs.LARGEST_MB
    ]
    print(
        f"bombs={len(costs)} refused={sum(cost.refused for cost in costs)} slowest_ms={slowest:.2f} most_mb={largest:.1f}"
        f" limits: {bombs.LONGEST_MS:.0f} ms, {bombs.LARGEST_MB:.0f} MB",
        flush=True,
    )
    for cost in bad:
        print(f"  {cost}", flush=True)
    return not bad


def _rows(parsers: Sequence[Parser], inputs: int, seed: int, jobs: int) -> Iterator[Row]:
    """Throw at all of them in pieces, and print each parser's row when its last piece is done."""
    shares = sum(parser.share for parser in parsers)
    pieces: list[tuple[Parser, int, str]] = []
    left: dict[str, int] = {}
    for parser in parsers:
        whole = max(_FEWEST, -(-inputs * parser.share // shares))
        sizes = [min(PIECE, whole - begun) for begun in range(0, whole, PIECE)]
        left[parser.name] = len(sizes)
        pieces += [(parser, size, f"{seed}.{number}") for number, size in enumerate(sizes)]
    rows = {parser.name: Row(parser.name) for parser in parsers}
    try:
        for piece in spread(_thrown, pieces, jobs):
            row = rows[piece.parser]
            row.add(piece)
            left[row.parser] -= 1
            if not left[row.parser]:
                _print(row)
                yield row
    except ChildDiedError as error:
        rows["all"] = Row("all", crashes=[(f"the process died: {error}", b"")])
        yield rows["all"]


def _print(row: Row) -> None:
    print(
        f"{row.parser:<20}{row.inputs:>10}{row.refused:>10}{row.accepted:>10}{len(row.crashes):>9}{row.slowest_ms:>12.2f}",
        flush=True,
    )


def _thrown(piece: tuple[Parser, int, str]) -> Row:
    return thrown(*piece)


def thrown(parser: Parser, inputs: int, seed: int | str) -> Row:
    """Throw so many inputs at one parser.

    Args:
        parser: At which.
        inputs: How many.
        seed: Of the breaking.
    """
    chance = random.Random(f"{parser.name} {seed}")
    row = Row(parser.name)
    gc.collect()
    gc.freeze()
    for _ in range(inputs):
        layer = chance.choice(parser.layers)
        data = layer.wrap(broken(chance.choice(layer.examples), chance))
        row.inputs += 1
        cost_ms = _count(row, parser, layer, data)
        if cost_ms > row.slowest_ms:
            again = Row(parser.name)
            cost_ms = min(cost_ms, *(_count(again, parser, layer, data) for _ in range(3)))
        if cost_ms > row.slowest_ms:
            row.slowest_ms, row.slowest = cost_ms, data
    gc.unfreeze()
    return row


def _count(row: Row, parser: Parser, layer: Layer, data: bytes) -> float:
    """Parse once and count what came of it; the milliseconds of this thread."""
    started_ns = time.thread_time_ns()
    try:
        accepted = parser.parse(data, layer)
    except parser.refusals:
        row.refused += 1
    except Exception as error:  # noqa: BLE001  every other one is what is looked for
        row.crashes.append((type(error).__name__, data))
    else:
        row.accepted += accepted
        row.refused += not accepted
    return (time.thread_time_ns() - started_ns) / 1e6


def broken(example: bytes, chance: random.Random) -> bytes:
    """The example with a few changes; now and then something else altogether.

    Args:
        example: A valid input.
        chance: The source of chance.
    """
    kind = chance.randrange(50)
    if kind == 0:
        return chance.randbytes(chance.randrange(300))
    if kind == 1:
        return example[:8] + bytes(chance.choices(_LETTERS, k=chance.randrange(300)))
    data = bytearray(example)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 20))):
        _change(data, chance.randrange(len(data) + 1), chance)
        del data[LARGEST_BYTES:]
    return bytes(data)


def _change(data: bytearray, at: int, chance: random.Random) -> None:
    """One change at this place."""
    match chance.randrange(8):
        case 0:
            data[at : at + 1] = bytes((chance.choice(_LETTERS),))
        case 1:
            data[at : at + 1] = bytes((chance.randrange(256),))
        case 2:
            del data[at : at + chance.choice((1, 2, 3, 8, 40))]
        case 3:
            data[at:at] = data[max(0, at - chance.choice((1, 8, 50))) : at] * chance.choice((1, 4, 50))
        case 4:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 16)))
        case 5:
            data[at:at] = chance.choice(_NASTY)
        case 6:
            data[at : at + chance.choice((1, 4, 8))] = chance.choice(_NASTY)
        case _:
            del data[at : at + (1 << chance.randrange(12))]


def _keep(row: Row, folder: Path) -> None:
    """Write what crashed, and name it."""
    for number, (error, data) in enumerate(row.crashes[:CRASHES_KEPT]):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{row.parser}-{number}.bin"
        path.write_bytes(data)
        print(f"  {error}: {path}", flush=True)
    if row.slowest_ms >= LONGEST_MS:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{row.parser}-slowest.bin"
        path.write_bytes(row.slowest)
        print(f"  {row.slowest_ms:.1f} ms: {path}", flush=True)


__all__ = ["Row", "broken", "main", "thrown"]

if __name__ == "__main__":
    raise SystemExit(main())
