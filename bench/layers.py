"""What the fuzzer knows of a parser: its layers, with valid examples of each, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ForgedError(Exception):
    """Something was believed that nobody signed."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an input.

    Attributes:
        examples: Valid bytes of this layer.
        wrap: Puts what is around it.
        signed: Whether what is around it is a fresh signature, so that anything may be believed.
    """

    examples: tuple[bytes, ...]
    wrap: Callable[[bytes], bytes] = bytes
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser.

    Attributes:
        name: Shown in the table.
        layers: Of its inputs.
        parse: True if it accepts the input, False if it answers that it does not.
        refusals: What it may raise.
        share: Of all inputs, beside the others'.
    """

    name: str
    layers: tuple[Layer, ...]
    parse: Callable[[bytes, Layer], bool]
    refusals: tuple[type[Exception], ...] = ()
    share: int = 20
