"""A batch as one zstd frame, and what a frame may become: looked at before it is opened, and never more than an honest one.

Entries of one station are alike, so that a thousand of them pack well, but not beyond all measure: a frame that says it holds far more
than its bytes can honestly be is refused unopened.
"""

from __future__ import annotations

import zstandard

from kiosk.errors import WireError

MAX_BATCH_BYTES = 1 << 20
PACKED_FROM_BYTES = 1500
"""Below this a frame saves too little to be worth a payload that cannot be read by eye."""
MOST_TIMES, LEAST_BYTES = 60, 1 << 16
"""A frame holds at most so many times its own bytes, or this."""


def packed(payload: bytes) -> bytes:
    """The same batch as a zstd frame, if that is worth it."""
    if len(payload) < PACKED_FROM_BYTES:
        return payload
    return zstandard.ZstdCompressor(level=1).compress(payload)


def unpacked(payload: bytes) -> bytes:
    """The JSON; how much it will be is looked at before a frame is opened.

    Raises:
        WireError: It is too much, or no frame.
    """
    size_bytes, most_bytes = len(payload), MAX_BATCH_BYTES
    try:
        if payload.startswith(zstandard.FRAME_HEADER):
            size_bytes = zstandard.frame_content_size(payload)
            most_bytes = min(most_bytes, max(LEAST_BYTES, MOST_TIMES * len(payload)))
        if not 0 <= size_bytes <= most_bytes:
            raise WireError(f"batch of {size_bytes} bytes, more than {most_bytes}")
        if payload.startswith(zstandard.FRAME_HEADER):
            return zstandard.ZstdDecompressor().decompress(payload)
    except zstandard.ZstdError:
        raise WireError("not a whole zstd frame") from None
    return payload
