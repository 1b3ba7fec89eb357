"""The boards as web pages: a link that looks like Feishu's opens the board, and nothing from a cell is markup."""

from __future__ import annotations

import httpx

from sync_assets_tests.fix_emulator import Board


def test_a_board_shows_its_rows_escaped(board: Board) -> None:
    board.emulator.put_rows(
        board.app_token,
        board.table_id,
        [
            {
                "文本": "<script>alert(1)</script>",
                "single": "<b>",
                "date": 1790049600000,
                "url": {"text": "<i>", "link": "x"},
            }
        ],
    )
    page = httpx.get(board.emulator.link(board.app_token, board.table_id)).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "2026/09/22" in page
    assert "1 rows" in page
    assert 'class="new"' in page
    assert "setInterval" in page


def test_names_are_escaped_everywhere(board: Board) -> None:
    evil = board.emulator.make_base(
        '"><img src=x>', [{"name": "'\"><img>", "fields": [{"field_name": "<u>", "type": 1}]}]
    )
    for path in ("/", f"/base/{evil}"):
        page = httpx.get(board.emulator.url + path).text
        assert "<img" not in page
        assert "<u>" not in page


def test_first_rows_only_and_every_way_in(board: Board) -> None:
    board.emulator.put_rows(board.app_token, board.table_id, [{"number": n} for n in range(250)])
    node = board.emulator.make_node(board.app_token)
    for path in (f"/base/{board.app_token}", f"/wiki/{node}", f"/wiki/{node}?table={board.table_id}"):
        page = httpx.get(board.emulator.url + path).text
        assert page.count("<tr") == 201
        assert "250 rows, the first 200 shown" in page
    assert "250" in httpx.get(board.emulator.url).text


def test_what_is_not_there(board: Board) -> None:
    assert httpx.get(board.emulator.url + "/base/none").status_code == 404
    assert "No such table" in httpx.get(board.emulator.link(board.app_token, "tblNone")).text
