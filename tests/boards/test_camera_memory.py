"""The real picamera2 over a libcamera that is not there and a board's 64 MB: what starts, what is said, what is given back, what comes."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kiosk.camera import PiCamera
from kiosk.config import Camera as Settings
from kiosk.errors import CameraError
from kiosk.lens import optics, sensors
from kiosk.service import views
from tests.boards.heap import Heap, Ioctls

MB = 1 << 20
BENEATH = Path(__file__).with_name("beneath")
IMX708, IMX477, IMX219 = (4608, 2592), (4056, 3040), (3280, 2464)
REGIONS = {
    IMX708: (0.361, 0.361, 0.278, 0.278), IMX477: (0.342, 0.382, 0.316, 0.237), IMX219: (0.0, 0.0, 0.390, 0.292),
}  # fmt: skip
# The frames' own buffers, and the largest raw picture four times: 66.6, 81.2 and 47.6 million bytes packed, 102.4, 105.6 and 71.6 unpacked; 64 MB are 67.1.
FITS = {(IMX708, "packed"), (IMX219, "packed")}

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # picamera2's own threads warn of what they will no longer be able to do
    pytest.mark.skipif(importlib.util.find_spec("picamera2") is None, reason="picamera2 is not installed"),
]


class Board:
    """A board with this module and so much memory for it."""

    def __init__(self, array_px: tuple[int, int], packing: str, limit: int = 64 * MB, *, motor: bool = True) -> None:
        import libcamera  # noqa: PLC0415  the one in `beneath`, once the path leads there

        listed: dict[str, tuple[tuple[int, int], ...]] = {}
        for mode in sensors.MODES[array_px]:
            name = f"SRGGB{mode.bit_depth}_CSI2P" if packing == "packed" else "SRGGB16"
            listed[name] = (*listed.get(name, ()), mode.size_px)
        self.heap = Heap(limit)
        self.libcamera = libcamera.CameraManager.singleton().fit(
            libcamera.Module(array_px, listed, motor=motor), self.heap
        )


MakeBoard = Callable[..., Board]


@pytest.fixture
def make_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeBoard]:
    """Boards, one after the other, under the real picamera2."""
    monkeypatch.setattr(sys, "path", [str(BENEATH), *sys.path])
    from picamera2 import dma_heap  # noqa: PLC0415  with `beneath` on the path
    from picamera2.allocators import dmaallocator  # noqa: PLC0415  the same

    device = tmp_path / "linux,cma"
    device.touch()
    monkeypatch.setattr(dma_heap, "heapNames", [str(device)])

    def make(*arguments: Any, **more: Any) -> Board:
        board = Board(*arguments, **more)
        ioctls = Ioctls(board.heap, dma_heap.DMA_HEAP_IOCTL_ALLOC)
        monkeypatch.setattr(dma_heap, "fcntl", ioctls)
        monkeypatch.setattr(dmaallocator, "fcntl", ioctls)
        return board

    yield make
    gc.collect()


def _settings(**changes: object) -> Settings:
    return Settings.model_validate({"fps": 10, **changes})


@pytest.mark.parametrize("packing", ["packed", "unpacked"], ids=["pi4", "pi5"])
@pytest.mark.parametrize("array_px", [IMX708, IMX477, IMX219], ids=["imx708", "imx477", "imx219"])
def test_region_starts_within_a_boards_memory_or_shows_the_whole_view(
    make_board: MakeBoard, array_px: tuple[int, int], packing: str
) -> None:
    """64 MB: the region where they suffice; else the whole view, with a warning that names the memory. Frames come either way, all goes back."""
    board = make_board(array_px, packing)
    region = REGIONS[array_px]
    camera = PiCamera(0, _settings(region=region))
    frames = [camera.next_frame(5.0) for _ in range(6)]
    luma, small = frames[0].luma, frames[0].small
    assert luma.shape == (720, 1280)
    assert small is not None
    assert small.shape == (360, 640)
    assert [int(frame.luma[0, 0]) for frame in frames] != [int(frames[0].luma[0, 0])] * 6
    whole_px = (0, 0, *array_px)
    crop_px = optics.crop_of(region, array_px)
    last = board.libcamera.configured[-1]
    if (array_px, packing) in FITS:
        assert camera.warnings == ()
        assert last.sensor_config.output_size.to_tuple() == array_px
        assert board.heap.refused == 0
        assert _crops(board) == {crop_px}
    else:
        (warning,) = camera.warnings
        assert "the whole view is shown: the camera does not start with it" in warning
        assert "Cannot allocate memory" in warning
        assert "dtoverlay=cma,cma-256" in warning
        assert last.sensor_config.output_size.to_tuple() != array_px
        assert _crops(board) == {whole_px}
    assert board.heap.most <= 64 * MB
    camera.close()
    del camera
    gc.collect()
    assert board.heap.held() == 0


def _crops(board: Board) -> set[tuple[int, ...]]:
    asked = board.libcamera.started_with["ScalerCrops"]
    return {area.to_tuple() for area in asked}


@pytest.mark.parametrize("array_px", [IMX708, IMX477, IMX219], ids=["imx708", "imx477", "imx219"])
def test_listing_the_modes_allocates_nothing(
    make_board: MakeBoard, monkeypatch: pytest.MonkeyPatch, array_px: tuple[int, int]
) -> None:
    """How the sensor is read is known before the camera is configured for the first time; what picamera2 would list it with takes more."""
    from picamera2 import Picamera2  # noqa: PLC0415  over `beneath`

    board = make_board(array_px, "packed", 256 * MB)
    taken = []
    plan_for = optics.plan_for

    def planned(*arguments: Any) -> optics.Plan:
        taken.append((board.heap.count, len(board.libcamera.configured), len(arguments[3])))
        return plan_for(*arguments)

    monkeypatch.setattr(optics, "plan_for", planned)
    PiCamera(0, _settings(region=REGIONS[array_px])).close()
    assert taken == [(0, 0, len(sensors.MODES[array_px]))]
    assert len(board.libcamera.configured) == 1
    board = make_board(array_px, "packed")
    camera = Picamera2(0)
    try:
        assert {mode["size"] for mode in camera._raw_modes} == {mode.size_px for mode in sensors.MODES[array_px]}
        assert board.heap.count == 0
        if array_px == IMX477:
            with pytest.raises(OSError, match="Cannot allocate memory"):
                _ = camera.sensor_modes
        else:
            assert len(camera.sensor_modes) == len(sensors.MODES[array_px])
        assert board.heap.most > 40 * MB
    finally:
        camera.close()


def test_whole_view_has_all_the_memory_that_the_region_gave_back(make_board: MakeBoard) -> None:
    """24 MB: the whole view takes 21.8 of them, and the region had 6.9 when it was refused."""
    board = make_board(IMX708, "packed", 24 * MB)
    camera = PiCamera(0, _settings(region=REGIONS[IMX708]))
    assert camera.next_frame(5.0).luma.shape == (720, 1280)
    assert "the whole view is shown" in camera.warnings[0]
    assert board.heap.refused == 1
    camera.close()


def test_whole_view_needs_little(make_board: MakeBoard) -> None:
    """Every module shows the whole view of a default frame in the 64 MB, packed or not, without a warning."""
    for array_px in (IMX708, IMX477, IMX219):
        for packing in ("packed", "unpacked"):
            board = make_board(array_px, packing)
            camera = PiCamera(0, _settings())
            assert camera.next_frame(5.0).luma.shape == (720, 1280)
            assert (camera.warnings, board.heap.refused) == ((), 0)
            camera.close()


def test_too_little_for_any_view_is_a_sentence_with_the_remedy(make_board: MakeBoard) -> None:
    """With or without a region, in either step, and nothing stays taken."""
    for limit in (4 * MB, 12 * MB):
        board = make_board(IMX708, "packed", limit)
        for settings in ({}, {"region": REGIONS[IMX708]}):
            with pytest.raises(
                CameraError, match=r"does not start: .*Cannot allocate memory; give the camera more memory"
            ):
                PiCamera(0, _settings(**settings))
            gc.collect()
            assert board.heap.held() == 0
        assert board.heap.refused >= 3


@pytest.mark.parametrize("array_px", sensors.MODES, ids=lambda array_px: f"{array_px[0]}px")
def test_mode_of_the_default_frame_is_the_one_that_the_pages_tell(
    make_board: MakeBoard, array_px: tuple[int, int]
) -> None:
    """What picamera2 itself chooses for each sensor where no region is set: docs/aiming.md tells its width of view."""
    board = make_board(array_px, "packed", 256 * MB)
    PiCamera(0, _settings()).close()
    assert board.libcamera.configured[-1].sensor_config.output_size.to_tuple() == views.DEFAULT_MODES[array_px]


def test_rows_come_without_their_padding(make_board: MakeBoard) -> None:
    """A width that is no whole row of the image processor's: both pictures are as wide as was asked, and nothing of what is behind them is in them."""
    make_board(IMX708, "packed")
    camera = PiCamera(0, _settings(width_px=1000, height_px=562, small_width_px=500))
    frame = camera.next_frame(5.0)
    camera.close()
    assert frame.small is not None
    assert (frame.luma.shape, frame.small.shape) == ((562, 1000), (280, 500))
    assert frame.luma.min() == frame.luma.max() == frame.small.min() == frame.small.max() < 255


def test_module_without_a_motor_is_asked_for_no_focus(make_board: MakeBoard) -> None:
    """picamera2 refuses a control that the module has not: the default settings ask for none of them."""
    board = make_board(IMX219, "packed", motor=False)
    camera = PiCamera(0, _settings())
    camera.next_frame(5.0)
    camera.close()
    assert not any(name.startswith(("Af", "Lens")) for name in board.libcamera.started_with)


def test_every_other_frame_is_exposed_for_screens(make_board: MakeBoard) -> None:
    """What is asked for between two frames goes with the next buffer, by the real picamera2's way; each frame tells its own exposure."""
    board = make_board(IMX708, "packed")
    camera = PiCamera(0, _settings(exposure_us=20_000, alternate_exposure_us=3_000, gain=2.0))
    exposures_us = [camera.next_frame(5.0).exposure_us for _ in range(30)]
    camera.close()
    assert board.libcamera.started_with["ExposureTime"] == 20_000
    assert set(exposures_us) == {20_000, 3_000}
    assert 8 <= exposures_us.count(3_000) <= 22
