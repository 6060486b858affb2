"""USB cameras: what each kind is asked for, what is told where it gives something else, and which frames are lost.

The stand-in is OpenCV's V4L2 capture as its source has it: a pixel format that the camera has not is replaced without a word, a size takes
effect when both sides are set, a rate becomes the nearest, and with CAP_PROP_CONVERT_RGB off a frame is what the driver sent.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kiosk.camera import V4l2Camera
from kiosk.config import Camera as Settings
from kiosk.config import Lane
from kiosk.errors import CameraError, CameraStalledError
from kiosk.lens.frame import warnings_of
from kiosk.service import checkup
from kiosk.sim import opening

HD, VGA, ODD = (1280, 720), (640, 480), (1024, 576)
TRY_ORDER = ("BGR3", "YU12", "YUYV", "UYVY", "NV12", "MJPG", "Y10 ", "GREY")
Frames = dict[str, dict[tuple[int, int], tuple[float, ...]]]

USB_2: Frames = {"YUYV": {VGA: (30,), HD: (10,)}, "MJPG": {VGA: (30,), HD: (30, 15)}}
ONLY_YUYV: Frames = {"YUYV": {VGA: (30, 15), HD: (10,)}}
ONLY_MJPG: Frames = {"MJPG": {VGA: (30,), HD: (30,)}}
SMALL_YUYV: Frames = {"YUYV": {VGA: (30,)}, "MJPG": {VGA: (30,), HD: (30,), (960, 544): (30, 15)}}
USB_3: Frames = {"YUYV": {VGA: (60,), HD: (30,)}}
GREY: Frames = {"GREY": {VGA: (60,), HD: (25,)}}
FAST: Frames = {"YUYV": {VGA: (60,)}, "MJPG": {VGA: (60,)}}
OTHER_SIZES: Frames = {"YUYV": {ODD: (15,)}, "MJPG": {ODD: (30,)}}


def scene(size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """What stands before the camera: bright to the right, dark above."""
    width_px, height_px = size_px
    across, down = np.linspace(0, 150, width_px), np.linspace(0, 90, height_px)
    return (across[None, :] + down[:, None]).astype(np.uint8)


def as_sent(luma: NDArray[np.uint8], fourcc: str) -> NDArray[Any]:
    """A picture as a driver has it in its buffer, in OpenCV's shape; its colour is grey."""
    grey = np.full_like(luma, 128)
    match fourcc:
        case "MJPG":
            return np.frombuffer(
                cv2.imencode(".jpg", cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR))[1].tobytes(), np.uint8
            ).reshape(1, -1)
        case "YUYV":
            return np.dstack([luma, grey])
        case "UYVY":
            return np.dstack([grey, luma])
        case "YU12" | "NV12":
            return np.vstack([luma, grey[: luma.shape[0] // 2]])
        case "Y10 ":
            return luma.astype(np.uint16) << 2
        case "GREY":
            return luma
        case _:
            return cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR)


@dataclass
class Driver:
    """One camera and how it behaves.

    Attributes:
        has: Rates by pixel format and size.
        reads: What happens at each read: "good", "nothing", "short", "empty", "raises", "hangs"; the last one goes on.
        converts: Whether CAP_PROP_CONVERT_RGB is heeded.
        silent: Properties that cannot be read back.
    """

    has: Frames
    reads: tuple[str, ...] = ("good",)
    converts: bool = True
    silent: frozenset[int] = frozenset()
    asked: list[tuple[int, float]] = field(default_factory=list)


class Capture:
    """cv2.VideoCapture on such a camera."""

    driver: Driver

    def __init__(self, _device: object, _backend: int = 0) -> None:
        self._fourcc = next(name for name in TRY_ORDER if name in self.driver.has)
        self._wanted_px = [640, 480]
        self._sides_set: set[int] = set()
        self._fps = 30.0
        self._raw = False
        self._reads = itertools.chain(self.driver.reads, itertools.repeat(self.driver.reads[-1]))
        self._reset()

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return True

    def set(self, name: int, value: float) -> bool:
        self.driver.asked.append((name, value))
        match name:
            case cv2.CAP_PROP_FOURCC:
                wanted = int(value).to_bytes(4, "little").decode()
                self._fourcc = (
                    wanted if wanted in self.driver.has else next(n for n in TRY_ORDER if n in self.driver.has)
                )
                self._reset()
            case cv2.CAP_PROP_FRAME_WIDTH | cv2.CAP_PROP_FRAME_HEIGHT:
                self._wanted_px[name == cv2.CAP_PROP_FRAME_HEIGHT] = int(value)
                self._sides_set.add(name)
                if len(self._sides_set) == 2:
                    self._sides_set.clear()
                    self._reset()
            case cv2.CAP_PROP_FPS:
                self._fps = value
                self._reset()
            case cv2.CAP_PROP_CONVERT_RGB:
                self._raw = not value and self.driver.converts
        return True

    def get(self, name: int) -> float:
        if name in self.driver.silent:
            return -1.0 if name == cv2.CAP_PROP_FPS else 0.0
        fourcc = cv2.VideoWriter.fourcc(*self._fourcc)
        return {
            cv2.CAP_PROP_FRAME_WIDTH: self._size_px[0], cv2.CAP_PROP_FRAME_HEIGHT: self._size_px[1],
            cv2.CAP_PROP_FPS: self._fps, cv2.CAP_PROP_FOURCC: fourcc,
        }[name]  # fmt: skip

    def read(self) -> tuple[bool, NDArray[Any] | None]:
        time.sleep(0.003)
        luma = scene(self._size_px)
        match next(self._reads):
            case "good":
                return True, as_sent(luma, self._fourcc if self._raw else "BGR3")
            case "short":
                sent = as_sent(luma, self._fourcc).reshape(-1)
                return True, sent[: sent.size // 2 - 1]
            case "empty":
                return True, np.empty((0, 0), np.uint8)
            case "raises":
                raise cv2.error("OpenCV: the driver's")
            case "hangs":
                time.sleep(0.5)
        return False, None

    def release(self) -> None:
        """Nothing is held."""

    def _reset(self) -> None:
        sizes = self.driver.has[self._fourcc]
        self._size_px = min(
            sizes, key=lambda size: abs(size[0] - self._wanted_px[0]) + abs(size[1] - self._wanted_px[1])
        )
        self._fps = min(sizes[self._size_px], key=lambda fps: abs(fps - self._fps))


Opening = Callable[..., V4l2Camera]


@pytest.fixture
def open_camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """A camera over this driver, with these settings."""
    opened: list[V4l2Camera] = []

    def opens(driver: Driver, device: str = "/dev/video0", **settings: object) -> V4l2Camera:
        monkeypatch.setattr(cv2, "VideoCapture", type("Fake", (Capture,), {"driver": driver}))
        opened.append(V4l2Camera(device, Settings.model_validate(settings)))
        return opened[-1]

    yield opens
    for camera in opened:
        camera.close()


@pytest.mark.parametrize(
    ("has", "settings", "fourcc", "warnings"),
    [
        pytest.param(USB_2, {}, "MJPG", [], id="more than USB 2 carries"),
        pytest.param(USB_2, {"width_px": 640, "height_px": 480}, "YUYV", [], id="fits uncompressed"),
        pytest.param(USB_2, {"fps": 10}, "YUYV", [], id="fits at a lower rate"),
        pytest.param(SMALL_YUYV, {"width_px": 960, "height_px": 544, "fps": 15}, "MJPG", [], id="a size in JPEG alone"),
        pytest.param(FAST, {"width_px": 640, "height_px": 480, "fps": 60}, "MJPG", [], id="a rate that does not fit"),
        pytest.param(ONLY_MJPG, {"width_px": 640, "height_px": 480}, "MJPG", [], id="JPEG or nothing"),
        pytest.param(GREY, {"fps": 25}, "GREY", [], id="grey fits"),
        pytest.param(
            ONLY_YUYV, {}, "YUYV",
            ["gives 10 frames a second, not 30; set fps: 10", "sends YUYV and no MJPG, of which USB 2 carries 13"], id="no JPEG",
        ),
        pytest.param(USB_3, {}, "YUYV", ["sends YUYV and no MJPG"], id="fast enough by its own word"),
        pytest.param(
            OTHER_SIZES, {}, "MJPG", ["gives 1024 x 576 px, not 1280 x 720; set width_px: 1024, height_px: 576"], id="another size",
        ),
        pytest.param(
            OTHER_SIZES, {"width_px": 640, "height_px": 480, "fps": 15}, "YUYV", ["gives 1024 x 576 px, not 640 x 480"], id="larger",
        ),
        pytest.param(FAST, {"width_px": 640, "height_px": 480, "fps": 15}, "YUYV", ["gives 60 frames a second, not 15"], id="faster"),
    ],
)  # fmt: skip
def test_what_is_asked_for_and_told(
    open_camera: Opening, has: Frames, settings: dict[str, object], fourcc: str, warnings: list[str]
) -> None:
    """JPEG where it is needed and nowhere else; what was got is read back, and what differs is told with its remedy."""
    camera = open_camera(Driver(has), **settings)
    assert camera._mode.fourcc == fourcc
    assert len(camera.warnings) == len(warnings)
    for part, warning in zip(warnings, camera.warnings, strict=True):
        assert part in warning
    size_px = (camera._mode.width_px, camera._mode.height_px)
    assert camera.next_frame(5.0).luma.shape == size_px[::-1]


def test_format_is_set_before_the_size_and_the_rate_behind_both(open_camera: Opening) -> None:
    """A size hangs on the format and a rate on both: in another order a driver keeps the old one's."""
    driver = Driver(USB_2)
    open_camera(driver)
    names = [name for name, _ in driver.asked]
    order = [cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS]
    assert names[:4] == order
    assert names.count(cv2.CAP_PROP_FOURCC) == 1


@pytest.mark.parametrize("converts", [True, False], ids=["raw", "in colour"])
@pytest.mark.parametrize("fourcc", TRY_ORDER)
def test_brightness_is_that_of_the_scene(open_camera: Opening, fourcc: str, converts: bool) -> None:  # noqa: FBT001
    """In every pixel format, and from a driver that hands out colour whatever it is told; no colour is made where none is needed."""
    driver = Driver({fourcc: {VGA: (30,)}}, converts=converts)
    camera = open_camera(driver, width_px=640, height_px=480, region=[0.5, 0.0, 0.5, 0.5])
    luma = camera.next_frame(5.0).luma
    assert luma.shape == (240, 320)
    assert luma.dtype == np.uint8
    assert luma.flags.c_contiguous
    seen = scene(VGA)[:240, 320:].astype(int)
    assert np.abs(luma - seen).max() <= (5 if fourcc == "MJPG" else 1)
    assert ((cv2.CAP_PROP_CONVERT_RGB, 0) in driver.asked) is (fourcc != "BGR3")


def test_driver_that_says_nothing_is_believed_in_nothing(open_camera: Opening) -> None:
    """Without a word of size, rate and format there is nothing to compare; frames come in colour."""
    silent = frozenset((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FOURCC))
    camera = open_camera(Driver(USB_2, silent=silent))
    assert camera.warnings == ()
    assert camera.next_frame(5.0).luma.shape == (720, 1280)


@pytest.mark.parametrize("bad", ["nothing", "short", "empty", "raises"])
@pytest.mark.parametrize("has", [USB_2, ONLY_YUYV, GREY], ids=["MJPG", "YUYV", "GREY"])
def test_bad_frame_is_a_lost_frame(
    open_camera: Opening, caplog: pytest.LogCaptureFixture, has: Frames, bad: str
) -> None:
    """A broken picture or an exception of the driver's in the middle ends nothing, is never shown, and is told."""
    with caplog.at_level(logging.WARNING):
        camera = open_camera(Driver(has, reads=("good", bad, bad, "good")))
        times_ns = []
        for _ in range(5):
            frame = camera.next_frame(5.0)
            assert np.abs(frame.luma - scene(frame.luma.shape[::-1]).astype(int)).max() <= 5
            times_ns.append(frame.exposed_at_boot_ns)
    assert times_ns == sorted(set(times_ns))
    assert [record.message.split(" ")[:2] for record in caplog.records] == [
        ["frame-lost", "lost=1"],
        ["frame-lost", "lost=2"],
    ]


@pytest.mark.parametrize("bad", ["nothing", "short", "raises", "hangs"])
def test_frames_that_are_all_lost_are_a_stall(open_camera: Opening, caplog: pytest.LogCaptureFixture, bad: str) -> None:
    """No whole frame within the time ends the process, however the driver fails, with few lines in the log and few calls of the driver."""
    camera = open_camera(Driver(USB_2, reads=("good", bad)))
    camera.next_frame(5.0)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(CameraStalledError, match=r"no frame for 0\.4 s; check the ribbon or USB cable"),
    ):
        for _ in range(2):
            camera.next_frame(0.4)
    assert camera._lost <= 40
    assert len(caplog.records) <= 7


def test_camera_that_is_unplugged_is_told_at_once(open_camera: Opening, tmp_path: Path) -> None:
    """Its file in /dev has gone: nobody waits for the time to pass."""
    node = tmp_path / "video0"
    node.touch()
    camera = open_camera(Driver(USB_2, reads=("good", "nothing")), device=str(node))
    camera.next_frame(5.0)
    node.unlink()
    started_s = time.monotonic()
    with pytest.raises(CameraError, match="unplugged"):
        for _ in range(2):
            camera.next_frame(30.0)
    assert time.monotonic() - started_s < 20


def test_doctor_and_log_get_a_usb_cameras_warnings(open_camera: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told as a Pi camera's are, through a lamp, too."""
    camera = open_camera(Driver(OTHER_SIZES))
    lane = Lane.model_validate(
        {"camera": {"source": "v4l2:/dev/video0"}, "lamp": {"when": "always"}, "panel": {"kind": "mock"}}
    )
    lit = opening.open_lit_camera(lane)
    assert warnings_of(lit) == camera.warnings != ()
    lit.close()
    found, says = checkup._camera(lane)
    assert found is checkup.Health.WARNING
    assert camera.warnings[0] in says
    assert monkeypatch
