"""Small text files as any editor leaves them: UTF-8 or UTF-16, with or without a byte order mark, line ends of any system."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LARGEST_BYTES = 64 * 1024


def encoding_of(content: bytes) -> str:
    """The name of the encoding that a text was saved in, by its first bytes; a text begins with a character of ASCII."""
    if content.startswith(_UTF16):
        return "utf-16"
    if len(content) > 1 and 0 in content[:2]:
        return "utf-16-be" if content[0] == 0 else "utf-16-le"
    return "utf-8-sig"


def text_of(content: bytes) -> str:
    """The text, with Unix line ends.

    Raises:
        UnicodeDecodeError: It was saved in none of these encodings.
    """
    return "\n".join(content.decode(encoding_of(content)).splitlines())


def secret_in(path: Path) -> str:
    """A password that stands alone in its file: the first line that is no remark, or the only one there is.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is empty, or saved in another encoding; the sentence says what to do.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES)
    try:
        lines = [line.strip() for line in text_of(content).split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8; save it as UTF-8 in your editor") from error
    secret = next((line for line in lines if not line.startswith("#")), lines[0] if len(lines) == 1 else "")
    if not secret:
        raise ValueError("there is no password in it; write it on a line of its own")
    return secret
