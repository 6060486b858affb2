"""Sightings, policy and cues: one code is answered once, and every answer is told from every other."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.config import Config, Sound
from kiosk.credential import classify
from kiosk.cues import (
    CUES,
    MEANINGS,
    MOST_RECEIPTS,
    RECEIPTS,
    Cue,
    CueName,
    cue_for,
    in_turn,
    levels_of,
    provisioning_error,
    volume_percent_at,
)
from kiosk.model import (
    BirthDate,
    Credential,
    Decision,
    Direction,
    Malformed,
    Reading,
    Recorded,
    Refused,
    RefusedReason,
    Repeat,
    Result,
    Sex,
    Unproven,
    UnprovenReason,
    Verdict,
    WrongCode,
)
from kiosk.policy import Policy, Rules, person_of
from kiosk.sightings import Sightings

CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
CARD = Credential("cccd", "046090000123", None, "Nguyễn Văn A", BirthDate(1990, 2, 1), Sex.MALE, ("sex-differs",))
ID = UUID(int=7)
S = 1_000_000_000


def _seen(now_ns: int, *payloads: bytes) -> list[Reading]:
    return [Reading(payload, CORNERS, now_ns) for payload in payloads]


def _begun(sightings: Sightings, now_ns: int, *payloads: bytes) -> list[bytes]:
    return [sighting.payload for sighting in sightings.observe(_seen(now_ns, *payloads), now_ns)]


def test_code_held_up_is_one_sighting_until_it_is_gone() -> None:
    """Frames without it for less than `gone` change nothing; after that it is new."""
    sightings = Sightings(gone_ns=S)
    assert _begun(sightings, 0, b"a") == [b"a"]
    assert _begun(sightings, S // 2) == []
    assert _begun(sightings, S, b"a") == []
    assert _begun(sightings, 2 * S, b"a") == []
    assert _begun(sightings, 3 * S + 1, b"a") == [b"a"]


def test_several_codes_at_once_are_several_sightings() -> None:
    """Two codes in a frame are two, twice the same code is one, and they do not disturb each other."""
    sightings = Sightings(gone_ns=S)
    assert _begun(sightings, 0, b"a", b"b", b"a") == [b"a", b"b"]
    assert _begun(sightings, S, b"b") == []
    assert _begun(sightings, 2 * S, b"a", b"b") == [b"a"]


def test_forgotten_code_counts_as_new() -> None:
    """After a failed commit the same code is answered again while it is still held up."""
    sightings = Sightings(gone_ns=S)
    assert _begun(sightings, 0, b"a") == [b"a"]
    sightings.forget(b"a")
    sightings.forget(b"never seen")
    assert _begun(sightings, 1, b"a") == [b"a"]


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.sets(st.sampled_from([b"a", b"b"]))), max_size=40))
def test_sightings_are_at_least_gone_apart(frames: list[tuple[int, set[bytes]]]) -> None:
    """Between two sightings of a code there is always a time without it that is longer than `gone`."""
    sightings = Sightings(gone_ns=S)
    now_ns = 0
    last_seen: dict[bytes, int] = {}
    for wait_ns, codes in frames:
        now_ns += wait_ns
        for payload in _begun(sightings, now_ns, *sorted(codes)):
            assert payload not in last_seen or now_ns - last_seen[payload] > S
        last_seen |= dict.fromkeys(codes, now_ns)


def _policy(window_ns: int = 60 * S) -> Policy:
    return Policy(Rules(frozenset({"cccd"}), window_ns), key=bytes(32))


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Malformed("cccd", "name"), RefusedReason.DAMAGED),
        (Unproven("hc1", UnprovenReason.NOT_GENUINE), RefusedReason.UNSUPPORTED),
        (WrongCode("link", 9), RefusedReason.WRONG_CODE),
        (Credential("bhyt"), RefusedReason.UNSUPPORTED),
    ],
)
def test_what_is_no_accepted_credential_is_refused(verdict: Verdict, reason: RefusedReason) -> None:
    """Damaged, unsupported and wrong codes are refused, each for its own reason."""
    assert _policy().decide(b"x", verdict, 0) == Refused(reason)


SIGNED = Rules(frozenset({"hc1", "pass"}), 60 * S, accept_expired=frozenset({"hc1"}))


@pytest.mark.parametrize(
    ("verdict", "decision"),
    [
        (Credential("hc1", result=Result.VERIFIED, flags=("verified",)), Recorded(("verified",))),
        (Credential("hc1", result=Result.EXPIRED, flags=("expired",)), Recorded(("expired",))),
        (Credential("hc1", result=Result.VERIFIED, flags=("time-not-judged",)), Recorded(("time-not-judged",))),
        (Credential("pass", result=Result.VERIFIED, flags=("time-not-judged",)), Refused(RefusedReason.UNVERIFIABLE)),
        (Credential("hc1", result=Result.NOT_YET_VALID), Refused(RefusedReason.NOT_CURRENT)),
        (Credential("pass", result=Result.EXPIRED), Refused(RefusedReason.NOT_CURRENT)),
        (Unproven("pass", UnprovenReason.NOT_GENUINE), Refused(RefusedReason.NOT_GENUINE)),
        (Unproven("pass", UnprovenReason.REVOKED), Refused(RefusedReason.NOT_GENUINE)),
        (Unproven("pass", UnprovenReason.COPIED), Refused(RefusedReason.NOT_GENUINE)),
        (Unproven("pass", UnprovenReason.UNKNOWN_ISSUER), Refused(RefusedReason.UNVERIFIABLE)),
        (Unproven("hc1", UnprovenReason.NO_TRUST_LIST), Refused(RefusedReason.UNVERIFIABLE)),
        (Unproven("pass", UnprovenReason.CLOCK_UNSET), Refused(RefusedReason.UNVERIFIABLE)),
        (Unproven("shc", UnprovenReason.NOT_GENUINE), Refused(RefusedReason.UNSUPPORTED)),
    ],
)
def test_signed_codes_are_recorded_only_if_believed(verdict: Verdict, decision: Decision) -> None:
    """What is verified is recorded, what has or may have expired only where that is allowed, what is not believed never."""
    assert Policy(SIGNED, bytes(32)).decide(b"x", verdict, 0) == decision


def test_a_code_that_changes_is_one_code() -> None:
    """A moving pass is a repeat of itself, whatever its ten seconds."""
    policy = Policy(SIGNED, bytes(32))
    moving = Credential("pass", result=Result.VERIFIED, same_as=b"envelope")
    policy.remember(moving.same_as, ID, 0)
    assert policy.decide(b"another step", moving, S) == Repeat(ID)


def test_repeat_is_judged_by_code_and_window() -> None:
    """The same code within the window is a repeat of its entry; another code, or a later time, is recorded."""
    policy = _policy()
    assert policy.decide(b"x", CARD, 0) == Recorded(("sex-differs",))
    policy.remember(b"x", ID, 0)
    assert policy.decide(b"x\r\n", CARD, 59 * S) == Repeat(ID)
    assert policy.decide(b"y", CARD, 59 * S) == Recorded(CARD.flags)
    assert policy.decide(b"x", CARD, 60 * S) == Recorded(CARD.flags)


def test_decision_alone_is_not_remembered() -> None:
    """Only what was committed makes the next sighting a repeat."""
    policy = _policy()
    policy.decide(b"x", CARD, 0)
    assert isinstance(policy.decide(b"x", CARD, 1), Recorded)


def test_memory_of_codes_ends_with_the_window() -> None:
    """What is older than the window is forgotten, and no code is kept as it is."""
    policy = _policy(window_ns=10)
    for now_ns in range(100):
        policy.remember(b"code %d" % now_ns, ID, now_ns)
    policy.remember(b"code 99", ID, 100)
    assert len(policy._recorded) <= 11
    assert all(b"code" not in digest for digest in policy._recorded)


def test_entry_keeps_only_what_the_settings_name() -> None:
    """Parts of the holder are kept by name, in a fixed order, and absent ones are absent."""
    assert person_of(CARD, ("birth_year", "number")) == (("number", "046090000123"), ("birth_year", "1990"))
    assert person_of(CARD, ("sex", "birth_date", "qid")) == (("birth_date", "1990-02-01"), ("sex", "male"))
    assert person_of(Credential("x"), ("number", "birth_year", "sex")) == ()


def test_masked_number_is_kept_with_what_tells_people_apart() -> None:
    """The platform's id is kept where the number alone names nobody, and otherwise only if the settings name it."""
    masked = Credential("national-qr", number="******029317", qid="162979388586171100")
    assert person_of(masked, ("number",)) == (("number", "******029317"), ("qid", "162979388586171100"))
    assert person_of(replace(masked, number=None), ("number",)) == (("qid", "162979388586171100"),)
    assert person_of(replace(masked, number="046090000123"), ("number",)) == (("number", "046090000123"),)
    assert person_of(masked, ("name",)) == ()


def test_little_is_kept_unless_more_is_asked_for() -> None:
    """Number, name and year of birth; no address, no parents, no old number can be kept at all."""
    record = Config.model_validate({"kiosk": {"id": "a", "site": "b"}}).record
    assert record.keep == ("number", "name", "birth_year")
    card = classify("046090000123|191234567|Nguyễn Văn A|01021990|Nam|12 Lê Lợi, Huế|15062021".encode(), ())
    assert isinstance(card, Credential)
    everything = person_of(card, ("number", "qid", "name", "birth_year", "birth_date", "sex", "phone", "insurance"))
    assert "191234567" not in str(everything)
    assert "Lê Lợi" not in str(everything)


@pytest.mark.parametrize(
    ("decision", "direction", "name"),
    [
        (Recorded(), Direction.IN, CueName.RECORDED_IN),
        (Recorded(), Direction.OUT, CueName.RECORDED_OUT),
        (Recorded(), Direction.PASS, CueName.RECORDED_PASS),
        (Repeat(ID), Direction.IN, CueName.REPEAT),
        (Refused(RefusedReason.DAMAGED), Direction.IN, CueName.DAMAGED),
        (Refused(RefusedReason.WRONG_CODE), Direction.IN, CueName.WRONG_CODE),
        (Refused(RefusedReason.UNSUPPORTED), Direction.IN, CueName.WRONG_CODE),
    ],
)
def test_each_decision_has_its_cue(decision: Recorded | Repeat | Refused, direction: Direction, name: CueName) -> None:
    """Every decision is answered by the cue that is named for it."""
    assert cue_for(decision, direction).name is name


def _rhythm(cue: Cue) -> list[tuple[bool, int]]:
    """What an active buzzer makes of it: on and off, and for how long."""
    rhythm: list[tuple[bool, int]] = []
    for step in cue.steps:
        sounds = step.tone_hz > 0
        if rhythm and rhythm[-1][0] is sounds:
            rhythm[-1] = (sounds, rhythm[-1][1] + step.duration_ms)
        else:
            rhythm.append((sounds, step.duration_ms))
    return [beat for beat in rhythm if beat[0]] + [(False, len(rhythm))]


def _light(cue: Cue, colours: tuple[str, ...]) -> list[tuple[tuple[tuple[str, int], ...], int]]:
    return [(tuple(levels_of(step.rgb, colours).items()), step.duration_ms) for step in cue.steps]


@pytest.mark.parametrize("pair", list(combinations(CUES, 2)), ids="/".join)
def test_cues_are_told_apart_by_light_and_by_sound(pair: tuple[CueName, CueName]) -> None:
    """With an RGB LED, with red and green only, and with four lamps; and by rhythm, with a buzzer of one tone."""
    first, second = CUES[pair[0]], CUES[pair[1]]
    for colours in (("red", "green", "blue"), ("red", "green"), ("red", "green", "blue", "yellow")):
        assert _light(first, colours) != _light(second, colours)
    assert _rhythm(first) != _rhythm(second)


def test_only_recorded_cues_are_green() -> None:
    """Green without red, and a steady one at that, is a receipt; that a station is set up says green and blue in turn."""
    for name, cue in CUES.items():
        green = any(step.rgb[1] > 200 and step.rgb[0] < 100 for step in cue.steps)
        assert green is (name.startswith("recorded") or name is CueName.SET_UP), name
        assert all(step.duration_ms > 0 for step in cue.steps)
        assert MEANINGS[name]


def test_no_other_cue_lights_a_green_lamp_alone() -> None:
    """Whatever lamps there are: a wait, a state or a refusal is never what a receipt looks like, not for one step."""
    for name, cue in CUES.items():
        for colours in (
            ("red", "green", "blue"),
            ("red", "green"),
            ("red", "green", "yellow"),
            ("red", "green", "blue", "yellow"),
        ):
            lit = [{colour for colour, level in levels_of(step.rgb, colours).items() if level} for step in cue.steps]
            assert ({"green"} in lit) <= (name.startswith("recorded") or name is CueName.SET_UP), (name, colours)


def test_provisioning_errors_can_be_counted() -> None:
    """As many short beeps and red flashes as the number says, after a long one."""
    for number in range(1, 10):
        cue = provisioning_error(number)
        beeps = [step for step in cue.steps if step.tone_hz]
        assert len(beeps) == number + 1
        assert beeps[0].duration_ms > 2 * beeps[1].duration_ms
        assert {step.rgb for step in beeps} == {(255, 0, 0)}


@pytest.mark.parametrize(
    ("quiet_from", "quiet_to", "minute", "percent"),
    [
        ("21:00", "06:00", 21 * 60, 20),
        ("21:00", "06:00", 5 * 60 + 59, 20),
        ("21:00", "06:00", 6 * 60, 80),
        ("12:00", "13:00", 12 * 60 + 30, 20),
        ("12:00", "13:00", 13 * 60, 80),
        ("12:00", "12:00", 12 * 60, 80),
        ("00:00", "23:59", None, 80),
    ],
)
def test_quiet_hours_may_span_midnight(quiet_from: str, quiet_to: str, minute: int | None, percent: int) -> None:
    """The quiet volume holds from the first minute to before the last, also over midnight; equal ends mean never, no time means day."""
    assert volume_percent_at(Sound(quiet_from=quiet_from, quiet_to=quiet_to), minute) == percent


ANSWERS = [cue for cue in CUES.values() if not cue.standing]


def _length_ms(cue: Cue) -> int:
    return sum(step.duration_ms for step in cue.steps)


@given(st.lists(st.tuples(st.integers(0, 1500), st.lists(st.sampled_from(ANSWERS), max_size=4)), max_size=7))
def test_whoever_is_recorded_sees_green_first_and_whole(frames: list[tuple[int, list[Cue]]]) -> None:
    """In whatever order and at whatever times answers come: each receipt is shown whole, and before what came with it."""
    shown: list[Cue] = []
    playing: Cue | None = None
    waiting: tuple[Cue, ...] = ()
    left_ms = given_receipts = 0
    for pause_ms, newest in [*frames, (1_000_000, [])]:
        passed_ms = pause_ms
        while (playing or waiting) and passed_ms >= left_ms:
            passed_ms -= left_ms
            shown += [playing] if playing else []
            playing, waiting = (waiting or (None,))[0], waiting[1:]
            left_ms = _length_ms(playing) if playing else 0
        left_ms -= passed_ms if playing else left_ms
        ahead = len([cue for cue in waiting if cue.name in RECEIPTS])
        given_receipts += min(MOST_RECEIPTS - ahead, len([cue for cue in newest if cue.name in RECEIPTS]))
        broken_off, waiting = in_turn(playing, waiting, tuple(newest))
        if broken_off:
            playing, left_ms = None, 0
        order = [cue.name in RECEIPTS for cue in waiting]
        assert order == sorted(order, reverse=True)
    assert len([cue for cue in shown if cue.name in RECEIPTS]) == given_receipts
