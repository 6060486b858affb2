"""Become another program that ends with the process that started it: `python leash.py SIGNAL PARENT PROGRAM [ARGUMENT …]`.

A program of its own, because code between fork and exec is unsafe in a process with threads, and run by its path without the
rest of the house, because it is run before everything. setpriv(1) would do the same but for a capset(2) of its own, which the
sandbox of a station forbids.

    SIGNAL: the number of the signal that the kernel sends when the parent's thread ends [1].
    PARENT: its process id. A parent that ended before the kernel was told sends nothing any more: then nothing is begun.

Sources:
    [1] prctl(2), PR_SET_PDEATHSIG; kept over execve(2).
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(number: str, parent: str, *argv: str) -> None:
    """Go on as `argv`, on the leash."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  the very purpose
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
