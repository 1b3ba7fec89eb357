"""The catalogues of the page's texts, and which language a reader gets."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from markupsafe import Markup

from sync_assets.gateway.pages import words

TEMPLATES = Path(words.__file__).parent / "templates"
STATES = {"state": ("in_progress", "completed", "partial", "failed", "pending", "succeeded", "skipped"),
          "repository": ("pending", "cloning", "ready", "analyzing", "completed", "error"),
    "task": ("pending", "queued", "running", "succeeded", "failed", "canceled")}  # fmt: skip


def _places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


def test_both_languages_say_the_same_things() -> None:
    english, chinese = words.catalogue("en"), words.catalogue("zh")
    assert list(english) == list(chinese)
    assert {key: _places(text) for key, text in english.items()} == {k: _places(t) for k, t in chinese.items()}
    assert all(text.strip() for text in (*english.values(), *chinese.values()))


def test_chinese_is_chinese() -> None:
    latin_only = [key for key, text in words.catalogue("zh").items() if not re.search(r"[\u4e00-\u9fff]", text)]
    assert latin_only == []


def test_what_templates_say_is_in_the_catalogue_and_nothing_else_is() -> None:
    text = "".join(path.read_text() for path in TEMPLATES.iterdir())
    said = set(re.findall(r"'([a-z]+\.[a-z_]+)'", text))
    begun = {key for start in re.findall(r"t\('([a-z]+\.)' ~", text) for key in words.catalogue("en")
             if key.startswith(start)}  # fmt: skip
    assert said <= set(words.catalogue("en"))
    assert set(words.catalogue("en")) - said - begun == set()


@pytest.mark.parametrize("kind", STATES)
def test_every_state_has_a_word(kind: str) -> None:
    for language in words.LANGUAGES:
        assert {f"{kind}.{state}" for state in STATES[kind]} <= set(words.catalogue(language))


def test_values_are_escaped_and_are_no_templates() -> None:
    say = words.say_in("en")
    assert say("documents.title", name="<b>") == Markup("Documents of &lt;b&gt;")
    assert say("documents.title", name="{0} {name}") == Markup("Documents of {0} {name}")


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (None, "", "en"),
        (None, "zh", "zh"),
        (None, "zh-Hant-TW;q=0.7, en;q=0.3", "zh"),
        (None, "de, en;q=0.5, zh;q=0.9", "zh"),
        (None, "zh;q=0, fr", "en"),
        (None, "zh;q=nonsense", "en"),
        (None, "*", "en"),
        ("zh", "en", "zh"),
        ("en", "zh", "en"),
        ("xx", "zh", "zh"),
        ("../en", "", "en"),
        (None, "zh," * 100_000, "zh"),
    ],
)
def test_the_language_that_a_reader_gets(cookie: str | None, accept: str, language: str) -> None:
    assert words.choose(cookie, accept) == language


def test_a_language_that_we_do_not_speak_is_no_file() -> None:
    with pytest.raises(KeyError):
        words.catalogue("../texts/en")
