"""Reports of a fleet, piece by piece: what is written of a value, a page, a picture, a cell."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta

import pytest

from sync_assets.project.fleet.report.capacity import change_over
from sync_assets.project.fleet.report.page import document, markup, named, table, tag
from sync_assets.project.fleet.report.plot import plot, spark
from sync_assets.project.fleet.report.table_file import BOM, cell, written
from sync_assets.project.fleet.report.text import change, few, share, size, stretches, visible

DAY = date(2026, 3, 1)


def days(**sizes: int) -> dict[date, int]:
    return {DAY + timedelta(days=int(n[1:])): size for n, size in sizes.items()}


def test_unknown_is_never_nothing_and_never_zero():
    assert (size(None), change(None), cell(None), share(0, 0)) == ("unknown",) * 4
    assert (size(0), change(0), cell(0), share(0, 3)) == ("0 B", "0 B", "0", "0.0 %")


@pytest.mark.parametrize(
    ("number", "text"), [(1023, "1,023 B"), (1024, "1.0 KiB"), (10**9, "954 MiB"), (-(2**41), "-2.0 TiB")]
)
def test_sizes_are_in_powers_of_1024(number, text):
    assert size(number) == text


def test_a_share_is_whole_only_where_nothing_is_missing():
    assert share(99_999, 100_000) == "99.9 %"
    assert share(7, 7) == "100 %"


def test_a_change_needs_both_of_its_days():
    points = days(d0=10, d7=17, d8=30)
    assert change_over(points, 7) is None, "the day 1 is not known, and day 0 is not taken for it"
    assert change_over(points, 8) == 20
    assert change_over({}, 7) is None


def test_stretches_of_days():
    some = [DAY, DAY + timedelta(1), DAY + timedelta(3)]
    assert list(stretches(some)) == [(DAY, DAY + timedelta(1)), (DAY + timedelta(3), DAY + timedelta(3))]
    assert list(stretches([])) == []


def test_names_hide_nothing():
    assert visible("a\u202egnp.exe") == "a\\x202egnp.exe"
    assert visible("app\u200b") == "app\\x200b"
    assert visible("张三 · O'Neil") == "张三 · O'Neil"


def test_few_says_how_many_more():
    assert few(["a", "b", "c"], 2) == "a, b and 1 more"


# -- a page


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "a&b"])
def test_whatever_is_put_in_becomes_text(name):
    pieces = [markup(name), tag("p", name), tag("a", "x", title=name), table([name], [[name]]), named(name)]
    for piece in pieces:
        for sign in "<\"'":
            assert piece.count(sign) == _own(piece, sign), piece
    assert "<script" not in document(name, name)


def _own(piece: str, sign: str) -> int:
    """How often a sign stands in the markup itself: in tags and around attributes."""
    return sum(found.count(sign) for found in re.findall(r'<[a-z/][a-z]*(?: [a-z]+="[^"]*")*>', piece))


def test_a_page_forbids_itself_everything():
    assert "default-src 'none'" in document("x")


# -- a picture


def test_a_day_that_is_missing_is_a_gap_in_the_line():
    picture = plot(days(d0=1, d1=2, d3=4, d4=5), "x")
    assert picture.count("<polyline") == 2
    assert plot(days(d0=1, d1=2, d2=3, d3=4), "x").count("<polyline") == 1


def test_a_day_of_which_a_part_is_known_is_a_hollow_dot():
    picture = plot(days(d0=10, d1=10), "x", atleast=days(d2=4))
    assert picture.count("<circle") == 1
    assert 'fill="var(--card)"' in picture


def test_pictures_of_nothing_of_one_day_and_of_a_constant():
    assert "no day is known" in plot({}, "x")
    assert plot(days(d0=5), "x").count("<circle") == 1
    assert "nan" not in plot(days(d0=0, d1=0), "x")
    assert spark(days(d0=5)) == ""
    assert spark(days(d0=5, d1=5)).count("<polyline") == 1


def test_a_volume_is_drawn_only_where_it_is_near():
    points = days(d0=60, d1=70)
    assert "volume" in plot(points, "x", limit=100)
    assert "volume" not in plot(points, "x", limit=10_000)


# -- a cell


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "=cmd|' /C calc'!A0", "-2+3+cmd"]
)
def test_what_a_spreadsheet_would_run_is_text(name):
    assert cell(name).startswith("'")


def test_numbers_stay_numbers_and_names_stay_names():
    assert (cell(-5), cell(2.6), cell("张三@%"), cell("")) == ("-5", "3", "张三@%", "")


def test_the_file_is_rfc_4180_with_the_mark_for_excel():
    text = written(["a", "b"], [['say "hi"', "x,y"], ["多\n行", None]])
    assert text.startswith(BOM)
    assert text.count("\r\n") == 3
    assert list(csv.reader(io.StringIO(text[1:], newline=""))) == [
        ["a", "b"], ['say "hi"', "x,y"], ["多\\x0a行", "unknown"],
    ]  # fmt: skip
