"""The real picamera2 over a libcamera that is not there and a board's 64 MB: what starts, what is said, what is given back."""

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
from tests.boards.heap import Heap, Ioctls

MB = 1 << 20
BENEATH = Path(__file__).with_name("beneath")
IMX708, IMX477, IMX219 = (4608, 2592), (4056, 3040), (3280, 2464)
PACKED_BITS = {IMX708: 10, IMX477: 12, IMX219: 10}
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

    def __init__(self, array_px: tuple[int, int], packing: str, limit: int = 64 * MB) -> None:
        import libcamera  # noqa: PLC0415  the one in `beneath`, once the path leads there

        bits = PACKED_BITS[array_px]
        name = f"SRGGB{bits}_CSI2P" if packing == "packed" else "SRGGB16"
        sizes = tuple(mode.size_px for mode in sensors.MODES[array_px])
        self.heap = Heap(limit)
        self.libcamera = libcamera.CameraManager.singleton().fit(libcamera.Module(array_px, {name: sizes}), self.heap)


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

    def make(*arguments: Any) -> Board:
        board = Board(*arguments)
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
        assert [mode["size"] for mode in camera._raw_modes] == [mode.size_px for mode in sensors.MODES[array_px]]
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
