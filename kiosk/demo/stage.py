"""What the demo stands on: the camera that was asked for, and the configuration of a kiosk that exists for it alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import yaml

from kiosk import log
from kiosk.config import Camera as CameraSettings
from kiosk.errors import CameraError, ConfigError
from kiosk.settings import loader
from kiosk.settings.together import kind_of_source
from kiosk.sim import opening
from kiosk.sim.door import PatientDoor

if TYPE_CHECKING:
    import argparse

    from kiosk.config import Config
    from kiosk.lens.frame import Camera

_NAMED = {
    "folder": "name a folder with .png or .jpg files",
    "video": "name a video file",
    "v4l2": "plug the camera in, and see `ls /dev/video*`",
}
REPEAT_S = 86_400.0
"""Who comes again is a repeat, however slow the machine is."""


def opened_camera(arguments: argparse.Namespace) -> Camera:
    """The simulated door, or the camera that was asked for.

    Raises:
        ConfigError: It is none, or cannot be opened.
    """
    source: str | None = arguments.camera
    if source is None:
        return PatientDoor(seed=arguments.seed, people=arguments.people)
    try:
        kind, rest = kind_of_source(source)
        if kind in _NAMED and not (rest.isdigit() or Path(rest).exists()):
            raise CameraError(f"{rest} is not there", hint=_NAMED[kind])
        return opening.open_camera(CameraSettings(source=source))
    except (CameraError, ConfigError) as error:
        hint = error.hint.replace("`camera.source`", "--camera")
        raise ConfigError(f"--camera: {log.printable(error.args[0])}", hint=hint) from error


def written_config(
    folder: Path, arguments: argparse.Namespace, url: str, protocol: str, seal: dict[str, str]
) -> tuple[Config, Path]:
    """The configuration of a kiosk of its own, so that a broker in use is not disturbed; in a folder that is kept, the same again.

    Args:
        folder: Where everything is kept.
        arguments: The command's.
        url: The broker.
        protocol: What it speaks, as in `uplink.protocol`.
        seal: The section `seal`.

    Returns:
        It, and the file that it is in.
    """
    path = folder / "demo.yaml"
    source = arguments.camera or f"sim:seed={arguments.seed},people={arguments.people}"
    values = {
        "kiosk": {"id": _known_id(path) or f"demo-{uuid4().hex[:12]}", "site": "demo"},
        "lanes": [{"camera": {"source": source}, "panel": {"kind": "none"}}],
        "repeat": {"window_s": REPEAT_S},
        "state": {"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
        "uplink": {
            "brokers": [url],
            "protocol": protocol,
            "receipt_timeout_s": 3.0,
            "backoff_max_s": 2.0,
            "keepalive_s": 5,
        },
        "status": {"every_s": 5.0},
        "seal": seal,
    }
    path.write_text(yaml.safe_dump(values), "utf-8")
    return loader.load(path), path


def _known_id(path: Path) -> str | None:
    """Who the kiosk of this folder is, if one was there before."""
    return loader.load(path).kiosk.id if path.exists() else None
