"""A picture file as brightness: whatever Pillow opens, what is transparent in it taken for paper.

Transparent is white, as browsers show it: a code whose ground or quiet zone is see-through is a code all the same. A file's
orientation mark is not heeded, a code is read either way up; of several pictures in one file the first is taken.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from kiosk.errors import KioskError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"})
"""What is looked for in a folder; a file that is named is opened whatever it is called."""
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 1 << 26
"""What a picture may have; Pillow's bound against bombs."""
_WHITE = 255
_LEAST_CONTRAST = 32
_DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_SEE_THROUGH = {"LA", "La", "PA", "RGBA", "RGBa"}


class PictureError(KioskError, OSError):
    """A picture cannot be read."""

    hint = f"give a picture ({', '.join(sorted(suffix[1:] for suffix in SUFFIXES))}) or a folder of them"
    exit_code = 2


def luma_of(path: Path | BinaryIO) -> NDArray[np.uint8]:
    """The brightness of a picture, shape (height_px, width_px), dtype uint8.

    Raises:
        PictureError: It cannot be read, is no picture, or has more than `MOST_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in a file that is readable all the same
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return _luma(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{path} has more than {MOST_PIXELS:,} pixels", hint="make it smaller") from error
    except (UnidentifiedImageError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(f"{path} is no picture that can be decoded") from error
    except OSError as error:
        reason = error.strerror or "it is damaged or cut short"
        raise PictureError(f"{path} cannot be read: {reason}") from error
    except Exception as error:  # whatever else a decoder of Pillow's raises over a damaged file
        raise PictureError(f"{path} is no picture that can be decoded ({type(error).__name__})") from error


def _luma(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode in _DEEP:
        return _shallow(np.asarray(picture, np.float64))
    if picture.mode in _SEE_THROUGH or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        on_white = _on(seen, _WHITE)
        return on_white if int(np.ptp(on_white)) >= _LEAST_CONTRAST else _on(seen, 0)  # drawn in white for a dark page
    return np.array(picture.convert("L"), np.uint8)


def _on(seen: Image.Image, paper: int) -> NDArray[np.uint8]:
    ground = Image.new("RGBA", seen.size, (paper, paper, paper, _WHITE))
    return np.array(Image.alpha_composite(ground, seen).convert("L"), np.uint8)


def _shallow(deep: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Sixteen or more bits a pixel as eight; what a file leaves unused of its range is not stretched."""
    whole = 65535.0 if deep.size and deep.max() > _WHITE else float(_WHITE)
    return np.clip(deep * (_WHITE / whole), 0, _WHITE).astype(np.uint8)
