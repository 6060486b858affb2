"""A tap on every file operation of this process: what the kiosk's real code asks of the disk is seen, and may be refused.

The kiosk uses Python's own sqlite3. Its SQLite library is reached through ctypes, a VFS that stands in front of the
system's own is made its default, and each file that is opened through it is watched; beside it stand the few calls that
the kiosk makes itself (`os.rename`, `os.fsync`, …). So the code under test runs unchanged, with its own library.

A listener is asked before each operation below one folder; what it returns is the errno that the operation fails with, or
0. What is written into shared memory (`-shm`) is not seen: SQLite makes it anew after a crash.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_Open = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_Delete = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Close = ctypes.CFUNCTYPE(c_int, c_void_p)
_Transfer = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = ctypes.CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = ctypes.CFUNCTYPE(c_int, c_void_p, c_int)
_Share = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)
_GetCall = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_SetCall = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
_OpenFolder = ctypes.CFUNCTYPE(c_int, c_char_p, POINTER(c_int))

_FULL = 13
_CODES = {"open": 14, "read": 266, "write": 778, "sync": 1034, "truncate": 1546, "remove": 2570, "share": 4874}
"""SQLite's result for an operation that fails with EIO; a write without room is SQLITE_FULL."""


class _Vfs(Structure):
    _fields_ = (
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", c_void_p), ("xDelete", c_void_p), ("xAccess", c_void_p),
        ("xFullPathname", c_void_p), ("xDlOpen", c_void_p), ("xDlError", c_void_p), ("xDlSym", c_void_p),
        ("xDlClose", c_void_p), ("xRandomness", c_void_p), ("xSleep", c_void_p), ("xCurrentTime", c_void_p),
        ("xGetLastError", c_void_p), ("xCurrentTimeInt64", c_void_p), ("xSetSystemCall", c_void_p),
        ("xGetSystemCall", c_void_p), ("xNextSystemCall", c_void_p),
    )  # fmt: skip


class _Methods(Structure):
    _fields_ = (
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", c_void_p), ("xTruncate", c_void_p),
        ("xSync", c_void_p), ("xFileSize", c_void_p), ("xLock", c_void_p), ("xUnlock", c_void_p),
        ("xCheckReservedLock", c_void_p), ("xFileControl", c_void_p), ("xSectorSize", c_void_p),
        ("xDeviceCharacteristics", c_void_p), ("xShmMap", c_void_p), ("xShmLock", c_void_p), ("xShmBarrier", c_void_p),
        ("xShmUnmap", c_void_p), ("xFetch", c_void_p), ("xUnfetch", c_void_p),
    )  # fmt: skip


class _File(Structure):
    _fields_ = (("pMethods", c_void_p),)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that is about to be done to the disk.

    Attributes:
        verb: "open", "read", "write", "sync", "truncate", "remove", "rename", "share" (the `-shm` file is made or grown),
            "sync-folder", "make-folder", "look".
        path: Of the file or folder.
        file: Number of the opening of the file, for what is done to it through SQLite; 0 for the rest.
        offset: Of a write; the new size of a truncation.
        data: Of a write.
        to: The new name of a renaming.
        makes: Whether an opening makes the file.
    """

    verb: str
    path: str
    file: int = 0
    offset: int = 0
    data: bytes = b""
    to: str = ""
    makes: bool = False


Listener = Callable[[Operation], int]


class _Tap:
    """The one VFS of this process; there for as long as the process, because SQLite keeps pointers to it."""

    def __init__(self) -> None:
        library = ctypes.CDLL(_sqlite3.__file__)  # its symbols are those of the SQLite that it is linked with
        library.sqlite3_vfs_find.restype = c_void_p
        library.sqlite3_vfs_find.argtypes = [c_char_p]
        library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
        self._register = library.sqlite3_vfs_register
        library.sqlite3_initialize()
        self._system = library.sqlite3_vfs_find(None)
        system = _Vfs.from_address(self._system)
        self._vfs = _Vfs.from_buffer_copy(system)
        self._kept: list[object] = []  # C holds pointers to these
        self._methods: dict[int, _Methods] = {}
        self._paths: dict[int, tuple[str, int]] = {}
        self._openings = 0
        self.listener: Listener | None = None
        self.folder = ""
        real_open, real_delete = _Open(system.xOpen), _Delete(system.xDelete)
        get_call, set_call = _GetCall(system.xGetSystemCall), _SetCall(system.xSetSystemCall)
        real_open_folder = _OpenFolder(get_call(self._system, b"openDirectory"))

        def opened(_vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
            path = "" if name is None else os.fsdecode(ctypes.string_at(name))
            makes = bool(path) and not os.path.lexists(path)
            self._openings += 1
            if self.ask(Operation("open", path, self._openings, makes=makes)):
                _File.from_address(file).pMethods = None
                return _CODES["open"]
            code = real_open(self._system, name, file, flags, out)
            found = _File.from_address(file)
            if code == 0 and found.pMethods:
                self._paths[file] = path, self._openings
                found.pMethods = ctypes.addressof(self._watched(found.pMethods))
            return int(code)

        def removed(_vfs: int, name: bytes, sync_folder: int) -> int:
            if self.ask(Operation("remove", os.fsdecode(name))):
                return _CODES["remove"]
            return int(real_delete(self._system, name, sync_folder))

        def folder_opened(name: bytes, out: Any) -> int:
            # SQLite opens a folder for one thing only: to sync it, at once.
            self.ask(Operation("sync-folder", str(Path(os.fsdecode(name)).parent)))
            return int(real_open_folder(name, out))

        self._vfs.zName = b"tapped"
        self._vfs.xOpen = self._pointer(_Open(opened))
        self._vfs.xDelete = self._pointer(_Delete(removed))
        set_call(self._system, b"openDirectory", self._pointer(_OpenFolder(folder_opened)))
        self._register(ctypes.addressof(self._vfs), 0)

    def ask(self, operation: Operation) -> int:
        """The errno that this operation is to fail with, or 0."""
        if self.listener is None or not operation.path.startswith(self.folder):
            return 0
        return self.listener(operation)

    def use(self, *, tapped: bool) -> None:
        """New connections go through the tap, or past it; open ones stay as they are."""
        self._register(ctypes.addressof(self._vfs) if tapped else self._system, 1)

    def _pointer(self, function: Any) -> int | None:
        self._kept.append(function)
        return ctypes.cast(function, c_void_p).value

    def _watched(self, address: int) -> _Methods:
        """The system's methods for a file, with ours in front."""
        if address in self._methods:
            return self._methods[address]
        self._methods[address] = ours = self._with_ours_in_front(address)
        return ours

    def _with_ours_in_front(self, address: int) -> _Methods:
        real = _Methods.from_address(address)
        close, read, write = _Close(real.xClose), _Transfer(real.xRead), _Transfer(real.xWrite)
        truncate, sync = _Truncate(real.xTruncate), _Sync(real.xSync)

        def refused(verb: str, file: int, **more: Any) -> int:
            path, opening = self._paths.get(file, ("", 0))
            number = self.ask(Operation(verb, path, opening, **more))
            if number == errno.ENOSPC and verb == "write":
                return _FULL
            return _CODES[verb] if number else 0

        def closed(file: int) -> int:
            self._paths.pop(file, None)
            return int(close(file))

        def was_read(file: int, into: int, size: int, offset: int) -> int:
            return refused("read", file, offset=offset) or int(read(file, into, size, offset))

        def written(file: int, data: int, size: int, offset: int) -> int:
            told = refused("write", file, offset=offset, data=ctypes.string_at(data, size))
            return told or int(write(file, data, size, offset))

        def truncated(file: int, size: int) -> int:
            return refused("truncate", file, offset=size) or int(truncate(file, size))

        def synced(file: int, flags: int) -> int:
            return refused("sync", file) or int(sync(file, flags))

        ours = _Methods.from_buffer_copy(real)
        ours.xClose = self._pointer(_Close(closed))
        ours.xRead, ours.xWrite = self._pointer(_Transfer(was_read)), self._pointer(_Transfer(written))
        ours.xTruncate, ours.xSync = self._pointer(_Truncate(truncated)), self._pointer(_Sync(synced))
        if real.xShmMap:  # journals have none
            share = _Share(real.xShmMap)

            def shared(file: int, region: int, size: int, extend: int, out: int) -> int:
                return refused("share", file) or int(share(file, region, size, extend, out))

            ours.xShmMap = self._pointer(_Share(shared))
        return ours


_taps: list[_Tap] = []


@contextmanager
def tapped(folder: Path, listener: Listener) -> Iterator[None]:
    """Ask the listener before each file operation below this folder; no two at a time.

    Args:
        folder: Absolute; operations elsewhere go past the listener.
        listener: Returns the errno that the operation fails with, or 0 to let it happen.
    """
    if not _taps:
        _taps.append(_Tap())
    tap = _taps[0]
    assert tap.listener is None
    tap.listener, tap.folder = listener, str(folder)
    tap.use(tapped=True)
    try:
        with _own_calls(tap):
            yield
    finally:
        tap.use(tapped=False)
        tap.listener = None


@contextmanager
def _own_calls(tap: _Tap) -> Iterator[None]:
    """The file operations that the kiosk does without SQLite."""

    def watch(name: str, operation: Callable[..., Operation]) -> None:
        real = getattr(os, name)

        def called(*args: Any, **more: Any) -> Any:
            if isinstance(args[0], int | str | os.PathLike):
                number = tap.ask(operation(*args))
                if number:
                    raise OSError(number, os.strerror(number), str(args[0]))
            return real(*args, **more)

        setattr(os, name, called)
        stack.callback(setattr, os, name, real)

    real_open = os.open

    def opened(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            number = tap.ask(Operation("open", os.fspath(path), makes=not os.path.lexists(path)))
            if number:
                raise OSError(number, os.strerror(number), str(path))
        return real_open(path, flags, *args, **more)

    with ExitStack() as stack:
        setattr(os, "open", opened)  # noqa: B010  mypy knows os.open's overloads
        stack.callback(setattr, os, "open", real_open)
        watch("rename", lambda path, to, *_: Operation("rename", os.fspath(path), to=os.fspath(to)))
        watch("unlink", lambda path, *_: Operation("remove", os.fspath(path)))
        watch("mkdir", lambda path, *_: Operation("make-folder", os.fspath(path)))
        watch("open", _opening)
        watch("fsync", lambda handle: Operation("sync-folder", str(Path(f"/proc/self/fd/{handle}").readlink())))
        watch("stat", lambda path, *_: Operation("look", path if isinstance(path, str) else _name(path)))
        watch("statvfs", lambda path, *_: Operation("look", _name(path)))
        watch("chmod", lambda path, *_: Operation("look", _name(path)))
        yield


def _opening(path: Any, flags: int, *_: Any) -> Operation:
    """A file that is made before SQLite opens it; other openings change nothing."""
    makes = bool(flags & os.O_CREAT) and not os.path.lexists(path)
    return Operation("open", _name(path), makes=True) if makes else Operation("look", "")


def _name(path: Any) -> str:
    return "" if isinstance(path, int) else os.fspath(path)
