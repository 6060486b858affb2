"""What each answer looks and sounds like: steps of light, tone and time.

A cue is data; `kiosk.panel` plays it on whatever lamps and buzzer there are. Every answer is told from every other by
its colours and, for those who cannot see them, by its sound: by its rhythm alone, because an active buzzer has one tone.
Green, and only green or turquoise, means that the entry is on the disk.

Standing cues say how the station is while nobody is there, or that its answer is on the way; they sound once, when they begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from kiosk.language.message import say
from kiosk.model import Direction, Recorded, RefusedReason, Repeat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kiosk.config import Sound
    from kiosk.language.message import Message
    from kiosk.model import Decision

Rgb = tuple[int, int, int]
"""Red, green, blue, 0 to 255 each."""

DARK: Rgb = (0, 0, 0)
GREEN: Rgb = (0, 255, 0)
TURQUOISE: Rgb = (0, 255, 180)
YELLOW: Rgb = (255, 170, 0)
RED: Rgb = (255, 0, 0)
MAGENTA: Rgb = (255, 0, 160)
BLUE: Rgb = (0, 0, 255)
DIM_WHITE: Rgb = (36, 36, 36)
WHITE: Rgb = (255, 255, 255)


class CueName(StrEnum):
    """The answers and the states."""

    RECORDED_IN = "recorded-in"
    RECORDED_OUT = "recorded-out"
    RECORDED_PASS = "recorded-pass"  # noqa: S105  a cue, not a password
    REPEAT = "repeat"
    WRONG_CODE = "wrong-code"
    DAMAGED = "damaged"
    NOT_CURRENT = "not-current"
    NOT_GENUINE = "not-genuine"
    FAULT = "fault"
    WAIT = "wait"
    FAULT_STANDING = "fault-standing"
    OFFLINE = "offline"
    UNPROVISIONED = "unprovisioned"
    CODE_TAKEN = "code-taken"
    SET_UP = "set-up"
    PROVISIONING_ERROR = "provisioning-error"
    READY = "ready"
    AIM = "aim"
    IDENTIFY = "identify"
    SELF_TEST = "self-test"


@dataclass(frozen=True, slots=True)
class Step:
    """A colour and a tone for a time.

    Attributes:
        rgb: The light.
        tone_hz: The sound, 0 for silence.
        duration_ms: How long, greater than 0.
    """

    rgb: Rgb
    tone_hz: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Cue:
    """Steps to play.

    Attributes:
        name: Which one it is.
        steps: Played in order; at least one.
        standing: Whether it goes on, without its tones, until another one stands.
    """

    name: CueName
    steps: tuple[Step, ...]
    standing: bool = False


def _pulses(rgb: Rgb, tones_hz: tuple[int, ...], on_ms: int, off_ms: int, off_rgb: Rgb = DARK) -> tuple[Step, ...]:
    """Beeps with a pause behind each."""
    return tuple(step for tone_hz in tones_hz for step in (Step(rgb, tone_hz, on_ms), Step(off_rgb, 0, off_ms)))


# Every lamp is seen, and green never alone: alone it is a receipt. Without green, white is magenta and yellow is red.
_LAMPS = ((RED, 523), (YELLOW, 659), (BLUE, 784), (WHITE, 1047), (DARK, 0))

_ALL = (
    Cue(CueName.RECORDED_IN, (Step(GREEN, 1760, 150), Step(GREEN, 0, 850))),
    Cue(CueName.RECORDED_OUT, (*_pulses(TURQUOISE, (1760, 1320), 100, 80), Step(TURQUOISE, 0, 640))),
    Cue(CueName.RECORDED_PASS, (Step(GREEN, 1320, 80), Step(GREEN, 2093, 170), Step(GREEN, 0, 750))),
    Cue(CueName.REPEAT, (*_pulses(YELLOW, (988, 988), 40, 60, YELLOW), Step(YELLOW, 0, 600))),
    Cue(CueName.WRONG_CODE, (Step(RED, 330, 500), Step(RED, 0, 700))),
    Cue(CueName.NOT_CURRENT, (*(Step(*each, 300) for each in ((RED, 330), (YELLOW, 0)) * 2), Step(YELLOW, 0, 300))),
    Cue(CueName.NOT_GENUINE, _pulses(RED, (262,) * 5, 70, 90)),
    Cue(CueName.DAMAGED, _pulses(MAGENTA, (660, 660, 660), 90, 150)),
    Cue(CueName.FAULT, tuple(Step(*rgb_tone, 250) for rgb_tone in ((RED, 440), (BLUE, 0)) * 4)),
    Cue(CueName.WAIT, (Step(WHITE, 0, 400), Step(DIM_WHITE, 0, 400)), standing=True),
    Cue(CueName.FAULT_STANDING, (Step(RED, 440, 700), Step(BLUE, 0, 700)), standing=True),
    Cue(CueName.OFFLINE, (Step(YELLOW, 660, 60), Step(DIM_WHITE, 440, 60), Step(DIM_WHITE, 0, 1880)), standing=True),
    Cue(CueName.UNPROVISIONED, (Step(BLUE, 523, 200), Step(BLUE, 0, 300), Step(DARK, 0, 500)), standing=True),
    Cue(
        CueName.IDENTIFY,
        tuple(Step(*rgb_tone, 120) for rgb_tone in ((WHITE, 2637), (BLUE, 0), (WHITE, 1319), (RED, 0)) * 20),
    ),
    Cue(CueName.SELF_TEST, tuple(Step(*rgb_tone, 600) for rgb_tone in _LAMPS)),
    Cue(CueName.CODE_TAKEN, (*_pulses(BLUE, (1047, 1319), 60, 60), Step(BLUE, 1568, 240), Step(BLUE, 0, 600))),
    Cue(
        CueName.SET_UP,
        tuple(Step(*rgb_tone, 300) for rgb_tone in ((GREEN, 1047), (BLUE, 0), (GREEN, 1568), (BLUE, 0)) * 2),
    ),
    Cue(CueName.READY, (Step(DIM_WHITE, 1047, 300), Step(DIM_WHITE, 0, 1700)), standing=True),
)

CUES: Mapping[CueName, Cue] = MappingProxyType({cue.name: cue for cue in _ALL})
"""Every answer and state by its name; what is counted or measured is made as it is needed."""

MEANINGS: Mapping[CueName, Message] = MappingProxyType(
    {
        CueName.RECORDED_IN: say("green, one beep: your entry is recorded"),
        CueName.RECORDED_OUT: say("turquoise, flashing twice, two beeps: your leaving is recorded"),
        CueName.RECORDED_PASS: say("green, one rising beep: you are recorded"),
        CueName.REPEAT: say("yellow, two short ticks: you are recorded already, walk on"),
        CueName.WRONG_CODE: say("red, one long low tone: not a personal code, show another one"),
        CueName.NOT_CURRENT: say("red and yellow in turn, two low tones: expired or not valid yet, show another one"),
        CueName.NOT_GENUINE: say("red, flashing five times, five quick low tones: not genuine, revoked or copied"),
        CueName.DAMAGED: say("magenta, flashing three times, three beeps: not read whole, show it again"),
        CueName.FAULT: say("red and blue in turn, four low tones: not recorded, tell the staff"),
        CueName.WAIT: say("white and dim white in turn: your code is being recorded, wait for the answer"),
        CueName.FAULT_STANDING: say("red and blue in turn, slowly: the station cannot record"),
        CueName.OFFLINE: say("dim white with a yellow flash every two seconds: records, the centre is out of reach"),
        CueName.UNPROVISIONED: say("blue, flashing slowly: waits for its provisioning code"),
        CueName.CODE_TAKEN: say("blue, three quickening beeps: the provisioning code is taken, wait"),
        CueName.SET_UP: say("green and blue in turn, four beeps: the station is set up"),
        CueName.PROVISIONING_ERROR: say(
            "red, a long low tone, then flashes and beeps to count: not set up, see the sheet"
        ),
        CueName.READY: say("dim white: ready"),
        CueName.IDENTIFY: say(
            "white, blue and red in quick turns for ten seconds, trilling: this is the station that was asked for"
        ),
        CueName.SELF_TEST: say("red, yellow, blue, white, a rising tone each: every lamp and the beeper are tried"),
        CueName.AIM: say("white, beeps that quicken: the camera is being aimed, nothing is recorded"),
    }
)
"""What each cue tells whoever sees it."""


class Words(NamedTuple):
    """A cue in words, for a page or a sheet; its sound is empty where nobody has to listen for it."""

    light: str
    sound: str
    meaning: str


IN_VIETNAMESE: Mapping[CueName, Words] = MappingProxyType(
    {
        CueName.RECORDED_IN: Words("xanh lá", "một tiếng bíp", "đã ghi nhận: mời vào"),
        CueName.RECORDED_OUT: Words("xanh ngọc, chớp hai lần", "hai tiếng bíp", "đã ghi nhận: lượt ra"),
        CueName.RECORDED_PASS: Words("xanh lá", "một tiếng, cao dần", "đã ghi nhận, cửa dùng cho cả hai chiều"),
        CueName.REPEAT: Words("vàng", "hai tiếng tích ngắn", "vừa ghi nhận rồi, xin đi tiếp"),
        CueName.WRONG_CODE: Words(
            "đỏ", "một tiếng trầm dài", "sai loại mã (mã thanh toán, đường dẫn…): xin đưa thẻ căn cước"
        ),
        CueName.NOT_CURRENT: Words(
            "đỏ và vàng luân phiên", "hai tiếng trầm", "mã đã hết hạn hoặc chưa có hiệu lực: xin đưa giấy tờ khác"
        ),
        CueName.NOT_GENUINE: Words(
            "đỏ, chớp năm lần",
            "năm tiếng trầm nhanh",
            "**mã không thật**, đã bị thu hồi, hoặc là ảnh chụp lại: nhân viên kiểm tra",
        ),
        CueName.DAMAGED: Words(
            "hồng tím, chớp ba lần", "ba tiếng bíp", "đọc chưa trọn: xin đưa lại, gần hơn và giữ yên"
        ),
        CueName.FAULT: Words("đỏ và xanh dương luân phiên", "bốn tiếng trầm", "**chưa** ghi nhận: báo nhân viên"),
        CueName.WAIT: Words("trắng và trắng mờ luân phiên", "", "đang ghi vào thẻ nhớ, xin chờ đèn trả lời"),
        CueName.READY: Words("trắng mờ", "", "sẵn sàng"),
        CueName.OFFLINE: Words(
            "trắng mờ, chớp vàng mỗi hai giây",
            "",
            "sẵn sàng; mất liên lạc với trung tâm, các lượt được giữ trên thẻ nhớ và gửi sau",
        ),
        CueName.FAULT_STANDING: Words(
            "đỏ và xanh dương luân phiên, chậm",
            "",
            "trạm **không ghi được**: thẻ nhớ hoặc khóa của cơ quan; xem su-co.md",
        ),
        CueName.UNPROVISIONED: Words("xanh dương, chớp chậm", "", "trạm chưa được thiết lập: chờ mã cấp phát"),
        CueName.CODE_TAKEN: Words("xanh dương", "ba tiếng bíp dồn dần", "đã nhận mã cấp phát, chờ một chút"),
        CueName.SET_UP: Words("xanh lá và xanh dương luân phiên", "bốn tiếng bíp", "đã thiết lập xong"),
        CueName.PROVISIONING_ERROR: Words(
            "đỏ, rồi chớp đỏ",
            "một tiếng trầm dài, rồi các tiếng ngắn",
            "chưa thiết lập được: đếm các tiếng **ngắn**, xem cap-phat.md",
        ),
        CueName.IDENTIFY: Words(
            "trắng, xanh dương, đỏ nháy nhanh, 10 giây", "rền liên tục", "trung tâm đang hỏi: đây là trạm nào"
        ),
        CueName.SELF_TEST: Words(
            "đỏ, vàng, xanh dương, trắng lần lượt", "mỗi đèn một tiếng, cao dần", "trung tâm đang thử đèn và còi"
        ),
        CueName.AIM: Words(
            "trắng, sáng dần", "tiếng bíp càng tốt càng nhanh", "đang ngắm camera (`kiosk aim`): không ghi lượt nào"
        ),
    }
)
"""The same for technicians and citizens in Vietnam, whose one word for green and blue never stands alone."""

_RECORDED = {
    Direction.IN: CueName.RECORDED_IN,
    Direction.OUT: CueName.RECORDED_OUT,
    Direction.PASS: CueName.RECORDED_PASS,
}
RECEIPTS = frozenset(_RECORDED.values())
"""The answers that say that an entry is on the disk."""
ERRANDS = frozenset({CueName.IDENTIFY, CueName.SELF_TEST})
"""What the centre asks for waits until the people at the door have been answered."""
MOST_RECEIPTS = 8
"""How many may wait to be shown: as many people at once as one camera sees. One more is recorded and not shown: its green would come when somebody
else stands there."""
_REFUSED = {
    RefusedReason.DAMAGED: CueName.DAMAGED,
    RefusedReason.NOT_CURRENT: CueName.NOT_CURRENT,
    RefusedReason.NOT_GENUINE: CueName.NOT_GENUINE,
}


def provisioning_error(number: int) -> Cue:
    """Why the station was not set up, to be counted.

    Args:
        number: 1 to 9, as `kiosk.envelopes.provisioning_code` names them.
    """
    counted = _pulses(RED, (880,) * number, 250, 350)
    return Cue(CueName.PROVISIONING_ERROR, (Step(RED, 330, 700), Step(DARK, 0, 700), *counted))


def cue_for(decision: Decision, direction: Direction) -> Cue:
    """The answer to a decision at a lane of this direction."""
    match decision:
        case Recorded():
            return CUES[_RECORDED[direction]]
        case Repeat():
            return CUES[CueName.REPEAT]
        case _:
            return CUES[_REFUSED.get(decision.reason, CueName.WRONG_CODE)]


def levels_of(rgb: Rgb, colours: tuple[str, ...]) -> dict[str, int]:
    """How bright each LED shines for this colour, 0 to 255.

    Args:
        rgb: The colour.
        colours: The LEDs there are, of "red", "green", "blue", "yellow". A yellow LED takes over what red and green would
            mix; without a blue one, pure blue is shown by red and green together.
    """
    red, green, blue = rgb
    levels = {"red": red, "green": green, "blue": blue, "yellow": 0}
    if "yellow" in colours and red and green and not blue:
        levels = {"red": 0, "green": 0, "blue": 0, "yellow": max(red, green)}
    elif "blue" not in colours and blue and not red and not green:
        levels |= {"red": blue, "green": blue}
    return {colour: levels[colour] for colour in colours}


def in_turn(playing: Cue | None, waiting: tuple[Cue, ...], newest: tuple[Cue, ...]) -> tuple[bool, tuple[Cue, ...]]:
    """What a panel plays next, when new answers come: a receipt comes first and is shown whole, whatever is beside it.

    Any other answer belongs to whoever stands there now, so the newest replace those before; what the centre asks for comes last.

    Args:
        playing: What plays now; None for a standing cue, or nothing.
        waiting: What was to follow it.
        newest: The new answers, of one frame.

    Returns:
        Whether what plays is broken off, and what is played next, in order.
    """
    if not newest:
        return False, waiting
    receipts = [cue for cue in (*waiting, *newest) if cue.name in RECEIPTS]
    errands = {cue.name: cue for cue in (*waiting, *newest) if cue.name in ERRANDS}
    others = [cue for cue in newest if cue.name not in RECEIPTS | ERRANDS]
    broken_off = playing is not None and playing.name not in RECEIPTS
    return broken_off, (*receipts[:MOST_RECEIPTS], *others, *errands.values())


def volume_percent_at(sound: Sound, minute_of_day: int | None) -> int:
    """How loud at this time.

    Args:
        sound: The settings.
        minute_of_day: Local time, 0 to 1439; None while nobody has told it: then as by day, for an answer must be heard.
    """
    if minute_of_day is None:
        return sound.volume_percent
    start, end = _minutes(sound.quiet_from), _minutes(sound.quiet_to)
    inside = start <= minute_of_day < end if start <= end else not end <= minute_of_day < start
    return sound.quiet_volume_percent if inside else sound.volume_percent


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
