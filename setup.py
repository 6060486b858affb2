"""What pyproject.toml cannot say: wheels and source archives carry the QR encoder of the phone's page, with its licence.

An editable installation carries nothing: it reads Debian's package in its place (central/passes/qr_encoder.py).
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import SetupError

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a build in isolation sees setuptools and nothing else

from central.passes import qr_encoder
from kiosk.errors import ConfigError


def _carry(root: str) -> None:
    try:
        qr_encoder.carry(Path(root))
    except ConfigError as error:
        raise SetupError(str(error)) from error


class _BuildPy(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            _carry(self.build_lib)


class _Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: Iterable[str]) -> None:
        super().make_release_tree(base_dir, files)
        _carry(base_dir)


setup(cmdclass={"build_py": _BuildPy, "sdist": _Sdist})
