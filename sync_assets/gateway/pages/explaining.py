"""What an error means, in the reader's language: a sentence beside the engine's own text, never in place of it.

Errors are known by their code, which their text holds (`message [code] -> hint`), a few by their text. Readers of
English have the engine's text. Must not know what is shown where.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "texts"
_CODE = re.compile(r" \[([A-Za-z0-9_]+)\](?= -> |$)")
_OF_DOCUMENT = re.compile(r"document (\d+): (.*)", re.DOTALL)
_PLACE = re.compile(r"\\{(\w+)\\}")


@dataclass(frozen=True, slots=True)
class Meanings:
    """The sentences of one language. `notes`: what has no code, by its pattern. `document`: of one among many."""

    codes: Mapping[str, str]
    notes: Mapping[re.Pattern[str], str]
    document: str

    def of_code(self, code: str) -> str:
        """Its own sentence, that of its family (`http_4*`), or nothing."""
        if code in self.codes:
            return self.codes[code]
        families = (code[:end] + "*" for end in range(len(code), 0, -1))
        return next((self.codes[family] for family in families if family in self.codes), "")

    def of_text(self, text: str) -> str:
        for pattern, sentence in self.notes.items():
            found = pattern.fullmatch(text)
            if found:
                return sentence.format(**found.groupdict())
        return ""


@cache
def meanings(language: str) -> Meanings | None:
    """None for a language whose readers have the engine's text."""
    file = _FOLDER / f"errors.{language}.toml"
    if not file.is_file():
        return None
    read = tomllib.loads(file.read_text(encoding="utf-8"))
    return Meanings(
        read["code"], {pattern_of(one["text"]): one["says"] for one in read["note"]}, read["of"]["document"]
    )


def pattern_of(text: str) -> re.Pattern[str]:
    """Finds a text with anything in its {places}."""
    return re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(text)), re.DOTALL)


def explain(text: str, language: str, code: str = "") -> str:
    """What an error means; nothing where we have no sentence, or the reader needs none."""
    known = meanings(language)
    if known is None or not text:
        return ""
    if code and known.of_code(code):
        return known.of_code(code)
    of = _OF_DOCUMENT.fullmatch(text)
    if of is None:
        return _said(known, text)
    said = _said(known, of[2])
    return known.document.format(number=of[1], said=said) if said else ""


def _said(known: Meanings, text: str) -> str:
    """By the code that is in it; of notes that were put together each by itself."""
    by_code = [known.of_code(code) for code in _CODE.findall(text)]
    return "".join(dict.fromkeys(one for one in (*by_code, *_of_notes(known, text)) if one))


def _of_notes(known: Meanings, text: str) -> Iterator[str]:
    whole = known.of_text(text)
    yield from [whole] if whole else (known.of_text(note) for note in text.split("; "))
