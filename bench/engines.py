"""The engines that a builder of such a kiosk would pick, under one signature; those that are not installed are skipped.

WeChat's reader needs opencv-contrib and its models, in the folder named by `WECHAT_MODELS`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import zxingcpp
from pyzbar import pyzbar

from kiosk.decoder import read_picture
from kiosk.reading.zbar import ZbarScanner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    Engine = Callable[[NDArray[np.uint8]], list[bytes]]


def engines(only: Collection[str] = (), *, tells: bool = False) -> dict[str, Engine]:
    """Name → engine, ours first.

    Args:
        only: Names that are wanted; all if empty.
        tells: Whether the missing ones are named.
    """
    makers: dict[str, Callable[[], Engine]] = {
        "kiosk": lambda: lambda luma: [reading.payload for reading in read_picture(luma)],
        "zxing-cpp": _zxing,
        "six calls": _six_calls,
        "pyzbar": lambda: lambda luma: [code.data for code in pyzbar.decode(luma, symbols=[pyzbar.ZBarSymbol.QRCODE])],
        "zbar, raw bytes": _zbar,
        "OpenCV": lambda: _opencv(cv2.QRCodeDetector()),
        "OpenCV ArUco": lambda: _opencv(cv2.QRCodeDetectorAruco()),
        "WeChat": _wechat,
        "quirc": _quirc,
    }
    made: dict[str, Engine] = {}
    for name in only or makers:
        try:
            made[name] = makers[name]()
            made[name](np.full((64, 64), 255, np.uint8))
        except (AttributeError, ImportError, KeyError, OSError, SystemError, cv2.error) as error:
            made.pop(name, None)
            if tells:
                print(f"# {name} is not here: {type(error).__name__}", file=sys.stderr)
    return made


def _zxing() -> Engine:
    formats = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
    return lambda luma: [bytes(code.bytes) for code in zxingcpp.read_barcodes(luma, formats=formats)]


def _six_calls() -> Engine:
    """What anybody can do with zxing-cpp in six lines: at the picture's size and at twice that, three ways to tell dark from bright."""
    formats = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
    ways = (zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram, zxingcpp.Binarizer.FixedThreshold)

    def read(luma: NDArray[np.uint8]) -> list[bytes]:
        for scale in (1, 2):
            picture = luma if scale == 1 else cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            for way in ways:
                if codes := zxingcpp.read_barcodes(picture, formats=formats, binarizer=way):
                    return [bytes(code.bytes) for code in codes]
        return []

    return read


def _zbar() -> Engine:
    scanner = ZbarScanner(step_px=1)
    return lambda luma: [payload for payload, _ in scanner.read(luma)]


def _opencv(detector: Any) -> Engine:  # noqa: ANN401  OpenCV has no types
    find = getattr(detector, "detectAndDecodeBytesMulti", None) or detector.detectAndDecodeMulti

    def read(luma: NDArray[np.uint8]) -> list[bytes]:
        good, texts, *_ = find(luma)
        return [each if isinstance(each, bytes) else each.encode() for each in texts if len(each)] if good else []

    return read


def _wechat() -> Engine:
    folder = Path(os.environ["WECHAT_MODELS"])
    names = ("detect.prototxt", "detect.caffemodel", "sr.prototxt", "sr.caffemodel")
    detector: Any = getattr(cv2, "wechat_qrcode_WeChatQRCode")(*(str(folder / name) for name in names))  # noqa: B009  contrib only
    return lambda luma: [text.encode("utf-8", "surrogateescape") for text in detector.detectAndDecode(luma)[0] if text]


def _quirc() -> Engine:
    import quirc  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  optional

    return lambda luma: [bytes(code[1].payload) for code in quirc.decode(luma) if code[1] is not None]
