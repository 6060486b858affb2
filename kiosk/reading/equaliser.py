"""A code's modules told apart again after blur, smear and echoes have mixed them.

What a camera sees of a module is a mixture of it and its neighbours, the same mixture all over the code. The function patterns are known, so the
mixture can be learnt from the picture itself; what is known of the mixture tells more modules, and these tell the mixture better [1].
A module is dark or bright and nothing between: that is what lets this undo a blur that no filter can [2]. Each turn takes from
every module what its neighbours, as far as they are believed, have brought it.

Nothing is assumed of the mixture but that it reaches two modules: it may be out of focus, smeared by a hand, doubled by glass, or sampled beside
the middle. Where what was seen is not what should be seen, as on a scratch, belief is low: those codewords are the first that error
correction gives up.

Fields are one number a module: brightness, or ink, which is positive for dark.

Sources:
    [1] Dempster, Laird, Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", J. R. Statist. Soc. B 39 (1977).
    [2] Varanasi, Aazhang, "Multistage Detection in Asynchronous CDMA Communications", IEEE Trans. Commun. 38 (1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kiosk.reading.patterns import known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

REACH_M = 2
"""A module is seen in its neighbours so far away."""
TURNS = 6
KEPT = 0.5
"""So much of what was believed is kept in each turn: all at once they would swing."""
RIDGE = 0.01
"""What is not seen of the mixture is taken for none."""
DOUBT_M, DOUBT = 0.6, 0.7
"""How near the misfit is that casts doubt on a module, and how much of the noise is judged so; the rest by the whole code."""
LEAST_NOISE = 1e-3
_ACROSS = 2 * REACH_M + 1
_MIDDLE = _ACROSS**2 // 2
_AROUND = np.array([[0, -1, 0], [-1, 0, -1], [0, -1, 0]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is believed of each module.

    Attributes:
        soft: -1 for bright to 1 for dark.
        sure: The same as half the logarithm of the odds: what it is and how sure that is.
        foreseen: What should be seen of the ink if this is right.
    """

    soft: Field
    sure: Field
    foreseen: Field


def equalised(ink: Field) -> Field:
    """How surely each module is dark, positive, or bright.

    Args:
        ink: As `levelled` gives it.
    """
    belief = first(ink)
    for _ in range(TURNS):
        belief = better(ink, belief)
    return belief.sure


def levelled(cells: Field, around_m: tuple[int, int]) -> Field:
    """The ink of each module: how much darker it is than its surroundings, in deviations of these.

    Args:
        cells: Brightness.
        around_m: Modules across and down that are its surroundings: few for patchy light, a row for bands.
    """
    difference = surroundings(cells, around_m) - cells
    return np.asarray(difference / np.sqrt(surroundings(difference * difference, around_m) + 1), np.float32)


def surroundings(cells: Field, around_m: tuple[int, int]) -> Field:
    """The mean around each module.

    Args:
        cells: Anything.
        around_m: Modules across and down.
    """
    mean = cv2.blur(cells, around_m, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(mean if min(around_m) == 1 else cv2.GaussianBlur(mean, (3, 3), 0), np.float32)


def sharpened(cells: Field, amount: float) -> Field:
    """Take from each module what blur has brought it from its four neighbours."""
    kernel = amount * _AROUND
    kernel[1, 1] = 1 + 4 * amount
    return np.asarray(cv2.filter2D(cells, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def first(ink: Field) -> Belief:
    """What one believes at first sight."""
    soft = _with_patterns(np.tanh(1.5 * sharpened(ink, 0.3)))
    return Belief(soft, soft, ink)


def better(ink: Field, belief: Belief) -> Belief:
    """What one believes after another turn.

    Args:
        ink: What was seen.
        belief: What was believed.
    """
    mixture, ground = _mixture(ink, belief.soft)
    misfit = ink - _mixed(belief.soft, mixture, -1.0) - ground
    square = misfit * misfit
    noise = DOUBT * cv2.GaussianBlur(square, (0, 0), DOUBT_M) + (1 - DOUBT) * float(square.mean()) + LEAST_NOISE
    told = _mixed(misfit / noise, mixture[::-1, ::-1], 0.0)
    sure = told + belief.soft * (float((mixture * mixture).sum()) / noise)
    soft = _with_patterns(KEPT * belief.soft + (1 - KEPT) * np.tanh(sure))
    return Belief(soft, np.asarray(sure, np.float32), _mixed(soft, mixture, -1.0) + ground)


def _with_patterns(soft: NDArray[np.floating]) -> Field:
    patterns = known(soft.shape[0])
    return np.asarray(np.where(patterns == 0, soft, patterns), np.float32)


def _mixture(ink: Field, soft: Field) -> tuple[Field, float]:
    """By least squares: how much of each neighbour is seen in a module, and the ink of nothing."""
    size = ink.shape[0]
    padded = np.pad(soft, REACH_M, constant_values=-1)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (size, size)).reshape(_ACROSS**2, size * size)
    seen = np.vstack([seen, np.ones((1, size * size), np.float32)])
    products = seen @ seen.T
    neighbours = np.arange(_ACROSS**2)
    products[neighbours, neighbours] += RIDGE * products[_MIDDLE, _MIDDLE]
    weights = np.linalg.solve(products, seen @ ink.ravel())
    return weights[:-1].reshape(_ACROSS, _ACROSS).astype(np.float32), float(weights[-1])


def _mixed(field: Field, mixture: Field, outside: float) -> Field:
    """Each module with its neighbours; beyond the code lies its quiet zone."""
    padded = np.pad(field, REACH_M, constant_values=outside)
    inner = slice(REACH_M, -REACH_M)
    return np.asarray(cv2.filter2D(padded, -1, np.ascontiguousarray(mixture))[inner, inner], np.float32)
