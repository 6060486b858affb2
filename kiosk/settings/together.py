"""What one key cannot know of another: pins that serve two masters, a certificate without its key, files that are not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.credential import compile_local
from kiosk.errors import ConfigError
from kiosk.language.message import say
from kiosk.settings.nodes import Problem, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kiosk.config import Config, Lane
    from kiosk.settings.keys import Location

SOURCES = ("picamera2", "v4l2", "folder", "video", "sim")


def problems_of(config: Config, *, for_link: bool) -> Iterator[Problem]:
    """Each thing that does not go together.

    Args:
        config: Settings whose values are right, each for itself.
        for_link: Whether the link's password, certificate and key must be readable.
    """
    names = [lane.name for lane in config.lanes]
    for index, lane in enumerate(config.lanes):
        if lane.name in names[:index]:
            what = say("{name!r} is the name of two lanes", name=lane.name)
            yield Problem(("lanes", index, "name"), what, say("give each lane its own"))
        yield from _camera_problems(("lanes", index, "camera"), lane)
        yield from _exposure_problems(("lanes", index, "camera"), lane)
        if lane.lamp.dark_below >= lane.lamp.bright_above:
            what = say("is not above `dark_below`, {dark_below}", dark_below=lane.lamp.dark_below)
            yield Problem(("lanes", index, "lamp", "bright_above"), what, say("leave at least 50 between the two"))
    yield from _pin_problems(config)
    yield from _file_problems(config, for_link=for_link)
    for index, card in enumerate(config.credentials.local):
        try:
            compile_local([card])
        except ConfigError as error:
            yield Problem(("credentials", "local", index, "pattern"), error.args[0], error.hint)


def kind_of_source(source: str) -> tuple[str, str]:
    """A camera's source as its kind and what stands behind the colon.

    Raises:
        ConfigError: It is no source.
    """
    kind, _, rest = source.partition(":")
    if kind not in SOURCES or not rest:
        known = ", ".join(f"{known}:" for known in SOURCES)
        raise ConfigError(
            say("{source!r} is no source", source=source), hint=say("begin it with one of {known}", known=known)
        )
    return kind, rest


def _camera_problems(where: Location, lane: Lane) -> Iterator[Problem]:
    try:
        kind, rest = kind_of_source(lane.camera.source)
    except ConfigError as error:
        yield Problem((*where, "source"), error.args[0], error.hint)
    else:
        if kind in {"folder", "video"} and not Path(rest).exists():
            remedy = say("name a folder of pictures or a video that is there")
            yield Problem((*where, "source"), say("{path} does not exist", path=rest), remedy)
    left, top, width, height = lane.camera.region
    if min(left, top) < 0 or min(width, height) <= 0 or left + width > 1 or top + height > 1:
        remedy = say("give left, top, width, height as shares from 0 to 1")
        yield Problem((*where, "region"), say("reaches beyond the picture"), remedy)


def _exposure_problems(where: Location, lane: Lane) -> Iterator[Problem]:
    camera = lane.camera
    frame_us = 1_000_000 // camera.fps
    on_pi = camera.source.startswith("picamera2:")
    for name in ("exposure_us", "alternate_exposure_us"):
        exposure_us = getattr(camera, name)
        if on_pi and exposure_us > frame_us:
            what = say("{exposure_us} does not fit into a frame", exposure_us=exposure_us)
            remedy = say("at {fps} fps give at most {frame_us}", fps=camera.fps, frame_us=frame_us)
            yield Problem((*where, name), what, remedy)
    if not camera.alternate_exposure_us:
        return
    key = (*where, "alternate_exposure_us")
    if not on_pi:
        # A V4L2 driver does not say which exposure a frame had, and many take a second to change it.
        what = say("only a Pi camera changes its exposure from frame to frame")
        yield Problem(key, what, say("set it to 0, or use picamera2:N"))
    if not camera.exposure_us or camera.gain < 1:
        remedy = say("also give `exposure_us`, and a `gain` of 1 or more")
        yield Problem(key, say("alternates with automatic exposure"), remedy)
    elif camera.alternate_exposure_us == camera.exposure_us:
        yield Problem(key, say("is the same as `exposure_us`"), say("give another one, or 0"))


def _pin_problems(config: Config) -> Iterator[Problem]:
    """A pin drives one thing; lanes share no pins. Of two lanes with one name, which is said already, the first is looked at."""
    used: dict[int, str] = {}
    if config.provision.jumper_pin is not None:
        used[config.provision.jumper_pin] = "provision.jumper_pin"
    names = [lane.name for lane in config.lanes]
    for index, lane in enumerate(config.lanes):
        if lane.panel.kind not in {"gpio", "mock"} or lane.name in names[:index]:
            continue
        taken: list[tuple[Location, int]] = []
        for where, pin in _pins_of(index, lane):
            if pin is not None and pin in used:
                taken.append((where, pin))
            elif pin is not None:
                used[pin] = key_of(where)
        if len(taken) > 1 and "panel" not in lane.model_fields_set:
            pins = ", ".join(str(pin) for _, pin in taken)
            what = say("has no `panel` of its own, and the pins {pins} are taken", pins=pins)
            yield Problem(("lanes", index), what, say("give the lane a `panel` with pins, see docs/wiring.md"))
            taken = []
        for where, pin in taken:
            what = say("pin {pin} is also {other}", pin=pin, other=used[pin])
            yield Problem(where, what, say("give each its own pin, see docs/wiring.md"))
        yield from _light_problems(("lanes", index, "panel", "leds"), lane)


def _pins_of(index: int, lane: Lane) -> Iterator[tuple[Location, int | None]]:
    panel: Location = ("lanes", index, "panel")
    for colour in ("red", "green", "blue", "yellow"):
        yield (*panel, "leds", f"{colour}_pin"), getattr(lane.panel.leds, f"{colour}_pin")
    yield (*panel, "buzzer", "pin"), None if lane.panel.buzzer.kind == "none" else lane.panel.buzzer.pin
    yield ("lanes", index, "lamp", "pin"), None if lane.lamp.when == "never" else lane.lamp.pin


def _light_problems(leds: Location, lane: Lane) -> Iterator[Problem]:
    if lane.panel.leds.kind == "rgb" and lane.panel.leds.blue_pin is None:
        yield Problem((*leds, "blue_pin"), say("an RGB LED has a blue pin"), say("name it, or set `kind: separate`"))
    if lane.panel.leds.kind == "rgb" and lane.panel.leds.yellow_pin is not None:
        remedy = say("remove it, or set `kind: separate`")
        yield Problem((*leds, "yellow_pin"), say("an RGB LED has no yellow pin"), remedy)


def _file_problems(config: Config, *, for_link: bool) -> Iterator[Problem]:
    uplink = config.uplink
    files: list[tuple[Location, Path | None]] = [
        (("uplink", "password_file"), uplink.password_file),
        *((("uplink", "tls", name), getattr(uplink.tls, name)) for name in ("ca_file", "cert_file", "key_file")),
    ]
    absent = [(where, path) for where, path in files if for_link and path is not None and not os.access(path, os.R_OK)]
    for where, path in absent:
        is_there = path is not None and path.exists()
        what = say("{path} cannot be read", path=path) if is_there else say("{path} does not exist", path=path)
        yield Problem(where, what, say("put the file there and let the kiosk's user read it"))
    if not absent and (uplink.tls.cert_file is None) != (uplink.tls.key_file is None):
        remedy = say("name both `cert_file` and `key_file`")
        yield Problem(("uplink", "tls"), say("a certificate and its key go together"), remedy)
