"""No bytes make the classifier raise, tarry or tell."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kiosk.config import LocalCard
from kiosk.credential import classify, compile_local, personal_pass
from kiosk.model import Credential, Malformed, Unproven, WrongCode
from kiosk.sim import people
from kiosk.sim.issuers import NOW_S, CardIssuer, HealthAuthority, Office

#: What `make fuzz` holds at 5 ms is held here only where a quadratic look would show on any machine, traced or not.
LONGEST_S = 0.1
AUTHORITY, CARDS = HealthAuthority(), CardIssuer()
TRUST = replace(CARDS.trust, hc1=AUTHORITY.trust.hc1, passes={})
LOCAL = compile_local([LocalCard(document="staff", pattern="NV|{number}|{name}|{any}|{birth}")])


def _seeds(random: Random) -> list[bytes]:
    person = people.somebody(random)
    texts = [
        people.citizen_card(person, random),
        people.citizen_card(person, random, new=True),
        people.national_qr(person, random),
        people.national_qr(person, random, masked=False),
        people.bhyt(person, random),
        f"NV|{person.number}|{person.name}|x|01021990",
        "00020101021238570010A000000727",
        "https://office.example/checkin",
        "|" * random.randrange(3000),
    ]
    office, phone = Office(), Ed25519PrivateKey.generate()
    raw = phone.public_key().public_bytes_raw()
    signed = [
        AUTHORITY.code(),
        CARDS.shc(CARDS.shc_claims()),
        CARDS.nzcp(),
        personal_pass.code_of(office.envelope()).encode(),
        personal_pass.moving_code_of(office.envelope(key=raw), phone, NOW_S).encode(),
    ]
    return [*(text.encode() for text in texts), *signed]


def _mutated(payload: bytes, random: Random) -> bytes:
    code = bytearray(payload)
    for _ in range(random.choice((0, 1, 1, 2, 5, 20))):
        place = random.randrange(len(code) + 1)
        match random.randrange(5):
            case 0:
                code[place:place] = random.randbytes(random.choice((1, 3, 40)))
            case 1:
                del code[place : place + random.choice((1, 2, 30))]
            case 2:
                code[place : place + 1] = b"|"
            case 3:
                code[place:place] = code[: random.choice((10, 100))] * random.choice((1, 8))
            case _:
                code[place:place] = random.choice(("\u0301", "\ufeff", "𝟘", "\u202e", "٣")).encode()
    return bytes(code[:2953])


def _thread_s(payload: bytes) -> float:
    """The quickest of a few, in time of this thread: the machine's other work is not the classifier's."""
    times_s = []
    for _ in range(5):
        started_s = time.thread_time()
        classify(payload, LOCAL, TRUST, NOW_S)
        times_s.append(time.thread_time() - started_s)
    return min(times_s)


@pytest.mark.parametrize("rounds", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_hostile_codes(rounds: int, caplog: pytest.LogCaptureFixture) -> None:
    """Random and mutated codes: always a verdict, soon, not a word in the log."""
    caplog.set_level(logging.DEBUG)
    random = Random(20)
    seeds = [seed for _ in range(50) for seed in _seeds(random)]
    kinds = {Credential: 0, Malformed: 0, Unproven: 0, WrongCode: 0}
    slow = []
    for number in range(rounds):
        fresh = number % 4 == 0
        payload = random.randbytes(random.randrange(2954)) if fresh else _mutated(random.choice(seeds), random)
        started_s = time.thread_time()
        verdict = classify(payload, LOCAL, TRUST, NOW_S)
        if time.thread_time() - started_s > LONGEST_S:
            slow.append(payload)
        kinds[type(verdict)] += 1
    assert all(_thread_s(payload) <= LONGEST_S for payload in slow)
    assert min(kinds.values()) > rounds // 200, kinds
    assert not caplog.records


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_have_a_verdict(payload: bytes) -> None:
    """Whatever is shown is something."""
    assert isinstance(classify(payload, LOCAL, TRUST, NOW_S), Credential | Malformed | Unproven | WrongCode)


@given(st.lists(st.text(alphabet="0123456789|*-<$ANna/ữ", max_size=20), max_size=12))
def test_fields_of_any_kind_have_a_verdict(fields: list[str]) -> None:
    """The grammars meet what looks nearly like them."""
    assert isinstance(classify("|".join(fields).encode(), LOCAL), Credential | Malformed | Unproven | WrongCode)


@given(st.integers(0, 2**32), st.booleans())
def test_sound_cards_are_credentials_without_flags(seed: int, new: bool) -> None:  # noqa: FBT001  hypothesis gives it
    """Whoever is invented soundly is read soundly, in every format."""
    random = Random(seed)
    person = people.somebody(random)
    for text, document in (
        (people.citizen_card(person, random, new=new), "can-cuoc" if new else "cccd"),
        (people.national_qr(person, random, masked=new), "national-qr"),
        (people.bhyt(person, random), "bhyt"),
    ):
        verdict = classify(text.encode())
        assert isinstance(verdict, Credential)
        assert (verdict.document, verdict.flags) == (document, ())


@given(st.integers(0, 2**32), st.integers(1, 100))
def test_truncated_card_is_never_a_credential(seed: int, cut: int) -> None:
    """A card that lost its end is damaged: too few fields, or no date at the end."""
    random = Random(seed)
    code = people.citizen_card(people.somebody(random), random).encode()
    assert not isinstance(classify(code[:-cut]), Credential)
