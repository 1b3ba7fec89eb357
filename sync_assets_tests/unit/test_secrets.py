"""References to secrets: what opens, what is refused and with which words, and that a value shows nowhere."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from pathlib import Path

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.store.secrets import Secret, expand, is_reference, opener, resolve

VALUE = "p@ss/w#rd%'\" x"


def test_a_variable_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", VALUE)
    assert resolve("env:SHOP_PASSWORD").reveal() == VALUE


def test_opened_late_and_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    late = opener("env:SHOP_PASSWORD")
    monkeypatch.setenv("SHOP_PASSWORD", "first")
    assert late() == "first"
    monkeypatch.setenv("SHOP_PASSWORD", "second")
    assert late() == "second"


@pytest.mark.parametrize(
    ("written", "value"),
    [("x y", "x y"), ("secret\n", "secret"), ("secret\r\n", "secret"), (" s \n\n", " s \n"), ("密码🔑\n", "密码🔑")],
)
def test_a_file_is_opened_without_its_last_newline(tmp_path: Path, written: str, value: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(written.encode())
    assert resolve(f"file:{file}").reveal() == value


def test_a_relative_file_counts_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workspace.yaml").touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "secret").write_text("found")
    monkeypatch.chdir(tmp_path / "deep")
    assert resolve("file:secret").reveal() == "found"


def test_a_file_open_to_all_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "open-to-all"  # no word that another test may have made a secret: those are masked in the log
    file.write_text(VALUE)
    file.chmod(0o600)
    resolve(f"file:{file}")
    assert not caplog.records
    file.chmod(0o644)
    resolve(f"file:{file}")
    assert f"{file} can be read by every user" in caplog.text and "chmod 600" in caplog.text


@pytest.mark.parametrize(
    ("ref", "message", "hint"),
    [
        ("env:NO_SUCH", "environment variable NO_SUCH is not set", "export NO_SUCH="),
        ("env:EMPTY", "environment variable EMPTY is empty", "export EMPTY="),
        ("file:/no/such", "secret file /no/such does not exist", "mode 600"),
        ("file:/", "secret file / cannot be read: IsADirectoryError", "text file"),
        ("hunter2hunter2", "a secret is not a reference", "write env:NAME, file:PATH or store:NAME"),
        ("https://hook/abc", "a secret is not a reference", "write env:NAME"),
        ("env:", "a secret is not a reference", "write env:NAME"),
        ("", "a secret is not a reference", "write env:NAME"),
    ],
)
def test_what_cannot_be_opened_says_what_to_do(
    ref: str, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(Stop) as refusal:
        resolve(ref)
    assert message == refusal.value.message
    assert hint in refusal.value.hint
    assert "hunter2" not in str(refusal.value) and "hook" not in str(refusal.value)


def test_an_empty_or_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\n")
    with pytest.raises(Stop, match="is empty"):
        resolve(f"file:{file}")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Stop, match="cannot be read: UnicodeDecodeError"):
        resolve(f"file:{file}")


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(VALUE)
    for shown in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>20}",
        f"{secret} {secret!r}",
        repr([secret]),
    ):
        assert VALUE not in shown and "***" in shown
    with pytest.raises(TypeError):
        json.dumps(secret)
    for writing in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="send its reference"):
            writing(secret)


def test_secrets_are_equal_by_value_and_unlike_texts() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("") and Secret("a")


def test_plain_fields_may_name_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_HOST", "db.example")
    assert expand("env:SHOP_HOST") == "db.example"
    assert expand("db.example") == "db.example"
    assert expand("file:x") == "file:x"
    with pytest.raises(Stop, match="NO_SUCH is not set"):
        expand("env:NO_SUCH")


def test_references_are_told_from_values() -> None:
    assert [is_reference(text) for text in ("env:A", "file:a", "store:a", "secret", "envA")] == [True] * 3 + [False] * 2


def test_no_value_in_the_message_of_any_refusal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"canary-value\xff")
    with caplog.at_level(logging.DEBUG), pytest.raises(Stop) as refusal:
        resolve(f"file:{file}")
    chain = [refusal.value, refusal.value.__cause__]
    assert "canary" not in caplog.text + "".join(map(str, chain))
    assert refusal.value.__suppress_context__
