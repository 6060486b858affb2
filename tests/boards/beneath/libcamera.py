"""libcamera as picamera2 sees it, on a board that is not there: its values, its configurations, the memory that it takes, and frames.

Not its image processor. What it takes besides the streams that were asked for is what its pipelines take [1]: when it starts, four buffers of the raw
picture, less those of a raw stream down to two. Failing in that it says what the C++ library's Python says: a RuntimeError with the system's words.

    [1] libcamera, pipeline/rpi: `minBuffers`, `prepareBuffers`; a row of a raw picture is whole 32 bytes, of the image processor's 64.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from types import SimpleNamespace
from typing import Any

RAW_BUFFERS, RAW_BUFFERS_BESIDE = 4, 2
FRAME_S = 0.01


@dataclass(frozen=True)
class Size:
    width: int
    height: int

    def to_tuple(self) -> tuple[int, int]:
        return self.width, self.height


class Rectangle:
    def __init__(self, x: int, y: int, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height

    def to_tuple(self) -> tuple[int, ...]:
        return self.x, self.y, self.width, self.height


class Orientation(Enum):
    Rotate0 = auto()
    Rotate0Mirror = auto()
    Rotate180 = auto()
    Rotate180Mirror = auto()
    Rotate90 = auto()
    Rotate90Mirror = auto()
    Rotate270 = auto()
    Rotate270Mirror = auto()


class Transform:
    def __init__(self, other: Transform | None = None, hflip: int = 0, vflip: int = 0, transpose: int = 0) -> None:
        self.hflip: int = hflip if other is None else other.hflip
        self.vflip: int = vflip if other is None else other.vflip
        self.transpose: int = transpose if other is None else other.transpose

    def __str__(self) -> str:  # picamera2 makes it its `__repr__`, too
        return f"hflip={self.hflip} vflip={self.vflip} transpose={self.transpose}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Transform) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.hflip, self.vflip, self.transpose))


class ColorSpace:
    YcbcrEncoding = SimpleNamespace(Null=0)
    Range = SimpleNamespace(Full=0)

    def __init__(self, other: ColorSpace | str) -> None:
        self.primaries: str = other if isinstance(other, str) else other.primaries
        self.transferFunction = self.primaries

    def __str__(self) -> str:  # as above
        return str(self.primaries)

    Sycc = classmethod(lambda kind: kind("sycc"))
    Smpte170m = classmethod(lambda kind: kind("smpte170m"))
    Rec709 = classmethod(lambda kind: kind("rec709"))
    Raw = classmethod(lambda kind: kind("raw"))


ControlType = Enum("ControlType", "Integer Float Rectangle Size")
StreamRole = Enum("StreamRole", "Raw StillCapture VideoRecording Viewfinder")
_lib = SimpleNamespace(ColorSpace=ColorSpace, Transform=Transform)
_libcamera = _lib


@dataclass(frozen=True)
class ControlId:
    name: str
    type: ControlType = ControlType.Integer


_NAMES = (
    "AeEnable", "AeExposureMode", "AeFlickerMode", "AeFlickerPeriod", "AfMode", "AfRange", "AfSpeed", "AfMetering", "AfWindows", "AnalogueGain",
    "AnalogueGainMode", "ExposureTime", "ExposureTimeMode", "FrameDurationLimits", "LensPosition", "NoiseReductionMode",
)  # fmt: skip
_AREAS = ("ScalerCrop", "ScalerCrops")
controls = SimpleNamespace(
    **{name: ControlId(name) for name in _NAMES},
    **{name: ControlId(name, ControlType.Rectangle) for name in _AREAS},
    draft=SimpleNamespace(NoiseReductionModeEnum=SimpleNamespace(Minimal=0, Fast=1, HighQuality=2)),
)
properties = SimpleNamespace(draft=SimpleNamespace(ColorFilterArrangementEnum=SimpleNamespace(MONO=9)))


@dataclass(frozen=True)
class ControlInfo:
    min: Any = 0
    max: Any = 0
    default: Any = 0


@dataclass(frozen=True)
class PixelFormat:
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass
class StreamFormats:
    modes: dict[str, tuple[tuple[int, int], ...]]

    @property
    def pixel_formats(self) -> list[PixelFormat]:
        return [PixelFormat(name) for name in self.modes]

    def sizes(self, pixel_format: PixelFormat) -> list[Size]:
        return [Size(*size_px) for size_px in self.modes[str(pixel_format)]]


@dataclass(eq=False)
class Stream:
    configuration: StreamConfiguration


@dataclass
class StreamConfiguration:
    formats: StreamFormats
    size: Size = field(default_factory=lambda: Size(0, 0))
    pixel_format: PixelFormat = field(default_factory=lambda: PixelFormat("YUV420"))
    buffer_count: int = 0
    stride: int = 0
    frame_size: int = 0
    color_space: ColorSpace | None = None
    stream: Stream = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.stream = Stream(self)


class SensorConfiguration:
    bit_depth: int = 0
    output_size: Size = Size(0, 0)


class CameraConfiguration:
    Status = Enum("Status", "Valid Adjusted Invalid")

    def __init__(self, streams: list[StreamConfiguration]) -> None:
        self._streams = streams
        self.orientation = Orientation.Rotate0
        self.sensor_config: SensorConfiguration | None = None

    def at(self, index: int) -> StreamConfiguration:
        return self._streams[index]

    def __iter__(self) -> Iterator[StreamConfiguration]:
        return iter(self._streams)

    def validate(self) -> Any:
        for each in self._streams:
            width_px, height_px = each.size.to_tuple()
            if str(each.pixel_format) == "YUV420":
                each.stride = -(-width_px // 64) * 64
                each.frame_size = each.stride * height_px * 3 // 2
            else:
                each.stride = row_bytes(str(each.pixel_format), width_px)
                each.frame_size = each.stride * height_px
        return self.Status.Valid


def row_bytes(pixel_format: str, width_px: int) -> int:
    """Bytes of a row of a raw picture."""
    bits = {"10_CSI2P": 10, "12_CSI2P": 12}.get(pixel_format.partition("SRGGB")[2], 16)
    return -(-width_px * bits // 8 // 32) * 32


class FrameMetadata:
    Status = Enum("Status", "Success Error Cancelled")


class FrameBuffer:
    @dataclass
    class Plane:
        """Where it lies."""

        fd: int = -1
        offset: int = 0
        length: int = 0

    def __init__(self, planes: list[Plane]) -> None:
        self._own = [os.dup(plane.fd) for plane in planes]
        self.planes = planes
        self.metadata = SimpleNamespace(status=FrameMetadata.Status.Success)

    def __del__(self) -> None:
        for descriptor in self._own:
            os.close(descriptor)


class Request:
    Status = Enum("Status", "Pending Complete Cancelled")

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie
        self.status = self.Status.Pending
        self.buffers: dict[Stream, FrameBuffer] = {}
        self.metadata: dict[ControlId, Any] = {}
        self.asked: dict[str, Any] = {}

    def add_buffer(self, stream: Stream, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def set_control(self, control: ControlId, value: Any) -> None:
        self.asked[control.name] = value

    def reuse(self) -> None:
        self.status = self.Status.Pending
        self.asked.clear()


@dataclass(frozen=True)
class Module:
    """A camera module on a board.

    Attributes:
        array_px: The sensor.
        modes: Sizes by raw format, as this board's kernel lists them.
        crops: Whether libcamera is recent enough for ScalerCrops.
        motor: Whether it has one, for focus.
    """

    array_px: tuple[int, int]
    modes: dict[str, tuple[tuple[int, int], ...]]
    crops: bool = True
    motor: bool = True


class Camera:
    """One module; `heap` is where all that it takes comes from."""

    def __init__(self, module: Module, heap: Any, manager: CameraManager) -> None:
        self.id = "/base/soc/i2c0mux/i2c@1/sensor@1a"
        self.configured: list[CameraConfiguration] = []
        self.started_with: dict[str, Any] = {}
        self._exposure_us = 9_998
        self._module, self._heap, self._manager = module, heap, manager
        self._own: list[int] = []
        self._running = threading.Event()
        self.properties = {
            ControlId("Model"): "sensor",
            ControlId("PixelArraySize"): Size(*module.array_px),
            ControlId("ColorFilterArrangement"): 0,
        }
        whole = Rectangle(0, 0, *module.array_px)
        names = [name for name in (*_NAMES, "ScalerCrop") if module.motor or not name.startswith(("Af", "Lens"))]
        names += ["ScalerCrops"] * module.crops
        self.controls = {getattr(controls, name): ControlInfo() for name in names}
        self.controls[controls.FrameDurationLimits] = ControlInfo(1000, 100_000_000, 33_333)
        self.controls[controls.ScalerCrop] = ControlInfo(whole, whole, whole)
        if module.crops:
            self.controls[controls.ScalerCrops] = ControlInfo(whole, whole, [whole, whole])

    def generate_configuration(self, roles: list[StreamRole]) -> CameraConfiguration:
        return CameraConfiguration([StreamConfiguration(StreamFormats(self._module.modes)) for _ in roles])

    def acquire(self) -> None:
        """Nobody else has it."""

    def release(self) -> None:
        self._free()

    def configure(self, configuration: CameraConfiguration) -> int:
        self.configured.append(configuration)
        self._free()
        return 0

    def start(self, asked: dict[ControlId, Any]) -> None:
        self.started_with = {control.name: value for control, value in asked.items()}
        self._exposure_us = self.started_with.get("ExposureTime", self._exposure_us)
        streams = list(self.configured[-1])
        sensor = self.configured[-1].sensor_config
        assert sensor is not None
        raw = next((name for name, sizes in self._module.modes.items() if sensor.output_size.to_tuple() in sizes))
        beside = any(str(each.pixel_format).startswith("S") for each in streams)
        size = row_bytes(raw, sensor.output_size.width) * sensor.output_size.height
        try:
            for _ in range(RAW_BUFFERS_BESIDE if beside else RAW_BUFFERS):
                self._own.append(self._heap.alloc(size))
        except OSError as error:
            self._free()
            raise RuntimeError(f"Failed to start camera: {error.strerror}") from None
        self._running.set()

    def stop(self) -> None:
        self._running.clear()
        self._free()

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def queue_request(self, request: Request) -> None:
        threading.Timer(FRAME_S, self._expose, (request,)).start()

    def _expose(self, request: Request) -> None:
        if not self._running.is_set():
            return
        self._exposure_us = request.asked.get("ExposureTime", self._exposure_us)
        request.metadata = {
            ControlId("SensorTimestamp"): time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            controls.ExposureTime: self._exposure_us,
            controls.LensPosition: 4.5,
        }
        grey = next(self._manager.greys) % 200 + 20
        for stream, buffer in request.buffers.items():
            width_px, rows = stream.configuration.size.to_tuple()
            row = bytes([grey]) * width_px + b"\xff" * (stream.configuration.stride - width_px)
            os.pwrite(buffer.planes[0].fd, row * rows, 0)
        request.status = Request.Status.Complete
        self._manager.completed(request)

    def _free(self) -> None:
        while self._own:
            os.close(self._own.pop())


class CameraManager:
    """The one there is; `fit` puts a module onto the board."""

    _only: CameraManager | None = None

    def __init__(self) -> None:
        self.cameras: list[Camera] = []
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.greys = itertools.count()
        self._ready: list[Request] = []
        self._lock = threading.Lock()

    @classmethod
    def singleton(cls) -> CameraManager:
        cls._only = cls._only or cls()
        return cls._only

    def fit(self, module: Module, heap: Any) -> Camera:
        self.cameras = [Camera(module, heap, self)]
        return self.cameras[0]

    def completed(self, request: Request) -> None:
        with self._lock:
            self._ready.append(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        with self._lock:
            ready, self._ready = self._ready, []
        with suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)
        return ready
