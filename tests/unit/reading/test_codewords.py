"""A symbol's modules give its data: every version, level and mask, with errors and erasures up to what the check codewords mend."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import segno

from kiosk.reading import codewords


def _symbol(random: Random) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """A symbol of any version, level and mask."""
    while True:
        try:
            code = segno.make(
                random.randbytes(random.randint(1, 90)), version=random.randint(1, 40), error=random.choice("lmqh"),
                mask=random.randrange(8), boost_error=False, micro=False,
            )  # fmt: skip
        except segno.DataOverflowError:
            continue
        return np.array([list(row) for row in code.matrix], bool)


@pytest.mark.parametrize("seed", range(12))
def test_symbol_is_its_codewords(seed: int) -> None:
    """What is printed is read without a correction, and drawn again it is the same; a mirrored one is turned back."""
    symbol = _symbol(Random(seed))
    blocks = codewords.corrected(symbol)
    assert blocks is not None
    assert (codewords.redrawn(symbol, blocks) == symbol).all()
    assert (codewords.upright(symbol.T) == symbol).all()


@pytest.mark.parametrize("seed", range(12))
def test_errors_and_erasures_are_mended_together(seed: int) -> None:
    """Each check codeword mends an erasure, two of them mend an error, and a few are kept for the proof."""
    random = Random(seed)
    symbol = _symbol(random)
    data = codewords.data_of(symbol)
    level, _, _ = codewords.format_of(symbol)
    rows, columns = codewords._places(symbol.shape[0])
    seen, doubtful = symbol.copy(), np.zeros(symbol.shape, bool)
    for places, count in codewords._blocks(codewords.version_of(symbol.shape[0]), level):
        checks = len(places) - count
        erasures = random.randint(0, max(0, checks - codewords.MARGIN))
        errors = (checks - (codewords.MARGIN if erasures else 0) - erasures) // 2
        for number, place in enumerate(random.sample(list(places), erasures + errors)):
            bit = 8 * place + random.randrange(8)
            seen[rows[bit], columns[bit]] ^= True
            doubtful[rows[bit], columns[bit]] = number < erasures
    assert codewords.data_of(seen, doubtful) == data


def test_what_is_beyond_mending_is_nothing() -> None:
    """Codewords of chance, some of them erased, become no message."""
    random = Random(3)
    for _ in range(300):
        block = np.frombuffer(random.randbytes(60), np.uint8)
        assert codewords.mended(block, 24, random.sample(range(60), random.randint(0, 24))) is None
