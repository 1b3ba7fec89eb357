"""Rules and alerts on what real servers say: collected, completed, classified; then something changes, and is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sync_assets.databases.base import ConnectionArgs, open_collector
from sync_assets.fleet.account_alerts import watch_accounts
from sync_assets.fleet.alerts import Alert
from sync_assets.fleet.model import AccountReading, AccountState, SectionName, Status
from sync_assets.fleet.rules.documents import load, shipped
from sync_assets.fleet.rules.evaluation import Classification, classify
from sync_assets.fleet.rules.facts import instance_facts
from sync_assets.fleet.state import completed
from sync_assets.testing.servers import Server
from sync_assets_tests.fix_servers import ScratchDatabase

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def look(kind: str, server: Server, database: str = "", user: str = "", password: str = "") -> AccountReading:
    args = ConnectionArgs(
        name="live", host=server.host, port=server.port, database=database, user=user or server.user,
        open_password=lambda: password if user else server.password,
    )  # fmt: skip
    collector = open_collector(kind, args)
    try:
        return collector.accounts()
    finally:
        collector.close()


def classified(
    kind: str, reading: AccountReading, state: AccountState, databases: list[str] | None = None
) -> Classification:
    facts = instance_facts(
        state, reading.sections, engine=kind, flavour=reading.server.flavour, now=NOW, databases=databases
    )
    return classify(load([("shipped", shipped())]), facts)


def classes(found: Classification, account: str) -> list[str]:
    return sorted({a.code for a in found.assignments if a.principal == account and a.kind == "class"})


def hints(found: Classification, account: str) -> list[str]:
    return sorted(a.code for a in found.assignments if a.principal == account and a.kind == "hint")


def kinds(alerts: tuple[Alert, ...]) -> set[tuple[str, str]]:
    return {(str(a.kind), a.subject) for a in alerts}


# -- MariaDB

ACCOUNTS = ["'w5读者'@'10.%'", "'w5写'@'%'", "'w5boss'@'%'", "'w5空'@'localhost'", "'w5grant'@'%'", "'w5plain'@'%'"]


@pytest.fixture
def my_accounts(my_db: ScratchDatabase) -> Iterator[ScratchDatabase]:
    yield my_db
    my_db.execute(*(f"drop user if exists {name}" for name in [*ACCOUNTS, "'w5look'@'%'", "''@'w5.host'"]))
    my_db.execute("drop role if exists w5admins, w5lone")


def _make(db: ScratchDatabase) -> str:
    database = db.args.database or ""
    db.execute(
        *(f"create user {name} identified by 'Pw-1-long'" for name in ACCOUNTS if "空" not in name),
        "create user 'w5空'@'localhost' identified by ''",
        "create role w5admins", "create role w5lone",
        f"grant select on `{database}`.* to {ACCOUNTS[0]}",
        f"grant insert on `{database}`.* to {ACCOUNTS[1]}",
        f"grant all on *.* to {ACCOUNTS[2]}",
        f"grant select on `{database}`.* to {ACCOUNTS[4]} with grant option",
        f"grant select on `w5 gone`.* to {ACCOUNTS[4]}",
        f"grant select on `w5_pattern%`.* to {ACCOUNTS[4]}",
        f"grant w5admins to {ACCOUNTS[5]}",
    )  # fmt: skip
    return database


def test_mariadb_is_classified(my_accounts: ScratchDatabase) -> None:
    database = _make(my_accounts)
    assert my_accounts.server is not None
    reading = look("mysql", my_accounts.server)
    found = classified("mysql", reading, completed(AccountState(), reading), [database])

    assert classes(found, "w5读者@10.%") == ["low"]
    assert classes(found, "w5写@%") == ["medium"]
    assert classes(found, "w5boss@%")[-1] == "super"
    assert classes(found, "w5plain@%") == classes(found, "w5空@localhost") == ["public"]
    assert "superuser-from-anywhere" in hints(found, "w5boss@%")
    assert "login-without-password" in hints(found, "w5空@localhost")
    assert {"dangling-rights", "grants-outside-superusers", "wildcard-databases"} <= set(hints(found, "w5grant@%"))
    assert "role-never-on" in hints(found, "w5plain@%")
    assert hints(found, "w5lone@") == ["unused-role"]
    assert not [u for u in found.undecided if "@" in u.principal and u.principal.startswith("w5")]


def test_mariadb_alerts(my_accounts: ScratchDatabase) -> None:
    database = _make(my_accounts)
    assert my_accounts.server is not None
    before = completed(AccountState(), look("mysql", my_accounts.server))
    my_accounts.execute(
        f"grant super on *.* to {ACCOUNTS[0]}",
        "grant super on *.* to w5admins",
        f"grant create user on *.* to {ACCOUNTS[1]}",
        f"grant update on `{database}`.* to {ACCOUNTS[5]}",
        "create user ''@'w5.host'",
    )
    after = completed(before, look("mysql", my_accounts.server))
    watch = watch_accounts("f", "i", "mysql", before, after)
    assert kinds(watch.alerts) == {
        ("superuser", "w5读者@10.%"), ("superuser", "w5plain@%"), ("grown", "w5写@%"), ("open_login", "@w5.host"),
    }  # fmt: skip
    assert watch.over == ()
    my_accounts.execute("revoke super on *.* from w5admins", "drop user ''@'w5.host'")
    calm = watch_accounts("f", "i", "mysql", after, completed(after, look("mysql", my_accounts.server)))
    assert calm.alerts == ()
    assert len([name for name in calm.over if "superuser" in name or "open_login" in name]) == 2


def test_mariadb_without_the_right_to_see_leaves_everything_open(my_accounts: ScratchDatabase) -> None:
    _make(my_accounts)
    my_accounts.execute("create user 'w5look'@'%' identified by 'Pw-1-long'")
    assert my_accounts.server is not None
    before = completed(AccountState(), look("mysql", my_accounts.server))
    denied = look("mysql", my_accounts.server, user="w5look", password="Pw-1-long")
    assert {s.status for k, s in denied.sections.items() if k.name is SectionName.GRANTS} <= {
        Status.DENIED,
        Status.UNSUPPORTED,
    }
    after = completed(before, denied)
    found = classified("mysql", denied, after)

    assert classes(found, "w5boss@%") == [], "old rows prove nothing"
    rules = {u.rule for u in found.undecided if u.principal == "w5boss@%"}
    assert {"super/any-way", "public/no-data", "low/mysql-reads"} <= rules
    assert watch_accounts("f", "i", "mysql", before, after).alerts == ()
    assert watch_accounts("f", "i", "mysql", before, after).over == ()


# -- PostgreSQL

ROLES = ["w5 读者", "w5 boss", "w5 chief", "w5 maker", "w5 old", "w5 team"]


@pytest.fixture
def pg_accounts(pg_db: ScratchDatabase) -> Iterator[ScratchDatabase]:
    yield pg_db
    for name in ROLES:
        if pg_db.execute(f"select 1 from pg_roles where rolname = '{name}'"):
            pg_db.execute(f'drop owned by "{name}"', f'drop role "{name}"')


def test_postgres_is_classified_and_told(pg_accounts: ScratchDatabase) -> None:
    quoted = {name: pg_accounts.quote(name) for name in ROLES}
    pg_accounts.execute(
        "create table t (a int)",
        *(f"create role {q} login" for q in quoted.values()),
        f"alter role {quoted['w5 chief']} superuser",
        f"grant select on t to {quoted['w5 读者']}",
        f"alter role {quoted['w5 maker']} createdb",
        f"alter role {quoted['w5 old']} valid until '2026-05-01'",
        f"alter role {quoted['w5 team']} nologin",
    )
    server, database = pg_accounts.server, pg_accounts.args.database or ""
    assert server is not None
    reading = look("postgres", server, database)
    before = completed(AccountState(), reading)
    found = classified("postgres", reading, before)

    assert "low" in classes(found, "w5 读者")
    assert classes(found, "w5 chief")[-1] == "super"
    assert "sensitive" in classes(found, "w5 maker")
    assert not [u for u in found.undecided if u.principal in ROLES], "template0 is unsupported, and no reason to doubt"
    facts = instance_facts(before, reading.sections, engine="postgres", now=NOW)
    assert [facts.account(n).expired() for n in ("w5 old", "w5 boss")] == [True, False]
    assert hints(found, "w5 team") == ["unused-role"]

    pg_accounts.execute(
        f"grant {quoted['w5 chief']} to {quoted['w5 boss']}",
        f"alter role {quoted['w5 maker']} createrole",
        f'alter role {quoted["w5 chief"]} rename to "w5 Chief"',
    )
    try:
        after = completed(before, look("postgres", server, database))
        watch = watch_accounts("f", "i", "postgres", before, after)
        assert kinds(watch.alerts) == {("superuser", "w5 boss"), ("grown", "w5 maker")}
        assert watch.over == ()
        assert watch.moved == {"fleet/f/i/superuser/w5 chief": "fleet/f/i/superuser/w5 Chief"}
    finally:
        pg_accounts.execute('alter role "w5 Chief" rename to "w5 chief"')
