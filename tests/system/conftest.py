"""What tests of a station's set-up share: a centre that runs, and boards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.centres import Centre


@pytest.fixture
def centre(fleet_broker: Any) -> Iterator[Centre]:
    """A centre that runs."""
    running = Centre(fleet_broker)
    yield running
    running.stop()


@pytest.fixture
def board(tmp_path: Path, centre: Centre) -> Callable[..., Path]:
    """A board's configuration, which names no kiosk."""

    def make(name: str = "board", **sections: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        values = {
            "state": {"dir": str(folder / "state"), "runtime_dir": str(folder / "run")},
            "trust": {"fleet_key_file": str(centre.fleet / "fleet.pem")},
            "lanes": [{"panel": {"kind": "none"}}],
            **sections,
        }
        path = folder / "kiosk.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return make
