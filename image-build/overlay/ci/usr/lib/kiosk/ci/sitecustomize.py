"""Test machine: let picamera2 run on libcamera's virtual camera, which differs from a Pi's in three points.

There is no dma-heap in Debian's kernel, so buffers come from libcamera's own allocator; the virtual camera has no raw
stream; and it tells no number of bytes used in a buffer. The product's own code is left as it is, but for one number: an
emulated processor opens a camera in a minute, not in 15 s.
"""

from __future__ import annotations

import importlib.machinery
import mmap
import sys
import types
from typing import Any


class _Anything(types.ModuleType):
    """A module of which every name is there: for previews and raw pictures, which nothing here asks for."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  a stand-in for everything
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__getattr__": lambda _self, _name: None})()


for _name in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
    sys.modules[_name] = _Anything(_name)


def _adapt(module: Any) -> None:  # noqa: ANN401  picamera2 has no types
    from picamera2.allocators import LibcameraAllocator, allocator  # noqa: PLC0415  while it is being imported

    start, raw_modes = module.Picamera2.__init__, module.Picamera2._get_raw_modes  # noqa: SLF001

    def begin(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        start(self, *arguments, **options)
        self.allocator = LibcameraAllocator(self.camera)

    def modes(self: Any) -> Any:  # noqa: ANN401
        try:
            return raw_modes(self)
        except AttributeError:
            return [{"format": "NV12", "size": (640, 480)}]

    def enter(self: Any) -> mmap.mmap:  # noqa: ANN401
        planes = self._Sync__fb.planes
        size = sum(plane.length for plane in planes)
        self._Sync__mm = mmap.mmap(planes[0].fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        return self._Sync__mm

    module.DmaAllocator = lambda *_arguments, **_options: None
    module.Picamera2.__init__ = begin
    module.Picamera2._get_raw_modes = modes  # noqa: SLF001
    allocator.Sync.__enter__ = enter


def _be_patient(module: Any) -> None:  # noqa: ANN401
    module.OPEN_S = 180.0
    module.CLOSE_S = 60.0


_ADAPTED = {"picamera2.picamera2": _adapt, "kiosk.camera": _be_patient}


class _After(importlib.machinery.PathFinder):
    """Adapts a module once it has been loaded."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:  # noqa: ANN401
        if fullname not in _ADAPTED:
            return None
        spec = super().find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            _ADAPTED[fullname](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _After)
