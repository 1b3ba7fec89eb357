"""Random account scripts on a live MariaDB: what the collector reads is what an independent model says."""

from __future__ import annotations

import re
from collections import Counter

import pymysql
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sync_assets.databases.base import open_collector
from sync_assets.fleet.collecting import Collector
from sync_assets.fleet.model import AccountReading, ScopeKind
from sync_assets.testing import fleet_mysql as model
from sync_assets.testing.fleet_mysql import PUBLIC, Level, Model, Step, Who, ticked
from sync_assets_tests.fix_fleet_mysql import OURS, FleetServer

USERS = ["ann", "Ann", "ANN@home", "o'neil", 'say"so"', "back`tick", "张三", "r%_t", "mysqlbackup", "\\", "😀", "",
         "a b", "mysql.sys"]  # fmt: skip
HOSTS = ["%", "localhost", "10.%", "LocalHost.Example", "10.0.0.0/255.0.0.0"]
ROLES = ["reader", "Reader", "wri`ter", "角色", "o'role", "public_", "ann"]
DATABASES = ["shop", "Shop", "a_b", "库存", "tick`db", "x@y", "o'db", "50%"]
PATTERNS = ["a\\_b", "a_b", "s%", "%", "50\\%", "50%", "\\", "a\\\\_b", "库_"]
TABLES = ["t", "T", "ta`ble", "表"]
COLUMNS = ["a", "b c", "列"]

users = st.builds(Who, st.sampled_from(USERS), st.sampled_from(HOSTS))
roles = st.builds(Who, st.sampled_from(ROLES), st.none())
BOSS = Who("boss", "%")
# What must have been among the statements that the server took.
KINDS = {
    kind: re.compile(words)
    for kind, words in {
        "global": r"^grant .* on \*\.\*", "database": r"^grant .* on `\w+`\.\*", "pattern": r"^grant .* on `s?%`\.\*",
        "table": r"^grant [^(]* on `.*`\.`", "column": r"^grant .*\(`", "public": "^grant .* to public",
        "routine": r"^grant .* on (procedure|function)", "all": "^grant all", "option": "^grant .* with grant option",
        "role": "^grant `[^@]*` to `", "nested": "^grant `[^@]*` to `[^@]*$", "admin": "^grant .* with admin option",
        "default": "^set default role `", "proxy": "^grant proxy", "no proxy": "^revoke proxy",
        "revoked": "^revoke .* on ", "left": "^revoke `", "everything": "^revoke all privileges, grant option from",
        "renamed": "^rename", "dropped": "^drop user", "role dropped": "^drop role", "locked": "^alter user .* lock",
    }.items()
}  # fmt: skip


def _pattern(written: str) -> tuple[Level, str]:
    """What the server keeps is what is written; it means one database where every wildcard is escaped."""
    plain = written.replace("\\_", "").replace("\\%", "")
    if "_" in plain or "%" in plain or "\\" in plain:
        return (ScopeKind.DATABASE_PATTERN, (written,)), written
    return (ScopeKind.DATABASE, (written.replace("\\", ""),)), written


levels = st.one_of(
    st.just(((ScopeKind.GLOBAL, ()), "")),
    st.sampled_from(DATABASES + PATTERNS).map(_pattern),
    st.tuples(st.sampled_from(DATABASES), st.sampled_from(TABLES)).map(lambda p: ((ScopeKind.TABLE, p), "")),
    st.tuples(st.sampled_from(DATABASES), st.sampled_from(TABLES), st.sampled_from(COLUMNS)).map(
        lambda p: ((ScopeKind.COLUMN, p), "")
    ),
    st.tuples(st.sampled_from(DATABASES), st.sampled_from(["p", "表"]), st.sampled_from(["procedure", "function"])).map(
        lambda p: ((ScopeKind.ROUTINE, p), "")
    ),
)  # fmt: skip


@st.composite
def rights(draw: st.DrawFn, anybody: st.SearchStrategy[Who]) -> Step:
    level, written = draw(levels)
    every = st.lists(st.sampled_from(model.EVERY[level[0]]), min_size=1, max_size=4, unique=True)
    names = draw(every if level[0] is ScopeKind.COLUMN else st.one_of(every, every, st.just([])))
    who = draw(anybody)
    if level[0] is ScopeKind.ROUTINE and not who.user.isascii():
        who = PUBLIC  # the server loses sight of such rows: they outlive the account
    if draw(st.integers(0, 2)):
        return model.grant(level, names, who, draw(st.booleans()), written)
    if level[0] is not ScopeKind.COLUMN and draw(st.integers(0, 3)) == 0:
        names = [*names, model.OPTION] if names else names
    return model.revoke(level, names, who, written)


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """A few users and roles, most of them made first, and what is done to them and by them."""
    cast = draw(st.lists(users, min_size=2, max_size=4, unique=True))
    parts = draw(st.lists(roles, min_size=2, max_size=3, unique=True))
    user, role = st.sampled_from(cast), st.sampled_from(parts)
    anybody = st.one_of(user, user, role, st.just(PUBLIC))
    password, yes = st.sampled_from(["", "secret", None]), st.booleans()
    opening = [model.create_user(one, draw(password), draw(yes)) for one in cast if draw(st.integers(0, 4))]
    opening += [model.create_role(one, BOSS) for one in parts if draw(st.integers(0, 4))]
    if draw(yes):  # a default is refused to who has not got the role, so that chance alone rarely makes one
        opening += [model.join(parts[0], cast[0], draw(yes)), model.default_role(parts[0], cast[0])]
    step = st.one_of(
        *[rights(anybody)] * 5, *[st.builds(model.join, role, anybody, yes)] * 3,
        *[st.builds(model.leave, role, anybody, yes)] * 3, *[st.builds(model.default_role, role, user)] * 3,
        st.builds(model.default_role, st.none(), user), st.builds(model.grant_proxy, user, user, yes),
        st.builds(model.revoke_proxy, user, user), st.builds(model.revoke_everything, user),
        st.builds(model.create_user, user, password, yes), st.builds(model.create_role, role, st.just(BOSS)),
        st.builds(model.lock, user, yes), st.builds(model.rename, user, users), st.builds(model.drop, user),
        st.builds(model.drop, role),
    )  # fmt: skip
    return opening + draw(st.lists(step, min_size=25, max_size=50))


def _furnish(fleet: FleetServer) -> None:
    for database in map(ticked, DATABASES):
        fleet.execute(f"create database if not exists {database}")
        columns = ", ".join(f"{ticked(c)} int" for c in COLUMNS)
        fleet.execute(*(f"create table if not exists {database}.{ticked(t)} ({columns})" for t in TABLES))
        for name in ("`p`", "`表`"):
            fleet.execute(
                f"create procedure if not exists {database}.{name}() select 1",
                f"create function if not exists {database}.{name}() returns int no sql return 1",
            )


def _run(fleet: FleetServer, script: list[Step]) -> tuple[Model, list[str]]:
    """The model after what the server took, and that."""
    state, taken = Model(), []
    for step in script:
        try:
            fleet.execute(step.sql)
        except pymysql.Error:
            continue
        taken.append(step.sql)
        step.effect(state)
    return state, taken


def _collected(reading: AccountReading) -> tuple[object, ...]:
    """What was read of everybody but the installation's accounts."""
    ours = {p.name for p in reading.principals if p.name.rpartition("@")[0] in OURS}
    return (
        {p.name: (p.kind, p.locked, p.has_password) for p in reading.principals if p.name not in ours},
        {g for g in reading.grants if g.principal not in ours},
        set(reading.memberships),
    )


def _expected(state: Model) -> tuple[object, ...]:
    accounts = {name: (a.kind, a.locked, a.has_password) for name, a in state.accounts.items()}
    return accounts, state.grants(), state.memberships()


def test_random_scripts_collect_as_the_model_says(fleet_mariadb: FleetServer) -> None:
    _furnish(fleet_mariadb)
    collector: Collector = open_collector("mysql", fleet_mariadb.args())
    held, kinds = 0, Counter[str]()

    @settings(
        max_examples=250, deadline=None, database=None, phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(scripts())
    def hold(script: list[Step]) -> None:
        nonlocal held
        fleet_mariadb.clean()
        state, taken = _run(fleet_mariadb, script)
        reading = collector.accounts()
        assert all(s.ok for s in reading.sections.values()), reading.sections
        assert _collected(reading) == _expected(state), taken
        held += 1
        kinds.update(kind for kind, words in KINDS.items() for sql in taken if words.search(sql))

    hold()
    collector.close()
    assert held >= 200
    assert all(kinds[kind] for kind in KINDS), kinds
