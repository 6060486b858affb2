"""A roll-out: which stations get an update now, and when it stops by itself.

Stations fall into rings by a hash of their name and the version, so that it is not always the same door that goes first. A ring
begins when every station of those before that is in reach, or was told, has proved the new version. Too many failures halt the
roll-out; so do stations that were told and fell silent. A station that is away holds nobody up and gets its order when it is back.

All of it stands in one file; whoever starts again goes on from there.

Units: `_s` seconds of Unix time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kiosk.disk import durable
from kiosk.envelopes.offer import Offer, is_offer
from kiosk.errors import ConfigError
from kiosk.updates.rules import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

AGAIN_S = 900
"""An order that a station does not tell of after this time was lost and is sent anew."""
BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that has left.

    Attributes:
        order: The command's id, in hexadecimal digits.
        first_s: When the first order of this roll-out left for the station.
        last_s: When this one did.
    """

    order: str
    first_s: int
    last_s: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a station's last status says.

    Attributes:
        online: Whether it is in reach.
        board: For which its image was built; empty where there is none.
        version: Of the image that runs.
        order: The update that it was ordered last, in hexadecimal digits.
        state: How that stands.
        reason: Why it failed.
    """

    online: bool
    board: str
    version: str
    order: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """One version on its way to the stations of one board.

    Attributes:
        offer: What they are ordered.
        board: Which stations.
        rings: Growing percentages; the last is 100.
        most_failed: So many failures are borne; one more halts.
        patience_s: After so long a station that was told and has not proved the version counts as failed.
        halted: Why nobody is told any more; empty if it goes on.
        sent: Who was told.
        failed: Who failed, and why.
        proved: Who runs the version for good.
    """

    offer: Offer
    board: str
    rings: tuple[int, ...]
    most_failed: int
    patience_s: int
    halted: str = ""
    sent: dict[str, Sent] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    proved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows from what is seen.

    Attributes:
        rollout: As it stands now.
        tell: Whom to send an order.
        ring: The ring that is at work, from 0.
        done: Whether everyone in reach has it.
    """

    rollout: Rollout
    tell: tuple[str, ...]
    ring: int
    done: bool


def bucket(version: str, kiosk: str) -> int:
    """Where a station stands in the order of a version, 0 to `BUCKETS` - 1."""
    return int.from_bytes(hashlib.sha256(f"{version}\0{kiosk}".encode()).digest()[:8], "big") % BUCKETS


def rings_of(rollout: Rollout, kiosks: set[str]) -> dict[str, int]:
    """Each station's ring. Somebody always goes first: a small fleet's first ring has one station at least."""
    places = {kiosk: bucket(rollout.offer.version, kiosk) for kiosk in kiosks}
    found = {
        kiosk: next(ring for ring, percent in enumerate(rollout.rings) if place * 100 < percent * BUCKETS)
        for kiosk, place in places.items()
    }
    if found and 0 not in found.values():
        found[min(places, key=lambda kiosk: (places[kiosk], kiosk))] = 0
    return found


def turn(rollout: Rollout, seen: Mapping[str, Seen], now_s: int) -> Turn:
    """Judge what is seen.

    Args:
        rollout: As it stood.
        seen: Every station's last status.
        now_s: Now.
    """
    mine = {kiosk for kiosk, one in seen.items() if one.board == rollout.board} | rollout.sent.keys()
    proved = {kiosk for kiosk in mine & seen.keys() if _has_proved(seen[kiosk], rollout.offer.version)}
    failed = {
        kiosk: reason
        for kiosk, sent in rollout.sent.items()
        if kiosk not in proved and (reason := _failure(rollout, sent, seen.get(kiosk), now_s))
    }
    rollout = replace(rollout, failed=failed, proved=tuple(sorted(proved)))
    if not rollout.halted and len(failed) > rollout.most_failed:
        rollout = replace(rollout, halted=f"{len(failed)} failed, {rollout.most_failed} are borne")
    rings = rings_of(rollout, mine)
    open_ = {
        kiosk
        for kiosk in mine - proved - failed.keys()
        if kiosk in rollout.sent or (kiosk in seen and seen[kiosk].online)
    }
    ring = min((rings[kiosk] for kiosk in open_), default=len(rollout.rings) - 1)
    tell = () if rollout.halted else tuple(
        sorted(kiosk for kiosk in open_ if rings[kiosk] <= ring and _is_to_be_told(rollout, kiosk, seen, now_s))
    )  # fmt: skip
    return Turn(rollout, tell, ring, done=not open_)


def _has_proved(seen: Seen, version: str) -> bool:
    return seen.version == version and seen.state != State.ON_TRIAL


def _failure(rollout: Rollout, sent: Sent, seen: Seen | None, now_s: int) -> str:
    """Why this station counts as failed; empty if it does not."""
    if seen is not None and seen.order == sent.order and seen.state == State.FAILED:
        return seen.reason or "it says no reason"
    if now_s - sent.first_s > rollout.patience_s:
        return "it has not proved the version in time"
    return ""


def _is_to_be_told(rollout: Rollout, kiosk: str, seen: Mapping[str, Seen], now_s: int) -> bool:
    if kiosk not in seen or not seen[kiosk].online:
        return False
    sent = rollout.sent.get(kiosk)
    return sent is None or (seen[kiosk].order != sent.order and now_s - sent.last_s >= AGAIN_S)


def note_sent(rollout: Rollout, kiosk: str, order: str, now_s: int) -> Rollout:
    """The roll-out with an order that is about to leave."""
    before = rollout.sent.get(kiosk)
    sent = Sent(order, now_s if before is None else before.first_s, now_s)
    return replace(rollout, sent=rollout.sent | {kiosk: sent})


def seen_of(status: Mapping[str, Any]) -> Seen:
    """What a status says, whoever wrote it: texts of bounded length, and nothing that is missing fails."""
    update = status.get("update")
    said = update if isinstance(update, dict) else {}
    texts = [str(said.get(key) or "")[:200] for key in ("board", "version", "order", "state", "reason")]
    return Seen(status.get("state") not in {"lost", "stopped", None}, *texts)


def save(path: Path, rollout: Rollout) -> None:
    """Keep it.

    Raises:
        ConfigError: The file cannot be written.
    """
    values = asdict(rollout)
    values["offer"]["sha256"] = rollout.offer.sha256.hex()
    try:
        durable.replace(path, json.dumps({"v": 1, **values}, indent=1).encode(), 0o640)
    except OSError as error:
        raise ConfigError(f"--rollout: {path}: {error.strerror}", hint="name another file") from error


def load(path: Path) -> Rollout:
    """What was kept.

    Raises:
        ConfigError: There is none, or it is damaged.
    """
    try:
        values = json.loads(path.read_bytes())
        offer = Offer(
            str(values["offer"]["version"]), str(values["offer"]["url"]), bytes.fromhex(values["offer"]["sha256"]),
            int(values["offer"]["size_bytes"]),
        )  # fmt: skip
        if values["v"] != 1 or not is_offer(offer):
            raise ValueError(path)
        return Rollout(
            offer=offer,
            board=str(values["board"]),
            rings=tuple(int(percent) for percent in values["rings"]),
            most_failed=int(values["most_failed"]),
            patience_s=int(values["patience_s"]),
            halted=str(values["halted"]),
            sent={str(kiosk): Sent(**sent) for kiosk, sent in values["sent"].items()},
            failed={str(kiosk): str(reason) for kiosk, reason in values["failed"].items()},
            proved=tuple(str(kiosk) for kiosk in values["proved"]),
        )
    except FileNotFoundError as error:
        raise ConfigError(f"--rollout: {path} does not exist", hint="`central update publish` makes one") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"--rollout: {path} is damaged", hint="publish the update anew, into another file") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes the roll-out meanwhile.

    Raises:
        ConfigError: The folder cannot be written.
    """
    try:
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(f"--rollout: {path}: {error.strerror}", hint="name another file") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
