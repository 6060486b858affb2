"""Small inputs that stand for much: what they announce or swell to, and that refusing them takes neither time nor memory."""

from __future__ import annotations

import random
import resource
import time
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import cbor2
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.children import spread
from kiosk.credential import classify
from kiosk.delivery import wire
from kiosk.envelopes import base45, cbor
from kiosk.errors import CborError, SealError, WireError
from kiosk.model import Malformed
from kiosk.sim.issuers import NOW_S, CardIssuer, hc1_code, nzcp_code
from kiosk.trust import authority_keys

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_MS = 5.0
LARGEST_MB = 20.0
ROUNDS = 5

_CARDS = CardIssuer()
CODES = {
    "inflate, HC1": b"HC1:" + base45.encode(zlib.compress(bytes(1 << 21))).encode(),
    "inflate, SHC": _CARDS.shc(b" " * (1 << 21)),
    "array in HC1": hc1_code(bytes.fromhex("9b7fffffffffffffff")),
    "depth in HC1": hc1_code(b"\x81" * 15_000),
    "depth in a pass": b"KP1:" + base45.encode(b"\x81" * 1900).encode(),
    "string in NZCP": nzcp_code(bytes.fromhex("5b7fffffffffffffff")),
    # As large as four codes that are put together.
    "a card of all that fits": _CARDS.shc(_CARDS.shc_claims() | {"vc": random.Random(1).randbytes(4200).hex()}),
    "depth in SHC": _CARDS.shc(b"[" * 16_000),
}
CBOR = {
    name: bytes.fromhex(text)
    for name, text in {
        "announced array": "9b7fffffffffffffff",
        "announced map": "bb7fffffffffffffff",
        "announced string": "5b7fffffffffffffff",
        "announced text": "7affffffff61",
        "deep": "81" * 3000,
        "deep without end": "9f" * 3000,
        "deep maps": "a101" * 1500,
        "deep tags": "c1" * 3000,
        "many": "99ffff" + "00" * 0xFFFF,
        "many without end": "9f" + "00" * 9000 + "ff",
        "decimal": "c4821b7fffffffffffffff1b7fffffffffffffff",
        "bigfloat": "c5821b7fffffffffffffff03",
        "bignum": "c25a0000ffff" + "ff" * 0xFFFF,
        "many pieces": "5f" + "40" * 9000,
    }.items()
}
FRAMES = {
    "inflate, batch": zstandard.ZstdCompressor().compress(bytes(200 << 20)),
    "inflate, batch of no size": zstandard.ZstdCompressor(write_content_size=False).compress(bytes(20 << 20)),
}
_HEADERS = dict.fromkeys(range(9990), 0)
ENVELOPES = {
    "headers, a list of keys": cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps(_HEADERS), {}, b"", bytes(64)])),
    "unsigned headers, a list of keys": cbor2.dumps(cbor2.CBORTag(18, [b"", _HEADERS, b"", bytes(64)])),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What refusing one bomb took.

    Attributes:
        name: Which.
        size_bytes: Of the input.
        cpu_ms: The least of some rounds.
        memory_mb: Growth of a fresh process.
        refused: Whether it was.
    """

    name: str
    size_bytes: int
    cpu_ms: float
    memory_mb: float
    refused: bool


def _code(data: bytes) -> bool:
    return isinstance(classify(data, (), _CARDS.trust, NOW_S), Malformed)


def _listed(data: bytes) -> object:
    return authority_keys.read(data, Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())


def _raises(parse: Callable[[bytes], object], data: bytes) -> bool:
    try:
        parse(data)
    except (CborError, SealError, WireError):
        return True
    return False


_REFUSE: dict[str, tuple[bytes, Callable[[bytes], bool]]] = {
    **{name: (data, _code) for name, data in CODES.items()},
    **{
        f"{name}, cbor {whose}": (data, partial(_raises, partial(cbor.loads, limits=limits)))
        for name, data in CBOR.items()
        for whose, limits in (("ours", cbor.OURS), ("theirs", cbor.THEIRS))
    },
    **{name: (data, partial(_raises, _listed)) for name, data in ENVELOPES.items()},
    **{name: (data, partial(_raises, wire.decode_batch)) for name, data in FRAMES.items()},
}


def defused() -> list[Cost]:
    """Refuse each bomb in a process of its own."""
    return list(spread(_cost, list(_REFUSE), 1))


def _cost(name: str) -> Cost:
    data, refuse = _REFUSE[name]
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = refuse(data)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    costs_ns = []
    for _ in range(ROUNDS):
        started_ns = time.thread_time_ns()
        refuse(data)
        costs_ns.append(time.thread_time_ns() - started_ns)
    return Cost(name, len(data), min(costs_ns) / 1e6, grown_kb / 1024, refused)
