"""Invented issuers: signed codes of every family, sound or broken in one way, with the keys to verify them.

Keys are made when an issuer is, and kept nowhere. For tests, benchmarks and the fuzzer.
"""

from __future__ import annotations

import base64
import json
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kiosk.credential import personal_pass
from kiosk.credential.trust import IssuerKey, Trust, certificate_kid, certified_key
from kiosk.envelopes import base45, cose

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW_S = 1_790_000_000
HOUR_S = 3600
_OIDS = {use: x509.ObjectIdentifier(f"1.3.6.1.4.1.1847.2021.1.{number}") for number, use in enumerate("tvr", 1)}
NAMES = {"fn": "Nguyễn Văn", "gn": "A", "fnt": "NGUYEN<VAN", "gnt": "A"}
VACCINATION = {"tg": "840539006", "vp": "1119349007", "dn": 2, "sd": 2, "co": "VN", "ci": "URN:UVCI:01:VN:ABC123#S"}


class HealthAuthority:
    """Signs `HC1:`."""

    def __init__(self, uses: str = "", *, rsa_bits: int = 0, curve: ec.EllipticCurve | None = None) -> None:
        """Make a key and a certificate.

        Args:
            uses: Letters of the uses in the certificate; none: it names none.
            rsa_bits: Size of an RSA key; 0: an EC key.
            curve: Of the EC key; None: P-256.
        """
        self.key: Any = (
            rsa.generate_private_key(65_537, rsa_bits) if rsa_bits else ec.generate_private_key(curve or ec.SECP256R1())
        )
        name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "VN")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        builder = builder.serial_number(7).not_valid_before(datetime(2021, 1, 1, tzinfo=UTC))
        builder = builder.not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage([_OIDS[use] for use in uses]), critical=False)
        self.certificate = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)
        self.kid = certificate_kid(self.certificate)

    @property
    def trust(self) -> Trust:
        """Whoever believes this authority alone."""
        return Trust(hc1={self.kid: (certified_key(self.certificate, "VN"),)})

    def claims(self, **certificate: object) -> dict[object, object]:
        """The claims of a certificate that is valid at `NOW_S`, with changes to the certificate in it."""
        whole = {"ver": "1.3.0", "nam": NAMES, "dob": "1990-02-01", "v": [VACCINATION], **certificate}
        whole = {name: value for name, value in whole.items() if value is not None}
        return {1: "VN", 4: NOW_S + HOUR_S, 6: NOW_S - HOUR_S, -260: {1: whole}}

    def envelope(
        self,
        claims: object,
        protected: Mapping[object, object] | None = None,
        unprotected: Mapping[object, object] | None = None,
    ) -> bytes:
        """A COSE_Sign1 with tag 18, signed whatever is in it."""
        algorithm = cose.PS256 if isinstance(self.key, rsa.RSAPrivateKey) else cose.ES256
        head = cbor2.dumps({1: algorithm, 4: self.kid} if protected is None else dict(protected))
        payload = claims if isinstance(claims, bytes) else cbor2.dumps(claims)
        signed = cbor2.dumps(["Signature1", head, b"", payload])
        return bytes(cbor2.dumps(cbor2.CBORTag(18, [head, dict(unprotected or {}), payload, self.signature(signed)])))

    def signature(self, data: bytes) -> bytes:
        """PS256 or ES256."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return es256(self.key, data)

    def code(self, **certificate: object) -> bytes:
        """A sound code."""
        return hc1_code(self.envelope(self.claims(**certificate)))


def hc1_code(envelope: bytes) -> bytes:
    """The code around an envelope."""
    return b"HC1:" + base45.encode(zlib.compress(envelope)).encode()


def es256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """r and s, each as long as the key."""
    part_bytes = key.key_size // 8
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(part_bytes, "big") + s.to_bytes(part_bytes, "big")


class CardIssuer:
    """Signs `shc:/` and `NZCP:/1/`."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.iss, self.did = "https://clinic.example/issuer", "did:web:nzcp.example"

    @property
    def trust(self) -> Trust:
        """Whoever believes this issuer alone."""
        key = self.key.public_key()
        return Trust(shc={"k1": (IssuerKey(key, self.iss),)}, nzcp={f"{self.did}#key-1": IssuerKey(key, self.did)})

    def jwk(self) -> dict[str, str]:
        """Its public key as a JWK."""
        numbers = self.key.public_key().public_numbers()
        x, y = (_base64url(number.to_bytes(32, "big")).decode() for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y}

    def shc_claims(self, **patient: object) -> dict[str, object]:
        """The claims of a card that is valid at `NOW_S`, with changes to its Patient."""
        resource = {"resourceType": "Patient", "name": [{"family": "Nguyễn", "given": ["Văn", "A"]}]}
        entries: list[object] = [
            {"fullUrl": "resource:0", "resource": resource | {"birthDate": "1990-02-01"} | patient},
            {"fullUrl": "resource:1", "resource": {"resourceType": "Immunization"}},
        ]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        return {
            "iss": self.iss,
            "nbf": NOW_S - HOUR_S,
            "vc": {"type": ["https://smarthealth.cards#health-card"], "credentialSubject": {"fhirBundle": bundle}},
        }

    def shc(self, claims: object, header: object | None = None) -> bytes:
        """A code of these claims."""
        head = {"zip": "DEF", "alg": "ES256", "kid": "k1"} if header is None else header
        text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        payload = deflater.compress(text) + deflater.flush()
        signed = _base64url(json.dumps(head).encode()) + b"." + _base64url(payload)
        return shc_code(signed + b"." + _base64url(es256(self.key, signed)))

    def nzcp(self, **changed: object) -> bytes:
        """A pass that is valid at `NOW_S`, with changes to its claims."""
        subject = {"givenName": "A", "familyName": "Nguyễn Văn", "dob": "1990-02-01"}
        claims: dict[object, object] = {1: self.did, 4: NOW_S + HOUR_S, 5: NOW_S - HOUR_S, 7: b"\x07" * 16}
        claims |= {"vc": {"credentialSubject": subject}} | {
            cose.EXP if k == "exp" else k: v for k, v in changed.items()
        }
        head, payload = cbor2.dumps({4: b"key-1", 1: cose.ES256}), cbor2.dumps(claims)
        signature = es256(self.key, cbor2.dumps(["Signature1", head, b"", payload]))
        return nzcp_code(cbor2.dumps(cbor2.CBORTag(18, [head, {}, payload, signature])))


def shc_code(jws: bytes) -> bytes:
    """The digits around a JWS."""
    return b"shc:/" + b"".join(b"%02d" % (character - 45) for character in jws)


def nzcp_code(envelope: bytes) -> bytes:
    """The code around an envelope."""
    return b"NZCP:/1/" + base64.b32encode(envelope).rstrip(b"=")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Office:
    """Issues `KP1:`."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.kid = cose.key_id(self.key.public_key())

    @property
    def trust(self) -> Trust:
        """Whoever believes this office alone."""
        return Trust(passes={self.kid: self.key.public_key()})

    def envelope(self, **holder: Any) -> bytes:  # noqa: ANN401  fields of several types
        """A pass that is valid at `NOW_S`, with changes."""
        fields = {"number": 7, "expires_s": NOW_S + HOUR_S, "name": "Nguyễn Văn A", "birth_year": 1990, **holder}
        return personal_pass.issued(personal_pass.Holder(**fields), self.key)
