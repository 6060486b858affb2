"""Commands: whatever comes, a station obeys only what the fleet's key signed for it, now, once."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kiosk.envelopes import cose, remote
from kiosk.envelopes.offer import Offer
from kiosk.envelopes.remote import Command, Reason, Refusal, Verb, judge, signed
from kiosk.errors import CoseError
from kiosk.model import ClockQuality, Moment

KEY = Ed25519PrivateKey.generate()
FOREIGN = Ed25519PrivateKey.generate()
KEYS = {cose.key_id(KEY.public_key()): KEY.public_key()}
NOW_S = 1_800_000_000
ID = bytes(range(16))
OFFER = Offer("0.2.0+20261201000000", "https://updates.example/" + "x" * 176, bytes(32), 2 << 30)
IDENTIFY = Command(ID, 7, Verb.IDENTIFY)


def _now(now_s: int = NOW_S, quality: ClockQuality = ClockQuality.SYNCED) -> Moment:
    return Moment(now_s * 1_000_000_000, "boot-1", 1, quality)


def _claims(**changes: object) -> dict[int, object]:
    claims: dict[str, object] = {
        "aud": "test-1",
        "exp": NOW_S + 60,
        "iat": NOW_S,
        "cti": ID,
        "counter": 7,
        "verb": "identify",
        "numbers": [],
    } | changes
    labels = {
        "aud": remote.AUD,
        "exp": remote.EXP,
        "iat": remote.IAT,
        "cti": remote.CTI,
        "counter": remote.COUNTER,
        "verb": remote.VERB,
        "numbers": remote.NUMBERS,
        "update": remote.UPDATE,
    }
    return {labels[name]: value for name, value in claims.items() if value is not ...}


def _judged(claims: dict[int, object], counter: int = 6, now: Moment | None = None) -> Command | Refusal:
    return judge(cose.sign(claims, KEY, remote.PURPOSE), KEYS, "test-1", counter, now or _now())


@pytest.mark.parametrize(
    "command",
    [
        IDENTIFY,
        Command(ID, 7, Verb.SELF_TEST),
        Command(ID, 7, Verb.VOLUME, (0,)),
        Command(ID, 7, Verb.VOLUME, (100,)),
        Command(ID, 7, Verb.VOLUME),
        Command(ID, 7, Verb.RESEND, (1, 1)),
        Command(ID, 7, Verb.RESEND, (5, remote.MAX_NUMBER)),
        Command(ID, 7, Verb.RELOAD),
        Command(ID, 7, Verb.REBOOT),
        Command(ID, remote.MAX_NUMBER, Verb.DIAGNOSTICS),
        Command(ID, remote.MAX_NUMBER, Verb.UPDATE, update=OFFER),
    ],
    ids=lambda command: f"{command.verb}{command.numbers}",
)
def test_what_the_fleet_signs_is_understood(command: Command) -> None:
    """Every command arrives as it was meant, and fits into the largest message that is looked at."""
    message = signed(command, "test-1", KEY, NOW_S, remote.LONGEST_S)
    assert len(message) <= remote.LARGEST_BYTES
    assert judge(message, KEYS, "test-1", 6, _now()) == command


def test_longest_kiosk_name_fits() -> None:
    """A station whose name has 64 letters can be commanded, and told the longest address of an update."""
    message = signed(Command(ID, remote.MAX_NUMBER, Verb.UPDATE, update=OFFER), "k" * 64, KEY, NOW_S, 300)
    assert isinstance(judge(message, KEYS, "k" * 64, 6, _now()), Command)
    message = signed(Command(ID, remote.MAX_NUMBER, Verb.RESEND, (1, remote.MAX_NUMBER)), "k" * 64, KEY, NOW_S, 300)
    assert isinstance(judge(message, KEYS, "k" * 64, 6, _now()), Command)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"x" * (remote.LARGEST_BYTES + 1), Reason.TOO_LARGE),
        (b"", Reason.NOT_GENUINE),
        (b'{"verb":"reboot"}', Reason.NOT_GENUINE),
        (signed(IDENTIFY, "test-1", FOREIGN, NOW_S, 60), Reason.NOT_GENUINE),
        (cose.sign(_claims(), KEY, b"kiosk-pass-1"), Reason.NOT_GENUINE),
        (signed(IDENTIFY, "test-2", KEY, NOW_S, 60), Reason.OTHER_KIOSK),
        (signed(IDENTIFY, "*", KEY, NOW_S, 60), Reason.OTHER_KIOSK),
        (signed(IDENTIFY, "test-1", KEY, NOW_S - 61, 60), Reason.EXPIRED),
        (signed(Command(ID, 6, Verb.IDENTIFY), "test-1", KEY, NOW_S, 60), Reason.REPLAYED),
        (signed(Command(ID, 0, Verb.IDENTIFY), "test-1", KEY, NOW_S, 60), Reason.REPLAYED),
        (signed(IDENTIFY, "test-1", KEY, NOW_S, remote.LONGEST_S + 1), Reason.NOT_A_COMMAND),
    ],
    ids=[
        "too-large", "empty", "unsigned", "foreign", "other-purpose", "other-kiosk", "all-kiosks", "expired", "replayed",
        "counter-0", "holds-too-long",
    ],
)  # fmt: skip
def test_what_may_not_command_is_refused(message: bytes, reason: Reason) -> None:
    """Each kind of stranger's message is refused, under a word of its own."""
    assert judge(message, KEYS, "test-1", 6, _now()) == Refusal(reason)


def test_a_station_without_a_key_obeys_nobody() -> None:
    """No fleet key, no commands."""
    assert judge(signed(IDENTIFY, "test-1", KEY, NOW_S, 60), {}, "test-1", 0, _now()) == Refusal(Reason.NOT_GENUINE)


@pytest.mark.parametrize(
    "changes",
    [
        *({name: ...} for name in ("exp", "iat", "cti", "counter", "verb", "numbers")),
        {"exp": NOW_S}, {"exp": "x"}, {"iat": True}, {"iat": -1}, {"cti": b"short"}, {"cti": "text"}, {"counter": True},
        {"counter": -7}, {"counter": remote.MAX_NUMBER + 1}, {"verb": "open-door"}, {"verb": 1}, {"verb": []},
        {"numbers": None}, {"numbers": {}}, {"numbers": [1]}, {"numbers": [1, 2, 3]}, {"numbers": ["x"]},
        {"verb": "volume", "numbers": [101]}, {"verb": "volume", "numbers": [1, 2]}, {"verb": "volume", "numbers": [True]},
        {"verb": "resend", "numbers": []}, {"verb": "resend", "numbers": [5]}, {"verb": "resend", "numbers": [5, 4]},
        {"verb": "resend", "numbers": [0, 4]}, {"verb": "reboot", "numbers": [0]},
        {"verb": "update"}, {"verb": "update", "update": []}, {"verb": "update", "update": ["1", "2", b"3", True]},
        {"verb": "update", "update": ["0.2.0+20261201000000", "http://u.example/b", bytes(32), 1]},
        {"update": ["0.2.0+20261201000000", "https://u.example/b", bytes(32), 1]},
    ],
    ids=str,
)  # fmt: skip
def test_genuine_nonsense_is_no_command(changes: dict[str, object]) -> None:
    """A newer centre, or a bug in it, asks for something that this version does not know: nothing is done."""
    assert _judged(_claims(**changes)) == Refusal(Reason.NOT_A_COMMAND)


def test_a_station_without_time_is_still_protected_from_replays() -> None:
    """While the clock is not set the end is not judged, and the counter is."""
    unset = _now(0, ClockQuality.UNSET)
    old = signed(IDENTIFY, "test-1", KEY, NOW_S - 10_000_000, 60)
    assert judge(old, KEYS, "test-1", 6, unset) == IDENTIFY
    assert judge(old, KEYS, "test-1", 7, unset) == Refusal(Reason.REPLAYED)


@given(st.binary(max_size=2 * remote.LARGEST_BYTES))
def test_noise_is_refused(message: bytes) -> None:
    """Bytes that nobody signed are refused, and raise nothing."""
    assert isinstance(judge(message, KEYS, "test-1", 0, _now()), Refusal)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_every_changed_byte_is_noticed(place: int, change: int) -> None:
    """No byte of a signed command can be changed, wherever it stands."""
    message = bytearray(signed(IDENTIFY, "test-1", KEY, NOW_S, 60))
    message[place % len(message)] ^= change
    assert isinstance(judge(bytes(message), KEYS, "test-1", 0, _now()), Refusal)


_anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["aud", "exp", "iat", "cti", "counter", "verb", "numbers"]), _anything))
def test_genuine_claims_of_any_type_raise_nothing(changes: dict[str, object]) -> None:
    """Whatever stands in signed claims, the answer is a value; and a command only if station, time and counter are right."""
    claims = _claims(**changes)
    try:
        verdict = _judged(claims)
    except CoseError:
        return  # the centre itself could not have signed it
    if isinstance(verdict, Command):
        assert claims[remote.AUD] == "test-1"
        assert verdict.counter > 6


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(-200, 200), st.sampled_from(["test-1", "test-2"])), max_size=30)
)
def test_a_counter_is_obeyed_once(arrivals: list[tuple[int, int, str]]) -> None:
    """In whatever order commands come, also again and late: those obeyed have counters that only grow."""
    counter = 0
    obeyed: list[int] = []
    for number, made_s, kiosk in arrivals:
        message = signed(Command(ID, number, Verb.IDENTIFY), kiosk, KEY, NOW_S + made_s, 100)
        verdict = judge(message, KEYS, "test-1", counter, _now())
        should = kiosk == "test-1" and number > counter and made_s > -100
        assert isinstance(verdict, Command) is should
        if isinstance(verdict, Command):
            counter = verdict.counter
            obeyed.append(counter)
    assert obeyed == sorted(set(obeyed))
