"""What is done about a code: record it, answer that it is recorded already, or refuse it.

Repeats are judged per code, by a keyed hash under a key that lives in memory only: neither a code nor anything that
could be tried against a list of numbers is kept. A code counts as a repeat for `window_ns` after it was recorded;
showing it again does not prolong that. Time is a parameter: nanoseconds since boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from kiosk.credential import stripped
from kiosk.credential.proof import TIME_NOT_JUDGED
from kiosk.model import (
    Credential,
    Malformed,
    Recorded,
    Refused,
    RefusedReason,
    Repeat,
    Result,
    Unproven,
    UnprovenReason,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from kiosk.model import Decision, Verdict


@dataclass(frozen=True, slots=True)
class Rules:
    """What a lane records.

    Attributes:
        accept: Classes of document that are recorded.
        window_ns: How long the same code is a repeat; 0 records every sighting.
        accept_expired: Classes of document that are recorded although they have expired.
    """

    accept: frozenset[str]
    window_ns: int
    accept_expired: frozenset[str] = frozenset()


_ACCUSATIONS = frozenset((UnprovenReason.NOT_GENUINE, UnprovenReason.REVOKED, UnprovenReason.COPIED))


class Policy:
    """The rules, and which codes were recorded a moment ago."""

    def __init__(self, rules: Rules, key: bytes) -> None:
        """Begin with nothing recorded.

        Args:
            rules: What is recorded.
            key: 32 random bytes, made at start and kept nowhere.
        """
        self._rules = rules
        self._key = key
        self._recorded: dict[bytes, tuple[UUID, int]] = {}

    def decide(self, payload: bytes, verdict: Verdict, now_boot_ns: int) -> Decision:
        """What to do about a new sighting; nothing is remembered of the question.

        Args:
            payload: The code's bytes.
            verdict: What the code is.
            now_boot_ns: Now.
        """
        match verdict:
            case Malformed():
                return Refused(RefusedReason.DAMAGED)
            case Credential() | Unproven() if verdict.document not in self._rules.accept:
                return Refused(RefusedReason.UNSUPPORTED)
            case Unproven():
                accused = verdict.reason in _ACCUSATIONS
                return Refused(RefusedReason.NOT_GENUINE if accused else RefusedReason.UNVERIFIABLE)
            case Credential() if (
                TIME_NOT_JUDGED in verdict.flags and verdict.document not in self._rules.accept_expired
            ):
                return Refused(RefusedReason.UNVERIFIABLE)
            case Credential() if not self._is_current(verdict):
                return Refused(RefusedReason.NOT_CURRENT)
            case Credential():
                recorded = self._recorded.get(self._digest(verdict.same_as or payload))
                if recorded is not None and now_boot_ns - recorded[1] < self._rules.window_ns:
                    return Repeat(recorded[0])
                return Recorded(verdict.flags)
            case _:
                return Refused(RefusedReason.WRONG_CODE)

    def _is_current(self, credential: Credential) -> bool:
        if credential.result is Result.EXPIRED:
            return credential.document in self._rules.accept_expired
        return credential.result is not Result.NOT_YET_VALID

    def remember(self, payload: bytes, entry_id: UUID, now_boot_ns: int) -> None:
        """Note that this code's entry is on the disk.

        Args:
            payload: The code's bytes, or what stays the same of them.
            entry_id: Its entry.
            now_boot_ns: Now, not before the last call.
        """
        # Oldest first: entries are re-inserted when renewed, so expired ones are all at the front.
        for digest, (_, recorded_boot_ns) in list(self._recorded.items()):
            if now_boot_ns - recorded_boot_ns < self._rules.window_ns:
                break
            del self._recorded[digest]
        digest = self._digest(payload)
        self._recorded.pop(digest, None)
        self._recorded[digest] = (entry_id, now_boot_ns)

    def _digest(self, payload: bytes) -> bytes:
        return blake2b(stripped(payload), key=self._key, digest_size=16).digest()


def person_of(credential: Credential, keep: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The parts of the holder that `record.keep` names and the code has, in a fixed order.

    A masked or missing number tells nobody apart; the platform's id of the person is kept with it, if there is one.

    Args:
        credential: What the code says.
        keep: Names of parts: "number", "qid", "name", "birth_year", "birth_date", "sex", "phone", "insurance".
    """
    birth = credential.birth
    if "number" in keep and (credential.number is None or "*" in credential.number):
        keep = {*keep, "qid"}
    parts = {
        "number": credential.number,
        "qid": credential.qid,
        "name": credential.name,
        "birth_year": None if birth is None else str(birth.year),
        "birth_date": None if birth is None else str(birth),
        "sex": None if credential.sex is None else credential.sex.value,
        "phone": credential.phone,
        "insurance": credential.insurance,
    }
    return tuple((name, value) for name, value in parts.items() if value is not None and name in keep)
