"""A configuration's wiring as a picture, and its parts as a list: what `kiosk wiring` draws for the person with the iron.

Nothing is kept twice: pins, kinds and lanes are those of the configuration that the station runs with, so a picture cannot say
something else than the software does. Files in config/boards/ are such configurations, to begin with, of stations that have no
name yet.

Units: `_px` pixels of the picture; pins are BCM numbers, header pins count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kiosk.config import Config, Lane

HEADER = {
    2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19, 9: 21, 25: 22, 11: 23, 8: 24, 7: 26,
    5: 29, 6: 31, 12: 32, 13: 33, 19: 35, 16: 36, 26: 37, 20: 38, 21: 40,
}  # fmt: skip
"""Header pin of each BCM number."""
FIXED = {1: "3.3 V", 2: "5 V", 4: "5 V", 17: "3.3 V", 27: "ID", 28: "ID"} | dict.fromkeys(
    (6, 9, 14, 20, 25, 30, 34, 39), "GND"
)

ROW_PX, LEFT_PX, TOP_PX, CHANNEL_PX, PARTS_PX, WIDTH_PX = 24, 110, 70, 14, 560, 900
_INKS = {
    "red": "#c62828", "green": "#2e7d32", "blue": "#1565c0", "yellow": "#f9a825", "buzzer": "#6a1b9a", "lamp": "#ef6c00",
    "GND": "#212121", "3.3 V": "#ad1457",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wire:
    """From the header to a part.

    Attributes:
        header_pin: Where it begins, 1 to 40.
        part: What it goes to, with its lane where there are several.
        between: What is soldered in between; empty for nothing.
        ink: Key of the colour it is drawn in.
    """

    header_pin: int
    part: str
    between: str
    ink: str


@dataclass(frozen=True, slots=True)
class Part:
    """Something to buy.

    Attributes:
        count: How many.
        what: Its name in a shop.
        purpose: What it is for.
    """

    count: int
    what: str
    purpose: str


def wires(config: Config) -> tuple[Wire, ...]:
    """Every wire of this station, ground and 3.3 V last."""
    return tuple(wire for lane in config.lanes for wire in _wires(lane, several=len(config.lanes) > 1))


def _wires(lane: Lane, *, several: bool) -> Iterator[Wire]:
    if lane.panel.kind not in {"gpio", "mock"}:
        return
    suffix = f", {lane.name}" if several else ""
    leds, buzzer = lane.panel.leds, lane.panel.buzzer
    name = "RGB LED, {}" if leds.kind == "rgb" else "{} LED"
    for colour in ("red", "green", "blue", "yellow"):
        pin = getattr(leds, f"{colour}_pin")
        if pin is not None:
            yield Wire(HEADER[pin], name.format(colour) + suffix, "330 Ω", colour)
    if buzzer.kind == "passive":
        yield Wire(HEADER[buzzer.pin], f"piezo buzzer, +{suffix}", "100 Ω", "buzzer")
    elif buzzer.kind == "active":
        yield Wire(HEADER[buzzer.pin], f"active buzzer{suffix}", "1 kΩ to the base of a 2N2222", "buzzer")
    if lane.lamp.when != "never":
        yield Wire(HEADER[lane.lamp.pin], f"lamp{suffix}", "100 Ω to the gate of a MOSFET", "lamp")
    if leds.active_high:
        yield Wire(14, f"cathodes{suffix}", "", "GND")
    else:
        yield Wire(1, f"anodes{suffix}", "", "3.3 V")
    if buzzer.kind != "none":
        yield Wire(6, f"buzzer, −{suffix}", "", "GND")


def parts(config: Config) -> tuple[Part, ...]:
    """What to buy for this station, beside the board, its power supply and its card."""
    found: dict[tuple[str, str], int] = {}

    def need(count: int, what: str, purpose: str) -> None:
        found[what, purpose] = found.get((what, purpose), 0) + count

    for lane in config.lanes:
        kind = lane.camera.source.partition(":")[0]
        if kind == "picamera2":
            need(1, "Raspberry Pi camera module 3, with the board's ribbon cable", "sees the code that is held up")
        elif kind == "v4l2":
            need(1, "USB camera with autofocus, 1280 × 720 or more", "sees the code that is held up")
        if lane.panel.kind in {"gpio", "mock"}:
            _need_panel(lane, need)
    return tuple(Part(count, *key) for key, count in found.items())


def _need_panel(lane: Lane, need: Callable[[int, str, str], None]) -> None:
    leds, buzzer = lane.panel.leds, lane.panel.buzzer
    colours = [colour for colour in ("red", "green", "blue", "yellow") if getattr(leds, f"{colour}_pin") is not None]
    if leds.kind == "rgb":
        common = "cathode" if leds.active_high else "anode"
        need(1, f"RGB LED, 10 mm, diffused, common {common}", "shows the answer")
    else:
        for colour in colours:
            need(1, f"LED, 10 mm, {colour}", "shows the answer")
    need(len(colours), "resistor, 330 Ω", "keeps an LED below the 16 mA of a pin")
    if buzzer.kind == "passive":
        need(1, "passive piezo buzzer, 3 to 5 V", "sounds the answer, in tones")
        need(1, "resistor, 100 Ω", "spares the pin the buzzer's capacitance")
    elif buzzer.kind == "active":
        need(1, "active buzzer, 3.3 V", "sounds the answer, in rhythms")
        need(1, "transistor 2N2222", "gives the buzzer its 30 mA, which a pin cannot")
        need(1, "resistor, 1 kΩ", "drives the transistor's base")
    if lane.lamp.when != "never":
        need(1, "LED lamp, 5 V, diffused, with its own supply", "lights what is held up in the dark")
        need(1, "logic-level MOSFET, such as IRLZ44N", "switches the lamp, which a pin cannot")
        need(1, "resistor, 100 Ω, before the gate", "spares the pin the gate's capacitance")


def diagram(config: Config, title: str) -> str:
    """The header, the parts and every wire between them, as SVG.

    Args:
        config: The configuration.
        title: Over the picture.
    """
    drawn = wires(config)
    top_px = TOP_PX + ROW_PX
    height_px = TOP_PX + ROW_PX * (max(20, len(drawn)) + 2)
    used = {wire.header_pin: wire for wire in drawn}
    body = [*_header(used)]
    ends = [(wire, top_px + number * ROW_PX) for number, wire in enumerate(drawn)]
    upwards = [end for end in ends if end[1] <= _place_px(end[0].header_pin)[1]]
    downwards = [end for end in reversed(ends) if end not in upwards]
    # A channel of its own for each; what goes up turns in order, what goes down in the reverse, so that few cross.
    for number, (wire, end_y_px) in enumerate([*upwards, *downwards]):
        body += _wire(wire, LEFT_PX + 150 + CHANNEL_PX * number, end_y_px)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height_px}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH_PX}" height="{height_px}" fill="#ffffff"/>\n'
        f'<text x="20" y="30" font-size="13" font-weight="bold">{escape(title)}</text>\n'
        '<text x="20" y="50" fill="#555555">Header of the Raspberry Pi, pin 1 at the edge of the board. '
        "Square: GND. Numbers: header pin, BCM.</text>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _place_px(header_pin: int) -> tuple[int, int]:
    return LEFT_PX + (0 if header_pin % 2 else 30), TOP_PX + ROW_PX * ((header_pin + 1) // 2)


def _header(used: dict[int, Wire]) -> Iterator[str]:
    top_px = TOP_PX + ROW_PX // 2
    yield f'<rect x="{LEFT_PX - 15}" y="{top_px}" width="60" height="{ROW_PX * 20}" rx="6" fill="#263238"/>'
    bcm_of = {header_pin: bcm for bcm, header_pin in HEADER.items()}
    for header_pin in range(1, 41):
        x_px, y_px = _place_px(header_pin)
        ink = _INKS[used[header_pin].ink] if header_pin in used else "#90a4ae"
        if FIXED.get(header_pin) == "GND":
            yield f'<rect x="{x_px - 7}" y="{y_px - 7}" width="14" height="14" fill="{ink}" stroke="#ffffff"/>'
        else:
            yield f'<circle cx="{x_px}" cy="{y_px}" r="7" fill="{ink}" stroke="#ffffff"/>'
        name = FIXED.get(header_pin) or f"GPIO {bcm_of[header_pin]}"
        weight = ' font-weight="bold"' if header_pin in used else ' fill="#90a4ae"'
        if header_pin % 2:
            place = f'x="{x_px - 22}" text-anchor="end"'
        elif header_pin in used:
            place = f'x="{x_px + 20}" dy="-3"'
        else:
            place = f'x="{x_px + 20}"'
        yield f'<text {place} y="{y_px + 4}" font-size="11"{weight}>{header_pin} · {name}</text>'


def _wire(wire: Wire, channel_px: int, end_y_px: int) -> Iterator[str]:
    x_px, y_px = _place_px(wire.header_pin)
    # Left pins leave between two rows, so that no wire runs through its neighbour.
    start = f"M{x_px} {y_px} " + (f"L{x_px + 12} {y_px + 12} " if wire.header_pin % 2 else f"L{x_px + 12} {y_px + 6} ")
    ink = _INKS[wire.ink]
    path = f"{start}H{channel_px} V{end_y_px} H{PARTS_PX}"
    yield f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="2.5" stroke-linejoin="round"/>'
    if wire.between:
        yield (f'<rect x="{PARTS_PX - 40}" y="{end_y_px - 6}" width="26" height="12" fill="#fff8e1" stroke="{ink}"/>')
    words = f"{wire.part} ({wire.between})" if wire.between else wire.part
    yield f'<text x="{PARTS_PX + 8}" y="{end_y_px + 4}">{escape(words)}</text>'


def parts_page(boards: Sequence[tuple[str, str, Config]]) -> str:
    """All boards' parts and pictures as a page.

    Args:
        boards: Name, title and configuration of each.
    """
    text = (
        "# Parts and wiring by board\n\nMade by `make docs` from the files in config/boards/. Each says what a board is like: copy one as\n"
        "`kiosk.yaml` onto the drive KIOSK of a station's card ([flashing.md](flashing.md)); without a card image, to `/etc/kiosk/kiosk.yaml`. Who the\n"
        "station is comes with its provisioning code ([provisioning.md](provisioning.md)); without one, add a `kiosk` section. `kiosk wiring` draws the\n"
        "same for any other configuration.\n\n"
        "Every station also needs the board's own power supply, a card of the endurance class (32 GB), and for the Pi 5 its cooler.\n"
    )
    for name, title, config in boards:
        text += f"\n## {name}\n\n{title}\n\n![wiring of {name}](boards/{name}.svg)\n\n| number | part | what it is for |\n|---|---|---|\n"
        text += "".join(f"| {part.count} | {part.what} | {part.purpose} |\n" for part in parts(config))
    return text
