"""The page's texts, one catalogue a language, and which language a reader gets.

Texts are data of the package; what is put into them is escaped. Must not know what is said where.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from markupsafe import Markup, escape

LANGUAGES: Mapping[str, str] = {"zh": "中文", "en": "English"}
DEFAULT = "en"
_FOLDER = Path(__file__).parent / "texts"


class Say(Protocol):
    def __call__(self, key: str, **values: object) -> Markup: ...


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language by dotted key. Raises KeyError for a language that we do not speak."""
    if language not in LANGUAGES:
        raise KeyError(language)
    read = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{part}.{key}": text for part, texts in read.items() for key, text in texts.items()}


def say_in(language: str) -> Say:
    """A function that gives a text by key, with escaped values in its places. Raises KeyError for an unknown key."""
    texts = catalogue(language)

    def say(key: str, **values: object) -> Markup:
        return Markup(escape(texts[key])).format(**values)  # noqa: S704 - escaped here

    return say


def choose(cookie: str | None, accept: str) -> str:
    """What was chosen before, else what the browser asks for first among ours (RFC 9110, 12.5.4), else English."""
    if cookie in LANGUAGES:
        return str(cookie)
    wanted = sorted((_weighed(part) for part in accept[:1000].split(",")), key=lambda pair: -pair[0])
    for weight, tag in wanted:
        language = tag.partition("-")[0].lower()
        if weight > 0 and language in LANGUAGES:
            return language
    return DEFAULT


def _weighed(part: str) -> tuple[float, str]:
    tag, _, rest = part.strip().partition(";")
    name, _, number = rest.strip().partition("=")
    try:
        weight = float(number) if name.strip() == "q" else 1.0
    except ValueError:
        weight = 0.0
    return weight, tag.strip()
