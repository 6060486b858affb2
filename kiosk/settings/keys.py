"""What the types of `kiosk.config` know of a key at its place: its range, its choices, its neighbours, and where it would belong."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from kiosk.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

Location = tuple[str | int, ...]
"""`("lanes", 0, "camera", "fps")`."""


def annotation_at(where: Location) -> Any:  # noqa: ANN401  a type expression
    """The type of the key at this location; None if there is no such key."""
    field = _field_at(where)
    return None if field is None else field.annotation


def limits_at(where: Location) -> tuple[Any, Any]:
    """Its least and its largest value; None where there is no limit."""
    field = _field_at(where)
    low = high = None
    for rule in () if field is None else field.metadata:
        low, high = getattr(rule, "ge", low), getattr(rule, "le", high)
    if low is None and field is not None:  # inside `Pin | None`
        for inner in get_args(field.annotation):
            for rule in getattr(inner, "__metadata__", ()):
                for part in getattr(rule, "metadata", [rule]):
                    low, high = getattr(part, "ge", low), getattr(part, "le", high)
    return low, high


def _field_at(where: Location) -> Any:  # noqa: ANN401  pydantic's FieldInfo
    section: type[BaseModel] | None = Config
    field = None
    for part in where:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part) if section is not None else None
        section = None if field is None else section_of(field.annotation)
    return field


def choices(annotation: Any) -> list[str]:  # noqa: ANN401  a type expression
    """The words that a type allows; none if it is not one of words."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    return [choice for inner in get_args(annotation) for choice in choices(inner)]


def known_keys(where: Location) -> list[str]:
    """The keys of the section at this location."""
    section = Config if not where else section_of(annotation_at(where))
    return [] if section is None else list(section.model_fields)


def homes(key: str) -> list[tuple[str, ...]]:
    """The sections that have this key, by their names without numbers."""
    return [section for section, keys in SECTIONS.items() if key in keys]


def section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  a type expression
    """The section inside `Section`, `tuple[Section, ...]` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := section_of(inner)) is not None), None)


def _sections(section: type[BaseModel], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    yield where, frozenset(section.model_fields)
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if inner is not None:
            yield from _sections(inner, (*where, name))


SECTIONS = dict(_sections(Config, ()))
