"""Random GRANT, REVOKE, CREATE, DROP, ALTER and RENAME on a live PostgreSQL: what is collected is what a model says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sync_assets.databases.base import ConnectionArgs, open_collector
from sync_assets.fleet.model import PrincipalKind, ScopeKind
from sync_assets.testing.fleet_postgres import COLUMN_RIGHTS, PUBLIC, RIGHTS, Thing, World
from sync_assets.testing.servers import Server, postgres_server, postgres_versions

DATABASE = '数据 "库"'
NAMES = (
    "Bob",
    "bob",
    'qu"ote',
    "日志_读",
    "fox🦊",
    "two words",
    "PUBLIC",
    "it's",
    "back`tick",
    "a@b.c",
    "100%_",
    "semi;--",
)
# What the server may refuse in a script, and then nothing has changed.
REFUSALS = ("42501", "2BP01", "0LP01", "42704", "0A000", "55006")
MADE_BY_ROLES = (ScopeKind.TABLE, ScopeKind.SEQUENCE, ScopeKind.ROUTINE, ScopeKind.TYPE)
WORDS = {ScopeKind.TABLE: "tables", ScopeKind.SEQUENCE: "sequences", ScopeKind.ROUTINE: "routines",
         ScopeKind.TYPE: "types", ScopeKind.SCHEMA: "schemas"}  # fmt: skip
SPOKEN = {ScopeKind.TABLE: "table", ScopeKind.SEQUENCE: "sequence", ScopeKind.ROUTINE: "function",
          ScopeKind.TYPE: "type", ScopeKind.SCHEMA: "schema", ScopeKind.LANGUAGE: "language",
          ScopeKind.FOREIGN_DATA_WRAPPER: "foreign data wrapper", ScopeKind.FOREIGN_SERVER: "foreign server",
          ScopeKind.LARGE_OBJECT: "large object", ScopeKind.DATABASE: "database",
          ScopeKind.TABLESPACE: "tablespace", ScopeKind.PARAMETER: "parameter"}  # fmt: skip


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Script:
    """Plays steps on the server and on the model. A step that the server refuses is not played on the model."""

    server: Server
    connection: psycopg.Connection
    world: World = field(init=False)
    oids: dict[str, str] = field(default_factory=dict)
    logins: dict[str, bool] = field(default_factory=dict)
    played: int = 0
    refused: int = 0
    number: int = 0

    def run(self, *statements: str) -> bool:
        """In one transaction; whether the server took it."""
        try:
            with self.connection.transaction():
                for one in statements:
                    self.connection.execute(one.encode())
        except psycopg.Error as error:
            assert error.sqlstate in REFUSALS, (error, statements)
            self.refused += 1
            return False
        self.played += 1
        return True

    def begin(self) -> None:
        boss = self.server.user
        self.world = World(boss, DATABASE, version=self.connection.info.server_version // 10000)
        self.oids, self.logins = {}, {}
        lo = self.connection.execute("select lo_create(0)").fetchone()
        assert lo is not None
        self.run("create schema base", "grant all on schema base to public")
        self.run("create foreign data wrapper w", "create server srv foreign data wrapper w")
        base = self._untouched(ScopeKind.SCHEMA, "base", boss)
        self.world.grant(base, self.world.rights(ScopeKind.SCHEMA), PUBLIC, boss)
        public = self._untouched(ScopeKind.SCHEMA, "public", "pg_database_owner")
        self.world.grant(public, ("USAGE",), PUBLIC, "pg_database_owner")
        self.world.things = [base, public]
        for kind, path in (
            (ScopeKind.LANGUAGE, "plpgsql"), (ScopeKind.FOREIGN_DATA_WRAPPER, "w"), (ScopeKind.FOREIGN_SERVER, "srv"),
            (ScopeKind.LARGE_OBJECT, str(lo[0])), (ScopeKind.DATABASE, DATABASE), (ScopeKind.TABLESPACE, "pg_default"),
            (ScopeKind.PARAMETER, "work_mem"),
        ):  # fmt: skip
            self.world.things.append(self._untouched(kind, path, boss))

    def _untouched(self, kind: ScopeKind, name: str, owner: str) -> Thing:
        return Thing(kind, (name,), owner, self.world.made(kind, owner), self.world.made(kind, owner))

    def end(self) -> None:
        """Everything as it was before."""
        boss, database = quote(self.world.boss), quote(DATABASE)
        people = ", ".join(["public", boss, "pg_database_owner", *map(quote, self.world.roles)])
        for what, rights, everybody, owner in (
            (f"database {database}", "create, connect, temporary", "connect, temporary", boss),
            ("tablespace pg_default", "create", "", boss),
            ("parameter work_mem", "set, alter system", "", boss),
            ("language plpgsql", "usage", "usage", boss),
            ("schema public", "create, usage", "usage", "pg_database_owner"),
        ):
            self._restore(f"on {what}", rights, everybody, owner, people)
        for kind, word in WORDS.items():
            own, everybody = ", ".join(self.world.rights(kind)), ", ".join(RIGHTS[kind][1])
            self._restore(f"on {word}", own, everybody, boss, people, f"alter default privileges for role {boss} ")
        for thing in self.world.things:
            if thing.kind is ScopeKind.SCHEMA and thing.path != ("public",):
                self.run(f"drop schema {quote(thing.path[0])} cascade")
        self.run("drop foreign data wrapper w cascade", "select lo_unlink(oid) from pg_largeobject_metadata")
        for role in self.world.roles:
            self.run(f"drop owned by {quote(role)}")
        for role in self.world.roles:
            assert self.run(f"drop role {quote(role)}")

    def _restore(self, on: str, rights: str, everybody: str, owner: str, people: str, start: str = "") -> None:
        cascade = "" if start else " cascade"
        back = [f"{start}grant {everybody} {on} to public"] if everybody else []
        self.run(f"{start}revoke {rights} {on} from {people}{cascade}", f"{start}grant {rights} {on} to {owner}", *back)

    # -- steps; a, b, c, d are any numbers, x and y any flags

    def step(self, op: str, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        getattr(self, op)(a, b, c, d, x, y)

    def _role(self, at: int) -> str:
        return sorted(self.world.roles)[at % len(self.world.roles)] if self.world.roles else self.world.boss

    def _unused(self, at: int) -> str:
        left = [n for n in NAMES if n not in self.world.roles]
        return left[at % len(left)]

    def _known(self, name: str) -> None:
        row = self.connection.execute("select oid::text from pg_roles where rolname = %s", (name,)).fetchone()
        assert row is not None
        self.oids[name] = row[0]

    def make_role(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        if len(self.world.roles) > 7:
            return
        name = self._unused(a)
        words = f"{'login' if x else 'nologin'} {'inherit' if y else 'noinherit'}"
        if self.run(f"create role {quote(name)} {words}"):
            self.world.roles[name] = y
            self.logins[name] = x
            self._known(name)

    def alter_role(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        name = self._role(a)
        words = f"{'login' if x else 'nologin'} {'inherit' if y else 'noinherit'}"
        if name in self.world.roles and self.run(f"alter role {quote(name)} {words}"):
            self.world.roles[name], self.logins[name] = y, x

    def rename_role(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        old, new = self._role(a), self._unused(b)
        if old in self.world.roles and self.run(f"alter role {quote(old)} rename to {quote(new)}"):
            self.world.rename(old, new)
            self.oids[new], self.logins[new] = self.oids.pop(old), self.logins.pop(old)

    def drop_role(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        """And often make another one of the same name."""
        name = self._role(a)
        if name not in self.world.roles or not self.run(
            f"drop owned by {quote(name)} cascade", f"drop role {quote(name)}"
        ):
            return
        self.world.drop(name)
        old = self.oids.pop(name)
        del self.logins[name]
        if x and self.run(f"create role {quote(name)} login"):
            self.world.roles[name], self.logins[name] = True, True
            self._known(name)
            assert self.oids[name] != old

    def join(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        role, member = self._role(a), self._role(b)
        if not self.world.roles or role == member:
            return
        admins = [m for (r, m, _), one in self.world.members.items() if r == role and one.admin]
        by = sorted(admins)[c % len(admins)] if admins and c % 3 == 0 else self.world.boss
        inherits, can_set = (None, True, False)[d % 3], (None, True, False)[d // 3 % 3]
        options = ["admin true"] if x else []
        options += [f"inherit {str(inherits).lower()}"] if inherits is not None else []
        options += [f"set {str(can_set).lower()}"] if can_set is not None else []
        tail = f" with {', '.join(options)}" if options else ""
        if self.run(f"grant {quote(role)} to {quote(member)}{tail} granted by {quote(by)}"):
            self.world.join(role, member, by, x, inherits, can_set)

    def leave(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        if not self.world.members:
            return
        role, member, by = sorted(self.world.members)[a % len(self.world.members)]
        words = "admin option for " if x else ""
        if self.run(f"revoke {words}{quote(role)} from {quote(member)} granted by {quote(by)} cascade"):
            self.world.leave(role, member, by, only_admin=x)

    def make_schema(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        owner, name = self._role(a), f"Schema {self._next()}"
        if self.run(f"create schema {quote(name)} authorization {quote(owner)}"):
            self._made(ScopeKind.SCHEMA, (name,), owner)

    def make_thing(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        kind, owner = MADE_BY_ROLES[a % 4], self._role(b) if x else self.world.boss
        schema, name = self._schema(c), f"{NAMES[d % len(NAMES)]}{self._next()}"
        full = f"{quote(schema)}.{quote(name)}"
        sql = {
            ScopeKind.TABLE: f'create table {full} (id int, "ä ""b" text)',
            ScopeKind.SEQUENCE: f"create sequence {full}",
            ScopeKind.ROUTINE: f"create function {full}(int, text[]) returns int language sql as 'select 1'",
            ScopeKind.TYPE: f"create type {full} as enum ('x')",
        }[kind]  # fmt: skip
        if self.run(f"set local role {quote(owner)}", sql):
            self._made(kind, (schema, f"{name}(integer, text[])" if kind is ScopeKind.ROUTINE else name), owner)
            if kind is ScopeKind.TABLE:
                for column in ("id", 'ä "b'):
                    self.world.things.append(Thing(ScopeKind.COLUMN, (schema, name, column), owner))

    def drop_thing(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        thing = self._thing(a)
        if thing.kind in MADE_BY_ROLES and self.run(f"drop {SPOKEN[thing.kind]} {self._spelled(thing)}"):
            self.world.things = [t for t in self.world.things if t is not thing and t.path[:2] != thing.path]

    def give_table(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        thing, owner = self._thing(a), self._role(b)
        if thing.kind is not ScopeKind.TABLE:
            return
        if self.run(f"alter table {self._spelled(thing)} owner to {quote(owner)}"):
            for one in self.world.things:
                if one.path[:2] == thing.path:
                    self.world.give(one, owner)

    def grant(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        """As the owner, or (y) as somebody who may pass one right on."""
        thing = self._thing(a)
        to = self._role(b) if b % 5 or x else PUBLIC
        rights, by, boss = self._rights(thing, c, d), thing.owner, self.world.boss
        options = sorted((g, p) for (g, p, _), v in thing.acl.items() if v and g not in (thing.owner, PUBLIC, boss))
        if y and options:
            by, right = options[d % len(options)]
            rights = (right,)
        tail = " with grant option" if x else ""
        if self.run(*self._as(by, thing), f"grant {self._on(thing, rights)} to {self._whom(to)}{tail}"):
            self.world.grant(thing, rights, to, by, option=x)

    def revoke(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        thing = self._thing(a)
        entries = sorted(thing.acl)
        if not entries:
            return
        whose, right, by = entries[b % len(entries)]
        if by not in (thing.owner, *self.world.roles) or (x and whose == PUBLIC):
            return
        words = "grant option for " if x else ""
        if self.run(
            *self._as(by, thing), f"revoke {words}{self._on(thing, (right,))} from {self._whom(whose)} cascade"
        ):
            self._revoked(thing, right, whose, by, x)

    def _revoked(self, thing: Thing, right: str, whose: str, by: str, only_option: bool) -> None:
        """A right on a table that is revoked goes from its columns, too. Of a parameter of which nothing was ever
        granted the server knows no ACL: nothing can be revoked."""
        if thing.kind is ScopeKind.PARAMETER and thing.acl == thing.usual:
            return
        for one in self.world.things:
            column = thing.kind is ScopeKind.TABLE and one.kind is ScopeKind.COLUMN and one.path[:2] == thing.path
            if one is thing or column:
                self.world.revoke(one, (right,), whose, by, only_option=only_option)

    def default(self, a: int, b: int, c: int, d: int, x: bool, y: bool) -> None:
        owner, to = self._role(a), self._role(b) if b % 3 else PUBLIC
        kind = list(WORDS)[c % 5]
        schema = self._schema(d) if y and kind is not ScopeKind.SCHEMA else ""
        own = self.world.rights(kind)
        rights = own[-1 - d % 3 :]
        revoking = c % 4 == 0
        option = x and to != PUBLIC and not revoking
        where = f" in schema {quote(schema)}" if schema else ""
        what = f"{', '.join(rights)} on {WORDS[kind]} {'from' if revoking else 'to'} {self._whom(to)}"
        verb = "revoke" if revoking else "grant"
        tail = " with grant option" if option else ""
        if not self.run(f"alter default privileges for role {quote(owner)}{where} {verb} {what}{tail}"):
            return
        thing = self._default(owner, schema, kind)
        if revoking:
            self.world.revoke(thing, rights, to, owner)
        else:
            self.world.grant(thing, rights, to, owner, option=option)

    # -- their parts

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _schema(self, at: int) -> str:
        names = [t.path[0] for t in self.world.things if t.kind is ScopeKind.SCHEMA and t.path != ("public",)]
        return names[at % len(names)]

    def _thing(self, at: int) -> Thing:
        things = [t for t in self.world.things if t.kind is not ScopeKind.DEFAULT]
        return things[at % len(things)]

    def _default(self, owner: str, schema: str, kind: ScopeKind) -> Thing:
        path = (schema, owner, WORDS[kind])
        for thing in self.world.things:
            if thing.kind is ScopeKind.DEFAULT and thing.path == path:
                return thing
        usual = {} if schema else self.world.made(kind, owner)
        thing = Thing(ScopeKind.DEFAULT, path, owner, dict(usual), usual)
        self.world.things.append(thing)
        return thing

    def _made(self, kind: ScopeKind, path: tuple[str, ...], owner: str) -> None:
        """A new object: with the default privileges of its owner, everywhere and in this schema."""
        acl = dict(self._default(owner, "", kind).acl)
        for entry, option in (self._default(owner, path[0], kind).acl if kind is not ScopeKind.SCHEMA else {}).items():
            acl[entry] = acl.get(entry, False) or option
        usual = self.world.made(kind, owner)
        # The server takes defaults that leave nothing to anybody for no defaults: the built-in ones hold again.
        self.world.things.append(Thing(kind, path, owner, acl or dict(usual), usual))

    def _rights(self, thing: Thing, c: int, d: int) -> tuple[str, ...]:
        known = COLUMN_RIGHTS if thing.kind is ScopeKind.COLUMN else self.world.rights(thing.kind)
        return tuple({known[c % len(known)], known[d % len(known)]})

    def _as(self, by: str, thing: Thing) -> list[str]:
        return [] if by == thing.owner else [f"set local role {quote(by)}"]

    def _whom(self, name: str) -> str:
        return "public" if name == PUBLIC else quote(name)

    def _spelled(self, thing: Thing) -> str:
        if thing.kind is ScopeKind.ROUTINE:
            return f"{quote(thing.path[0])}.{quote(thing.path[1].removesuffix('(integer, text[])'))}(int, text[])"
        if thing.kind in (ScopeKind.PARAMETER, ScopeKind.LARGE_OBJECT):
            return thing.path[0]
        return ".".join(quote(p) for p in thing.path[:2])

    def _on(self, thing: Thing, rights: tuple[str, ...]) -> str:
        if thing.kind is ScopeKind.COLUMN:
            return f"{', '.join(f'{r} ({quote(thing.path[2])})' for r in rights)} on table {self._spelled(thing)}"
        return f"{', '.join(rights)} on {SPOKEN[thing.kind]} {self._spelled(thing)}"


OPS = ("make_role", "make_role", "make_role", "alter_role", "rename_role", "drop_role", "join", "join", "leave",
       "make_schema", "make_thing", "make_thing", "make_thing", "drop_thing", "give_table", "grant", "grant", "grant",
       "grant", "grant", "grant", "revoke", "revoke", "revoke", "default", "default")  # fmt: skip
NUMBER = st.integers(0, 999)
STEPS = st.lists(
    st.tuples(st.sampled_from(OPS), NUMBER, NUMBER, NUMBER, NUMBER, st.booleans(), st.booleans()),
    min_size=5,
    max_size=40,
)


@pytest.fixture(scope="module", params=postgres_versions(), ids=lambda programs: programs.parent.name)
def script(request: pytest.FixtureRequest) -> Iterator[Script]:
    with postgres_server(programs=request.param) as server:
        server.create_database(DATABASE)
        server.execute("alter database template1 allow_connections false")
        with server.connect(DATABASE) as connection:
            yield Script(server, connection)


@settings(
    max_examples=120 if len(postgres_versions()) > 1 else 220,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    phases=[Phase.generate],
)
@given(steps=STEPS)
def test_what_is_collected_is_what_the_script_left(
    script: Script, steps: list[tuple[str, int, int, int, int, bool, bool]]
) -> None:
    script.begin()
    try:
        for step in steps:
            script.step(*step)
        _compare(script)
    finally:
        script.end()


def _compare(script: Script) -> None:
    server, world = script.server, script.world
    args = ConnectionArgs(
        "model", host=server.host, port=server.port, database=DATABASE, user=server.user,
        open_password=lambda: server.password, tls="off", query_seconds=30,
    )  # fmt: skip
    reading = open_collector("postgres", args).accounts()
    assert all(s.ok for key, s in reading.sections.items() if not key.part.startswith("template")), reading.sections
    people = [p for p in reading.principals if not p.system and p.name != world.boss]
    assert {p.name: (p.incarnation, p.can_login, p.attribute("inherit")) for p in people} == {
        name: (script.oids[name], script.logins[name], inherit) for name, inherit in world.roles.items()
    }
    assert all((p.kind is PrincipalKind.USER) is p.can_login for p in people)
    joined = [replace(m) for m in reading.memberships if not m.role.startswith("pg_")]
    assert len(joined) == len(world.members)
    assert set(joined) == world.memberships()
    here = [g for g in reading.grants if g.part == DATABASE]
    assert len(here) == len({g.key for g in here})
    assert set(here) == world.grants(cluster=False)
    paths = {(t.kind, t.path) for t in world.things}
    assert {g for g in reading.grants if g.part == "" and (g.scope, g.path) in paths} == world.grants(cluster=True)


def test_most_steps_were_taken(script: Script) -> None:
    """After the runs above: a model that only agrees because the server refuses everything says nothing."""
    assert script.played >= 4 * script.refused
