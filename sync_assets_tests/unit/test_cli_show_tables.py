"""What a person reads after a run of many tables: what changed and what failed, not the rest one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync_assets.cli import show_tables
from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.model import Counts, Delivery, Mode, Report, SyncErrorInfo
from sync_assets.engine.tables.report import Outcome

STREAM = "read by one connection: several would need the right to LOCK TABLES"


def report(table: str, *notes: str, **more: object) -> Report:
    made = Report(f"copy:{table}", Mode.CLONE, Delivery.LEDGER, counts=Counts(read=100, unchanged=100), equal=True,
                  notes=("nothing to do", "position 2026-10-01", *notes), seconds=12.34)  # fmt: skip
    return replace(made, **more)


def quiet(count: int, *notes: str) -> dict[str, Outcome]:
    return {f"public.t{n:03}": Outcome(report(f"public.t{n:03}", *notes)) for n in range(count)}


def shown(capsys: pytest.CaptureFixture[str], found: dict[str, Outcome], **more: bool) -> list[str]:
    show_tables.outcomes("copy", found, **more)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_two_hundred_tables_without_a_change_are_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    changed = report("public.orders", "differences by digest", counts=Counts(read=100, created=1, unchanged=99))
    lines = shown(capsys, {**quiet(199, STREAM), "public.orders": Outcome(replace(changed, notes=(STREAM,)))})
    assert len(lines) < 12
    assert lines[0] == "copy: what was done"
    (folded,) = [line for line in lines if "199 tables without a change" in line]
    assert folded.split()[-1] == "yes"
    assert next(line for line in lines if "public.orders" in line).split()[-1] == "yes"
    assert lines.count(f"  all tables: {STREAM}") == 1
    assert lines[-1] == "200 tables: 1 written, 199 without a change; 12.3 s"


def test_few_tables_are_all_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, quiet(3))
    assert [line.split()[0] for line in lines[2:5]] == ["public.t000", "public.t001", "public.t002"]


def test_what_failed_stands_last_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    hint = "grant insert on it to this user"
    found = quiet(198)
    found["public.a"] = Outcome(None, Stop("copy:public.a: connection dw: no right to use a", hint=hint, code="42501"))
    found["public.b"] = Outcome(None, Stop("copy:public.b: connection dw: no right to use b", hint=hint, code="42501"))
    found["public.c"] = Outcome(None, Retry("copy:public.c: connection dw: the connection was lost"))
    lines = shown(capsys, found)
    assert lines[-6:] == [
        "✗ public.a: connection dw: no right to use a [42501]",
        "✗ public.b: connection dw: no right to use b [42501]",
        f"  -> {hint}",
        "✗ public.c: connection dw: the connection was lost",
        "  -> this may pass: run it again; what is done already is not done twice",
        "201 tables: 0 written, 198 without a change, 3 FAILED; 12.3 s",
    ]


def test_rejected_rows_differences_and_failed_partitions_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = quiet(20)
    found["public.r"] = Outcome(report("public.r", counts=Counts(read=100, created=98, rejected=2)))
    found["public.d"] = Outcome(report("public.d", equal=False, differences=("1 rows missing: 7",)))
    gone = {"2026-10-01": SyncErrorInfo("stop", "copy:public.p: no right")}
    found["public.p"] = Outcome(report("public.p", failed=gone, equal=None))
    lines = shown(capsys, found)
    assert lines[-5:] == [
        "✗ public.r: 2 rows were rejected",
        "  -> sync-assets rejects copy:public.r",
        "✗ public.d differs: 1 rows missing: 7",
        "✗ public.p 2026-10-01: no right",
        "23 tables: 1 written, 20 without a change, 1 with rejected rows, 1 DIFFERENT FROM THE SOURCE, 1 FAILED;"
        " 12.3 s",
    ]
    assert {"public.r", "public.d", "public.p"} < {line.split()[0] for line in lines if line}


def test_rows_that_were_counted_are_not_called_equal(capsys: pytest.CaptureFixture[str]) -> None:
    note = "rows were counted, not compared, as proof: count asks"
    lines = shown(capsys, {"public.a": Outcome(report("public.a", note)), "public.b": Outcome(report("b", equal=None))})
    assert [line.split()[-1] for line in lines[2:4]] == ["counts", "compared"]
    assert "yes" not in " ".join(lines)


def test_notes_of_some_tables_name_them_and_many_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    found = quiet(50) | {f"public.{n}": Outcome(report(f"public.{n}", "resumed")) for n in "abcde"}
    found |= {f"public.x{n}": Outcome(report(f"public.x{n}", drift=(f"public.x{n}: index i{n} is missing",))) for n in range(30)}  # fmt: skip # noqa: E501
    lines = shown(capsys, found, planned=True)
    assert "  public.a, public.b, public.c and 2 more: resumed" in lines
    assert len(lines) < 40
    assert "  ... and 11 more lines: --json has all" in lines
    assert lines[-1].startswith("85 tables: 0 would be written, 85 without a change")
