"""From the modules of a QR symbol to its data, corrected: layout, masks, and Reed-Solomon with errors and erasures.

zxing-cpp gives the text of a symbol and keeps the corrected bits to itself. Two questions need them: whether the symbol is a part of
a series, which its first four bits say [1], and what a symbol says of which it is known where it cannot be trusted. A module that is
hidden by a finger, a stamp or a lamp is an erasure: one check codeword mends it, where an error takes two.

Arrays are indexed by row and column, from the symbol's own upper left; True is a dark module.

Sources:
    [1] ISO/IEC 18004, 7.4.2 (mode indicators), 7.5 (error correction), 7.7.3 (placement), 7.8 (masks), 7.9 and 7.10 (format, version).
    [2] Blahut, "Theory and Practice of Error Control Codes", 7.2 (errors and erasures by Berlekamp-Massey).
    [3] Forney, "Generalized Minimum Distance Decoding", IEEE Trans. Inform. Theory 12 (1966).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial, log2
from typing import TYPE_CHECKING, Any

import numpy as np
from segno import consts

from kiosk.reading.patterns import known, version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Modules = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]
    Trust = NDArray[np.float32]

STRUCTURED_APPEND = 0b0011
MARGIN = 2
"""So many check codewords of a block are never spent on erasures."""
PROOF_BITS = 32.0
"""What is mended must also be proved: the check codewords that are left over in all blocks, eight bits each, and with `n` errors mended the logarithm
of `n!`, which is how rare it is that so many seem to mend what is no codeword at all."""
_MASKS = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, _column: row % 2 == 0,
    lambda _row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)
_FORMAT_ROWS = (8, 8, 8, 8, 8, 8, 8, 8, 7, 5, 4, 3, 2, 1, 0)
_FORMAT_COLUMNS = (0, 1, 2, 3, 4, 5, 7, 8, 8, 8, 8, 8, 8, 8, 8)
"""Of the format's fifteen bits around the upper left finder pattern, the highest first."""
_FORMATS = np.array([[value >> bit & 1 for bit in range(14, -1, -1)] for value in consts.FORMAT_INFO], bool)
_FORMATS_TWICE = np.tile(_FORMATS, 2)
_ORDER = 255


def _field() -> tuple[list[int], list[int]]:
    """Powers of 2 in GF(256) under x⁸ + x⁴ + x³ + x² + 1, twice over, and their logarithms."""
    powers, logarithms, value = [0] * (2 * _ORDER), [0] * 256, 1
    for exponent in range(_ORDER):
        powers[exponent] = powers[exponent + _ORDER] = value
        logarithms[value] = exponent
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return powers, logarithms


_POWERS, _LOGARITHMS = _field()
_POWERS_ARRAY, _LOGARITHMS_ARRAY = np.array(_POWERS, np.int16), np.array(_LOGARITHMS, np.int16)


def format_of(symbol: Modules) -> tuple[int, int, int]:
    """Level of error correction and mask, as the nearest of the 32 formats says it.

    Args:
        symbol: Square, of a version's size.

    Returns:
        The level's two bits (L 1, M 0, Q 3, H 2), the mask, and how many of the thirty bits differ.
    """
    distances = (symbol[_format_places(symbol.shape[0])] != _FORMATS_TWICE).sum(1)
    nearest = int(distances.argmin())
    return nearest >> 3, nearest & 7, int(distances[nearest])


@cache
def _format_places(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    last = size - 1
    rows = np.array([*_FORMAT_ROWS, *range(last, last - 7, -1), *[8] * 8])
    columns = np.array([*_FORMAT_COLUMNS, *[8] * 7, *range(last - 7, last + 1)])
    return rows, columns


def is_mirrored(symbol: Modules) -> bool:
    """Whether a symbol is seen in a mirror, which its format tells."""
    differs = format_of(symbol)[2]
    return differs > 0 and format_of(symbol.T)[2] < differs


def upright(symbol: Modules) -> Modules:
    """The symbol, transposed if it is seen in a mirror."""
    return symbol.T if is_mirrored(symbol) else symbol


def mode_of(symbol: Modules) -> int:
    """The first four bits of a symbol's data, as they are seen.

    Args:
        symbol: Upright and square, of a version's size.
    """
    corner = (symbol ^ _mask(format_of(symbol)[1], symbol.shape[0]))[-2:, -2:]
    return int(corner[1, 1]) << 3 | int(corner[1, 0]) << 2 | int(corner[0, 1]) << 1 | int(corner[0, 0])


def start_of(symbol: Modules) -> int | None:
    """The first byte of a symbol's data, corrected; None if its block cannot be mended.

    Args:
        symbol: Upright and square, of a version's size.
    """
    laid = _laid(symbol)
    of_block, data = laid.blocks[0]
    block = mended(laid.codewords[of_block], len(of_block) - data)
    return None if block is None else int(block[0])


def corrected(symbol: Modules, trust: Trust | None = None) -> list[tuple[Bytes, int]] | None:
    """The corrected blocks of a symbol, each with how many of its codewords are data; None if one cannot be mended, or if all of it could be chance.

    Args:
        symbol: Upright and square, of a version's size.
        trust: How far each module is to be trusted, in any unit, if that is known: of the least trusted codewords some are erasures, as
            few as will do [3].
    """
    laid = _laid(symbol)
    order = None if trust is None else trust[laid.places].reshape(-1, 8).min(1)
    blocks, proof_bits = [], 0.0
    for of_block, data in laid.blocks:
        seen, checks = laid.codewords[of_block], len(of_block) - data
        doubted = [] if order is None else np.argsort(order[of_block], kind="stable").tolist()
        most = max(0, checks - MARGIN)
        for erased in sorted({most * quarters // 4 for quarters in range(5)}) if doubted else (0,):
            block = mended(seen, checks, doubted[:erased])
            if block is not None:
                break
        else:
            return None
        blocks.append((block, data))
        errors = int(np.delete(block != seen, doubted[:erased]).sum())
        proof_bits += 8 * (checks - erased - 2 * errors) + log2(factorial(errors))
    return blocks if proof_bits >= PROOF_BITS else None


def redrawn(symbol: Modules, blocks: Sequence[tuple[Bytes, int]]) -> Modules:
    """The symbol with these codewords in the place of its own, and its format as it should be.

    Args:
        symbol: Upright; its other modules stay.
        blocks: As `corrected` gives them.
    """
    laid = _laid(symbol)
    codewords = np.zeros_like(laid.codewords)
    for (block, _), (of_block, _) in zip(blocks, laid.blocks, strict=True):
        codewords[of_block] = block
    drawn = symbol.copy()
    drawn[laid.places] = np.unpackbits(codewords).astype(bool) ^ laid.masked
    level, mask, _ = format_of(symbol)
    drawn[_format_places(symbol.shape[0])] = _FORMATS_TWICE[level << 3 | mask]
    return drawn


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """Where a symbol's data are, as its format and its size say it.

    Attributes:
        places: Rows and columns of the data's modules in their order.
        masked: Which of these modules the mask inverts.
        codewords: What they say, in the interleaved order.
        blocks: As `_blocks` gives them.
    """

    places: tuple[NDArray[np.intp], NDArray[np.intp]]
    masked: Modules
    codewords: Bytes
    blocks: list[tuple[NDArray[np.intp], int]]


def _laid(symbol: Modules) -> _Laid:
    level, mask, _ = format_of(symbol)
    size = symbol.shape[0]
    places = _places(size)
    masked = _mask(mask, size)[places]
    return _Laid(places, masked, np.packbits(symbol[places] ^ masked), _blocks(version_of(size), level))


def mended(block: Bytes, checks: int, erased: Sequence[int] = ()) -> Bytes | None:
    """A block of codewords, corrected; None if that is beyond its check codewords.

    Args:
        block: Data, then check codewords.
        checks: How many of them are check codewords.
        erased: Places of codewords that are not trusted. If there are too many, none of them is taken as erased.
    """
    syndromes = _syndromes(block, checks)
    if not any(syndromes):
        return block
    erased = [*erased] if len(erased) <= checks - MARGIN else []
    last = len(block) - 1
    locator = [1]
    for place in erased:
        locator = _times(locator, [_POWERS[last - place], 1])
    locator = _berlekamp_massey(syndromes, locator, len(erased))
    degree = len(locator) - 1
    spent = 2 * degree - len(erased)
    if degree == 0 or spent > checks or (erased and spent > checks - MARGIN):
        return None
    places = _roots(locator, len(block))
    if len(places) != degree:
        return None
    good = block.copy()
    evaluator = _times(syndromes[::-1], locator)[-checks:]
    slope = [value if (degree - index) % 2 else 0 for index, value in enumerate(locator)]  # x times the derivative
    for place in places:
        exponent = last - place
        below = _at(slope, _ORDER - exponent)
        above = _at(evaluator, _ORDER - exponent)
        good[place] ^= _divided(above, below)
    return None if any(_syndromes(good, checks)) else good


def _roots(locator: list[int], count: int) -> list[int]:
    """The places that it locates, of so many codewords."""
    coefficients = np.array(locator[::-1], np.int16)
    powers = np.outer(np.arange(len(locator)), _ORDER - np.arange(count - 1, -1, -1)) % _ORDER
    terms = np.where(coefficients[:, None] > 0, _POWERS_ARRAY[_LOGARITHMS_ARRAY[coefficients][:, None] + powers], 0)
    return [int(place) for place in np.flatnonzero(np.bitwise_xor.reduce(terms, axis=0) == 0)]


def _syndromes(block: Bytes, checks: int) -> list[int]:
    logarithms = _LOGARITHMS_ARRAY[block]
    exponents = _exponents(len(block), checks)
    terms = np.where(block != 0, _POWERS_ARRAY[(logarithms + exponents) % _ORDER], 0)
    return [int(value) for value in np.bitwise_xor.reduce(terms, axis=1)]


@cache
def _exponents(count: int, checks: int) -> NDArray[np.int16]:
    return (np.outer(np.arange(checks), np.arange(count - 1, -1, -1)) % _ORDER).astype(np.int16)


def _berlekamp_massey(syndromes: list[int], erasures: list[int], erased: int) -> list[int]:
    """The locator of errors and erasures, highest power first."""
    locator, before = erasures, erasures
    for step in range(len(syndromes) - erased):
        known = erased + step
        discrepancy = syndromes[known]
        for index in range(1, len(locator)):
            discrepancy ^= _product(locator[-1 - index], syndromes[known - index])
        before = [*before, 0]
        if discrepancy:
            if len(before) > len(locator):
                shorter = [_product(value, discrepancy) for value in before]
                before = [_divided(value, discrepancy) for value in locator]
                locator = shorter
            locator = _sum(locator, [_product(value, discrepancy) for value in before])
    while len(locator) > 1 and locator[0] == 0:
        locator = locator[1:]
    return locator


def _product(first: int, second: int) -> int:
    return _POWERS[_LOGARITHMS[first] + _LOGARITHMS[second]] if first and second else 0


def _divided(first: int, second: int) -> int:
    return _POWERS[_LOGARITHMS[first] - _LOGARITHMS[second] + _ORDER] if first else 0


def _times(first: list[int], second: list[int]) -> list[int]:
    product = [0] * (len(first) + len(second) - 1)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            product[i + j] ^= _product(one, other)
    return product


def _sum(first: list[int], second: list[int]) -> list[int]:
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    ahead = len(longer) - len(shorter)
    return longer[:ahead] + [one ^ other for one, other in zip(longer[ahead:], shorter, strict=True)]


def _at(polynomial: list[int], exponent: int) -> int:
    """Its value at 2 to this power; highest power first."""
    value = 0
    for coefficient in polynomial:
        value = (_POWERS[_LOGARITHMS[value] + exponent % _ORDER] if value else 0) ^ coefficient
    return value


@cache
def _mask(mask: int, size: int) -> Modules:
    rows, columns = np.indices((size, size))
    return np.asarray(_MASKS[mask](rows, columns), bool)


@cache
def function_patterns(size: int) -> Modules:
    """Where a symbol of this size has no data: what is known of it, and its format."""
    taken: Modules = known(size) != 0
    taken[:9, :9] = taken[:9, -8:] = taken[-8:, :9] = True
    return taken


@cache
def _places(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the data's modules in their order, whole codewords only."""
    rights = np.array([*range(size - 1, 6, -2), 5, 3, 1])
    upward = np.arange(size)[::-1]
    rows = np.stack([upward if number % 2 == 0 else upward[::-1] for number in range(len(rights))]).repeat(2, axis=1)
    columns = np.stack([rights, rights - 1], 1)[:, None, :].repeat(size, axis=1).reshape(len(rights), -1)
    is_data = ~function_patterns(size)[rows, columns]
    whole = int(is_data.sum()) // 8 * 8
    return rows[is_data][:whole], columns[is_data][:whole]


@cache
def _blocks(version: int, level: int) -> list[tuple[NDArray[np.intp], int]]:
    """For each block the places of its codewords in the interleaved order, and how many of them are data."""
    layout: Any = consts.ECC
    sizes = [(ec.num_data, ec.num_total) for ec in layout[version][level] for _ in range(ec.num_blocks)]
    order: list[list[int]] = [[] for _ in sizes]
    number = 0
    for index in range(max(data for data, _ in sizes)):
        for block, (data, _) in zip(order, sizes, strict=True):
            if index < data:
                block.append(number)
                number += 1
    for _ in range(sizes[0][1] - sizes[0][0]):
        for block in order:
            block.append(number)
            number += 1
    return [(np.array(block), data) for block, (data, _) in zip(order, sizes, strict=True)]
