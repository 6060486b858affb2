"""A kiosk's command on a card that stalls: `python -m tests.fault.stalling SECONDS,… FOLDER WORD …`.

The flush of the first entry takes so many seconds longer, that of the second one as many as stand there next, and so on; all other
flushes are as quick as the disk. FOLDER is the card.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from kiosk.__main__ import main as kiosk
from tests.fault.tap import Operation, tapped


def main(seconds: str, folder: str, *words: str) -> int:
    """The command's exit code."""
    stalls = [float(each) for each in seconds.split(",")]
    has_entry = False

    def stall(operation: Operation) -> int:
        nonlocal has_entry
        if operation.verb == "write" and b'"document"' in operation.data:
            has_entry = True
        elif operation.verb == "sync" and has_entry and stalls:
            has_entry = False
            time.sleep(stalls.pop(0))
        return 0

    with tapped(Path(folder), stall):
        return kiosk(words)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
