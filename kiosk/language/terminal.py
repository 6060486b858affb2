"""Messages in the language of whoever reads the terminal, as `LC_ALL`, `LANG` and `LANGUAGE` name it; English where it is not here.

A catalogue is a file beside this one, `vi.po`, read when it is needed: a station's services have no language in their
environment, so what they print and log is English. A terminal that cannot show a language's letters gets English, too.

Sources:
    [1] gettext manual, "Locale Environment Variables" and "The LANGUAGE variable": which variable wins; with the locale C, `LANGUAGE` counts
        for nothing.
"""

from __future__ import annotations

import io
import os
import re
import sys
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk.language.message import rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOGUES = Path(__file__).parent
_ENGLISH = "en"


def told(message: str) -> str:
    """The message for the terminal of this process."""
    return rendered(message, _catalogue(language_of(os.environ, sys.stdout.encoding)).gettext)


def language_of(environment: Mapping[str, str], encoding: str | None = None) -> str:
    """The first language that is wished for and that is here [1].

    Args:
        environment: Variables of the process.
        encoding: Of the terminal; None for one that shows every letter.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    if locale in {"C", "POSIX"}:
        return _ENGLISH
    for wish in [*environment.get("LANGUAGE", "").split(":"), locale]:
        language = re.split(r"[_.@]", wish, maxsplit=1)[0].lower()
        if language == _ENGLISH:
            break
        if language.isalpha() and (CATALOGUES / f"{language}.po").exists() and _shows(encoding, language):
            return language
    return _ENGLISH


def _shows(encoding: str | None, language: str) -> bool:
    if encoding is None:
        return True
    try:
        (CATALOGUES / f"{language}.po").read_text("utf-8").encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@lru_cache
def _catalogue(language: str) -> NullTranslations:
    if language == _ENGLISH:
        return NullTranslations()
    import polib  # noqa: PLC0415  services and English terminals do without it

    return GNUTranslations(io.BytesIO(polib.pofile(str(CATALOGUES / f"{language}.po")).to_binary()))
