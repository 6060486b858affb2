"""The file as nodes: where a key is, which key is there twice, and which number YAML reads otherwise than people do.

Numbers are taken as they are written in schools: YAML 1.1 reads 017 as 15, 0x11 as 17 and 12:30 as 750 [1]; here that is a mistake.

Sources:
    [1] yaml.org/type/int.html and float.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from kiosk.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kiosk.settings.keys import Location

_QUOTES = ("'", '"')
_PLAIN_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_PLAIN_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)?\.[0-9]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes:
        where: The key.
        what: What is wrong.
        remedy: What to do.
        at_value: Whether it is told at the line of the value, not of the key.
    """

    where: Location
    what: str
    remedy: str
    at_value: bool = False


def of_numbers(root: yaml.Node, told: Iterable[Problem]) -> Iterator[Problem]:
    """Numbers that YAML reads otherwise than people do, where nothing else is wrong.

    Args:
        root: The file as nodes.
        told: What has been found already.
    """
    places = [problem.where for problem in told]
    for where, node in _scalars(root, ()):
        kind = node.tag.rpartition(":")[2]
        plain = {"int": _PLAIN_INT, "float": _PLAIN_FLOAT}.get(kind)
        if plain is None or node.style in _QUOTES or plain.fullmatch(node.value):
            continue
        if not any(where[: len(place)] == place for place in places):
            yield Problem(where, *_fault_of_number(node.value))


def of_keys(node: yaml.Node, where: Location = ()) -> Iterator[Problem]:
    """Keys that are there twice, of which YAML lets the last one win silently, and numbers and the like in a key's place."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from of_keys(item, (*where, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            place = (*where, key.value)
            if not key.tag.endswith(":str"):
                yield Problem(place, say("is no key"), say("remove it, or see docs/configuration.md"))
            elif key.value in seen:
                yield Problem(place, say("is given twice"), say("remove one of them"))
            seen.add(key.value)
            yield from of_keys(value, place)


def key_of(where: Location) -> str:
    """`lanes[0].camera.source`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the file"


def node_at(root: yaml.Node, where: Location) -> yaml.Node | None:
    """The value at this location; None if the file has none there."""
    node: yaml.Node | None = root
    for part in where:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in reversed(node.value) if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return None
    return node


def line_of(root: yaml.Node, where: Location, *, at_value: bool = False) -> int:
    """The line, from 1, of the innermost part of a location that is in the file."""
    node, line = root, int(root.start_mark.line)
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
    return (int(node.start_mark.line) if at_value else line) + 1


def _scalars(node: yaml.Node, where: Location) -> Iterator[tuple[Location, yaml.ScalarNode]]:
    if isinstance(node, yaml.ScalarNode):
        yield where, node
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _scalars(item, (*where, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _scalars(value, (*where, key.value))


def _fault_of_number(text: str) -> tuple[Message, Message]:
    what = say("{text} is not written as a plain number", text=text)
    bare = text.replace("_", "")
    if ":" not in text and re.fullmatch(r"[-+]?0+[0-9]+(?:\.[0-9]*)?", bare):
        sign = bare[0] if bare[0] in "+-" else ""
        plain = bare.lstrip("+-").lstrip("0") or "0"
        return what, say("write {plain}", plain=sign + plain)
    if ":" not in text and bare != text and re.fullmatch(r"[-+]?[0-9]+(?:\.[0-9]*)?", bare):
        return what, say("write {plain}", plain=bare)
    return what, say("write it with the digits 0 to 9 alone")
