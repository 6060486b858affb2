"""Cards of an office's own, declared in the configuration as text with places in it.

    NV|{number}|{name}|{any}

Places are `{number}`, `{name}`, `{birth}`, `{qid}` and `{any}`. The text between two places is found at its first
occurrence, so that matching takes one pass over the code whatever a stranger shows; a regular expression from a
configuration file could take minutes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiosk.credential.fields import birth_of, day_of, is_plain, known_birth_of, name_of
from kiosk.errors import ConfigError
from kiosk.language.message import say
from kiosk.model import BirthDate, Credential

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kiosk.config import LocalCard
    from kiosk.language.message import Message

_PLACE = re.compile(r"\{([^{}]*)\}")
_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z./_-]{0,63}")
_KNOWN = ("number", "name", "birth", "qid", "any")
_LONGEST_ANY = 400
_HINT = say("see `credentials.local` in docs/configuration.md")


@dataclass(frozen=True, slots=True)
class LocalPattern:
    """One declared card.

    Attributes:
        document: Name of the card's class.
        literals: The fixed text before, between and behind the places; one more than there are places.
        places: Names of the places.
    """

    document: str
    literals: tuple[str, ...]
    places: tuple[str, ...]

    def parse(self, text: str) -> Credential | None:
        """The card in this text; None if it is not one."""
        values = self._values(text)
        if values is None or not all(_fits(place, value) for place, value in zip(self.places, values, strict=True)):
            return None
        found = dict(zip(self.places, values, strict=True))
        return Credential(
            document=self.document,
            number=found.get("number"),
            qid=found.get("qid"),
            name=name_of(found["name"]) if "name" in found else None,
            birth=_birth(found["birth"]) if "birth" in found else None,
        )

    def _values(self, text: str) -> list[str] | None:
        first, *between, last = self.literals
        if not text.startswith(first):
            return None
        values = []
        position = len(first)
        for literal in between:
            end = text.find(literal, position)
            if end < 0:
                return None
            values.append(text[position:end])
            position = end + len(literal)
        end = len(text) - len(last)
        if end < position or not text.endswith(last):
            return None
        return [*values, text[position:end]]


def compile_local(cards: Sequence[LocalCard]) -> tuple[LocalPattern, ...]:
    """The declared cards, ready to be matched.

    Raises:
        ConfigError: A pattern has an unknown place, two without text between them, nothing that tells people apart, or
            so little text of its own that it would take any code for its card.
    """
    return tuple(_compiled(card) for card in cards)


def _compiled(card: LocalCard) -> LocalPattern:
    literals = tuple(_PLACE.split(card.pattern)[0::2])
    places = tuple(_PLACE.findall(card.pattern))
    for problem in _problems(literals, places):
        raise ConfigError(problem, hint=_HINT)
    return LocalPattern(card.document, literals, places)


def _problems(literals: tuple[str, ...], places: tuple[str, ...]) -> Iterable[Message]:
    unknown = [place for place in places if place not in _KNOWN]
    if unknown:
        yield say("has an unknown place {place}, known are {known}", place=f"{{{unknown[0]}}}", known=", ".join(_KNOWN))
    named = [place for place in places if place != "any"]
    if len(set(named)) != len(named):
        yield say("names a place twice")
    if "" in literals[1:-1]:
        yield say("has two places without text between them")
    if not {"number", "qid", "name"} & set(places):
        yield say("has none of {number}, {qid} and {name}")
    if len("".join(literals)) < 2:
        yield say("has fewer than two characters of its own, so that any code would be taken for it")


def _fits(place: str, value: str) -> bool:
    match place:
        case "name":
            return name_of(value) is not None
        case "birth":
            return _birth(value) is not None
        case "any":
            return is_plain(value, _LONGEST_ANY)
        case _:
            return _KEY.fullmatch(value) is not None


def _birth(text: str) -> BirthDate | None:
    day = day_of(text)
    return known_birth_of(text) if day is None else birth_of(day)
