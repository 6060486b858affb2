"""Words are loaded when they are chosen, and every mistake at one is answered by that word."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from central.__main__ import PROGRAM as CENTRAL
from kiosk.__main__ import PROGRAM as KIOSK
from kiosk.cli import completion, words
from kiosk.cli.words import Action, Parser, Program, Word

PROGRAMS = {"kiosk": KIOSK, "central": CENTRAL}
HEAVY = ("cv2", "zxingcpp", "numpy", "paho", "gpiozero", "pydantic")


def _leaves(program: Program) -> Iterator[Parser]:
    for parser in completion.parsers(words.parser_of(program)):
        if isinstance(parser, Parser) and not any(
            isinstance(each, argparse._SubParsersAction) for each in parser._actions
        ):
            yield parser


LEAVES = {parser.prog: parser for program in PROGRAMS.values() for parser in _leaves(program)}
OPTIONS = [
    (prog, option)
    for prog, parser in LEAVES.items()
    for action in parser._actions
    if action.help != argparse.SUPPRESS
    for option in action.option_strings
    if option.startswith("--") and len(option) > 4
]


def _refused(program: Program, argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        words.main(program, argv)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(("prog", "option"), OPTIONS, ids=map(" ".join, OPTIONS))
def test_mistyped_option_is_told_by_its_word(prog: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two letters that changed places: that word's usage, and the option that was meant, whatever else is missing."""
    program, *path = prog.split()
    typed = option[:-2] + option[-1] + option[-2] if option[-1] != option[-2] else option[:-1]
    if typed in option:  # a beginning of it is an abbreviation
        typed = f"{option}x"
    said = _refused(PROGRAMS[program], [*path, typed, "1"], capsys)
    assert said.startswith(f"usage: {prog} ")
    assert f"{prog}: error: there is no option {typed}; did you mean {option}?" in said


@pytest.mark.parametrize("prog", LEAVES)
def test_wrong_values_are_told_in_our_words(prog: str) -> None:
    """Whatever an option reads with says itself what is wrong; argparse has "invalid _count value" for what does not."""
    for action in LEAVES[prog]._actions:
        if action.type is not None and action.type is not Path:
            assert callable(action.type)
            with suppress(argparse.ArgumentTypeError):
                action.type("¿?")


@pytest.mark.parametrize("prog", LEAVES)
def test_every_word_helps_with_its_own_options(prog: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help ends with 0 and begins with the word's usage."""
    program, *path = prog.split()
    with pytest.raises(SystemExit) as ended:
        words.main(PROGRAMS[program], [*path, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {prog} ")


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_mistyped_word_is_told(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    """Each word with a letter too many is asked for; what is like none is answered with all of them."""
    for word in program.words:
        typed = f"{word.name}x"
        assert f"'{typed}' is not known; did you mean {word.name}?" in _refused(program, [typed], capsys)
    assert f"is none of {', '.join(word.name for word in program.words)}" in _refused(program, ["xyzzy"], capsys)
    assert "there is no option --versoin; did you mean --version?" in _refused(program, ["--versoin"], capsys)


def _toy(tried: list[argparse.Namespace]) -> Parser:
    parser = Parser(prog="toy")

    def run(arguments: argparse.Namespace) -> int:
        tried.append(arguments)
        return 0

    def place(parser: Parser) -> None:
        parser.add_argument("--place")
        parser.add_argument("--quick", action="store_true")
        parser.add_argument("--hidden", help=argparse.SUPPRESS)
        parser.add_argument("name", nargs="?")

    words.actions(parser, (Action("list", "all", run, place), Action("cut", "one", run, place)))
    return parser


@pytest.mark.parametrize(
    "typed",
    [
        "list --place list",
        "--place list list",
        "--place=list list",
        "--quick --place list list x",
        "--hidden 1 --place list list",
    ],
)
def test_action_may_stand_behind_its_options(typed: str) -> None:
    """Command lines that were written before a word had actions go on working, whatever a value is called."""
    tried: list[argparse.Namespace] = []
    arguments = _toy(tried).parse_args(typed.split())
    assert arguments.place == "list"
    assert arguments.run(arguments) == 0
    assert tried == [arguments]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "toy: error: what to do is one of list, cut"),
        ("--place x lits", "toy: error: what to do is one of list, cut; did you mean list?"),
        ("list a b", "toy list: error: 'b' is one too many"),
        ("list --palce x", "toy list: error: there is no option --palce; did you mean --place?"),
        ("cut --hiden x", "toy cut: error: there is no option --hiden; did you mean --help?\n"),
        ("cut -q", "toy cut: error: '-q' is one too many"),
    ],
)
def test_wrong_action_is_told(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence that says what is possible; hidden options are not offered."""
    with pytest.raises(SystemExit):
        _toy([]).parse_args(typed.split())
    assert said in capsys.readouterr().err


def test_what_stands_behind_two_hyphens_is_no_option() -> None:
    """Nor is a value with a blank in it."""
    arguments = _toy([]).parse_args(["list", "--place=--x y", "--", "--name"])
    assert (arguments.place, arguments.name) == ("--x y", "--name")


@pytest.mark.parametrize(
    "argv", [["kiosk", "--help"], ["central", "--help"], ["kiosk", "check", "--help"], ["kiosk", "uplink", "--help"]]
)
def test_words_load_no_more_than_they_need(argv: list[str]) -> None:
    """Help of a program needs no library at all, and a word that sees no picture loads none of those that do."""
    code = f"import runpy, sys\nsys.argv = {argv!r}\ntry: runpy.run_module({argv[0]!r}, run_name='__main__')\n"
    code += "except SystemExit: pass\nprint('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.rpartition("LOADED ")[2].split())
    assert loaded.isdisjoint(HEAVY if argv[1] == "--help" else ("cv2", "zxingcpp", "gpiozero"))


def test_words_of_a_table_have_help_and_a_module() -> None:
    """Each row says in a line what it does; a word with a hyphen is in a module with an underscore."""
    for program in PROGRAMS.values():
        assert len({word.name for word in program.words}) == len(program.words)
        assert all(word.help and not word.help.endswith(".") for word in program.words)
    assert Word("a", "b").module == ""
