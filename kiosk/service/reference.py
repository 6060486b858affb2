"""The commented example and the reference of the configuration, made from the types that read it.

    python -m kiosk.service.reference config/kiosk.yaml docs/configuration.md

The tests hold both files to what this makes, so that they cannot lag behind.
"""

from __future__ import annotations

import json
import sys
import textwrap
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from kiosk.config import Config, Lane, LocalCard, Section
from kiosk.service import wiring
from kiosk.settings import loader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_REQUIRED = {"id": "office-1-door-1", "site": "office-1"}
_HEAD = """\
# The configuration of one kiosk. Every key is here with its default; only `kiosk` must be filled in.
# `kiosk check` says with line, key and remedy what is wrong. Made by `make docs` from kiosk/config.py.
"""
_MARKDOWN_HEAD = """\
# Configuration

One YAML file a kiosk, by default `/etc/kiosk/kiosk.yaml`; `kiosk check` judges it. Only `kiosk.id` and `kiosk.site` must be
given. Unknown keys, wrong types and values out of range are refused with line, key and remedy, and exit code 2. Texts with a
colon, such as times, go in quotes. A commented example is [config/kiosk.yaml](../config/kiosk.yaml).

This page is made from `kiosk/config.py` by `make docs`.
"""


def example() -> str:
    """The commented `kiosk.yaml` with every default."""
    lines = [_HEAD]
    for name, field in Config.model_fields.items():
        section = field.annotation
        if name == "lanes":
            lines += ["", f"# {_doc(Lane)}", "lanes:"]
            body = list(_yaml_of(Lane, "    "))
            lines += ["  - " + body[1].strip(), *body[2:]]
            lines[-len(body) + 1 : -len(body) + 1] = ["    " + body[0].strip()]
        elif isinstance(section, type) and issubclass(section, Section):
            lines += ["", f"# {_doc(section)}", f"{name}:", *_yaml_of(section, "  ")]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The page with one table a section."""
    return _MARKDOWN_HEAD + "".join(_tables_of(Config, ""))


def _yaml_of(section: type[Section], indent: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield f"{indent}# {_doc(inner)}"
            yield f"{indent}{name}:"
            yield from _yaml_of(inner, indent + "  ")
            continue
        limits = _limits(field)
        yield f"{indent}# {field.description}{f' ({limits})' if limits else ''}"
        value = _REQUIRED[name] if field.is_required() else field.default
        yield f"{indent}{name}: {_scalar(value)}"
        if name == "local":
            yield f"{indent}#  - document: staff-card"
            yield f'{indent}#    pattern: "NV|{{number}}|{{name}}|{{any}}"'


def _tables_of(section: type[Section], prefix: str) -> Iterator[str]:
    rows = []
    inner_tables = []
    for name, field in section.model_fields.items():
        inner = Lane if name == "lanes" else LocalCard if name == "local" else field.annotation
        key = f"{prefix}{name}" + ("[]" if name in {"lanes", "local"} else "")
        if isinstance(inner, type) and issubclass(inner, Section):
            inner_tables += [f"\n## `{key}`\n\n{_doc(inner)}.\n", *_tables_of(inner, f"{key}.")]
        else:
            default = "required" if field.is_required() else f"`{_scalar(field.default)}`"
            rows.append(
                f"| `{name}` | {_limits(field) or _type(field)} | {default} | {_escaped(field.description)} |\n"
            )
    if rows:
        yield "\n| key | values | default | meaning |\n|---|---|---|---|\n"
        yield from rows
    yield from inner_tables


def _limits(field: FieldInfo) -> str:
    """The range, or the choices."""
    low = high = None
    for constraint in field.metadata:
        low = getattr(constraint, "ge", low)
        high = getattr(constraint, "le", high)
    if low is not None and high is not None:
        return f"{low} to {high}"
    choices = _choices(field.annotation)
    return ", ".join(choices)


def _choices(annotation: Any) -> list[str]:  # noqa: ANN401  a type expression
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    return [choice for inner in get_args(annotation) for choice in _choices(inner)]


def _type(field: FieldInfo) -> str:
    text = str(field.annotation)
    if "bool" in text:
        return "true, false"
    if "Path" in text:
        return "a path"
    return "a list" if "tuple" in text else "2 to 27" if "int" in text else "a text"


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case Enum():
            return str(value.value)
        case tuple():
            return "[" + ", ".join(_scalar(item) for item in value) + "]"
        case str() if ":" in value or not value[:1].isalpha():
            return json.dumps(value)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _doc(section: type[Section]) -> str:
    return textwrap.shorten((section.__doc__ or "").strip().split("\n")[0], 200).rstrip(".")


def _escaped(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def boards() -> list[tuple[str, str, Config]]:
    """Name, title and configuration of every file in config/boards/."""
    found = sorted(Path("config/boards").glob("*.yaml"))
    return [(path.stem, path.read_text("utf-8").split("\n")[0].lstrip("# "), loader.load_board(path)) for path in found]


def main(example_path: str, reference_path: str) -> None:
    """Write both files, and the boards' pictures and parts beside the second."""
    docs = Path(reference_path).parent
    (docs / "boards").mkdir(exist_ok=True)
    for name, title, config in boards():
        (docs / "boards" / f"{name}.svg").write_text(wiring.diagram(config, title), "utf-8")
    (docs / "parts.md").write_text(wiring.parts_page(boards()), "utf-8")
    Path(example_path).write_text(example(), "utf-8")
    Path(reference_path).write_text(reference(), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
