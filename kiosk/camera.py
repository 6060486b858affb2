"""Grey frames from the kiosk's camera.

The scan loop knows one protocol, `Camera`, and one value, `Frame`. A camera that stops delivering is left, not waited
for: Pi camera pipelines lock up after hours of good service [1], so every wait has an end and `CameraStalledError` ends
the process; a fresh one is started. For the same reason closing a camera has an end, too.

Only brightness is read: the luma plane of YUV420, which the Pi's image processor makes for nothing. Colour would be
thrown away by the decoder, and no frame is ever stored or sent.

Names carry their unit: `_px` pixels, `_s` seconds, `_us` microseconds, `_ns` nanoseconds.

Sources:
    [1] github.com/raspberrypi/picamera2, issues 1086, 1090 and 1404.
    [2] picamera2/request.py: YUV420 arrays are (height * 3 / 2, stride); job.py: `get_result` takes a timeout.
    [3] libcamera, controls: SensorTimestamp is CLOCK_BOOTTIME; AfMode 0 manual, 2 continuous; AfRange 1 macro, 2 full.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from kiosk.errors import CameraError, CameraStalledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kiosk import config

CLOSE_S = 3.0
OPEN_S = 15.0
_AF_MANUAL, _AF_CONTINUOUS = 0, 2
_AF_RANGE_MACRO, _AF_RANGE_FULL = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image and the moment it was exposed.

    Attributes:
        luma: Brightness, shape (height_px, width_px), dtype uint8; 0 is black. The frame owns the array.
        exposed_at_boot_ns: Exposure of the first row, counted from boot, so that frames stay in order when the wall
            clock is corrected.
    """

    luma: NDArray[np.uint8]
    exposed_at_boot_ns: int


class Camera(Protocol):
    """The newest frame, on request. Not a queue: a slow decoder sees fewer frames, never older ones. One thread at a time."""

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame exposed after the last one returned.

        Args:
            timeout_s: Longest wait, greater than 0.

        Raises:
            CameraStalledError: Nothing came within `timeout_s`.
            CameraEndedError: A recorded source has shown its last frame.
        """

    def close(self) -> None:
        """Let go of the camera, within a few seconds; harmless when repeated."""


class PiCamera:
    """A Raspberry Pi camera through picamera2."""

    def __init__(self, number: int, settings: config.Camera) -> None:
        """Open and start it.

        Args:
            number: Which camera of the board, from 0.
            settings: Size, rate, focus, exposure and region.

        Raises:
            CameraError: It is not there, is in use, or picamera2 is not installed.
        """
        self._width_px, self._height_px = settings.width_px, settings.height_px
        self._last_boot_ns = 0
        self._camera = _bounded("the camera", OPEN_S, lambda: self._opened(number, settings))

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame exposed after the last one returned."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                request = self._camera.capture_request(wait=False).get_result(timeout=left_s)
            except TimeoutError:
                break
            try:
                exposed_at_boot_ns = int(request.get_metadata()["SensorTimestamp"])
                if exposed_at_boot_ns <= self._last_boot_ns:
                    continue
                rows = request.make_array("main")
                luma = np.array(rows[: self._height_px, : self._width_px], np.uint8)  # a copy: the buffer goes back
            finally:
                request.release()
            self._last_boot_ns = exposed_at_boot_ns
            return Frame(luma, exposed_at_boot_ns)
        raise CameraStalledError(timeout_s)

    def close(self) -> None:
        """Stop it; a pipeline that has locked up is left to die with the process."""
        camera, self._camera = self._camera, None
        if camera is not None:
            with suppress(CameraError):
                _bounded("closing the camera", CLOSE_S, lambda: (camera.stop(), camera.close()))

    def _opened(self, number: int, settings: config.Camera) -> Any:  # noqa: ANN401  picamera2 has no types
        try:
            from picamera2 import Picamera2  # noqa: PLC0415  there only on a Pi
        except ImportError as error:
            raise CameraError(
                "picamera2 is not installed", hint="apt install python3-picamera2, or set `camera.source` to v4l2:…"
            ) from error
        known = Picamera2.global_camera_info()
        if number >= len(known):
            raise CameraError(f"there is no camera {number}: {len(known)} found")
        camera = Picamera2(number)
        try:
            camera.configure(
                camera.create_video_configuration(
                    main={"size": (settings.width_px, settings.height_px), "format": "YUV420"},
                    controls=_controls(settings, camera.camera_controls, camera.camera_properties),
                    buffer_count=4,
                )
            )
            camera.start()
        except (OSError, RuntimeError, ValueError) as error:
            camera.close()
            raise CameraError(f"camera {number} does not start: {error}") from error
        return camera


class V4l2Camera:
    """A USB or V4L2 camera through OpenCV.

    A thread takes frames as they come and keeps the newest: OpenCV's own queue would hand out old ones, and its `read`
    cannot be given a time.
    """

    def __init__(self, device: str, settings: config.Camera) -> None:
        """Open and start it.

        Args:
            device: A path such as /dev/video0, or a number.
            settings: Size, rate, focus and exposure. The region is cut out of the frame.

        Raises:
            CameraError: It is not there or is in use.
        """
        self._region = settings.region
        self._capture = _bounded("the camera", OPEN_S, lambda: _opened_v4l2(device, settings))
        self._newest: Frame | None = None
        self._failed = ""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._take, name="v4l2", daemon=True)
        self._thread.start()

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame that has not been returned."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._newest is not None or self._failed, timeout_s)
            if self._failed:
                raise CameraError(self._failed)
            if not came or self._newest is None:
                raise CameraStalledError(timeout_s)
            frame, self._newest = self._newest, None
            return frame

    def close(self) -> None:
        """Stop the thread; one that hangs in the driver is left to die with the process."""
        self._stopping.set()
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._capture.release()

    def _take(self) -> None:
        while not self._stopping.is_set():
            good, picture = self._capture.read()
            taken_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            with self._changed:
                if good and picture is not None:
                    self._newest = Frame(_luma_of(picture, self._region), taken_boot_ns)
                else:
                    self._failed = "the camera gives no more frames: was it unplugged?"
                self._changed.notify_all()
            if not good:
                return


def open_camera(settings: config.Camera) -> Camera:
    """The camera of a `picamera2:N` or `v4l2:DEVICE` source.

    Raises:
        CameraError: It cannot be opened.
    """
    kind, _, rest = settings.source.partition(":")
    if kind == "picamera2":
        if not rest.isdigit():
            raise CameraError(f"{settings.source!r} names no camera", hint="write picamera2:0")
        return PiCamera(int(rest), settings)
    return V4l2Camera(rest, settings)


def _controls(settings: config.Camera, known: Any, properties: Any) -> dict[str, Any]:  # noqa: ANN401  no types
    """Controls of libcamera for these settings; the focus only where the module has a motor.

    Args:
        settings: Rate, focus, exposure and region.
        known: Controls that the camera has.
        properties: Facts about the sensor.
    """
    frame_us = round(1_000_000 / settings.fps)
    controls: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    if settings.exposure_us:
        controls |= {"AeEnable": False, "ExposureTime": settings.exposure_us, "AnalogueGain": settings.gain or 1.0}
    if "AfMode" in known and settings.autofocus != "off":
        if settings.autofocus == "manual":
            controls |= {"AfMode": _AF_MANUAL, "LensPosition": settings.lens_dioptres}
        else:
            near = settings.autofocus == "macro"
            controls |= {"AfMode": _AF_CONTINUOUS, "AfRange": _AF_RANGE_MACRO if near else _AF_RANGE_FULL}
    if settings.region != (0.0, 0.0, 1.0, 1.0) and "ScalerCrop" in known:
        sensor_width_px, sensor_height_px = properties["PixelArraySize"]
        left, top, width, height = settings.region
        controls["ScalerCrop"] = (
            round(left * sensor_width_px), round(top * sensor_height_px),
            round(width * sensor_width_px), round(height * sensor_height_px),
        )  # fmt: skip
    return controls


def _opened_v4l2(device: str, settings: config.Camera) -> Any:  # noqa: ANN401  OpenCV has no types
    capture = cv2.VideoCapture(int(device) if device.isdigit() else device, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"cannot open the camera {device}", hint="see `ls /dev/video*`, and that no other program uses it"
        )
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width_px)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height_px)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if settings.autofocus != "off":
        capture.set(cv2.CAP_PROP_AUTOFOCUS, float(settings.autofocus != "manual"))
    if settings.exposure_us:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)  # V4L2_EXPOSURE_MANUAL
        capture.set(cv2.CAP_PROP_EXPOSURE, settings.exposure_us / 100)  # V4L2 counts in 100 us
    return capture


def _luma_of(picture: NDArray[Any], region: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    height_px, width_px = grey.shape
    left, top, width, height = region
    rows = slice(round(top * height_px), round((top + height) * height_px))
    columns = slice(round(left * width_px), round((left + width) * width_px))
    return np.ascontiguousarray(grey[rows, columns], np.uint8)


def _bounded(what: str, limit_s: float, work: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever `work` returns
    """Do this on a thread of its own, and do not wait for it longer than that.

    Raises:
        CameraError: It failed, or is not done.
    """
    results: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001  handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="camera", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise CameraError(f"{what} does not answer for {limit_s:.0f} s")
    if errors:
        if isinstance(errors[0], CameraError):
            raise errors[0]
        raise CameraError(f"{what} failed: {errors[0]}") from errors[0]
    return results[0]
