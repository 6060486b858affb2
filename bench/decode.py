"""The reader's measure: every promise a row, with its interval and n; exit code 1 if one is missed.

    python -m bench.decode [--data FOLDER] [--rows kinds,hard] [--quick] [--seed N] [--docs docs]

Pictures are drawn anew in each run, from the seed that is printed; `--seed` repeats one. Photos come from `--data` (see
`bench.decoding.photos`); without it the rows of photos are not measured. Rivals are called in the same run on the same pictures. A whole run
writes decoding-table.md, and with photos decoding.svg, into the folder of `--docs`; a part of one, or `--quick`, is printed only.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from bench.decoding import costs, door, fragments, kinds, photos, views, waiting
from bench.decoding.plot import plot
from bench.decoding.row import HEAD
from bench.decoding.run import Run
from bench.engines import engines

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.decoding.row import Row

ROWS: dict[str, Callable[[Run], list[Row]]] = {
    "photos": photos.rows_of_photos,
    "within": photos.rows_of_photos_at_the_door,
    "approaches": door.rows_of_approaches,
    "hard": door.rows_of_hard_frames,
    "promises": door.rows_of_promises,
    "kinds": kinds.rows_of_kinds,
    "streams": views.rows_of_streams,
    "lasting": costs.rows_of_lasting_damage,
    "poster": views.rows_of_a_poster,
    "together": views.rows_of_two_people,
    "quiet": views.rows_without_quiet_zone,
    "empty": costs.rows_of_empty_frames,
    "waiting": waiting.rows_of_waiting,
    "slow": door.rows_of_a_slow_clock,
    "fragments": fragments.rows_of_fragments,
    "faults": fragments.rows_of_faults,
}
"""In this order; the last tells of all the others."""


def main() -> int:
    """Measure, print, and say whether all is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of photos with manifest.json")
    parser.add_argument("--rows", help=f"some of {', '.join(ROWS)}; all if not given")
    parser.add_argument("--quick", action="store_true", help="a sample of each, with wider intervals")
    parser.add_argument("--seed", type=int, help="repeats a run; drawn if not given")
    parser.add_argument("--docs", type=Path, help="where decoding-table.md and decoding.svg go after a whole run")
    arguments = parser.parse_args()
    chosen = arguments.rows.split(",") if arguments.rows else [*ROWS]
    if unknown := [name for name in chosen if name not in ROWS]:
        parser.error(f"no rows named {', '.join(unknown)}; there are {', '.join(ROWS)}")
    cv2.setNumThreads(1)
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    engines(tells=True)
    run = Run(seed, arguments.quick, arguments.data)
    lines = [
        f"Seed {seed}, zxing-cpp {version('zxing-cpp')}, OpenCV {cv2.__version__}{', a quick sample' if run.is_quick else ''}.",
        "",
        *HEAD,
    ]
    print("\n".join(lines), flush=True)
    missed = 0
    for name in chosen:
        started_s = time.monotonic()
        for row in ROWS[name](run):
            lines.append(row.line())
            missed += row.is_missed
            print(row.line(), flush=True)
        print(f"# {name}: {time.monotonic() - started_s:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(line for section in run.sections for line in section))
    verdict = "all rows that were measured are met" if not missed else f"{missed} rows are missed"
    print(f"\n{verdict}")
    if arguments.docs is not None and not run.is_quick and chosen == [*ROWS]:
        page = ["# Decoding, measured", "", *lines, *(line for section in run.sections for line in section), ""]
        (arguments.docs / "decoding-table.md").write_text("\n".join(page), "utf-8")
        if run.points:
            (arguments.docs / "decoding.svg").write_text(plot(run.points), "utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
