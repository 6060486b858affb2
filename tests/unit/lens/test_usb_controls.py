"""What a USB camera is asked for beyond OpenCV, and what is said when it refuses."""

from __future__ import annotations

import errno
import fcntl
import struct
from pathlib import Path

import pytest

from kiosk.config import Camera
from kiosk.lens import usb_controls

# linux/v4l2-controls.h: the classes USER and CAMERA begin at 0x980900 and 0x9a0900.
POWER_LINE_FREQUENCY, EXPOSURE_AUTO_PRIORITY = 0x980900 + 24, 0x9A0900 + 3
# linux/videodev2.h: _IOWR('V', 28, struct v4l2_control), which has two numbers of four bytes.
SET_CONTROL = 3 << 30 | 8 << 16 | ord("V") << 8 | 28


class Driver:
    """A camera's driver: takes what it knows, and remembers it."""

    def __init__(self, *knows: int) -> None:
        self.knows = knows
        self.taken: dict[int, int] = {}

    def ioctl(self, _device: int, request: int, argument: bytes) -> bytes:
        assert request == SET_CONTROL
        control, value = struct.unpack("=Ii", argument)
        if control not in self.knows:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.taken[control] = value
        return argument


def _asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: Driver, **settings: object
) -> tuple[dict[int, int], tuple[str, ...]]:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(fcntl, "ioctl", driver.ioctl)
    warnings = usb_controls.asked_of(str(device), Camera.model_validate(settings))
    return driver.taken, warnings


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({}, {POWER_LINE_FREQUENCY: 1, EXPOSURE_AUTO_PRIORITY: 0}),
        ({"mains_hz": 60}, {POWER_LINE_FREQUENCY: 2, EXPOSURE_AUTO_PRIORITY: 0}),
        ({"mains_hz": 0}, {POWER_LINE_FREQUENCY: 0, EXPOSURE_AUTO_PRIORITY: 0}),
        ({"exposure_mode": "normal"}, {POWER_LINE_FREQUENCY: 1}),
        ({"exposure_us": 5000}, {POWER_LINE_FREQUENCY: 1}),
    ],
)
def test_camera_is_asked_for_what_the_settings_wish(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, object], taken: dict[int, int]
) -> None:
    """The mains always, a constant rate where the exposure is automatic and short; what is taken is not spoken of."""
    driver = Driver(POWER_LINE_FREQUENCY, EXPOSURE_AUTO_PRIORITY)
    assert _asked(monkeypatch, tmp_path, driver, **settings) == (taken, ())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"mains_hz": 0, "exposure_mode": "normal"}, []),
        ({"mains_hz": 50}, ["cannot go by the mains", "an `exposure_us` of 10000"]),
        ({"mains_hz": 60}, ["cannot go by the mains", "an `exposure_us` of 8333"]),
        ({"exposure_mode": "short"}, ["knows no short exposure"]),
    ],
)
def test_refusal_is_said_of_what_was_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, object], said: list[str]
) -> None:
    """A default that a camera lacks is nobody's news; a setting that does nothing is."""
    taken, warnings = _asked(monkeypatch, tmp_path, Driver(), **settings)
    assert taken == {}
    assert len(warnings) == bool(said)
    assert all(words in warnings[0] for words in said)


def test_what_is_no_camera_is_asked_in_vain() -> None:
    """A file that takes no controls, and none at all: the answer is the same, and no error."""
    settings = Camera(mains_hz=50)
    for path in ("/dev/null", "/nowhere"):
        (warning,) = usb_controls.asked_of(path, settings)
        assert "cannot go by the mains" in warning
