"""Secrets at rest on PostgreSQL: what opens, what is refused, and that a rotation leaves nothing under the old key."""

from __future__ import annotations

import base64
import itertools
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.store import migrations
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.store.keyring import KeyRing, read_ring
from sync_assets.store.vault import Vault

VALUE = "p@ss/w#rd%'\" x:? 密"


def fresh(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


@dataclass
class Cellar:
    """A vault with its database and its keys in hand: `environ` is what each new reading of the ring sees."""

    address: Address
    store: PostgresStore
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def vault(self, **environ: str) -> Vault:
        return Vault(self.store.sessions, lambda: read_ring({**self.environ, **environ}))

    @property
    def file(self) -> Path:
        return self.folder / "keys"

    def ring(self) -> KeyRing:
        return read_ring(self.environ)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.address.arguments()) as connection:
            cursor = connection.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def cellar(store: PostgresStore, control_database: Address, tmp_path: Path) -> Cellar:
    return Cellar(control_database, store, tmp_path, {"SYNC_ASSETS_KEY_FILE": str(tmp_path / "keys")})


def refused(work: Callable[[], object]) -> Stop:
    with pytest.raises(Stop) as refusal:
        work()
    assert VALUE not in str(refusal.value)
    assert refusal.value.hint
    return refusal.value


# -- storing and opening ----------------------------------------------------------------------------------------


def test_the_first_value_makes_the_key_file_and_opens_again(cellar: Cellar) -> None:
    assert cellar.vault().put("shop", "secret", VALUE) == cellar.file
    assert cellar.vault().put("feishu", "secret", "other") is None
    assert cellar.vault().open("shop").reveal() == VALUE
    first, second = cellar.vault().entries()
    assert [first.name, second.name] == ["feishu", "shop"]
    assert first.key_id == second.key_id == cellar.ring().newest.id
    assert (second.kind, second.version) == ("secret", 1)


@pytest.mark.parametrize("value", ["x", "密码🔑", "a\nb\r\n\t", " ", "x" * 65536, VALUE])
def test_any_text_comes_back_as_it_was(cellar: Cellar, value: str) -> None:
    cellar.vault().put("shop", "secret", value)
    assert cellar.vault().open("shop").reveal() == value


def test_no_two_boxes_share_a_nonce_nor_look_alike(cellar: Cellar) -> None:
    for number in range(200):
        cellar.vault().put(f"s{number}", "secret", VALUE)
    cellar.vault().put("s0", "secret", VALUE, replace=True)
    rows = cellar.sql("select nonce, ciphertext from sync_assets.secret")
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == 200


def test_the_database_refuses_a_nonce_that_comes_twice(cellar: Cellar) -> None:
    for name in ("a", "b"):
        cellar.vault().put(name, "secret", VALUE)
    with pytest.raises(psycopg.errors.UniqueViolation):
        cellar.sql("update sync_assets.secret set nonce = (select nonce from sync_assets.secret where name = 'a')")


def test_a_taken_name_needs_replace_and_a_missing_one_is_named(cellar: Cellar) -> None:
    cellar.vault().put("shop", "secret", "one")
    assert "--replace" in refused(lambda: cellar.vault().put("shop", "secret", VALUE)).hint
    cellar.vault().put("shop", "postgres", "two", replace=True)
    assert cellar.vault().open("shop").reveal() == "two"
    assert (cellar.vault().entries()[0].version, cellar.vault().entries()[0].kind) == (2, "postgres")
    missing = refused(lambda: cellar.vault().open("shopp"))
    assert (missing.code, "connections add shopp" in missing.hint) == ("secret_missing", True)
    cellar.vault().remove("shop")
    assert cellar.vault().entries() == []
    assert refused(lambda: cellar.vault().remove("shop")).code == "secret_missing"


def test_a_database_of_the_version_before_gets_the_tables(cellar: Cellar) -> None:
    from sync_assets.store.vault import open_vault

    cellar.sql("drop schema sync_assets cascade")
    cellar.sql("create schema sync_assets")
    cellar.sql((Path(migrations.__file__).parent / "versions" / "0001_control.sql").read_text("utf-8"))
    cellar.sql("create table sync_assets.alembic_version (version_num varchar(32) primary key)")
    cellar.sql("insert into sync_assets.alembic_version values ('0001')")
    lease = cellar.store.acquire_lease("board", "me", 30)
    with open_vault(lambda: cellar.address, cellar.environ) as vault:
        vault.put("shop", "secret", VALUE)
        assert vault.open("shop").reveal() == VALUE
    cellar.store.renew_lease(lease)


# -- rows that are not as they were -----------------------------------------------------------------------------


def swap(cellar: Cellar, one: str, other: str) -> None:
    for old, new in ((one, "aside"), (other, one), ("aside", other)):
        cellar.sql("update sync_assets.secret set name = %s where name = %s", new, old)


def test_every_swapped_row_is_refused(cellar: Cellar) -> None:
    """All pairs: each row whole in the other's place, alike in kind and version or not."""
    names = [f"s{number}" for number in range(6)]
    for number, name in enumerate(names):
        cellar.vault().put(name, "mysql" if number == 1 else "secret", VALUE)
        if number == 2:
            cellar.vault().put(name, "secret", VALUE, replace=True)
    tried = 0
    for pair in itertools.combinations(names, 2):
        swap(cellar, *pair)
        for name in pair:
            assert refused(lambda name=name: cellar.vault().open(name)).code == "secret_tampered"  # type: ignore[misc]
            tried += 1
        assert refused(cellar.vault().rotate).code == "secret_tampered"
        swap(cellar, *pair)
        assert [cellar.vault().open(name).reveal() for name in pair] == [VALUE, VALUE]
    assert tried == 30


CHANGES = [
    "name = 'shop2'",
    "kind = 'mysql'",
    "version = version + 1",
    *(f"nonce = set_byte(nonce, {at}, get_byte(nonce, {at}) # 1)" for at in range(12)),
    *(f"ciphertext = set_byte(ciphertext, {at}, get_byte(ciphertext, {at}) # 128)" for at in range(33)),
    "ciphertext = substr(ciphertext, 1, octet_length(ciphertext) - 1)",
    "ciphertext = substr(ciphertext, 2)",
    "ciphertext = ciphertext || '\\x00'::bytea",
]


def test_every_change_of_a_row_is_noticed(cellar: Cellar) -> None:
    cellar.vault().put("shop", "secret", "seventeen letters")
    [(length,)] = cellar.sql("select octet_length(ciphertext) from sync_assets.secret")
    assert length == 33, "each byte of it is changed below"
    for change in CHANGES:
        [before] = cellar.sql("select name, kind, version, nonce, ciphertext from sync_assets.secret")
        [(name,)] = cellar.sql(f"update sync_assets.secret set {change} returning name")
        error = refused(lambda name=name: cellar.vault().open(name))  # type: ignore[misc]
        assert error.code == "secret_tampered", change
        cellar.sql(
            "update sync_assets.secret set (name, kind, version, nonce, ciphertext) = (%s, %s, %s, %s, %s)", *before
        )
        assert cellar.vault().open("shop").reveal() == "seventeen letters"


def test_a_row_opens_in_no_other_deployment(cellar: Cellar) -> None:
    cellar.vault().put("shop", "secret", VALUE)
    [(deployment,)] = cellar.sql("select id from sync_assets.deployment")
    cellar.sql("update sync_assets.deployment set id = md5('another')::uuid")
    assert refused(lambda: cellar.vault().open("shop")).code == "secret_tampered"
    cellar.sql("update sync_assets.deployment set id = %s", deployment)
    assert cellar.vault().open("shop").reveal() == VALUE
    with pytest.raises(psycopg.Error):
        cellar.sql("insert into sync_assets.deployment (id) values (md5('a second')::uuid)")
    cellar.sql("delete from sync_assets.deployment")
    assert refused(lambda: cellar.vault().open("shop")).code == "deployment"


def test_a_row_under_the_id_of_another_key_is_refused(cellar: Cellar) -> None:
    old, new = fresh("old"), fresh("new")
    cellar.vault(SYNC_ASSETS_KEYS=old).put("a", "secret", VALUE)
    both = cellar.vault(SYNC_ASSETS_KEYS=f"{new},{old}")
    both.put("b", "secret", VALUE)
    cellar.sql("update sync_assets.secret set key_id = 'new' where name = 'a'")
    assert refused(lambda: both.open("a")).code == "secret_tampered"


# -- keys that are lost, or others ------------------------------------------------------------------------------


def test_a_lost_key_is_named_and_no_new_one_is_made_over_it(cellar: Cellar) -> None:
    cellar.vault().put("shop", "secret", VALUE)
    key = cellar.ring().newest
    cellar.file.rename(cellar.folder / "copy")
    for work in (
        lambda: cellar.vault().open("shop"), lambda: cellar.vault().put("b", "secret", "x"),
        lambda: cellar.vault().put("shop", "secret", "x", replace=True), cellar.vault().rotate,
    ):  # fmt: skip
        error = refused(work)
        assert (error.code, key.id in error.message, str(cellar.file) in error.message) == ("key_missing", True, True)
        assert not cellar.file.exists()
    assert cellar.vault().entries()[0].key_id == key.id
    (cellar.folder / "copy").rename(cellar.file)
    assert cellar.vault().open("shop").reveal() == VALUE


def test_after_a_loss_one_removes_and_begins_anew(cellar: Cellar) -> None:
    cellar.vault().put("shop", "secret", VALUE)
    cellar.file.unlink()
    cellar.vault().remove("shop")
    assert cellar.vault().put("shop", "secret", "new") == cellar.file
    assert cellar.vault().open("shop").reveal() == "new"


def test_another_key_of_the_same_id_is_told_from_a_changed_row(cellar: Cellar) -> None:
    cellar.vault(SYNC_ASSETS_KEYS=fresh("k1")).put("shop", "secret", VALUE)
    other = cellar.vault(SYNC_ASSETS_KEYS=fresh("k1"))
    for work in (lambda: other.open("shop"), lambda: other.put("b", "secret", "x"), other.rotate):
        assert refused(work).code == "wrong_key"
    stranger = cellar.vault(SYNC_ASSETS_KEYS=fresh("k2"))
    error = refused(lambda: stranger.open("shop"))
    assert (error.code, "key k1" in error.message) == ("key_missing", True)


# -- rotation ---------------------------------------------------------------------------------------------------


def test_a_rotation_reseals_everything_and_the_old_key_may_go(cellar: Cellar) -> None:
    for number in range(50):
        cellar.vault().put(f"s{number}", "secret", f"{VALUE}{number}")
    before = cellar.sql("select ciphertext from sync_assets.secret")
    old = cellar.ring().newest.id
    done = cellar.vault().rotate()
    assert (done.resealed, done.unused, done.key_id) == (50, (old,), cellar.ring().newest.id)
    assert {entry.key_id for entry in cellar.vault().entries()} == {done.key_id} != {old}
    assert not set(before) & set(cellar.sql("select ciphertext from sync_assets.secret"))
    lines = cellar.file.read_text().splitlines(keepends=True)
    cellar.file.write_text("".join(line for line in lines if not line.startswith(f"{old}:")))
    assert [key.id for key in cellar.ring().keys] == [done.key_id]
    assert [cellar.vault().open(f"s{n}").reveal() for n in range(50)] == [f"{VALUE}{n}" for n in range(50)]


def test_a_rotation_that_was_cut_off_is_finished_and_not_repeated(cellar: Cellar) -> None:
    """Killed between the writing of the key and the commit: the file has a key that nothing is under."""
    from sync_assets.store.keyring import grow

    cellar.vault().put("shop", "secret", VALUE)
    grown = grow(cellar.ring())
    done = cellar.vault().rotate()
    assert done.key_id == grown.newest.id
    assert cellar.ring() == grown
    assert cellar.vault().rotate().key_id != grown.newest.id


def test_one_row_that_does_not_open_leaves_everything_as_it_was(cellar: Cellar) -> None:
    for name in ("a", "b", "c"):
        cellar.vault().put(name, "secret", VALUE)
    cellar.sql("update sync_assets.secret set version = 9 where name = 'b'")
    before, ring = cellar.sql("select * from sync_assets.secret"), cellar.ring()
    assert refused(cellar.vault().rotate).code == "secret_tampered"
    assert (cellar.sql("select * from sync_assets.secret"), cellar.ring()) == (before, ring)


SPOILERS = ["new.ciphertext := old.ciphertext", "new.key_id := old.key_id", "return null"]


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_rotation_that_cannot_be_proved_changes_nothing(cellar: Cellar, spoiler: str) -> None:
    """Something between us and the table keeps a row from being what we wrote."""
    for name in ("a", "b"):
        cellar.vault().put(name, "secret", VALUE)
    cellar.sql(
        "create function sync_assets.spoil() returns trigger language plpgsql as"
        f" $$ begin if new.name = 'b' then {spoiler}; end if; return new; end $$"
    )
    cellar.sql(
        "create trigger spoil before update on sync_assets.secret for each row execute function sync_assets.spoil()"
    )
    before = cellar.sql("select * from sync_assets.secret")
    assert refused(cellar.vault().rotate).code in ("secret_tampered", "key_missing")
    assert cellar.sql("select * from sync_assets.secret") == before
    assert cellar.vault().open("b").reveal() == VALUE
    cellar.sql("drop trigger spoil on sync_assets.secret")
    assert cellar.vault().rotate().resealed == 2


def test_keys_of_the_environment_are_put_in_front_and_rotated_to(cellar: Cellar) -> None:
    old, new = fresh("k1"), fresh("k2")
    before, both = cellar.vault(SYNC_ASSETS_KEYS=old), cellar.vault(SYNC_ASSETS_KEYS=f"{new},{old}")
    before.put("shop", "secret", VALUE)
    assert refused(before.rotate).code == "key_environment"
    done = both.rotate()
    assert (done.key_id, done.unused, done.place) == ("k2", ("k1",), "SYNC_ASSETS_KEYS")
    assert cellar.vault(SYNC_ASSETS_KEYS=new).open("shop").reveal() == VALUE
    assert refused(both.rotate).code == "key_environment"


def test_a_process_with_the_old_keys_can_put_nothing_under_them(cellar: Cellar) -> None:
    old, new = fresh("k1"), fresh("k2")
    before = cellar.vault(SYNC_ASSETS_KEYS=old)
    before.put("shop", "secret", VALUE)
    cellar.vault(SYNC_ASSETS_KEYS=f"{new},{old}").rotate()
    error = refused(lambda: before.put("late", "secret", VALUE))
    assert (error.code, "k1" in error.message) == ("key_retired", True)
    assert "k2" in refused(lambda: before.open("shop")).message
    backwards = cellar.vault(SYNC_ASSETS_KEYS=f"{old},{new}")
    assert refused(backwards.rotate).code == "key_retired"


def test_the_database_itself_holds_rows_and_retired_keys_apart(cellar: Cellar) -> None:
    cellar.vault().put("shop", "secret", VALUE)
    old = cellar.ring().newest.id
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        cellar.sql("update sync_assets.vault_key set retired = true")
    cellar.vault().rotate()
    for change in ("key_id = %s", "key_id = %s, key_retired = true"):
        with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.CheckViolation)):
            cellar.sql(f"update sync_assets.secret set {change}", old)


def test_rotations_and_adds_at_once_lose_nothing(cellar: Cellar) -> None:
    """Six that add and two that rotate, each with connections of its own: all opens, all under the newest key."""
    cellar.vault().put("s", "secret", VALUE)
    done: list[str] = []
    troubles: list[BaseException] = []
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait()
        for turn in range(8):
            try:
                if number < 2:
                    cellar.vault().rotate()
                else:
                    cellar.vault().put(f"s{number}_{turn}", "secret", f"{number} {turn}")
                    done.append(f"s{number}_{turn}")
            except BaseException as error:
                troubles.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert len(done) == 48
    ring, entries = cellar.ring(), cellar.vault().entries()
    assert len(ring.keys) == 17
    [(live,)] = cellar.sql("select count(*) from sync_assets.vault_key where not retired")
    assert (live, {entry.key_id for entry in entries}) == (1, {ring.newest.id})
    alone = Vault(cellar.store.sessions, lambda: KeyRing((ring.newest,), "the newest alone"))
    assert {name: alone.open(name).reveal() for name in done} == {n: n[1:].replace("_", " ") for n in done}


def test_a_rotation_of_nothing_says_so(cellar: Cellar) -> None:
    assert refused(cellar.vault().rotate).code == "vault_empty"
    assert not cellar.file.exists()


# -- references -------------------------------------------------------------------------------------------------


def test_a_reference_opens_late_and_anew(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    from sync_assets.store.secrets import opener, resolve

    assert cellar.address.password is not None
    settings = {"HOST": cellar.address.host, "USER": cellar.address.user, "DB": cellar.address.database}
    for name, value in {**settings, "PASSWORD": cellar.address.password.reveal()}.items():
        monkeypatch.setenv(f"SYNC_ASSETS_PG_{name}", value)
    monkeypatch.setenv("SYNC_ASSETS_KEY_FILE", str(cellar.file))
    late = opener("store:shop")
    assert refused(lambda: resolve("store:shop")).code == "secret_missing"
    cellar.vault().put("shop", "secret", VALUE)
    assert late() == VALUE == resolve("store:shop").reveal()
    assert VALUE not in repr(resolve("store:shop"))
    cellar.vault().put("shop", "secret", "second", replace=True)
    assert late() == "second"
    monkeypatch.setenv("SYNC_ASSETS_PG_PASSWORD", "store:shop")
    assert "cannot be a stored secret" in refused(lambda: resolve("store:shop")).message


def test_every_statement_is_used() -> None:
    from sync_assets.store import vault

    text = Path(vault.__file__).read_text()
    assert not [name for name in vault._SQL if f'"{name}"' not in text]
