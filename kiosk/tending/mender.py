"""The uplink's hands on what only a restart mends: it reads the marks of the lanes and its own, asks `mending`, and leaves a request.

    state.runtime_dir   mending.json          since when there is no broker, when the link was begun anew
                        link-requested        the service manager begins the wireless link anew
                        reboot-requested      it restarts the board
    state.dir           mended.json           how often in a row the board was restarted for which of the two, without help

A broker on the board itself, as without any `uplink.brokers`, is reached by no link: then there is none to mend.

A count begins again once the part has been well and the board has run for as long as two restarts must be apart.

Units: `_s` seconds, `_ns` nanoseconds since boot.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kiosk import health
from kiosk.disk import durable, shared
from kiosk.log import line
from kiosk.orders.executor import REBOOT_FILE
from kiosk.tending import mending
from kiosk.tending.mending import Dead, Shut, Step

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.config import Config

_log = logging.getLogger(__name__)

TEND_EVERY_S = 10.0
LINK_FILE = "link-requested"
_MARKS, _KEPT = "mending", "mended.json"
_EVER_S = 1e12
_APART_S = {"link": mending.BOARD_APART_S, "camera": mending.CAMERA_APART_S}


class Mender:
    """One uplink's. One thread only."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._has_link = not all(map(_is_here, config.uplink.brokers))
        self._next_s = 0.0
        self._asked = False
        before = health.read_marks(config.state.runtime_dir, _MARKS, _EVER_S) or {}
        self._offline_ns: int | None = _number(before.get("offline_since_boot_ns"))
        self._mended_ns: int | None = _number(before.get("mended_boot_ns"))

    def tend(self, now_s: float, *, online: bool) -> None:
        """Look every `TEND_EVERY_S`; after the board was asked to restart, no more.

        Args:
            now_s: Monotonic time.
            online: Whether there is a broker.
        """
        if self._asked or now_s < self._next_s:
            return
        self._next_s = now_s + TEND_EVERY_S
        boot_ns = self._clock.boot_ns()
        kept = self._kept()
        for part, step in (("link", self._of_link(online, boot_ns, kept)), ("camera", self._of_camera(boot_ns, kept))):
            if step is Step.BOARD:
                self._restart(part, kept)
                return
            if step is Step.LINK:
                self._mended_ns = boot_ns
                self._request(LINK_FILE, part)
        self._write_marks(boot_ns)

    def _of_link(self, online: bool, boot_ns: int, kept: dict[str, int]) -> Step:  # noqa: FBT001
        if online or not self._has_link:
            self._offline_ns = self._mended_ns = None
            self._is_well("link", boot_ns, kept)
            return Step.NOTHING
        if self._offline_ns is None:
            self._offline_ns = boot_ns
        mended_s = None if self._mended_ns is None else (boot_ns - self._mended_ns) / 1e9
        dead = Dead((boot_ns - self._offline_ns) / 1e9, mended_s, self._quiet_s())
        return mending.of_link(dead, boot_ns / 1e9, kept["link"])

    def _of_camera(self, boot_ns: int, kept: dict[str, int]) -> Step:
        folder = self._config.state.runtime_dir
        shut = []
        for lane in self._config.lanes:
            begun = health.read_marks(folder, health.camera_marks(lane.name), _EVER_S)
            scan = health.read_marks(folder, f"scan-{lane.name}", health.FRESH_S)
            since_ns = _number((begun or {}).get("since_boot_ns"))
            starts = _number((begun or {}).get("starts"))
            gives = scan is not None and (_number(scan.get("frames")) or 0) >= health.FRAMES_OF_A_CAMERA
            if since_ns is not None and starts is not None and not gives:
                shut.append(Shut((boot_ns - since_ns) / 1e9, starts))
        if not shut:
            self._is_well("camera", boot_ns, kept)
        steps = [mending.of_camera(one, boot_ns / 1e9, kept["camera"]) for one in shut]
        return Step.BOARD if Step.BOARD in steps else Step.NOTHING

    def _quiet_s(self) -> float | None:
        now_ns = self._clock.now().wall_ns
        folder = self._config.state.runtime_dir
        scans = [health.read_marks(folder, f"scan-{lane.name}", health.FRESH_S) for lane in self._config.lanes]
        last = [_number(scan.get("last_scan_wall_ns")) for scan in scans if scan is not None]
        return min(((now_ns - at_ns) / 1e9 for at_ns in last if at_ns is not None), default=None)

    def _is_well(self, part: str, boot_ns: int, kept: dict[str, int]) -> None:
        if kept[part] and boot_ns / 1e9 >= _APART_S[part]:
            kept[part] = 0
            self._keep(kept)

    def _restart(self, part: str, kept: dict[str, int]) -> None:
        """Counted before it is asked for: what cannot be counted is not done, or it would be done for ever."""
        kept[part] += 1
        if self._keep(kept):
            self._asked = self._request(REBOOT_FILE, part)

    def _request(self, name: str, part: str) -> bool:
        path = self._config.state.runtime_dir / name
        try:
            durable.replace(path, part.encode(), 0o640)
        except OSError as error:
            _log.warning(line("not-mended", part=part, path=path, reason=error.strerror))
            return False
        _log.warning(line("mending", part=part, by=name))
        return True

    def _kept(self) -> dict[str, int]:
        try:
            kept = json.loads(shared.read(self._config.state.dir / _KEPT))
            return {part: max(0, int(kept[part])) for part in _APART_S}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return dict.fromkeys(_APART_S, 0)

    def _keep(self, kept: dict[str, int]) -> bool:
        path = self._config.state.dir / _KEPT
        try:
            durable.replace(path, json.dumps(kept).encode(), 0o640)
        except OSError as error:
            _log.warning(line("not-kept", path=path, reason=error.strerror))
            return False
        return True

    def _write_marks(self, boot_ns: int) -> None:
        marks = {
            "written_boot_ns": boot_ns, "offline_since_boot_ns": self._offline_ns, "mended_boot_ns": self._mended_ns,
        }  # fmt: skip
        health.write_marks(self._config.state.runtime_dir, _MARKS, marks)


def _is_here(broker: str) -> bool:
    """Whether a broker is on this board."""
    host = urlsplit(broker).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _number(value: Any) -> int | None:  # noqa: ANN401  as JSON had it
    return value if type(value) is int else None
