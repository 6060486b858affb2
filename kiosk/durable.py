"""Small files that must survive a power cut: the old one or the new one, never half of one.

    write beside → flush → rename → flush the folder

The rename is what a reader sees; the two flushes are what the card remembers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make this the file's content; when this returns, it survives a power cut.

    Args:
        path: The file; its folder exists.
        content: All of it.
        mode: Who may read it.

    Raises:
        OSError: It could not be written; the old content is still there.
    """
    fresh = path.with_name(f".{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
