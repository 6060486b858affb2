"""A card that loses power: from a record of real file operations, every state in which it may be found afterwards.

What a disk promises, and all that it promises here:

- What was written to a file before the last completed sync of that file is there. Later writes are there or not, each
  512-byte sector for itself, in any order; so are later changes of its size.
- Names (made, removed, renamed) come to the disk in the order in which they were changed, as file systems with a journal
  have it, but no sooner than at the next sync of the folder: syncing a file does not make its name durable.

Both are less than ext4 and F2FS give. A sector is old or new, never half of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fault.tap import Operation

SECTOR_BYTES = 512
UNSYNCED = ("none", "all", "first", "last", "torn", "torn", "torn")
"""What becomes of unsynced writes: lost, kept, the first or the last of them kept, or any sectors of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """A word that was given to the outside at this point of the record, such as a number that `append` returned."""

    word: object


@dataclass(frozen=True, slots=True)
class _Change:
    """A write into a file, or its new size if there is no data."""

    offset: int
    data: bytes | None


@dataclass(eq=False)
class _Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Change] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def after(self, random: Random, fate: str) -> bytearray:
        """What a power cut leaves of it."""
        content = bytearray(self.durable)
        match fate:
            case "none":
                kept = []
            case "all":
                kept = self.pending
            case "first":
                kept = self.pending[: random.randint(0, len(self.pending))]
            case "last":
                kept = self.pending[-random.randint(1, 3) :]
            case _:
                kept = [part for change in self.pending for part in _sectors(change) if random.random() < 0.6]
        for change in kept:
            _apply(content, change)
        return content


@dataclass(frozen=True, slots=True)
class Crash:
    """One state of the card after a power cut.

    Attributes:
        files: What is there, by path.
        folders: Folders that are there.
        said: Every word that had been given before.
    """

    files: dict[str, bytes]
    folders: tuple[str, ...]
    said: list[object]

    def lay_out(self, recorded_at: Path, into: Path) -> None:
        """Write the files where they can be opened.

        Args:
            recorded_at: The folder that was recorded.
            into: An empty folder that takes its place.
        """
        for folder in self.folders:
            (into / os.path.relpath(folder, recorded_at)).mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            (into / os.path.relpath(path, recorded_at)).write_bytes(content)


class Card:
    """Records what is done to it, as a listener of `tests.fault.tap`, and replays it up to any moment."""

    def __init__(self) -> None:
        self.record: list[Operation | Said] = []

    def __call__(self, operation: Operation) -> int:
        """Take note; nothing fails."""
        if operation.verb not in {"read", "look", "share"}:
            self.record.append(operation)
        return 0

    def say(self, word: object) -> None:
        """Take note of a word that is given now."""
        self.record.append(Said(word))

    def crashes(self, count: int, seed: int) -> Iterator[Crash]:
        """States after a power cut, spread evenly over the record, so that each operation is cut where `count` allows.

        Args:
            count: How many.
            seed: For what becomes of the unsynced writes.
        """
        random = Random(seed)
        replay = _Replay()
        done = 0
        for number in range(count):
            moment = 1 + number * len(self.record) // count
            for step in self.record[done:moment]:
                replay.take(step)
            done = max(done, moment)
            yield replay.crash(random)


class _Replay:
    def __init__(self) -> None:
        self._names: dict[str, _Inode | None] = {}  # None is a folder
        self._durable_names: dict[str, _Inode | None] = {}
        self._pending_names: list[tuple[str, dict[str, _Inode | None]]] = []
        self._openings: dict[int, _Inode] = {}
        self._said: list[object] = []

    def take(self, step: Operation | Said) -> None:
        if isinstance(step, Said):
            self._said.append(step.word)
        elif step.verb in {"write", "truncate"}:
            self._openings[step.file].pending.append(_Change(step.offset, step.data if step.verb == "write" else None))
        elif step.verb == "sync":
            self._openings[step.file].sync()
        elif step.verb == "sync-folder":
            self._sync_folder(step.path)
        else:
            self._take_name(step)

    def _take_name(self, step: Operation) -> None:
        match step.verb:
            case "open":
                if step.makes:
                    self._rename(step.path, {**self._names, step.path: _Inode()})
                inode = self._names.get(step.path)
                if inode is not None:
                    self._openings[step.file] = inode
            case "make-folder":
                if step.path not in self._names:
                    self._rename(step.path, {**self._names, step.path: None})
            case "remove":
                self._rename(step.path, {path: inode for path, inode in self._names.items() if path != step.path})
            case "rename" if step.path in self._names:
                names = {path: inode for path, inode in self._names.items() if path != step.path}
                self._rename(step.path, {**names, step.to: self._names[step.path]})

    def crash(self, random: Random) -> Crash:
        """Power is cut now."""
        kept = random.choice((0, len(self._pending_names), random.randint(0, len(self._pending_names))))
        names = self._pending_names[kept - 1][1] if kept else self._durable_names
        fate = random.choice(UNSYNCED)
        files = {path: bytes(inode.after(random, fate)) for path, inode in names.items() if inode is not None}
        folders = [path for path, inode in names.items() if inode is None]
        return Crash(files, tuple(folders), list(self._said))

    def _rename(self, changed: str, names: dict[str, _Inode | None]) -> None:
        if names.keys() != self._names.keys() or names != self._names:
            self._names = names
            self._pending_names.append((str(Path(changed).parent), names))

    def _sync_folder(self, folder: str) -> None:
        """Everything up to the last change in this folder is durable; names come to the disk in order."""
        upto = max((number for number, (parent, _) in enumerate(self._pending_names, 1) if parent == folder), default=0)
        if upto:
            self._durable_names = self._pending_names[upto - 1][1]
            del self._pending_names[:upto]


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data


def _sectors(change: _Change) -> list[_Change]:
    if change.data is None:
        return [change]
    parts = []
    first = 0
    while first < len(change.data):
        last = min(len(change.data), first + SECTOR_BYTES - (change.offset + first) % SECTOR_BYTES)
        parts.append(_Change(change.offset + first, change.data[first:last]))
        first = last
    return parts
