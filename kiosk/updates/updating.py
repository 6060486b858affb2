"""What the parts of an update leave for each other, in two folders that they do not share.

    state.dir/update/   the uplink's user     order.cose, the signed command; fetch.json; bundle.part, bundle.raucb; ready
    update.dir          root                  install.json; pending, which is RAUC's backend's

Nothing here is believed by root but the fleet's signature on the order, and RAUC's on the bundle.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kiosk.disk import durable, shared
from kiosk.envelopes import remote
from kiosk.updates.rules import Found, Mark, State, standing, unfit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.config import Config
    from kiosk.envelopes.remote import Command
    from kiosk.language.message import Message

ORDER, FETCH, PART, BUNDLE, READY = "order.cose", "fetch.json", "bundle.part", "bundle.raucb", "ready"
INSTALL, PENDING = "install.json", "pending"
_LARGEST_BYTES = 4096
_BOOTLOADER = "proc/device-tree/chosen/bootloader/build-timestamp"
_CELL_BYTES = 4
_REASON_CHARS = 200


def inbox_of(state_dir: Path) -> Path:
    """The folder of the uplink's user."""
    return state_dir / "update"


def small_file(path: Path) -> bytes | None:
    """What is in a file of at most 4 KiB; None for anything else, a link or a pipe too."""
    try:
        return shared.read(path, _LARGEST_BYTES)
    except OSError:
        return None


def version_of(path: Path) -> str:
    """Of the image that runs; empty where there is none."""
    return (small_file(path) or b"").decode("ascii", "replace").strip()


def why_unfit(version_file: Path, root: Path) -> Message:
    """Why the board that this is takes no update; empty if it does.

    Args:
        version_file: The image's; the board's name lies beside it.
        root: Where /proc is.
    """
    return unfit(board_of(version_file), bootloader_s(root))


def board_of(version_file: Path) -> str:
    """The board that the image was made for; empty where there is none."""
    return version_of(version_file.with_name("board"))


def bootloader_s(root: Path) -> int | None:
    """When the bootloader in the board's EEPROM was made, Unix seconds; None where there is none, or it does not tell."""
    try:
        told = (root / _BOOTLOADER).read_bytes()
    except OSError:
        return None
    return int.from_bytes(told) if len(told) == _CELL_BYTES else None


def keep_order(state_dir: Path, message: bytes) -> None:
    """Lay an order down, in place of the one before.

    Raises:
        OSError: It could not be written.
    """
    inbox = inbox_of(state_dir)
    inbox.mkdir(mode=0o750, exist_ok=True)
    durable.replace(inbox / ORDER, message, 0o640)


def order_in(inbox: Path, keys: Mapping[bytes, Ed25519PublicKey]) -> Command | None:
    """The order that lies there, if the fleet has signed it."""
    message = small_file(inbox / ORDER)
    return None if message is None else remote.ordered(message, keys)


def write_mark(path: Path, mark: Mark) -> None:
    """Say how far one is.

    Raises:
        OSError: It could not be written.
    """
    durable.replace(path, json.dumps(asdict(mark)).encode(), 0o644)


def read_mark(path: Path) -> Mark | None:
    """How far somebody is; None if nobody says so in a form that is understood."""
    try:
        kept = json.loads(small_file(path) or b"")
        return Mark(str(kept["id"])[:64], State(kept["state"]), str(kept["reason"])[:_REASON_CHARS], int(kept["tries"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def found(running: str, order: Command | None, inbox: Path, data: Path) -> Found:
    """Everything that there is to judge by.

    Args:
        running: The version that runs.
        order: What is ordered.
        inbox: The uplink's folder.
        data: Root's folder.
    """
    offer = None if order is None else order.update
    return Found(
        running=running,
        wanted="" if offer is None else offer.version,
        order_id="" if order is None else order.id.hex(),
        fetched=read_mark(inbox / FETCH),
        installed=read_mark(data / INSTALL),
        pending=(data / PENDING).exists(),
    )


def report(config: Config, keys: Mapping[bytes, Ed25519PublicKey]) -> dict[str, Any]:
    """What the status says: the version that runs, the one that is wanted, and how that stands."""
    inbox = inbox_of(config.state.dir)
    seen = found(version_of(config.update.version_file), order_in(inbox, keys), inbox, config.update.dir)
    mark = standing(seen)
    return {
        "version": seen.running or None,
        "board": board_of(config.update.version_file) or None,
        "wanted": seen.wanted or None,
        "order": mark.id or None,
        "state": mark.state.value,
        "reason": mark.reason,
    }
