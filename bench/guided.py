"""Inputs that atheris finds by what they reach in the code, beside those of `bench.fuzz`, which are broken by chance.

atheris counts branches of kiosk's own modules and keeps each input that reaches a new one, to break it further. It stops at
the first error that a parser does not document, and names the file with the input.

    python -m bench.guided PARSER [ARGUMENT OF LIBFUZZER…]      until it is stopped, or -max_total_time=SECONDS
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path("build/fuzz")
_START_S = 60
_DONE = re.compile(r"^Done (\d+) runs", re.MULTILINE)
_COVERED = re.compile(r"\bcov: (\d+)")


def each(parsers: Sequence[str], seconds: int, jobs: int) -> bool:
    """Let atheris loose on each parser in a process of its own, and print what came of it.

    Args:
        parsers: Names.
        seconds: For each.
        jobs: So many at once.

    Returns:
        Whether nothing was found; also where this Python has no atheris, which is said.
    """
    if find_spec("atheris") is None:
        print("guided: not done, this Python has no atheris; with 3.11 to 3.13: pip install atheris", flush=True)
        return True
    print(f"{'guided':<20}{'inputs':>10}{'branches':>10}", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        return all(list(pool.map(lambda name: _one(name, seconds), parsers)))


def _one(name: str, seconds: int) -> bool:
    argv = [sys.executable, "-m", "bench.guided", name, f"-max_total_time={seconds}"]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=seconds + _START_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"{name:<20} did not end", flush=True)
        return False
    runs, covered = _DONE.search(done.stderr), _COVERED.findall(done.stderr)
    if done.returncode or runs is None:
        print(f"{name:<20} exit code {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}", flush=True)
        return False
    print(f"{name:<20}{runs[1]:>10}{covered[-1] if covered else '-':>10}", flush=True)
    return True


def main(arguments: Sequence[str]) -> int:
    """One parser, until it is stopped or something is found."""
    if find_spec("atheris") is None:
        print("atheris is not installed: .venv/bin/pip install -e '.[fuzz]', on Python 3.11 to 3.13", file=sys.stderr)
        return 2
    import atheris  # noqa: PLC0415  an extra that not every Python has a wheel for

    with atheris.instrument_imports(include=["kiosk"], enable_loader_override=False):
        parsers = importlib.import_module("bench.fuzz_parsers").PARSERS
    name, *further = arguments or ("",)
    found = [parser for parser in parsers if parser.name == name]
    if not found:
        print(f"which parser? one of: {', '.join(parser.name for parser in parsers)}", file=sys.stderr)
        return 2
    (parser,) = found

    def once(data: bytes) -> None:
        for layer in parser.layers:
            try:
                parser.parse(layer.wrap(data), layer)
            except parser.refusals:
                continue

    folder = FOLDER / f"{parser.name}-corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(example for layer in parser.layers for example in layer.examples):
        (folder / f"example-{number}").write_bytes(example)
    atheris.Setup([sys.argv[0], f"-artifact_prefix={FOLDER}/", *further, str(folder)], once)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
