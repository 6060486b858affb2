"""Every camera keeps the same promises: real ones on stand-ins for their drivers, recorded ones, the simulated door."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from packaging.requirements import Requirement

from kiosk.camera import PiCamera, V4l2Camera
from kiosk.config import Camera as Settings
from kiosk.config import Lane
from kiosk.errors import CameraEndedError, CameraError, CameraStalledError
from kiosk.lens.frame import Camera, warnings_of
from kiosk.service import checkup
from kiosk.sim import opening
from kiosk.sim.door import PatientDoor, SimulatedDoor

WIDTH_PX, HEIGHT_PX = 640, 480


class FakeRequest:
    """A request as picamera2 hands it out: YUV420 in two sizes with padded rows, and what its own metadata tell."""

    def __init__(self, camera: FakePicamera2, boot_ns: int, exposure_us: int) -> None:
        self._camera = camera
        self._boot_ns = boot_ns
        self._exposure_us = exposure_us

    def get_metadata(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"SensorTimestamp": self._boot_ns}
        if self._camera.tells:
            facts |= {"ExposureTime": self._exposure_us, "LensPosition": 4.5}
        return facts

    def make_array(self, name: str) -> np.ndarray[Any, Any]:
        width_px, height_px = self._camera.configured[name]["size"]
        planes = np.full((height_px * 3 // 2, width_px + self._camera.padding_px), 200, np.uint8)
        planes[:height_px, :width_px] = {"main": 17, "lores": 18}[name]
        return planes

    def release(self) -> None:
        self._camera.released.append(self._boot_ns)
        self._camera.requeue()


class FakeJob:
    """A job that is done at once, or never."""

    def __init__(self, request: FakeRequest | None) -> None:
        self._request = request

    def get_result(self, timeout: float | None = None) -> FakeRequest:
        assert timeout is not None, "a wait without an end"
        if self._request is None:
            time.sleep(min(timeout, 0.2))
            raise TimeoutError
        return self._request


class FakePicamera2:
    """As much of picamera2 as a kiosk uses. `script` says when each request was exposed; None hangs.

    Controls that are set go with the next buffer that is given back, behind those that wait, and then need some frames more
    in the sensor, as in the real one. The sensor exposes whole rows, so it never does quite what it was asked for.
    """

    cameras: list[dict[str, object]] = [{"Num": 0}]  # noqa: RUF012  as picamera2 has it
    instances: list[FakePicamera2] = []  # noqa: RUF012
    script: Callable[[int], int | None] = staticmethod(lambda number: number + 1)
    controls: tuple[str, ...] = ("AfMode", "AfSpeed", "AfMetering", "AfWindows", "ScalerCrop")
    properties: dict[str, object] = {"PixelArraySize": (4608, 2592)}  # noqa: RUF012
    memory_mb = 64
    _raw_modes: list[dict[str, object]] = [  # noqa: RUF012  those of an IMX708; what is listed allocates nothing
        {"format": "SBGGR10_CSI2P", "size": size} for size in ((1536, 864), (2304, 1296), (4608, 2592))
    ]
    hangs_on_close = False
    tells = True
    padding_px = 64
    sensor_frames = 3
    recycled_frames = 0

    def __init__(self, number: int) -> None:
        self.number = number
        self.released: list[int] = []
        self.configured: dict[str, Any] = {}
        self.set_later: dict[str, Any] = {}
        self.closed = False
        self.camera_controls = dict.fromkeys(self.controls)
        self.camera_properties = self.properties
        self._pending: dict[str, Any] = {}
        self._requests = 0
        self.instances.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict[str, object]]:
        return cls.cameras

    @property
    def sensor_modes(self) -> list[dict[str, object]]:
        """As in the real one: each mode is configured, with its raw buffers."""
        for mode in self._raw_modes:
            self.configure({"main": {"size": (640, 480)}, "raw": mode, "buffer_count": 4})
        return []

    def create_video_configuration(self, **configuration: object) -> dict[str, object]:
        return {"raw": {"size": (2304, 1296)}} | configuration

    def configure(self, configuration: dict[str, Any]) -> None:
        """Take the buffers from the board's memory: YUV420 has 1.5 bytes a pixel, packed raw 1.25.

        libcamera reads the sensor into four raw buffers of its own, or two beside those that were asked for.
        """
        mode_px = (configuration.get("sensor") or {}).get("output_size", (2304, 1296))
        raw = configuration.get("raw")
        count = configuration["buffer_count"]
        streams = [(configuration[name]["size"], 1.5 * count) for name in ("main", "lores") if name in configuration]
        streams.append((raw["size"], 1.25 * (count + 2)) if raw else (mode_px, 1.25 * 4))
        if sum(width * height * each for (width, height), each in streams) > self.memory_mb * 2**20:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        self.configured = configuration
        if "ScalerCrops" in self.camera_controls:
            self.set_controls({"ScalerCrops": [(0, 0, 4608, 2592)] * 2})

    def stream_configuration(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.configured[name]
        return found

    def start(self) -> None:
        if self.number == 7:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        first_us = self.configured["controls"].get("ExposureTime", 10_000)
        self._queued: deque[dict[str, Any]] = deque({} for _ in range(self.configured["buffer_count"]))
        self._in_sensor_us: deque[int] = deque([first_us] * self.sensor_frames)

    def set_controls(self, controls: dict[str, Any]) -> None:
        self._pending |= controls
        self.set_later |= controls

    def capture_request(self, *, wait: bool) -> FakeJob:
        assert wait is False
        boot_ns = type(self).script(self._requests)
        self._requests += 1
        if boot_ns is None:
            return FakeJob(None)
        for _ in range(self.recycled_frames):
            self._expose()
            self.requeue()
        return FakeJob(FakeRequest(self, boot_ns, self._expose()))

    def requeue(self) -> None:
        self._queued.append(self._pending)
        self._pending = {}

    def _expose(self) -> int:
        asked_us: int = self._queued.popleft().get("ExposureTime", self._in_sensor_us[-1])
        self._in_sensor_us.append(asked_us)
        return self._in_sensor_us.popleft() // 19 * 19

    def stop(self) -> None:
        if self.hangs_on_close:
            time.sleep(60)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    """A stand-in for the picamera2 module."""
    fake = type("Fake", (FakePicamera2,), {"instances": []})
    module = ModuleType("picamera2")
    module.Picamera2 = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return fake


class FakeCapture:
    """As much of cv2.VideoCapture as a kiosk uses."""

    interval_s = 0.005
    opens = True

    def __init__(self, _device: object, _backend: int = 0) -> None:
        self.settings: dict[int, float] = {}
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return self.opens

    def set(self, name: int, value: float) -> None:
        self.settings[name] = value

    def get(self, name: int) -> float:
        return self.settings.get(name, 0.0)

    def read(self) -> tuple[bool, np.ndarray[Any, Any]]:
        time.sleep(self.interval_s)
        return True, np.full((HEIGHT_PX, WIDTH_PX, 3), 17, np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    """A stand-in for OpenCV's V4L2 capture."""
    fake = type("Fake", (FakeCapture,), {})
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    return fake


def _settings(**changes: object) -> Settings:
    return Settings.model_validate({"width_px": WIDTH_PX, "height_px": HEIGHT_PX, **changes})


def _folder(tmp_path: Path) -> str:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((HEIGHT_PX, WIDTH_PX), 17, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return f"folder:{tmp_path}"


def _video(tmp_path: Path) -> str:
    path = str(tmp_path / "door.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (WIDTH_PX, HEIGHT_PX))
    for _ in range(4):
        writer.write(np.full((HEIGHT_PX, WIDTH_PX, 3), 17, np.uint8))
    writer.release()
    return f"video:{path}"


@pytest.fixture(params=["picamera2", "v4l2", "folder", "video", "sim", "patient"])
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Camera]:
    """Each camera in turn, opened from its source."""
    match request.param:
        case "picamera2":
            request.getfixturevalue("picamera2")
            source = "picamera2:0"
        case "v4l2":
            request.getfixturevalue("capture")
            source = "v4l2:/dev/video0"
        case "folder":
            source = _folder(tmp_path)
        case "video":
            source = _video(tmp_path)
        case _:
            source = "sim:seed=3,people=1"
    patient = PatientDoor(WIDTH_PX, HEIGHT_PX, seed=3, people=1) if request.param == "patient" else None
    camera = patient or opening.open_camera(_settings(source=source))
    yield camera
    camera.close()
    camera.close()


def test_time_moves_forward(camera: Camera) -> None:
    """A later frame was exposed later, whatever the wall clock did."""
    times_ns = [camera.next_frame(2.0).exposed_at_boot_ns for _ in range(4)]
    assert times_ns == sorted(set(times_ns))


def test_frame_is_grey_and_the_callers_own(camera: Camera) -> None:
    """Height by width, uint8, contiguous; writing into it does not change the next one."""
    frame = camera.next_frame(2.0)
    assert frame.luma.shape == (HEIGHT_PX, WIDTH_PX)
    assert frame.luma.dtype == np.uint8
    assert frame.luma.flags.c_contiguous
    frame.luma[:] = 99
    assert not (camera.next_frame(2.0).luma == 99).all()


@pytest.mark.parametrize("kind", ["folder", "video", "sim"])
def test_recorded_source_ends(kind: str, tmp_path: Path) -> None:
    """A folder, a video and the simulated door end with a word of their own, which is no failure."""
    source = {"folder": _folder, "video": _video}.get(kind, lambda _path: "sim:people=0")(tmp_path)
    camera = opening.open_camera(_settings(source=source, fps=120))
    with pytest.raises(CameraEndedError) as caught:
        for _ in range(200):
            camera.next_frame(1.0)
    assert caught.value.exit_code == 0
    camera.close()


@pytest.mark.parametrize("padding_px", [0, 64])
def test_pi_camera_gives_the_luma_planes_alone(picamera2: type[FakePicamera2], padding_px: int) -> None:
    """Padding and chroma stay behind in both sizes, every buffer goes back, and the frame tells how it was taken."""
    picamera2.padding_px = padding_px
    camera = PiCamera(0, _settings(small_width_px=320, exposure_us=8000))
    frame = camera.next_frame(1.0)
    assert (frame.luma == 17).all()
    assert frame.small is not None
    assert (frame.small == 18).all()
    assert (frame.luma.shape, frame.small.shape) == ((HEIGHT_PX, WIDTH_PX), (240, 320))
    assert frame.luma.flags.c_contiguous
    assert frame.small.flags.c_contiguous
    assert (frame.exposure_us, frame.lens_dioptres) == (7999, 4.5)
    fake = picamera2.instances[0]
    assert fake.released == [1]
    assert fake.configured["main"] == {"size": (WIDTH_PX, HEIGHT_PX), "format": "YUV420"}
    assert fake.configured["lores"] == {"size": (320, 240), "format": "YUV420"}
    camera.close()
    assert fake.closed


@pytest.mark.parametrize("small_width_px", [0, WIDTH_PX])
def test_pi_camera_without_a_small_stream(picamera2: type[FakePicamera2], small_width_px: int) -> None:
    """None is asked for where there is none, or where it would not be smaller; what the camera does not say is None."""
    picamera2.tells = False
    camera = PiCamera(0, _settings(small_width_px=small_width_px))
    frame = camera.next_frame(1.0)
    assert (frame.small, frame.exposure_us, frame.lens_dioptres) == (None, None, None)
    assert "lores" not in picamera2.instances[0].configured
    camera.close()


def test_pi_camera_takes_the_size_that_it_gets(picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    """libcamera may round a size; the frame is what came, without padding."""

    def rounded(self: FakePicamera2, configuration: dict[str, Any]) -> None:
        self.configured = configuration | {"lores": configuration["lores"] | {"size": (256, 192)}}

    monkeypatch.setattr(picamera2, "configure", rounded)
    camera = PiCamera(0, _settings(small_width_px=322))
    small = camera.next_frame(1.0).small
    assert small is not None
    assert small.shape == (192, 256)
    camera.close()


@pytest.mark.parametrize("recycled_frames", [0, 1])
def test_exposures_alternate_and_each_frame_tells_its_own(picamera2: type[FakePicamera2], recycled_frames: int) -> None:
    """Once the first request has come through the buffers and the sensor, every other frame is short, fast reader or slow."""
    picamera2.recycled_frames = recycled_frames
    camera = PiCamera(0, _settings(exposure_us=16_000, alternate_exposure_us=2_000, gain=2.0))
    exposures_us = [camera.next_frame(1.0).exposure_us for _ in range(24)]
    camera.close()
    assert exposures_us[0] == 15_998
    assert set(exposures_us) == {15_998, 1_995}
    settled = exposures_us[10:]
    assert all(first != second for first, second in pairwise(settled))
    assert picamera2.instances[0].configured["controls"]["AeEnable"] is False


def test_steady_exposure_is_left_alone(picamera2: type[FakePicamera2]) -> None:
    """Without a second exposure no control is touched while the camera runs."""
    camera = PiCamera(0, _settings(exposure_us=16_000))
    for _ in range(3):
        camera.next_frame(1.0)
    camera.close()
    assert picamera2.instances[0].set_later == {}


def test_dropped_frames_are_no_stall(picamera2: type[FakePicamera2]) -> None:
    """A gap in the times, as when the board is busy, is a later frame and nothing else."""
    picamera2.script = staticmethod(lambda number: [33, 66, 400, 433][number])
    camera = PiCamera(0, _settings())
    assert [camera.next_frame(1.0).exposed_at_boot_ns for _ in range(4)] == [33, 66, 400, 433]
    camera.close()


def test_capture_that_hangs_in_the_middle_is_left(picamera2: type[FakePicamera2]) -> None:
    """Frames that came are no promise of the next one; the buffers that came have all gone back."""
    picamera2.script = staticmethod(lambda number: [1, 2, None, None][number])
    camera = PiCamera(0, _settings(exposure_us=9000, alternate_exposure_us=2000, gain=1.0))
    camera.next_frame(1.0)
    camera.next_frame(1.0)
    with pytest.raises(CameraStalledError):
        camera.next_frame(0.1)
    assert picamera2.instances[0].released == [1, 2]
    camera.close()


def test_pi_camera_never_gives_a_frame_twice(picamera2: type[FakePicamera2]) -> None:
    """A frame that is no newer than the last is given back and another awaited."""
    picamera2.script = staticmethod(lambda number: [5, 5, 4, 9][number])
    camera = PiCamera(0, _settings())
    assert [camera.next_frame(1.0).exposed_at_boot_ns for _ in range(2)] == [5, 9]
    assert picamera2.instances[0].released == [5, 5, 4, 9]
    camera.close()


def test_pi_camera_that_stalls_is_left(picamera2: type[FakePicamera2]) -> None:
    """No frame within the time is an error that ends the process and names the next step."""
    picamera2.script = staticmethod(lambda _number: None)
    camera = PiCamera(0, _settings())
    with pytest.raises(CameraStalledError, match=r"no frame for 0\.5 s; check the ribbon"):
        camera.next_frame(0.5)
    camera.close()


def test_pi_camera_that_hangs_while_closing_is_left(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline that has locked up does not keep the process."""
    monkeypatch.setattr("kiosk.camera.CLOSE_S", 0.2)
    picamera2.hangs_on_close = True
    camera = PiCamera(0, _settings())
    started_s = time.monotonic()
    camera.close()
    assert time.monotonic() - started_s < 5


@pytest.mark.parametrize(
    ("changes", "controls"),
    [
        ({}, {"AfMode": 2, "AfRange": 2, "AfSpeed": 1}),
        ({"autofocus": "macro", "autofocus_speed": "normal"}, {"AfMode": 2, "AfRange": 1, "AfSpeed": 0}),
        ({"autofocus": "manual", "lens_dioptres": 4.0}, {"AfMode": 0, "LensPosition": 4.0}),
        ({"autofocus": "off"}, {}),
        ({"autofocus": "off", "exposure_us": 4000}, {"ExposureTime": 4000}),
        ({"autofocus": "off", "gain": 3.0}, {"AnalogueGain": 3.0}),
        (
            {"autofocus": "off", "exposure_us": 4000, "gain": 2.0},
            {"AeEnable": False, "ExposureTime": 4000, "AnalogueGain": 2.0},
        ),
        ({"autofocus": "off", "region": [0.25, 0.5, 0.5, 0.25]}, {"ScalerCrop": (1152, 1296, 2304, 648)}),
        (
            {"region": [0.25, 0.5, 0.5, 0.25]},
            {
                "ScalerCrop": (1152, 1296, 2304, 648), "AfMode": 2, "AfRange": 2, "AfSpeed": 1,
                "AfMetering": 1, "AfWindows": [(1152, 1296, 2304, 648)],
            },
        ),
    ],
)  # fmt: skip
def test_pi_camera_is_set_as_configured(
    picamera2: type[FakePicamera2], changes: dict[str, object], controls: dict[str, object]
) -> None:
    """Focus, exposure and region reach libcamera in its own words; what is not given stays automatic."""
    PiCamera(0, _settings(**changes)).close()
    expected = {"FrameDurationLimits": (33333, 33333), **controls}
    assert picamera2.instances[0].configured["controls"] == expected


def test_module_without_a_focus_motor_is_not_asked_to_focus(picamera2: type[FakePicamera2]) -> None:
    """The default settings work with any module, and with one whose motor knows no speeds and windows."""
    picamera2.controls = ("ScalerCrop",)
    PiCamera(0, _settings()).close()
    assert set(picamera2.instances[0].configured["controls"]) == {"FrameDurationLimits"}
    picamera2.controls = ("ScalerCrop", "AfMode")
    PiCamera(0, _settings(region=[0.0, 0.0, 0.5, 0.5])).close()
    controls = picamera2.instances[1].configured["controls"]
    assert set(controls) == {"FrameDurationLimits", "ScalerCrop", "AfMode", "AfRange"}


def test_region_has_the_sensors_own_pixels(picamera2: type[FakePicamera2]) -> None:
    """For a small region the sensor is read in full; crops for each stream are set behind picamera2's own."""
    picamera2.controls = (*picamera2.controls, "ScalerCrops")
    region = [0.25, 0.25, 1280 / 4608, 720 / 2592]
    camera = PiCamera(0, _settings(width_px=1280, height_px=720, region=region, fps=14))
    fake = picamera2.instances[0]
    assert fake.configured["sensor"] == {"output_size": (4608, 2592), "bit_depth": 10}
    assert fake.set_later == {"ScalerCrops": [(1152, 648, 1280, 720)] * 2}
    assert camera.warnings == ()
    camera.close()
    PiCamera(0, _settings()).close()
    assert "sensor" not in picamera2.instances[1].configured
    assert picamera2.instances[1].set_later == {"ScalerCrops": [(0, 0, 4608, 2592)] * 2}


SMALL_REGION = {
    "region": [0.361, 0.361, 0.278, 0.278],
    "width_px": 1280,
    "height_px": 720,
    "small_width_px": 640,
    "fps": 14,
}


def test_region_starts_in_the_memory_of_our_card(picamera2: type[FakePicamera2]) -> None:
    """64 MB: listing the modes allocates nothing, the sensor's largest mode brings no raw buffers along."""
    camera = PiCamera(0, _settings(**SMALL_REGION))
    assert camera.next_frame(1.0).luma.shape == (720, 1280)
    camera.close()
    fake = picamera2.instances[0]
    assert fake.configured["sensor"]["output_size"] == (4608, 2592)
    assert fake.configured["raw"] is None
    assert camera.warnings == ()
    with pytest.raises(OSError, match="allocate"):
        _ = fake.sensor_modes


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("Failed to start camera: Cannot allocate memory"),
        RuntimeError("Camera did not start properly."),
    ],
)
@pytest.mark.parametrize("step", ["configure", "start"])
def test_region_that_does_not_start_is_the_whole_view(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch, step: str, refusal: Exception
) -> None:
    """A door that reads larger codes, with a warning in doctor, instead of one that is dead for ever."""
    real = getattr(picamera2, step)

    def short_of_memory(self: FakePicamera2, *arguments: dict[str, Any]) -> None:
        if (arguments[0] if arguments else self.configured).get("sensor"):
            raise refusal
        real(self, *arguments)

    monkeypatch.setattr(picamera2, step, short_of_memory)
    lane = Lane.model_validate({"camera": SMALL_REGION, "lamp": {"when": "always"}, "panel": {"kind": "mock"}})
    camera = opening.open_lit_camera(lane)
    assert camera.next_frame(1.0).luma.shape == (720, 1280)
    camera.close()
    (warning,) = warnings_of(camera)
    assert (
        f"`camera.region` is not used, the whole view is shown: the camera does not start with it ({refusal})"
        in warning
    )
    assert ("dtoverlay=cma" if "memory" in str(refusal) else "set it to [0.0, 0.0, 1.0, 1.0]") in warning
    first, second = picamera2.instances
    assert first.closed
    assert "ScalerCrop" not in second.configured["controls"]
    found, says = checkup._camera(lane)
    assert (found, warning in says) == (checkup.Health.WARNING, True)


def test_whole_view_without_memory_is_named(picamera2: type[FakePicamera2]) -> None:
    """Nothing is left to fall back to: the sentence says what to give."""
    picamera2.memory_mb = 1
    for settings in ({}, SMALL_REGION):
        with pytest.raises(CameraError, match=r"does not start: .*Cannot allocate memory; give the camera more memory"):
            PiCamera(0, _settings(**settings))
    assert all(fake.closed for fake in picamera2.instances)


def test_doctor_says_what_the_sensor_cannot_give(picamera2: type[FakePicamera2]) -> None:
    """`kiosk doctor`: the sizes that came, then each thing that the settings cannot get, with its remedy."""
    assert picamera2
    settings = {"region": [0.4, 0.4, 0.1, 0.1], "width_px": 1280, "height_px": 720}
    found, says = checkup._camera(Lane.model_validate({"camera": settings}))
    assert found is checkup.Health.WARNING
    assert says.startswith("1280 x 720 px, small 640 x 360 px, brightness 17 of 255")
    assert (
        "; `camera.region` has 461 sensor pixels across, enlarged to 1280, which reads no smaller code; "
        "set width_px: 460, height_px: 258, or a larger region"
    ) in says
    assert "frames a second" in says


def test_camera_that_is_not_there_is_named(picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    """No camera, one in use, no picamera2, no number: each its own sentence, none waits."""
    with pytest.raises(CameraError, match="there is no camera 3: 1 found"):
        opening.open_camera(_settings(source="picamera2:3"))
    picamera2.cameras = [{}] * 8
    with pytest.raises(CameraError, match="camera 7 does not start: Failed to acquire"):
        opening.open_camera(_settings(source="picamera2:7"))
    assert picamera2.instances[-1].closed
    with pytest.raises(CameraError, match="names no camera; write picamera2:0"):
        opening.open_camera(_settings(source="picamera2:front"))
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="picamera2 is not installed"):
        opening.open_camera(_settings(source="picamera2:0"))
    with pytest.raises(CameraError, match="no pictures"):
        opening.open_camera(_settings(source="folder:/nowhere"))
    with pytest.raises(CameraError, match="cannot play"):
        opening.open_camera(_settings(source="video:/nowhere"))
    with pytest.raises(CameraError, match="no simulated door"):
        opening.open_camera(_settings(source="sim:speed=9"))


def test_jpeg_encoder_for_another_numpy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian 12's own simplejpeg beside numpy 2: what to install, and the set-up on a Pi installs it."""
    said = (
        "numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject"
    )
    (tmp_path / "picamera2.py").write_text(f"raise ValueError({said!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match=r"size changed.*pip install --force-reinstall 'simplejpeg>=1\.8\.1'"):
        PiCamera(0, _settings())
    (tmp_path / "picamera2.py").write_text("raise RuntimeError('no libcamera here')\n")
    sys.modules.pop("picamera2", None)
    with pytest.raises(CameraError, match=r"no libcamera here; check the ribbon"):
        PiCamera(0, _settings())
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    needed = [Requirement(text) for text in project["project"]["optional-dependencies"]["pi"]]
    (simplejpeg,) = (each for each in needed if each.name == "simplejpeg")
    assert not simplejpeg.specifier.contains("1.8.0")
    assert simplejpeg.specifier.contains("1.8.1")
    assert simplejpeg.marker is not None
    assert simplejpeg.marker.evaluate({"platform_machine": "aarch64"})


def test_driver_that_hangs_while_opening_is_left(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening has an end, too."""
    monkeypatch.setattr("kiosk.camera.OPEN_S", 0.2)
    released = threading.Event()
    monkeypatch.setattr(picamera2, "start", lambda _self: released.wait(30))
    with pytest.raises(CameraError, match="does not answer"):
        PiCamera(0, _settings())
    released.set()


def test_usb_camera_gives_the_newest_frame(capture: type[FakeCapture]) -> None:
    """A slow reader sees few frames, and not old ones."""
    capture.interval_s = 0.002
    camera = V4l2Camera("/dev/video0", _settings(exposure_us=8000))
    camera.next_frame(2.0)
    time.sleep(0.2)
    before_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    camera.next_frame(2.0)
    assert before_ns - camera.next_frame(2.0).exposed_at_boot_ns < 100_000_000
    camera.close()


def test_usb_camera_that_stalls_or_is_not_there_is_left(capture: type[FakeCapture]) -> None:
    """Silence ends the process with a sentence; so does a camera that cannot be opened."""
    capture.interval_s = 1.0
    camera = V4l2Camera("0", _settings())
    with pytest.raises(CameraStalledError):
        camera.next_frame(0.1)
    camera.close()
    capture.opens = False
    with pytest.raises(CameraError, match="cannot open the camera"):
        V4l2Camera("0", _settings())


def test_usb_camera_cuts_the_region_out(capture: type[FakeCapture]) -> None:
    """Where the sensor cannot crop, the frame is cut."""
    assert capture
    camera = V4l2Camera("0", _settings(region=[0.25, 0.5, 0.5, 0.5]))
    assert camera.next_frame(2.0).luma.shape == (HEIGHT_PX // 2, WIDTH_PX // 2)
    camera.close()


def test_camera_says_what_it_cannot_do_about_the_light(
    picamera2: type[FakePicamera2], capture: type[FakeCapture]
) -> None:
    """A Pi camera without the controls, and a USB camera that takes none: of what stands in the file, with a remedy; else nothing."""
    assert capture
    asked = {"exposure_mode": "short", "mains_hz": 50}
    for source in ("picamera2:0", "v4l2:/dev/null"):
        camera = opening.open_camera(_settings(source=source))
        assert warnings_of(camera) == ()
        camera.close()
        camera = opening.open_camera(_settings(source=source, **asked))
        assert [words.split(";")[0] for words in warnings_of(camera)] == [
            "this camera knows no short exposure",
            "this camera cannot go by the mains",
        ]
        camera.close()
    picamera2.controls = (*FakePicamera2.controls, "AeExposureMode", "AeFlickerMode", "AeFlickerPeriod")
    camera = PiCamera(0, _settings(**asked))
    assert camera.warnings == ()
    controls = picamera2.instances[-1].configured["controls"]
    assert (controls["AeExposureMode"], controls["AeFlickerMode"], controls["AeFlickerPeriod"]) == (1, 1, 10_000)
    camera.close()


def test_same_seed_brings_the_same_people() -> None:
    """The simulated door is a fact, not an accident: equal seeds give equal visits and equal pictures."""
    first, second, other = (SimulatedDoor(seed=seed, people=5, realtime=False) for seed in (4, 4, 5))
    assert first.visits == second.visits
    assert first.visits != other.visits
    at_s = first.visits[2].starts_s + 0.6
    assert (first.picture_at(at_s) == second.picture_at(at_s)).all()


def test_simulated_door_in_real_time_skips_what_is_missed() -> None:
    """A slow reader of the door sees fewer frames, as with a real camera."""
    door = SimulatedDoor(320, 240, seed=1, people=1)
    door.next_frame(1.0)
    time.sleep(0.3)
    assert door.next_frame(1.0).exposed_at_boot_ns - door._opened_boot_ns > 250_000_000
    assert [visit.kind for visit in door.shown()] in ([], [door.visits[0].kind])


def test_door_loads_no_stand_in() -> None:
    """What a station with a real camera and a real panel is made of, `kiosk scan` and what it opens, brings no simulation along."""
    program = """
import sys
from kiosk.commands import scan
from kiosk.config import Lane, Sound
from kiosk.errors import CameraError, PanelError
from kiosk.sim import opening
for camera, panel in (("picamera2:0", "gpio"), ("v4l2:/dev/no-camera", "none")):
    lane = Lane.model_validate({"camera": {"source": camera}, "panel": {"kind": panel}, "lamp": {"when": "always"}})
    for device in (lambda: opening.open_lit_camera(lane), lambda: opening.open_panel(lane.panel, Sound())):
        try:
            device().close()
        except (CameraError, PanelError) as error:
            print(error, file=sys.stderr)
print(*sorted(name for name in sys.modules if name.startswith("kiosk.sim.")))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "kiosk.sim.opening\n"), result.stderr
