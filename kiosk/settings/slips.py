"""What is wrong with a text that is no plain YAML: where, and what to do, in our own words.

PyYAML says where it gave up and what it was doing; the mistake is mostly before that place. So the text is looked at there: for a
tab, a quote that was never closed, a key that begins in another column than its neighbours. Signs that look like a space and
are none are named wherever they stand outside quotes, also where YAML takes them for letters.

Lines and columns count from 1, as editors do.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from kiosk.language.message import Message, say
from kiosk.settings.plain_yaml import NotPlainError, PythonParser, reader

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTED_OR_REMARK = re.compile(r"""(?<![^\s,:\[{])(?:'[^']*'|"(?:[^"\\]|\\.)*")|(?:^|(?<=\s))#.*""")
_ODD_SPACE = re.compile(r"[\x85\xa0\xad\u1680\u180e\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]")
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]")
_KEY = re.compile(r"(?P<lead>\s*(?:- +)*)(?P<key>[^\s:#'\"\[{-][^\s:#'\"\[{]*)\s*:(?P<rest>\s.*|)$")
_GLUED = re.compile(r"(?P<lead>\s*(?:- +)*)(?P<key>[a-z_0-9]+):(?P<value>\S.*)$")
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Slip:
    """One mistake in how the text is written.

    Attributes:
        line: Where, from 1.
        column: Where, from 1.
        what: What is wrong.
        remedy: What to do.
    """

    line: int
    column: int
    what: Message
    remedy: Message


def odd_signs(text: str) -> Iterator[Slip]:
    """Signs that no editor shows, and strange spaces outside quotes and remarks; of each line the first."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        bare = _QUOTED_OR_REMARK.sub(lambda quoted: "x" * len(quoted[0]), line)
        if found := _UNSEEN.search(line):
            sign = f"U+{ord(found[0]):04X}"
            what = say("a sign that no editor shows stands here, {sign}", sign=sign)
            yield Slip(number, found.start() + 1, what, say("remove it"))
        elif found := _ODD_SPACE.search(bare):
            sign = f"{unicodedata.name(found[0], 'CONTROL').lower()}, U+{ord(found[0]):04X}"
            what = say("a space that is none stands here ({sign})", sign=sign)
            yield Slip(number, found.start() + 1, what, say("write an ordinary space, or put the text in quotes"))


def explained(text: str, error: yaml.YAMLError) -> Slip:
    """The mistake behind an error of the reader.

    Args:
        text: What was read.
        error: Of `plain_yaml.composed`.
    """
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # PyYAML's reader of signs, which `odd_signs` comes before
        return Slip(1, 1, say("cannot be read as settings"), say("save it as plain text in UTF-8"))
    if isinstance(error, NotPlainError):
        return Slip(mark.line + 1, mark.column + 1, error.what, error.remedy)
    look = _Look(text, error)
    return next(found for diagnose in _DIAGNOSES if (found := diagnose(look)) is not None)


class _Look:
    """The place where the reader gave up.

    Attributes:
        text: All of it.
        lines: Its lines; one more, empty, for an error at the end.
        line: The error's, from 0.
        column: The error's, from 0.
        began: What was begun there and did not end: line and column from 0; None if nothing was.
        context: What the reader was doing.
        problem: What it says.
        sign: What stands there; empty at the end of a line.
    """

    def __init__(self, text: str, error: yaml.YAMLError) -> None:
        self.text = text
        self.lines = [*text.split("\n"), ""]
        mark, began = error.problem_mark, error.context_mark  # type: ignore[attr-defined]
        self.line, self.column = min(mark.line, len(self.lines) - 1), mark.column
        self.began = None if began is None else (began.line, began.column)
        self.context, self.problem = error.context or "", error.problem or ""  # type: ignore[attr-defined]
        self.sign = self.lines[self.line][self.column : self.column + 1]

    def here(self, what: Message, remedy: Message) -> Slip:
        return Slip(self.line + 1, self.column + 1, what, remedy)

    def above(self) -> int | None:
        """The last line before the error's that is neither empty nor a remark, from 0."""
        rows = range(self.line - 1, -1, -1)
        return next(
            (row for row in rows if self.lines[row].strip() and not self.lines[row].lstrip().startswith("#")), None
        )


def _own_quote(look: _Look) -> Slip | None:
    """A quote that opens and does not close on its line: all that follows was taken for text."""
    if "quoted scalar" in look.context and "escape" in look.problem:
        column = look.lines[look.line].rfind("\\", 0, look.column + 1)
        what = say("a backslash in double quotes begins a special sign")
        return Slip(look.line + 1, column + 1, what, say("use single quotes"))
    opened = look.began if "quoted scalar" in look.context else _open_quote(look.text)
    if opened is None:
        return None
    quote = look.lines[opened[0]][opened[1]]
    what = say("the quote {quote} that opens here is not closed on its line", quote=quote)
    return Slip(opened[0] + 1, opened[1] + 1, what, say("close it with {quote}", quote=quote))


def _open_quote(text: str) -> tuple[int, int] | None:
    """Where a quote opens that closes on a later line, from 0."""
    for token in _tokens(text):
        begin, end = token.start_mark, token.end_mark
        if isinstance(token, yaml.ScalarToken) and token.style in {"'", '"'} and end.line > begin.line:
            return begin.line, begin.column
    return None


def _open_bracket(text: str) -> tuple[int, int] | None:
    """Where the innermost bracket opens that does not close, from 0."""
    opened: list[tuple[int, int]] = []
    for token in _tokens(text):
        if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
            opened.append((token.start_mark.line, token.start_mark.column))
        elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken) and opened:
            opened.pop()
    return opened[-1] if opened else None


def _tokens(text: str) -> Iterator[Any]:
    """What can be told apart before the reader gives up."""
    scanner = reader(PythonParser)(text)
    with suppress(yaml.YAMLError):
        while scanner.check_token():
            yield scanner.get_token()


def _tab(look: _Look) -> Slip | None:
    line = look.lines[look.line]
    indent = line[: len(line) - len(line.lstrip())]
    column = look.column if look.sign == "\t" else indent.find("\t")
    if column < 0:
        return None
    return Slip(look.line + 1, column + 1, say("a tab stands here"), say("begin lines with spaces only"))


def _second_document(look: _Look) -> Slip | None:
    if "single document" not in look.context:
        return None
    return look.here(say("a second file begins here"), say("remove the line `---`"))


def _word_of_yaml(look: _Look) -> Slip | None:
    """Tags, merges, directives: words that settings do without."""
    if look.lines[look.line].startswith("%"):
        return Slip(look.line + 1, 1, say("a line cannot begin with `%`"), say("remove it"))
    if "merging" in look.problem:
        row = next(row for row in range(look.line, -1, -1) if "<<" in look.lines[row])
        return Slip(row + 1, look.lines[row].index("<<") + 1, *_meant("<<"))
    if "unhashable" in look.problem:
        return look.here(say("a key is one word"), say("write it without brackets"))
    if "constructor for the tag" in look.problem:
        word = re.split(r"[\s,\]}]", look.lines[look.line][look.column :], maxsplit=1)[0]
        return look.here(*_meant(word))
    return None


def _meant(word: str) -> tuple[Message, Message]:
    return say("`{word}` has a meaning of its own in YAML", word=word), say("put it in quotes, or remove it")


def _first_sign(look: _Look) -> Slip | None:
    if "cannot start any token" not in look.problem:
        return None
    return look.here(say("a value cannot begin with {sign}", sign=look.sign), say("put it in quotes"))


def _glued(look: _Look) -> Slip | None:
    """`key:value` is one word to YAML."""
    for row in (look.above(), look.line):
        found = None if row is None else _GLUED.fullmatch(look.lines[row])
        if row is not None and found and not found["value"].startswith("//"):
            what, remedy = fault_of_glued(found["key"], found["value"])
            return Slip(row + 1, found.end("key") + 2, what, remedy)
    return None


def fault_of_glued(key: str, value: str) -> tuple[Message, Message]:
    """What to say of a colon without a space after it."""
    return say("no space follows the colon of `{key}`", key=key), say("write `{key}: {value}`", key=key, value=value)


def _bracket(look: _Look) -> Slip | None:
    is_open = look.began is not None and look.lines[look.began[0]][look.began[1] : look.began[1] + 1] in _CLOSING
    opened = look.began if is_open else _open_bracket(look.text)
    if "flow" in look.context and opened is not None:
        line, column = opened
        bracket = look.lines[line][column : column + 1]
        what = say("the bracket {bracket} that opens here is not closed", bracket=bracket)
        remedy = say("close it with {closing}, with commas between", closing=_CLOSING[bracket])
        return Slip(line + 1, column + 1, what, remedy)
    if look.sign and look.sign in "]}":
        return look.here(say("the bracket {bracket} closes nothing", bracket=look.sign), say("remove it"))
    return None


def _after_quote(look: _Look) -> Slip | None:
    before = look.lines[look.line][: look.column].rstrip()
    if not before or before[-1] not in "'\"" or look.sign in {"", "#"}:
        return None
    remedy = say("put the whole value in one pair of quotes, double ones if a single one is in it")
    return look.here(say("something follows the closing quote"), remedy)


def _second_colon(look: _Look) -> Slip | None:
    if "mapping values are not allowed" not in look.problem:
        return None
    found = _KEY.match(look.lines[look.line][: look.column] + " ")
    if not found or look.sign != ":":
        return None
    return look.here(
        say("a second colon stands in the line"), say("put the value of `{key}` in quotes", key=found["key"])
    )


def _no_colon(look: _Look) -> Slip | None:
    """A word on a line of its own, and keys below it; or a key and its value with a space alone between them."""
    if "simple key" in look.context and look.began is not None:
        row, column = look.began
        key = look.lines[row][column:].split()[0]
        return Slip(row + 1, column + 1, say("no colon follows `{key}`", key=key), say("write `{key}:`", key=key))
    row = look.above()
    found = (
        None
        if row is None
        else re.fullmatch(r"(?P<lead>\s*(?:- +)*)(?P<key>\w+)(?P<rest> .*)?", look.lines[row].rstrip())
    )
    if row is None or not found or ": " in found[0] or found[0].endswith(":"):
        return None
    if "-" in found["lead"] and not found["rest"]:  # an item of a list
        return None
    key = found["key"]
    return Slip(
        row + 1, found.start("key") + 1, say("no colon follows `{key}`", key=key), say("write `{key}:`", key=key)
    )


def _column_of(line: str) -> int:
    """Where the first key of a line begins, from 0, behind the `- ` of lists."""
    return len(line) - len(re.sub(r"^\s*(?:- +)*", "", line))


def _indent(look: _Look) -> Slip | None:
    """A key, or a `- `, in another column than those that it belongs with."""
    line, row = look.lines[look.line], look.above()
    if not line.strip() or row is None:
        return None
    is_item = line.lstrip().startswith("-")
    column = len(line) - len(line.lstrip())
    columns: list[int] = []
    limit = len(line) + 1_000
    for each in reversed(look.lines[: row + 1]):
        if not each.strip() or each.lstrip().startswith("#"):
            continue
        begin = len(each) - len(each.lstrip())
        starts = [begin, _column_of(each)] if each.lstrip().startswith("- ") else [begin]
        kept = [start for start in starts if start < limit]
        columns += [kept[-1] if not is_item else kept[0]] if kept else []
        limit = min(limit, begin)
    if column in columns:
        return None
    near = sorted(sorted({each + 1 for each in columns}, key=lambda each: abs(each - column - 1))[:2])
    places = say("{first} or {second}", first=near[0], second=near[-1]) if len(near) > 1 else str(near[0])
    what = say("begins in column {column}, where nothing above begins", column=column + 1)
    remedy = say("begin it in the column of what it belongs with: {places}", places=places)
    return Slip(look.line + 1, column + 1, what, remedy)


def _key_among_items(look: _Look) -> Slip | None:
    if look.began is None or look.sign in {"", "-"} or look.began[1] != look.column:
        return None
    if not look.lines[look.began[0]][look.began[1] :].startswith("- "):
        return None
    return look.here(say("a key stands among the `- ` of a list"), say("begin it with `- `, or indent it"))


def _item_among_keys(look: _Look) -> Slip | None:
    if look.sign != "-":
        return None
    return look.here(say("a `- ` stands among keys"), say("indent it, or write a key"))


def _anything(look: _Look) -> Slip:
    return look.here(say("cannot be read as settings from here on"), say("compare the line with config/kiosk.yaml"))


_DIAGNOSES = (
    _own_quote, _tab, _second_document, _word_of_yaml, _first_sign, _after_quote, _glued, _bracket, _second_colon, _no_colon,
    _key_among_items, _indent, _item_among_keys, _anything,
)  # fmt: skip
"""In the order in which they are tried: what is sure before what is likely."""
