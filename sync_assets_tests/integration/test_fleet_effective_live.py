"""Effective rights against the servers' own answer: random rights, then every account, object and privilege.

PostgreSQL answers for itself (has_table_privilege and its kin); MariaDB is asked by logging in as everybody.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pymysql
import pytest

from sync_assets.databases.base import ConnectionArgs, open_collector
from sync_assets.fleet.containment import pattern_matches
from sync_assets.fleet.effective import Holder, closure, superusers, who
from sync_assets.fleet.model import AccountState
from sync_assets.fleet.state import completed
from sync_assets.testing.servers import Server
from sync_assets_tests.fix_servers import ScratchDatabase

NOW = datetime.now(UTC)
PRIVILEGES = ("SELECT", "INSERT", "UPDATE")


def state_of(kind: str, server: Server, database: str = "") -> AccountState:
    args = ConnectionArgs(
        name="live", host=server.host, port=server.port, database=database, user=server.user,
        open_password=lambda: server.password,
    )  # fmt: skip
    collector = open_collector(kind, args)
    try:
        reading = collector.accounts()
    finally:
        collector.close()
    return completed(AccountState(), reading)


def whole(holders: tuple[Holder, ...], now: bool) -> set[str]:
    """Who has all of the object: now; or now or by an act of its own."""
    return {h.principal for h in holders if any(not way.columns and (way.now or not now) for way in h.ways)}


# -- PostgreSQL

ROLES = ["w3 Ana", "w3 bo", "w3 审计", 'w3 "q"', "w3 ro", "w3 grp", "w3 chef"]


@pytest.fixture
def pg_roles(pg_db: ScratchDatabase) -> Iterator[list[str]]:
    quoted = {name: pg_db.quote(name) for name in ROLES}
    yield ROLES
    for name in ROLES:
        if pg_db.execute(f"select 1 from pg_roles where rolname = '{name}'"):
            pg_db.execute(f"reassign owned by {quoted[name]} to current_user", f"drop owned by {quoted[name]}")
    pg_db.execute(*(f"drop role if exists {name}" for name in quoted.values()))


def _random_acls(db: ScratchDatabase, chance: random.Random) -> list[str]:
    quote = [db.quote(name) for name in ROLES]
    flags = ["login inherit", "nologin inherit", "login noinherit"]
    made = [*(f"create role {q} {chance.choice(flags)}" for q in quote[:-1]), f"create role {quote[-1]} superuser"]
    made += [f'create schema "{s}"' for s in ("s1", "S2")]
    tables = [f'"{s}"."{t}"' for s in ("s1", "S2") for t in ("t", "T t")]
    made += [f"create table {t} (a int, b int)" for t in tables]
    for _ in range(chance.randrange(4, 30)):
        grantee = chance.choice([*quote, "public"])
        what = ", ".join(chance.sample(PRIVILEGES, chance.randrange(1, 4)))
        made.append(chance.choice([
            f"grant {what} on {chance.choice(tables)} to {grantee}",
            f"grant {what} on {chance.choice(tables)} to {grantee}",
            f"grant select (a) on {chance.choice(tables)} to {grantee}",
            f"grant update (a, b) on {chance.choice(tables)} to {grantee}",
            f"""grant usage on schema {chance.choice(['s1', '"S2"'])} to {grantee}""",
            f"revoke {what} on {chance.choice(tables)} from {grantee}",
            f"alter table {chance.choice(tables)} owner to {chance.choice(quote)}",
            f"revoke connect on database {db.args.database} from public",
            f"grant connect on database {db.args.database} to {grantee}",
            f"alter database {db.args.database} owner to {chance.choice(quote)}",
            f"grant {what} on {chance.choice(tables)} to pg_database_owner",
        ]))  # fmt: skip
    for _ in range(chance.randrange(8)):
        member, role = chance.sample(range(len(quote)), 2)
        how = chance.choice(["", "", " with inherit false", " with set false", " with inherit true, set false"])
        made.append(f"grant {quote[min(member, role)]} to {quote[max(member, role)]}{how}")
    made += [
        f"grant {r} to {chance.choice(quote)}"
        for r in ("pg_read_all_data", "pg_write_all_data")
        if chance.random() < 0.3
    ]
    return made


@pytest.mark.parametrize("seed", range(20))
def test_postgres_agrees_on_who_may_what(pg_db: ScratchDatabase, pg_roles: list[str], seed: int) -> None:
    made = _random_acls(pg_db, random.Random(seed))
    pg_db.execute(*made)
    database = pg_db.args.database
    state = state_of("postgres", pg_db.server, database)  # type: ignore[arg-type]
    roles = {row[0] for row in pg_db.execute("select rolname from pg_roles")}
    tables = pg_db.execute(
        "select n.nspname, c.relname, c.oid from pg_class c join pg_namespace n on n.oid = relnamespace"
        " where nspname in ('s1', 'S2')"
    )
    for schema, table, oid in tables:
        for privilege in PRIVILEGES:
            ours = who(state, "postgres", privilege, (database, schema, table), NOW)
            now, later = _answers(pg_db, f"has_table_privilege(%s, {oid}, '{privilege}')")
            assert whole(ours, True) & roles == now, (privilege, table)
            assert whole(ours, False) & roles == later, (privilege, table)
            _same_needs(pg_db, ours, schema)
            for column in ("a", "b"):
                of_column = who(state, "postgres", privilege, (database, schema, table, column), NOW)
                now, _ = _answers(pg_db, f"has_column_privilege(%s, {oid}, '{column}', '{privilege}')")
                assert {h.principal for h in of_column if h.now} & roles == now, (privilege, table, column)
                whole_or_it = {h.principal for h in ours if h.now and (not h.columns or column in h.columns)}
                assert whole_or_it & roles == now
    assert set(superusers(state)) & set(ROLES) == _superusers(pg_db) & set(ROLES)


def _answers(db: ScratchDatabase, question: str) -> tuple[set[str], set[str]]:
    """Who has it now; who has it or may SET ROLE to somebody who has."""
    asked = question.replace("%s", "r.oid")
    now = db.execute(f"select r.rolname from pg_roles r where {asked}")
    member = "exists (select from pg_roles r where pg_has_role(m.oid, r.oid, 'SET') and "
    later = db.execute(f"select m.rolname from pg_roles m where {member}{asked})")
    return {row[0] for row in now}, {row[0] for row in later}


def _same_needs(db: ScratchDatabase, ours: tuple[Holder, ...], schema: str) -> None:
    usage = _answers(db, f"has_schema_privilege(%s, '{schema}', 'USAGE')")[1]
    connect = _answers(db, "has_database_privilege(%s, current_database(), 'CONNECT')")[1]
    for one in ours:
        if one.principal != "public":
            lacks = {text.split()[0] for text in one.lacks}
            assert lacks == ({"USAGE"} if one.principal not in usage else set()) | (
                {"CONNECT"} if one.principal not in connect else set()
            )


def _superusers(db: ScratchDatabase) -> set[str]:
    some = "exists (select from pg_roles s where s.rolsuper and pg_has_role(m.oid, s.oid, 'SET'))"
    rows = db.execute(f"select m.rolname from pg_roles m where {some}")
    return {row[0] for row in rows}


# -- MariaDB

USERS = ["w3 ana", "w3_bo", "W3_BO", "w3`审计"]
MY_ROLES = ["w3 reader", "w3 outer"]
BASES = ["w3_a", "w3xa", "W3 b"]


def _my(name: str) -> str:
    return "'" + name.replace("'", "''") + "'@'%'"


def _q(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@pytest.fixture
def my_people(mariadb: Server) -> Iterator[Server]:
    mariadb.execute("select 1", *(f"create or replace database {_q(b)}" for b in BASES))
    mariadb.execute(*(f"create table {_q(b)}.{_q(t)} (a int, b int)" for b in BASES for t in ("t", "t u")))
    mariadb.execute(
        *(f"create user {_my(u)} identified by 'w3'" for u in USERS), *(f"create role {_q(r)}" for r in MY_ROLES)
    )
    yield mariadb
    mariadb.execute(*(f"drop user {_my(u)}" for u in USERS), *(f"drop role {_q(r)}" for r in MY_ROLES))
    mariadb.execute(*(f"drop database {_q(b)}" for b in BASES))
    mariadb.execute("grant usage on *.* to public", "revoke all privileges, grant option from public")


def _random_grants(chance: random.Random) -> list[str]:
    whom = [*map(_my, USERS), *map(_q, MY_ROLES), "public"]
    patterns = ["`w3_a`", "`w3\\_a`", "`w3%`", "`W3 b`", "`%`"]
    made = []
    for _ in range(chance.randrange(3, 14)):
        base, to = chance.choice(BASES), chance.choice(whom)
        what = ", ".join(chance.sample(PRIVILEGES, chance.randrange(1, 4)))
        table = f"{_q(base)}.{_q(chance.choice(['t', 't u']))}"
        made.append(chance.choice([
            f"grant {what} on {table} to {to}",
            f"grant {what} on {table} to {to}",
            f"grant select (a) on {table} to {to}",
            f"grant {what} on {chance.choice(patterns)}.* to {to}",
            f"grant {what} on {chance.choice(patterns)}.* to {to}",
        ]))  # fmt: skip
    if chance.random() < 0.3:
        made.append(f"grant select on *.* to {chance.choice(whom)}")
    if chance.random() < 0.6:
        made.append(f"grant {_q(MY_ROLES[0])} to {_q(MY_ROLES[1])}")
    for user in USERS:
        if chance.random() < 0.6:
            role = _q(chance.choice(MY_ROLES))
            made.append(f"grant {role} to {_my(user)}")
            made += [f"set default role {role} for {_my(user)}"] if chance.random() < 0.6 else []
    return made


@pytest.mark.parametrize("seed", range(12))
def test_mariadb_lets_in_whom_we_say(my_people: Server, seed: int) -> None:
    """Equal, but for accounts that two rows of mysql.db match: the server takes the most specific, we add them up."""
    my_people.execute(*_random_grants(random.Random(seed)))
    state = state_of("mysql", my_people)
    for base in BASES:
        for table in ("t", "t u"):
            ours = who(state, "mysql", "SELECT", (base, table), NOW)
            inserts = who(state, "mysql", "INSERT", (base, table), NOW)
            for user in USERS:
                _compare(my_people, state, user, base, table, whole(ours, True), "select * from {}")
                _compare(my_people, state, user, base, table, whole(inserts, True), "insert into {} values (1, 1)")
                of_a = {h.principal for h in ours if h.now and (not h.columns or "a" in h.columns)}
                _compare(my_people, state, user, base, table, of_a, "select a from {}")


def _compare(server: Server, state: AccountState, user: str, base: str, table: str, ours: set[str], text: str) -> None:
    may = _may(server, user, text.format(f"{_q(base)}.{_q(table)}"))
    says = f"{user}@%" in ours
    if may != says:
        here = [g for g in state.grants.values() if g.part == "database" and pattern_matches(g.path[0], base)]
        rows = {(g.principal, g.path) for g in here if g.principal in closure(state, f"{user}@%")}
        times = Counter(principal for principal, _ in rows)
        assert says and max(times.values(), default=0) > 1, (user, base, table, text)  # never one whom we do not name


def _may(server: Server, user: str, statement: str) -> bool:
    connection = pymysql.connect(host=server.host, port=server.port, user=user, password="w3", charset="utf8mb4")
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        return True
    except pymysql.err.OperationalError as error:
        assert error.args[0] in (1142, 1143, 1044), error.args[0]
        return False
    finally:
        connection.close()


def test_mariadb_superusers_by_role_and_by_public(my_people: Server) -> None:
    ana, role, outer = _my(USERS[0]), *map(_q, MY_ROLES)
    my_people.execute(f"grant super on *.* to {role}", f"grant {role} to {outer}", f"grant {outer} to {ana}")
    found = superusers(state_of("mysql", my_people))
    assert found["w3 ana@%"] == "w3 ana@% -> w3 outer@ -> w3 reader@: SUPER (after SET ROLE or as a proxy)"
    assert "w3_bo@%" not in found
    my_people.execute(f"set default role {outer} for {ana}")
    assert "SET ROLE" not in superusers(state_of("mysql", my_people))["w3 ana@%"]
    my_people.execute("grant super on *.* to public")
    try:
        assert superusers(state_of("mysql", my_people))["w3_bo@%"].startswith("w3_bo@% -> PUBLIC")
        assert "SUPER" in str(my_people.execute("show grants for public"))
    finally:
        my_people.execute("revoke super on *.* from public")
