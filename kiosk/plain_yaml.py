"""YAML of plain values, with nothing in it that overwhelms a reader.

PyYAML follows references that go round or stand for more than any memory holds, nests as deep as the text, and lets
through what its types raise: a thirteenth month, a number of 5,000 digits. Here all of that is a YAML error with its line.
"""

from __future__ import annotations

from typing import Any

import yaml

_DEEPEST = 20


class _Loader(yaml.SafeLoader):
    """YAML without references, which can stand for more than any memory holds, and no deeper than settings are."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="a reference (`*`)", problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        if self._depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:  # noqa: FBT001, FBT002  as in PyYAML
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # 2001-99-99, 5,000 digits, `!!bool x`
            raise yaml.MarkedYAMLError(
                problem="a value that is none of its kind", problem_mark=node.start_mark
            ) from error


def composed(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes and the values of this text; None for both if it is empty.

    Raises:
        YAMLError: It is no YAML, or more than plain.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()
