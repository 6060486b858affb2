"""YAML of plain values, with nothing in it that overwhelms a reader.

PyYAML follows references that go round or stand for more than any memory holds, nests as deep as the text, and lets
through what its types raise: a thirteenth month, a number of 5,000 digits. Here all of that is a YAML error with its line.

libyaml reads the text, where PyYAML was built with it, as all its wheels are: six times as fast, and 1,500 open brackets, at each of
which PyYAML's own reader looks at all those before it, take 1 ms instead of 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from kiosk.errors import BEGIN_A_FILE, ConfigError
from kiosk.language.message import Message, say

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES = 1 << 16
"""Eight times the example with every key and its remark."""
_DEEPEST = 20


class NotPlainError(yaml.MarkedYAMLError):
    """YAML, and more of it than settings need.

    Attributes:
        what: What is wrong.
        remedy: What to do.
    """

    def __init__(self, what: Message, remedy: Message, mark: yaml.Mark) -> None:
        super().__init__(problem=what, problem_mark=mark)
        self.what = what
        self.remedy = remedy


def _too_deep(mark: yaml.Mark) -> NotPlainError:
    return NotPlainError(say("nested too deeply"), say("close the brackets, and begin lines further left"), mark)


class PythonParser(Reader, Scanner, Parser):
    """The text as events, without libyaml."""

    flow_level: int

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def fetch_flow_collection_start(self, token: Any) -> None:  # noqa: ANN401  a class of tokens
        """As PyYAML's, but counting."""
        if self.flow_level > _DEEPEST:
            raise _too_deep(self.get_mark())
        super().fetch_flow_collection_start(token)


class _Plain(Composer, SafeConstructor, Resolver):
    """Values without references, and no deeper than settings are."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # type: ignore[attr-defined]
            mark = self.peek_event().start_mark  # type: ignore[attr-defined]
            raise NotPlainError(
                say("a reference (`*`) stands here"), say("write the value itself, or put it in quotes"), mark
            )
        if self._depth > _DEEPEST:
            raise _too_deep(self.peek_event().start_mark)  # type: ignore[attr-defined]
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:  # noqa: FBT001, FBT002  as in PyYAML
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # 2001-99-99, 5,000 digits, `!!bool x`
            what = say("a date, a time or a number that there is not")
            raise NotPlainError(what, say("correct it, or put it in quotes"), node.start_mark) from error


def reader(parser: Any) -> Any:  # noqa: ANN401  PyYAML's types know no mixture
    """A class that reads with this parser: composed by us, so that what is counted is counted with both."""

    class Loader(_Plain, parser):  # type: ignore[misc]
        def __init__(self, text: str) -> None:
            parser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return Loader


_LOADER = reader(yaml.cyaml.CParser if yaml.__with_libyaml__ else PythonParser)  # type: ignore[attr-defined]


def text_of(path: Path) -> str:
    """What is in a file of settings.

    Raises:
        ConfigError: It cannot be read, is no text, or is larger than settings are.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(
                say("{path} is larger than {most} bytes", path=path, most=LARGEST_BYTES),
                hint=say("name the configuration with --config"),
            )
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(say("{path} does not exist", path=path), hint=BEGIN_A_FILE) from error
    except OSError as error:
        raise ConfigError(
            say("{path} cannot be read: {reason}", path=path, reason=error.strerror),
            hint=say("check its owner and its mode"),
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(say("{path} is not UTF-8", path=path), hint=say("save it as UTF-8")) from error


def composed(text: str, loader_class: Any = _LOADER) -> tuple[yaml.Node | None, Any]:  # noqa: ANN401
    """The nodes and the values of this text; None for both if it is empty.

    Args:
        text: The text.
        loader_class: What reads it.

    Raises:
        YAMLError: It is no YAML, or more than plain.
    """
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()
