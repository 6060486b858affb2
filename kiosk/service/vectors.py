"""Test vectors of health certificates: does the station judge as the official list does?

The form is that of the EU's test data (github.com/eu-digital-green-certificates/dgc-testdata): JSON files with a code in
several stages of unpacking, the signer's certificate, the time to judge at, and under `EXPECTEDRESULTS` what each stage
must come to. What a file leaves out is not judged; nor is what the station does not do: validation against the schema.
Beside the stages, the station's whole verdict on the code is held against the list.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from kiosk.credential import classify, hc1, proof
from kiosk.credential.trust import SigningKey, Trust, certificate_kid, certified_key
from kiosk.decoder import examine_picture
from kiosk.envelopes import base45, cbor, cose
from kiosk.errors import CborError, CoseError, KioskError, TrustError
from kiosk.lens.picture import PictureError, luma_of
from kiosk.model import Credential, Malformed, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kiosk.envelopes.cose import Sign1

LARGEST_BYTES = 4 << 20
DECIDES = (
    "EXPECTEDVERIFY",
    "EXPECTEDUNPREFIX",
    "EXPECTEDB45DECODE",
    "EXPECTEDCOMPRESSION",
    "EXPECTEDKEYUSAGE",
)
"""The stages that a genuine code must pass."""

_NEEDS = {
    "EXPECTEDPICTUREDECODE": "2DCODE",
    "EXPECTEDCOMPRESSION": "COMPRESSED",
    "EXPECTEDDECODE": "CBOR",
    "EXPECTEDVALIDJSON": "JSON",
}
"""What a stage cannot be judged without."""


class VectorError(KioskError, ValueError):
    """A file is no test vector."""

    hint = "give a folder of JSON files with PREFIX, TESTCTX and EXPECTEDRESULTS"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """One stage of one vector.

    Attributes:
        check: Name of the stage, as in the file; "VERDICT" for the station's own.
        expected: What the list says.
        found: What the station says.
    """

    check: str
    expected: bool
    found: bool


class Vector:
    """One file."""

    def __init__(self, form: Mapping[str, Any]) -> None:
        context = form["TESTCTX"]
        self._form = form
        self._expected: dict[str, object] = form["EXPECTEDRESULTS"]
        self._now_s = _time(context.get("VALIDATIONCLOCK"))
        self._certificate = base64.b64decode(context.get("CERTIFICATE") or "")
        self._signer = certified_key(self._certificate)

    @classmethod
    def read(cls, path: Path) -> Vector:
        """The vector in this file.

        Raises:
            VectorError: It is none.
        """
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise VectorError(f"{path} is larger than {LARGEST_BYTES >> 20} MiB")
            return cls(json.loads(path.read_text("utf-8-sig")))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, TrustError) as error:
            raise VectorError(f"{path} is no test vector: {type(error).__name__}") from error

    def judged(self) -> list[Outcome]:
        """Every stage that the file has an expectation for, and the verdict."""
        stages: dict[str, Callable[[], bool]] = {
            "EXPECTEDPICTUREDECODE": self._picture,
            "EXPECTEDUNPREFIX": self._prefix,
            "EXPECTEDB45DECODE": self._base45,
            "EXPECTEDCOMPRESSION": self._compression,
            "EXPECTEDVERIFY": self._signature,
            "EXPECTEDDECODE": self._cbor,
            "EXPECTEDVALIDJSON": self._json,
            "EXPECTEDEXPIRATIONCHECK": self._time,
            "EXPECTEDKEYUSAGE": self._use,
        }
        outcomes = [
            Outcome(name, expected, stages[name]())
            for name, expected in self._expected.items()
            if name in stages and isinstance(expected, bool) and self._form.get(_NEEDS.get(name, "TESTCTX"))
        ]
        return [*outcomes, *self._verdict()]

    def _verdict(self) -> list[Outcome]:
        """The station's own answer to the code at that time, if the list says whether it is genuine."""
        if not isinstance(self._expected.get("EXPECTEDVERIFY"), bool) or "PREFIX" not in self._form:
            return []
        # Where the list is silent on uses, they decide nothing.
        key = self._signer if "EXPECTEDKEYUSAGE" in self._expected else SigningKey(self._signer.key)
        trust = Trust(hc1={certificate_kid(self._certificate): (key,)})
        verdict = classify(str(self._form["PREFIX"]).encode(), (), trust, self._now_s)
        genuine = all(self._expected.get(name) is not False for name in DECIDES)
        current = self._expected.get("EXPECTEDEXPIRATIONCHECK")
        if isinstance(verdict, Credential) and isinstance(current, bool) and genuine:
            return [Outcome("VERDICT", current, verdict.result is Result.VERIFIED)]
        return [Outcome("VERDICT", genuine, isinstance(verdict, Credential))]

    def _text(self, name: str) -> str:
        return str(self._form.get(name) or "")

    def _bytes(self, name: str) -> bytes | None:
        try:
            return bytes.fromhex(self._text(name))
        except ValueError:
            return None

    def _picture(self) -> bool:
        try:
            readings, _ = examine_picture(luma_of(BytesIO(base64.b64decode(self._text("2DCODE")))))
        except PictureError:
            return False
        return self._text("PREFIX").encode() in {reading.payload for reading in readings}

    def _prefix(self) -> bool:
        code, bare = self._text("PREFIX"), self._text("BASE45")
        return code.startswith("HC1:") and (not bare or code[4:] == bare)

    def _base45(self) -> bool:
        try:
            data = base45.decode(self._text("BASE45") or self._text("PREFIX").removeprefix("HC1:"))
        except ValueError:
            return False
        return "COMPRESSED" not in self._form or data == self._bytes("COMPRESSED")

    def _compression(self) -> bool:
        message = proof.inflated(self._bytes("COMPRESSED") or b"", proof.ZLIB)
        return message is not None and message == self._bytes("COSE")

    def _opened(self) -> Sign1 | None:
        """The envelope, from the stage that the file has, or from the whole code."""
        try:
            message = self._bytes("COSE")
            if message:
                return cose.parse(message)
        except CoseError:
            return None
        opened = hc1.opened_code(self._text("PREFIX").encode())
        return None if isinstance(opened, Malformed) else opened

    def _signature(self) -> bool:
        opened = self._opened()
        if opened is None or hc1.kid_of(opened) != certificate_kid(self._certificate):
            return False
        return hc1.is_signed(opened, self._signer) and hc1.claims_of(opened) is not None

    def _cbor(self) -> bool:
        """The certificate is the one in the file, which some files give with its claims around it."""
        opened, data = self._opened(), self._bytes("CBOR")
        found = None if opened is None else hc1.claims_of(opened)
        if found is None or data is None:
            return False
        try:
            return cbor.loads(data, cbor.THEIRS) in found
        except CborError:
            return False

    def _json(self) -> bool:
        opened = self._opened()
        found = None if opened is None else hc1.claims_of(opened)
        return found is not None and found[1] == self._form.get("JSON")

    def _time(self) -> bool:
        opened = self._opened()
        found = None if opened is None else hc1.claims_of(opened)
        if found is None:
            return False
        try:
            begins_s, ends_s = (proof.seconds_of(found[0], label) for label in (cose.IAT, cose.EXP))
        except ValueError:
            return False
        return proof.result_at(self._now_s, begins_s, ends_s)[0] is Result.VERIFIED

    def _use(self) -> bool:
        opened = self._opened()
        found = None if opened is None else hc1.claims_of(opened)
        return found is not None and hc1.uses_of(found[1]) <= self._signer.uses


def _time(text: object) -> float | None:
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
