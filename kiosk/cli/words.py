"""A program's words: each is loaded, with its options, when it is chosen; a mistake is answered with what may have been meant.

A word is a module with `options(parser)`, which declares what it takes, and `run(arguments) -> exit code` beside it. The program's own
help needs none of them, so it is quick, and an uplink never loads a camera. A word of several actions hands `actions` a row for each,
so that `central fleet list --help` has the options of the list alone.

Sources:
    [1] docs.python.org, argparse: a parser's `parse_known_args` is what `add_subparsers` calls for the word that was chosen.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from dataclasses import dataclass
from itertools import takewhile
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from kiosk.cli import completion
from kiosk.errors import KioskError
from kiosk.language.terminal import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Word:
    """One row of a program's table.

    Attributes:
        name: As it is typed.
        help: One line for the program's help.
        module: Where it is in the program's package; empty where it is called like the word.
    """

    name: str
    help: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A command line.

    Attributes:
        name: As it is typed.
        version: What `--version` says.
        about: One sentence above the words.
        package: Where the words' modules are.
        words: In the order in which help lists them.
        epilog: Where to begin.
    """

    name: str
    version: str
    about: str
    package: str
    words: Sequence[Word]
    epilog: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One of several things that a word does, each with its own options.

    Attributes:
        name: As it is typed behind the word.
        help: One line for the word's help.
        run: What it does; returns the exit code.
        options: Declares what it takes.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    options: Callable[[Parser], None] = lambda _parser: None


class Parser(argparse.ArgumentParser):
    """A parser that declares its options when it is chosen, and tells what an unknown one may have meant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  argparse's own
        super().__init__(*args, **kwargs)
        self.later: Callable[[Parser], None] | None = None
        self.chosen: dict[str, Parser] = {}

    def declare(self) -> None:
        """Declare the options, once."""
        later, self.later = self.later, None
        if later is not None:
            later(self)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse all of it: what is not known is a mistake, and told before what is missing."""
        self.declare()
        words = sys.argv[1:] if args is None else list(args)
        words = self._action_first(words) if self.chosen else words
        has_words = self._subparsers is not None
        self._refuse_unknown(takewhile(lambda word: word.startswith("-") if has_words else word != "--", words))
        known, left = super().parse_known_args(words, namespace)
        if left:
            self.error(f"{left[0]!r} is one too many{self._meant(left[0])}")
        return known, left

    def _refuse_unknown(self, words: Iterable[str]) -> None:
        """End with the option that may have been meant, before argparse complains of one that is missing for that."""
        for word in words:
            name = word.partition("=")[0]
            if (
                name.startswith("--")
                and " " not in name
                and not any(map(methodcaller("startswith", name), self.option_names()))
            ):
                self.error(f"there is no option {name}{self._meant(name)}")

    def taking(self) -> list[str]:
        """The options that take a value."""
        return [name for action in self._actions if action.nargs != 0 for name in action.option_strings]

    def option_names(self, *, hidden: bool = True) -> list[str]:
        """Every option, as it is typed."""
        shown = [action for action in self._actions if hidden or action.help != argparse.SUPPRESS]
        return [name for action in shown for name in action.option_strings]

    def _meant(self, word: str) -> str:
        return meant(word.partition("=")[0], self.option_names(hidden=False))

    def _action_first(self, words: list[str]) -> list[str]:
        """The action in front: it may stand behind its options, as in `central fleet --fleet DIR list`."""
        takes = {name for parser in self.chosen.values() for name in parser.taking()}
        for place, word in enumerate(words):
            if word in self.chosen and (place == 0 or words[place - 1] not in takes):
                return [word, *words[:place], *words[place + 1 :]]
        if not {"-h", "--help"}.intersection(words):
            near = next((close for word in words if (close := meant(word, self.chosen))), "")
            self.error(f"what to do is one of {', '.join(self.chosen)}{near}")
        return words

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401  argparse's own
        choices = None if action.choices is None else [str(choice) for choice in action.choices]
        if choices is not None and value not in choices:
            close = meant(str(value), choices)
            raise argparse.ArgumentError(
                action, f"{value!r} is not known{close}" if close else f"{value!r} is none of {', '.join(choices)}"
            )


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that asks for the known word that is nearest; empty if none is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def actions(parser: Parser, rows: Iterable[Action]) -> None:
    """Make a word of these actions."""
    verbs = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    for row in rows:
        one = verbs.add_parser(row.name, help=row.help, description=_sentence(row.help))
        row.options(one)
        one.set_defaults(run=row.run)
        parser.chosen[row.name] = one


def parser_of(program: Program) -> Parser:
    """The program's command line; no word of it is loaded yet."""
    parser = Parser(prog=program.name, description=program.about, epilog=program.epilog)
    parser.add_argument("--version", action="version", version=f"{program.name} {program.version}")
    parser.add_argument(
        "--print-completion",
        action=completion.Print,
        choices=completion.SHELLS,
        metavar="SHELL",
        help="print what completes words and options, for bash or zsh",
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for word in program.words:
        one = verbs.add_parser(word.name, help=word.help, description=_sentence(word.help))
        one.later = _loading(program.package, word)
    return parser


def _loading(package: str, word: Word) -> Callable[[Parser], None]:
    def load(parser: Parser) -> None:
        module = importlib.import_module(f"{package}.{word.module or word.name.replace('-', '_')}")
        parser.set_defaults(run=getattr(module, "run", None))
        module.options(parser)

    return load


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else '.'}".replace("%", "%%")


def main(program: Program, argv: Sequence[str] | None = None) -> int:
    """Run one word.

    Args:
        program: Its command line.
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    try:
        arguments = parser_of(program).parse_args(argv)
        return int(arguments.run(arguments))
    except KioskError as error:
        print(f"{program.name}: {told(error.sentence)}", file=sys.stderr)  # noqa: T201  a command line prints
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
