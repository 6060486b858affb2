"""The command line of a kiosk: its words, and no more; what each takes and does is in kiosk/commands/.

Exit codes: 0 done, 1 done and the answer is no (nothing read, something lost), 2 wrong configuration or command line,
3 ended in order to be started anew with a new configuration, 10 and above a part that failed (`kiosk.errors`). Errors are one sentence with its remedy on stderr.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kiosk import __version__, log
from kiosk.cli import words
from kiosk.cli.words import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = words.Program(
    name="kiosk",
    version=__version__,
    about="A door station: reads a personal QR code, answers with light and sound, delivers every entry.",
    epilog="Start with `kiosk demo`: the whole system on this machine, without hardware.",
    package="kiosk.commands",
    words=(
        Word("demo", "the whole system on one machine, with invented people at a simulated door"),
        Word("run", "scan every lane and deliver: all processes of this kiosk"),
        Word("scan", "camera to outbox, one lane"),
        Word("uplink", "outbox to centre"),
        Word("read", "decode pictures and say what their codes are"),
        Word("check", "is the configuration right?"),
        Word("doctor", "try every part once: camera, lights, card, clock, way to the centre"),
        Word("aim", "aim and focus a camera by a line of numbers and by beeps"),
        Word("panel", "play the lights and sounds, and say what they mean"),
        Word("wiring", "draw the wiring of a configuration, and list its parts"),
        Word("support-bundle", "one file for whoever helps from afar: no entries, no names, no secrets"),
        Word("outbox", "what waits for the centre; names are not shown"),
        Word("prove", "wait until this version has proved itself: frames, and receipts or time"),
        Word("update", "fetch, install, or look at a new version that the centre ordered"),
        Word("provision", "set this station up with a code from a file"),
        Word("wifi", "root's part of joining the network of the code; its service runs it"),
        Word("wipe", "remove identity, entries and notes of this station"),
        Word("status", "how this kiosk is"),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and let no library speak beside it.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    log.hush()
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # numpy would begin a thread for each core, for sums that it is never given
    return words.main(PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())
