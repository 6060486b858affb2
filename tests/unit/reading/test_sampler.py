"""Modules become a symbol though blur has mixed them, bands lie over them, and lines are missing; what is no code becomes none."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import segno

from kiosk.reading import codewords, equaliser, patterns, sampler

CARD = "046090000123||Nguyễn Thị Ứng|01021990|Nữ|Phong Điền, Thừa Thiên Huế|15062021".encode()
Field = np.ndarray[Any, np.dtype[np.float32]]


def _symbol(content: bytes = CARD, error: str = "m", version: int | None = None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    code = segno.make(content, micro=False, boost_error=False, error=error, version=version)
    return np.array([list(row) for row in code.matrix], bool)


def _seen(symbol: Any, blur_m: float = 0.0, noise: float = 2.0) -> Field:
    """The brightness of each module, as a lens that far out of focus shows it."""
    printed = np.pad(np.where(symbol, 40, 220).astype(np.float32), 4, constant_values=220).repeat(4, 0).repeat(4, 1)
    soft = cv2.GaussianBlur(printed, (0, 0), 4 * blur_m) if blur_m else printed
    cells = soft.reshape(symbol.shape[0] + 8, 4, symbol.shape[0] + 8, 4).mean((1, 3))[4:-4, 4:-4]
    return np.asarray(cells + np.random.default_rng(1).normal(0, noise, cells.shape), np.float32)


def _is_read(cells: Field, symbol: Any) -> bool:
    picture = sampler.picture_of(cells)
    return picture is not None and bool(((picture < 128)[13:-12:3, 13:-12:3] == symbol).all())


@pytest.mark.parametrize("version", range(1, 41))
def test_patterns_are_those_of_every_symbol_of_a_size(version: int) -> None:
    """Whatever a symbol says, these modules are so; a symbol agrees with them, in a mirror, too, and another is drawn right."""
    symbol = _symbol(b"7", version=version, error="l")
    known = patterns.known(symbol.shape[0])
    assert (symbol[known != 0] == (known[known != 0] > 0)).all()
    assert (known == known.T).all()
    ink = np.where(symbol, 1, -1).astype(np.float32)
    assert patterns.agreement(ink) > 0.999
    assert (patterns.drawn_over(symbol) == symbol).all()
    spoilt = symbol ^ (known != 0)
    assert (patterns.drawn_over(spoilt) == symbol).all()


@pytest.mark.parametrize("blur_m", [0.0, 0.4, 0.55])
def test_blur_is_undone(blur_m: float) -> None:
    """Where a plain threshold takes every tenth module for another, one in fifty is left at most; in a mirror, too."""
    symbol = _symbol()
    cells = _seen(symbol, blur_m)
    sure = equaliser.equalised(equaliser.levelled(cells, (7, 7)))
    assert ((sure > 0) == symbol).mean() > 0.98
    assert _is_read(cells, symbol)
    assert _is_read(np.ascontiguousarray(cells.T), symbol)
    if blur_m > 0.5:
        plain = equaliser.surroundings(cells, (9, 9)) - cells
        assert ((plain > 0) == symbol).mean() < 0.93


def test_smear_and_echo_are_undone() -> None:
    """A hand that moves, and glass that shows everything twice: what they mix is learnt from the code itself."""
    symbol = _symbol()
    for kernel in (np.array([[0.25, 0.5, 0.25]]), np.array([[0, 0, 0.62, 0, 0.38]])):
        cells = np.asarray(cv2.filter2D(_seen(symbol), -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)
        assert _is_read(cells, symbol)


@pytest.mark.parametrize("turned", [False, True])
def test_bands_and_missing_lines_are_read(turned: bool) -> None:  # noqa: FBT001
    """A third of the rows at a tenth of the light, and rows of which little ink is left: each row has a threshold of its own."""
    symbol = _symbol()
    seen = _seen(symbol, noise=1.0)
    banded, faint = seen.copy(), seen.copy()
    banded[np.arange(seen.shape[0]) % 12 < 4] *= 0.1
    faint[5::7] = 220 - 0.25 * (220 - faint[5::7])
    for cells in (banded, faint):
        turn = np.ascontiguousarray(cells.T) if turned else cells
        assert _is_read(turn, symbol)


def test_what_is_hidden_is_given_up() -> None:
    """A lamp's reflection that hides every third codeword is survived: what nobody can know is not guessed but erased."""
    symbol = _symbol()
    cells = _seen(symbol, noise=1.0)
    rows, columns = np.indices(cells.shape)
    cells[np.abs(rows - columns - 4) < 2] = 250
    assert _is_read(cells, symbol)


@pytest.mark.parametrize("size", [21, 25, 45])
def test_chance_becomes_no_symbol(size: int) -> None:
    """Noise, a flat grey and another size's symbol are no code, however often they are tried."""
    random = np.random.default_rng(size)
    for _ in range(20):
        noise = random.normal(128, 40, (size, size)).astype(np.float32)
        noise[patterns.known(size) > 0] -= 60
        noise[patterns.known(size) < 0] += 60
        assert sampler.picture_of(noise) is None
    assert sampler.picture_of(np.full((size, size), 128, np.float32)) is None


def test_mended_must_be_proved() -> None:
    """A block that five errors seem to mend is no proof in the smallest symbol; with fewer it is."""
    symbol = _symbol(b"abc", version=1, error="m")
    rows, columns = codewords._places(21)
    for errors, is_proved in ((2, True), (5, False)):
        seen = symbol.copy()
        seen[rows[8 : 8 * errors + 8 : 8], columns[8 : 8 * errors + 8 : 8]] ^= True
        assert (codewords.corrected(seen) is not None) == is_proved
