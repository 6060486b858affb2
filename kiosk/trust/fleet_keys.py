"""The fleet's public key, whose signatures this station believes.

The file may hold several keys in PEM one after another: for the time in which an old key is replaced by a new one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kiosk.disk.text import text_of
from kiosk.envelopes import cose
from kiosk.errors import ConfigError
from kiosk.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
LARGEST_BYTES = 16 * 1024


def fleet_keys(path: Path) -> dict[bytes, Ed25519PublicKey]:
    """The keys in this file by their ids; none if there is no file, and then nothing signed is believed.

    Raises:
        ConfigError: There is a file, and it cannot be read or holds something else.
    """
    try:
        with path.open("rb") as file:
            blocks = _PEM.findall(text_of(file.read(LARGEST_BYTES)).encode())
        keys = [load_pem_public_key(block) for block in blocks]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, getattr(error, "strerror", None) or say("not PEM")) from error
    found = {cose.key_id(key): key for key in keys if isinstance(key, Ed25519PublicKey)}
    if not found or len(found) != len(keys):
        raise _unusable(path, say("not the public half of an Ed25519 key"))
    return found


def _unusable(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        say("trust.fleet_key_file: {path}: {reason}", path=path, reason=reason),
        hint=say("put the fleet's public key there, as the centre made it"),
    )
