"""Parts of the command line that need no process: exit codes, progress, an error nobody expected."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sync_assets import cli
from sync_assets.cli import exits, show
from sync_assets.engine.errors import Fenced, RejectRow, Retry, Stop, Unclear
from sync_assets.engine.model import Counts, Delivery, Mode, Report, SyncErrorInfo


@pytest.mark.parametrize(
    ("error", "code"),
    [(Stop("x"), 2), (Fenced("x"), 2), (Retry("x"), 3), (Unclear("x"), 3), (RejectRow("x"), 4)],
)
def test_the_code_of_an_error_says_what_to_do_next(error, code):
    assert exits.of_error(error) == code


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, 0),
        ({"equal": True}, 0),
        ({"counts": Counts(read=1, rejected=1)}, 4),
        ({"equal": False}, 3),
        ({"failed": {"a": SyncErrorInfo("retry", "x")}, "counts": Counts(read=1, rejected=1)}, 3),
        ({"failed": {"a": SyncErrorInfo("retry", "x"), "b": SyncErrorInfo("stop", "x")}}, 2),
        ({"failed": {"a": SyncErrorInfo("unheard of", "x")}}, 1),
    ],
)
def test_the_code_of_a_report_is_that_of_the_gravest(told, code):
    assert exits.of_report(Report("s", Mode.FULL, Delivery.TOKEN, **told)) == code


def test_an_error_nobody_expected_is_1_and_its_text_is_not_shown(capsys):
    assert cli._told(ValueError("hunter2")) == 1
    shown = capsys.readouterr()
    assert "ValueError" in shown.err
    assert "hunter2" not in shown.err + shown.out


def test_an_expected_error_is_one_block_with_the_next_action(capsys):
    assert cli._told(Stop("orders: no right to read", hint="grant select", code="1142")) == 2
    assert capsys.readouterr().err.splitlines()[1:] == ["  -> grant select"]


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys):
    now = [0.0]
    with show.progress(clock=lambda: now[0]) as tell:
        for at in range(100):
            now[0] = at * 0.1
            tell("reading", at, 1000)
        tell("reading", 1000, 1000)
        tell("structure", 0, None)
        tell("rows", 7, None)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 0 of 1,000",
        "reading: 50 of 1,000",
        "reading: 1,000 of 1,000",
        "structure",
        "rows: 7",
    ]


def test_help_names_every_exit_code_and_loads_nothing_heavy():
    code = (
        "import sys; from sync_assets.cli import root\n"
        "try: root(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'rich', 'yaml', 'httpx', 'psycopg', 'pymysql', 'dagster', 'sqlalchemy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.splitlines()[-1] == "[]"
    for word in ("0 done", "1 unexpected", "2 stop", "3 passing", "4 done, but rows were"):
        assert word in " ".join(said.split())


@pytest.mark.parametrize(
    ("mode", "rejected", "says"),
    [
        (Mode.CLONE, 0, "the board equals the source"),
        (Mode.FULL, 0, "every row of the source is on the board as it is there"),
        (Mode.FULL, 1, "every row of the source is on the board as it is there, besides the rejected rows"),
        (Mode.INCREMENTAL, 0, "what was to be written is on the board"),
    ],
)
def test_only_clone_is_said_to_make_both_sides_equal(capsys, mode, rejected, says):
    show.report(Report("s", mode, Delivery.TOKEN, equal=True, counts=Counts(read=1, rejected=rejected)))
    assert says in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ((), "the table equals the source"),
        (("these columns cannot be compared by digest: rows were counted instead",), "the counts of both sides agree"),
        (("compared: rows with at from 5 on",), "every row that was compared is in the table as it is in the source"),
    ],
)
def test_no_more_is_said_of_a_table_than_was_compared(capsys, notes, says):
    show.report(Report("s", Mode.CLONE, Delivery.LEDGER, equal=True, counts=Counts(read=1), notes=notes))
    said = capsys.readouterr().out
    assert says in said.splitlines()
    assert "requests" not in said
