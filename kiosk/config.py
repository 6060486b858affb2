"""The settings of one kiosk: every key typed, with unit, range and default, checked before anything moves.

One class per section of `kiosk.yaml`; a class body is the documentation from which the commented file
`config/kiosk.yaml` and `docs/configuration.md` are held right by the tests. Types are strict: "5" is not 5.

`kiosk.settings.loader` reads a file into these classes and says what is wrong with file, line, key and remedy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kiosk import forms
from kiosk.errors import ConfigError
from kiosk.model import Direction

if TYPE_CHECKING:
    from collections.abc import Callable


def _formed(fault_of: Callable[[str], forms.Fault | None]) -> AfterValidator:
    """What refuses a text with the words of its form."""

    def checked(text: str) -> str:
        if fault := fault_of(text):
            raise ConfigError(fault[0], hint=fault[1])
        return text

    return AfterValidator(checked)


Id = Annotated[str, _formed(forms.fault_of_id)]
"""Lower-case letters, digits and hyphens, 1 to 64: safe in a topic, a file name and a certificate."""

Pin = Annotated[int, Field(ge=2, le=27)]
"""BCM number of a header pin; 0 and 1 belong to the HAT's identity chip."""

FilePath = Annotated[Path, Field(strict=False)]


class Section(BaseModel):
    """What all sections share: unknown keys refused, no conversions, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Kiosk(Section):
    """Who this station is."""

    id: Id = Field(description="name of this station, unique at the centre")
    site: Id = Field(description="office that it hangs at")


class Camera(Section):
    """Where frames come from and how they are exposed."""

    source: str = Field(
        default="picamera2:0",
        min_length=1,
        description="picamera2:N | v4l2:/dev/videoN | folder:PATH | video:PATH | sim:seed=1,people=20",
    )
    width_px: int = Field(default=1280, ge=320, le=4608, multiple_of=2, description="width of a frame in pixels")
    height_px: int = Field(default=720, ge=240, le=2592, multiple_of=2, description="height of a frame in pixels")
    small_width_px: int = Field(
        default=640,
        ge=0,
        le=1920,
        multiple_of=2,
        description="width in pixels of a second, smaller picture for the quick look; picamera2 only, 0 = none",
    )
    fps: int = Field(default=30, ge=1, le=120, description="frames a second")
    timeout_s: float = Field(default=5.0, ge=0.5, le=60, description="seconds without a frame until the process ends")
    autofocus: Literal["continuous", "macro", "manual", "off"] = Field(
        default="continuous", description='"off", in quotes, leaves the lens alone; not needed without a focus motor'
    )
    lens_dioptres: float = Field(default=5.0, ge=0, le=32, description="focus for `manual`: 1 / distance in metres")
    autofocus_speed: Literal["normal", "fast"] = Field(
        default="fast", description="how quickly the lens moves, for `continuous` and `macro`"
    )
    exposure_mode: Literal["short", "normal"] = Field(
        default="short",
        description="how the automatic exposure grows with the dark: short = first the gain, so that moving codes are sharp",
    )
    mains_hz: Literal[50, 60, 0] = Field(
        default=50,
        description="frequency of the mains that feed the lamps, against bands in the picture; 0 = not looked after",
    )
    exposure_us: int = Field(default=0, ge=0, le=200_000, description="exposure in microseconds, 0 = automatic")
    alternate_exposure_us: int = Field(
        default=0,
        ge=0,
        le=200_000,
        description="exposure of every other frame, as of a screen beside that of paper; picamera2 only, 0 = none",
    )
    gain: float = Field(default=0.0, ge=0, le=64, description="analogue gain, 1 = none, 0 = automatic")
    region: Annotated[tuple[float, float, float, float], Field(strict=False)] = Field(
        default=(0.0, 0.0, 1.0, 1.0),
        description="part of the sensor that fills the frame: left, top, width, height as shares 0 to 1",
    )


class Leds(Section):
    """Pins of the lights; a colour without a pin is mixed from those there are."""

    kind: Literal["rgb", "separate"] = Field(default="rgb", description="one RGB LED, or one LED a colour")
    red_pin: Pin = Field(default=17, description="BCM pin")
    green_pin: Pin = Field(default=27, description="BCM pin")
    blue_pin: Pin | None = Field(default=22, description="BCM pin, null if there is none (separate only)")
    yellow_pin: Pin | None = Field(default=None, description="BCM pin, null if there is none (separate only)")
    active_high: bool = Field(default=True, description="false for LEDs wired to 3.3 V (common anode)")


class Buzzer(Section):
    """The beeper."""

    kind: Literal["passive", "active", "none"] = Field(
        default="passive", description="passive plays tones; active has one tone of its own"
    )
    pin: Pin = Field(default=18, description="BCM pin")
    active_high: bool = Field(default=True, description="false if a low level sounds it")


class Lamp(Section):
    """A light on whatever is held up; its pin is used where `panel.kind` is gpio or mock."""

    when: Literal["never", "always", "dark"] = Field(
        default="never", description="never = there is none; dark = while the picture is dark"
    )
    pin: Pin = Field(default=23, description="BCM pin, of a transistor and not of the lamp itself")
    active_high: bool = Field(default=True, description="false if a low level lights it")
    level_percent: int = Field(
        default=100, ge=1, le=100, description="brightness; below 100 it flickers, which short exposures can see"
    )
    dark_below: int = Field(default=40, ge=0, le=254, description="brightness 0 to 255 of the picture that lights it")
    bright_above: int = Field(default=140, ge=1, le=255, description="brightness 0 to 255 that puts it out again")


class Panel(Section):
    """Lights and sound of one lane."""

    kind: Literal["gpio", "mock", "terminal", "none"] = Field(
        default="gpio", description="gpio = real pins; mock = gpiozero's MockFactory; terminal = drawn as text"
    )
    leds: Leds = Leds()
    buzzer: Buzzer = Buzzer()


class Lane(Section):
    """One door: a camera and a panel."""

    name: Id = Field(default="main", description="name of the door, unique in this kiosk")
    direction: Annotated[Direction, Field(strict=False)] = Field(
        default=Direction.PASS, description="in | out | pass (one door for both ways)"
    )
    camera: Camera = Camera()
    lamp: Lamp = Lamp()
    panel: Panel = Panel()


class Decode(Section):
    """How much is spent on a frame."""

    budget_ms: int = Field(default=60, ge=5, le=2000, description="milliseconds of decoding a frame, at most")


class Repeat(Section):
    """When a code counts as gone, and when it counts again."""

    gone_s: float = Field(default=1.5, ge=0.2, le=30, description="seconds out of sight that end a sighting")
    window_s: float = Field(default=60.0, ge=0, le=86_400, description="seconds in which the same code is a repeat")


class Record(Section):
    """What an entry keeps of the holder; the law asks for the least that serves."""

    keep: Annotated[tuple[forms.PersonPart, ...], Field(strict=False)] = Field(
        default=("number", "name", "birth_year"),
        description="parts of the holder that are kept; with a masked or missing number its qid is, too",
    )


class Seal(Section):
    """Who may ever read the persons in entries: whoever holds the authority's private key of the day."""

    mode: Literal["required", "count", "off"] = Field(
        default="required",
        description='required = nobody is recorded without a key; count = no persons at all; "off", in quotes = readable to all',
    )
    authority_file: FilePath = Field(
        default=Path("/etc/kiosk/authority.pem"),
        description="public key (Ed25519, PEM) that signs the list of keys",
    )
    authority_keys_file: FilePath | None = Field(
        default=None, description="the signed list of keys; null = identity/authority-keys.cose in state.dir"
    )


class LocalCard(Section):
    """A card of the office's own."""

    document: Id = Field(description="name of the card's class")
    pattern: str = Field(
        min_length=3,
        max_length=200,
        description="text with {number} {name} {birth} {qid} {any} in it, as in 'NV|{number}|{name}|{any}'",
    )


class Credentials(Section):
    """Which codes are taken."""

    accept: Annotated[
        tuple[Literal["cccd", "can-cuoc", "national-qr", "bhyt", "hc1", "shc", "nzcp", "pass"], ...],
        Field(strict=False),
    ] = Field(
        default=("cccd", "can-cuoc", "national-qr", "bhyt", "hc1", "pass"),
        description="classes of document that are recorded",
    )
    accept_expired: Annotated[tuple[Literal["hc1", "shc", "nzcp", "pass"], ...], Field(strict=False)] = Field(
        default=("hc1", "shc", "nzcp"),
        description="signed classes that are recorded, with a flag, although they have expired",
    )
    trust_dir: FilePath = Field(
        default=Path("/etc/kiosk/trust"),
        description="folder of the keys that signed codes are verified with, until the centre delivers a list",
    )
    local: Annotated[tuple[LocalCard, ...], Field(strict=False)] = Field(
        default=(), description="cards of the office's own"
    )


class State(Section):
    """Where things are kept."""

    dir: FilePath = Field(default=Path("/var/lib/kiosk"), description="folder of the outbox, on the card")
    runtime_dir: FilePath = Field(default=forms.RUNTIME_DIR, description="folder of progress marks, in memory")


class Trust(Section):
    """Whose signatures this station believes."""

    fleet_key_file: FilePath = Field(
        default=Path("/etc/kiosk/fleet.pem"),
        description="the fleet's public key (Ed25519, PEM); what it signs sets the station up and commands it",
    )
    enrolment: Annotated[str, _formed(forms.fault_of_address)] | None = Field(
        default=None,
        description="host:port of the centre's enrolment, where the certificate is renewed; null = nowhere",
    )


class Provision(Section):
    """How a station is set up anew; the first time it needs no permission."""

    jumper_pin: Pin | None = Field(
        default=None,
        description="BCM pin that, tied to ground, lets any valid code set the station up anew; null = none",
    )


class Outbox(Section):
    """The entries on their way."""

    keep_h: float = Field(default=24.0, ge=24, le=720, description="hours an entry is kept after its receipt")
    max_entries: int = Field(
        default=2_000_000, ge=1_000, le=50_000_000, description="unreceipted entries at which the kiosk stops recording"
    )
    min_free_mb: int = Field(
        default=64, ge=8, le=10_000, description="free megabytes at which the kiosk stops recording"
    )


class Tls(Section):
    """How the broker is trusted and the kiosk proves itself; needed for mqtts:// addresses."""

    ca_file: FilePath | None = Field(default=None, description="certificate authority, PEM; null = the system's")
    cert_file: FilePath | None = Field(default=None, description="the kiosk's certificate, PEM")
    key_file: FilePath | None = Field(default=None, description="the kiosk's private key, PEM")
    least_version: Literal["1.3", "1.2"] = Field(
        default="1.3", description="oldest TLS that is spoken, in quotes; 1.2 is for brokers that cannot do better"
    )
    while_clock_unset: Literal["refuse", "ignore-dates"] = Field(
        default="refuse",
        description="ignore-dates = by all but its dates, until the system or the centre has told the time",
    )


BrokerUrl = Annotated[str, _formed(forms.fault_of_broker)]


class Uplink(Section):
    """The way to the centre."""

    brokers: Annotated[tuple[BrokerUrl, ...], Field(strict=False, min_length=1)] = Field(
        default=("mqtt://127.0.0.1:1883",), description="mqtt://host:1883 or mqtts://host:8883, tried in turn"
    )
    username: str | None = Field(default=None, description="user at the broker; null = none")
    password_file: FilePath | None = Field(default=None, description="file with the password, one line; null = none")
    tls: Tls = Tls()
    protocol: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="auto = MQTT 5, else 3.1.1")
    settle_on: Literal["receipt", "puback"] = Field(
        default="receipt", description="receipt of the centre, or (no centre of ours) the broker's PUBACK"
    )
    keepalive_s: int = Field(default=30, ge=5, le=600, description="seconds between signs of life")
    batch_entries: int = Field(default=200, ge=1, le=500, description="entries a PUBLISH when there is a backlog")
    window_batches: int = Field(default=40, ge=1, le=200, description="PUBLISHes without a receipt, at most")
    compress: bool = Field(default=True, description="batches as zstd frames where that pays, a tenth of the bytes")
    receipt_timeout_s: float = Field(default=30.0, ge=1, le=600, description="seconds without a receipt until resent")
    backoff_max_s: float = Field(default=60.0, ge=1, le=3600, description="longest pause between attempts to connect")


class Status(Section):
    """How often the kiosk says how it is."""

    every_s: float = Field(default=30.0, ge=1, le=3600, description="seconds between status messages")


ClockTime = Annotated[str, _formed(forms.fault_of_time)]


class Clock(Section):
    """By which clock people live at the door."""

    zone: Annotated[str, _formed(forms.fault_of_zone)] = Field(
        default=forms.DEFAULT_ZONE,
        description="time zone of quiet hours, of the window for updates and of printed times, whatever the machine's is",
    )


class Sound(Section):
    """How loud, and when quieter."""

    volume_percent: int = Field(default=80, ge=0, le=100, description="loudness, 0 = silent")
    quiet_from: ClockTime = Field(
        default="21:00", description='local time, "HH:MM" in quotes; no hour is quiet before the time is known'
    )
    quiet_to: ClockTime = Field(default="06:00", description="local time; the same as quiet_from = no quiet hours")
    quiet_volume_percent: int = Field(default=20, ge=0, le=100, description="loudness in quiet hours")


class Update(Section):
    """When a new version comes, and where it is noted."""

    window_from: ClockTime = Field(
        default="01:00", description='local time, "HH:MM" in quotes, from which updates are fetched and installed'
    )
    window_to: ClockTime = Field(default="04:00", description="local time; the same as window_from = at any time")
    dir: FilePath = Field(default=Path("/state/rauc"), description="root's folder, in which an installation is noted")
    version_file: FilePath = Field(
        default=Path("/usr/lib/kiosk/version"), description="file of the image that says its version"
    )


class Log(Section):
    """What is written to stderr; never a code's content or a name."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is written"
    )


class Config(Section):
    """One kiosk's whole configuration."""

    kiosk: Kiosk
    lanes: Annotated[tuple[Lane, ...], Field(strict=False, min_length=1, max_length=8)] = (Lane(),)
    decode: Decode = Decode()
    repeat: Repeat = Repeat()
    record: Record = Record()
    seal: Seal = Seal()
    credentials: Credentials = Credentials()
    state: State = State()
    trust: Trust = Trust()
    provision: Provision = Provision()
    outbox: Outbox = Outbox()
    uplink: Uplink = Uplink()
    status: Status = Status()
    clock: Clock = Clock()
    sound: Sound = Sound()
    update: Update = Update()
    log: Log = Log()
