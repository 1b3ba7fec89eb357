"""Hostile SQL, names and values through the whole of a run: the source stays as it is, and nothing is injected."""

from __future__ import annotations

import json

import pytest

from sync_assets_tests.fix_command import Said, Shell

WRITES = {
    "postgres": [
        "with gone as (delete from orders returning id) select id, 1 as n from gone",
        "select id, wiper() as n from orders",
        "select id, nextval('numbers') as n from orders",
        "select id, n from orders for update",
        "select 1 as id, 1 as n; delete from orders",
        "select id, n from orders where 'a' = $$'$$; delete from orders; --$$",
    ],
    "mysql": [
        "select id, wiper() as n from orders",
        "select id, nextval(numbers) as n from orders",
        "select id, n from orders for update",
        "select 1 as id, 1 as n; delete from orders",
        "select id, n from orders where 'a\\\\'; delete from orders; -- ' = 'b'",
        "select 1 as id, 1 as n /*! union select 1, wiper() */",
        "select id, n from orders into outfile '/tmp/sync-assets-hostile'",
    ],
}
# Each would end a quotation, begin a comment, or be taken for a parameter, somewhere on the way.
NAMES = [
    "a\"; drop table x; --", "a`; drop table x; --", "a'b", "%s", "%(start)s", "100%", ":start", "a b", "select",
    "列名", "\\", "a.b", "{x}", "[bold]", "/* x", "$1", "?",
]  # fmt: skip
VALUES = ["'; drop table x; --", '" or 1=1 --', "\\'; delete from x; --", "%s", ":value", "甲😀", "100%", "a`b", "$$"]


def _fill(shell: Shell) -> None:
    shell.shop.execute(
        "create table orders (id int primary key, n int)", "insert into orders values (1, 1), (2, 2)",
        "create sequence numbers",
    )  # fmt: skip
    body = "begin delete from orders; return 1; end"
    language = " language plpgsql as $$ " + body + " $$" if shell.shop.kind == "postgres" else " " + body
    shell.shop.execute("create function wiper() returns int" + language)


def _state(shell: Shell) -> list[object]:
    sequence = "last_value" if shell.shop.kind == "postgres" else "next_not_cached_value"
    return [
        shell.shop.execute("select * from orders order by id"),
        shell.shop.execute(f"select {sequence} from numbers"),
    ]


def _text(value: str) -> str:
    """As YAML and JSON both read it."""
    return json.dumps(value, ensure_ascii=False)


def _sync(shell: Shell, **words: str) -> str:
    all_words = {"name": "orders", "bitable": _text(shell.link()), "table_name": "orders", "key": "[id]"} | words
    first, *rest = (f"{name}: {value}" for name, value in all_words.items())
    return f"    - {first}\n" + "".join(f"      {line}\n" for line in rest)


def _run(shell: Shell, *arguments: str) -> Said:
    said = shell(*arguments)
    assert "unexpected error" not in said.err, said
    return said


def test_a_write_in_the_clothes_of_a_query_changes_nothing(any_shell: Shell) -> None:
    """As a superuser of the source, which is the worst login to give us."""
    _fill(any_shell)
    before = _state(any_shell)
    for query in WRITES[any_shell.shop.kind]:
        any_shell.write(_sync(any_shell, query=_text(query)))
        _run(any_shell, "check", "shop")  # which does not execute a query
        for command in ("plan", "run"):
            said = _run(any_shell, command, "orders")
            assert (said.code, "Traceback" in said.all) == (2, False), (query, command, said)
    assert _state(any_shell) == before
    assert any_shell.writes() == 0


def test_a_sensor_query_cannot_write_either(any_shell: Shell) -> None:
    from zoneinfo import ZoneInfo

    from sync_assets.engine.errors import Stop
    from sync_assets.sources.sql import SqlSource

    _fill(any_shell)
    before = _state(any_shell)
    source = SqlSource("orders", any_shell.shop.open(), table="orders", time_zone=ZoneInfo("UTC"))
    for query in WRITES[any_shell.shop.kind]:
        with pytest.raises(Stop):
            source.observe_query(query)
    source.close()
    assert _state(any_shell) == before


def test_names_of_columns_are_names_and_nothing_else(any_shell: Shell) -> None:
    """As columns, as the key, as the watermark and as the column of the partitions."""
    shop = any_shell.shop
    quoted = [shop.quote(name) for name in NAMES]
    doubled = ", ".join(f"{name} varchar(40)" for name in quoted)
    shop.execute("create table x (a int)", f"create table hostile ({doubled})")
    values = ", ".join(f"'v{n}'" for n in range(len(NAMES)))
    shop.execute(f"insert into hostile values ({values})")
    for at, name in enumerate(NAMES):
        sync = _sync(
            any_shell, table="hostile", key=f"[{_text(name)}]", watermark=_text(name), table_name=f"t{at}",
            partitions=f"{{column: {_text(name)}, values: [v{at}]}}",
        )  # fmt: skip
        any_shell.write(sync)
        said = _run(any_shell, "run", "orders", "-p", f"v{at}")
        assert said.code == 0, (name, said)
        (row,) = any_shell.board(f"t{at}")
        assert {str(v) for v in row.values()} == {f"v{n}" for n in range(len(NAMES))}, name
    assert shop.execute("select * from x") == []


def test_names_of_tables_are_names_and_nothing_else(any_shell: Shell) -> None:
    shop = any_shell.shop
    names = [name for name in NAMES if "." not in name]  # a dot parts schema and table
    shop.execute("create table x (a int)")
    for at, name in enumerate(names):
        shop.execute(f"create table {shop.quote(name)} (id int)", f"insert into {shop.quote(name)} values ({at})")
    syncs = [_sync(any_shell, name=f"s{at}", table=_text(name), table_name=f"t{at}") for at, name in enumerate(names)]
    any_shell.write("".join(syncs))
    for at in range(len(names)):
        said = _run(any_shell, "run", f"s{at}")
        assert said.code == 0, (names[at], said)
        assert [row["id"] for row in any_shell.board(f"t{at}")] == [at]
    assert shop.execute("select * from x") == []


def test_values_of_partitions_and_keys_are_values_and_nothing_else(any_shell: Shell) -> None:
    shop = any_shell.shop
    shop.execute("create table x (a int)", "create table parts (id varchar(40), part varchar(40))")
    for at, value in enumerate(VALUES):
        literal = value.replace("'", "''")
        literal = literal.replace("\\", "\\\\") if shop.kind == "mysql" else literal
        shop.execute(f"insert into parts values ('{literal}{at}', '{literal}')")
    values = json.dumps(VALUES, ensure_ascii=False)
    queries = {"table": "parts"}, {"query": _text("select id, part from parts where part = :value")}
    for number, source in enumerate(queries):
        sync = _sync(
            any_shell, **source, mode="clone", table_name=f"t{number}", partitions=f"{{column: part, values: {values}}}"
        )
        any_shell.write(sync)
        for at, value in enumerate(VALUES):
            said = _run(any_shell, "run", "orders", "-p", value)
            assert said.code == 0, (value, said)
            assert {str(r["id"]) for r in any_shell.board(f"t{number}")} == {
                f"{v}{n}" for n, v in enumerate(VALUES[: at + 1])
            }
    assert shop.execute("select * from x") == []
    assert shop.execute("select count(*) from parts") == [(len(VALUES),)]
