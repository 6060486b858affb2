"""The memory that a board keeps for its camera: each buffer is a file in memory, and the kernel says which of them somebody still holds.

So a buffer counts until its last descriptor is closed and its last mapping undone, as it does on a board, whoever forgot it.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

PREFIX = "kiosk-dma-"


class Heap:
    """So many bytes and no more.

    Attributes:
        limit: How many.
        most: The most that were held at once since it was made.
        count: How many buffers were ever handed out.
        refused: How many were not.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.most = self.count = self.refused = 0
        self._numbers = itertools.count(1)
        self._sizes: dict[str, int] = {}

    def alloc(self, size: int) -> int:
        """A descriptor of a new buffer, whole pages.

        Raises:
            OSError: ENOMEM.
        """
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        if self.held() + size > self.limit:
            self.refused += 1
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        name = f"{PREFIX}{os.getpid()}-{id(self)}-{next(self._numbers)}"
        descriptor = os.memfd_create(name)
        os.ftruncate(descriptor, size)
        self._sizes[name] = size
        self.count += 1
        self.most = max(self.most, self.held())
        return descriptor

    def held(self) -> int:
        """Bytes in buffers that this process has open or mapped."""
        seen = set()
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the folder's own descriptor has gone
                seen.add(str(entry.readlink()).removeprefix("/memfd:").removesuffix(" (deleted)"))
        for line in Path("/proc/self/maps").read_text().splitlines():
            seen.add(line.partition("/memfd:")[2].removesuffix(" (deleted)"))
        return sum(size for name, size in self._sizes.items() if name in seen)


class Ioctls:
    """The module `fcntl` for picamera2's allocator: a heap's device asked for a buffer is this heap, all else is granted."""

    def __init__(self, heap: Heap, alloc: int) -> None:
        self._heap = heap
        self._alloc = alloc

    def ioctl(self, _descriptor: int, request: int, argument: Any = 0) -> int:
        """0, or an OSError as the kernel would give."""
        if request == self._alloc:
            argument.fd = self._heap.alloc(argument.len)
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl, name)
