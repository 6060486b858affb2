"""Grey frames from the kiosk's camera.

The scan loop knows one protocol, `Camera`, and one value, `Frame` (both in `kiosk.lens.frame`). A camera that stops delivering is left, not waited
for: Pi camera pipelines lock up after hours of good service [1], so every wait has an end and `CameraStalledError` ends
the process; a fresh one is started. For the same reason closing a camera has an end, too.

Only brightness is read: the luma plane of YUV420, which the Pi's image processor makes for nothing. Colour would be
thrown away by the decoder, and no frame is ever stored or sent. The processor's second output is the same exposure made
small, also for nothing: `Frame.small`.

A control takes effect several frames after it was asked for, about as many as there are buffers and three or four more
[4]. So nothing is assumed: a frame carries the exposure that its own metadata tell. Two alternating exposures are asked
for one by one, each with the buffer that goes back; a reader that skips frames sees them in whatever order they come.

Names carry their unit: `_px` pixels, `_s` seconds, `_us` microseconds, `_ns` nanoseconds.

Sources:
    [1] github.com/raspberrypi/picamera2, issues 1086, 1090 and 1404.
    [2] picamera2/request.py: YUV420 arrays are (height * 3 / 2, stride), padding included; `release` hands the controls
        that were set since to the buffer that it queues. picamera2/job.py: `get_result` takes a timeout.
    [3] libcamera, controls: SensorTimestamp is CLOCK_BOOTTIME; ExposureTime and LensPosition are those of the frame.
    [4] github.com/raspberrypi/picamera2, issues 340, 1278 and 1333.
    [5] picamera2, `create_video_configuration`: each stream gets `buffer_count` buffers, the raw one too; libcamera has its own.
    [6] github.com/LibreScanner/horus, issue 60.
    [7] libcamera, src/py: a failed start is a RuntimeError with the system's words.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from kiosk import log
from kiosk.errors import CameraError, CameraStalledError
from kiosk.language.message import say
from kiosk.lens import optics, sensors, usb, usb_controls
from kiosk.lens.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kiosk import config
    from kiosk.lens.frame import Camera

CLOSE_S = 3.0
OPEN_S = 15.0
LOST_S = 0.02
"""Pause after a lost frame: a driver that refuses at once is not asked without end."""
BUFFERS = 4
_log = logging.getLogger(__name__)
_START_ERRORS = (OSError, RuntimeError, ValueError)
_OWN_SIMPLEJPEG = say(
    "its JPEG encoder is built for another numpy: run `pip install --force-reinstall 'simplejpeg>=1.8.1'` with the pip of the"
    " environment that `kiosk` runs in"
)
_MORE_MEMORY = say(
    "give the camera more memory (`dtoverlay=cma,cma-256` in config.txt, `cma-128` on a Zero 2 W), or ask for fewer pixels"
)


class PiCamera:
    """A Raspberry Pi camera through picamera2.

    Attributes:
        warnings: What the settings cannot get from this sensor, each with its remedy.
    """

    def __init__(self, number: int, settings: config.Camera) -> None:
        """Open and start it.

        Args:
            number: Which camera of the board, from 0.
            settings: Sizes, rate, focus, exposure and region.

        Raises:
            CameraError: It is not there, is in use, or picamera2 is not installed.
        """
        self.warnings: tuple[str, ...] = ()
        self._sizes_px: dict[str, tuple[int, int]] = {}
        self._last_boot_ns = 0
        self._next_exposures_us = itertools.cycle((settings.alternate_exposure_us, settings.exposure_us))
        self._alternates = settings.alternate_exposure_us > 0
        # Loading it takes a slow board longer than a camera may take to answer, and says nothing of the camera.
        try:
            from picamera2 import Picamera2  # noqa: PLC0415  there only on a Pi
        except ImportError as error:
            raise CameraError(
                say("picamera2 is not installed"),
                hint=say("apt install python3-picamera2, or set `camera.source` to v4l2:…"),
            ) from error
        except Exception as error:
            hint = _OWN_SIMPLEJPEG if "numpy.dtype size changed" in str(error) else None
            raise CameraError(say("picamera2 cannot be loaded: {reason}", reason=error), hint=hint) from error
        self._camera = _bounded(say("the camera"), OPEN_S, lambda: self._opened(Picamera2, number, settings))

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame exposed after the last one returned."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                request = self._camera.capture_request(wait=False).get_result(timeout=left_s)
            except TimeoutError:
                break
            try:
                facts = request.get_metadata()
                if facts["SensorTimestamp"] <= self._last_boot_ns:
                    continue
                frame = self._frame(request, facts)
                if self._alternates:
                    self._camera.set_controls({"ExposureTime": next(self._next_exposures_us)})
            finally:
                request.release()
            self._last_boot_ns = frame.exposed_at_boot_ns
            return frame
        raise CameraStalledError(timeout_s)

    def close(self) -> None:
        """Stop it; a pipeline that has locked up is left to die with the process."""
        camera, self._camera = self._camera, None
        if camera is not None:
            with suppress(CameraError):
                _bounded(say("closing the camera"), CLOSE_S, lambda: (camera.stop(), camera.close()))

    def _frame(self, request: Any, facts: dict[str, Any]) -> Frame:  # noqa: ANN401  picamera2 has no types
        return Frame(
            luma=self._luma(request, "main"),
            exposed_at_boot_ns=int(facts["SensorTimestamp"]),
            small=self._luma(request, "lores") if "lores" in self._sizes_px else None,
            exposure_us=facts.get("ExposureTime"),
            lens_dioptres=facts.get("LensPosition"),
        )

    def _luma(self, request: Any, stream: str) -> NDArray[np.uint8]:  # noqa: ANN401  picamera2 has no types
        """A stream's brightness without its padding; `make_array` has copied it already, so the buffer may go back."""
        width_px, height_px = self._sizes_px[stream]
        return np.ascontiguousarray(request.make_array(stream)[:height_px, :width_px], np.uint8)

    def _opened(self, picamera2: Any, number: int, settings: config.Camera) -> Any:  # noqa: ANN401  it has no types
        known = picamera2.global_camera_info()
        if number >= len(known):
            raise CameraError(say("there is no camera {number}: {count} found", number=number, count=len(known)))
        try:
            return self._started(picamera2, number, settings)
        except _START_ERRORS as error:
            if settings.region == optics.WHOLE:
                raise _does_not_start(number, error) from error
            refused, hint = _reason(error), _hint(error) or say("set it to [0.0, 0.0, 1.0, 1.0]")
        # A view without the region reads most codes; a camera that does not start reads none.
        whole = settings.model_copy(update={"region": optics.WHOLE})
        try:
            camera = self._started(picamera2, number, whole)
        except _START_ERRORS as error:
            raise _does_not_start(number, error) from error
        unused = say(
            "`camera.region` is not used, the whole view is shown: the camera does not start with it ({reason}); {remedy}",
            reason=refused,
            remedy=hint,
        )
        self.warnings = (unused, *self.warnings)
        return camera

    def _started(self, picamera2: Any, number: int, settings: config.Camera) -> Any:  # noqa: ANN401  it has no types
        camera = picamera2(number)
        try:
            self._configure(camera, settings)
            camera.start()
        except _START_ERRORS:
            camera.close()
            raise
        return camera

    def _configure(self, camera: Any, settings: config.Camera) -> None:  # noqa: ANN401  picamera2 has no types
        array_px = camera.camera_properties.get("PixelArraySize")
        modes = sensors.modes_of(array_px, getattr(camera, "_raw_modes", None))
        plan = optics.plan_for(settings, camera.camera_controls, array_px, modes)
        streams_px = {"main": plan.frame_px} | ({} if plan.small_px is None else {"lores": plan.small_px})
        sensor = plan.mode and {"output_size": plan.mode.size_px, "bit_depth": plan.mode.bit_depth}
        camera.configure(
            camera.create_video_configuration(
                **{name: {"size": size_px, "format": "YUV420"} for name, size_px in streams_px.items()},
                **({} if sensor is None else {"sensor": sensor}),
                raw=None,  # nobody looks at it, and its buffers are the largest [5]
                controls=plan.controls,
                buffer_count=BUFFERS,
            )
        )
        if plan.crop_px is not None and "ScalerCrops" in camera.camera_controls:
            camera.set_controls({"ScalerCrops": [plan.crop_px] * len(streams_px)})
        self.warnings = plan.warnings
        self._sizes_px = {name: camera.stream_configuration(name)["size"] for name in streams_px}


class V4l2Camera:
    """A USB or V4L2 camera through OpenCV.

    A thread takes frames as they come and keeps the newest: OpenCV's own queue would hand out old ones, and its `read`
    cannot be given a time. A frame that breaks off, and an exception of the driver's, is a frame that did not come.

    Attributes:
        warnings: What the camera does not give as it is set, each with its remedy.
    """

    def __init__(self, device: str, settings: config.Camera) -> None:
        """Open and start it.

        Args:
            device: A path such as /dev/v4l/by-id/… or /dev/video0, or a number.
            settings: Size, rate, focus and exposure. The region is cut out of the frame.

        Raises:
            CameraError: It is not there or is in use.
        """
        self._region = settings.region
        self._node = Path(f"/dev/video{device}" if device.isdigit() else device)
        self._was_there = self._node.exists()
        self._capture, self._mode = _bounded(say("the camera"), OPEN_S, lambda: _opened_v4l2(device, settings))
        # Once it streams: a camera may forget with its format what it was told before.
        asked = _bounded(say("the camera"), OPEN_S, lambda: usb_controls.asked_of(str(self._node), settings))
        self.warnings = (*usb.warnings_for(settings, self._mode), *asked)
        self._newest: Frame | None = None
        self._lost = 0
        self._gone = False
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._take, name="v4l2", daemon=True)
        self._thread.start()

    def next_frame(self, timeout_s: float) -> Frame:
        """Wait for a frame that has not been returned."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._newest is not None or self._gone, timeout_s)
            if self._gone:
                raise CameraError(say("the camera gives no more frames: was it unplugged?"))
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
            try:
                good, picture = self._capture.read()
                taken_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                if not good or picture is None:
                    raise ValueError("nothing was read")
                frame = Frame(usb.cut(usb.luma_of(picture, self._mode), self._region), taken_boot_ns)
            except Exception as error:  # noqa: BLE001  of whatever kind: `next_frame` waits no longer than its caller allows
                self._lose(error)
                self._stopping.wait(LOST_S)
                continue
            with self._changed:
                self._newest = frame
                self._changed.notify_all()

    def _lose(self, reason: Exception) -> None:
        """A frame did not come: told the first, second, fourth, eighth time and so on."""
        self._lost += 1
        if self._lost & (self._lost - 1) == 0:
            _log.warning(log.line("frame-lost", lost=self._lost, reason=reason))
        if self._was_there and not self._node.exists():
            with self._changed:
                self._gone = True
                self._changed.notify_all()


def _does_not_start(number: int, error: Exception) -> CameraError:
    return CameraError(
        say("camera {number} does not start: {reason}", number=number, reason=_reason(error)), hint=_hint(error)
    )


def _reason(error: BaseException) -> str:
    """What was wrong in the first place: picamera2 says of most of its troubles only where it had them."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def _hint(error: Exception) -> str | None:
    """What to do where the board has too little memory for the camera, in whose words it may be [7]; None leaves the usual words."""
    return _MORE_MEMORY if os.strerror(errno.ENOMEM) in _reason(error) else None


def open_camera(settings: config.Camera) -> Camera:
    """The camera of a `picamera2:N` or `v4l2:DEVICE` source.

    Raises:
        CameraError: It cannot be opened.
    """
    kind, _, rest = settings.source.partition(":")
    if kind == "picamera2":
        if not rest.isdigit():
            raise CameraError(say("{source!r} names no camera", source=settings.source), hint=say("write picamera2:0"))
        return PiCamera(int(rest), settings)
    return V4l2Camera(rest, settings)


def _opened_v4l2(device: str, settings: config.Camera) -> tuple[Any, usb.Mode]:
    capture = cv2.VideoCapture(int(device) if device.isdigit() else device, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            say("cannot open the camera {device}", device=device),
            hint=say("see `ls /dev/video*`, and that no other program uses it"),
        )
    mode = _agreed(capture, settings)
    if mode.fourcc in usb.RAW:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)  # with one, every other frame finds none to go into [6]
    if settings.autofocus != "off":
        capture.set(cv2.CAP_PROP_AUTOFOCUS, float(settings.autofocus != "manual"))
    if settings.exposure_us:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)  # V4L2_EXPOSURE_MANUAL
        capture.set(cv2.CAP_PROP_EXPOSURE, settings.exposure_us / 100)  # V4L2 counts in 100 us
    return capture, mode


def _agreed(capture: Any, settings: config.Camera) -> usb.Mode:  # noqa: ANN401  OpenCV has no types
    """Size and rate in JPEG where USB 2 wants it and uncompressed elsewhere; where one brings less than the settings say, the other."""
    own = _mode_of(capture).fourcc
    first, second = (usb.MJPG, own) if usb.needs_jpeg(settings) else (own, usb.MJPG)
    mode = _asked(capture, settings, first)
    if mode.gives(settings) or own in ("", usb.MJPG):
        return mode
    other = _asked(capture, settings, second)
    return other if other.gives(settings) else _asked(capture, settings, first)


def _asked(capture: Any, settings: config.Camera, fourcc: str) -> usb.Mode:  # noqa: ANN401  as above
    """What comes of asking for this: the format before the size, because what it may be hangs on it, and the rate behind both."""
    if fourcc != _mode_of(capture).fourcc:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width_px)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height_px)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    return _mode_of(capture)


def _mode_of(capture: Any) -> usb.Mode:  # noqa: ANN401  as above
    width_px, height_px, code = (
        int(capture.get(name)) for name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FOURCC)
    )
    fourcc = max(code, 0).to_bytes(4, "little").decode("latin-1").strip("\0")
    return usb.Mode(width_px, height_px, float(capture.get(cv2.CAP_PROP_FPS)), fourcc)


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
        raise CameraError(say("{what} does not answer for {limit_s:.0f} s", what=what, limit_s=limit_s))
    if errors:
        if isinstance(errors[0], CameraError):
            raise errors[0]
        raise CameraError(say("{what} failed: {reason}", what=what, reason=errors[0])) from errors[0]
    return results[0]
