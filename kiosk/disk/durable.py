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
        path: The file; its folder exists. What root writes belongs to whom the folder belongs to.
        content: All of it.
        mode: Who may read it, whatever the umask.

    Raises:
        OSError: It could not be written; the old content is still there.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # what a power cut left there may be readable by others
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            give_to_owner_of(path.parent, file.fileno())
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut.

    Raises:
        OSError: The disk refused.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def give_to_owner_of(folder: Path, what: Path | int) -> None:
    """Have what root made belong to whom the folder belongs to; nothing for anyone else.

    Raises:
        OSError: The file system refused.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(what, owner.st_uid, owner.st_gid)
