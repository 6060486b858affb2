"""For how long each colour stood still: reads the simulated lines of red, green and blue, prints `010 640` for 640 ms of green.

light.py SECONDS
"""

import sys
import time
from pathlib import Path

lines = [Path(f"/run/ci-pins/sim_gpio{pin}/value") for pin in (17, 27, 22)]
longest_ms: dict[str, int] = {}
colour, since_s, ends_s = "", time.monotonic(), time.monotonic() + float(sys.argv[1])
while time.monotonic() < ends_s:
    seen = "".join(line.read_text().strip() for line in lines)
    now_s = time.monotonic()
    if seen != colour:
        colour, since_s = seen, now_s
    longest_ms[seen] = max(longest_ms.get(seen, 0), round((now_s - since_s) * 1000))
for seen, stood_ms in sorted(longest_ms.items()):
    sys.stdout.write(f"{seen} {stood_ms}\n")
