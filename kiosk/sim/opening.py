"""A lane's camera, lamp and panel as its settings name them, real or not.

The stand-ins keep the promises of the real ones (`kiosk.lens.frame.Camera`, `kiosk.panel.Panel`) and pass the same tests. They are
loaded where they are named: a station with a real camera and a real panel loads none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiosk import camera, gpio
from kiosk.errors import CameraError, PanelError
from kiosk.forms import DEFAULT_ZONE
from kiosk.lens.lamp import LitCamera
from kiosk.panel import CuePlayer

if TYPE_CHECKING:
    from kiosk import config
    from kiosk.clock import Clock
    from kiosk.gpio import Lamp
    from kiosk.lens.frame import Camera
    from kiosk.panel import Panel


def open_camera(settings: config.Camera) -> Camera:
    """The camera of any source, real or not.

    Raises:
        CameraError: It cannot be opened.
    """
    kind, _, rest = settings.source.partition(":")
    match kind:
        case "folder":
            from kiosk.sim.replay import FolderCamera  # noqa: PLC0415  a door loads no stand-in

            return FolderCamera(rest, settings.fps)
        case "video":
            from kiosk.sim.replay import VideoCamera  # noqa: PLC0415  as above

            return VideoCamera(rest)
        case "sim":
            return _simulated(rest, settings)
        case _:
            return camera.open_camera(settings)


def open_lit_camera(lane: config.Lane) -> Camera:
    """A lane's camera with its lamp, if it has one.

    Raises:
        CameraError: The camera cannot be opened.
        PanelError: The lamp's pin cannot be used.
    """
    eye = open_camera(lane.camera)
    if lane.lamp.when == "never" or lane.panel.kind == "none":
        return eye
    try:
        return LitCamera(eye, open_lamp(lane), lane.lamp)
    except PanelError:
        eye.close()
        raise


def open_lamp(lane: config.Lane) -> Lamp:
    """A lane's lamp, on the kind of pins that its panel has.

    Raises:
        PanelError: The pin cannot be used.
    """
    if lane.panel.kind == "terminal":
        from kiosk.sim.terminal import TerminalLamp  # noqa: PLC0415  as above

        return TerminalLamp()
    return gpio.open_lamp(lane.panel.kind, lane.lamp)


def open_panel(
    settings: config.Panel, sound: config.Sound, clock: Clock | None = None, zone: str = DEFAULT_ZONE
) -> Panel:
    """The panel of any kind, on pins or in the terminal.

    Raises:
        PanelError: The pins cannot be used.
    """
    if settings.kind == "terminal":
        from kiosk.sim.terminal import TerminalOutputs  # noqa: PLC0415  as above

        return CuePlayer(TerminalOutputs())
    return gpio.open_panel(settings, sound, clock, zone)


def _simulated(rest: str, settings: config.Camera) -> Camera:
    from kiosk.sim.door import SimulatedDoor  # noqa: PLC0415  as above
    from kiosk.sim.hanging import HangingCamera  # noqa: PLC0415  as above
    from kiosk.sim.shutter import shutter_for  # noqa: PLC0415  as above

    values = {"seed": 1, "people": 20, "hang": 0, **_numbers(rest)}
    size_px = (settings.width_px, settings.height_px)
    door = SimulatedDoor(
        *size_px, settings.fps, seed=values["seed"], people=values["people"], shutter=shutter_for(settings)
    )
    return HangingCamera(door, values["hang"]) if values["hang"] else door


def _numbers(text: str) -> dict[str, int]:
    """`seed=1,people=20` as numbers."""
    try:
        values = {name.strip(): int(value) for name, _, value in (part.partition("=") for part in text.split(","))}
    except ValueError:
        values = {"": 0}
    if not values.keys() <= {"seed", "people", "hang"}:
        raise CameraError(
            f"sim:{text} is no simulated door", hint="write sim:seed=1,people=20, and hang=300 to let it hang then"
        )
    return values
