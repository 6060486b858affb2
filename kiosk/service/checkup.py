"""One check a part of the station, each with a finding and its remedy: what `kiosk doctor` tells.

A station at work is not disturbed: while its processes write fresh marks they hold the camera, the pins and the name at the
broker, and what they tell of those is taken instead. Otherwise every hand is tried once. Nothing is made, mended or left behind.

Units: `_s` seconds, `_mb` megabytes (2**20 bytes), `_ns` nanoseconds.

Sources:
    [1] kernel.org, mmc-dev-attrs: life_time, two estimates in tenths of the life used, 0x0B beyond it; pre_eol_info, 1 normal, 2
        four fifths of the spare blocks used, 3 nine tenths. eMMC has them, most SD cards have not.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cryptography import x509

from kiosk import health
from kiosk.clock import SystemClock, judging_s, local_time
from kiosk.commissioning import provision
from kiosk.cues import Cue, CueName, Step
from kiosk.delivery import complaints, mqtt, refusals
from kiosk.envelopes.provisioning_code import why_of
from kiosk.errors import ConfigError, KioskError, NotProvisionedError, OutboxError
from kiosk.language.message import Message, joined, say
from kiosk.lens.frame import warnings_of
from kiosk.model import ClockQuality
from kiosk.outbox import Outbox
from kiosk.sealer import Sealer
from kiosk.service import board
from kiosk.service.aim import Gauge, Verdict, best_of, verdict_of
from kiosk.settings.loader import NOBODY
from kiosk.sim import opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kiosk.config import Config, Lane

CONNECT_S = 10.0
LOOK_FRAMES = 12
"""Automatic exposure and focus need some frames; the best of them is judged."""
STEP_MS = 600
RENEW_DAYS = 30
SILENT_CENTRE_S = 120
LAST_TRY_S = 86_400.0
_UNITS = ("etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_NOT_WRITABLE = say("run this as the station's user, or name another folder in `state.dir`")
_TIME_SERVER = say("let the network's time server through (UDP 123)")
_PARADE = (("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255)), ("white", (255, 255, 255)))
_SEEN_WRONG = frozenset({Verdict.DARK, Verdict.BRIGHT, Verdict.FLAT, Verdict.NO_CODE_BLURRED, Verdict.BLURRED})


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    Attributes:
        part: Which part.
        health: How it is.
        says: What was measured or seen; of a failure with its remedy.
    """

    part: Message
    health: Health
    says: Message


def findings(config: Config, root: Path = Path("/")) -> Iterator[Finding]:
    """Check one part after another.

    Args:
        config: The station's settings.
        root: Where /sys and the services' units are.
    """
    for part, check in _checks(config, root):
        try:
            yield Finding(part, *check())
        except KioskError as error:
            yield Finding(part, Health.FAILED, error.sentence)


Found = tuple[Health, Message]


def _checks(config: Config, root: Path) -> Iterator[tuple[Message, Callable[[], Found]]]:
    for lane in config.lanes:
        marks = health.read_marks(config.state.runtime_dir, f"scan-{lane.name}", health.FRESH_S)
        if marks is not None:
            yield say("lane {name}", name=lane.name), partial(_at_work, marks, root)
            continue
        yield say("camera {name}", name=lane.name), partial(_camera, lane)
        yield say("panel {name}", name=lane.name), partial(_panel, config, lane)
        if lane.lamp.when != "never" and lane.panel.kind != "none":
            yield say("lamp {name}", name=lane.name), partial(_lamp, lane)
    set_up = config.kiosk.id != NOBODY
    if set_up or (config.state.dir / "outbox.db").exists():
        yield say("outbox"), partial(_outbox, config)
    yield say("disk"), partial(_disk, config)
    yield say("card"), partial(_card, root)
    yield say("board"), lambda: _told(board.strain(root))
    if board.is_pi(root):
        yield say("limits"), lambda: _told(board.limits(root))
        yield say("updates"), lambda: _told(board.updates(config, root))
    yield say("clock"), partial(_clock, config)
    if not set_up:
        yield say("fleet's key"), partial(_fleet_keys, config)
        yield say("set up"), partial(_not_set_up, config)
        return
    yield say("certificate"), partial(_certificate, config)
    yield say("seal"), partial(_seal, config)
    uplink = health.read_marks(config.state.runtime_dir, "uplink", health.FRESH_S)
    if uplink is None:
        for url in config.uplink.brokers:
            yield say("broker {url}", url=url), partial(_broker, config, url)
    else:
        yield say("broker {url}", url=uplink.get("broker")), partial(_link, uplink, root)
    yield say("receipts"), partial(_receipts, config, uplink, root)


def _fleet_keys(config: Config) -> Found:
    count = len(provision.fleet_keys(config))
    return Health.OK, say("{count} in {path}", count=count, path=config.trust.fleet_key_file)


def _not_set_up(config: Config) -> Found:
    """No fault: the board works, and waits."""
    said = say("not yet; {hint}", hint=NotProvisionedError.hint)
    last = health.read_marks(config.state.runtime_dir, provision.MARKS, LAST_TRY_S) or {}
    if last.get("state") == "failed":
        number, reason = last.get("number"), last.get("reason")
        why = say("the last try failed with number {number}: {reason}", number=number, reason=why_of(number) or reason)
        return Health.FAILED, joined("; ", [said, why])
    return Health.WARNING, said


def _seal(config: Config) -> Found:
    now = SystemClock(config.state.runtime_dir).now()
    sealer = Sealer(config)
    sealer.check(now)
    warnings = sealer.warnings(now)
    return (Health.WARNING if warnings else Health.OK), joined(
        "; ", [say("mode {mode}", mode=config.seal.mode), *warnings]
    )


def _at_work(marks: dict[str, Any], root: Path) -> Found:
    if marks.get("fault"):
        return Health.FAILED, Message(str(marks["fault"]), {})
    stop = "systemctl stop kiosk-scan" if _has_services(root) else "end `kiosk run`"
    to_try = say("to try camera and panel: {command}", command=stop)
    if marks.get("waits"):
        return Health.OK, joined("; ", [say("at work: waits for its provisioning code"), to_try])
    fps, recorded = marks.get("fps"), marks.get("recorded")
    said = say("at work: {fps} frames a second, {recorded} recorded", fps=fps, recorded=recorded)
    limits = marks.get("camera_fault")
    if limits:
        return Health.WARNING, joined("; ", [Message(str(limits), {}), said, to_try])
    return Health.OK, joined("; ", [said, to_try])


def _has_services(root: Path) -> bool:
    """Whether systemd runs this station; on a laptop `kiosk run` does."""
    return any((root / folder / "kiosk-uplink.service").exists() for folder in _UNITS)


def _camera(lane: Lane) -> Found:
    camera = opening.open_camera(lane.camera)
    gauge = Gauge()
    try:
        frame = camera.next_frame(lane.camera.timeout_s)
        views = [gauge.view(frame, ())]
        for _ in range(1 if lane.camera.source.startswith("folder:") else LOOK_FRAMES):
            views.append(gauge.view(camera.next_frame(lane.camera.timeout_s), ()))  # noqa: PERF401  a camera, not a list
    finally:
        camera.close()
    view = best_of(views)
    height_px, width_px = frame.luma.shape
    seen = [say("{width_px} x {height_px} px", width_px=width_px, height_px=height_px)]
    if frame.small is not None:
        small_height_px, small_width_px = frame.small.shape
        seen.append(say("small {width_px} x {height_px} px", width_px=small_width_px, height_px=small_height_px))
    seen.append(say("brightness {mean:.0f} of 255, blur {blur_px:.1f} px", mean=view.mean, blur_px=view.blur_px))
    troubles: list[str] = list(warnings_of(camera))
    verdict = verdict_of(view)
    if verdict in _SEEN_WRONG:
        troubles.insert(0, joined("; ", [verdict.value, say("aim it with `kiosk aim`")]))
    return (Health.WARNING if troubles else Health.OK), joined("; ", [joined(", ", seen), *troubles])


def _panel(config: Config, lane: Lane) -> Found:
    if lane.panel.kind == "none":
        return Health.OK, say("there is none")
    steps = tuple(Step(rgb, 0, STEP_MS) for _, rgb in _PARADE)
    beeps = lane.panel.buzzer.kind != "none"
    panel = opening.open_panel(lane.panel, config.sound, zone=config.clock.zone)
    try:
        panel.show(Cue(CueName.AIM, (*steps, Step((255, 255, 255), 1320, STEP_MS))))
        time.sleep((len(steps) + 1) * STEP_MS / 1000)
        panel.show()  # raises if the pins have failed meanwhile
    finally:
        panel.close()
    if beeps:
        return Health.OK, say("it should have shone red, green, blue, white, then a beep: look and listen")
    return Health.OK, say("it should have shone red, green, blue, white: look")


def _lamp(lane: Lane) -> Found:
    lamp = opening.open_lamp(lane)
    try:
        lamp.light(lit=True)
        time.sleep(STEP_MS / 1000)
    finally:
        lamp.close()
    return Health.OK, say("it should have been lit")


def _outbox(config: Config) -> Found:
    path = config.state.dir / "outbox.db"
    if not path.exists():
        folder = _nearest(config.state.dir)
        if not os.access(folder, os.W_OK):
            raise OutboxError(
                say("{path} cannot be made: {folder} is not writable", path=path, folder=folder), hint=_NOT_WRITABLE
            )
        return Health.OK, say("none yet; it is made when scanning begins")
    outbox = Outbox.open_existing(path, config.outbox)
    try:
        outbox.check()
        said = say("{count} entries wait", count=outbox.depth())
        aside, oversized = len(outbox.quarantined()), outbox.oversized()
    finally:
        outbox.close()
    if oversized:
        return Health.WARNING, joined("; ", [said, refusals.oversized(oversized)])
    if aside:
        set_aside = say("{count} damaged files set aside: keep them and tell the centre", count=aside)
        return Health.WARNING, joined("; ", [said, set_aside])
    return Health.OK, said


def _nearest(folder: Path) -> Path:
    """This folder, or the innermost one above it that is there."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _disk(config: Config) -> Found:
    disk = os.statvfs(_nearest(config.state.dir))
    free_mb = disk.f_bavail * disk.f_frsize // 2**20
    said = say("{free_mb} MB free", free_mb=free_mb)
    if free_mb < config.outbox.min_free_mb:
        needed = say(
            "{least_mb} needed; make room on the card, or bring the uplink back", least_mb=config.outbox.min_free_mb
        )
        return Health.FAILED, joined(", ", [said, needed])
    if free_mb < health.DISK_TIMES * config.outbox.min_free_mb:
        soon = say("it will be full soon: bring the uplink back, or take a larger card")
        return Health.WARNING, joined("; ", [said, soon])
    return Health.OK, said


def _card(root: Path) -> Found:
    for device in sorted(root.glob("sys/block/mmcblk[0-9]/device")):
        name = _text(device / "name") or "card"
        used = [int(word, 16) for word in _text(device / "life_time").split() if word.startswith("0x")]
        spare = int(_text(device / "pre_eol_info") or "0", 16)
        if not used:
            made = _text(device / "date") or say("some day")
            return Health.OK, say("{name}, made {made}; it does not tell its wear", name=name, made=made)
        tenths = max(used)
        low, high = 10 * max(0, tenths - 1), 10 * tenths
        said = say("{name}: {low} to {high} % of its life used", name=name, low=low, high=high)
        if tenths > 10 or spare >= 3:
            return Health.FAILED, joined("; ", [said, say("replace it now")])
        if tenths >= 9 or spare == 2:
            return Health.WARNING, joined("; ", [said, say("replace it soon")])
        return Health.OK, said
    return Health.OK, say("this machine has no memory card")


def _told(told: board.Told) -> Found:
    well, says = told
    return (Health.OK if well else Health.WARNING), says


def _clock(config: Config) -> Found:
    now = SystemClock(config.state.runtime_dir).now()
    local = local_time(now, config.clock.zone)
    if local is None:
        return Health.WARNING, joined("; ", [say("nobody has told the time since the start"), _TIME_SERVER])
    said = Message(f"{local:%Y-%m-%d %H:%M} ({config.clock.zone})", {})
    if now.quality is ClockQuality.SYNCED:
        return Health.OK, said
    return Health.WARNING, joined("; ", [say("{time}, estimated", time=said), _TIME_SERVER])


def _certificate(config: Config) -> Found:
    path = config.uplink.tls.cert_file
    if path is None:
        plain = [url for url in config.uplink.brokers if url.startswith("mqtt://")]
        if plain:
            return Health.OK, say("none is set, and the way to the broker is not encrypted")
        return Health.OK, say("none is set")
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise ConfigError(
            say("{path} is no certificate that can be read", path=path),
            hint=say("have the centre enrol this station anew"),
        ) from error
    now_s = judging_s(SystemClock(config.state.runtime_dir).now())
    if now_s is None:
        until = f"{ends.astimezone(ZoneInfo(config.clock.zone)):%Y-%m-%d}"
        return Health.WARNING, say(
            "good until {until}; whether that is over nobody knows before the clock is set", until=until
        )
    left = ends - datetime.fromtimestamp(now_s, UTC)
    if left.days < 0:
        return Health.FAILED, say(
            "ran out {days} days ago; have the centre enrol this station anew, or set the clock", days=-left.days
        )
    if left.days < RENEW_DAYS:
        return Health.WARNING, say(
            "runs out in {days} days; see that the station reaches the centre to renew it", days=left.days
        )
    return Health.OK, say("good for {days} days", days=left.days)


def _broker(config: Config, url: str) -> Found:
    return Health.OK, mqtt.probe(config, url, CONNECT_S)


def _link(uplink: dict[str, Any], root: Path) -> Found:
    if (shared := board.shared_identity(uplink)) is not None:
        return (Health.WARNING if uplink.get("state") == "online" else Health.FAILED), shared
    found = complaints.read(uplink.get("complaints"))
    if uplink.get("state") == "online":
        said = say("online, MQTT {protocol}", protocol=uplink.get("protocol"))
        refused = [refusals.said(name, topic) for topic, name in found.topics.items()]
        if found.entries:
            return Health.FAILED, joined("; ", [said, refusals.said(found.entries), *refused])
        return (Health.WARNING if refused else Health.OK), joined("; ", [said, *refused])
    why = found.link or found.entries
    if not why:
        log = "journalctl -u kiosk-uplink -b" if _has_services(root) else "kiosk run"
        return Health.FAILED, joined(
            "; ", [str(uplink.get("state")), say("look at what `{command}` says", command=log)]
        )
    return Health.FAILED, joined("; ", [str(uplink.get("state")), refusals.said(refusals.seen_from_here(why, root))])


def _receipts(config: Config, uplink: dict[str, Any] | None, root: Path) -> Found:
    if uplink is None:
        start = "systemctl start kiosk-uplink" if _has_services(root) else "kiosk run"
        return Health.WARNING, say("the uplink does not run; start it: {command}", command=start)
    waiting = _waiting(config)
    last_ns = uplink.get("last_receipt_boot_ns")
    age_s = None if last_ns is None else (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(last_ns)) // 1_000_000_000
    said = say("none since the uplink's start") if age_s is None else say("the last {age_s} s ago", age_s=age_s)
    wait = say("{count} entries wait", count=waiting)
    if waiting and (age_s is None or age_s > SILENT_CENTRE_S):
        return Health.FAILED, joined("; ", [joined(", ", [said, wait]), say("ask whether the centre's collector runs")])
    return Health.OK, joined(", ", [said, wait])


def _waiting(config: Config) -> int:
    """How many entries wait; 0 where none was ever made."""
    path = config.state.dir / "outbox.db"
    if not path.exists():
        return 0
    outbox = Outbox.open_existing(path, config.outbox)
    try:
        return outbox.depth()
    finally:
        outbox.close()


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
