"""Where keys come from: the environment, a file, the first use; and what is said of a wrong one."""

from __future__ import annotations

import base64
import logging
import os
import secrets
import stat
import threading
from pathlib import Path

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.store.keyring import KeyRing, grow, key_file, read_ring


def fresh(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def ids(ring: KeyRing) -> list[str]:
    return [key.id for key in ring.keys]


def test_the_environment_counts_alone_newest_first(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(fresh("file"))
    environ = {"SYNC_ASSETS_KEYS": f"{fresh('new')}, {fresh('old')},", "SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")}
    ring = read_ring(environ)
    assert (ids(ring), ring.newest.id, ring.place) == (["new", "old"], "new", "SYNC_ASSETS_KEYS")


def test_a_file_has_an_entry_a_line_in_either_alphabet_of_base64(tmp_path: Path) -> None:
    raw = b"\xff\xfe" * 16
    (tmp_path / "keys").write_text(f"# mine\n\n a:{base64.urlsafe_b64encode(raw).decode()}\r\n{fresh('b')}\n")
    (tmp_path / "keys").chmod(0o600)
    ring = read_ring({"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")})
    assert (ids(ring), ring.keys[0].raw) == (["a", "b"], raw)


def test_the_default_file_is_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path))
    assert key_file({}) == tmp_path / "keys"
    (tmp_path / "workspace.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert key_file({"SYNC_ASSETS_KEY_FILE": "deep/keys"}) == tmp_path / "deep" / "keys"


CANARY = "hunter2hunter2hunter2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CANARY, "line 1: no key with an id"),
        (f"bad id:{CANARY}", "line 1: no key with an id"),
        (f":{CANARY}", "line 1: no key with an id"),
        (f"a:{CANARY}!", "line 1: what follows the id is not base64"),
        (f"a:{CANARY}密", "line 1: what follows the id is not base64"),
        (f"a:{base64.b64encode(CANARY.encode()).decode()}", "line 1: the key has 21 bytes, not 32"),
        (f"a:{'A' * 43}=\na:{'B' * 43}=", "twice"),
        (f"a:{'A' * 43}=\nb:{'A' * 43}=", "twice"),
    ],
)
def test_a_wrong_entry_is_named_by_its_line_and_not_quoted(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "keys").write_text(text, encoding="utf-8")
    with pytest.raises(Stop) as refusal:
        read_ring({"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")})
    assert message in refusal.value.message
    assert "openssl rand" in refusal.value.hint or "drop" in refusal.value.hint
    assert CANARY not in str(refusal.value) and base64.b64encode(CANARY.encode()).decode() not in str(refusal.value)


def test_keys_show_themselves_nowhere(tmp_path: Path) -> None:
    entry = fresh("a")
    ring = read_ring({"SYNC_ASSETS_KEYS": entry})
    raw = ring.newest.raw
    shown = f"{ring} {ring!r} {ring.newest.fingerprint}"
    assert entry[2:] not in shown and raw.hex() not in shown and repr(raw)[2:-1] not in shown


def test_without_any_key_the_next_action_is_told(tmp_path: Path) -> None:
    ring = read_ring({"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")})
    with pytest.raises(Stop, match="put the key file back from its copy") as refusal:
        _ = ring.newest
    assert refusal.value.code == "key_missing"


def test_a_file_grows_at_its_head_and_is_private_whatever_the_umask(tmp_path: Path) -> None:
    environ = {"SYNC_ASSETS_KEY_FILE": str(tmp_path / "deep" / "keys")}
    before = os.umask(0)
    try:
        first = grow(read_ring(environ))
        second = grow(first)
    finally:
        os.umask(before)
    file = tmp_path / "deep" / "keys"
    assert read_ring(environ) == second
    assert second.keys[1:] == first.keys
    assert len(second.newest.raw) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_file_open_to_all_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    environ = {"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")}
    grow(read_ring(environ))
    assert not caplog.records
    (tmp_path / "keys").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        read_ring(environ)
    assert "can be read by every user" in caplog.text and "chmod 600" in caplog.text


def test_a_ring_of_the_environment_is_its_owners(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="put a new one in front"):
        grow(read_ring({"SYNC_ASSETS_KEYS": fresh("a")}))


def test_of_many_that_grow_one_file_at_once_none_loses_a_key(tmp_path: Path) -> None:
    """Each may fail with "changed meanwhile", but what was given out stays in the file."""
    environ = {"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")}
    made, refused = [], []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        for _ in range(10):
            try:
                made.append(grow(read_ring(environ)).newest.id)
            except Stop as error:
                refused.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) + len(refused) == 80 and len(made) >= 8
    assert set(refused) <= {"key_changed"}
    assert sorted(ids(read_ring(environ))) == sorted(made)


@pytest.mark.parametrize("change", ["folder", "binary"])
def test_a_file_that_cannot_be_used_says_so(tmp_path: Path, change: str) -> None:
    if change == "folder":
        (tmp_path / "keys").mkdir()
    else:
        (tmp_path / "keys").write_bytes(b"a:\xff")
    with pytest.raises(Stop, match="cannot be read"):
        read_ring({"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")})


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ring = read_ring({"SYNC_ASSETS_KEY_FILE": str(tmp_path / "other")})
    nowhere = KeyRing((), "x", tmp_path / "file" / "keys")
    assert ring.keys == ()
    with pytest.raises(Stop, match="cannot be"):
        grow(nowhere)
