"""A SMART Health Card in several codes: put together in any order, within bounds, and never taken for a forgery."""

from __future__ import annotations

import time

import pytest

from kiosk.credential import chunks, classify
from kiosk.credential.chunks import HELD_NS, MOST, Chunks
from kiosk.model import Credential, Malformed, Result, Sighting, Unproven, UnprovenReason, Verdict
from kiosk.sim.issuers import NOW_S, CardIssuer

S = 1_000_000_000
CARDS = CardIssuer()


def _cut(code: bytes, count: int) -> list[bytes]:
    """The card in so many codes, as its standard cuts it: between two characters."""
    digits = code.removeprefix(b"shc:/")
    size = 2 * -(-len(digits) // 2 // count)
    return [b"shc:/%d/%d/%s" % (n + 1, count, digits[n * size : (n + 1) * size]) for n in range(count)]


def _card(name: str = "A") -> bytes:
    return CARDS.shc(CARDS.shc_claims(name=[{"family": "Nguyễn", "given": [name]}]))


def _judged(sighting: Sighting) -> Verdict:
    return chunks.judged(sighting, classify(sighting.payload, (), CARDS.trust, NOW_S))


def _begun(at_s: float, *codes: bytes) -> list[Sighting]:
    return [Sighting(code, round(at_s * S)) for code in codes]


def _shown(held: Chunks, at_s: float, *codes: bytes) -> list[Sighting]:
    return held.join(_begun(at_s, *codes), round(at_s * S))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_one_after_another(order: tuple[int, ...]) -> None:
    """Each code but the last is damaged by itself; with the last the card is verified, in whatever order they came."""
    code = _card()
    parts, held = _cut(code, 3), Chunks()
    for place in order[:-1]:
        (alone,) = _shown(held, place, parts[place])
        assert _judged(alone) == Malformed("shc", "one-of-several")
    (whole,) = _shown(held, 3, parts[order[-1]])
    assert whole.payload == code
    assert set(whole.codes) == set(parts)
    verdict = _judged(whole)
    assert isinstance(verdict, Credential)
    assert verdict.result is Result.VERIFIED


def test_all_in_one_picture() -> None:
    """Codes that begin in one frame are one sighting; what else is in view stays its own."""
    first, second = _cut(_card(), 2)
    joined = _shown(Chunks(), 1, first, b"000201", second)
    assert [sighting.payload for sighting in joined] == [b"000201", _card_of(first, second)]
    assert joined[0].codes == (b"000201",)


def _card_of(*parts: bytes) -> bytes:
    return b"shc:/" + b"".join(part.split(b"/", 3)[3] for part in parts)


def test_same_card_again_is_the_same_card() -> None:
    """After it is whole nothing is kept: its codes make the same bytes once more, which is a repeat for the policy."""
    first, second = _cut(_card(), 2)
    held = Chunks()
    (once,) = _shown(held, 1, first, second)
    assert [each.payload for each in _shown(held, 2, first)] == [first]
    (again,) = _shown(held, 3, second)
    assert again.payload == once.payload


def test_halves_of_two_people_are_no_forgery() -> None:
    """A half that somebody left behind and another one's are damaged; two whole cards one after another are both read."""
    mine, other = _cut(_card("A"), 2), _cut(_card("B"), 2)
    held = Chunks()
    _shown(held, 1, mine[0])
    (mixed,) = _shown(held, 2, other[1])
    assert isinstance(_judged(mixed), Malformed)
    doubted = Unproven("shc", UnprovenReason.NOT_GENUINE)  # as it is if both are of one length
    assert chunks.judged(mixed, doubted) == Malformed("shc", "one-of-several")
    for card in (mine, other):
        (whole,) = _shown(held, 4, *card)
        assert isinstance(_judged(whole), Credential)
    newest = Chunks()
    _shown(newest, 1, mine[0])
    _shown(newest, 2, other[0])  # in the place of mine
    (whole,) = _shown(newest, 3, other[1])
    assert isinstance(_judged(whole), Credential)


def test_one_forged_code_stays_a_forgery() -> None:
    """Only what was put together is given the benefit of the doubt."""
    (whole,) = _begun(1, _card())
    doubted = Unproven("shc", UnprovenReason.NOT_GENUINE)
    assert chunks.judged(whole, doubted) == doubted
    joined = Sighting(b"", 1, (b"a", b"b"))
    unknown = Unproven("shc", UnprovenReason.UNKNOWN_ISSUER)
    assert chunks.judged(joined, unknown) == unknown


def test_what_waits_is_bounded() -> None:
    """A code is forgotten after ten seconds; of two counts the newer one counts; five codes are too many, as is number 3 of 2."""
    first, second = _cut(_card(), 2)
    held = Chunks()
    _shown(held, 1, first)
    held.join([], S + HELD_NS + 1)
    assert held._held == {}
    assert [each.payload for each in _shown(held, 12, second)] == [second]
    _shown(held, 12, b"shc:/1/3/5676")
    assert [each.payload for each in _shown(held, 13, first)] == [first]
    for wrong in (
        b"shc:/3/2/5676",
        b"shc:/1/5/5676",
        b"shc:/1/2/567",
        b"shc:/1/2/",
        b"shc:/0/2/5676",
        b"shc:/1/1/5676",
    ):
        assert [each.payload for each in _shown(Chunks(), 1, wrong)] == [wrong]
    full = Chunks()
    for number in range(1, MOST):
        _shown(full, 1, b"shc:/%d/%d/%s" % (number, MOST, b"5" * 7000))
    assert len(full._held) == MOST - 1
    started_s = time.perf_counter()
    (whole,) = _shown(full, 1, b"shc:/%d/%d/%s" % (MOST, MOST, b"5" * 7000))
    assert isinstance(_judged(whole), Malformed)
    assert time.perf_counter() - started_s < 0.5  # the largest that can be shown; measured: some milliseconds


def test_line_ends_do_not_part_them() -> None:
    """What a printer leaves at the end of a code is not a part of it."""
    first, second = _cut(_card(), 2)
    (whole,) = _shown(Chunks(), 1, first + b"\r\n", second)
    assert isinstance(_judged(whole), Credential)
