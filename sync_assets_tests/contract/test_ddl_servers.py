"""Structure across databases on real servers: every mapped type is made, twice, with indexes and foreign keys."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from sync_assets.databases.base import open_tables
from sync_assets.databases.mysql.ddl import collation_of
from sync_assets.databases.typemap_pages import SAMPLES, native_of
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape, ForeignKey, Index, TableKind, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Policy, TableTarget, Wanted
from sync_assets_tests.fix_servers import ScratchDatabase

T = ColumnType
HOSTILE = ("a'b\"c`d", "select", "Größe", "订单", "a\\b", "a b")


def design(
    kind: str, wanted: Sequence[Wanted], source: str, policy: Policy = "apply", **existing: TableShape
) -> Design:
    module = importlib.import_module(f"sync_assets.databases.{kind}.ddl")
    made: Design = module.design(wanted, {s.name: s for s in existing.values()}, source, policy)
    return made


def place(db: ScratchDatabase, name: str) -> TableName:
    return TableName({"postgres": "made", "mysql": f"{db.args.database}_made", "sqlite": "main"}[db.kind], name)


@pytest.fixture
def target(any_db: ScratchDatabase):
    yield any_db
    if any_db.kind == "mysql":
        any_db.execute(f"drop database if exists `{any_db.args.database}_made`")


def build(db: ScratchDatabase, made: Design) -> None:
    """All on one connection, as a target does; twice, since a design can be run again."""
    for _ in range(2):
        db.execute(*made.before)
        if made.after:
            db.execute(*made.after)


def table(name: TableName, *columns: ColumnShape, **more: object) -> TableShape:
    return replace(TableShape(TableName("src", name.name), columns), **more)  # type: ignore[arg-type]


def wanted(shape: TableShape, at: TableName) -> Wanted:
    return Wanted(shape, at, shape.columns, shape.key)


def column(name: str, type: ColumnType, native: str, **more: object) -> ColumnShape:
    return replace(ColumnShape(name, type, native), **more)  # type: ignore[arg-type]


ID = column("id", T.BIGINT, "bigint", bits=64, nullable=False)


@pytest.mark.parametrize("source", sorted(SAMPLES))
def test_every_mapped_type_is_made(target, source):
    kept = [c for c in SAMPLES[source] if native_of(target.kind)(c, source)]
    if source == target.kind:
        kept = [c for c in kept if " " not in c.native or source != "postgres"]
    if source == target.kind == "mysql":
        kept = [c for c in kept if c.native != "json"]
    columns = [replace(c, name=f"c{i}", comment="it's \\ " + c.native) for i, c in enumerate(kept)]
    at = place(target, "all_types")
    made = design(target.kind, [wanted(table(at, ID, *columns, key=("id",), comment="one's"), at)], source)
    build(target, made)
    names = ", ".join(target.quote(c.name) for c in columns)
    where = f"{target.quote(at.schema)}.{target.quote(at.name)}"
    assert target.execute(f"select {names} from {where}") == []


@pytest.mark.parametrize("source", sorted(SAMPLES))
def test_keys_indexes_and_foreign_keys(target, source):
    parent, child = place(target, "parent"), place(target, "child")
    limited = source == "mysql"  # it has no keys over texts without a limit
    code = column("code", T.TEXT, "varchar(20)" if limited else "text", length=20 if limited else None,
                  nullable=False)  # fmt: skip
    texts = [column(n, T.TEXT, "varchar(40)", length=40) for n in HOSTILE]
    up = table(parent, code, *texts, key=("code",), unique=((HOSTILE[0], HOSTILE[1]),))
    reference = ForeignKey("of parent", ("code",), up.name, ("code",), "CASCADE")
    again = ForeignKey("of child", ("up",), TableName("src", "child"), ("id",), "SET NULL")
    down = table(
        child, ID, code, column("up", T.BIGINT, "bigint", bits=64), key=("id",), foreign_keys=(reference, again),
        indexes=(Index("by code", ("code",)), Index("twice", ("code", "id"), unique=True)),
    )  # fmt: skip
    made = design(target.kind, [wanted(up, parent), wanted(down, child)], source)
    build(target, made)
    where = {t: f"{target.quote(t.schema)}.{target.quote(t.name)}" for t in (parent, child)}
    target.execute(f"insert into {where[parent]} (code) values ('a')")
    target.execute(f"insert into {where[child]} (id, code) values (1, 'a')")
    if target.kind != "sqlite":
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            target.execute(f"insert into {where[child]} (id, code) values (2, 'b')")


def test_a_reference_between_integers_of_two_sizes_is_declared_where_it_cannot_be(target):
    """PostgreSQL allows it; MySQL stops with error 1005, and would do so when all rows are there."""
    parent, child = place(target, "parent"), place(target, "child")
    up = table(parent, ID, key=("id",))
    reference = ForeignKey("of parent", ("parent_id",), up.name, ("id",), "CASCADE")
    down = table(child, ID, column("parent_id", T.INTEGER, "integer", bits=32), key=("id",), foreign_keys=(reference,))
    made = design(target.kind, [wanted(up, parent), wanted(down, child)], "postgres")
    build(target, made)
    assert any("one size" in loss for loss in made.losses) is (target.kind == "mysql")


def test_defaults_and_counting_columns(target):
    at = place(target, "counted")
    source = "mysql" if target.kind != "mysql" else "postgres"
    shape = table(
        at,
        column("id", T.INTEGER, "integer", bits=32, nullable=False, identity="default"),
        column("n", T.INTEGER, "int", bits=32, nullable=False, default="7"),
        column("t", T.TEXT, "varchar(40)", length=40, default="'it''s'"),
        column("b", T.BOOL, "boolean", default="true" if source == "postgres" else "b'1'"),
        column("w", T.DATETIME, "timestamp", default="now()"),
        column("x", T.TEXT, "varchar(9)", length=9, default="upper('a')"),
        key=("id",),
    )
    made = design(target.kind, [wanted(shape, at)], source)
    where = f"{target.quote(at.schema)}.{target.quote(at.name)}"
    target.execute(*made.before)
    target.execute(f"insert into {where} (id, n) values (41, 1)")
    if made.after:
        target.execute(*made.after)
    target.execute(f"insert into {where} (w) values (null)")
    assert target.execute(f"select id, n, t, b from {where} order by id")[1] == (42, 7, "it's", 1)
    assert any("x: its default is not carried over" in loss for loss in made.losses)


def test_names_that_differ_elsewhere_stay_different_in_mysql(my_db):
    at = place(my_db, "names")
    shape = table(at, column("k", T.TEXT, "character varying(20)", length=20, nullable=False), key=("k",))
    made = design("mysql", [wanted(shape, at)], "postgres")
    build(my_db, made)
    where = f"`{at.schema}`.`{at.name}`"
    my_db.execute(f"insert into {where} values ('a'), ('A'), ('ä')")
    assert my_db.execute(f"select count(*) from {where}") == [(3,)]
    my_db.execute(f"drop database `{at.schema}`")


def test_drift_is_mended_on_a_table_that_is_there(target):
    at = place(target, "t")
    before = table(at, ID, column("n", T.INTEGER, "integer", bits=32, nullable=False),
                   column("t", T.TEXT, "varchar(10)", length=10, nullable=False), key=("id",))  # fmt: skip
    source = "postgres" if target.kind != "postgres" else "mysql"
    build(target, design(target.kind, [wanted(before, at)], source))
    natives = [(native_of(target.kind)(c, source), c) for c in before.columns]
    columns = tuple(replace(n.shape, native=n.text, nullable=c.nullable) for n, c in natives if n)
    here = replace(before, name=at, columns=columns)
    after = replace(before, columns=(
        ID, column("n", T.BIGINT, "bigint", bits=64), column("t", T.TEXT, "varchar(20)", length=20, nullable=False),
        column("new", T.DATE, "date", nullable=False)))  # fmt: skip
    made = design(target.kind, [wanted(after, at)], source, t=here)
    if target.kind == "sqlite":
        assert len(made.stops) == 1  # SQLite cannot drop NOT NULL, and takes all lengths
        target.execute(*made.before)
    else:
        assert made.stops == ()
        build(target, made)
    assert len(made.drift) == (2 if target.kind == "sqlite" else 4)
    where = f"{target.quote(at.schema)}.{target.quote(at.name)}"
    big = 5_000_000_000 if target.kind != "sqlite" else 5
    target.execute(f"insert into {where} (id, n, t) values (1, {big}, '12345678901234567890')")


@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_policies(kind):
    at = TableName("s", "t")
    columns = (ID, column("gone", T.TEXT, "text", length=None))
    source = "sqlite" if kind != "sqlite" else "postgres"
    here = TableShape(at, (ID, column("was", T.TEXT, "text", nullable=False)), key=("id",))
    want = [wanted(table(at, *columns, key=("id",)), at)]
    applied = design(kind, want, source, t=here)
    assert len(applied.before) >= 1
    assert len(applied.stops) == 1
    assert "was" in applied.stops[0]
    stopped = design(kind, want, source, "stop", t=here)
    assert (stopped.before, stopped.after, len(stopped.stops)) == ((), (), 2)
    ignored = design(kind, want, source, "ignore", t=here)
    assert (ignored.before, len(ignored.stops)) == ((), 2)
    kept = replace(here, columns=(ID, columns[1], column("more", T.TEXT, "text")))
    assert design(kind, want, source, "ignore", t=kept).stops == ()


@pytest.mark.parametrize(("kind", "source", "native"), [
    ("postgres", "mysql", "geometry"), ("mysql", "postgres", "a composite type"), ("sqlite", "mysql", "point"),
])  # fmt: skip
def test_a_type_without_a_rule_is_refused_by_name(kind, source, native):
    at = TableName("s", "t")
    with pytest.raises(Stop, match="column shape_x is of type") as error:
        design(kind, [wanted(table(at, ID, column("shape_x", T.OTHER, native)), at)], source)
    assert "columns: {shape_x: {skip: true}}" in error.value.hint


@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_views_and_engines_in_the_way(kind):
    at = TableName("s", "t")
    want = [wanted(table(at, ID), at)]
    with pytest.raises(Stop, match=r"s\.t is a view"):
        design(kind, want, "x", t=TableShape(at, (ID,), TableKind.VIEW))
    if kind == "mysql":
        with pytest.raises(Stop, match="MyISAM, which has no transactions"):
            design(kind, want, "x", t=TableShape(at, (ID,), engine="MyISAM"))


@pytest.mark.parametrize(("kind", "name", "says"), [
    ("postgres", "ä" * 32, "longer than 63 bytes"), ("mysql", "x" * 65, "longer than 64 characters"),
    ("mysql", "smile 😀", "a character that MySQL has not"),
])  # fmt: skip
def test_names_that_cannot_be(kind, name, says):
    at = TableName("s", "t")
    with pytest.raises(Stop, match=says):
        design(kind, [wanted(table(at, column(name, T.DATE, "date")), at)], "sqlite")


def test_two_columns_that_are_one_name_in_mysql():
    at = TableName("s", "t")
    shape = table(at, column("a", T.DATE, "date"), column("A", T.DATE, "date"))
    with pytest.raises(Stop, match="columns a and A are one name here"):
        design("mysql", [wanted(shape, at)], "postgres")
    assert design("postgres", [wanted(shape, at)], "mysql").stops == ()


def test_a_key_that_is_too_long_for_mysql_stops():
    at = TableName("s", "t")
    long = column("k", T.TEXT, "varchar(1000)", length=1000, nullable=False)
    with pytest.raises(Stop, match="takes 4000 bytes, and an index has 3072"):
        design("mysql", [wanted(table(at, long, key=("k",)), at)], "postgres")


def target_of(db: ScratchDatabase) -> TableTarget:
    return open_tables(db.kind, db.args)


@dataclass(frozen=True)
class Elsewhere:
    """A source of another dialect, of which a design across databases needs nothing else."""

    dialect: str


@pytest.mark.parametrize("source", sorted(SAMPLES))
def test_what_was_made_is_read_back_without_drift(any_db, source):
    """Catalogue and type map agree: the second design has nothing to do, under the policy that stops at anything."""
    if source == any_db.kind == "postgres":
        return  # carried over whole, not translated (integration/test_structure_postgres.py)
    kept = [c for c in SAMPLES[source] if native_of(any_db.kind)(c, source)]
    columns = [replace(c, name=f"c{i}") for i, c in enumerate(kept)]
    with contextlib.closing(target_of(any_db)) as target:
        at = target.name_of("mapped")
        code = column("code", T.TEXT, "varchar(30)", length=30, nullable=False)
        shape = table(at, ID, code, *columns, key=("id",), indexes=(Index("by code", ("code",), unique=True),))
        first = target.design([wanted(shape, at)], Elsewhere(source), "stop")
        target.build(first.before)
        target.build(first.after)
        again = target.design([wanted(shape, at)], Elsewhere(source), "stop")
    assert (again.before, again.after, again.stops, again.drift) == ((), (), (), ())
    assert again.losses == first.losses


def test_keys_that_differ_by_blanks_stay_different_where_the_server_can(my_db):
    with contextlib.closing(target_of(my_db)) as target:
        at = target.name_of("blanks")
        shape = table(at, column("k", T.TEXT, "text", nullable=False), key=("k",))
        target.build(target.design([wanted(shape, at)], Elsewhere("postgres"), "apply").before)
    my_db.execute("insert into blanks values ('a'), ('a '), ('A'), ('á')")
    assert my_db.execute("select count(*) from blanks") == [(4,)]


@pytest.mark.parametrize(("version", "collation"), [
    ("10.11.14-MariaDB-0+deb12u2", "utf8mb4_nopad_bin"), ("10.1.48-MariaDB", "utf8mb4_bin"),
    ("8.4.3", "utf8mb4_0900_bin"), ("8.0.16", "utf8mb4_bin"), ("5.7.44-log", "utf8mb4_bin"),
])  # fmt: skip
def test_the_collation_of_a_server(version, collation):
    assert collation_of(version) == collation


def test_drift_of_a_table_that_others_made(any_db):
    """Widened, added, dropped, retyped against the real catalogue."""
    source = "mysql" if any_db.kind != "mysql" else "postgres"
    with contextlib.closing(target_of(any_db)) as target:
        at = target.name_of("old")
        any_db.execute("create table old (id bigint primary key, small smallint not null, name varchar(10), gone text,"
                       " born date)")  # fmt: skip
        shape = table(
            at, ID, column("small", T.BIGINT, "bigint", bits=64), column("name", T.TEXT, "varchar(50)", length=50),
            column("born", T.DATETIME, "datetime", precision=0), column("new", T.DECIMAL, "decimal(10,2)", precision=10,
            scale=2, nullable=False), key=("id",),
        )  # fmt: skip
        made = target.design([wanted(shape, at)], Elsewhere(source), "apply")
        assert [s for s in made.stops if "born" in s]
        assert [d for d in made.drift if "gone" in d and "kept" in d]
        assert not [s for s in made.stops if "gone" in s or "new" in s]
        rest = replace(shape, columns=tuple(c for c in shape.columns if c.name != "born"))
        made = target.design([wanted(rest, at)], Elsewhere(source), "apply")
        target.build(made.before)
        again = target.design([wanted(rest, at)], Elsewhere(source), "apply")
        if any_db.kind != "sqlite":
            assert made.stops == ()
            assert again.before == ()
            any_db.execute("insert into old (id, small, name) values (1, null, '12345678901234567890')")
        assert {"new"} <= {c.name for c in target.shapes([at])[at].columns}
