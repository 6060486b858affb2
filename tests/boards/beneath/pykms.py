"""What picamera2 draws with on a screen, as far as it must be there to be loaded: nobody looks at one."""

from __future__ import annotations

from enum import Enum

PixelFormat = Enum("PixelFormat", "RGB888 BGR888 XRGB8888 XBGR8888 YUV420 YVU420 NV12")
