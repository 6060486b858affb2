"""The trust list: the files of a trust folder, signed by the fleet's key, on their way to the stations.

    head       COSE_Sign1 of the fleet, purpose kiosk-trust-1: claim 6 when it was issued, claim -70201 SHA-256 of the content
    content    zstd of a CBOR map: names of files, as `kiosk.trust.issuers` has them, and what is in them
    trust.list CBOR [head, content], as it lies at the centre and on a station

At the broker the head is small and comes with every connection; the content, which may be large, is asked for only when the
head is a newer one. A station that has a list takes no older one, so nobody brings back a key that was taken away, or a
time before a revocation. A station with a list believes the list and no longer its folder.

Units: `_s` seconds of Unix time, UTC.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2
import zstandard

from kiosk.disk import durable
from kiosk.envelopes import cbor, cose
from kiosk.errors import CborError, CoseError, TrustError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from kiosk.config import Config

TOPIC = "fleet/trust"
"""Where the head is left for every kiosk, retained."""
PURPOSE = b"kiosk-trust-1"
DIGEST = -70_201
DIGEST_BYTES = 32
LARGEST_CONTENT_BYTES = 1 << 20
LARGEST_FILES_BYTES = 4 << 20
LARGEST_HEAD_BYTES = 512
MOST_FILES = 256
_FORM = cbor.Limits(size_bytes=LARGEST_CONTENT_BYTES + LARGEST_HEAD_BYTES + 16, items=3, depth=1)
_FILES = cbor.Limits(size_bytes=LARGEST_FILES_BYTES, items=2 * MOST_FILES + 1, depth=1)
_NAME = re.compile(r"(?:hc1|shc|nzcp)-keys\.json|passes/[A-Za-z0-9_.-]{1,64}\.pem|revoked/[A-Za-z0-9_.-]{1,64}\.cose")


def content_topic(digest: bytes) -> str:
    """Where the content with this SHA-256 is left, retained."""
    return f"{TOPIC}/{digest.hex()}"


@dataclass(frozen=True, slots=True)
class Head:
    """What the fleet has signed.

    Attributes:
        issued_s: When; grows with every list.
        digest: SHA-256 of the content.
    """

    issued_s: int
    digest: bytes

    @property
    def content_topic(self) -> str:
        """Where the content is left at the broker."""
        return content_topic(self.digest)


@dataclass(frozen=True, slots=True)
class TrustList:
    """A list whose signature holds, and the files in it by their names."""

    head: Head
    files: Mapping[str, bytes]


def sign(files: Mapping[str, bytes], issued_s: int, fleet: Ed25519PrivateKey) -> bytes:
    """The list, as it is kept.

    Raises:
        TrustError: A file has a name that no station reads, or it is too much.
    """
    content = zstandard.ZstdCompressor(level=19).compress(cbor2.dumps(dict(files), canonical=True))
    _files(content)
    if len(content) > LARGEST_CONTENT_BYTES:
        raise TrustError(f"a trust list of {len(content)} bytes, more than {LARGEST_CONTENT_BYTES}")
    claims = {cose.IAT: issued_s, DIGEST: hashlib.sha256(content).digest()}
    return cbor2.dumps([cose.sign(claims, fleet, PURPOSE), content])


def parts(message: bytes) -> tuple[bytes, bytes]:
    """Head and content of a list as it is kept; neither is judged.

    Raises:
        TrustError: It is none.
    """
    try:
        match cbor.loads(message, _FORM):
            case [bytes() as head, bytes() as content]:
                return head, content
    except CborError as error:
        raise TrustError(f"not a trust list: {error.args[0]}") from error
    raise TrustError("not a trust list")


def head_of(head: bytes, fleet: Mapping[bytes, Ed25519PublicKey]) -> Head:
    """What this head says, if one of the fleet's keys signed it.

    Raises:
        TrustError: None did, or it is of another form.
    """
    if len(head) > LARGEST_HEAD_BYTES:
        raise TrustError(f"the head of a trust list has {len(head)} bytes, more than {LARGEST_HEAD_BYTES}")
    try:
        claims = cose.verify(head, fleet, PURPOSE)
    except CoseError as error:
        raise TrustError(f"the trust list is not the fleet's: {error.args[0]}") from error
    issued_s, digest = claims.get(cose.IAT), claims.get(DIGEST)
    if type(issued_s) is not int or not isinstance(digest, bytes) or len(digest) != DIGEST_BYTES:
        raise TrustError("the head of the trust list is of another form")
    return Head(issued_s, digest)


def read(message: bytes, fleet: Mapping[bytes, Ed25519PublicKey]) -> TrustList:
    """The list in this message.

    Raises:
        TrustError: It is none, or not the fleet's.
    """
    signed, content = parts(message)
    head = head_of(signed, fleet)
    _compare(head, content)
    return TrustList(head, _files(content))


def load(path: Path, fleet: Mapping[bytes, Ed25519PublicKey]) -> TrustList:
    """The list in this file.

    Raises:
        TrustError: It cannot be read, or is not the fleet's.
    """
    try:
        with path.open("rb") as file:
            return read(file.read(_FORM.size_bytes + 1), fleet)
    except OSError as error:
        raise TrustError(f"{path} cannot be read: {error.strerror}") from error
    except TrustError as error:
        raise TrustError(f"{path}: {error.args[0]}") from error


def path_of(config: Config) -> Path:
    """Where a station keeps its list."""
    return config.state.dir / "identity" / "trust.list"


def is_there(path: Path) -> bool:
    """Whether a list was delivered, whatever becomes of reading it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


class Arrivals:
    """Lists as they come over the broker, judged and kept. One thread only."""

    def __init__(self, path: Path, fleet: Mapping[bytes, Ed25519PublicKey]) -> None:
        self._path = path
        self._fleet = fleet
        self._held: Head | None = None
        self._awaited: tuple[Head, bytes] | None = None
        self._look()

    @property
    def issued_s(self) -> int | None:
        """When the list was issued that is here; None if there is none."""
        return None if self._held is None else self._held.issued_s

    def head(self, payload: bytes) -> str | None:
        """Judge a head.

        Returns:
            The topic where its content is to be asked for; None if it is here already.

        Raises:
            TrustError: It is not the fleet's, or is older than what is here.
        """
        fresh = head_of(payload, self._fleet)
        self._look()
        if self._held is not None and fresh != self._held and fresh.issued_s <= self._held.issued_s:
            raise TrustError(
                f"a trust list of {fresh.issued_s}, no newer than the one of {self._held.issued_s} that is here"
            )
        self._awaited = None if fresh == self._held else (fresh, payload)
        return None if self._awaited is None else fresh.content_topic

    def content(self, topic: str, payload: bytes) -> TrustList | None:
        """Keep the content that was asked for.

        Returns:
            The list, when this returns on the disk; None if nobody waits for this.

        Raises:
            TrustError: It is not what the head says, or cannot be written.
        """
        if self._awaited is None or topic != self._awaited[0].content_topic:
            return None
        head, signed = self._awaited
        _compare(head, payload)
        listed = TrustList(head, _files(payload))
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            durable.replace(self._path, cbor2.dumps([signed, payload]), 0o640)
        except OSError as error:
            raise TrustError(f"the trust list cannot be written to {self._path}: {error.strerror}") from error
        self._held, self._awaited = head, None
        return listed

    def _look(self) -> None:
        """The list on the disk counts, and the newest that this process has seen there, should the file be damaged."""
        try:
            found = load(self._path, self._fleet).head
        except TrustError:
            return
        if self._held is None or found.issued_s > self._held.issued_s:
            self._held = found


def _compare(head: Head, content: bytes) -> None:
    if len(content) > LARGEST_CONTENT_BYTES:
        raise TrustError(f"a trust list of {len(content)} bytes, more than {LARGEST_CONTENT_BYTES}")
    if hashlib.sha256(content).digest() != head.digest:
        raise TrustError("the content of the trust list is not what the fleet has signed")


def _files(content: bytes) -> dict[str, bytes]:
    try:
        size_bytes = zstandard.frame_content_size(content)
        if not 0 <= size_bytes <= LARGEST_FILES_BYTES:
            raise TrustError(f"files of {size_bytes} bytes in a trust list, more than {LARGEST_FILES_BYTES}")
        files = cbor.loads(zstandard.ZstdDecompressor().decompress(content), _FILES)
    except (zstandard.ZstdError, CborError) as error:
        raise TrustError(f"the content of the trust list is damaged: {error}") from error
    if not isinstance(files, dict):
        raise TrustError("the content of the trust list is of another form")
    for name, file in files.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(file, bytes):
            raise TrustError("a trust list with a file that no station reads")
    return files
