"""No bytes make the readers of signed envelopes raise anything but their one error."""

from __future__ import annotations

import base64
import contextlib

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiosk.envelopes import base45, cbor, cose
from kiosk.errors import CborError, CoseError

VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(-(2**63), 2**63) | st.text(max_size=9) | st.binary(max_size=9), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes) -> None:
    """Any bytes are a value or the one error, by both measures, as an envelope and as CBOR."""
    for limits in (cbor.OURS, cbor.THEIRS):
        with contextlib.suppress(CborError):
            cbor.loads(data, limits)
    with contextlib.suppress(CoseError):
        cose.parse(data)


@given(st.binary(max_size=60), st.integers(0, 255), st.integers(0, 60))
def test_any_tag_is_answered(data: bytes, tag: int, place: int) -> None:
    """Sound CBOR with any head put anywhere into it is a value or the one error."""
    sound = cbor2.dumps([data, {1: data, "dob": "1990-01-01"}, 7])
    changed = sound[:place] + bytes((tag,)) + sound[place:]
    for limits in (cbor.OURS, cbor.THEIRS):
        with contextlib.suppress(CborError):
            cbor.loads(changed, limits)


@given(VALUES)
def test_wanted_values_pass(value: object) -> None:
    """Whatever is made of the wanted parts and is not too deep comes back as it was."""
    with contextlib.suppress(CborError):  # deeper than is let pass
        assert cbor.loads(cbor2.dumps(value, canonical=True), cbor.OURS) == value


@given(st.binary(max_size=300))
def test_base45_comes_back(data: bytes) -> None:
    """Bytes survive base45, and take no more than three characters for two."""
    text = base45.encode(data)
    assert base45.decode(text) == data
    assert len(text) == len(data) // 2 * 3 + len(data) % 2 * 2


@given(st.text(max_size=60) | st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", max_size=60))
@example(":::")
@example("::")
@example("a")
def test_base45_has_one_form(text: str) -> None:
    """A text is refused, or is the only one for its bytes."""
    with contextlib.suppress(ValueError):
        assert base45.encode(base45.decode(text)) == text


@pytest.mark.parametrize(("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581")])
def test_base45_is_the_standards(data: bytes, text: str) -> None:
    """The examples of RFC 9285."""
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@pytest.mark.parametrize("text", ["GGX", ":::", "::", "B", "BB8B", "bb8"])
def test_base45_refuses(text: str) -> None:
    """What RFC 9285 calls wrong is refused."""
    with pytest.raises(ValueError, match="character"):
        base45.decode(text)


def test_base45_refuses_other_alphabets() -> None:
    """Base64 is not taken for base45."""
    with pytest.raises(ValueError, match="base45"):
        base45.decode(base64.b64encode(b"hello").decode())
