"""The words: a handful of frozen values that flow from the lens to the ledger.

    Reading → Sighting → Verdict (Credential | Unproven | Malformed | WrongCode) → Decision → Entry → (seq, Entry)

Modules are the verbs between them. Nothing here does I/O, reads a clock or imports anything but the standard library.
`Frame` lives in `kiosk.camera`, because it alone needs numpy and the uplink must not load it.

Units are in the names: `_ns` nanoseconds, `_px` pixels. `boot_ns` counts from the machine's boot (CLOCK_BOOTTIME), so it
never goes backwards when the wall clock is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

PointPx = tuple[float, float]
"""A place in a picture: (x, y), from the upper left corner."""


class Direction(StrEnum):
    """Which way people pass a lane; `PASS` where one door serves both ways."""

    IN = "in"
    OUT = "out"
    PASS = "pass"  # noqa: S105  a direction, not a password


class ClockQuality(StrEnum):
    """How far the wall clock can be believed: set by the network, carried on since, or never set since power-on."""

    SYNCED = "synced"
    ESTIMATED = "estimated"
    UNSET = "unset"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time on both clocks, so that the wall time can be corrected later in the same boot.

    Attributes:
        wall_ns: Unix time in nanoseconds, UTC; wrong by decades while `quality` is `UNSET`.
        boot_id: The kernel's random id of this boot, 36 characters.
        boot_ns: Nanoseconds since that boot.
        quality: How far `wall_ns` can be believed.
    """

    wall_ns: int
    boot_id: str
    boot_ns: int
    quality: ClockQuality


@dataclass(frozen=True, slots=True)
class Reading:
    """One code read in one frame.

    Attributes:
        payload: The code's bytes as they are in the symbol, 1 to 2,953 of them; never a guessed text.
        corners_px: Four corners in the frame, clockwise from the symbol's own upper left.
        exposed_at_boot_ns: When the frame was exposed.
        strategy: Which decoding pass read it, for the technician and the benchmarks.
        symbology: What it is if it is no QR code: "aztec", "micro-qr", "rmqr", "data-matrix" or "pdf417"; empty for a QR code.
    """

    payload: bytes = field(repr=False)
    corners_px: tuple[PointPx, PointPx, PointPx, PointPx]
    exposed_at_boot_ns: int
    strategy: str = ""
    symbology: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One code held up once, however many frames show it.

    Attributes:
        payload: Its bytes.
        first_seen_boot_ns: Exposure of the first frame with it, counted from boot.
        chunks: The codes that it was put together from; empty if it is one.
        symbology: As in `Reading`: what is no QR code is told by that alone, whatever stands in it.
    """

    payload: bytes = field(repr=False)
    first_seen_boot_ns: int
    chunks: tuple[bytes, ...] = field(default=(), repr=False)
    symbology: str = ""

    @property
    def codes(self) -> tuple[bytes, ...]:
        """What was held up."""
        return self.chunks or (self.payload,)


@dataclass(frozen=True, slots=True)
class BirthDate:
    """A date of birth of which the day and the month may be unknown or masked."""

    year: int
    month: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        """ISO 8601, `**` for what is not known: `1987-**-**`."""
        month = "**" if self.month is None else f"{self.month:02d}"
        day = "**" if self.day is None else f"{self.day:02d}"
        return f"{self.year:04d}-{month}-{day}"


class Sex(StrEnum):
    """As the document says it."""

    MALE = "male"
    FEMALE = "female"


class Result(StrEnum):
    """How far a credential is to be believed: read, as of a card that anyone could print, or verified, current or not."""

    READ = "read"
    VERIFIED = "verified"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a personal code says of its holder.

    Attributes:
        document: The class of document: "cccd", "can-cuoc", "national-qr", "bhyt", "hc1", "shc", "nzcp", "pass", or the name of a local card.
        number: The document's number as shown, which may be masked with `*`; None if the code has none.
        qid: The national platform's id of the person, where the code carries one.
        name: As written in the code (NFC is for comparing, not for keeping); None if the code has none.
        birth: Date of birth; None if the code has none.
        sex: None if the code has none.
        flags: Warnings that do not refuse, sorted, such as "birth-year-differs"; see docs/credentials.md.
        phone: Ten digits from 0, where the code carries them.
        insurance: The health-insurance number, where the code carries one beside the document's own.
        result: How far it is to be believed; for a signed code it is also among the flags.
        same_as: What stays the same of a code that changes while it is held up; empty if it does not change.
    """

    document: str
    number: str | None = field(default=None, repr=False)
    qid: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    birth: BirthDate | None = field(default=None, repr=False)
    sex: Sex | None = field(default=None, repr=False)
    flags: tuple[str, ...] = ()
    phone: str | None = field(default=None, repr=False)
    insurance: str | None = field(default=None, repr=False)
    result: Result = Result.READ
    same_as: bytes = field(default=b"", repr=False)


class UnprovenReason(StrEnum):
    """Why a signed code is not believed. The first three accuse the code, the others say what the station lacks."""

    NOT_GENUINE = "not-genuine"
    REVOKED = "revoked"
    COPIED = "copied"
    UNKNOWN_ISSUER = "unknown-issuer"
    NO_TRUST_LIST = "no-trust-list"
    CLOCK_UNSET = "clock-unset"


@dataclass(frozen=True, slots=True)
class Unproven:
    """A signed code that is not believed; nothing that it says of a holder is looked at.

    Attributes:
        document: Its family: "hc1", "shc", "nzcp", "pass".
        reason: Why.
    """

    document: str
    reason: UnprovenReason


@dataclass(frozen=True, slots=True)
class Malformed:
    """A code that begins like a known document and breaks its grammar: damaged, please show it again.

    Attributes:
        document: The class it began like.
        reason: A fixed word such as "birth-date"; never the code's content.
    """

    document: str
    reason: str


@dataclass(frozen=True, slots=True)
class WrongCode:
    """A code that is no personal credential.

    Attributes:
        kind: "payment", "link" (a place's posted code, too), "wifi", "shlink" or "unknown"; of our own "provisioning", "label",
            "phone-number", "pass-link" or "page-icon"; of what is no QR code its symbology.
        size_bytes: Length of the code, all that is kept of an unknown one.
    """

    kind: str
    size_bytes: int


Verdict = Credential | Unproven | Malformed | WrongCode


@dataclass(frozen=True, slots=True)
class Recorded:
    """Make an entry of it. The panel shows green only after the entry is on disk."""

    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same code was recorded at this lane a moment ago: acknowledged, no second entry."""

    of: UUID


class RefusedReason(StrEnum):
    """Why nothing is recorded, told apart at the panel: bring another code, or show the same one again."""

    WRONG_CODE = "wrong-code"
    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    NOT_CURRENT = "not-current"
    NOT_GENUINE = "not-genuine"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Refused:
    """Make no entry of it."""

    reason: RefusedReason


Decision = Recorded | Repeat | Refused


@dataclass(frozen=True, slots=True)
class Sealed:
    """The person of one entry, readable only with one private key; `kiosk.envelopes.seal` makes and opens it.

    Attributes:
        key: Id of the public key that it is sealed to, 16 hex digits.
        suite: How: "x25519" or "mlkem768-x25519".
        box: The encapsulated key and the cipher text.
    """

    key: str
    suite: str
    box: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One person passed one door once. She is in it sealed, or in the clear, or not at all.

    Attributes:
        id: UUIDv7, made on the kiosk; the ledger's key, so that a repeated delivery changes nothing.
        kiosk: The station's id.
        site: The office it hangs at.
        lane: Which door of the station.
        direction: Which way.
        at: When the code was first seen.
        document: Class of document.
        flags: The credential's warnings.
        person: What `record.keep` keeps of the holder: "number", "name", "birth_year", …; empty where it is sealed, and
            where people are only counted.
        sealed: The same, sealed to each recipient; empty where `seal.mode` is "off" or "count".

    Raises:
        ValueError: The person is in it both ways.
    """

    id: UUID
    kiosk: str
    site: str
    lane: str
    direction: Direction
    at: Moment
    document: str
    flags: tuple[str, ...] = ()
    person: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    sealed: tuple[Sealed, ...] = ()

    def __post_init__(self) -> None:
        """Nobody is kept in the clear beside her seal."""
        if self.person and self.sealed:
            raise ValueError("a person is sealed or in the clear, not both")
