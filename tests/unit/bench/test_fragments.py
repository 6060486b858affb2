"""The measure's own fragments are what they claim to be."""

from __future__ import annotations

from random import Random

import zxingcpp

from bench.decoding.fragments import half_picture
from kiosk.reading.symbol import is_fragment


def test_half_is_a_part_of_a_series() -> None:
    """zxing-cpp sees in each sharp half a part of a series."""
    for seed in range(4):
        (code,) = zxingcpp.read_barcodes(half_picture(Random(seed), blurred=False))
        assert is_fragment(code)
