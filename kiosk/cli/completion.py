"""What makes a shell complete a program's words, actions and options; written by shtab from the parsers themselves."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh")
_FOLDERS = ("DIR", "FOLDER")


class Print(argparse.Action):
    """Print it and end."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401  argparse's own
        _option: str | None = None,
    ) -> None:
        """As argparse calls it."""
        print(script(parser, values))  # noqa: T201  a command line prints
        parser.exit()


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The shell's script; every word is loaded for it."""
    import shtab  # noqa: PLC0415  nothing else needs it

    for one in parsers(parser):
        for action in one._actions:  # noqa: SLF001  shtab asks for an attribute of them
            if action.type is Path:
                kind = shtab.DIRECTORY if action.metavar in _FOLDERS else shtab.FILE
                action.complete = kind  # type: ignore[attr-defined]
    return shtab.complete(parser, shell=shell)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """This parser and those of all its words and actions, with their options."""
    declare = getattr(parser, "declare", None)
    if declare is not None:
        declare()
    yield parser
    for action in parser._actions:  # noqa: SLF001  argparse has no other way to its sub-parsers
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for one in action.choices.values():
                yield from parsers(one)
