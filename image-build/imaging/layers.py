"""Layers and boards as they are written: YAML with a header that rpi-image-gen reads too.

A layer's header is a comment between METABEGIN and METAEND, one `X-Env-…` field a line, continued by lines that begin
with a blank. Its body names packages and hooks for bdebstrap. rpi-image-gen's own lint cannot run without its sources, so
`problems_of` judges what it would refuse.

Sources:
    [1] github.com/raspberrypi/rpi-image-gen, docs/layer and layer/: fields, and which of them a layer must have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = frozenset({"Name", "Category", "Desc", "Version", "Requires", "RequiresProvider", "Provides", "Conflicts"})
VAR_FIELDS = frozenset({"Desc", "Required", "Valid", "Set", "Triggers"})
FOREIGN = frozenset({"rpi-debian-trixie", "trixie-minbase", "image-rpios", "rpi4", "rpi5", "rpizero2w"})
"""Layers of rpi-image-gen's own that ours build on."""
BODY_KEYS = frozenset(
    {"architectures", "mode", "variant", "suite", "packages", "aptopts", "dpkgopts", "customize-hooks"}
)


class LayerError(Exception):
    """A layer or a board that cannot be used, with what to do about it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        path: Its file.
        header: Fields without `X-Env-Layer-`, and variables as `Var-…`.
        body: What is under `mmdebstrap:`.
    """

    path: Path
    header: dict[str, str]
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """As other layers call it."""
        return self.header.get("Name", "")

    @property
    def requires(self) -> tuple[str, ...]:
        """Layers that must come before it."""
        return tuple(name.strip() for name in self.header.get("Requires", "").split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class Board:
    """What one kind of card is made of.

    Attributes:
        name: As `make image BOARD=` calls it.
        layers: Ours, in the order in which they apply.
        real: A Raspberry Pi, which needs the maker's archive.
        tree: File name of the device tree that a test machine's kernel is given; nothing where QEMU makes it.
        kernel: Series of Debian's kernel that a test machine gets.
        wiring: The file in config/boards/ that a station begins with; "none" where a test brings one.
    """

    name: str
    layers: tuple[Layer, ...]
    real: bool
    tree: str = ""
    kernel: str = "7"
    wiring: str = "none"

    @property
    def packages(self) -> tuple[str, ...]:
        """Everything to be installed, sorted, each once."""
        return tuple(sorted({package for layer in self.layers for package in layer.body.get("packages", ())}))

    @property
    def hooks(self) -> tuple[str, ...]:
        """Shell lines to be run with the root file system as $1."""
        return tuple(hook for layer in self.layers for hook in layer.body.get("customize-hooks", ()))

    def options(self, name: str) -> tuple[str, ...]:
        """All layers' `aptopts` or `dpkgopts`."""
        return tuple(option for layer in self.layers for option in layer.body.get(name, ()))


def read_layer(path: Path) -> Layer:
    """The layer of this file.

    Raises:
        LayerError: It has no header, or no body.
    """
    text = path.read_text("utf-8")
    found = re.search(r"^# METABEGIN\n(.*?)^# METAEND$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LayerError(f"{path.name}: no header: begin with `# METABEGIN` and end with `# METAEND`")
    header: dict[str, str] = {}
    last = ""
    for line in found[1].splitlines():
        bare = line.removeprefix("#")
        if match := re.fullmatch(r" X-Env-(Layer-)?([^:]+): ?(.*)", bare):
            last = match[2]
            header[last] = match[3].strip()
        elif bare.strip() and last:
            header[last] += " " + bare.strip()
    body = yaml.safe_load(text)
    if not isinstance(body, dict) or not isinstance(body.get("mmdebstrap"), dict):
        raise LayerError(f"{path.name}: no `mmdebstrap:` with packages or hooks")
    return Layer(path, header, body["mmdebstrap"])


def problems_of(layer: Layer, known: frozenset[str]) -> list[str]:
    """What rpi-image-gen would refuse, and what we would.

    Args:
        layer: The layer.
        known: Names of all our layers.
    """
    header = layer.header
    found = [f"no X-Env-Layer-{field}" for field in ("Name", "Category", "Desc", "Version") if not header.get(field)]
    if header.get("Name") != layer.path.stem:
        found.append(f"is called {header.get('Name')!r} in the file {layer.path.name}")
    if not re.fullmatch(r"\d+\.\d+\.\d+", header.get("Version", "")):
        found.append("X-Env-Layer-Version is not like 1.0.0")
    prefix = header.get("VarPrefix")
    for field in header:
        if field.startswith("Var-"):
            _, variable, *rest = field.split("-")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", variable):
                found.append(f"variable {variable!r} is not lower case")
            if prefix is None:
                found.append(f"variable {variable!r} without X-Env-VarPrefix")
            if rest and rest[0] not in VAR_FIELDS:
                found.append(f"unknown field X-Env-{field}")
        elif field not in FIELDS | {"VarPrefix"}:
            found.append(f"unknown field X-Env-Layer-{field}")
    found += [f"requires {name!r}, which is nowhere" for name in layer.requires if name not in known | FOREIGN]
    found += [f"unknown key {key!r} under mmdebstrap" for key in sorted(layer.body.keys() - BODY_KEYS)]
    packages = layer.body.get("packages", [])
    if packages != sorted(set(packages)):
        found.append("packages are not sorted, or one is named twice")
    return found


def read_board(folder: Path, name: str) -> Board:
    """The board of this name.

    Args:
        folder: image-build.
        name: As its file in config/ is called.

    Raises:
        LayerError: There is none, or one of its layers is nowhere.
    """
    boards = sorted(path.stem for path in (folder / "config").glob("*.yaml"))
    if name not in boards:
        raise LayerError(f"there is no board {name!r}: use one of {', '.join(boards)}")
    config = yaml.safe_load((folder / "config" / f"{name}.yaml").read_text("utf-8"))
    known = {path.stem: read_layer(path) for path in sorted((folder / "layer").glob("*.yaml"))}
    wished = [config["device"]["layer"], *config["layer"].values()]
    real = config["device"]["layer"] in FOREIGN
    ordered: dict[str, Layer] = {"kiosk-debian": known["kiosk-debian"]}

    def add(layer_name: str) -> None:
        if layer_name in FOREIGN or layer_name in ordered:
            return
        if layer_name not in known:
            raise LayerError(f"board {name}: there is no layer {layer_name!r} in {folder / 'layer'}")
        for required in known[layer_name].requires:
            add(required)
        ordered[layer_name] = known[layer_name]

    for layer_name in wished:
        add(layer_name)
    return Board(
        name,
        tuple(ordered.values()),
        real,
        config["device"].get("tree", ""),
        str(config["device"].get("kernel", "7")),
        config.get("kiosk", {}).get("wiring", "none"),
    )
