"""A symbol's modules give its data: every version, level and mask, with errors and erasures up to what the check codewords mend."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import segno

from kiosk.reading import codewords
from kiosk.reading.patterns import version_of


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
    assert codewords.start_of(symbol) == blocks[0][0][0]
    assert codewords.mode_of(symbol) == blocks[0][0][0] >> 4


@pytest.mark.parametrize("seed", range(40))
def test_errors_and_erasures_are_mended_together(seed: int) -> None:
    """Each check codeword mends an erasure, two of them mend an error, and a few are kept for the proof."""
    random = Random(seed)
    blocks = codewords.corrected(_symbol(random))
    assert blocks is not None
    block, data = random.choice(blocks)
    checks = len(block) - data
    erasures = random.randint(0, max(0, checks - codewords.MARGIN))
    errors = (checks - (codewords.MARGIN if erasures else 0) - erasures) // 2
    places = random.sample(range(len(block)), erasures + errors)
    seen = block.copy()
    for place in places:
        seen[place] ^= random.randint(1, 255)
    good = codewords.mended(seen, checks, places[:erasures])
    assert good is not None
    assert good.tolist() == block.tolist()


@pytest.mark.parametrize("seed", range(12))
def test_what_is_not_trusted_is_given_up_first(seed: int) -> None:
    """Codewords that are hidden, and known to be, are mended, and as many errors besides as are left to be mended."""
    random = Random(seed)
    symbol = _symbol(random)
    trust, seen = np.ones(symbol.shape, np.float32), symbol.copy()
    level, _, _ = codewords.format_of(symbol)
    rows, columns = codewords._places(symbol.shape[0])
    for places, count in codewords._blocks(version_of(symbol.shape[0]), level):
        for place in random.sample(list(places), max(0, len(places) - count - codewords.MARGIN) // 2):
            bit = 8 * place + random.randrange(8)
            seen[rows[bit], columns[bit]] ^= True
            trust[rows[bit], columns[bit]] = 0
    blocks = codewords.corrected(seen, trust)
    assert blocks is not None
    assert (codewords.redrawn(seen, blocks) == symbol).all()


def test_what_is_beyond_mending_is_nothing() -> None:
    """Codewords of chance, some of them erased, become no message."""
    random = Random(3)
    for _ in range(300):
        block = np.frombuffer(random.randbytes(60), np.uint8)
        assert codewords.mended(block, 24, random.sample(range(60), random.randint(0, 24))) is None
