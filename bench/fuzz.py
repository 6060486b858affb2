"""Hostile input at every parser: what comes out must be an answer or the refusal that the parser documents.

Inputs are valid examples, broken in one to twenty places, and bytes from nowhere. An example is broken at each of its
layers: the text of a code, the envelope in it, and the claims inside, which are then signed again with a trusted key, so that
what stands behind the signature is reached, too. A code whose claims nobody signed anew must never be believed for
anything else than what was signed: such a verdict counts as a crash.

A slow input is measured again, thrice; what is shown is the least, so that a busy machine is not taken for a slow parser.
What crashed is kept in a folder. The same seed makes the same inputs, but for the keys, which are made anew.

    python -m bench.fuzz [--inputs N] [--seed N] [--only PARSER] [--crashes FOLDER] [--atheris PARSER]
"""

from __future__ import annotations

import argparse
import gc
import importlib
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.fuzz_parsers import PARSERS, ForgedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.fuzz_parsers import Layer, Parser

LARGEST_BYTES = 4096
"""A code has at most 2,953."""
CRASHES_KEPT = 20
_FEWEST = 100
_LETTERS = b'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:|{}[]",_=#\n'
_NASTY = (
    b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, b"\x9f", b"\xbf", b"\x5f", b"\xc2", b"\xd8\x23", b"\xfb\x7f\xf8", b"\xf9\x7e\x00",
    b"\x9a\xff\xff\xff\xff", b"\x81" * 200, b"\xa1" * 200, b"[" * 1500, b'{"a":' * 500, b"9" * 5000, b"1e999", b"\xed\xa0\x80", b"%", b"&a [*a]",
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Throw and print; 1 if anything crashed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--inputs", type=int, default=1_000_000, help="in all; the loader of configurations gets fewer"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", choices=[parser.name for parser in PARSERS], action="append")
    options.add_argument("--crashes", type=Path, default=Path("build/fuzz"))
    options.add_argument(
        "--atheris", choices=[parser.name for parser in PARSERS], help="coverage-guided, until it is stopped"
    )
    given, further = options.parse_known_args(arguments)
    if given.atheris:
        return guided(next(parser for parser in PARSERS if parser.name == given.atheris), further)
    if further:
        options.error(f"unrecognized arguments: {' '.join(further)}")
    parsers = [parser for parser in PARSERS if given.only is None or parser.name in given.only]
    shares = sum(parser.share for parser in parsers)
    print(f"fuzz inputs={given.inputs} seed={given.seed}")
    print(f"{'parser':<20}{'inputs':>10}{'refused':>10}{'accepted':>10}{'crashes':>9}{'slowest ms':>12}", flush=True)
    rows = []
    for parser in parsers:
        row = thrown(parser, max(_FEWEST, given.inputs * parser.share // shares), given.seed)
        rows.append(row)
        print(
            f"{row.parser:<20}{row.inputs:>10}{row.refused:>10}{row.accepted:>10}{len(row.crashes):>9}{row.slowest_ms:>12.2f}",
            flush=True,
        )
        _keep(row, given.crashes)
    return 1 if any(row.crashes for row in rows) else 0


def thrown(parser: Parser, inputs: int, seed: int) -> Row:
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
            row.slowest_ms = max(row.slowest_ms, min(cost_ms, *(_count(again, parser, layer, data) for _ in range(3))))
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


def guided(parser: Parser, further: Sequence[str]) -> int:
    """Let atheris look for inputs by what they reach in the code, until it is stopped or something crashes.

    Args:
        parser: At which.
        further: Arguments of libFuzzer, such as -max_total_time=60.
    """
    try:
        import atheris  # noqa: PLC0415  an extra that not every Python has a wheel for
    except ImportError:
        print("atheris is not installed: .venv/bin/pip install -e '.[fuzz]', on Python 3.11 to 3.13", file=sys.stderr)
        return 2
    # Loaded again, and of it our own code alone: all that Python has loaded takes minutes.
    for module in [name for name in sys.modules if name.split(".")[0] == "kiosk" or name == "bench.fuzz_parsers"]:
        del sys.modules[module]
    with atheris.instrument_imports(include=["kiosk"], enable_loader_override=False):
        parsers = importlib.import_module("bench.fuzz_parsers").PARSERS
    parser = next(each for each in parsers if each.name == parser.name)

    def once(data: bytes) -> None:
        for layer in parser.layers:
            try:
                parser.parse(layer.wrap(data), layer)
            except parser.refusals:
                continue

    folder = Path("build/fuzz") / f"{parser.name}-corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(example for layer in parser.layers for example in layer.examples):
        (folder / f"example-{number}").write_bytes(example)
    atheris.Setup([sys.argv[0], *further, str(folder)], once)
    atheris.Fuzz()
    return 0


__all__ = ["ForgedError", "Row", "broken", "main", "thrown"]

if __name__ == "__main__":
    raise SystemExit(main())
