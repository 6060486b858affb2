"""Boxes open with one key, in one entry, and say nothing by their length; whatever else is held against them stays shut."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from kiosk.envelopes.seal import CLASSIC, HYBRID, SIZES_BYTES, SUITES, PrivateKey, PublicKey, seal, unseal
from kiosk.errors import SealError
from kiosk.model import Sealed

ENTRY = UUID(int=5)
PERSON = (("number", "046090000123"), ("name", "Nguyễn Thị Thử"), ("birth_year", "1990"))
KEYS = {suite: PrivateKey.make(suite) for suite in SUITES}
OVERHEAD_BYTES = {CLASSIC: 32 + 16, HYBRID: 1120 + 16}


@pytest.fixture(params=SUITES)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    """A key of each suite."""
    return KEYS[request.param]


def _sealed(key: PrivateKey) -> Sealed:
    return seal(PERSON, key.public, "k-1", ENTRY)


def test_box_opens_with_its_key(key: PrivateKey) -> None:
    """The person comes back as it was, in its order."""
    sealed = _sealed(key)
    assert (sealed.key, sealed.suite) == (key.public.id, key.suite)
    assert unseal(sealed, key, "k-1", ENTRY) == PERSON
    assert unseal(sealed, PrivateKey.from_pem(key.to_pem()), "k-1", ENTRY) == PERSON


@pytest.mark.parametrize(
    "parts", [{"kiosk": "cong-an-1"}, {"name": "N", "flags": "verified"}, {"name": "x" * 401}, {"at": "2026-01-01"}]
)
def test_box_names_no_other_column(parts: dict[str, str]) -> None:
    """A genuine box that says anything but a person's own parts does not open."""
    key = KEYS[CLASSIC]
    with pytest.raises(SealError, match="holds no person"):
        unseal(seal(tuple(parts.items()), key.public, "k-1", ENTRY), key, "k-1", ENTRY)


@given(
    st.dictionaries(
        st.sampled_from(["number", "name", "qid"]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
    )
)
def test_any_person_comes_back(person: dict[str, str]) -> None:
    """Letters of any script, and signs that JSON escapes."""
    sealed = seal(tuple(person.items()), KEYS[CLASSIC].public, "k-1", ENTRY)
    assert dict(unseal(sealed, KEYS[CLASSIC], "k-1", ENTRY)) == person


def test_box_does_not_open_elsewhere(key: PrivateKey) -> None:
    """Put into another entry, another kiosk's, under another key's name, or changed in one bit, it stays shut."""
    sealed = _sealed(key)
    other = PrivateKey.make(key.suite)
    for shut, kiosk, entry, with_key in (
        (sealed, "k-2", ENTRY, key),
        (sealed, "k-1", UUID(int=6), key),
        (sealed, "k-1", ENTRY, other),
        (replace(sealed, key=other.public.id), "k-1", ENTRY, other),
        (replace(sealed, suite=HYBRID if key.suite == CLASSIC else CLASSIC), "k-1", ENTRY, key),
        (replace(sealed, box=sealed.box[:-1]), "k-1", ENTRY, key),
        (replace(sealed, box=sealed.box[:-1] + bytes((sealed.box[-1] ^ 1,))), "k-1", ENTRY, key),
        (replace(sealed, box=b""), "k-1", ENTRY, key),
    ):
        with pytest.raises(SealError):
            unseal(shut, with_key, kiosk, entry)


def test_two_boxes_of_one_person_have_nothing_in_common(key: PrivateKey) -> None:
    """Whoever sees two boxes cannot tell whether it was the same person."""
    first, second = (_sealed(key).box for _ in range(2))
    runs = {first[at : at + 4] for at in range(len(first) - 4)} & {second[at : at + 4] for at in range(len(second) - 4)}
    assert not runs


@pytest.mark.parametrize(("letters", "size_bytes"), [(1, 256), (100, 256), (300, 512), (600, 1024)])
def test_length_tells_nothing_of_the_name(key: PrivateKey, letters: int, size_bytes: int) -> None:
    """A box has one of three sizes, and the smallest holds what the settings keep unless asked for more."""
    sealed = seal((("number", "046090000123"), ("name", "x" * letters)), key.public, "k-1", ENTRY)
    assert len(sealed.box) == size_bytes + OVERHEAD_BYTES[key.suite]


def test_longest_name_of_the_grammar_fits(key: PrivateKey) -> None:
    """All parts at their longest, in letters of four bytes, find room; more is refused with the reason."""
    parts = {
        "number": "A" * 64, "qid": "A" * 64, "name": "\U00020000" * 100, "birth_year": "1990",
        "birth_date": "1990-02-01", "sex": "female", "phone": "0912345678", "insurance": "DN4010112345678",
    }  # fmt: skip
    assert dict(unseal(seal(tuple(parts.items()), key.public, "k-1", ENTRY), key, "k-1", ENTRY)) == parts
    with pytest.raises(SealError, match=f"more than {SIZES_BYTES[-1]}; keep fewer parts"):
        seal((("name", "x" * 1024),), key.public, "k-1", ENTRY)


@pytest.mark.parametrize("text", [b"[1]", b'{"name":5}', b"{", b"[" * 250, b"\xff"])
def test_box_of_somebody_else_that_holds_no_person_is_refused(text: bytes) -> None:
    """Anyone can seal anything to a public key."""
    key = KEYS[CLASSIC]
    from kiosk.envelopes.seal import _hpke, _info  # noqa: PLC0415  what a stranger would do by hand

    box = SUITES[CLASSIC].encrypt(text.ljust(256), _hpke(key.public), _info(key.public, "k-1", ENTRY))
    with pytest.raises(SealError):
        unseal(Sealed(key.public.id, CLASSIC, box), key, "k-1", ENTRY)


def test_what_is_no_key_is_refused() -> None:
    """Unknown suites, wrong lengths, other keys and no keys: a sentence, and nothing of the key."""
    for suite, raw in (("rsa", bytes(32)), (CLASSIC, bytes(31)), (HYBRID, bytes(32))):
        with pytest.raises(SealError, match="no public key of a suite"):
            PublicKey(suite, raw)
    with pytest.raises(SealError, match="use one of x25519, mlkem768-x25519"):
        PrivateKey.make("rsa")
    hybrid = KEYS[HYBRID].to_pem()
    for text in ("", "x", hybrid.replace("\nM", "\nQ", 1), hybrid[: len(hybrid) // 2], hybrid + KEYS[CLASSIC].to_pem()):
        with pytest.raises(SealError, match="no private key of a suite"):
            PrivateKey.from_pem(text)
    zero = PublicKey(CLASSIC, bytes(32))
    with pytest.raises(SealError):
        seal(PERSON, zero, "k-1", ENTRY)


def test_nothing_secret_is_in_a_representation() -> None:
    """What lands in a log or a traceback shows neither a private key nor a box."""
    assert "PRIVATE" not in repr(KEYS[HYBRID])
    assert "x25519=" not in repr(KEYS[CLASSIC])
    assert "box" not in repr(_sealed(KEYS[CLASSIC]))


def test_box_opens_by_the_documented_form_alone(key: PrivateKey) -> None:
    """docs/sealing.md tells enough to open a box: the code on the page does, with primitives only, and shares nothing with this project."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "sealing.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    imported = set(re.findall(r"^(?:from|import) (.+?)(?: import .*)?$", code, re.MULTILINE))
    assert imported == {
        "hashlib, hmac, json, re",
        "cryptography.hazmat.primitives.asymmetric.x25519",
        "cryptography.hazmat.primitives.ciphers.aead",
        "cryptography.hazmat.primitives.serialization",
    }
    there: dict[str, Any] = {}
    exec(code, there)  # noqa: S102  the page's own words
    sealed = _sealed(key)
    assert there["open_box"](key.to_pem(), sealed.key, sealed.suite, sealed.box, "k-1", str(ENTRY)) == dict(PERSON)
    with pytest.raises(InvalidTag):
        there["open_box"](key.to_pem(), sealed.key, sealed.suite, sealed.box, "k-2", str(ENTRY))


def test_one_file_knows_hpke() -> None:
    """Whoever looks for how a person is sealed has one file to read."""
    root = Path(__file__).resolve().parents[3]
    files = [path for folder in ("kiosk", "central") for path in (root / folder).rglob("*.py")]
    assert [path.name for path in files if "primitives.hpke" in path.read_text("utf-8")] == ["seal.py"]
