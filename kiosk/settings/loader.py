"""A configuration file → `Config`, or every problem in it at once: file, line, key, what is wrong, what to do.

Read twice: as nodes, for the lines, and as values, for `kiosk.config`. What one key cannot know of another, pins that
serve two masters or a certificate without its key, is checked here, before anything moves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from kiosk.config import Config
from kiosk.errors import ConfigError, NotProvisionedError
from kiosk.language.message import Message, joined, say
from kiosk.settings import mistakes, plain_yaml, slips, together
from kiosk.settings.nodes import Problem, key_of, line_of, of_keys, of_numbers

if TYPE_CHECKING:
    from kiosk.settings.slips import Slip

Section = dict[str, Any]

DEFAULT_CONFIG = Path("/etc/kiosk/kiosk.yaml")
IDENTITY = "identity"
"""The folder in `state.dir` that provisioning writes."""
NOBODY = "unprovisioned"
"""The id of a station that is not set up."""
_BEGIN = say("begin with a copy of config/kiosk.yaml")


class _GivenUplink(BaseModel, extra="allow"):
    tls: Section


class _Given(BaseModel):
    """The form of what provisioning writes; its values are checked together with the board's."""

    kiosk: Section
    lanes: list[Section]
    uplink: _GivenUplink
    trust: Section
    clock: Section = {}


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
    if odd := list(slips.odd_signs(text)):
        raise _slipped(path, odd)
    try:
        node, values = plain_yaml.composed(text)
    except yaml.YAMLError as error:
        raise _slipped(path, [slips.explained(text, error)]) from error
    if node is None:
        raise ConfigError(say("{path} is empty", path=path), hint=_BEGIN)
    if not isinstance(values, dict):
        what = say("is a list") if isinstance(values, list) else say("has no sections")
        raise _refused(path, node, [Problem((), what, _BEGIN)])
    return node, values


def _validated(path: Path, node: yaml.Node, values: dict[str, Any], *, for_link: bool) -> Config:
    problems = list(of_keys(node))
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems = mistakes.of_values(error.errors(), node, problems)
        problems += of_numbers(node, problems)
        raise _refused(path, node, problems) from error
    problems += of_numbers(node, problems)
    problems = problems or list(together.problems_of(config, for_link=for_link))
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
        raise ConfigError(
            say("{path} is damaged", path=path), hint=say("wipe the station with `kiosk wipe` and set it up anew")
        ) from error


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
        "clock": {**(values.get("clock") or {}), **(given.get("clock") or {})},
    }


def _refused(path: Path, root: yaml.Node, problems: list[Problem]) -> ConfigError:
    lines = [
        Message(
            "{path}:{line}: {key}: {what}; {remedy}",
            {
                "path": path,
                "line": line_of(root, problem.where, at_value=problem.at_value),
                "key": key_of(problem.where) or say("the file"),
                "what": problem.what,
                "remedy": problem.remedy,
            },
        )
        for problem in problems
    ]
    return ConfigError(joined("\n", dict.fromkeys(lines)), hint="")


def _slipped(path: Path, slips: list[Slip]) -> ConfigError:
    lines = [
        Message(
            "{path}:{line}:{column}: {what}; {remedy}",
            {"path": path, "line": slip.line, "column": slip.column, "what": slip.what, "remedy": slip.remedy},
        )
        for slip in slips
    ]
    return ConfigError(joined("\n", lines), hint="")
