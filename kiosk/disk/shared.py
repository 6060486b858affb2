"""Files in folders that another, less trusted process may write: a plain file of bounded size or an error, at once.

Root looks at what the services have left, each service at what the other has, a technician's commands at both. None of them follows a link that another one has put
there, waits at a pipe, reads a device or a file without end, or writes through a name that was prepared for that.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES = 64 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read(path: Path, most_bytes: int = LARGEST_BYTES) -> bytes:
    """What is in a file.

    Args:
        path: Of the file; links in its folders are followed, one in its place is not.
        most_bytes: How much it may hold.

    Raises:
        OSError: It cannot be read, is no plain file, or holds more.
    """
    handle = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    with os.fdopen(handle, "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"holds more than {most_bytes} bytes", str(path))
    return content


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put a file in the place of what is there, at once and whole, by a name that nobody could have prepared.

    Args:
        path: Of the file.
        content: All of it.
        mode: Its rights, whatever the umask leaves of them.

    Raises:
        OSError: It cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    handle = os.open(fresh, _WRITE, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
