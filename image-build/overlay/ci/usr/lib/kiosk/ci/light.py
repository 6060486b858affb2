"""For how long each colour stood still: reads the lines of red, green and blue, prints `010 640` for 640 ms of green.

The levels of a simulated chip are files of its own; those of a Pi's chip the kernel tells in debugfs.

light.py SECONDS
"""

import re
import sys
import time
from pathlib import Path

SIMULATED, KERNEL = Path("/run/ci-pins"), Path("/sys/kernel/debug/gpio")
PINS = (17, 27, 22)


def levels() -> str:
    """Of the three lines, 0 or 1 each; a line that nobody holds is low."""
    if SIMULATED.exists():
        return "".join((SIMULATED / f"sim_gpio{pin}/value").read_text().strip() for pin in PINS)
    told = KERNEL.read_text()
    return "".join("1" if re.search(rf"\(GPIO{pin} *\|[^)]*\) *out +hi", told) else "0" for pin in PINS)


longest_ms: dict[str, int] = {}
colour, since_s, ends_s = "", time.monotonic(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < ends_s:
    seen = levels()
    now_s = time.monotonic()
    if seen != colour:
        colour, since_s = seen, now_s
    longest_ms[seen] = max(longest_ms.get(seen, 0), round((now_s - since_s) * 1000))
for seen, stood_ms in sorted(longest_ms.items()):
    sys.stdout.write(f"{seen} {stood_ms}\n")
