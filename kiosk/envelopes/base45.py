"""Base45 (RFC 9285): bytes as the 45 characters that a QR code's alphanumeric mode packs into 5½ bits each.

Two bytes are three characters, a last single byte is two, the least significant character first.
"""

from __future__ import annotations

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}


def encode(data: bytes) -> str:
    """The bytes as text of the alphabet."""
    text: list[str] = []
    for start in range(0, len(data) - 1, 2):
        high, low = divmod(data[start] << 8 | data[start + 1], 45)
        text += _ALPHABET[low], _ALPHABET[high % 45], _ALPHABET[high // 45]
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        text += _ALPHABET[low], _ALPHABET[high]
    return "".join(text)


def decode(text: str) -> bytes:
    """The bytes in this text.

    Raises:
        ValueError: A character is not of the alphabet, one is left over, or a group says more than its bytes can hold.
    """
    try:
        values = [_VALUES[character] for character in text]
    except KeyError:
        raise ValueError("a character that is not of base45") from None
    whole, left = divmod(len(values), 3)
    if left == 1:
        raise ValueError("a character left over")
    data = bytearray()
    for start in range(0, 3 * whole, 3):
        pair = values[start] + 45 * values[start + 1] + 2025 * values[start + 2]
        if pair > 0xFFFF:
            raise ValueError("three characters that are no two bytes")
        data += pair.to_bytes(2, "big")
    if left:
        last = values[-2] + 45 * values[-1]
        if last > 0xFF:
            raise ValueError("two characters that are no byte")
        data.append(last)
    return bytes(data)
