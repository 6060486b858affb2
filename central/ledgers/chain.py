"""The audit of openings as a chain: each line's hash covers the line and all before it, so that none is changed or taken away unseen.

    hash of a line = SHA-256 of the JSON of [hash of the line before, at_ns, who, reason, scope, shown]

The last hash is the head. Whoever rewrites the whole file can make a chain that fits; what he cannot make is one with a head that was noted elsewhere. Lines
of before there were hashes have none and are counted in; behind a line with a hash there is none without. Pure.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from central.ledgers.ledger import Opening

BEGIN = "0" * 64
"""What stands before the first line."""


def link(before: str, opening: Opening) -> str:
    """A line's hash, hexadecimal.

    Args:
        before: That of the line before.
        opening: The line.
    """
    told = [before, opening.at_ns, opening.who, opening.reason, opening.scope, opening.shown]
    return sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


def hashes_of(lines: Iterable[Opening]) -> list[str]:
    """Every line's hash, as it must be."""
    found: list[str] = []
    for line in lines:
        found.append(link(found[-1] if found else BEGIN, line))
    return found


def head_of(lines: Sequence[Opening]) -> str:
    """The last line's hash, as it is written or, where it has none, as it must be."""
    if not lines:
        return BEGIN
    return lines[-1].hash or hashes_of(lines)[-1]


def first_broken(lines: Sequence[Opening]) -> int | None:
    """Which line, from 1, is the first that is not as it was written, or has lost one before it; None for none."""
    chained = False
    for number, (line, must) in enumerate(zip(lines, hashes_of(lines), strict=True), 1):
        if (line.hash or chained) and line.hash != must:
            return number
        chained = chained or bool(line.hash)
    return None
