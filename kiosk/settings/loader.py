"""A configuration file → `Config`, or every problem in it at once: file, line, key, what is wrong, what to do.

Read twice: as nodes, for the lines, and as values, for `kiosk.config`. What one key cannot know of another, pins that
serve two masters or a certificate without its key, is checked here, before anything moves.
"""

from __future__ import annotations

import difflib
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from kiosk.config import Config
from kiosk.credential import compile_local
from kiosk.errors import ConfigError, NotProvisionedError
from kiosk.settings import plain_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from kiosk.config import Lane

Location = tuple[str | int, ...]
Section = dict[str, Any]
Problem = tuple[Location, str, str]
"""Where, what is wrong, what to do."""

DEFAULT_CONFIG = Path("/etc/kiosk/kiosk.yaml")
IDENTITY = "identity"
"""The folder in `state.dir` that provisioning writes."""
NOBODY = "unprovisioned"
"""The id of a station that is not set up."""
SOURCES = ("picamera2", "v4l2", "folder", "video", "sim")
_REFERENCE = "see docs/configuration.md"


class _GivenUplink(BaseModel, extra="allow"):
    tls: Section


class _Given(BaseModel):
    """The form of what provisioning writes; its values are checked together with the board's."""

    kiosk: Section
    lanes: list[Section]
    uplink: _GivenUplink
    trust: Section


def load(path: Path, *, for_link: bool = True) -> Config:
    """The settings in this file; where it names no kiosk, with what provisioning has written.

    Args:
        path: Of the file.
        for_link: Whether the link's password, certificate and key must be readable. A process without network must not
            even be able to.

    Raises:
        NotProvisionedError: It names no kiosk, and nobody has set the station up.
        ConfigError: It cannot be read, or one of its keys is wrong; the message has one line a problem.
    """
    node, values = _parsed(path)
    if "kiosk" in values:
        return _validated(path, node, values, for_link=for_link)
    given = _identity(load_board(path).state.dir / IDENTITY / "kiosk.yaml")
    if given is None:
        raise NotProvisionedError(path, absent=is_absent(path))
    return _validated(path, node, _joined(values, given), for_link=for_link)


def load_board(path: Path) -> Config:
    """The same for a station that may not be set up: its id is then `NOBODY`.

    Raises:
        ConfigError: The file cannot be read, or one of its keys is wrong.
    """
    node, values = _parsed(path)
    return _validated(path, node, {"kiosk": {"id": NOBODY, "site": NOBODY}, **values}, for_link=False)


def load_any(path: Path) -> Config:
    """The settings of a station that may or may not be set up, for whoever needs its panel and its camera only.

    Raises:
        ConfigError: The file cannot be read, or one of its keys is wrong.
    """
    try:
        return load(path, for_link=False)
    except NotProvisionedError:
        return load_board(path)


def load_with(path: Path, given: dict[str, Any]) -> Config:
    """The same as `load`, with what provisioning is about to write.

    Raises:
        ConfigError: The two do not go together.
    """
    node, values = _parsed(path)
    return _validated(path, node, _joined(values, given), for_link=False)


def identity_mark(config: Config) -> tuple[int, int] | None:
    """Which identity is there, so that a process sees when another has been put in its place; None for none."""
    try:
        found = (config.state.dir / IDENTITY / "kiosk.yaml").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def is_absent(path: Path) -> bool:
    """Whether this is the default file, and there is none: then every setting has its default. Another file must be there."""
    return path == DEFAULT_CONFIG and not path.exists()


def _parsed(path: Path) -> tuple[yaml.Node, dict[str, Any]]:
    """The file as nodes and as values; the default file, where there is none, has nothing in it."""
    text = "{}" if is_absent(path) else plain_yaml.text_of(path)
    try:
        node, values = plain_yaml.composed(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f":{mark.line + 1}"
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(
            f"{path}{line}: {problem}", hint="check the indentation, and quote texts with `:` or `#`"
        ) from error
    if node is None:
        raise ConfigError(f"{path} is empty", hint="begin with a copy of config/kiosk.yaml")
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: the file: is no list of sections", hint="begin with a copy of config/kiosk.yaml")
    return node, values


def _validated(path: Path, node: yaml.Node, values: dict[str, Any], *, for_link: bool) -> Config:
    problems: list[Problem] = list(_doubled_keys(node, ()))
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems += [_explained(detail) for detail in error.errors()]
        raise _refused(path, node, problems) from error
    problems += _further_problems(config, for_link=for_link)
    if problems:
        raise _refused(path, node, problems)
    return config


def _identity(path: Path) -> dict[str, Any] | None:
    """What provisioning has written; None if it has not."""
    if not path.exists():
        return None
    try:
        _, given = plain_yaml.composed(plain_yaml.text_of(path))
        return _Given.model_validate(given).model_dump()
    except (yaml.YAMLError, ValidationError, ConfigError) as error:
        raise ConfigError(f"{path} is damaged", hint="wipe the station with `kiosk wipe` and set it up anew") from error


def _joined(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The board's settings with what provisioning says of the same things: who, which doors, which broker."""
    doors = values.get("lanes") or []
    lanes = [{**(doors[index] if index < len(doors) else {}), **lane} for index, lane in enumerate(given["lanes"])]
    uplink = values.get("uplink") or {}
    tls = {**(uplink.get("tls") or {}), **given["uplink"]["tls"]}
    return {
        **values,
        "kiosk": given["kiosk"],
        "lanes": lanes,
        "uplink": {**uplink, **given["uplink"], "tls": tls},
        "trust": {**(values.get("trust") or {}), **given["trust"]},
    }


def _refused(path: Path, root: yaml.Node, problems: list[Problem]) -> ConfigError:
    lines = [f"{path}:{_line_of(root, where)}: {_key(where)}: {what}; {remedy}" for where, what, remedy in problems]
    return ConfigError("\n".join(dict.fromkeys(lines)), hint="")


def _explained(detail: ErrorDetails) -> Problem:
    where: Location = tuple(detail["loc"])
    given = detail.get("input")
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(where[-1]), _known_keys(where[:-1]), 1)
            return (
                where,
                "there is no such key",
                f"did you mean `{near[0]}`?" if near else f"remove it, or {_REFERENCE}",
            )
        case "missing":
            return where, "is missing", "add it"
        case "greater_than_equal" | "less_than_equal":
            limit = context.get("ge", context.get("le"))
            side = "less" if "ge" in context else "more"
            return where, f"{given!r} is {side} than {limit}", f"{_REFERENCE} for the range"
        case "literal_error" | "enum":
            if isinstance(given, bool):  # YAML's own words for true and false: on, off, yes, no
                return where, f"is not one of {context.get('expected')}", 'put it in quotes, as in "off"'
            return where, f"{given!r} is not one of {context.get('expected')}", "use one of those"
        case "string_type":
            return where, f"{given!r} is not a text", 'put it in quotes, as in "21:00"'
        case "string_pattern_mismatch":
            return where, f"{given!r} does not have the form {context.get('pattern')}", _REFERENCE
        case _:
            return where, f"{detail['msg'][0].lower()}{detail['msg'][1:]}", _REFERENCE


def _further_problems(config: Config, *, for_link: bool) -> Iterator[Problem]:
    names = [lane.name for lane in config.lanes]
    for index, lane in enumerate(config.lanes):
        if lane.name in names[:index]:
            yield ("lanes", index, "name"), f"{lane.name!r} is the name of two lanes", "give each lane its own"
        yield from _camera_problems(("lanes", index, "camera"), lane)
        yield from _exposure_problems(("lanes", index, "camera"), lane)
        if lane.lamp.dark_below >= lane.lamp.bright_above:
            yield (
                ("lanes", index, "lamp", "bright_above"),
                f"is not above `dark_below`, {lane.lamp.dark_below}",
                "leave at least 50 between the two",
            )
    yield from _pin_problems(config)
    yield from _file_problems(config, for_link=for_link)
    for index, card in enumerate(config.credentials.local):
        try:
            compile_local([card])
        except ConfigError as error:
            yield ("credentials", "local", index, "pattern"), str(error.args[0]), error.hint


def kind_of_source(source: str) -> tuple[str, str]:
    """A camera's source as its kind and what stands behind the colon.

    Raises:
        ConfigError: It is no source.
    """
    kind, _, rest = source.partition(":")
    if kind not in SOURCES or not rest:
        known = ", ".join(f"{known}:" for known in SOURCES)
        raise ConfigError(f"{source!r} is no source", hint=f"begin it with one of {known}")
    return kind, rest


def _camera_problems(where: Location, lane: Lane) -> Iterator[Problem]:
    try:
        kind, rest = kind_of_source(lane.camera.source)
    except ConfigError as error:
        yield (*where, "source"), str(error.args[0]), error.hint
    else:
        if kind in {"folder", "video"} and not Path(rest).exists():
            yield (*where, "source"), f"{rest} does not exist", "name a folder of pictures or a video that is there"
    left, top, width, height = lane.camera.region
    if min(left, top) < 0 or min(width, height) <= 0 or left + width > 1 or top + height > 1:
        yield (*where, "region"), "reaches beyond the picture", "give left, top, width, height as shares from 0 to 1"


def _exposure_problems(where: Location, lane: Lane) -> Iterator[Problem]:
    camera = lane.camera
    frame_us = 1_000_000 // camera.fps
    on_pi = camera.source.startswith("picamera2:")
    for name in ("exposure_us", "alternate_exposure_us"):
        exposure_us = getattr(camera, name)
        if on_pi and exposure_us > frame_us:
            yield (
                (*where, name),
                f"{exposure_us} does not fit into a frame",
                f"at {camera.fps} fps give at most {frame_us}",
            )
    if not camera.alternate_exposure_us:
        return
    key = (*where, "alternate_exposure_us")
    if not on_pi:
        # A V4L2 driver does not say which exposure a frame had, and many take a second to change it.
        yield key, "only a Pi camera changes its exposure from frame to frame", "set it to 0, or use picamera2:N"
    if not camera.exposure_us or camera.gain < 1:
        yield key, "alternates with automatic exposure", "also give `exposure_us`, and a `gain` of 1 or more"
    elif camera.alternate_exposure_us == camera.exposure_us:
        yield key, "is the same as `exposure_us`", "give another one, or 0"


def _pin_problems(config: Config) -> Iterator[Problem]:
    """A pin drives one thing; lanes share no pins."""
    used: dict[int, str] = {}
    if config.provision.jumper_pin is not None:
        used[config.provision.jumper_pin] = "provision.jumper_pin"
    for index, lane in enumerate(config.lanes):
        if lane.panel.kind not in {"gpio", "mock"}:
            continue
        panel = ("lanes", index, "panel")
        leds, buzzer = lane.panel.leds, lane.panel.buzzer
        pins: list[tuple[Location, int | None]] = [
            ((*panel, "leds", f"{colour}_pin"), getattr(leds, f"{colour}_pin"))
            for colour in ("red", "green", "blue", "yellow")
        ]
        pins.append(((*panel, "buzzer", "pin"), None if buzzer.kind == "none" else buzzer.pin))
        pins.append((("lanes", index, "lamp", "pin"), None if lane.lamp.when == "never" else lane.lamp.pin))
        for where, pin in pins:
            if pin is not None and pin in used:
                yield where, f"pin {pin} is also {used[pin]}", "give each its own pin, see docs/wiring.md"
            elif pin is not None:
                used[pin] = _key(where)
        if leds.kind == "rgb" and leds.blue_pin is None:
            yield (*panel, "leds", "blue_pin"), "an RGB LED has a blue pin", "name it, or set `kind: separate`"
        if leds.kind == "rgb" and leds.yellow_pin is not None:
            yield (*panel, "leds", "yellow_pin"), "an RGB LED has no yellow pin", "remove it, or set `kind: separate`"


def _file_problems(config: Config, *, for_link: bool) -> Iterator[Problem]:
    uplink = config.uplink
    files: list[tuple[Location, Path | None]] = [
        (("uplink", "password_file"), uplink.password_file),
        *((("uplink", "tls", name), getattr(uplink.tls, name)) for name in ("ca_file", "cert_file", "key_file")),
    ]
    for where, path in files:
        if for_link and path is not None and not os.access(path, os.R_OK):
            problem = "cannot be read" if path.exists() else "does not exist"
            yield where, f"{path} {problem}", "put the file there and let the kiosk's user read it"
    if (uplink.tls.cert_file is None) != (uplink.tls.key_file is None):
        yield ("uplink", "tls"), "a certificate and its key go together", "name both `cert_file` and `key_file`"


def _doubled_keys(node: yaml.Node, where: Location) -> Iterator[Problem]:
    """YAML lets the last of two equal keys win silently."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _doubled_keys(item, (*where, index))
    elif isinstance(node, yaml.MappingNode):
        keys = sorted(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for first, second in pairwise(keys):
            if first == second:
                yield (*where, first), "is given twice", "remove one of them"
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _doubled_keys(value, (*where, key.value))


def _line_of(root: yaml.Node, where: Location) -> int:
    """The line of the innermost part of a location that is in the file, from 1."""
    node = root
    line = int(root.start_mark.line)
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            key, node = found[-1]
            line = int(key.start_mark.line)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = int(node.start_mark.line)
        else:
            break
    return line + 1


def _known_keys(where: Location) -> list[str]:
    """The keys of the section at this location."""
    section: Any = Config
    for part in where:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part) if isinstance(section, type) and issubclass(section, BaseModel) else None
        if field is None:
            return []
        section = _section_of(field.annotation)
    return list(section.model_fields) if section is not None else []


def _section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  a type expression
    """The section inside `Section`, `tuple[Section, ...]` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_of(inner)
        if found is not None:
            return found
    return None


def _key(where: Location) -> str:
    """`lanes[0].camera.source`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the file"
