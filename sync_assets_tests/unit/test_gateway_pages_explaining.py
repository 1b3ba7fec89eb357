"""Every error that a user of the page can meet has a sentence in Chinese. Codes and texts are read from the sources
that raise them, so that a new one is asked for here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sync_assets
from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.exchange.plan import CONFLICT
from sync_assets.exchange.ways import CLEARED_FIRST
from sync_assets.exchange.work import AlreadyRunning
from sync_assets.gateway.pages.explaining import explain, meanings
from sync_assets.gateway.pages.words import LANGUAGES

ROOT = Path(sync_assets.__file__).parent
# What a sync or its beginning can meet. `store` besides the exchange: where a peer's key is, and the control database.
RAISING = ("exchange", "project/exchange", "store/exchange", "gateway/exchanging.py", "gateway/receiving.py",
           "store/secrets.py", "store/session.py", "store/gateway/audit.py")  # fmt: skip
OF_KEYS = ("store/vault.py", "store/keyring.py")  # opened for a key of the kind store:NAME
NEVER_HERE = {"secret_exists", "key_changed", "key_environment"}  # of commands that store and rotate
# Codes that are made at run time, and what they can be.
MADE = {
    "f'http_{status}'": ("http_401", "http_403", "http_500", "http_503", "http_429", "http_408"),
    "f'unknown_{what}'": ("unknown_repository", "unknown_task", "unknown_document"),
    "_code(status, said)": ("http_400", "http_404", "http_409", "unknown_repository", "refused"),
    "_word(of.get('code'))": ("refused", "invalid", "other_repository", "unknown_repository"),
    "error.code": (),  # of one that is raised here besides
    "code": (),
    "state": ("42501", "42P01", "3F000", "08006", "40001", "53100", "53300", "55P03", "57P01"),
}


def _sources(*places: str) -> Iterator[tuple[Path, ast.AST]]:
    for place in places:
        files = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))
        assert files, place
        for file in files:
            yield from ((file, node) for node in ast.walk(ast.parse(file.read_text("utf-8"))))


def _codes(*places: str) -> set[str]:
    """What is given as `code=`."""
    found: set[str] = set()
    for file, node in _sources(*places):
        if isinstance(node, ast.keyword) and node.arg == "code":
            if isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
            else:
                made = ast.unparse(node.value)
                assert made in MADE, f"{file.name}:{node.value.lineno}: say in MADE what {made} can be"
                found.update(MADE[made])
    return found - {""}


def _without_code(*places: str) -> Iterator[str]:
    """The texts of errors that are made without a code."""
    kinds = {kind.__name__ for kind in _kinds(SyncError)} - {AlreadyRunning.__name__}  # it has its own
    for file, node in _sources(*places):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
            named = {keyword.arg for keyword in node.keywords}
            if "code" not in named and node.args:
                yield f"{file.name}:{node.lineno}: {_shown(node.args[0])}"


def _kinds(kind: type[SyncError]) -> Iterator[type[SyncError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _shown(node: ast.AST) -> str:
    """A text with xx in its places."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_shown(value) for value in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "xx"


def test_there_is_something_to_explain() -> None:
    assert {"tls", "address", "connect", "unknown_document", "confirm", "not_replacing"} <= _codes(*RAISING)


def test_every_code_has_a_sentence() -> None:
    known = meanings("zh")
    assert known is not None
    raised = _codes(*RAISING) | (_codes(*OF_KEYS) - NEVER_HERE)
    assert {code for code in raised if not known.of_code(code)} == set()


def test_every_sentence_is_of_a_code_that_is_raised() -> None:
    known = meanings("zh")
    assert known is not None
    raised = _codes(*RAISING) | _codes(*OF_KEYS)
    used = {code for code in known.codes if any(_is_of(code, one) for one in raised)}
    assert set(known.codes) - used == {"http_413"} - raised


def _is_of(code: str, raised: str) -> bool:
    return raised.startswith(code[:-1]) if code.endswith("*") else raised == code


def test_every_error_without_a_code_is_known_by_its_text() -> None:
    unknown = [one for one in _without_code(*RAISING) if not explain(one.partition(": ")[2], "zh")]
    assert unknown == []


def test_the_texts_that_are_known_are_those_of_the_engine() -> None:
    """A text that was worded anew would be shown in English only, without a complaint."""
    known = meanings("zh")
    assert known is not None
    said = {_shown(node) for _, node in _sources(*RAISING) if isinstance(node, ast.Constant | ast.JoinedStr)}
    assert {pattern.pattern for pattern in known.notes if not any(pattern.fullmatch(text) for text in said)} == set()


def test_sentences_are_chinese_and_say_what_to_do() -> None:
    known = meanings("zh")
    assert known is not None
    for sentence in (*known.codes.values(), *known.notes.values()):
        assert re.search(r"[\u4e00-\u9fff]", sentence) and sentence.endswith("。"), sentence


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (Stop("peer berlin, ping: HTTP 401, our key does not count", hint="check [it]", code="http_401"), "对端不认可"),
        (Retry("peer berlin, packs: HTTP 502, after 5 attempts", code="http_502"), "对端内部出错"),
        (Retry("peer berlin, packs: HTTP 418", code="http_418"), "对端拒绝了此请求"),
        (CONFLICT, "另一端的同一版本"),
        (f"document 12: {CONFLICT}", "文档 12：另一端"),
        (f"{CLEARED_FIRST}; nothing was cleared, because 3 of 7 failed", "对端不支持先传输后清空"),
        ("nothing was cleared, because 3 of 7 failed", "有 3 / 7 个任务失败"),
        ("ended by MemoryError", "因意外错误而中止（MemoryError）"),
    ],
)
def test_errors_are_explained_by_code_or_text(error: SyncError | str, begins: str) -> None:
    assert explain(str(error), "zh").startswith(begins)
    assert explain(str(error), "en") == ""


def test_notes_that_were_put_together_are_explained_each() -> None:
    said = explain(f"{CLEARED_FIRST}; nothing was cleared, because 3 of 7 failed", "zh")
    assert "对端不支持先传输后清空" in said and "有 3 / 7 个任务失败" in said


@pytest.mark.parametrize(
    "text", ["", "something that nobody knows", "a title [tls]ed", "document 1: what", "{kind} {0}"]
)
def test_what_is_not_known_has_no_sentence(text: str) -> None:
    assert explain(text, "zh") == ""


def test_a_language_without_sentences_has_the_engines_text() -> None:
    assert [language for language in LANGUAGES if meanings(language) is None] == ["en"]
