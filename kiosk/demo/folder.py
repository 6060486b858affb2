"""Where the demo keeps what it makes: a folder that goes when the demo goes, or one that stays because it was asked for.

The first holds private keys that nobody shall find later, so it goes whatever ends the demo, SIGKILL and a closed terminal too: a
shell in a session of its own waits for the end of a pipe that only the demo holds, and removes it then.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.errors import ConfigError, KioskError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "kiosk-demo-"
_LOCK = "demo.lock"
_KEEPER = """
trap '' HUP INT TERM
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0" && exit; sleep 0.5; done
"""
"""Processes that die with the demo may still be writing: hence more than one try."""


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder that only we can read, until we leave or end.

    Raises:
        ConfigError: None can be made.
    """
    with made("a temporary folder"):
        folder = Path(tempfile.gettempdir()) / f"{PREFIX}{secrets.token_hex(6)}"
    quiet = subprocess.DEVNULL
    # Before the folder, so that there is no moment at which it has no keeper.
    argv = ["/bin/sh", "-c", _KEEPER, str(folder)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True, cwd="/"
    ):  # its end closes the pipe, and waits
        try:
            with made(f"the temporary folder {folder}"):
                folder.mkdir(mode=0o700)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kept_folder(folder: Path) -> Iterator[Path]:
    """The folder that was asked for, for one demo at a time; what is in it is gone on with.

    Raises:
        ConfigError: It cannot be used.
    """
    with made(f"--state-dir {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"--state-dir {folder}: another demo runs in it", hint="end that one, or name another folder"
            ) from error
        yield folder


@contextmanager
def made(what: str) -> Iterator[None]:
    """Have what cannot be written here told as a sentence.

    Args:
        what: The folder in which something is made, as the user knows it.

    Raises:
        ConfigError: It cannot be written to.
    """
    try:
        yield
    except KioskError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{what} cannot be written to: {error.strerror}",
            hint="name a folder that you may write to: --state-dir DIR",
        ) from error
