"""What is wrong with the values of a configuration, each mistake in one sentence of ours.

pydantic finds out; what it calls the mistake (`type` [1]) chooses the sentence here, and its own words go nowhere. A mistake that only
follows from another one is left out: a list is "too short" where one of its items was refused, a section "empty" whose keys stand too far left.

Sources:
    [1] pydantic.dev/docs, "Validation Errors": every `type` and what goes with it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import yaml

from kiosk.language.message import Message, say
from kiosk.settings import keys
from kiosk.settings.nodes import Problem, key_of, node_at
from kiosk.settings.slips import fault_of_glued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic_core import ErrorDetails

    from kiosk.settings.keys import Location

Fault = tuple[Message, Message]
"""What is wrong, what to do."""

REFERENCE = say("see docs/configuration.md")
_GLUED = re.compile(r"(?P<key>[a-z_0-9]+):(?!//)(?P<value>\S+)")
_ITEMS = {
    "lanes": say("begin each lane with `- `"),
    "brokers": say("begin each broker with `- `"),
    "local": say("begin each card with `- `"),
    "region": say("write four numbers in brackets, as in [0, 0, 1, 1]"),
}
_AN_ITEM = say("begin each word with `- `")
_TOLD_ELSEWHERE = frozenset({"extra_forbidden", "invalid_key"})
"""Below, and by `nodes.of_keys`."""


def of_values(details: Sequence[ErrorDetails], root: yaml.Node, doubled: list[Problem]) -> list[Problem]:
    """Each mistake that pydantic has found, once.

    Args:
        details: What it found.
        root: The file as nodes.
        doubled: What is wrong with the keys themselves.
    """
    groups = list(_misplaced([tuple(detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"]))
    problems = [problem for group in groups if group.is_told for problem in _unknown(group)]
    # Keys that stand where they do not belong leave their section empty, or double and spoil those of another.
    follows: set[Location] = set()
    for group in groups:
        if group.home is not None:
            follows |= {group.home, *((*group.home, name) for name in group.names)}
            follows |= {(*group.section, name) for name in keys.SECTIONS[group.home]}
    problems += [problem for problem in doubled if problem.where not in follows]
    for detail in details:
        where: Location = tuple(detail["loc"])
        names = tuple(part for part in where if isinstance(part, str))
        emptied = detail.get("input") is None or detail["type"] == "missing"
        if detail["type"] in _TOLD_ELSEWHERE or where in follows or (emptied and names in follows):
            continue
        if detail["type"] == "too_short" and any(_is_inside(other["loc"], where) for other in details):
            continue
        problems.append(_told(where, detail, node_at(root, where)))
    return problems


def _is_inside(where: Location, around: Location) -> bool:
    return len(where) > len(around) and where[: len(around)] == around


@dataclass(frozen=True, slots=True)
class _Misplaced:
    """Keys that are not known where they stand.

    Attributes:
        section: Where they stand.
        home: The section that they belong to, by its names; None if there is none, or several.
        names: The keys.
        is_told: False where the section itself is a stray beside them, and is told.
    """

    section: Location
    home: tuple[str, ...] | None
    names: list[str]
    is_told: bool


def _misplaced(strays: list[Location]) -> Iterator[_Misplaced]:
    """Strays by where they stand and where they belong; of a key's several homes the one counts that most of its neighbours have, and the nearest."""
    together: dict[tuple[Location, tuple[str, ...] | None], list[str]] = defaultdict(list)
    votes = Counter((where[:-1], home) for where in strays for home in keys.homes(str(where[-1])))
    for where in strays:
        homes = keys.homes(str(where[-1]))
        around = tuple(part for part in where[:-1] if isinstance(part, str))
        rank = {home: (votes[where[:-1], home], _shared(home, around)) for home in homes}
        best = [home for home in homes if rank[home] == max(rank.values())]
        together[where[:-1], best[0] if len(best) == 1 else None].append(str(where[-1]))
    moved = {(section, (*(home or ()), name)) for (section, home), names in together.items() for name in names}
    for (section, home), names in together.items():
        yield _Misplaced(section, home, names, is_told=(section, home) not in moved)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many sections two places have in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _unknown(group: _Misplaced) -> Iterator[Problem]:
    names, home = group.names, group.home
    if home is None:
        for name in names:
            near = difflib.get_close_matches(name, keys.known_keys(group.section), 1)
            remedy = say("did you mean `{near}`?", near=near[0]) if near else _REMOVE
            yield Problem((*group.section, name), say("there is no such key"), remedy)
        return
    what = say("there is no such key here")
    if len(names) > 1:
        what = say("there is no such key here, and no {others}", others=", ".join(names[1:]))
    around = tuple(part for part in group.section if isinstance(part, str))
    place = key_of(home[len(around) :] if home[: len(around)] == around else home)
    remedy = (
        say("write it under `{place}`", place=place)
        if len(names) == 1
        else say("write them under `{place}`", place=place)
    )
    yield Problem((*group.section, names[0]), what, remedy if home else say("begin it in the first column"))


_REMOVE = say("remove it, or see docs/configuration.md")


def _told(where: Location, detail: ErrorDetails, node: yaml.Node | None) -> Problem:
    """The sentence for one kind of mistake."""
    given = detail.get("input")
    written = node.value if isinstance(node, yaml.ScalarNode) else ""
    look = _Look(where, given, written, dict(detail.get("ctx", {})))
    if given is None and detail["type"] not in {"missing", "value_error"}:
        section = keys.section_of(look.annotation)
        nested = section is not None or "tuple" in str(look.annotation)
        remedy = (
            say("indent what belongs to it, or remove the line")
            if nested
            else say("give it a value, or remove the line")
        )
        return Problem(where, say("is empty"), remedy)
    if detail["type"] in {"model_type", "tuple_type"} and isinstance(given, str) and (found := _GLUED.match(given)):
        return Problem(where, *fault_of_glued(found["key"], found["value"]), at_value=True)
    if detail["type"] == "missing" and where and isinstance(where[-1], int):  # of a list with a fixed number of items
        return Problem(where[:-1], say("has too few numbers in it"), _ITEMS.get(look.name, REFERENCE))
    return Problem(where, *_SENTENCES.get(detail["type"], _anything)(look))


@dataclass(frozen=True, slots=True)
class _Look:
    """What a sentence is made of.

    Attributes:
        where: The key.
        given: The value.
        written: As it stands in the file; empty if it is no single value.
        context: What goes with the type [1].
    """

    where: Location
    given: Any
    written: str
    context: dict[str, Any]

    @property
    def annotation(self) -> Any:  # noqa: ANN401  a type expression
        return keys.annotation_at(self.where)

    @property
    def name(self) -> str:
        return next((part for part in reversed(self.where) if isinstance(part, str)), "")

    @property
    def limits(self) -> Message:
        """From the least to the most, where a key has both."""
        low, high = keys.limits_at(self.where)
        return (
            say("from {low} to {high}", low=low, high=high) if low is not None and high is not None else Message("", {})
        )


def _missing(_: _Look) -> Fault:
    return say("is missing"), say("add it")


def _too_small(look: _Look) -> Fault:
    return say("{given} is less than {limit:.10g}", given=look.given, limit=look.context["ge"]), _within(look)


def _too_large(look: _Look) -> Fault:
    if isinstance(look.given, float) and math.isnan(look.given):
        return say("{written} is no number", written=look.written), _within(look)
    return say("{given} is more than {limit:.10g}", given=look.given, limit=look.context["le"]), _within(look)


def _within(look: _Look) -> Message:
    return say("give a number {limits}", limits=look.limits)


def _no_choice(look: _Look) -> Fault:
    choices = keys.choices(look.annotation)
    if isinstance(look.given, bool):  # YAML's own words for true and false: on, off, yes, no
        return say("{written} without quotes is a yes or no", written=look.written), say(
            'write "{written}"', written=look.written
        )
    if not isinstance(look.given, str):
        if look.written in choices:
            return say("{written} is a number to YAML", written=look.written), say(
                'write "{written}"', written=look.written
            )
        return say("is none of {choices}", choices=", ".join(choices)), say("use one of those")
    near = difflib.get_close_matches(look.given.lower(), choices, 1)
    what = say("{given!r} is none of {choices}", given=look.given, choices=", ".join(choices))
    return what, say("did you mean `{near}`?", near=near[0]) if near else say("use one of those")


def _no_text(look: _Look) -> Fault:
    if look.written:
        kinds = {bool: say("a yes or no"), int: say("a number"), float: say("a number")}
        kind = kinds.get(type(look.given), say("a date"))
        remedy = say('put it in quotes: "{written}"', written=look.written)
        return say("{written} is {kind} to YAML, not a text", written=look.written, kind=kind), remedy
    return _no_single(look)


def _no_whole_number(look: _Look) -> Fault:
    return _no_number(look, say("{written} is no whole number", written=look.written or look.name))


def _no_decimal(look: _Look) -> Fault:
    return _no_number(look, say("{written} is no number", written=look.written or look.name))


def _no_number(look: _Look, what: Message) -> Fault:
    if not look.written:
        return _no_single(look)
    if isinstance(look.given, str):
        if re.fullmatch(r"[-+]?[0-9]+(?:\.[0-9]+)?", look.given.strip()):
            plain = look.given.strip()
            return say("{given!r} is a text to YAML", given=look.given), say(
                "write {plain} without quotes", plain=plain
            )
        if re.fullmatch(r"[0-9]+,[0-9]+", look.given):
            return what, say("write {plain}", plain=look.given.replace(",", "."))
        if found := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?[a-zA-Zµ%]+", look.given):
            return what, say("write {plain} alone", plain=found[1])
    return what, _within(look) if look.limits else say("write it with the digits 0 to 9 alone")


def _no_yes_or_no(look: _Look) -> Fault:
    if not look.written:
        return _no_single(look)
    return say("{written} is neither true nor false", written=look.written), say("write true or false, without quotes")


def _no_single(look: _Look) -> Fault:
    """A section or a list where one value belongs."""
    what = say("is a list") if isinstance(look.given, list | tuple) else say("has keys under it")
    return what, say("give it one value")


def _no_section(look: _Look) -> Fault:
    if isinstance(look.given, list):
        return say("is a list"), say("leave out the `- ` before its keys")
    return say("is a single value"), say("write its keys under it, indented")


def _no_list(look: _Look) -> Fault:
    what = say("is no list")
    return what, _ITEMS.get(look.name, _AN_ITEM)


def _too_few(look: _Look) -> Fault:
    return say("has nothing in it"), _ITEMS.get(look.name, _AN_ITEM)


def _too_many(look: _Look) -> Fault:
    most = look.context.get("max_length")
    return say("has more than {most} in it", most=most), say("remove what is too much")


def _too_short(look: _Look) -> Fault:
    least = look.context.get("min_length")
    return (say("is empty"), say("give it a value, or remove the line")) if not look.given else (
        say("{given!r} has fewer than {least} signs", given=look.given, least=least), REFERENCE
    )  # fmt: skip


def _too_long(look: _Look) -> Fault:
    return say("has more than {most} signs", most=look.context.get("max_length")), say("shorten it")


def _no_multiple(look: _Look) -> Fault:
    return say("{given} is odd", given=look.given), say("write an even number")


def _no_path(look: _Look) -> Fault:
    if not look.written:
        return _no_single(look)
    return say("{written} is no path", written=look.written), say('put it in quotes: "{written}"', written=look.written)


def _own_form(look: _Look) -> Fault:
    error = look.context["error"]
    return error.args[0], error.hint


def _anything(look: _Look) -> Fault:
    return say("{name} is not what belongs here", name=look.name), REFERENCE


_SENTENCES: dict[str, Callable[[_Look], Fault]] = {
    "missing": _missing,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_large,
    "multiple_of": _no_multiple,
    "literal_error": _no_choice,
    "enum": _no_choice,
    "string_type": _no_text,
    "string_too_short": _too_short,
    "string_too_long": _too_long,
    "int_type": _no_whole_number,
    "float_type": _no_decimal,
    "bool_type": _no_yes_or_no,
    "path_type": _no_path,
    "model_type": _no_section,
    "tuple_type": _no_list,
    "too_short": _too_few,
    "too_long": _too_many,
    "value_error": _own_form,
}
