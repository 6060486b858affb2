"""A message: an English sentence that still knows its words and its values, so that it can be told in another language.

It is a `str`: logs, JSON and tests go on with the English. Whoever prints it to a person's terminal has it told by
`kiosk.language.terminal`; here is no I/O, so that decisions can make messages. `say` marks a sentence for the catalogues: `make
words` gathers what stands in it, so it is given a literal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Message(str):
    """The English text.

    Attributes:
        template: Its words, with the names of the values in braces if there are any.
        values: The values by their names; a message among them is told in the same language.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> Self:
        """Fill the values in."""
        message = super().__new__(cls, template.format(**values) if values else template)
        message.template = template
        message.values = values
        return message

    def __getnewargs__(self) -> tuple[str, Mapping[str, object]]:  # type: ignore[override]
        """What a copy is made of."""
        return self.template, self.values


def say(template: str, /, **values: object) -> Message:
    """A sentence for people.

    Args:
        template: Its English words, a literal; braces have a meaning only where there are values.
        values: What stands in its braces.
    """
    return Message(template, values)


def joined(separator: str, parts: Iterable[str]) -> Message:
    """Several messages as one; each is told for itself."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    return Message(separator.replace("{", "{{").replace("}", "}}").join(f"{{{name}}}" for name in values), values)


def rendered(message: str, find: Callable[[str], str]) -> str:
    """The message in other words.

    Args:
        message: A message, or a text that may be one's words.
        find: The other language's words for a template; the same for one that it does not know.
    """
    if not isinstance(message, Message):
        return find(message) if message else message
    template = find(message.template) if message.template else ""
    if not message.values:
        return template
    values = {
        name: rendered(value, find) if isinstance(value, Message) else value for name, value in message.values.items()
    }
    return template.format(**values)
