"""The command line as a user has it: what is printed, what is written, and the exit code that a script goes by."""

from __future__ import annotations

import json

import pytest

from sync_assets_tests.fix_command import Shell

ORDERS = (
    "create table orders (id int primary key, status varchar(20), amount decimal(10,2), at timestamp null)",
    "insert into orders values (1, 'new', 10.50, '2026-10-01 03:00:00'), (2, '已付', 20, '2026-10-02 03:00:00'),"
    " (3, 'done', 30, '2026-10-02 04:00:00')",
)


def whole(shell: Shell, **changes: str) -> str:
    """A sync of the whole table into a table that it makes."""
    words = {
        "name": "orders",
        "table": "orders",
        "bitable": shell.link(),
        "table_name": "orders",
        "key": "[id]",
    } | changes
    first, *rest = (f"{name}: {value}" for name, value in words.items())
    return f"    - {first}\n" + "".join(f"      {line}\n" for line in rest)


def by_day(shell: Shell) -> str:
    return whole(shell, partitions="{every: day, start: 2026-10-01, end: 2026-10-04, column: at}")


def ready(shell: Shell, syncs: str | None = None) -> Shell:
    shell.shop.execute(*ORDERS)
    shell.write(syncs or whole(shell))
    return shell


# -- check ------------------------------------------------------------------------------------------------------


def test_check_says_that_all_is_well_and_writes_nothing(any_shell):
    ready(any_shell)
    said = any_shell("check")
    assert said.code == 0, said
    assert "orders: orders can be read (4 columns)" in said.out
    assert "orders: base '店铺'" in said.out
    assert "✗" not in said.all
    assert any_shell.writes() == 0


WRONG_CONNECTIONS = [
    ("password", "env:WRONG", ["shop"], "password"),
    ("password", "env:UNSET", ["shop"], "export UNSET="),
    ("port", "1", ["shop"], "->"),
    ("user", "nobody_at_all", ["shop"], "->"),
    ("database", "no_such_db", ["shop"], "the database does not exist"),
    ("app_secret", "env:WRONG", ["feishu"], "app"),
    ("app_id", "cli_unknown", ["feishu"], "app"),
    ("feishu", "http://127.0.0.1:1", ["feishu"], "->"),
]


@pytest.mark.parametrize(("place", "value", "names", "hint"), WRONG_CONNECTIONS)
def test_check_says_what_is_wrong_with_a_connection(any_shell, place, value, names, hint):
    any_shell.shop.execute(*ORDERS)
    link = {"bitable": any_shell.link()}
    if place == "feishu":
        link = {"bitable": f"{value}/base/bascnExample"}
    any_shell.write(whole(any_shell, **link), **{place: value})
    said = any_shell("check", *names, WRONG="not-the-one")
    assert said.code == 2, said
    assert "✗" in said.out
    assert hint in said.out
    assert "Traceback" not in said.all
    assert any_shell.writes() == 0


def test_a_wrong_password_is_tried_once(shell):
    ready(shell)
    before = shell.feishu.count("token")
    shell.write(whole(shell), app_secret="env:WRONG")
    assert shell("check", "feishu", WRONG="not-the-one").code == 2
    assert shell.feishu.count("token") - before == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": "[nr]"}, "orders: orders has no column nr"),
        ({"watermark": "changed"}, "changed"),
        ({"table": "ordrs"}, "ordrs"),
        ({"columns": "{amont: {type: currency}}"}, "orders: orders has no column amont"),
    ],
)
def test_check_finds_a_source_that_is_not_as_the_sync_says(any_shell, change, says):
    ready(any_shell, whole(any_shell, **change))
    said = any_shell("check", "shop")
    assert said.code == 2, said
    assert says in said.out


def test_check_finds_a_query_with_a_wrong_column(any_shell):
    sync = whole(any_shell, query="select id, stauts from orders").replace("      table: orders\n", "")
    ready(any_shell, sync)
    said = any_shell("check", "shop")
    assert said.code == 2, said
    assert "stauts" in said.out or "column" in said.out


def test_check_finds_an_app_that_was_not_added_to_the_base(shell):
    ready(shell)
    shell.feishu.set_permission(shell.base, right="")
    said = shell("check", "feishu")
    assert (said.code, "91403" in said.out) == (2, True), said


def test_check_finds_a_missing_scope(shell):
    app_id, secret = shell.feishu.make_app(scopes=["im:message"])
    shell.environment["FEISHU_SECRET"] = secret
    shell.shop.execute(*ORDERS)
    shell.write(whole(shell), app_id=app_id)
    said = shell("check", "feishu")
    assert (said.code, "99991672" in said.out) == (2, True), said


def test_check_finds_a_wiki_token_taken_for_a_base(shell):
    node = shell.feishu.make_node(shell.base)
    ready(shell, whole(shell, bitable=f"{shell.feishu.url}/base/{node}"))
    said = shell("check", "feishu")
    assert (said.code, "91402" in said.out) == (2, True), said


def test_check_of_an_unknown_name_names_the_nearest(shell):
    ready(shell)
    said = shell("check", "shopp")
    assert (said.code, said.out) == (2, "")
    assert "did you mean shop?" in said.err


# -- plan and run -----------------------------------------------------------------------------------------------


def test_a_plan_shows_counts_and_writes_nothing(any_shell):
    ready(any_shell)
    said = any_shell("plan", "orders", "--json")
    assert said.code == 0, said
    assert json.loads(said.out)["counts"] == {
        "read": 3, "created": 3, "updated": 0, "unchanged": 0, "rejected": 0, "deleted": 0
    }  # fmt: skip
    assert any_shell.writes() == 0
    assert "would do" in any_shell("plan", "orders").out


def test_a_run_writes_and_a_second_one_finds_nothing_to_do(any_shell):
    ready(any_shell)
    said = any_shell("run", "orders")
    assert said.code == 0, said
    assert sorted(row["status"] for row in any_shell.board("orders")) == ["done", "new", "已付"]
    any_shell.feishu.reset_calls()
    again = any_shell("run", "orders", "--json")
    assert (again.code, json.loads(again.out)["counts"]["unchanged"]) == (0, 3), again
    assert any_shell.writes() == 0


def test_partitions_by_key_range_and_latest(any_shell):
    ready(any_shell, by_day(any_shell))
    assert any_shell("run", "orders", "-p", "2026-10-01").code == 0
    assert len(any_shell.board("orders")) == 1
    said = any_shell("run", "orders", "-p", "2026-10-01..2026-10-03", "--json")
    assert said.code == 0, said
    assert list(json.loads(said.out)["partitions"]) == ["2026-10-01", "2026-10-02", "2026-10-03"]
    assert len(any_shell.board("orders")) == 3
    assert "2026-10-03" in any_shell("run", "orders", "-p", "latest").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "orders"], "name some with --partition"),
        (["run", "orders", "-p", "2026-11-01"], "there is no partition '2026-11-01'"),
        (["run", "orders", "-p", "2026-10-03..2026-10-01"], "runs backwards"),
        (["plan", "orders", "-p", "2026-10-01..2026-10-02"], "one partition at a time"),
        (["run", "ordrs"], "did you mean orders?"),
        (["run", "nowhere.yaml"], "there is no file nowhere.yaml"),
        (["run", "orders", "--mode", "upsert"], "upsert"),
        (["rejects", "orders", "7"], "has no rejected row"),
    ],
)
def test_wrong_arguments_stop_before_anything_is_written(shell, arguments, says):
    ready(shell, by_day(shell))
    said = shell(*arguments)
    assert said.code == 2, said
    assert says in said.err
    assert "Traceback" not in said.err
    assert shell.writes() == 0


def test_a_wrong_project_is_refused_with_every_fault(shell):
    ready(shell, whole(shell, mode="incrementl", watermrk="at"))
    said = shell("run", "orders")
    assert (said.code, said.out) == (2, "")
    assert "2 faults" in said.err
    assert "defs/shop/defs.yaml:" in said.err
    assert shell.writes() == 0


def test_a_file_outside_of_the_project_runs_with_the_same_format(any_shell):
    any_shell.shop.execute(*ORDERS)
    any_shell.write(whole(any_shell))
    files = [any_shell.folder / "defs" / name / "defs.yaml" for name in ("connections", "shop")]
    alone = any_shell.folder / "once.yaml"
    alone.write_text("---\n".join(file.read_text(encoding="utf-8") for file in files), encoding="utf-8")
    for file in files:
        file.unlink()
    said = any_shell("run", "once.yaml")
    assert said.code == 0, said
    assert len(any_shell.board("orders")) == 3


def test_a_source_that_is_rightly_empty_is_accepted_once(any_shell):
    ready(any_shell, whole(any_shell, mode="clone"))
    assert any_shell("run", "orders").code == 0
    any_shell.shop.execute("delete from orders")
    refused = any_shell("run", "orders")
    assert (refused.code, "--accept-empty" in refused.err) == (2, True), refused
    assert len(any_shell.board("orders")) == 3
    assert any_shell("run", "orders", "--accept-empty").code == 0
    assert any_shell.board("orders") == []


def test_a_mode_that_does_not_fit_the_sync_stops_before_anything_is_written(shell):
    query = "{every: day, start: 2026-10-01, end: 2026-10-04}"
    ready(shell, whole(shell, query="select * from orders where at >= :start and at < :end", partitions=query)
          .replace("      table: orders\n", ""))  # fmt: skip
    for mode, says in (("append", "takes no key"), ("clone", "partitions.column")):
        said = shell("run", "orders", "-p", "2026-10-01", "--mode", mode)
        assert (said.code, says in said.err) == (2, True), said
    assert shell.writes() == 0


# -- exit codes -------------------------------------------------------------------------------------------------


def test_passing_trouble_is_3(shell):
    ready(shell)
    shell.write(whole(shell), port="1")
    said = shell("run", "orders")
    assert said.code == 3, said
    assert "->" in said.err
    assert shell.writes() == 0


def test_rejected_rows_are_4_and_can_be_sent_again(any_shell):
    any_shell.shop.execute(
        "create table orders (id int primary key, qty varchar(20))", "insert into orders values (1, '5'), (2, 'five')"
    )
    any_shell.write(whole(any_shell, columns="{qty: {type: number}}"))
    said = any_shell("run", "orders")
    assert said.code == 4, said
    assert len(any_shell.board("orders")) == 1
    listed = any_shell("rejects", "orders")
    assert (listed.code, "qty" in listed.out) == (4, True), listed
    any_shell.shop.execute("update orders set qty = '6' where id = 2")
    again = any_shell("rejects", "orders", "--resend")
    assert again.code == 0, again
    assert sorted(row["qty"] for row in any_shell.board("orders")) == [5, 6]
    assert any_shell("rejects", "orders").code == 0


def test_what_a_row_holds_cannot_drive_the_terminal(shell):
    shell.shop.execute(
        "create table orders (id varchar(20) primary key, qty varchar(20))",
        "insert into orders values (concat('a', char(27), '[2Jb[red]'), 'x'), ('c', '1')",
    )
    shell.write(whole(shell, columns="{qty: {type: number}}"))
    assert shell("run", "orders").code == 4
    said = shell("rejects", "orders")
    assert "\x1b" not in said.out
    assert "[2Jb[red]" in said.out  # shown as it is, besides the control character


# -- the rest ---------------------------------------------------------------------------------------------------


def test_syncs_are_listed_with_the_place_where_they_are_written(shell):
    ready(shell, by_day(shell))
    said = shell("syncs")
    assert said.code == 0, said
    assert "orders" in said.out
    assert "shop -> feishu" in said.out
    assert "every day" in said.out
    assert "shop: line 6" in said.out


def test_a_terminal_without_the_cross_is_no_trouble(shell):
    ready(shell)
    said = shell("check", "nope", PYTHONIOENCODING="gbk")
    assert (said.code, "Traceback" in said.err) == (2, False), said
    said = shell("check", PYTHONIOENCODING="ascii", UNSET="not-the-one")  # the base has a Chinese name
    assert (said.code, "Traceback" in said.all) == (0, False), said


def test_variables_come_from_the_env_file_too(shell):
    ready(shell)
    password = shell.environment["SHOP_PASSWORD"]
    (shell.folder / ".env").write_text(f"OTHER_PASSWORD={password}\n", encoding="utf-8")
    shell.write(whole(shell), password="env:OTHER_PASSWORD")
    assert shell("check", "shop").code == 0


def test_the_embedded_server_is_started_told_about_and_stopped(shell, own_home):
    shell.environment = {k: v for k, v in shell.environment.items() if not k.startswith("SYNC_ASSETS_PG_")}
    shell.environment["SYNC_ASSETS_HOME"] = str(own_home)
    assert shell("status").code == 2
    up = shell("up")
    assert (up.code, "is ready" in up.out) == (0, True), up
    status = shell("status")
    assert (status.code, "running, pid" in status.out) == (0, True), status
    assert shell("down").out == "stopped\n"
    assert shell("down").out == "it was not running\n"


def test_a_server_of_ones_own_is_left_running(shell):
    assert "left running" in shell("down").out
    assert shell("up").code == 0
    assert shell("status").code == 0
