"""Values of rows go to the board and nowhere else: of a row, messages and samples show its key only."""

from __future__ import annotations

from sync_assets.store.address import Address
from sync_assets_tests.fix_command import Said, Shell
from sync_assets_tests.security.canaries import Canary, dump, files, found

KEY, VALUE = Canary.fresh(), Canary.fresh()


def _literal(shell: Shell, canary: Canary) -> str:
    text = canary.value.replace("'", "''")
    return text.replace("\\", "\\\\") if shell.shop.kind == "mysql" else text


def _sync(shell: Shell, more: str = "", columns: str = "") -> str:
    return (
        f'    - {{name: people, query: "select id, name, qty from people {more}", bitable: "{shell.link()}",'
        f" table_name: people, key: [id], mode: clone, columns: {{{columns}}}}}\n"
    )


def _quiet(shell: Shell, *arguments: str) -> Said:
    said = shell(*arguments, SYNC_ASSETS_DEBUG="1")
    assert found(said.all, [VALUE]) == []
    return said


def test_values_are_in_no_message_no_sample_and_no_history(any_shell: Shell, control_database: Address) -> None:
    shop, feishu = any_shell.shop, any_shell.feishu
    key, value = _literal(any_shell, KEY), _literal(any_shell, VALUE)
    shop.execute(
        "create table people (id varchar(90), name varchar(90), qty varchar(90))",
        f"insert into people values ('{key}', '{value}', '1'), ('b', '{value}', '{value}')",
    )
    any_shell.write(_sync(any_shell, columns="qty: {type: number}"))
    assert _quiet(any_shell, "check").code == 0
    planned = _quiet(any_shell, "plan", "people")
    assert found(planned.out, [KEY]), "the sample names keys, as documented"
    assert _quiet(any_shell, "run", "people", "--json").code == 4
    assert [VALUE.value in row.values() for row in any_shell.board("people")] == [True]
    assert _quiet(any_shell, "rejects", "people").code == 4
    feishu.fault("code", "batch_create", code=1254060)
    shop.execute(f"insert into people values ('c', '{value}', '3')")
    _quiet(any_shell, "run", "people")
    shop.execute(f"insert into people values ('d', '{value}', '4'), ('d', '{value}', '5')")
    assert "duplicate_key" in _quiet(any_shell, "run", "people").err
    shop.execute("delete from people where id = 'd'")
    for fault in ({"code": 1254001}, {"code": 91403}, {"kind": "http", "status": 400}):
        feishu.fault(endpoint="write", times=None, **fault)  # type: ignore[arg-type]
        shop.execute("delete from people where id = 'c'", f"insert into people values ('c', '{value}', '5')")
        assert _quiet(any_shell, "run", "people").code in (2, 3, 4)
        feishu.clear_faults()
    assert _quiet(any_shell, "run", "people").code == 4
    assert found(dump(control_database.arguments()), [VALUE]) == []
    assert found(files(any_shell.folder), [VALUE, KEY]) == []


def test_a_query_that_fails_on_a_value_does_not_quote_it(any_shell: Shell, control_database: Address) -> None:
    value = _literal(any_shell, VALUE)
    any_shell.shop.execute(
        "create table people (id int, name varchar(90), qty varchar(90))",
        f"insert into people values (1, '{value}', '{value}')",
    )
    failing = {
        "postgres": ["where cast(name as int) = 1", "where cast(name as date) > now()", "where name::json is null"],
        "mysql": [
            "where id = (select 1 union select 2)",
            "where json_extract(name, name) = 1",
            "where name regexp '('",
        ],
    }
    for condition in failing[any_shell.shop.kind]:
        any_shell.write(_sync(any_shell, condition))
        assert _quiet(any_shell, "run", "people").code != 0 or any_shell.shop.kind == "mysql"
    assert found(dump(control_database.arguments()), [VALUE]) == []
